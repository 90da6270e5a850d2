"""What a disclosure is about: a resource or a finding, found by its id, and its captures.

A resource is named by its id, or more closely: `ID`, `TYPE:ID`, `TYPE:ACCOUNT/REGION/ID`.
A finding is named by its check and resource: `CHECK:ID`, `CHECK:ACCOUNT/REGION/ID`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb

from controls.assessment import Assessment, Finding, finding_of
from controls.database import quoted
from controls.evaluate import FINDING_COLUMNS
from evidence.errors import UsageError
from evidence.snapshot import Snapshot
from evidence.store import Store
from reports.findings_export import finding_record

_SHOWN = 5
_NEAREST = 3


@dataclass(frozen=True)
class Subject:
    """What is disclosed. `captures` are references, in the order in which they are listed."""

    kind: str
    id: str
    captures: tuple[str, ...]
    document: Mapping[str, Any] = field(default_factory=dict)
    """What is said about it: a finding's row, or the captures of a resource by facet."""
    assessment: str = ""


def find_resource(snapshot: Snapshot, identifier: str) -> Subject:
    """Return the resource with its captures. Raises UsageError when there is none, or several."""
    found = []
    with duckdb.connect() as database:
        for name in sorted(snapshot.schemas):
            found += _rows(database, snapshot, name, identifier)
    if not found:
        near = _nearest_resources(snapshot, identifier)
        raise _unknown(f"snapshot {snapshot.id} has no resource {identifier!r}", "--resource", near)
    if len(found) > 1:
        names = [f"{kind}:{account}/{region}/{name}" for kind, account, region, name, *_ in found]
        raise _several(f"{identifier!r} names {len(found)} resources", "--resource", names)
    kind, account, region, name, title, by_facet = found[0]
    captures = sorted({reference for items in by_facet.values() for reference in items})
    document = {
        "resource_type": kind,
        "account": account,
        "region": region,
        "resource_id": name,
        "resource_name": title,
        "captures": dict(sorted(by_facet.items())),
    }
    return Subject("resource", f"{kind}:{account}/{region}/{name}", tuple(captures), document)


def _rows(
    database: duckdb.DuckDBPyConnection, snapshot: Snapshot, kind: str, identifier: str
) -> list[tuple[Any, ...]]:
    wanted = identifier.removeprefix(f"{kind}:")
    sql = (
        f"SELECT {quoted(kind)}, account, region, id, name, captures"
        f" FROM read_parquet({quoted(str(snapshot.table(kind)))})"
        " WHERE id IN ($given, $wanted) OR account || '/' || region || '/' || id = $wanted"
    )
    return database.execute(sql, {"given": identifier, "wanted": wanted}).fetchall()


def _nearest_resources(snapshot: Snapshot, identifier: str) -> list[str]:
    sources = " UNION ALL ".join(
        f"SELECT id FROM read_parquet({quoted(str(snapshot.table(name)))})"
        for name in sorted(snapshot.schemas)
    )
    return _nearest(f"SELECT id AS name FROM ({sources})", identifier) if sources else []


def find_finding(assessment: Assessment, identifier: str) -> Subject:
    """Return the finding with its captures. Raises UsageError when there is none, or several."""
    check, _, rest = identifier.partition(":")
    named = _named(assessment, check, rest)
    if not named:
        raise _unknown(
            f"assessment {assessment.id} has no finding {identifier!r}",
            "--finding",
            _nearest_findings(assessment, identifier),
        )
    if len(named) > 1:
        names = [f"{check}:{one.account}/{one.region}/{one.resource_id}" for one in named]
        raise _several(f"{identifier!r} names {len(named)} findings", "--finding", names)
    document = finding_record(assessment, named[0])
    captures = tuple(dict.fromkeys(named[0].captures))
    return Subject("finding", identifier, captures, document, assessment.id)


def _named(assessment: Assessment, check: str, resource: str) -> list[Finding]:
    path = quoted(str(assessment.folder / "findings.parquet"))
    sql = (
        f"SELECT {', '.join(FINDING_COLUMNS)} FROM read_parquet({path}) WHERE check_id = $check AND"
        " $resource IN (resource_id, account || '/' || region || '/' || resource_id)"
    )
    with duckdb.connect() as database:
        rows = database.execute(sql, {"check": check, "resource": resource}).fetchall()
    return [finding_of(row) for row in rows]


def _nearest_findings(assessment: Assessment, identifier: str) -> list[str]:
    path = quoted(str(assessment.folder / "findings.parquet"))
    sql = f"SELECT check_id || ':' || resource_id AS name FROM read_parquet({path})"
    return _nearest(sql, identifier)


def _nearest(names: str, identifier: str) -> list[str]:
    sql = (
        f"SELECT DISTINCT name, jaro_winkler_similarity(name, $1) AS near FROM ({names})"
        f" ORDER BY near DESC, name LIMIT {_NEAREST}"
    )
    with duckdb.connect() as database:
        return [name for name, _ in database.execute(sql, [identifier]).fetchall()]


def assessment_of(store: Store, snapshot: Snapshot, name: str = "") -> Assessment:
    """Open an assessment of a snapshot; an empty name means the newest. Raises UsageError."""
    names = [name] if name else reversed(store.sealed("assessment"))
    for found in names:
        judged = store.manifest("assessment", found).predicate["snapshot"]["id"]
        if judged == snapshot.id:
            return Assessment.open(store, found)
    what = f"assessment {name} is of another snapshot" if name else "it was not judged yet"
    raise UsageError(
        what, where=snapshot.id, mend=f"Run `auditpack evaluate --snapshot {snapshot.id}`."
    )


def told_resources(snapshot: Snapshot, references: Iterable[str]) -> dict[str, int]:
    """Return how many resources rest on each capture: more than one, and it tells of others."""
    by_type: dict[str, list[str]] = {}
    for reference in references:
        by_type.setdefault(reference.rpartition("#")[0].rpartition("/")[2], []).append(reference)
    counts: dict[str, int] = {}
    with duckdb.connect() as database:
        for kind, items in by_type.items():
            if kind not in snapshot.schemas:
                continue
            path = quoted(str(snapshot.table(kind)))
            sql = (
                "SELECT reference, count(*) FROM (SELECT DISTINCT account, region, id,"
                f" unnest(flatten(map_values(captures))) AS reference FROM read_parquet({path}))"
                " WHERE list_contains($1, reference) GROUP BY reference"
            )
            counts.update(database.execute(sql, [items]).fetchall())
    return counts


def _unknown(what: str, option: str, nearest: Sequence[str]) -> UsageError:
    near = f"The nearest are: {', '.join(nearest)}." if nearest else "There are none at all."
    return UsageError(what, where=option, mend=near)


def _several(what: str, option: str, names: Sequence[str]) -> UsageError:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    shown = ", ".join(names[:_SHOWN])
    return UsageError(what, where=option, mend=f"Name one of them: {shown}{more}.")
