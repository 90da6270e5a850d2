"""How long keeping captures takes against SHA-256 plus zstd of the same bytes.

usage: python benchmarks/seal.py [--captures 20000] [--smoke]
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

from evidence.capture import Exchange, capture_line
from evidence.merkle import RootBuilder
from evidence.segments import SegmentWriter, read_lines


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


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--captures", type=int, default=20_000)
    parser.add_argument("--smoke", action="store_true", help="a small run, to see that it works")
    arguments = parser.parse_args()
    count = 500 if arguments.smoke else arguments.captures
    filler = random.Random(1)
    exchanges = [exchange(number, filler) for number in range(count)]

    began = time.perf_counter()
    compressor = zstandard.ZstdCompressor(level=3).compressobj()
    for item in exchanges:
        hashlib.sha256(item.body).digest()
        compressor.compress(item.body)
    compressor.flush()
    floor = time.perf_counter() - began

    with tempfile.TemporaryDirectory() as temporary:
        began = time.perf_counter()
        writer = SegmentWriter(Path(temporary) / "segment.zst")
        for item in exchanges:
            writer.append(
                capture_line(
                    item,
                    provider="aws",
                    account="111111111111",
                    service="things",
                    redacted_body=None,
                    redactions=(),
                    parameters="{}",
                )
            )
        writer.close()
        tree = RootBuilder()
        for leaf in writer.leaves:
            tree.add(leaf)
        keeping = time.perf_counter() - began
        began = time.perf_counter()
        size = sum(len(line) for line in read_lines(Path(temporary) / "segment.zst"))
        reading = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{count} captures, {size / 1e6:.0f} MB; root {tree.root().hex()[:16]}")
    print(f"floor {floor:.2f} s, keeping {keeping:.2f} s: ratio {keeping / floor:.2f}")
    print(f"reading back {size / 1e6 / reading:.0f} MB/s, peak memory {peak:.0f} MB")


if __name__ == "__main__":
    main()
