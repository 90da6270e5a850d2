"""Kills processes that collect, seal and evaluate at N random moments, checking after each.

usage: python benchmarks/crash.py [--kills 1000] [--seed 0] [--smoke]

Exits with 1 when anything was lost, repeated or wrongly taken for evidence. Every tenth of the
kills is of one of two processes that seal in the same store, while a third one verifies it.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support_crashes import LostError, run


def main() -> None:
    """Kill and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--smoke", action="store_true", help="a small run, to see that it works")
    arguments = parser.parse_args()
    kills = 10 if arguments.smoke else arguments.kills
    of_two = kills // 10
    began = time.perf_counter()
    try:
        alone = run(kills - of_two, arguments.seed)
        together = run(of_two, arguments.seed, two=True)
    except LostError as error:
        sys.exit(f"after {time.perf_counter() - began:.0f} s: {error}")
    for name, said in (("one process", alone), ("two processes", together)):
        words = ", ".join(f"{count} {word}" for word, count in said["last words"].items())
        print(f"{name}: {said['kills']} kills, {said['entries in the logs']} entries sealed")
        print(f"  what it said last: {words}")
    print(f"nothing lost, repeated or wrongly believed; {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
