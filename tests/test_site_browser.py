"""The HTML site in a real browser, from its files: filters in the address, search, and attacks."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest
from site_store import CHROMIUM, IMAGE, SCRIPT, hostile, in_browser, many, small

from reports.site import make_site

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine"),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = small(tmp_path_factory.mktemp("small") / "store")
    return make_site(built.view(), built.store, tmp_path_factory.mktemp("site") / "site").parent


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = hostile(tmp_path_factory.mktemp("hostile") / "store")
    target = tmp_path_factory.mktemp("attacked") / "site"
    return make_site(made.view(SCRIPT), made.store, target).parent


def rows(document: str) -> list[str]:
    """The texts of the rows of the list in a document."""
    body = document.partition("<tbody>")[2].partition("</tbody>")[0]
    return [re.sub(r"<[^>]+>", " ", row) for row in re.findall(r"<tr.*?</tr>", body, re.DOTALL)]


def said(document: str) -> str:
    """What the list says of how much it shows."""
    found = re.search(r'aria-live="polite" data-count="">(.*?)</span>', document)
    assert found
    return found[1]


def test_filters_are_in_the_address(site: Path) -> None:
    everything = in_browser(site / "findings.html")
    assert said(everything) == "Showing 1 to 9 of 9."
    first = rows(everything)[0]
    assert "Fail" in first
    assert "Critical" in first

    failing = in_browser(site / "findings.html", "status=fail")
    assert said(failing) == "Showing 1 to 2 of 2, out of 9."
    assert all("Fail" in row for row in rows(failing))

    both = in_browser(site / "findings.html", "status=fail&status=not_evidenced&q=halden vault")
    assert said(both) == "Showing 1 to 1 of 1, out of 9."
    assert "halden-vault" in rows(both)[0]

    none = in_browser(site / "findings.html", "status=fail&q=nowhere")
    assert said(none) == "Nothing matches."
    assert rows(none) == []


def test_lists_sort_by_a_column_in_the_address(site: Path) -> None:
    found = rows(in_browser(site / "findings.html", "sort=-resource&check=bucket_encrypted"))
    names = [re.search(r"halden-\w+", row) for row in found]
    assert [name[0] for name in names if name] == [
        "halden-vault",
        "halden-site",
        "halden-logs",
        "halden-data",
    ]


def test_other_lists_filter_too(site: Path) -> None:
    check = in_browser(site / "checks/bucket_encrypted.html", "status=pass")
    assert said(check) == "Showing 1 to 2 of 2, out of 4."
    gaps = in_browser(site / "gaps.html", "type=aws_sqs_queue&region=eu-west-1")
    assert said(gaps) == "Showing 1 to 1 of 1, out of 2."
    resources = in_browser(site / "resources.html", "status=not_evidenced")
    assert said(resources) == "Showing 1 to 1 of 1, out of 4."
    framework = in_browser(site / "frameworks/demo.html", "status=not_satisfied&q=bucket_encrypted")
    assert said(framework) == "1 of 3 are shown."
    opened = in_browser(site / "frameworks/demo.html", "req-1.2")
    assert re.search(r'id="req-1.2"[^>]* open=""', opened)


def test_the_search_finds_checks_requirements_and_resources(site: Path) -> None:
    found = in_browser(site / "search.html", "q=encrypt")
    results = found.partition("data-results")[2]
    assert "S3 buckets encrypt new objects by default" in results
    assert "checks/bucket_encrypted.html" in results
    found = in_browser(site / "search.html", "q=vault").partition("data-results")[2]
    assert "halden-vault" in found


def test_a_record_that_is_not_shown_is_one_command_away(site: Path) -> None:
    unit = "aws/111122223333/global/aws_s3_bucket"
    page = in_browser(site / "captures.html", f"unit={unit}&line=3")
    assert said(page) == "Showing 1 to 1 of 1, out of 3."
    assert f"/captures/{unit}.jsonl.zst | sed -n 3p" in page


def test_hostile_names_do_nothing_in_a_browser(attacked: Path) -> None:
    for page in ("findings.html", "resources.html", "gaps.html", "captures.html", "search.html"):
        document = in_browser(attacked / page, "q=s" if page == "search.html" else "")
        assert "<title>pwned" not in document, page
        assert "<img" not in document, page
    listed = in_browser(attacked / "findings.html")
    assert html.escape(SCRIPT, quote=False) in listed
    assert html.escape(IMAGE, quote=False) in listed
    assert "\u202e" not in listed


def test_twenty_thousand_findings_are_as_quick_as_twenty(tmp_path: Path) -> None:
    built = many(tmp_path / "store", 10_000)
    index = make_site(built.view(), built.store, tmp_path / "site", max_resources=500)
    listed = in_browser(index.parent / "findings.html", milliseconds=20_000)
    assert said(listed) == "Showing 1 to 100 of 20,000."
    assert len(rows(listed)) == 100
    last = in_browser(index.parent / "findings.html", "page=200", milliseconds=20_000)
    assert said(last) == "Showing 19,901 to 20,000 of 20,000."
    some = in_browser(index.parent / "findings.html", "status=fail&q=0990", milliseconds=20_000)
    assert said(some) == "Showing 1 to 2 of 2, out of 20,000."
    assert (index.parent / "findings.html").stat().st_size < 200_000
    data = sum(file.stat().st_size for file in (index.parent / "data").glob("findings-*.js"))
    assert data < 4_000_000
