"""Our own history as tables: what the sealed assessments of a store said, oldest to newest.

`history_assessments` has one row an assessment and framework, `history_findings` one row a stretch
of failing: from the assessment that first found it to the one that found it mended. What was not
judged, or could not be listed, is neither mended nor new: only what was seen counts. Of an account
in which an assessment found nothing at all, it says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import orjson

from controls.database import quoted
from controls.kpi_models import moment_of
from evidence.snapshot import Snapshot
from evidence.store import Store

HISTORY_TABLES: Mapping[str, Mapping[str, str]] = {
    "history_assessments": {
        "assessment": "VARCHAR",
        "as_of": "TIMESTAMP",
        "framework": "VARCHAR",
        "score": "DECIMAL(9, 4)",
        "satisfied": "BIGINT",
        "counted": "BIGINT",
        "passed": "BIGINT",
        "failed": "BIGINT",
    },
    "history_findings": {
        "check_id": "VARCHAR",
        "account": "VARCHAR",
        "region": "VARCHAR",
        "resource_id": "VARCHAR",
        "severity": "VARCHAR",
        "first_failed": "TIMESTAMP",
        "last_failed": "TIMESTAMP",
        "resolved": "TIMESTAMP",
    },
}
"""Tables of our own history and their columns. `counted` are the requirements that a score is
over; `passed` and `failed` are findings of the whole assessment, the same for each framework."""

_COUNTED = ("satisfied", "not_satisfied", "not_evidenced")
_KEY = ("check_id", "account", "region", "resource_id")


@dataclass(frozen=True)
class PastAssessment:
    """A sealed assessment, as far as history needs it."""

    id: str
    snapshot: str
    as_of: str
    results: Mapping[str, Any]
    folder: Path

    def checks(self) -> frozenset[str]:
        """Return the ids of the checks that it judged by."""
        catalogue = orjson.loads((self.folder / "catalogue.json").read_bytes())
        return frozenset(catalogue["checks"])


def past_assessments(store: Store, until: str) -> tuple[PastAssessment, ...]:
    """Return the sealed assessments of states up to `until`, oldest first.

    Of several of one snapshot the one sealed last counts.
    """
    found: dict[str, PastAssessment] = {}
    for name in store.sealed("assessment"):
        folder = store.find("assessment", name)
        results = orjson.loads((folder / "assessment.json").read_bytes())
        past = PastAssessment(name, results["snapshot"]["id"], results["as_of"], results, folder)
        found[past.snapshot] = past
    ordered = sorted(found.values(), key=lambda past: (moment_of(past.as_of), past.snapshot))
    return up_to(ordered, until)


def up_to(past: Iterable[PastAssessment], until: str) -> tuple[PastAssessment, ...]:
    """Return those of states up to a time (ISO 8601 UTC)."""
    return tuple(item for item in past if moment_of(item.as_of) <= moment_of(until))


def snapshot_before(store: Store, snapshot: Snapshot, tables: Iterable[str]) -> Snapshot | None:
    """Return the newest snapshot of an earlier state that has some tables, if there is one."""
    wanted, now = set(tables), moment_of(snapshot.as_of)
    found = []
    for name in store.sealed("snapshot"):
        predicate = store.placed_manifest("snapshot", name).predicate
        intent = predicate["intent"]
        moment = moment_of(str(intent.get("as_of") or intent["started"]))
        if moment < now and wanted <= set(predicate["tables"]):
            found.append((moment, name))
    return Snapshot.open(store, max(found)[1]) if found else None


def create_history(
    database: duckdb.DuckDBPyConnection, past: Sequence[PastAssessment] = ()
) -> None:
    """Create the tables of history in a database that is not locked yet, and fill them."""
    for name, columns in HISTORY_TABLES.items():
        declared = ", ".join(f"{column} {kind}" for column, kind in columns.items())
        database.execute(f"CREATE TABLE {name} ({declared})")
    for item in past:
        rows = [_scored(item, framework) for framework in item.results["frameworks"]]
        if rows:
            marks = ", ".join("?" for _ in rows[0])
            database.executemany(f"INSERT INTO history_assessments VALUES ({marks})", rows)
        _follow(database, item)


def _scored(past: PastAssessment, framework: Mapping[str, Any]) -> tuple[Any, ...]:
    statuses = framework["requirements_by_status"]
    severities = past.results["findings"]["by_severity"].values()
    score = framework["score_percent"]
    return (
        past.id,
        moment_of(past.as_of),
        framework["id"],
        None if score is None else Decimal(score),
        statuses["satisfied"],
        sum(statuses[name] for name in _COUNTED),
        sum(counts["pass"] for counts in severities),
        sum(counts["fail"] for counts in severities),
    )


def _follow(database: duckdb.DuckDBPyConnection, past: PastAssessment) -> None:
    """Take one assessment on: end what is mended, lengthen what fails still, begin what is new."""
    moment = f"TIMESTAMP '{moment_of(past.as_of)}'"
    same = " AND ".join(f"s.{name} = h.{name}" for name in _KEY)
    key = ", ".join(_KEY)
    database.execute(
        f"CREATE OR REPLACE TEMP TABLE seen AS SELECT {key}, max(severity) AS severity,"
        " bool_or(status = 'fail') AS failed,"
        " bool_and(status IN ('pass', 'not_applicable')) AS sound"
        f" FROM read_parquet({quoted(str(past.folder / 'findings.parquet'))}) GROUP BY ALL"
    )
    gone = (
        f"NOT EXISTS (FROM seen AS s WHERE {same})"
        f" AND h.check_id IN ({_texts(past.checks())})"
        f" AND h.account IN ({_texts(past.results['findings']['by_account'])})"
        " AND NOT EXISTS (FROM seen AS s WHERE s.check_id = h.check_id AND s.account = h.account"
        " AND s.region IN (h.region, 'global') AND starts_with(s.resource_id, 'not-listed:'))"
    )
    database.execute(
        f"UPDATE history_findings AS h SET resolved = {moment} WHERE h.resolved IS NULL"
        f" AND (EXISTS (FROM seen AS s WHERE {same} AND s.sound) OR ({gone}))"
    )
    database.execute(
        f"UPDATE history_findings AS h SET last_failed = {moment} FROM seen AS s"
        f" WHERE {same} AND s.failed AND h.resolved IS NULL"
    )
    database.execute(
        f"INSERT INTO history_findings SELECT {key}, severity, {moment}, {moment}, NULL"
        f" FROM seen AS s WHERE s.failed AND NOT EXISTS"
        f" (FROM history_findings AS h WHERE {same} AND h.resolved IS NULL) ORDER BY {key}"
    )
    database.execute("DROP TABLE seen")


def _texts(names: Iterable[str]) -> str:
    return ", ".join(["''", *(quoted(name) for name in sorted(names))])
