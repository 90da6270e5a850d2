"""Sealing many rows: they are sorted and made a table without being in memory at once."""

from __future__ import annotations

import datetime
import random
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pytest

from evidence import tables_order
from evidence.errors import StoreError
from evidence.keys import make_signing_key
from evidence.outcome import Outcome
from evidence.schema import Facet, Field, TableSchema
from evidence.sealing import Sealer
from evidence.snapshot import Snapshot, SnapshotRun
from evidence.store import Store
from evidence.tables import write_table
from evidence.tables_order import sort_rows
from evidence.units import UnitKey, UnitRecord, UnitWriter

THING = TableSchema(
    "aws_thing",
    "aws",
    "region",
    (
        Facet("disks", (Field("ids", "list", of="text", absent=[]),), ("get",)),
        Facet("setting", (Field("words", "text"), Field("days", "integer")), ("get",)),
    ),
)


def row(number: int | str, **other: Any) -> dict[str, Any]:
    return {
        "provider": "aws",
        "account": "111111111111",
        "region": "us-east-1",
        "id": f"thing-{number}",
        "name": f"thing {number}",
        "tags": {"Owner": "data"},
        "errors": {},
        "captures": {name: [f"aws/1/us-east-1/aws_thing#{number}"] for name in THING.facet_names},
        "disks": {"ids": [f"disk-{number}-{disk}" for disk in range(40)]},
        "setting": {"words": f"{number} words " * 60, "days": 5},
        **other,
    }


def written(file: Path, rows: Iterable[dict[str, Any]]) -> Path:
    file.write_bytes(b"".join(orjson.dumps(value) + b"\n" for value in rows))
    return file


def seal_rows(folder: Path, count: int) -> None:
    """Seal a snapshot with one table, whose rows come in an order that is not the table's."""
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    store = Store.open(folder, create=True)
    run = SnapshotRun.start(store, "20260101T000000Z-000001", {"started": now.isoformat()})
    key = UnitKey("aws", "111111111111", "us-east-1", "aws_thing")
    writer = UnitWriter(run.folder, key)
    for number in range(count):
        writer.write_row(row(f"{number * 7919 % count:06}"))
    writer.commit(UnitRecord(key, Outcome.OK, "", count, 0, 0))
    run.seal([THING], "2026-01-01T00:00:00Z", Sealer(make_signing_key("A", now), lambda: now))
    assert Snapshot.open(store).predicate["tables"] == {"aws_thing": count}


MEASURED = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_sealing_memory import seal_rows

seal_rows(Path({folder!r}), {count})
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows_of_a_table(tmp_path: Path) -> None:
    """60,000 rows more take 20 to 35 MB more; sorted by DuckDB they would take 370 MB."""

    def kilobytes(count: int) -> int:
        tests, folder = str(Path(__file__).parent), str(tmp_path / str(count))
        code = MEASURED.format(tests=tests, folder=folder, count=count)
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return int(done.stdout)

    small, large = kilobytes(20_000), kilobytes(80_000)
    assert large < small + 100_000, (small, large)


def test_how_much_is_sorted_in_memory_does_not_change_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [row(number, account=str(number % 3)) for number in range(500)]
    random.Random(1).shuffle(rows)
    files = [written(tmp_path / f"{start}.jsonl", rows[start::2]) for start in range(2)]
    contents = set()
    for keys in (32_768, 500, 250, 7):
        monkeypatch.setattr(tables_order, "KEYS_IN_MEMORY", keys)
        assert write_table(THING, files, tmp_path / "tables/t.parquet") == 500
        contents.add((tmp_path / "tables/t.parquet").read_bytes())
    assert len(contents) == 1
    assert [file.name for file in (tmp_path / "tables").iterdir()] == ["t.parquet"]
    with duckdb.connect() as database:
        table = str(tmp_path / "tables/t.parquet")
        found = database.execute("SELECT account, id, disks.ids[1] FROM read_parquet(?)", [table])
        expected = sorted((r["account"], r["id"], r["disks"]["ids"][0]) for r in rows)
        assert found.fetchall() == expected


def test_rows_of_one_key_are_in_the_same_order_whatever_file_they_came_from(tmp_path: Path) -> None:
    one, other = row(1, name="one"), row(1, name="other")
    contents = set()
    for number, rows in enumerate(([one, other], [other, one])):
        files = [written(tmp_path / f"{number}-{n}.jsonl", [r]) for n, r in enumerate(rows)]
        write_table(THING, files, tmp_path / "t.parquet")
        contents.add((tmp_path / "t.parquet").read_bytes())
    assert len(contents) == 1


def test_rows_are_sorted_by_each_column_in_turn_as_their_utf_8_is(tmp_path: Path) -> None:
    regions = ["eu", "eu-north", "eu north", "", "\n", "é", "\U0001f600", "\uffff", "z", '"', "\\"]
    rows = [row(number, region=region) for region in regions for number in ("1", "1\n", "é", "")]
    random.Random(2).shuffle(rows)
    found = sort_rows([written(tmp_path / "rows.jsonl", rows)], tmp_path / "sorted.jsonl")
    lines = (tmp_path / "sorted.jsonl").read_bytes().splitlines(keepends=True)
    keys = [(r["region"].encode(), r["id"].encode()) for r in map(orjson.loads, lines)]
    assert keys == sorted(keys)
    assert (found.rows, found.size) == (44, (tmp_path / "rows.jsonl").stat().st_size)
    assert found.longest == max(map(len, lines))


def test_rows_lie_in_more_files_than_may_be_open(tmp_path: Path) -> None:
    files = [
        written(tmp_path / f"{start}.jsonl", (row(f"{n:04}") for n in range(start, 400, 100)))
        for start in range(100)
    ]
    files[-1].write_bytes(files[-1].read_bytes().removesuffix(b"\n"))
    program = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\n"
        "import sys, pathlib, evidence.tables_order as order\n"
        "*files, target = map(pathlib.Path, sys.argv[1:])\n"
        "order.sort_rows(files, target)"
    )
    command = [sys.executable, "-c", program, *map(str, files), str(tmp_path / "sorted.jsonl")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    ids = [orjson.loads(line)["id"] for line in (tmp_path / "sorted.jsonl").open("rb")]
    assert ids == [f"thing-{number:04}" for number in range(400)]


def test_a_row_longer_than_any_buffer_is_read(tmp_path: Path) -> None:
    long = "long " * 4_000_000
    files = [written(tmp_path / "rows.jsonl", [row(1), row(2, name=long), row(3)])]
    assert write_table(THING, files, tmp_path / "t.parquet") == 3
    with duckdb.connect() as database:
        table = str(tmp_path / "t.parquet")
        found = database.execute("SELECT id, length(name) FROM read_parquet(?)", [table]).fetchall()
    assert found == [("thing-1", 7), ("thing-2", len(long)), ("thing-3", 7)]


@pytest.mark.parametrize("line", [b"[]\n", b'{"id": "a"}\n', b"\n", b'{"provider": "aws", \n'])
def test_a_row_without_a_key_stops_the_table(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "rows.jsonl").write_bytes(orjson.dumps(row(1)) + b"\n" + line)
    with pytest.raises(StoreError, match="aws_thing could not be written") as caught:
        write_table(THING, [tmp_path / "rows.jsonl"], tmp_path / "t.parquet")
    assert "t.parquet" in caught.value.where
    assert [file.name for file in tmp_path.iterdir()] == ["rows.jsonl"]
