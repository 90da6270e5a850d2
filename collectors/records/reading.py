"""Reading a file of records: CSV, a JSON list, JSON lines or XLSX, told by what is in it.

Nothing raises: a file that cannot be read is a head that says so, and the run goes on.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from collectors.records.csv_rows import read_csv
from collectors.records.json_rows import is_one_object, read_json_lines, read_json_list
from collectors.records.source import FileHead, RawRow, RowError
from collectors.records.xlsx_rows import read_xlsx
from evidence.outcome import Outcome
from evidence.storable import whole_text

_ZIP = b"PK\x03\x04"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_LARGEST = 1 << 29
"""What an export may have: it is read at once, so that rows and digest are of the same bytes."""


def read_file(path: Path | None, name: str, sheet: str = "") -> tuple[FileHead, list[RawRow]]:
    """Return a file as a whole, and its rows; `name` is what it is called in evidence.

    Without a path nobody knows any more where the file is.
    """
    name = whole_text(name)
    if path is None:
        return _unread(name, Outcome.ERROR, "the configuration does not name it any more"), []
    try:
        if path.stat().st_size > _LARGEST:
            return _unread(name, Outcome.ERROR, f"larger than {_LARGEST >> 20} MiB"), []
        data = path.read_bytes()
    except PermissionError as error:
        return _unread(name, Outcome.DENIED, error.strerror or "no permission"), []
    except OSError as error:
        return _unread(name, Outcome.ERROR, error.strerror or "cannot be read"), []
    head = FileHead(name, length=len(data), sha256=hashlib.sha256(data).hexdigest(), sheet=sheet)
    try:
        return _read(head, data)
    except RowError as error:
        return replace(head, error=Outcome.ERROR.value, detail=whole_text(str(error))), []


def _unread(name: str, outcome: Outcome, why: str) -> FileHead:
    return FileHead(name, error=outcome.value, detail=why)


def _read(head: FileHead, data: bytes) -> tuple[FileHead, list[RawRow]]:
    if data.startswith(_ZIP):
        return _xlsx(head, data)
    if data.startswith(_UTF16):
        raise RowError("the file is UTF-16: save it as CSV UTF-8")
    start = data.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if start in (b"[", b"{"):
        return _json(head, data, is_list=start == b"[")
    return _csv(head, data)


def _xlsx(head: FileHead, data: bytes) -> tuple[FileHead, list[RawRow]]:
    found = read_xlsx(data, head.sheet)
    known = replace(
        head, format="xlsx", sheet=found.name, header=found.header, header_row=found.header_row
    )
    return known, found.rows


def _json(head: FileHead, data: bytes, *, is_list: bool) -> tuple[FileHead, list[RawRow]]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise RowError(f"line {line} is not UTF-8, which JSON has to be") from error
    if not is_list:
        if is_one_object(text):
            raise RowError("one JSON object over several lines: give a list, or one object a line")
        return replace(head, format="json lines"), read_json_lines(text)
    rows, problem = read_json_list(text)
    return _with_problem(replace(head, format="json"), problem), rows


def _csv(head: FileHead, data: bytes) -> tuple[FileHead, list[RawRow]]:
    found = read_csv(data)
    known = replace(
        head,
        format="csv",
        delimiter=found.delimiter,
        header=found.header,
        header_row=found.header_row,
    )
    return _with_problem(known, found.problem), found.rows


def _with_problem(head: FileHead, problem: str) -> FileHead:
    return replace(head, error=Outcome.ERROR.value, detail=problem) if problem else head
