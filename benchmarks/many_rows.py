"""Shows that memory does not grow with the rows of one table while it is made.

usage: python benchmarks/many_rows.py [--rows 200000] [--smoke]

Makes the table of a tenth of the rows, then of all of them, each in a process of its own whose peak
memory is taken. Rows are those of Azure's virtual machines, 3 kB each, and come in no order. The
floor is DuckDB sorting the same rows itself, with all of them in memory.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb
import orjson

from collectors.azure.catalogue import load_resource_types
from evidence.schema import Facet, Field, TableSchema
from evidence.tables import write_table

_TYPE = "azure_virtual_machine"
_ACCOUNTS = 40


def machine(number: int, schema: TableSchema, chooser: random.Random) -> dict[str, object]:
    """Return a row whose texts are as long as those of a real machine, and as different."""
    account = f"{number % _ACCOUNTS:08x}-0000-4000-8000-000000000000"
    name = f"vm-{chooser.getrandbits(64):016x}"
    place = f"/subscriptions/{account}/resourcegroups/rg-{number % 300}/providers"
    captures = [
        f"azure/t/global/{_TYPE}.resource_graph#{number // 1000}",
        f"azure/{account}#{number}",
    ]
    return {
        "provider": "azure",
        "account": account,
        "region": chooser.choice(("norwayeast", "westeurope")),
        "id": f"{place}/microsoft.compute/virtualmachines/{name}",
        "name": name,
        "tags": {"Owner": f"team-{number % 50}", "CostCentre": str(chooser.randrange(10_000))},
        **{facet.name: _facet(facet, f"{place}/{name}", chooser) for facet in schema.facets},
        "errors": {},
        "captures": dict.fromkeys(schema.facet_names, captures),
    }


def _facet(facet: Facet, path: str, chooser: random.Random) -> dict[str, object]:
    return {field.name: _value(field, path, chooser) for field in facet.fields}


def _value(field: Field, path: str, chooser: random.Random) -> object:
    def text() -> str:
        return f"{path}/{field.name}-{chooser.getrandbits(64):016x}"

    if field.fields:
        return [{inner.name: text() for inner in field.fields} for _ in range(chooser.randrange(4))]
    values: dict[str, object] = {
        "text": text(),
        "boolean": chooser.random() < 0.5,
        "list": [text()],
    }
    return values.get(field.type)


def write_rows(file: Path, count: int) -> None:
    """Write the rows as the collectors do."""
    schema, chooser = load_resource_types()[_TYPE].table_schema(), random.Random(count)
    with file.open("wb") as out:
        for number in range(count):
            out.write(orjson.dumps(machine(number, schema, chooser)) + b"\n")


def nothing(_: TableSchema, __: Path, ___: Path) -> int:
    """Do nothing: what the imports alone take."""
    return 0


def floor(schema: TableSchema, rows: Path, target: Path) -> int:
    """Let DuckDB read, sort and write the rows in one go."""
    columns = ", ".join(f"'{name}': '{kind}'" for name, kind in schema.columns().items())
    with duckdb.connect() as database:
        database.execute("SET threads=2")
        database.execute(
            f"COPY (SELECT * FROM read_json('{rows}', format='newline_delimited',"
            f" columns={{{columns}}}) ORDER BY provider, account, region, id) TO '{target}'"
            " (FORMAT parquet, COMPRESSION zstd)"
        )
    return 0


def make(schema: TableSchema, rows: Path, target: Path) -> int:
    """Make the table as sealing does."""
    return write_table(schema, [rows], target)


STEPS = {"nothing": nothing, "floor": floor, "make": make}


def measured(step: str, rows: Path) -> None:
    """Do one step and print its peak memory, seconds and seconds of processors."""
    schema = load_resource_types()[_TYPE].table_schema()
    began, worked = time.perf_counter(), time.process_time()
    STEPS[step](schema, rows, rows.with_suffix(f".{step}.parquet"))
    said = {
        "seconds": time.perf_counter() - began,
        "cpu": time.process_time() - worked,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(said))


def in_a_process(step: str, rows: Path) -> dict[str, float]:
    """Return what `measured` says of a step in a process of its own."""
    command = [sys.executable, __file__, "--step", step, "--file", str(rows)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    said: dict[str, float] = json.loads(done.stdout)
    return said


def compare(counts: list[int]) -> None:
    """Measure each count and print what grew."""
    peaks = []
    with tempfile.TemporaryDirectory() as temporary:
        for count in counts:
            rows = Path(temporary) / f"{count}.jsonl"
            write_rows(rows, count)
            size = rows.stat().st_size / 1e6
            imports = in_a_process("nothing", rows)["peak_mb"]
            least, made = in_a_process("floor", rows), in_a_process("make", rows)
            peaks.append(made["peak_mb"])
            print(
                f"{count:7} rows, {size:4.0f} MB; imports alone {imports:.0f} MB\n"
                f"  floor:     {least['seconds']:5.2f} s, {least['cpu']:5.2f} s of processors,"
                f" peak {least['peak_mb']:4.0f} MB\n"
                f"  the table: {made['seconds']:5.2f} s, {made['cpu']:5.2f} s of processors,"
                f" peak {made['peak_mb']:4.0f} MB; ratio {made['cpu'] / least['cpu']:.2f}"
            )
            rows.unlink()
    times = counts[1] / counts[0]
    print(f"making the table: {peaks[1] - peaks[0]:+.1f} MB for {times:.0f} times the rows")


def main() -> None:
    """Measure and print; with --step, be the process that is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--smoke", action="store_true", help="a small run, to see that it works")
    parser.add_argument("--step", choices=list(STEPS), help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        measured(arguments.step, arguments.file)
        return
    count = 2_000 if arguments.smoke else arguments.rows
    compare([count // 10, count])


if __name__ == "__main__":
    main()
