"""Text as the pack prints it: safe characters, dates, numbers.

Names in a cloud are chosen by others. A character that the bundled fonts do not draw, or that
draws nothing or turns the direction of a line, is printed as its code point (`‹U+202E›`): a pack
then looks the same on every machine, never shows an empty box, and cannot be made to read as
something that it is not. The attachments hold every name unchanged.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from markupsafe import Markup

FONT_FOLDER = Path(__file__).parent.parent / "fonts"
FONTS = {
    "Inter-Regular.ttf": "Inter, regular",
    "Inter-SemiBold.ttf": "Inter, semi-bold",
    "JetBrainsMono-Regular.ttf": "JetBrains Mono, regular",
}
"""Bundled font files and their names. Their licences (SIL OFL 1.1) lie beside them."""

_UNSEEN = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"}
_SPACES = {"\n", "\t", " "}


@lru_cache(maxsize=1)
def drawable() -> frozenset[int]:
    """Return the code points that the bundled fonts draw, in every weight."""
    from fontTools.ttLib import TTFont  # type: ignore[import-untyped, unused-ignore]

    maps = {name: set(TTFont(FONT_FOLDER / name, lazy=True).getBestCmap()) for name in FONTS}
    sans = maps["Inter-Regular.ttf"] & maps["Inter-SemiBold.ttf"]
    return frozenset(sans | maps["JetBrainsMono-Regular.ttf"])


def printable(text: str) -> str:
    """Return `text` with every character that cannot be shown as it is replaced by its code."""
    if text.isascii() and text.isprintable():
        return text
    parts: list[str] = []
    codes: list[str] = []
    for character in text:
        if _is_shown(character):
            parts.append(_flush(codes) + character)
        else:
            codes.append(f"U+{ord(character):04X}")
    return "".join(parts) + _flush(codes)


def _is_shown(character: str) -> bool:
    if character in _SPACES:
        return True
    return unicodedata.category(character) not in _UNSEEN and ord(character) in drawable()


def _flush(codes: list[str]) -> str:
    text = f"‹{' '.join(codes)}›" if codes else ""
    codes.clear()
    return text


def finalize(value: Any) -> Any:
    """Make every value that a template prints `printable`; markup of our own passes."""
    if value is None:
        return ""
    if isinstance(value, Markup):
        return value
    return printable(str(value))


def thousands(number: int) -> str:
    """Return `12,345`."""
    return f"{number:,}"


def plural(number: int, one: str, many: str = "") -> str:
    """Return `1 check` or `2 checks`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def percent(value: str | None) -> str:
    """Return `62.5 %` (with a thin space); a dash where there is no figure."""
    return "–" if value is None else f"{value}\u2009%"


def joined(items: Iterable[str], *, limit: int = 0) -> str:
    """Return items joined by commas; past `limit` (0: none) `and N more`."""
    names = list(items)
    if limit and len(names) > limit:
        return f"{', '.join(names[:limit])} and {len(names) - limit:,} more"
    return ", ".join(names)
