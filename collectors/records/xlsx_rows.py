"""XLSX: the rows of one sheet, each cell as a text.

A number is written as Python's shortest text of it, a date as ISO 8601. A formula counts as what
the spreadsheet program calculated last; where it never did, its own text stands in the cell, and
is refused as a value (`collectors.records.values`).
"""

from __future__ import annotations

import datetime
import io
import itertools
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from collectors.records.source import RawRow, RowError
from evidence.storable import whole_text

_LARGEST = 1 << 30
"""What a workbook may unpack to: more is no export, but made to fill the memory."""


@dataclass
class XlsxSheet:
    """A sheet that was read. The first row that is not empty is its header."""

    name: str
    header: tuple[str, ...] = ()
    header_row: int = 0
    rows: list[RawRow] = field(default_factory=list)


def read_xlsx(data: bytes, sheet: str = "") -> XlsxSheet:
    """Read a sheet; the first that is not hidden where none is named. Raises RowError."""
    try:
        formulas = _has_formulas(data)
        return _read(data, sheet, formulas=formulas)
    except RowError:
        raise
    except Exception as error:  # openpyxl raises whatever a broken workbook makes it
        raise RowError(f"not a workbook that can be read: {type(error).__name__}") from error


def cells_of(text: str) -> list[str]:
    """Return the cells of a captured row. Raises RowError."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise RowError("not a list of texts") from error
    if not isinstance(found, list) or not all(isinstance(cell, str) for cell in found):
        raise RowError("not a list of texts")
    return found


def row_of(cells: list[str]) -> str:
    """Return cells as the text that a capture holds."""
    return json.dumps(cells, ensure_ascii=False, separators=(",", ":"))


def _has_formulas(data: bytes) -> bool:
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        if sum(item.file_size for item in package.infolist()) > _LARGEST:
            raise RowError(f"the workbook unpacks to more than {_LARGEST >> 20} MiB")
        names = [name for name in package.namelist() if name.startswith("xl/worksheets/")]
        return any(b"<f>" in (xml := package.read(name)) or b"<f " in xml for name in names)


def _read(data: bytes, sheet: str, *, formulas: bool) -> XlsxSheet:
    values, name = _rows(data, sheet, data_only=True)
    written = _rows(data, sheet, data_only=False)[0] if formulas else itertools.repeat(())
    found = XlsxSheet(name)
    for number, (row, formula_row) in enumerate(zip(values, written, strict=False), start=1):
        cells = [_text(value) for value in row]
        for index, formula in enumerate(formula_row):
            is_formula = isinstance(formula, str) and formula.startswith("=")
            if is_formula and index < len(cells) and not cells[index]:
                cells[index] = formula
        while cells and not cells[-1]:
            cells.pop()
        if not cells:
            continue
        if found.header_row:
            found.rows.append(RawRow(number, row_of(cells).encode()))
        else:
            found.header, found.header_row = tuple(cell.strip() for cell in cells), number
    if not found.header_row:
        raise RowError(f"the sheet {name!r} is empty")
    return found


def _rows(data: bytes, sheet: str, *, data_only: bool) -> tuple[Iterator[tuple[Any, ...]], str]:
    from openpyxl import load_workbook

    book = load_workbook(io.BytesIO(data), read_only=True, data_only=data_only, keep_links=False)
    sheets = {one.title: one for one in book.worksheets}
    visible = [one.title for one in book.worksheets if one.sheet_state == "visible"]
    name = sheet or next(iter(visible or sheets), "")
    if name not in sheets:
        raise RowError(f"there is no sheet {name!r}; there are {', '.join(sheets) or 'none'}")
    # Some programs write a wrong size of the sheet, and rows beyond it would be left out.
    sheets[name].reset_dimensions()
    return sheets[name].iter_rows(values_only=True), name


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    return whole_text(str(value))
