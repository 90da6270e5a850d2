"""Tampers with a store N times, and with a bundle N/4 times in each of three forms; counts misses.

usage: python benchmarks/tamper.py [--times 20000] [--seed 0] [--smoke]

Exits with 1 when anything was missed, and prints the seed that repeats it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support_tampered_bundle import bundle_estates
from support_tampering import Attempt, Estate, summary, tampered_store


def run(name: str, estate: Estate, seeds: range) -> list[Attempt]:
    """Tamper once a seed; print a table by kind and every miss."""
    began = time.perf_counter()
    attempts = [estate.attempt(seed) for seed in seeds]
    each = (time.perf_counter() - began) / len(attempts) * 1000
    print(f"{name}: {len(estate.files)} files")
    print(f"{'done':>8} {'missed':>7}  what was done")
    for kind, total, missed in summary(attempts):
        print(f"{total:8} {missed:7}  {kind}")
    missed = [attempt for attempt in attempts if attempt.miss]
    print(f"{len(attempts):8} {len(missed):7}  in all, {each:.0f} ms each")
    for attempt in missed[:20]:
        print(attempt)
    return missed


def main() -> None:
    """Tamper and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--smoke", action="store_true", help="a small run, to see that it works")
    arguments = parser.parse_args()
    times = 50 if arguments.smoke else arguments.times
    seeds = range(arguments.seed, arguments.seed + times)
    with tempfile.TemporaryDirectory() as folder:
        missed = run("store", tampered_store(Path(folder) / "a"), seeds)
        bundles = bundle_estates(Path(folder) / "b")
        few = seeds[: len(seeds) // 4]
        missed += run("bundle, as a folder", bundles.folder, few)
        missed += run("bundle, its sums signed anew by its producer", bundles.resigned, few)
        missed += run("bundle, as a zip file", bundles.archive, few)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
