"""How long verifying takes against the hashing that no verifier can do without.

usage: python benchmarks/verify.py [--captures 60000] [--smoke]

The floor reads the stored files and hashes them, decompresses the segments, and hashes every line,
in one thread. Ours also checks the log and signatures, compares every record with its leaf and the
leaves with the signed root, and looks for strays.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import resource
import tempfile
import time
from pathlib import Path

import zstandard
from seal import collect_and_seal, exchange

from evidence.store import Store
from evidence.verify import verify_store


def floor_of(folder: Path) -> tuple[float, int]:
    """Return how long the unavoidable takes, in seconds, and the bytes of all lines."""
    began = time.perf_counter()
    size = 0
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                hashlib.file_digest(file, "sha256").digest()
    for path in sorted(folder.rglob("*.zst")):
        with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as reader:
            rest = b""
            while data := reader.read(1 << 18):
                *lines, rest = (rest + data).split(b"\n")
                size += len(data)
                for line in lines:
                    hashlib.sha256(b"\x00" + line).digest()
    return time.perf_counter() - began, size


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--captures", type=int, default=60_000)
    parser.add_argument("--smoke", action="store_true", help="a small run, to see that it works")
    arguments = parser.parse_args()
    count = 500 if arguments.smoke else arguments.captures
    filler = random.Random(1)
    with tempfile.TemporaryDirectory() as temporary:
        store = Store.open(Path(temporary) / "store", create=True)
        folder, _ = collect_and_seal(store, [exchange(n, filler) for n in range(count)])
        floors, times = [], []
        for _ in range(3):
            floor, size = floor_of(folder)
            floors.append(floor)
            began = time.perf_counter()
            report = verify_store(store)
            times.append(time.perf_counter() - began)
            if not report.ok or report.records != count or report.evidence_bytes != size:
                raise SystemExit(f"verification is wrong: {report}")
    floor, ours = min(floors), min(times)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    stored = report.bytes / 1e6
    print(f"{count} captures, {size / 1e6:.0f} MB, stored in {stored:.0f} MB; peak {peak:.0f} MB")
    print(f"floor (read, hash, decompress, hash): {floor:.2f} s, {size / 1e6 / floor:.0f} MB/s")
    print(f"verifying:                            {ours:.2f} s, {size / 1e6 / ours:.0f} MB/s")
    print(f"ratio {ours / floor:.2f}")


if __name__ == "__main__":
    main()
