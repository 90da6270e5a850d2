"""Charts as inline SVG: pure functions from numbers to markup, shared by every report.

Colour is never alone: segments of one bar differ in lightness (they stay apart in greyscale and
for colour-blind readers), what is not evidenced is hatched, and the numbers stand in or beside the
bars. The text in a chart is digits only; its meaning is in `aria-label` and in the words around it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape


@dataclass(frozen=True)
class Style:
    """How a status looks: fill, the colour of digits on it, its symbol and its word."""

    fill: str
    ink: str
    symbol: str
    word: str


FONTS = "Pack Sans, Inter, sans-serif"
"""Families for digits in a chart: those of the pack, of the site, of any reader."""

_INK = "#14202b"
STYLES = {
    "fail": Style("#8c2313", "#ffffff", "✗", "fail"),
    "not_satisfied": Style("#8c2313", "#ffffff", "✗", "not satisfied"),
    "not_evidenced": Style("#f7e3a1", _INK, "○", "not evidenced"),
    "excepted": Style("#b9b3d9", _INK, "◇", "excepted"),
    "pass": Style("#5fb3a7", _INK, "✓", "pass"),
    "satisfied": Style("#5fb3a7", _INK, "✓", "satisfied"),
    "not_applicable": Style("#e6eaee", _INK, "–", "not applicable"),
}
"""Finding and requirement statuses, darkest first: lightness alone tells them apart."""

_HATCHED = "not_evidenced"
_DIGIT_WIDTH = 5.4
_MARGIN = 7.0


def stacked_bar(
    counts: Mapping[str, int],
    order: Sequence[str],
    *,
    whole: int = 0,
    width: int = 300,
    height: int = 16,
) -> Markup:
    """Return one horizontal bar of `counts` by status, in `order`; empty statuses are left out.

    `whole` is the number that fills the width, so that several bars share a scale; 0 means the
    bar's own sum. A segment that is there is at least visible, however small its share.
    """
    shown = [(status, counts.get(status, 0)) for status in order if counts.get(status, 0) > 0]
    total = sum(number for _, number in shown)
    lengths = _lengths([number for _, number in shown], max(whole, total), float(width))
    parts, left = [_frame(width, height)] if not whole else [], 0.0
    for (status, number), length in zip(shown, lengths, strict=True):
        parts.append(_segment(status, number, left, length, height))
        left += length
    return _svg(width, height, describe(counts, order), parts)


def describe(counts: Mapping[str, int], order: Sequence[str]) -> str:
    """Return counts in words: `3 not satisfied, 12 satisfied`."""
    found = [f"{counts[name]} {STYLES[name].word}" for name in order if counts.get(name, 0) > 0]
    return ", ".join(found) or "nothing to show"


def swatch(status: str, *, size: int = 9) -> Markup:
    """Return the small square that stands for a status in a legend."""
    return _svg(size, size, STYLES[status].word, [_box(status, 0.0, float(size), size)])


def level_bar(level: int | None, *, of: int = 5, width: int = 300, height: int = 16) -> Markup:
    """Return `of` boxes with their numbers, those up to `level` filled; None is no level."""
    reached, apart = level or 0, 3.0
    length = (width - (of - 1) * apart) / of
    parts = []
    for number in range(1, of + 1):
        left = (number - 1) * (length + apart)
        fill, ink = ("#1f7a6e", "#ffffff") if number <= reached else ("#e6eaee", "#5b6776")
        parts.append(_rectangle(left, 0, length, height, fill))
        x, y = _number(left + length / 2), _number(height / 2 + 3.2)
        parts.append(
            f'<text x="{x}" y="{y}" font-size="9" font-weight="600" font-family="{FONTS}"'
            f' text-anchor="middle" fill="{ink}">{number}</text>'
        )
    label = "no level: nothing applies" if level is None else f"level {level} of {of}"
    return _svg(width, height, label, parts)


def _lengths(numbers: Sequence[int], whole: int, width: float) -> list[float]:
    """Share `width` among `numbers`; each gets at least a visible sliver, the largest pays."""
    if not numbers or whole <= 0:
        return []
    lengths = [max(number / whole * width, 2.0) for number in numbers]
    excess = sum(lengths) - width
    if excess > 0:
        largest = lengths.index(max(lengths))
        lengths[largest] -= excess
    return lengths


def _segment(status: str, number: int, left: float, length: float, height: int) -> str:
    box = _box(status, left, length, height)
    text = str(number)
    if length < len(text) * _DIGIT_WIDTH + _MARGIN:
        return box
    x, y = _number(left + length / 2), _number(height / 2 + 3.2)
    plate = ""
    if status == _HATCHED:
        span = len(text) * _DIGIT_WIDTH + 4
        plate = _rectangle(left + length / 2 - span / 2, 2, span, height - 4, STYLES[status].fill)
    return (
        f'{box}{plate}<text x="{x}" y="{y}" font-size="9" font-weight="600" font-family="{FONTS}"'
        f' text-anchor="middle" fill="{STYLES[status].ink}">{text}</text>'
    )


def _box(status: str, left: float, length: float, height: int) -> str:
    box = _rectangle(left, 0, length, height, STYLES[status].fill)
    if status == _HATCHED:
        box += _hatching(left, length, height)
    edge = '<rect x="{}" y="0" width="0.8" height="{}" fill="#ffffff"/>'
    return box + (edge.format(_number(left), height) if left else "")


def _hatching(left: float, length: float, height: int) -> str:
    """Slanted lines, each cut off at the segment's edges by hand: no pattern, no clip path."""
    lines, right, start = [], left + length, left - height
    while start < right:
        x1, y1, x2, y2 = start, float(height), start + height, 0.0
        if x1 < left:
            x1, y1 = left, height - (left - start)
        if x2 > right:
            x2, y2 = right, x2 - right
        if x2 > x1:
            lines.append(f"M{_number(x1)} {_number(y1)}L{_number(x2)} {_number(y2)}")
        start += 4
    return f'<path d="{"".join(lines)}" stroke="#a8801a" stroke-width="0.9" fill="none"/>'


def _rectangle(left: float, top: float, width: float, height: float, fill: str) -> str:
    return (
        f'<rect x="{_number(left)}" y="{_number(top)}" width="{_number(width)}"'
        f' height="{_number(height)}" fill="{fill}"/>'
    )


def _frame(width: int, height: int) -> str:
    return f'<rect width="{width}" height="{height}" fill="#eef1f4"/>'


def _svg(width: int, height: int, label: str, parts: Sequence[str]) -> Markup:
    return Markup(  # noqa: S704 - made of numbers, our own styles and an escaped label
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" role="img"'
        f' aria-label="{escape(label)}" width="{width}" height="{height}"'
        f' viewBox="0 0 {width} {height}">{"".join(parts)}</svg>'
    )


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
