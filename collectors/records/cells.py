"""The cells of a captured row: its text as the file has it, as named values and back again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from collectors.records import csv_rows, json_rows, xlsx_rows
from collectors.records.source import FileHead, RowError
from evidence.storable import storable


@dataclass(frozen=True)
class Cells:
    """Headers and texts of one row. A text is None where JSON has no single value."""

    headers: tuple[str, ...]
    texts: tuple[str | None, ...]


def cells_of(head: FileHead, text: str) -> Cells:
    """Return the cells of a row. Raises RowError, also where there are more or fewer than headers.

    A sheet leaves out empty cells at the end of a row, so only more are too many there.
    """
    if not head.has_header:
        members = storable(json_rows.object_of(text, exact=True))
        return Cells(tuple(members), tuple(_text(value) for value in members.values()))
    found = values_of(head, text)
    width = len(head.header)
    while len(found) > width and not found[-1].strip():
        found.pop()
    if head.format == "xlsx":
        found += [""] * (width - len(found))
    if len(found) != width:
        raise RowError(f"{len(found)} cells below {width} headers")
    return Cells(head.header, tuple(found))


def values_of(head: FileHead, text: str) -> list[str]:
    """Return the cells of a row below a header, as many as there are. Raises RowError."""
    if head.format == "csv":
        return csv_rows.cells_of(text, head.delimiter)
    return xlsx_rows.cells_of(text)


def text_of(head: FileHead, headers: Sequence[str], values: Sequence[Any]) -> str:
    """Return values as the text of a row in the form of its file."""
    if head.format == "csv":
        return csv_rows.record_of([str(value) for value in values], head.delimiter)
    if head.format == "xlsx":
        return xlsx_rows.row_of([str(value) for value in values])
    return json_rows.text_of(dict(zip(headers, values, strict=True)))


def _text(value: Any) -> str | None:
    if isinstance(value, list | dict):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
