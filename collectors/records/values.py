"""Typing: from the text of a cell to the value of a column, strictly. Nothing is guessed."""

from __future__ import annotations

import datetime
import re
from typing import Any

from collectors.records.source import RowError
from collectors.records.spec import ColumnSpec, spelling

_TIME = re.compile(
    r"(\d{4}-\d{2}-\d{2})"
    r"(?:[T ]((?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:[.,](\d{1,9}))?)?) ?"
    r"(Z|[+-]\d{2}(?::?\d{2})?)?)?",
    re.ASCII | re.IGNORECASE,
)
"""A date, or a time to the minute or finer, in the extended form of ISO 8601."""

_INTEGER = re.compile(r"[+-]?\d{1,19}", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d{1,300}(\.\d{1,300})?([eE][+-]?\d{1,3})?", re.ASCII)
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_SPREADSHEET_ERRORS = frozenset(
    ("#DIV/0!", "#N/A", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!", "#GETTING_DATA")
)
_SHOWN = 60


def typed(column: ColumnSpec, text: str | None, *, in_sheet: bool = False) -> Any:
    """Return the value that a cell stands for; None for an empty one. Raises RowError.

    `text` is None where JSON has a list or an object. Times become naive UTC text, the form that
    tables take; without a zone they are UTC.
    """
    if text is None:
        raise RowError("is a list or an object, and no single value")
    text = text.strip()
    if not text:
        if column.required:
            raise RowError("is required and empty")
        return None
    if in_sheet and text in _SPREADSHEET_ERRORS:
        raise RowError(f"is {text}: an error of the spreadsheet")
    if in_sheet and text.startswith("="):
        raise RowError("is a formula that was never calculated: open and save the file")
    value = _typed(column, text)
    if value is None:
        raise RowError(f"{_shown(text)} is no {_WANTED[column.type]}")
    return value


_WANTED = {
    "boolean": "boolean (true, false, yes, no, 1, 0)",
    "integer": "whole number",
    "number": "number (with . for the decimal sign and nothing between the thousands)",
    "timestamp": "time (2026-12-31, 2026-12-31T08:00:00Z or 2026-12-31 08:00+01:00)",
}


def _typed(column: ColumnSpec, text: str) -> Any:
    if column.type == "boolean":
        return _BOOLEANS.get(text.casefold())
    if column.type == "integer":
        return int(text) if _INTEGER.fullmatch(text) else None
    if column.type == "number":
        return float(text) if _NUMBER.fullmatch(text) else None
    if column.type == "timestamp":
        return _moment(text)
    return _text(column, text)


def _text(column: ColumnSpec, text: str) -> str:
    if "\0" in text:
        raise RowError("holds a NUL, which no text does")
    if not column.values:
        return text
    value = spelling(text)
    if value not in column.values:
        raise RowError(f"{_shown(text)} is none of {', '.join(column.values)}")
    return value


def _moment(text: str) -> str | None:
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    day, clock, fraction, zone = found.groups()
    clock = re.split("[.,]", clock or "00:00")[0]
    zone = (zone or "Z").upper().replace("Z", "+00:00")
    try:
        moment = datetime.datetime.fromisoformat(f"{day}T{clock}{zone}")
        moment = moment.astimezone(datetime.UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return None
    micros = int((fraction or "0")[:6].ljust(6, "0"))
    return moment.replace(microsecond=micros).isoformat(sep="T")


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]} ...")
