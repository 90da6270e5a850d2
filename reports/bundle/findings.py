"""The findings of an assessment as plain JSON lines, exactly those whose digest is sealed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import orjson

from controls.assessment import Assessment
from controls.database import quoted
from evidence.errors import StoreError
from evidence.segments import read_line
from evidence.snapshot import Snapshot

_TRIED = 50
"""Failing findings on one capture that are looked at for one that was kept as received."""


@dataclass(frozen=True)
class Example:
    """The finding that the instructions follow: its line (from 1), check and status."""

    line: int
    check_id: str
    status: str


def finding_lines(assessment: Assessment) -> Iterator[bytes]:
    """Yield the lines, each with its newline, in the order of the sealed digest."""
    path = quoted(str(assessment.folder / "findings.parquet"))
    sql = f"SELECT to_json(line) FROM (SELECT * FROM read_parquet({path})) AS line"
    with duckdb.connect() as database:
        found = database.execute(sql)
        while batch := found.fetchmany(10_000):
            for (line,) in batch:
                yield f"{line}\n".encode()


def write_finding_lines(assessment: Assessment, target: Path) -> None:
    """Write all lines. Raises StoreError when they are not those whose digest was sealed."""
    digest = hashlib.sha256()
    with target.open("wb") as file:
        for line in finding_lines(assessment):
            digest.update(line)
            file.write(line)
    if digest.hexdigest() != assessment.results["findings"]["sha256"]:
        raise StoreError(
            "the findings are not those that were sealed",
            where=str(assessment.folder),
            mend="Run `auditpack verify`; if it finds nothing, use the DuckDB version of then.",
        )


def find_example(assessment: Assessment, snapshot: Snapshot) -> Example | None:
    """Return the failing finding to follow: best one that rests on one answer, kept as received.

    Else the first that fails, else any that rests on a capture; None where none does.
    """
    failing: Example | None = None
    other: Example | None = None
    tried = 0
    for number, line in enumerate(finding_lines(assessment), start=1):
        finding = orjson.loads(line)
        if not finding["captures"]:
            continue
        example = Example(number, finding["check_id"], finding["status"])
        other = other or example
        if finding["status"] != "fail":
            continue
        failing = failing or example
        if len(finding["captures"]) == 1:
            if _as_received(snapshot, finding["captures"][0]):
                return example
            tried += 1
        if tried == _TRIED:
            break
    return failing or other


def _as_received(snapshot: Snapshot, reference: str) -> bool:
    unit, _, number = reference.rpartition("#")
    record = orjson.loads(read_line(snapshot.segment(unit), int(number)))
    return bool(record["body_is"] == "as received")
