"""The HTML site: it opens from its files, leads to the bytes, says what it leaves out, and no name
that a stranger chose can make it run anything."""

from __future__ import annotations

import dataclasses
import html
import json
import re
import subprocess
from pathlib import Path

import pytest
from pack_store import Bucket, Built, build_store
from site_store import (
    CHROMIUM,
    HIDDEN,
    IMAGE,
    SCRIPT,
    Page,
    broken_links,
    hostile,
    in_browser,
    many,
    pages,
    small,
)

from evidence.errors import VerificationError
from evidence.segments import read_line
from evidence.verify import verify_store
from reports.site import SiteError, make_site
from reports.site.names import anchor, slug
from reports.site.render import STATIC, environment, is_web, shares
from reports.site.text import pretty, visible

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine")


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


def rows(document: str) -> list[str]:
    """The texts of the rows of the list in a document."""
    body = document.partition("<tbody>")[2].partition("</tbody>")[0]
    return [re.sub(r"<[^>]+>", " ", row) for row in re.findall(r"<tr.*?</tr>", body, re.DOTALL)]


def said(document: str) -> str:
    """What the list says of how much it shows."""
    found = re.search(r'aria-live="polite" data-count="">(.*?)</span>', document)
    assert found
    return found[1]


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
        steps = [b - a for a, b in zip(levels, levels[1:], strict=False)]
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


def test_colours_have_contrast() -> None:
    sheet = (STATIC / "site.css").read_text()
    light = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", sheet.partition("@media")[0]))
    dark = light | dict(
        re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", sheet.partition("@media")[2].partition("}")[0])
    )
    assert light != dark
    for scheme in (light, dark):
        for ground in ("card", "paper", "code"):
            for ink in ("ink", "quiet", "accent", "bad", "open", "held", "good", "none"):
                assert contrast(scheme[ink], scheme[ground]) >= 4.5, (ink, ground)
        for tone in ("bad", "open", "held", "good", "none"):
            assert contrast(scheme["ink"], scheme[f"{tone}-tint"]) >= 4.5, tone
            assert contrast(scheme[tone], scheme[f"{tone}-tint"]) >= 3, tone
        assert contrast(scheme["band-quiet"], scheme["band"]) >= 4.5
        assert contrast(scheme["strong-line"], scheme["card"]) >= 2.9  # edges of fields


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours, as WCAG defines it."""

    def luminance(colour: str) -> float:
        parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


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


@pytest.mark.parametrize(
    "text",
    ["../../etc/passwd", "a/b", "", "CON", "aux.html", "A", "x" * 300, "<b>", ".hidden", "é", "\0"],
)
def test_a_slug_is_a_safe_name(text: str) -> None:
    name = slug(text)
    assert re.fullmatch(r"[a-z0-9_][a-z0-9._-]{0,89}", name)
    assert name.split(".")[0] not in ("con", "aux")
    assert name == slug(text)
    assert "=" not in anchor("req", text)
    assert not re.search(r"\s", anchor("req", text))


def test_slugs_that_differ_only_in_case_are_told_apart() -> None:
    names = [slug(text).lower() for text in ("Bucket", "bucket", "BUCKET", "bucket!")]
    assert len(set(names)) == 4


def test_hidden_characters_are_made_visible(attacked: Path) -> None:
    assert visible(HIDDEN) == "invoice⟨U+202E⟩gpj.exe"
    page = (attacked / "resources/aws_s3_bucket.html").read_text()
    assert "\u202e" not in page
    assert "invoice⟨U+202E⟩gpj.exe" in page


def test_only_web_addresses_become_links() -> None:
    assert is_web("https://example.org/")
    for text in ("javascript:alert(1)", "JavaScript:x", " https://x", "data:,x", "//x", "file:///x"):
        assert not is_web(text)


# In a real browser


@needs_browser
@pytest.mark.slow
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


@needs_browser
@pytest.mark.slow
def test_lists_sort_by_a_column_in_the_address(site: Path) -> None:
    found = rows(in_browser(site / "findings.html", "sort=-resource&check=bucket_encrypted"))
    names = [re.search(r"halden-\w+", row) for row in found]
    assert [name[0] for name in names if name] == [
        "halden-vault",
        "halden-site",
        "halden-logs",
        "halden-data",
    ]


@needs_browser
@pytest.mark.slow
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


@needs_browser
@pytest.mark.slow
def test_the_search_finds_checks_requirements_and_resources(site: Path) -> None:
    found = in_browser(site / "search.html", "q=encrypt")
    results = found.partition("data-results")[2]
    assert "S3 buckets encrypt new objects by default" in results
    assert "checks/bucket_encrypted.html" in results
    assert "halden-vault" in in_browser(site / "search.html", "q=vault").partition("data-results")[2]


@needs_browser
@pytest.mark.slow
def test_a_record_that_is_not_shown_is_one_command_away(site: Path) -> None:
    unit = "aws/111122223333/global/aws_s3_bucket"
    page = in_browser(site / "captures.html", f"unit={unit}&line=3")
    assert said(page) == "Showing 1 to 1 of 1, out of 3."
    assert f"/captures/{unit}.jsonl.zst | sed -n 3p" in page


@needs_browser
@pytest.mark.slow
def test_hostile_names_do_nothing_in_a_browser(attacked: Path) -> None:
    for page in ("findings.html", "resources.html", "gaps.html", "captures.html", "search.html"):
        document = in_browser(attacked / page, "q=s" if page == "search.html" else "")
        assert "<title>pwned" not in document, page
        assert "<img" not in document, page
    listed = in_browser(attacked / "findings.html")
    assert html.escape(SCRIPT, quote=False) in listed
    assert html.escape(IMAGE, quote=False) in listed
    assert "\u202e" not in listed


@needs_browser
@pytest.mark.slow
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
            "{ printf '\\000'; %s | tr -d '\\n'; } | sha256sum" % command[1],
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


def test_the_commands_of_the_verify_page_verify(built: Built, site: Path) -> None:
    page = (site / "verify.html").read_text()
    commands = [html.unescape(text) for text in re.findall(r"<code>(.*?)</code>", page, re.DOTALL)]
    scripts = [text for text in commands if text.startswith("T=$(mktemp")]
    assert len(scripts) == 2
    for script in scripts:
        done = subprocess.run(
            ["/bin/sh", "-c", script], cwd=built.store.root, capture_output=True, text=True
        )
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
    done = subprocess.run(
        ["/bin/sh", "-c", script], cwd=built.store.root, capture_output=True, text=True
    )
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


# Small parts


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        ('{"a":1.0,"a":[1e5,"x,{}"],"b":{}}', ["{", '  "a": 1.0,', '  "a": [', "    1e5,"]),
        ("<a><b>x</b><c/></a>", ["<a>", "  <b>x</b>", "  <c/>", "</a>"]),
        ('<?xml version="1.0"?>\n<a><b></b></a>', ['<?xml version="1.0"?>', "<a>", "  <b></b>"]),
    ],
)
def test_bodies_are_indented_without_changing_a_token(body: str, lines: list[str]) -> None:
    text, form = pretty(body)
    assert text.splitlines()[: len(lines)] == lines
    assert "indented" in form
    assert "".join(text.split()) == "".join(body.split())


@pytest.mark.parametrize("body", ['{"a: 1', "<a < b", "a,b\n1,2", "", "   ", '{"a"""}', "<"])
def test_bodies_that_cannot_be_indented_stay_as_they_are(body: str) -> None:
    assert "".join(pretty(body)[0].split()) == "".join(body.split())


def test_bars_show_even_the_smallest_share() -> None:
    parts = shares({"fail": 1, "pass": 99_999}, ("fail", "pass"))
    assert [part["status"] for part in parts] == ["fail", "pass"]
    assert float(parts[0]["width"].rstrip("%")) >= 0.7
    assert sum(float(part["width"].rstrip("%")) for part in parts) == pytest.approx(100)
    assert shares({}, ("fail",)) == []


def test_every_template_compiles() -> None:
    env = environment()
    for name in env.list_templates():
        env.get_template(name)
