"""How many harmless values redaction takes for secrets, and how long it takes.

usage: python benchmarks/redaction.py [--smoke] [--store STORE]

The harmless values are made-up ids of every kind, AWS's managed policies, and botocore's
documentation of all services; of these, what is redacted is wrong, but for documentation that shows
a sample password. With --store, the captures of a store are measured as well. The floor of the time
is parsing and writing the same bytes as JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support_harmless import documentation, examples, ids, leaves, managed_policies

from evidence.redaction import Redactor
from evidence.segments import read_lines

REDACTOR = Redactor(b"k" * 32, {})


def captures(store: Path) -> Iterator[str]:
    """Yield the bodies in a store, as they were kept."""
    for file in sorted(store.glob("snapshots/*/captures/**/*.zst")):
        for line in read_lines(file):
            yield json.loads(line)["body"]


def count(title: str, values: Iterable[Any], *, show: int) -> list[Any]:
    """Redact values one by one, and print how many texts were taken for secrets."""
    kept, texts, reasons = list(values), 0, Counter[str]()
    for value in kept:
        texts += leaves(value)
        redacted, found = REDACTOR.redact("", value)
        reasons.update(item.reason for item in found)
        if found and show > 0:
            show -= 1
            print("   ", str(redacted)[:160].replace("\n", " "))
    wrong = sum(reasons.values())
    rate = 100 * wrong / max(1, texts)
    why = ", ".join(f"{number} {reason}" for reason, number in reasons.most_common(4))
    print(f"{title}: {texts} values, {wrong} redacted, {rate:.3f} % {why and f'({why})'}")
    return kept


def pages(values: list[Any], size: int = 200) -> list[Any]:
    """Group values into answers, as an operation pages them."""
    return [
        {"Items": values[start : start + size], "NextToken": str(start)}
        for start in range(0, len(values), size)
    ]


def speed(title: str, answers: list[Any]) -> None:
    """Redact answers, and compare with parsing and writing them as JSON."""
    texts = [json.dumps(answer) for answer in answers]
    size = sum(map(len, texts)) / 1e6
    began = time.perf_counter()
    for text in texts:
        json.dumps(json.loads(text))
    floor = time.perf_counter() - began
    began = time.perf_counter()
    for answer in answers:
        REDACTOR.redact("", answer)
    taken = time.perf_counter() - began
    print(
        f"{title}: {size:.1f} MB, JSON {size / floor:.0f} MB/s,"
        f" redaction {size / taken:.0f} MB/s: ratio {taken / floor:.1f}"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="a small run, to see that it works")
    parser.add_argument("--store", type=Path, help="a store whose captures are measured as well")
    parser.add_argument("--show", type=int, default=0, help="print that many of what was redacted")
    arguments = parser.parse_args()
    per_kind = 20 if arguments.smoke else 2000
    made = [
        {"Id": value, "Size": number, "Encrypted": True}
        for number, (_, value) in enumerate(ids(per_kind))
    ]
    count("ids of every kind", made, show=arguments.show)
    policies = count("managed policies", managed_policies(), show=arguments.show)
    if not arguments.smoke:
        count("documentation", documentation(), show=arguments.show)
        count("examples, which hold sample secrets", examples(), show=arguments.show)
    if arguments.store:
        count("captures", captures(arguments.store), show=arguments.show)
    REDACTOR.redact("", made[0])  # reads the patterns
    speed("ids of every kind", pages(made))
    speed("managed policies", pages(policies))


if __name__ == "__main__":
    main()
