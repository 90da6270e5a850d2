"""Templates: everything is escaped, hidden characters are made visible, links are checked.

The Content-Security-Policy of every page forbids inline code and everything that is not a file of
the site, so a mistake in a template could still run nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from reports.dates import day, moment
from reports.site.text import visible

_HERE = Path(__file__).parent
STATIC = _HERE / "static"
"""The folder of styles and scripts, copied into every site."""

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self' file:; style-src 'self' file:; img-src 'self' file:;"
    " base-uri 'none'; form-action 'none'"
)
"""`file:` stands beside 'self' for browsers in which a local page is not its own origin."""

LABELS = {
    "pass": "Pass",
    "fail": "Fail",
    "not_evidenced": "Not evidenced",
    "not_applicable": "Not applicable",
    "excepted": "Excepted",
    "satisfied": "Satisfied",
    "not_satisfied": "Not satisfied",
}
"""Statuses of findings and requirements in words."""

TONES = {
    "pass": "good",
    "satisfied": "good",
    "fail": "bad",
    "not_satisfied": "bad",
    "not_evidenced": "open",
    "excepted": "held",
    "not_applicable": "none",
}
"""Status -> the name of its colour and icon in the style sheet."""

_SMALLEST_SHARE = 8
"""Thousandths of a bar that even a single finding gets, so that it can be seen."""


def environment() -> Environment:
    """Return the template environment of the site."""
    env = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_finalize,
    )
    env.filters.update(
        web=is_web, day=day, moment=moment, number=number, words=words, as_json=as_json
    )
    env.globals.update(
        csp=CONTENT_SECURITY_POLICY, labels=LABELS, tones=TONES, shares=shares, state=state
    )
    return env


def _finalize(value: Any) -> Any:
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def is_web(url: str) -> bool:
    """Whether a text may become a link: only http and https do, never javascript: and the like."""
    return url.startswith(("https://", "http://")) and not any(c.isspace() for c in url)


def state(**values: str) -> str:
    """Return the fragment that sets the filters of a list: `status=fail&q=...`."""
    return urlencode({name: value for name, value in values.items() if value})


def number(value: int) -> str:
    """Return a whole number with thousands set apart."""
    return f"{value:,}"


def words(text: str) -> str:
    """Return an id such as `not_enabled` as words."""
    return text.replace("_", " ").replace("-", " ")


def as_json(value: Any) -> str:
    """Return plain data as JSON text on one line, keys in their order."""
    return orjson.dumps(value, default=str).decode()


def shares(counts: Mapping[str, int], order: Sequence[str]) -> list[dict[str, str]]:
    """Return the parts of a bar as percentages: status, where it begins, how wide it is."""
    present = [(status, counts.get(status, 0)) for status in order if counts.get(status, 0)]
    total = sum(count for _, count in present)
    widths = [max(count * 1000 // total, _SMALLEST_SHARE) for _, count in present]
    whole = sum(widths)
    parts, start = [], 0
    for (status, _), width in zip(present, widths, strict=True):
        end = start + width
        parts.append(
            {
                "status": status,
                "x": _percent(start * 1000 // whole if whole else 0),
                "width": _percent((end * 1000 // whole) - (start * 1000 // whole)),
            }
        )
        start = end
    return parts


def _percent(thousandths: int) -> str:
    return f"{thousandths // 10}.{thousandths % 10}%"
