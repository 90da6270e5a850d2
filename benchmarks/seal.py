"""How long collecting and sealing takes against SHA-256 plus zstd of the same bytes.

usage: python benchmarks/seal.py [--captures 40000] [--smoke]

The floor hashes the bodies and compresses them into one file that is forced to the disk. Ours makes
canonical captures of them, writes the segments, makes the tree, and seals the snapshot: manifest,
signature, log.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import os
import random
import resource
import tempfile
import time
from pathlib import Path

import zstandard

from evidence.capture import Exchange, capture_line
from evidence.keys import make_signing_key
from evidence.outcome import Outcome
from evidence.sealing import Sealer
from evidence.snapshot import SnapshotRun
from evidence.store import Store
from evidence.units import UnitKey, UnitRecord, UnitWriter
from evidence.verify import verify_store

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
_A_UNIT_HAS = 2_000


def exchange(number: int, filler: random.Random) -> Exchange:
    """A synthetic exchange of about 4 kB."""
    words = " ".join(f"{filler.randrange(16**8):08x}" for _ in range(400))
    return Exchange(
        "describe_things",
        {"Id": str(number)},
        "us-east-1",
        "https://example.invalid/",
        1,
        "2026-01-01T00:00:00.000+00:00",
        200,
        f"request-{number}",
        "Thu, 01 Jan 2026 00:00:00 GMT",
        words.encode(),
    )


def line_of(item: Exchange) -> bytes:
    """Return the canonical capture of an exchange."""
    return capture_line(
        item,
        provider="aws",
        account="111111111111",
        service="things",
        redacted_body=None,
        redactions=(),
        parameters="{}",
    )


def collect_and_seal(store: Store, exchanges: list[Exchange]) -> tuple[Path, float]:
    """Write one snapshot, seal it; return its folder and the seconds that sealing took."""
    run = SnapshotRun.start(store, "20260101T000000Z-000001", {"started": NOW.isoformat()})
    for start in range(0, len(exchanges), _A_UNIT_HAS):
        key = UnitKey("aws", "111111111111", "us-east-1", f"things_{start // _A_UNIT_HAS:04}")
        writer = UnitWriter(run.folder, key)
        for item in exchanges[start : start + _A_UNIT_HAS]:
            writer.keep_capture(line_of(item))
        writer.commit(UnitRecord(key, Outcome.OK, "", 0, writer.records, 0))
    began = time.perf_counter()
    sealer = Sealer(make_signing_key("Benchmark", NOW), lambda: NOW)
    folder = run.seal([], "2026-01-01T00:00:00Z", sealer)
    return folder, time.perf_counter() - began


def floor_of(exchanges: list[Exchange], target: Path) -> float:
    """Return how long SHA-256 and zstd of the bodies take, in seconds."""
    began = time.perf_counter()
    with target.open("wb") as file:
        with zstandard.ZstdCompressor(level=3).stream_writer(file, closefd=False) as compressor:
            for item in exchanges:
                hashlib.sha256(item.body).digest()
                compressor.write(item.body)
        file.flush()
        os.fsync(file.fileno())
    return time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--captures", type=int, default=40_000)
    parser.add_argument("--smoke", action="store_true", help="a small run, to see that it works")
    arguments = parser.parse_args()
    count = 500 if arguments.smoke else arguments.captures
    filler = random.Random(1)
    exchanges = [exchange(number, filler) for number in range(count)]
    size = sum(len(item.body) for item in exchanges)

    with tempfile.TemporaryDirectory() as temporary:
        floors = [floor_of(exchanges, Path(temporary) / "floor")]
        store = Store.open(Path(temporary) / "store", create=True)
        began, worked = time.perf_counter(), time.process_time()
        _, sealing = collect_and_seal(store, exchanges)
        ours, worked = time.perf_counter() - began, time.process_time() - worked
        floors.append(
            floor_of(exchanges, Path(temporary) / "floor")
        )  # before and after: a busy machine changes its mind
        if not verify_store(store).ok:
            raise SystemExit("the snapshot does not verify")
    floor = sum(floors) / len(floors)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{count} captures, {size / 1e6:.0f} MB of bodies; peak memory {peak:.0f} MB")
    print(f"floor (SHA-256 and zstd): {floor:.2f} s, {size / 1e6 / floor:.0f} MB/s")
    print(f"collecting and sealing:   {ours:.2f} s, of which sealing {sealing:.2f} s")
    print(f"ratio {ours / floor:.2f} (without waiting for the disk: {worked / floor:.2f})")


if __name__ == "__main__":
    main()
