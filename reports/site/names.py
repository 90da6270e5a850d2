"""Names of files and anchors: stable, safe on every file system, whatever an id holds.

Ids come from clouds and from people's files, so nothing of them reaches a path or an attribute
unless it is plain; the rest is replaced and made unique by a digest.
"""

from __future__ import annotations

import re

from evidence.canonical import sha256_hex

_PLAIN = re.compile(r"[a-z0-9_][a-z0-9_.-]{0,79}")
_PLAIN_ANCHOR = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")
"""Names that Windows keeps for devices, with any suffix."""


def slug(text: str) -> str:
    """Return a file name for `text`: itself where it is plain, else cleaned with a digest.

    Capitals count as not plain, because many file systems do not tell them apart.
    """
    if _PLAIN.fullmatch(text) and not _RESERVED.fullmatch(text):
        return text
    cleaned = re.sub(r"[^a-z0-9_]+", "-", text.lower()).strip("-")[:60]
    return f"{cleaned or 'x'}-{sha256_hex(text.encode())[:10]}"


def anchor(prefix: str, text: str) -> str:
    """Return an element id for `text` that can be read in a link; it never holds `=`."""
    if _PLAIN_ANCHOR.fullmatch(text):
        return f"{prefix}-{text}"
    cleaned = re.sub(r"[^A-Za-z0-9_]+", "-", text).strip("-")[:60]
    return f"{prefix}-{cleaned or 'x'}-{sha256_hex(text.encode())[:10]}"


def hashed(*parts: str) -> str:
    """Return a short digest over `parts`, for anchors of things whose ids are long."""
    return sha256_hex("\0".join(parts).encode())[:12]


def page_name(stem: str, number: int) -> str:
    """Return the file name of page `number` (from 1) of what is spread over several pages."""
    return f"{stem}.html" if number == 1 else f"{stem}-p{number}.html"
