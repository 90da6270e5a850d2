"""Reading files of records: whatever is in them, nothing raises and nothing is lost unseen."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from collectors.records.capturing import RecordCaptures
from collectors.records.catalogue import load_record_types, redactor_for
from collectors.records.cells import cells_of, text_of
from collectors.records.columns import columns_in
from collectors.records.csv_rows import read_csv
from collectors.records.importing import Importer
from collectors.records.reading import read_file
from collectors.records.source import FileHead, RowError
from collectors.records.spec import ColumnSpec
from collectors.records.values import typed
from evidence.units import UnitKey, UnitRecord

SPEC = load_record_types()["record_incident"]
KEY = b"0" * 32
UNIT = UnitKey("records", "records", "global", "record_incident")


class Memory:
    """A writer that keeps rows and captures."""

    def __init__(self) -> None:
        self.key, self.rows, self.lines = UNIT, [], []

    @property
    def records(self) -> int:
        return len(self.lines)

    def keep_capture(self, line: bytes) -> str:
        self.lines.append(line)
        return f"{UNIT.path}#{len(self.lines)}"

    def write_row(self, row: dict[str, Any]) -> None:
        self.rows.append(row)

    def commit(self, record: UnitRecord) -> None:
        """Nothing to do."""

    def abandon(self) -> None:
        """Nothing to do."""


def run_of(data: bytes) -> tuple[Memory, UnitRecord]:
    """Import one file of incidents."""
    writer = Memory()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "i"
        file.write_bytes(data)
        read, raw = read_file(file, "i")
    captures = RecordCaptures(SPEC, "records", redactor_for([SPEC], KEY))
    importer = Importer(SPEC, writer)
    captured = captures.file(read)
    head = FileHead.from_text(captured.text)
    importer.file(head, writer.keep_capture(captured.line))
    for row in raw:
        one = captures.row(head, row)
        importer.row(row.number, one.text, row.problem, writer.keep_capture(one.line))
    return writer, importer.finish()


HEADER = b"id,severity,kind,started\n"
LINES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                b"A,low,other,2026-01-01",
                b"B,low,other,x",
                b'"',
                b'C,"low',
                b"",
                b"\xff",
                b",,,",
                b"\0",
            ]
        ),
        st.binary(max_size=30),
        st.text(max_size=30).map(lambda text: text.encode(errors="replace")),
    ),
    max_size=8,
)


@given(LINES)
@example([b'A,"low\nother', b"B,low,other,2026-01-01"])
@example([b"A,low,other,2026-01-01\rB,low,other,2026-01-01"])
def test_every_byte_of_a_csv_file_is_in_a_row_or_the_file_is_not_whole(lines: list[bytes]) -> None:
    data = HEADER + b"\n".join(lines)
    writer, record = run_of(data)
    assert len(writer.rows) == record.resources
    held = sum(row["record"] is not None for row in writer.rows)
    rows = read_csv(data).rows
    assert held + len(record.gaps) >= len(rows)  # each row is good, or a gap tells why not
    kept = b"".join(row.body for row in rows)
    squeezed = data[len(HEADER) :].translate(None, b"\r\n\t ,;")
    assert kept.translate(None, b"\r\n\t ,;") == squeezed


@given(st.binary(max_size=200))
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
@example(b'[{"id": ' + b"9" * 5000 + b"}]")
@example(b'[{"id": "\\ud800", "severity": "low", "kind": "other", "started": "2026-01-01"}]')
@example(b'{"id": NaN}')
def test_no_file_raises(data: bytes) -> None:
    for content in (data, b"[" + data, b"{" + data, b"PK\x03\x04" + data):
        writer, record = run_of(content)
        assert writer.records >= 1
        assert record.resources == len(writer.rows)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=5))
def test_cells_come_back_from_the_text_that_they_are_written_as(texts: list[str]) -> None:
    header = tuple(f"h{number}" for number in range(len(texts)))
    for form in ("csv", "xlsx"):
        head = FileHead("f", form, delimiter=";", header=header)
        written = text_of(head, header, texts)
        if form == "csv" and not written:
            continue  # an empty line is no record
        assert list(cells_of(head, written).texts) == texts


# Values


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2026-01-05", "2026-01-05T00:00:00"),
        ("2026-01-05T10:30", "2026-01-05T10:30:00"),
        ("2026-01-05 10:30:15.1234567Z", "2026-01-05T10:30:15.123456"),
        ("2026-01-05T23:30:00-01:30", "2026-01-06T01:00:00"),
        ("2026-01-05T10:30:00 +0200", "2026-01-05T08:30:00"),
    ],
)
def test_times_are_utc(text: str, value: str) -> None:
    assert typed(ColumnSpec(type="timestamp", about="a"), text) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("timestamp", "05.01.2026"),
        ("timestamp", "20260105"),
        ("timestamp", "2026-01-05T24:00"),
        ("timestamp", "2026-01-05T10:30.5"),
        ("timestamp", "0001-01-01T00:00+05:00"),
        ("timestamp", "1767571200"),
        ("timestamp", "٢٠٢٦-٠١-٠٥"),
        ("number", "1,5"),
        ("number", "1 000"),
        ("number", "99.9%"),
        ("number", "nan"),
        ("integer", "1.0"),
        ("integer", "1e3"),
        ("boolean", "y"),
        ("text", "a\0b"),
    ],
)
def test_what_could_mean_something_else_is_refused(kind: Any, text: str) -> None:
    with pytest.raises(RowError):
        typed(ColumnSpec(type=kind, about="a"), text)


def test_numbers_of_any_size_are_typed_or_refused() -> None:
    number, integer = (ColumnSpec(type=kind, about="a") for kind in ("number", "integer"))
    assert [typed(number, text) for text in ("-1.50", "1e3", "0")] == [-1.5, 1000.0, 0.0]
    assert typed(integer, "+12") == 12
    text = json.dumps(
        {"id": "A", "service": "s", "period_start": "2026-01-01", "period_end": "2026-02-01"}
    )
    spec = load_record_types()["record_service_level"]
    writer = Memory()
    writer.key = UnitKey("records", "records", "global", spec.type)
    importer = Importer(spec, writer)
    importer.file(FileHead("f", "json lines"), "u#1")
    for number_of, more in enumerate(
        ('"objective": 99.9, "achieved": 1e999', '"objective": 1, "achieved": 2, "requests": 9e18')
    ):
        line = text.replace('"A"', f'"A{number_of}"')[:-1] + f", {more}}}"
        importer.row(number_of, line, "", f"u#{number_of + 2}")
    importer.row(9, text[:-1] + ', "objective": 99.90, "achieved": 100, "requests": 7}', "", "u#9")
    assert [row["record"] is None for row in writer.rows] == [True, True, False]
    assert writer.rows[2]["record"]["objective"] == 99.9


def test_a_columns_own_name_goes_before_its_aliases() -> None:
    assert columns_in(SPEC, ["Issue Key", "number", " ID "])["id"] == 2
    assert columns_in(SPEC, ["issue-key", "NUMBER"])["id"] == 1
