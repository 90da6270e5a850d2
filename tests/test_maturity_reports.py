"""Maturity where people read it: the command, the pack's chapter, the site's page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from maturity_store import LEVELLED, levelled
from pack_store import Bucket, Built, build_store
from site_store import CHROMIUM, Page, broken_links, in_browser
from support_cli import auditpack

from controls.roadmap import ORDER
from reports.charts import level_bar
from reports.maturity import maturity_views
from reports.pack.context import build_context
from reports.pack.render import render_html, render_pdf
from reports.site import make_site


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return levelled(tmp_path_factory.mktemp("levelled") / "store")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build_store(tmp_path_factory.mktemp("plain") / "store", [Bucket("ledger")])


@pytest.fixture(scope="module")
def site(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_site(built.view(), built.store, tmp_path_factory.mktemp("site") / "site").parent


def html_of(built: Built) -> str:
    return render_html(build_context(built.view(), "pack", built.key.certificate, (), ()))


def chapter_of(built: Built) -> str:
    found = re.search(r'<h1 id="maturity-0".*?</section>', html_of(built), re.DOTALL)
    assert found
    return found[0]


def words(markup: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", markup).split())


# What both show


def test_only_frameworks_with_levels_have_maturity(built: Built, plain: Built) -> None:
    (found,) = maturity_views(built.assessment)
    assert found.maturity.framework == "levels"
    assert [(area.id, area.level) for area in found.maturity.areas] == [
        ("DAT", 2),
        ("OPS", 1),
        ("NON", None),
    ]
    assert (found.open, found.requirements) == (2, 4)
    assert maturity_views(plain.assessment) == ()


def test_a_narrowed_assessment_claims_nothing_of_the_rest(tmp_path: Path) -> None:
    narrowed = levelled(tmp_path / "store", framework="levels:phase-1")
    (found,) = maturity_views(narrowed.assessment)
    data = found.maturity.areas[0]
    assert (data.level, [item.status for item in data.missing]) == (2, ["not_judged"])
    assert "narrowed to phase-1" in words(chapter_of(narrowed))
    assert "DAT-02 Data at rest is unreadable: not judged" in words(chapter_of(narrowed))


# The pack


def test_the_pack_has_a_chapter_with_levels_and_roadmap(built: Built) -> None:
    text = words(chapter_of(built))
    assert "the lowest area is at level 1, initial, and the mean of the areas is 1.5" in text
    assert "Of 4 requirements, 2 are open." in text
    assert "Data: to level 3, defined" in text
    assert "1 check fails, 1 check could not be judged, 1 piece of evidence to bring" in text
    assert "Foundation (weeks 1-8) 1 of 2 requirements open" in text
    assert (
        text.index("1. OPS-01") < text.index("Reliability (weeks 9-18)") < text.index("2. DAT-02")
    )
    assert "Switch it on: in the console under Properties" in text
    assert "Bring Keys in use, with their owners (report)" in text
    assert ORDER.replace("'", "&#39;") in text


def test_the_chapter_is_in_the_contents_and_its_links_lead_somewhere(built: Built) -> None:
    document = html_of(built)
    ids = set(re.findall(r'id="([^"]+)"', document))
    links = re.findall(r'href="#([^"]+)"', document)
    assert {"maturity-0", "maturity-0-areas", "maturity-0-next", "maturity-0-roadmap"} <= set(links)
    assert set(links) <= ids


def test_without_levels_neither_has_anything_of_it(plain: Built, tmp_path: Path) -> None:
    assert "Maturity" not in html_of(plain)
    site = make_site(plain.view(), plain.store, tmp_path / "site").parent
    assert not (site / "maturity.html").exists()
    assert "Maturity" not in (site / "index.html").read_text()


def test_the_chapter_can_be_laid_out(built: Built) -> None:
    context = build_context(built.view(), "pack", built.key.certificate, (), ())
    assert render_pdf(context).pages > 5


def test_a_level_is_as_many_dark_boxes() -> None:
    for level in range(1, 6):
        chart = level_bar(level)
        assert chart.count('fill="#1f7a6e"') == level
        assert chart.count('fill="#e6eaee"') == 5 - level
        assert f'aria-label="level {level} of 5"' in chart
    assert 'fill="#1f7a6e"' not in level_bar(None)
    assert "nothing applies" in level_bar(None)


# The site


def test_the_site_has_a_page_that_every_page_leads_to(site: Path) -> None:
    assert list(broken_links(site)) == []
    for name in ("index.html", "frameworks/levels.html"):
        assert any(link.endswith("maturity.html") for link in Page((site / name).read_text()).links)
    page = Page((site / "maturity.html").read_text())
    assert "frameworks/levels.html#req-DAT-02" in page.links
    assert "checks/bucket_encrypted.html" in page.links
    reached = [tag for tag, attributes in page.tags if attributes.get("class") == "reached"]
    assert len(reached) == 1 + 2 + 1  # the whole, data, operations


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine")
def test_the_page_reads_well_in_a_browser(site: Path) -> None:
    text = words(in_browser(site / "maturity.html").partition("<main")[2])
    assert "initial: the level of the lowest area" in text
    assert "Mean of the areas 1.5" in text
    assert "Open requirements 2 of 4" in text
    assert "No level . Nothing in it applies." in text or "No level. Nothing in it applies." in text
    assert text.index("1. OPS-01") < text.index("2. DAT-02")
    assert "Mend S3 buckets encrypt new objects by default 1 failing." in text


# The command


def test_the_command_shows_areas_what_is_missing_and_the_roadmap(built: Built) -> None:
    store = ("--store", str(built.store.root), "--framework", "levels")
    said = auditpack("maturity", *store, cwd=built.store.root)
    assert said.code == 0, said.err
    assert "Overall: level 1 (initial), the lowest area; mean 1.5" in said.out
    assert re.search(r"DAT  Data +██░░░  2 repeatable +1/1 +0/1", said.out)
    assert re.search(r"NON  Nothing of ours +·{5}  - ", said.out)
    assert "DAT  Data: to reach level 3 (defined)" in said.out
    assert "fails (1): S3 buckets encrypt new objects by default. Switch it on" in said.out
    assert "bring: Keys in use, with their owners (report)" in said.out
    assert "weeks 1-8" not in said.out
    planned = auditpack("maturity", *store, "--roadmap", cwd=built.store.root)
    assert planned.out.index("1. OPS-01") < planned.out.index("2. DAT-02")
    assert "Foundation (weeks 1-8)  1 of 2 open" in planned.out


def test_the_command_gives_all_as_json(built: Built) -> None:
    arguments = ("maturity", "--store", str(built.store.root), "--framework", "levels", "--json")
    told = auditpack(*arguments, cwd=built.store.root).json
    assert (told["level"], told["mean_level"]) == (1, "1.5")
    assert [area["level"] for area in told["areas"]] == [2, 1, None]
    assert "roadmap" not in told
    told = auditpack(*arguments, "--roadmap", cwd=built.store.root).json
    steps = [step["id"] for phase in told["roadmap"]["phases"] for step in phase["steps"]]
    assert steps == ["OPS-01", "DAT-02"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("demo", "demo has no levels of maturity"),
        ("operational_excellence", "operational_excellence was not judged"),
    ],
)
def test_a_framework_without_levels_is_refused(built: Built, name: str, said: str) -> None:
    store = ("--store", str(built.store.root))
    done = auditpack("maturity", *store, "--framework", name, cwd=built.store.root)
    assert done.code == 2
    assert said in done.err
    assert f"It shows the maturity of: {LEVELLED['id']}." in done.err
