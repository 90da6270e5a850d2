"""Shows that memory does not grow with the number of captures in one snapshot.

usage: python benchmarks/many_captures.py [--captures 100000] [--smoke]

Collects, seals and verifies a tenth of the captures, then all of them, each step in a process of
its own whose peak memory is taken. Captures have 100 bytes to 100 kB, 3 kB on average; half of
them are in one unit, the others in twenty; the first hundred of a unit make a row (many rows are
`many_rows.py`'s part). The floor is a process that imports the same and does nothing.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from seal import NOW, Exchange, line_of

from evidence.keys import make_signing_key
from evidence.outcome import Outcome
from evidence.schema import Facet, Field, TableSchema
from evidence.sealing import Sealer
from evidence.snapshot import SnapshotRun
from evidence.store import Store
from evidence.units import UnitKey, UnitRecord, UnitWriter
from evidence.verify import verify_store

_SMALL_UNITS = 20
_ROWS = 100
_FILLER = random.Random(1).randbytes(1 << 20).hex().encode()
THINGS = TableSchema(
    "things", "aws", "region", (Facet("size", (Field("bytes", "integer", absent=0),), ("get",)),)
)


def body(number: int, chooser: random.Random) -> bytes:
    """Return a body of 100 bytes to 100 kB: many small ones, few large ones."""
    length = min(100_000, int(100 * math.exp(chooser.expovariate(0.72))))
    start = chooser.randrange(len(_FILLER) - length)
    return b'{"Number":%d,"Data":"%s"}' % (number, _FILLER[start : start + length])


def collect_and_seal(root: Path, count: int) -> dict[str, int]:
    """Write `count` captures in one snapshot; half of them in one unit."""
    store = Store.open(root, create=True)
    run = SnapshotRun.start(store, "20260101T000000Z-000001", {"started": NOW.isoformat()})
    chooser = random.Random(count)
    half = count // 2
    sizes = [half] + [(count - half) // _SMALL_UNITS] * _SMALL_UNITS
    for unit, size in enumerate(sizes):
        key = UnitKey("aws", f"{unit:012}", "us-east-1", "things")
        writer = UnitWriter(run.folder, key)
        for number in range(size):
            data = body(number, chooser)
            reference = writer.keep_capture(line_of(_exchange(data)))
            if number < _ROWS:
                writer.write_row(_row(key, number, len(data), reference))
        writer.commit(UnitRecord(key, Outcome.OK, "", size, size, 0))
    run.seal([THINGS], "2026-01-01T00:00:00Z", Sealer(make_signing_key("B", NOW), lambda: NOW))
    return {"records": sum(sizes)}


def verify(root: Path, _: int) -> dict[str, int]:
    """Verify the store."""
    report = verify_store(Store.open(root))
    if not report.ok:
        raise SystemExit(f"it does not verify: {report.faults}")
    return {"records": report.records, "bytes": report.evidence_bytes}


def nothing(_: Path, __: int) -> dict[str, int]:
    """Do nothing: what the imports alone take."""
    return {}


STEPS = {"nothing": nothing, "seal": collect_and_seal, "verify": verify}


def _exchange(data: bytes) -> Exchange:
    return Exchange("get", {}, "us-east-1", "https://example.invalid/", 1, "", 200, "", "", data)


def _row(key: UnitKey, number: int, size: int, reference: str) -> dict[str, object]:
    return {
        "provider": "aws",
        "account": key.account,
        "region": "us-east-1",
        "id": f"{key.account}/{number}",
        "name": str(number),
        "tags": {},
        "errors": {},
        "captures": {"size": [reference]},
        "size": {"bytes": size},
    }


def step(name: str, root: Path, count: int) -> dict[str, float]:
    """Run one step in a process of its own; return what it said, with peak memory and seconds."""
    began = time.perf_counter()
    command = [sys.executable, __file__, "--step", name, "--root", str(root)]
    done = subprocess.run(
        [*command, "--captures", str(count)], check=True, capture_output=True, text=True
    )
    said: dict[str, float] = json.loads(done.stdout)
    return {**said, "seconds": time.perf_counter() - began}


def compare(counts: list[int]) -> None:
    """Measure each count and print what grew."""
    with tempfile.TemporaryDirectory() as temporary:
        floor = step("nothing", Path(temporary), 0)["peak_mb"]
        print(f"imports alone: {floor:.0f} MB")
        peaks: dict[str, list[float]] = {"seal": [], "verify": []}
        for count in counts:
            root = Path(temporary) / str(count)
            sealed, verified = step("seal", root, count), step("verify", root, count)
            peaks["seal"].append(sealed["peak_mb"])
            peaks["verify"].append(verified["peak_mb"])
            print(
                f"{int(verified['records']):7} captures, {verified['bytes'] / 1e6:4.0f} MB:"
                f" collecting and sealing {sealed['seconds']:5.1f} s, peak {peaks['seal'][-1]:.0f}"
                f" MB; verifying {verified['seconds']:4.1f} s, peak {peaks['verify'][-1]:.0f} MB"
            )
    for name, (few, many) in peaks.items():
        print(f"{name}: {many - few:+.1f} MB for {counts[1] / counts[0]:.0f} times the captures")


def main() -> None:
    """Measure and print; with --step, be the process that is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--captures", type=int, default=100_000)
    parser.add_argument("--smoke", action="store_true", help="a small run, to see that it works")
    parser.add_argument("--step", choices=list(STEPS), help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        said = STEPS[arguments.step](arguments.root, arguments.captures)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({**said, "peak_mb": peak}))
        return
    count = 2_000 if arguments.smoke else arguments.captures
    compare([count // 10, count])


if __name__ == "__main__":
    main()
