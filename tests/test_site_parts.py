"""Small parts of the HTML site: names of files, text made readable, bars, colours."""

from __future__ import annotations

import re
import time

import pytest

from reports.site.names import anchor, slug
from reports.site.render import STATIC, environment, is_web, shares
from reports.site.text import pretty


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


def test_only_web_addresses_become_links() -> None:
    assert is_web("https://example.org/")
    for text in (
        "javascript:alert(1)",
        "JavaScript:x",
        " https://x",
        "data:,x",
        "//x",
        "file:///x",
    ):
        assert not is_web(text)


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


@pytest.mark.parametrize(
    "body",
    [
        "<" * 300_000,
        "<!--" * 100_000,
        "<!--x>" * 100_000,
        "<![CDATA[" * 50_000,
        '["' + '\\"' * 200_000,
        "[" * 900 + "1," * 100_000 + "1" + "]" * 900,
        "<a>" * 100_000 + "x" + "</a>" * 100_000,
    ],
    ids=lambda body: body[:9],
)
def test_a_body_made_to_hurt_is_read_in_linear_time(body: str) -> None:
    began = time.process_time()
    text, _ = pretty(body)
    assert time.process_time() - began < 3
    assert len(text) < 150 * len(body)
