"""The HTML site: it opens from its files, leads to the bytes, says what it leaves out, and no name
that a stranger chose can make it run anything."""

from __future__ import annotations

import dataclasses
import html
import itertools
import json
import re
import subprocess
from pathlib import Path

import pytest
from pack_store import Bucket, Built, build_store
from site_store import (
    HIDDEN,
    SCRIPT,
    Page,
    broken_links,
    declared_not_applicable,
    hostile,
    many,
    pages,
    small,
)

from evidence.errors import VerificationError
from evidence.segments import read_line
from evidence.verify import verify_store
from reports.site import SiteError, make_site
from reports.site.text import visible


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return small(tmp_path_factory.mktemp("small") / "store")


@pytest.fixture(scope="module")
def site(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_site(built.view(), built.store, tmp_path_factory.mktemp("site") / "site").parent


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = hostile(tmp_path_factory.mktemp("hostile") / "store")
    target = tmp_path_factory.mktemp("attacked") / "site"
    return make_site(made.view(SCRIPT), made.store, target).parent


def content(folder: Path) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


# Reading


def test_every_link_leads_somewhere(site: Path, attacked: Path) -> None:
    assert list(broken_links(site)) == []
    assert list(broken_links(attacked)) == []


def test_the_overview_says_what_an_auditor_asks_first(site: Path) -> None:
    text = (site / "index.html").read_text()
    for expected in ("Halden Labs", "1 October 2026", "24 November 2026, 09:12:44 UTC"):
        assert expected in text
    for expected in ("production", "111122223333", "Demo Framework", "Evidence coverage"):
        assert expected in text
    assert 'href="findings.html#status=fail&amp;severity=critical"' in text
    assert 'href="gaps.html#reason=denied"' in text
    assert 'href="frameworks/demo.html#status=not_satisfied"' in text


def test_a_figure_leads_to_the_raw_answer_in_three_clicks(site: Path) -> None:
    overview = Page((site / "index.html").read_text())
    assert "checks/bucket_encrypted.html" in overview.links
    check = Page((site / "checks/bucket_encrypted.html").read_text())
    capture = next(link for link in check.links if "/captures/" in link)
    file, _, place = capture.partition("#")
    page = (site / "checks" / file).resolve().read_text()
    shown = page.partition(f'id="{place}"')[2].partition("</article>")[0]
    assert "&lt;encryption&gt;NONE&lt;/encryption&gt;" in shown
    assert "4442587FB7D0A2F9" in shown
    assert "24 November 2026, 09:12:44 UTC" in shown


def test_a_check_shows_its_very_rule(site: Path) -> None:
    page = html.unescape((site / "checks/bucket_encrypted.html").read_text())
    assert "encryption.algorithm in ('AES256', 'aws:kms')" in page
    assert "'default encryption is ' || encryption.algorithm" in page
    assert "Switch it on: in the console" in page
    assert "Whoever gets at the storage" in page


def test_a_requirement_shows_what_people_must_bring(site: Path) -> None:
    page = (site / "frameworks/demo.html").read_text()
    for identity in ("1.1", "1.2", "2.1"):
        assert f'id="req-{identity}"' in page
    needs = Page(page)
    assert needs.count("details") == 3


def test_what_the_company_says_does_not_apply_is_shown_with_its_reason(
    built: Built, tmp_path: Path
) -> None:
    view = built.view()
    declared = declared_not_applicable(view, "1.1", "We have <none> of these.")
    page = (
        make_site(declared, built.store, tmp_path / "s").parent / "frameworks/demo.html"
    ).read_text()
    shown = page.partition('id="req-1.1"')[2].partition("</details>")[0]
    assert "Declared not applicable" in shown
    assert "We have &lt;none&gt; of these." in shown
    assert "Evidence that people must bring" not in shown
    assert page.count("Declared not applicable") == 1


def test_a_resource_shows_facets_and_why_one_is_missing(site: Path) -> None:
    page = (site / "resources/aws_s3_bucket.html").read_text()
    vault = page.partition(">halden-vault</h2>")[2].partition("</article>")[0]
    assert "denied AccessDenied" in vault
    assert "Not evidenced" in vault
    assert "Enabled" in vault


def test_a_listing_that_was_denied_leads_to_its_gap(site: Path) -> None:
    page = (site / "checks/queue_encrypted.html").read_text()
    assert "gaps.html#type=aws_sqs_queue&amp;account=111122223333&amp;region=eu-west-1" in page
    assert "AccessDenied" in (site / "gaps.html").read_text()


def test_pages_can_be_used_by_everyone(site: Path) -> None:
    for file, page in pages(site).items():
        where = file.relative_to(site)
        assert page.count("h1") == 1, where
        assert page.count("main") == 1, where
        assert ("html", "en") in [(tag, at.get("lang")) for tag, at in page.tags], where
        levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
        steps = [b - a for a, b in itertools.pairwise(levels)]
        assert max(steps, default=0) <= 1, f"{where} leaves out a level of headings"
        if where.name != "index.html":
            assert 'aria-label="Breadcrumbs"' in page.text, where
        for tag, attributes in page.tags:
            if tag == "th":
                assert attributes.get("scope") in ("col", "row"), where
            if tag == "svg":
                assert attributes.get("aria-hidden") or attributes.get("aria-label"), where
        titles = re.findall(r"<title>(.*?)</title>", page.text)
        assert titles
        assert titles[0].strip(), where


# Names that strangers choose


def test_nothing_runs_and_nothing_is_loaded_from_elsewhere(site: Path, attacked: Path) -> None:
    for folder in (site, attacked):
        for file, page in pages(folder).items():
            where = file.relative_to(folder)
            policies = [
                attributes.get("content") or ""
                for tag, attributes in page.tags
                if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
            ]
            assert len(policies) == 1, where
            assert policies[0].startswith("default-src 'none'"), where
            assert "unsafe" not in policies[0]
            assert "http" not in policies[0]
            for tag, attributes in page.tags:
                assert not [name for name in attributes if name.startswith("on")], where
                assert "style" not in attributes, where
                assert tag not in ("img", "iframe", "object", "embed", "style", "base"), where
                if tag == "script":
                    assert re.fullmatch(
                        r"(\.\./)?(static|data)/[a-z]+\.js", attributes["src"] or ""
                    ), where
                if tag == "link":
                    assert "//" not in (attributes["href"] or ""), where


def test_hostile_names_are_shown_and_not_obeyed(attacked: Path) -> None:
    for file, page in pages(attacked).items():
        assert SCRIPT not in page.text, file
        assert "<img" not in page.text, file
        for link in page.links:
            assert not link.lower().startswith(("javascript:", "data:")), file
    check = (attacked / "checks/bucket_attack.html").read_text()
    assert html.escape(SCRIPT, quote=False).replace("'", "&#39;") in check
    assert "<li>javascript:alert(1)</li>" in check
    assert "&#34;" in check


def test_data_files_cannot_end_a_script(attacked: Path) -> None:
    files = sorted((attacked / "data").iterdir())
    assert len(files) >= 5
    for file in files:
        text = file.read_text()
        assert "<" not in text, file.name
        call = re.fullmatch(r'auditpack\.add\("([a-z]+)",\d+,(.*)\);\n', text, re.DOTALL)
        assert call, file.name
        json.loads(call[2])


def test_names_of_files_are_plain(attacked: Path) -> None:
    for file in attacked.rglob("*"):
        assert re.fullmatch(r"[a-z0-9_][a-z0-9._-]*", file.name), file


def test_hidden_characters_are_made_visible(attacked: Path) -> None:
    assert visible(HIDDEN) == "invoice⟨U+202E⟩gpj.exe"
    page = (attacked / "resources/aws_s3_bucket.html").read_text()
    assert "\u202e" not in page
    assert "invoice⟨U+202E⟩gpj.exe" in page


# Evidence


def test_what_a_capture_says_is_what_the_store_holds(built: Built, site: Path) -> None:
    page = (site / "captures/aws.111122223333.global.aws_s3_bucket.html").read_text()
    for article in page.split("<article")[1:]:
        text = html.unescape(article)
        command = re.search(r"<code>(zstd -dc .*?)</code>", text)
        assert command
        line = subprocess.run(
            command[1], shell=True, cwd=built.store.root, capture_output=True, check=True
        ).stdout
        record = json.loads(line)
        assert record["received_sha256"] in text
        leaf = subprocess.run(
            f"{{ printf '\\000'; {command[1]} | tr -d '\\n'; }} | sha256sum",
            shell=True,
            cwd=built.store.root,
            capture_output=True,
            check=True,
            text=True,
        ).stdout.split()[0]
        assert leaf in text
        told = "The body that was kept has these very bytes."
        assert (told in text) == (record["body_is"] == "as received")
    assert "<code>Secret</code> declared" in page


def run(script: str, built: Built) -> subprocess.CompletedProcess[str]:
    """Run a script in the store's folder, as the page says."""
    return subprocess.run(
        ["/bin/sh", "-c", script],
        cwd=built.store.root,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_commands_of_the_verify_page_verify(built: Built, site: Path) -> None:
    page = (site / "verify.html").read_text()
    commands = [html.unescape(text) for text in re.findall(r"<code>(.*?)</code>", page, re.DOTALL)]
    scripts = [text for text in commands if text.startswith("T=$(mktemp")]
    assert len(scripts) == 2
    for script in scripts:
        done = run(script, built)
        assert "Verified OK" in done.stdout, done.stderr
        assert "all files are as sealed" in done.stdout, done.stderr
    assert verify_store(built.store).ok


def test_the_verify_commands_notice_a_changed_file(tmp_path: Path) -> None:
    built = small(tmp_path / "store")
    page = make_site(built.view(), built.store, tmp_path / "site").with_name("verify.html")
    (built.snapshot.folder / "gaps.jsonl").write_bytes(b"{}\n")
    script = next(
        html.unescape(text)
        for text in re.findall(r"<code>(.*?)</code>", page.read_text(), re.DOTALL)
        if text.startswith("T=$(mktemp")
    )
    done = run(script, built)
    assert "gaps.jsonl: FAILED" in done.stdout
    assert "as sealed" not in done.stdout


def test_a_changed_record_is_never_shown(tmp_path: Path) -> None:
    built = small(tmp_path / "store")
    leaves = built.snapshot.folder / "records.bin"
    leaves.write_bytes(b"\0" * 32 + leaves.read_bytes()[32:])
    with pytest.raises(VerificationError, match="record 1 is not the one that was sealed"):
        make_site(built.view(), built.store, tmp_path / "site")
    assert not (tmp_path / "site").exists()
    assert not (tmp_path / "site.part").exists()


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    built = many(tmp_path / "store", 60)
    index = make_site(
        built.view(),
        built.store,
        tmp_path / "site",
        max_captures=4,
        max_resources=5,
        max_findings=10,
    )
    site = index.parent
    assert list(broken_links(site)) == []
    captures = (site / "captures.html").read_text()
    assert "This site shows 4 of them" in captures
    assert "2 more that such findings cite did not fit" in captures
    assert "This site shows 5 of them" in (site / "resources.html").read_text()
    findings = (site / "findings.html").read_text()
    assert "This site lists 10 of them" in findings
    assert "The other 110" in findings
    assert "captures.html#unit=aws%2F111122223333%2Fglobal%2Faws_s3_bucket&amp;line=" in findings
    segment = built.snapshot.segment("aws/111122223333/global/aws_s3_bucket")
    assert json.loads(read_line(segment, 2))["body"] == "<encryption>NONE</encryption>"


# Writing


def test_the_same_view_gives_the_same_bytes(built: Built, site: Path, tmp_path: Path) -> None:
    again = make_site(built.view(), built.store, tmp_path / "again").parent
    assert content(again) == content(site)


def test_a_new_site_replaces_the_old_one(built: Built, tmp_path: Path) -> None:
    target = tmp_path / "site"
    make_site(built.view("First Ltd"), built.store, target)
    (target / "rest.html").write_text("from another version")
    make_site(built.view("Second Ltd"), built.store, target)
    assert not (target / "rest.html").exists()
    assert "Second Ltd" in (target / "index.html").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_a_folder_that_is_no_site_is_left_alone(built: Built, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(SiteError, match="holds no site made by auditpack"):
        make_site(built.view(), built.store, tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
    with pytest.raises(SiteError, match="a file, not a folder"):
        make_site(built.view(), built.store, tmp_path / "thesis.txt")


@pytest.mark.parametrize("buckets", [[Bucket("fine")], []])
def test_an_estate_without_gaps_or_failures_says_so(tmp_path: Path, buckets: list[Bucket]) -> None:
    built = build_store(tmp_path / "store", buckets, queues_denied=False)
    view = dataclasses.replace(built.view(), frameworks=())
    index = make_site(view, built.store, tmp_path / "site")
    text = index.read_text()
    assert "Everything that was in scope was read" in text
    assert "No check fails." in text
    assert "No framework was assessed." in text
    assert "There are none" in index.with_name("gaps.html").read_text()
    assert list(broken_links(index.parent)) == []
