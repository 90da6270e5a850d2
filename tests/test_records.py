"""Records: exports of a company's own systems become rows, captures and gaps like any other."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from support_records import (
    INCIDENTS,
    at,
    captures,
    collected,
    context_in,
    details,
    imported,
    rows,
    workbook,
)

from collectors.rebuilding import rebuild
from evidence.canonical import sha256_hex
from evidence.files import sha256_of_file
from evidence.outcome import Outcome
from evidence.snapshot import Snapshot
from evidence.verify import verify_store

HEADER = "id,severity,kind,started,postmortem\n"
GOOD = "INC-1,high,security,2026-01-01,yes"
UNIT = "records/records/global/record_incident"


# What is good


def test_a_row_is_typed_and_cites_its_line(tmp_path: Path) -> None:
    snapshot = imported(tmp_path, "incidents.csv", "\ufeff" + INCIDENTS)
    first, second = rows(snapshot, "provider, account, region, id, name, record, captures")
    assert first[:5] == ("records", "records", "global", "INC-1", "Down")
    assert first[5] == {
        "id": "INC-1",
        "title": "Down",
        "service": "login",
        "severity": "critical",
        "kind": "availability",
        "started": at("2026-01-05T10:00:00"),
        "detected": at("2026-01-05T10:04:00"),
        "resolved": at("2026-01-05T12:00:00"),
        "postmortem": True,
        "lessons": None,
    }
    assert first[6] == {"record": [f"{UNIT}#2", f"{UNIT}#1"]}
    assert second[5]["title"] == 'Slow, and "odd"\nfor hours'
    assert (second[5]["started"], second[5]["resolved"]) == (at("2026-02-01"), None)
    assert not snapshot.gaps


def test_captures_are_the_file_and_its_lines_as_they_were(tmp_path: Path) -> None:
    data = ("\ufeff" + INCIDENTS).replace("\n", "\r\n").encode()
    head, first, second = captures(imported(tmp_path, "incidents.csv", data))
    about = json.loads(head["body"])
    assert (about["name"], about["length"]) == ("incidents.csv", len(data))
    assert about["sha256"] == sha256_hex(data)
    assert about["header"][:2] == ["ID", "Title"]
    assert (first["operation"], json.loads(first["parameters"])) == (
        "import",
        {"file": "incidents.csv", "row": 2},
    )
    assert json.loads(second["parameters"])["row"] == 3
    for capture in (first, second):
        assert capture["body"].encode() in data
        assert capture["received_sha256"] == sha256_hex(capture["body"].encode())
    assert str(tmp_path) not in json.dumps([head, first, second])


def test_the_four_formats_say_the_same(tmp_path: Path) -> None:
    values = ["INC-1", "high", "security", "2026-01-01T08:30:00", True]
    names = HEADER.strip().split(",")
    item = dict(zip(names, values, strict=True))
    (tmp_path / "a.csv").write_text(HEADER + ",".join(map(str, values)) + "\n")
    (tmp_path / "b.json").write_text(json.dumps([item], indent=1))
    (tmp_path / "c.jsonl").write_text(json.dumps(item) + "\n\n")
    workbook(tmp_path / "d.xlsx", [names, [*values[:3], at(str(values[3])), True]])
    files = [
        {"type": "record_incident", "file": file.name, "source": file.stem}
        for file in sorted(tmp_path.glob("?.*"))
    ]
    snapshot = collected(tmp_path, *files)[1]
    found = rows(snapshot, "account, record")
    assert [account for account, _ in found] == ["a", "b", "c", "d"]
    assert all(record == found[0][1] for _, record in found)
    assert found[0][1]["started"] == at("2026-01-01T08:30:00")
    assert not snapshot.gaps


def test_files_of_one_source_are_one_population(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    (tmp_path / "one/i.csv").write_text(HEADER + GOOD)
    (tmp_path / "two/i.csv").write_text(HEADER + GOOD + "\n" + GOOD.replace("-1", "-2"))
    files = [{"type": "record_incident", "file": f"{one}/i.csv"} for one in ("one", "two")]
    snapshot = collected(tmp_path, *files)[1]
    assert rows(snapshot, "id") == [("INC-1",), ("INC-2",)]
    assert details(snapshot) == ["i.csv line 2: the id 'INC-1' is there already, on i.csv line 2"]


# What is bad costs its row


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("INC-9,high,security,31/12/2026,yes", "column started: '31/12/2026' is no time"),
        ("INC-9,high,security,2026-02-30,yes", "column started: '2026-02-30' is no time"),
        ("INC-9,awful,security,2026-01-01,yes", "column severity: 'awful' is none of critical"),
        ("INC-9,,security,2026-01-01,yes", "column severity: is required and empty"),
        ("INC-9,high,security,2026-01-01,maybe", "column postmortem: 'maybe' is no boolean"),
    ],
)
def test_a_bad_value_costs_the_row_its_facet(tmp_path: Path, row: str, why: str) -> None:
    text = f"{HEADER}{row}\n{GOOD}\n"
    snapshot = imported(tmp_path, "i.csv", text)
    good, bad = rows(snapshot, "id, record, errors")
    assert good[1] is not None
    assert (bad[0], bad[1]) == ("INC-9", None)
    assert bad[2]["record"].startswith(f"bad_type: i.csv line 2, {why}")
    (gap,) = snapshot.gaps
    assert gap.detail == bad[2]["record"]
    assert (gap.resource_id, gap.facet, gap.reason) == ("INC-9", "record", "error")
    assert gap.captures == (f"{UNIT}#2", f"{UNIT}#1")


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (" ,high,security,2026-01-01,yes", "i.csv line 2, column id: is required and empty"),
        ("INC-9,high,security,2026-01-01", "i.csv line 2: 4 cells below 5 headers"),
        ("INC-9,high,security,2026-01-01,yes,odd", "i.csv line 2: 6 cells below 5 headers"),
        ('INC-9,"high"est,security,2026-01-01,yes', "i.csv line 2: not CSV: ',' expected"),
    ],
)
def test_a_row_of_nobody_knows_what_is_a_gap_alone(tmp_path: Path, row: str, why: str) -> None:
    snapshot = imported(tmp_path, "i.csv", f"{HEADER}{row}\n{GOOD}\n")
    assert rows(snapshot, "id") == [("INC-1",)]
    assert snapshot.units[0].listed is Outcome.OK
    (detail,) = details(snapshot)
    assert detail.startswith(why)


def test_a_second_row_of_an_id_is_refused(tmp_path: Path) -> None:
    twice = GOOD.replace("high", "low")
    snapshot = imported(tmp_path, "i.csv", f"{HEADER}{GOOD}\n{twice}\n")
    assert rows(snapshot, "record.severity") == [("high",)]
    assert snapshot.gaps[0].resource_id == "INC-1"
    assert details(snapshot) == ["i.csv line 3: the id 'INC-1' is there already, on i.csv line 2"]


def test_a_line_that_is_not_utf8_is_kept_as_it_was(tmp_path: Path) -> None:
    odd = "INC-9,höch,security,2026-01-01,yes".encode("latin-1")
    snapshot = imported(tmp_path, "i.csv", HEADER.encode() + odd + b"\n" + GOOD.encode())
    assert rows(snapshot, "id") == [("INC-1",)]
    assert "i.csv line 2: the line is not UTF-8" in details(snapshot)[0]
    capture = captures(snapshot)[1]
    assert capture["received_sha256"] == sha256_hex(odd)
    assert capture["body_is"] == "as received, base64"


def test_a_bad_object_costs_its_line(tmp_path: Path) -> None:
    lines = [
        '{"id": "A", "severity": "low", "kind": "other", "started": "2026-01-01"}',
        '{"id": "B", "severity": "low", "kind": "other", "started": ',
        '{"id": "C", "id": "D", "severity": "low", "kind": "other", "started": "2026-01-01"}',
        '{"id": "E", "severity": ["low"], "kind": "other", "started": "2026-01-01"}',
        '["F"]',
        '{"id": 7, "severity": "low", "kind": "other", "started": "2026-01-01", "x": {"y": 1}}',
    ]
    snapshot = imported(tmp_path, "i.jsonl", "\n".join(lines))
    assert rows(snapshot, "id, record IS NULL") == [("7", False), ("A", False), ("E", True)]
    assert [detail.split(":")[0] for detail in details(snapshot)] == [
        "i.jsonl line 2",
        "i.jsonl line 3",
        "bad_type",
        "i.jsonl line 5",
    ]


# What is wrong with a file as a whole


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("i.csv", "", "the file is empty"),
        ("i.csv", "id,kind,started\nA,other,2026-01-01\n", "no header stands for severity"),
        ("i.csv", "id,ID,severity,kind,started\n", "the header 'id' is there twice"),
        ("i.csv", HEADER.encode("utf-16"), "the file is UTF-16"),
        ("i.json", '{\n"incidents": []\n}', "one JSON object over several lines"),
        ("i.xlsx", b"PK\x03\x04 and no more", "not a workbook that can be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_no_empty_one(
    tmp_path: Path, name: str, content: bytes | str, why: str
) -> None:
    snapshot = imported(tmp_path, name, content)
    (unit,) = snapshot.units
    assert (unit.listed, unit.resources) == (Outcome.ERROR, 0)
    assert why in unit.detail
    assert unit.detail.startswith(name)
    assert snapshot.gaps[0].captures == (f"{UNIT}#1",)


def test_a_file_that_is_not_there_is_a_gap_and_the_others_are_read(tmp_path: Path) -> None:
    (tmp_path / "i.csv").write_text(HEADER + GOOD)
    _, snapshot, summary = collected(
        tmp_path,
        {"type": "record_incident", "file": "i.csv"},
        {"type": "record_training", "file": "gone.csv", "source": "lms"},
    )
    assert summary.resources == 1
    assert summary.accounts == ["lms", "records"]
    assert summary.gaps == {"error": 1}
    assert details(snapshot) == ["gone.csv: No such file or directory"]


def test_what_follows_a_quotation_mark_that_never_closes_is_unknown(tmp_path: Path) -> None:
    text = f'{HEADER}{GOOD}\nINC-2,"high,security,2026-01-01,yes\nINC-3,low,other,2026-01-01,no\n'
    snapshot = imported(tmp_path, "i.csv", text)
    assert rows(snapshot, "id") == [("INC-1",)]
    assert snapshot.units[0].listed is Outcome.ERROR
    assert "i.csv: line 3: a quotation mark is opened" in snapshot.units[0].detail


def test_a_list_is_read_up_to_where_it_breaks(tmp_path: Path) -> None:
    item = '{"id": "A", "severity": "low", "kind": "other", "started": "2026-01-01"}'
    snapshot = imported(tmp_path, "i.json", f"[{item},\n{{broken}}, {item}]")
    assert rows(snapshot, "id") == [("A",)]
    assert "item 2 (line 2): not JSON" in snapshot.units[0].detail
    assert snapshot.units[0].listed is Outcome.ERROR


# Workbooks


def test_a_workbook_is_read_cell_by_cell(tmp_path: Path) -> None:
    header = ["Number", "Priority", "Category", "Opened at", "Resolved", "Lessons"]
    table = [
        [],
        header,
        [17, "High", "security", at("2026-01-05T10:30:00"), None, "none yet"],
        [18.0, "low", "other", "2026-01-06", "#N/A", None],
        ["=A3+2", "low", "other", at("2026-01-07T00:00:00").date(), None, None],
        ["INC-4", "low", "other", "=NOW()", None, None],
    ]
    workbook(tmp_path / "t.xlsx", table)
    snapshot = collected(tmp_path, {"type": "record_incident", "file": "t.xlsx"})[1]
    found = rows(snapshot, "id, record.started, record IS NULL")
    assert found == [
        ("17", at("2026-01-05T10:30:00"), False),
        ("18", None, True),
        ("INC-4", None, True),
    ]
    assert [detail.removeprefix("bad_type: ") for detail in details(snapshot)] == [
        "t.xlsx sheet Tickets row 4, column Resolved: is #N/A: an error of the spreadsheet",
        "t.xlsx sheet Tickets row 5, column Number: is a formula that was never calculated: open"
        " and save the file",
        "t.xlsx sheet Tickets row 6, column Opened at: is a formula that was never calculated: open"
        " and save the file",
    ]
    head, first, *_ = captures(snapshot)
    assert json.loads(head["body"])["sha256"] == sha256_of_file(tmp_path / "t.xlsx")
    assert json.loads(first["parameters"]) == {"file": "t.xlsx", "sheet": "Tickets", "row": 3}
    assert json.loads(first["body"])[:4] == ["17", "High", "security", "2026-01-05T10:30:00"]


def test_a_sheet_that_tells_a_wrong_size_is_read_to_its_end(tmp_path: Path) -> None:
    table = [HEADER.strip().split(","), *([f"I{n}", "low", "other", "2026-01-01"] for n in "123")]
    workbook(tmp_path / "true.xlsx", table)
    target = tmp_path / "t.xlsx"
    with zipfile.ZipFile(tmp_path / "true.xlsx") as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, data.replace(b'ref="A1:E4"', b'ref="A1:B2"'))
        assert b'ref="A1:E4"' in old.read("xl/worksheets/sheet2.xml")
    snapshot = collected(tmp_path, {"type": "record_incident", "file": "t.xlsx"})[1]
    assert rows(snapshot, "id, record.kind") == [(f"I{n}", "other") for n in "123"]


def test_a_sheet_may_be_named(tmp_path: Path) -> None:
    workbook(tmp_path / "t.xlsx", [HEADER.strip().split(",")], "Old")
    item = {"type": "record_incident", "file": "t.xlsx", "sheet": "New"}
    assert (
        "there is no sheet 'New'; there are Sheet, Old" in details(collected(tmp_path, item)[1])[0]
    )


# Evidence


def mixed(folder: Path) -> Snapshot:
    """A snapshot of every format, with bad rows, secrets, and a file that is not there."""
    (folder / "a.csv").write_text(
        f"{HEADER.strip()},password\n{GOOD},hunter2-and-more\n{GOOD},\nINC-2,odd,x,y,z,\nINC-3\n"
        "INC-4,low,other,2026-01-01,no,\n"
    )
    (folder / "b.jsonl").write_bytes(
        b'{"id": "J-1", "severity": "low", "kind": "other", "started": "2026-01-01",'
        b' "lessons": "do not write password: hunter2-and-more", "n": 1.10}\n{broken\n\xff\n'
    )
    (folder / "c.json").write_text(
        '[{"id": "K-1"}, 7, {"id": "K-2", "api_key": "s3cr3t-9f8e7d6c"} x'
    )
    workbook(
        folder / "d.xlsx",
        [
            [*HEADER.strip().split(","), "Password"],
            ["X-1", "low", "other", at("2026-01-01T10:00:00"), "yes", "hunter2-and-more"],
            ["X-2", "low", "other", "=NOW()", None, None],
        ],
    )
    files = [
        {"type": "record_incident", "file": name, "source": source}
        for name, source in (
            ("a.csv", "one"),
            ("gone.csv", "one"),
            ("d.xlsx", "one"),
            ("b.jsonl", "two"),
            ("c.json", "three"),
        )
    ]
    return collected(folder, *files)[1]


def test_secrets_are_taken_out_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").write_text(
        '{"id": "J-1", "severity": "low", "kind": "other", "started": "2026-01-01",'
        ' "lessons": "do not write password: hunter2-and-more"}\n'
    )
    (tmp_path / "a.csv").write_text(f"{HEADER.strip()},password\n{GOOD},hunter2-and-more\n")
    files = [{"type": "record_incident", "file": name} for name in ("a.csv", "b.jsonl")]
    _, snapshot, summary = collected(tmp_path, *files)
    kept = json.dumps(captures(snapshot))
    assert "hunter2" not in kept
    assert "hunter2" not in str(rows(snapshot, "*"))
    assert summary.redactions == 2
    _, row, _, line = captures(snapshot)
    assert row["body"].startswith(f"{GOOD},[redacted ")
    assert row["redactions"][0]["path"] == "password"
    assert [row["body_is"], line["body_is"]] == ["redacted", "redacted"]
    assert rows(snapshot, "id, record IS NULL") == [("INC-1", False), ("J-1", False)]


def test_the_tables_follow_from_the_captures_alone(tmp_path: Path) -> None:
    snapshot = mixed(tmp_path)
    assert [unit.key.account for unit in snapshot.units] == ["one", "three", "two"]
    assert len(snapshot.gaps) >= 8
    for file in tmp_path.glob("?.*"):
        file.unlink()
    store = context_in(tmp_path).store()
    rebuilt = rebuild(snapshot, store.manifest("snapshot", snapshot.id), tmp_path / "work")
    assert (rebuilt.units, rebuilt.ok) == ([], True)
    assert {table.resource_type: table.result for table in rebuilt.tables} == {
        "record_incident": "identical"
    }
    assert verify_store(store).ok


def test_the_same_files_give_the_same_rows_anywhere(tmp_path: Path) -> None:
    digests = set()
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        file = tmp_path / name / "incidents.csv"
        file.write_text(INCIDENTS)
        snapshot = collected(tmp_path / name, {"type": "record_incident", "file": "incidents.csv"})[
            1
        ]
        bodies = [capture["received_sha256"] for capture in captures(snapshot)]
        digests.add((sha256_of_file(snapshot.table("record_incident")), *bodies))
    assert len(digests) == 1
