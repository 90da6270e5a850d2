"""VERIFY.md: the templates, and what they are filled with.

Nothing that a cloud or a person named reaches the commands: only ids, digests and numbers of ours.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from evidence.errors import StoreError

_TEMPLATES = Path(__file__).parent / "templates"
_HARMLESS = re.compile(r"[A-Za-z0-9._:/-]*")


def render(template: str, *, title: str, **values: Any) -> bytes:
    """Return one VERIFY.md. `title` is free text and printed outside of commands.

    Raises StoreError when a value that goes into a command could mean something to a shell.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    for name, value in values.items():
        if isinstance(value, str) and not _HARMLESS.fullmatch(value):
            raise StoreError("this name cannot stand in a command", where=f"{name}: {value[:80]!r}")
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=False,  # noqa: S701  (Markdown; every value was looked at above)
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    text = environment.get_template(template).render(title=_plain(title), **values)
    return text.encode()


def _plain(text: str) -> str:
    """Return text of one line that Markdown takes as it is."""
    kept = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(re.sub(r"[`<>*_\[\]\\#|!]", " ", kept).split())
