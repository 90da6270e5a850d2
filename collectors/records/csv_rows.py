"""CSV: where one record ends and the next begins, and the cells of one record.

Source: RFC 4180, and Excel, which writes `;` where the decimal sign is a comma.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field

from collectors.records.source import RawRow, RowError

_DELIMITERS = (",", ";", "\t")
_NOT_UTF8 = "the line is not UTF-8: save the file as CSV UTF-8"


def cells_of(text: str, delimiter: str) -> list[str]:
    """Return the cells of one record. Raises RowError."""
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise RowError(f"not CSV: {error}") from error
    if len(rows) > 1:
        raise RowError("not CSV: a line ends inside the record")
    return rows[0] if rows else []


def record_of(cells: list[str], delimiter: str) -> str:
    """Return cells as one record, without the end of the line."""
    target = io.StringIO(newline="")
    csv.writer(target, delimiter=delimiter, lineterminator="\r\n").writerow(cells)
    return target.getvalue().removesuffix("\r\n")


@dataclass
class CsvFile:
    """A CSV file that was split into records. `problem` says what made it less than whole."""

    delimiter: str = ","
    header: tuple[str, ...] = ()
    header_row: int = 0
    rows: list[RawRow] = field(default_factory=list)
    problem: str = ""


def read_csv(data: bytes) -> CsvFile:
    """Split a CSV file: the first line that is not empty is its header. Raises RowError.

    A line that is not UTF-8 or no CSV is a row with a problem. Bytes that are not UTF-8 are held
    as half characters, so that they come out as they went in.
    """
    text = data.decode("utf-8-sig", errors="surrogateescape")
    found = CsvFile()
    for number, raw, is_cut in _records(text, found):
        if not raw.strip(" \t\r\n,;"):
            continue
        if found.header_row:
            found.rows.append(_row(number, raw))
        else:
            found.header_row = number
            found.header = tuple(cell.strip() for cell in _header(raw, found.delimiter))
        if is_cut:
            found.problem = found.problem or (
                f"line {number}: a quotation mark is opened and never closed, so nobody knows what"
                " rows follow"
            )
    if not found.header_row:
        raise RowError("the file is empty")
    return found


def _records(text: str, found: CsvFile) -> Iterator[tuple[int, str, bool]]:
    """Yield the line that each record begins on, its text, and whether it ran into what follows."""
    lines = _Lines(text)
    found.delimiter = _delimiter_of(text)
    reader = csv.reader(lines, delimiter=found.delimiter, strict=True)
    while True:
        lines.taken.clear()
        first, is_cut = lines.number + 1, False
        try:
            next(reader)
        except StopIteration:
            return
        except csv.Error:
            is_cut = len(lines.taken) > 1 or lines.is_done
        yield first, "".join(lines.taken), is_cut


class _Lines:
    """Gives lines to a CSV reader and notes which ones it took."""

    def __init__(self, text: str) -> None:
        self._lines = iter(io.StringIO(text, newline=""))
        self.taken: list[str] = []
        self.number = 0
        self.is_done = False

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        try:
            line = next(self._lines)
        except StopIteration:
            self.is_done = True
            raise
        self.number += 1
        self.taken.append(line)
        return line


def _delimiter_of(text: str) -> str:
    """Return the sign that splits the first line that is not empty into the most cells."""
    first = next((line for line in io.StringIO(text, newline="") if line.strip()), "")
    counts = {sign: _count(first, sign) for sign in _DELIMITERS}
    return max(_DELIMITERS, key=lambda sign: counts[sign])


def _count(line: str, delimiter: str) -> int:
    return len(next(csv.reader([line], delimiter=delimiter), []))


def _header(raw: str, delimiter: str) -> list[str]:
    body, problem = _checked(raw)
    if problem:
        raise RowError(problem)
    return cells_of(body.decode(), delimiter)


def _row(number: int, raw: str) -> RawRow:
    body, problem = _checked(raw)
    return RawRow(number, body, problem)


def _checked(raw: str) -> tuple[bytes, str]:
    """Return the bytes of a record without the end of its line, and what is wrong with them."""
    body = raw.rstrip("\r\n").encode(errors="surrogateescape")
    try:
        body.decode()
    except UnicodeDecodeError:
        return body, _NOT_UTF8
    return body, ""
