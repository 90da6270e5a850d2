"""How long judging takes against merely reading the table and writing a row a finding.

usage: python benchmarks/judge.py [--resources 200000] [--smoke]
"""

from __future__ import annotations

import argparse
import datetime
import resource
import tempfile
import time
from pathlib import Path

import duckdb

from collectors.aws.catalogue import load_resource_types
from controls.catalogue import load_catalogue
from controls.evaluate import evaluate
from evidence.keys import make_signing_key
from evidence.outcome import Outcome
from evidence.sealing import Sealer
from evidence.snapshot import Snapshot, SnapshotRun
from evidence.store import Store
from evidence.units import UnitKey, UnitRecord, UnitWriter


def volume(number: int) -> dict[str, object]:
    """One synthetic row of aws_ebs_volume; a third of the volumes is not encrypted."""
    return {
        "provider": "aws",
        "account": f"{number % 50:012d}",
        "region": "us-east-1",
        "id": f"arn:aws:ec2:us-east-1:{number % 50:012d}:volume/vol-{number:012x}",
        "name": f"vol-{number:012x}",
        "tags": {"Owner": f"team-{number % 20}"},
        "errors": {},
        "captures": {},
    }


def snapshot_of(folder: Path, count: int) -> Snapshot:
    """Seal a snapshot of `count` volumes whose facets all hold their absent values."""
    schema = load_resource_types()["aws_ebs_volume"].table_schema()
    facets = {
        facet.name: {field.name: field.absent for field in facet.fields} for facet in schema.facets
    }
    store = Store.open(folder, create=True)
    intent = {"started": "2026-01-01T00:00:00Z", "organisation": "benchmark", "scope": {}}
    run = SnapshotRun.start(store, "20260101T000000Z-bench0", intent)
    key = UnitKey("aws", "000000000000", "us-east-1", "aws_ebs_volume")
    writer = UnitWriter(run.folder, key)
    for number in range(count):
        writer.write_row({**volume(number), **facets})
    writer.commit(UnitRecord(key, Outcome.OK, "", count, 0, 0))
    now = datetime.datetime.now(datetime.UTC)
    sealer = Sealer(make_signing_key("benchmark", now), lambda: now)
    run.seal([schema], "2026-01-01T00:00:01Z", sealer)
    return Snapshot.open(store)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resources", type=int, default=200_000)
    parser.add_argument("--smoke", action="store_true", help="a small run, to see that it works")
    arguments = parser.parse_args()
    count = 2_000 if arguments.smoke else arguments.resources
    with tempfile.TemporaryDirectory() as temporary:
        began = time.perf_counter()
        snapshot = snapshot_of(Path(temporary) / "store", count)
        sealing = time.perf_counter() - began
        table = snapshot.table("aws_ebs_volume")
        checks = [
            check
            for check in load_catalogue().checks.values()
            if check.resource == "aws_ebs_volume"
        ]
        began = time.perf_counter()
        for check in checks:
            duckdb.sql(
                f"COPY (SELECT '{check.id}' AS check_id, account, region, id, name, tags, captures"
                f" FROM '{table}' ORDER BY account, id) TO '{temporary}/floor.parquet'"
            )
        floor = time.perf_counter() - began
        began = time.perf_counter()
        target = Path(temporary) / "out"
        found = evaluate(snapshot, load_catalogue(), snapshot.schemas, target, memory_limit="1GB")
        judging = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{count} resources, {len(checks)} checks, {found.count} findings")
    print(f"making and sealing the table {sealing:.2f} s")
    print(f"floor: reading and writing as many rows {floor:.2f} s; judging {judging:.2f} s")
    print(f"ratio {judging / floor:.1f}, peak memory {peak:.0f} MB")


if __name__ == "__main__":
    main()
