"""Findings as CSV, JSON or JSON lines.

Columns are those of DESIGN 7. Lists become text joined by `;` in CSV. A CSV cell that a
spreadsheet would take for a formula is preceded by an apostrophe: names in a cloud are chosen by
others (OWASP, "CSV Injection").
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

from controls.assessment import Assessment, Finding

COLUMNS = (
    "finding_id",
    "check_id",
    "title",
    "status",
    "severity",
    "reason",
    "provider",
    "account",
    "region",
    "resource_type",
    "resource_id",
    "resource_name",
    "owner",
    "control",
    "equivalents",
    "snapshot",
    "assessment",
    "captures",
)
"""Columns of every format, in order."""

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def write_findings(
    assessment: Assessment, kind: str, target: TextIO, statuses: Sequence[str] = ()
) -> int:
    """Write findings of `statuses` (all when empty) as csv, json or jsonl; return their number."""
    writers = {"csv": _write_csv, "json": _write_json, "jsonl": _write_lines}
    return writers[kind](_records(assessment, statuses), target)


def _records(assessment: Assessment, statuses: Sequence[str]) -> Iterator[dict[str, Any]]:
    for finding in assessment.findings(statuses):
        yield finding_record(assessment, finding)


def finding_record(assessment: Assessment, finding: Finding) -> dict[str, Any]:
    """Return one finding as a record with every column, its id as `auditpack disclose` takes it."""
    check = assessment.checks[finding.check_id]
    return {
        "finding_id": f"{finding.check_id}:{finding.resource_id}",
        "check_id": finding.check_id,
        "title": check.title,
        "status": finding.status,
        "severity": finding.severity,
        "reason": finding.reason,
        "provider": finding.provider,
        "account": finding.account,
        "region": finding.region,
        "resource_type": finding.resource_type,
        "resource_id": finding.resource_id,
        "resource_name": finding.resource_name,
        "owner": finding.owner,
        "control": finding.control,
        "equivalents": {name: list(check.equivalent_ids(name)) for name in check.equivalents},
        "snapshot": assessment.snapshot_id,
        "assessment": assessment.id,
        "captures": list(finding.captures),
    }


def _write_csv(records: Iterator[dict[str, Any]], target: TextIO) -> int:
    writer = csv.writer(target, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    count = 0
    for record in records:
        writer.writerow([_cell(record[name]) for name in COLUMNS])
        count += 1
    return count


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        value = ";".join(f"{name}={item}" for name, items in value.items() for item in items)
    elif isinstance(value, list):
        value = ";".join(value)
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def _write_lines(records: Iterator[dict[str, Any]], target: TextIO) -> int:
    count = 0
    for record in records:
        target.write(json.dumps(record, ensure_ascii=False) + "\n")
        count += 1
    return count


def _write_json(records: Iterator[dict[str, Any]], target: TextIO) -> int:
    count = 0
    target.write("[")
    for record in records:
        target.write(",\n" if count else "\n")
        target.write(json.dumps(record, ensure_ascii=False))
        count += 1
    target.write("\n]\n")
    return count
