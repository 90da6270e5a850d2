"""Evaluating: one snapshot and one catalogue in, findings out. Pure: no clock, no network.

Every check is one query over the snapshot's typed tables; queries run on several cursors of one
locked DuckDB. What could not be listed is judged as well: one not_evidenced finding a check for
each account and region in which the type could not be listed.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from controls.catalogue import Catalogue
from controls.compiler import FieldError, compile_check
from controls.database import (
    attach_table,
    create_empty_table,
    lock,
    open_database,
    quoted,
)
from controls.fact_sql import FactSqlError
from controls.facts import facts_of, materialise, materialise_unread
from controls.models import Check
from controls.scoring import Counts
from evidence.errors import AuditpackError
from evidence.schema import TableSchema
from evidence.snapshot import Snapshot
from evidence.units import holds_projects

FINDING_COLUMNS = (
    "check_id",
    "status",
    "severity",
    "reason",
    "provider",
    "account",
    "region",
    "resource_type",
    "resource_id",
    "resource_name",
    "control",
    "owner",
    "captures",
)
"""Columns of `findings.parquet`, in order. `captures` is a list of capture references."""

_FINDINGS_DDL = (
    "CREATE TABLE findings (check_id VARCHAR, status VARCHAR, severity VARCHAR, reason VARCHAR,"
    " provider VARCHAR, account VARCHAR, region VARCHAR, resource_type VARCHAR,"
    " resource_id VARCHAR, resource_name VARCHAR, control VARCHAR, owner VARCHAR,"
    " captures VARCHAR[])"
)
_COUNTED = ("check_id", "account", "severity", "owner")
_OTHER_SHAPE = "the snapshot was made without what this needs"
_ORDER = "check_id, provider, account, region, resource_id, resource_name, status, reason"


class EvaluationError(AuditpackError):
    """A check or fact could not be evaluated over a snapshot."""


@dataclass(frozen=True)
class Findings:
    """What evaluating wrote and counted. `digest` is over the findings' canonical lines."""

    path: Path
    count: int
    digest: str
    by_check: dict[str, Counts]
    by_account: dict[str, Counts]
    by_severity: dict[str, Counts]
    by_owner: dict[str, Counts]


def evaluate(
    snapshot: Snapshot,
    catalogue: Catalogue,
    schemas: Mapping[str, TableSchema],
    target: Path,
    *,
    owner_tags: Sequence[str] = (),
    cursors: int = 2,
    memory_limit: str = "",
    stale: str = "",
) -> Findings:
    """Judge `snapshot` and write `findings.parquet` into the folder `target`.

    `schemas` are those of the present resource types; a type that the snapshot does not hold is
    judged not_evidenced. `owner_tags` are the tag names that say who owns a resource, first first.
    `stale` says why all of the evidence is too old to show anything: then nothing passes or fails.
    Raises EvaluationError when SQL that passed the gate fails all the same.
    """
    target.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="spill-", dir=target) as spill,
        open_database(snapshot.as_of, memory_limit=memory_limit, spill=spill) as database,
    ):
        tables = {**schemas, **snapshot.schemas}
        older = frozenset(name for name in tables if tables[name] != schemas.get(name))
        _attach(database, snapshot, tables)
        database.execute(_FINDINGS_DDL)
        lock(database, [snapshot.folder.resolve() / "tables", target.resolve()])
        _materialise_facts(database, catalogue, tables, older)
        statements = [
            (check.id, _insert_sql(database, check, catalogue, tables, older, owner_tags))
            for check in catalogue.checks.values()
            if check.resource in tables
        ]
        _run_checks(database, catalogue, statements, cursors)
        _judge_unlisted(database, snapshot, catalogue, tables)
        if stale:
            _outdate(database, stale)
        return _write(database, target.resolve() / "findings.parquet")


def _attach(
    database: duckdb.DuckDBPyConnection, snapshot: Snapshot, tables: Mapping[str, TableSchema]
) -> None:
    for name, schema in tables.items():
        if name not in snapshot.schemas:
            create_empty_table(database, schema)
            continue
        try:
            attach_table(database, schema, snapshot.table(name).resolve())
        except duckdb.Error as error:
            raise EvaluationError(
                f"the table cannot be read: {str(error).splitlines()[0]}",
                where=str(snapshot.table(name)),
                mend="Run `auditpack verify`: the snapshot may have been damaged.",
            ) from error
    rows = [
        (
            unit.key.provider,
            unit.key.account,
            unit.key.region,
            unit.key.resource_type,
            unit.listed.observed,
            f"{unit.listed.value} {unit.detail}".strip(),
            list(unit.captures),
        )
        for unit in snapshot.units
    ]
    if rows:
        database.executemany("INSERT INTO units VALUES (?, ?, ?, ?, ?, ?, ?)", rows)


def _materialise_facts(
    database: duckdb.DuckDBPyConnection,
    catalogue: Catalogue,
    tables: Mapping[str, TableSchema],
    older: frozenset[str],
) -> None:
    """Evaluate facts; over tables of another shape (`older`), one that fails is not known."""
    for fact in catalogue.facts.values():
        used = (fact.subject, *fact.reads)
        if fact.subject not in tables:
            continue
        if not all(name in tables for name in used):
            materialise_unread(database, fact, _OTHER_SHAPE)
            continue
        try:
            materialise(database, fact)
        except (duckdb.Error, FactSqlError) as error:
            if older & set(used):
                materialise_unread(database, fact, _OTHER_SHAPE)
                continue
            raise EvaluationError(
                f"the fact could not be evaluated: {str(error).splitlines()[0]}",
                where=catalogue.where("facts", fact.id, "sql"),
                mend="Run `auditpack lint`; was the snapshot made by another version?",
            ) from error


def _run_checks(
    database: duckdb.DuckDBPyConnection,
    catalogue: Catalogue,
    statements: Sequence[tuple[str, str]],
    cursors: int,
) -> None:
    """Run (check id, SQL) statements, spread over several cursors."""

    def run(share: Sequence[tuple[str, str]]) -> None:
        with database.cursor() as cursor:
            for name, sql in share:
                try:
                    cursor.execute(sql)
                except duckdb.Error as error:
                    raise EvaluationError(
                        f"the check could not be evaluated: {str(error).splitlines()[0]}",
                        where=catalogue.where("checks", name, "pass"),
                        mend="Run `auditpack lint`, and `auditpack verify` for the snapshot.",
                    ) from error

    shares = [statements[start::cursors] for start in range(cursors)]
    with ThreadPoolExecutor(cursors) as threads:
        for future in [threads.submit(run, share) for share in shares]:
            future.result()


def _owner_sql(owner_tags: Sequence[str]) -> str:
    if not owner_tags:
        return "''"
    return f"coalesce({', '.join(f'tags[{quoted(tag)}]' for tag in owner_tags)}, '')"


def _insert_sql(
    database: duckdb.DuckDBPyConnection,
    check: Check,
    catalogue: Catalogue,
    tables: Mapping[str, TableSchema],
    older: frozenset[str],
    owner_tags: Sequence[str],
) -> str:
    """SQL that inserts the check's findings; not_evidenced ones where the table is another."""
    schema = tables[check.resource]
    columns = ", ".join(FINDING_COLUMNS)
    try:
        source = compile_check(
            check, schema, facts_of(catalogue.facts.values(), check.resource)
        ).findings_sql()
        if check.resource in older:
            database.execute(f"EXPLAIN {source}")
    except (FieldError, duckdb.Error) as error:
        if check.resource not in older:
            raise
        source = _unjudgeable_sql(check, f"{_OTHER_SHAPE}: {str(error).splitlines()[0]}")
    owner = f"{_owner_sql(owner_tags)} AS owner"
    return (
        f"INSERT INTO findings ({columns}) SELECT {columns.replace('owner', owner)}"
        f" FROM ({source}) AS found"
    )


def _unjudgeable_sql(check: Check, why: str) -> str:
    return (
        f"SELECT {quoted(check.id)} AS check_id, 'not_evidenced' AS status,"
        f" {quoted(check.severity.value)} AS severity, {quoted(why)} AS reason, provider, account,"
        f" region, {quoted(check.resource)} AS resource_type, id AS resource_id,"
        f" name AS resource_name, {quoted(check.control)} AS control,"
        f" CAST([] AS VARCHAR[]) AS captures, tags FROM {check.resource}"
    )


def _outdate(database: duckdb.DuckDBPyConnection, why: str) -> None:
    """Evidence that is too old shows neither that a rule is kept nor that it is broken."""
    database.execute(
        "UPDATE findings SET status = 'not_evidenced', reason = ? || ': ' || reason"
        " WHERE status IN ('pass', 'fail')",
        [why],
    )


def _judge_unlisted(
    database: duckdb.DuckDBPyConnection,
    snapshot: Snapshot,
    catalogue: Catalogue,
    tables: Mapping[str, TableSchema],
) -> None:
    rows = [
        (
            check.id,
            "not_evidenced",
            check.severity.value,
            reason,
            provider,
            account,
            region,
            check.resource,
            f"not-listed:{check.resource}:{account}:{region}",
            f"{check.resource} could not be listed",
            check.control,
            "",
            list(captures),
        )
        for check in catalogue.checks.values()
        if check.resource in tables
        for provider, account, region, reason, captures in _unlisted(
            snapshot, tables[check.resource], tables
        )
    ]
    if rows:
        marks = ", ".join("?" for _ in FINDING_COLUMNS)
        database.executemany(f"INSERT INTO findings VALUES ({marks})", rows)


def _unlisted(
    snapshot: Snapshot, schema: TableSchema, tables: Mapping[str, TableSchema]
) -> Iterator[tuple[str, str, str, str, tuple[str, ...]]]:
    """Yield (provider, account, region, reason, captures) where a type could not be listed.

    It should be in every account of its kind: a subscription's types are not a tenant's.
    """
    units = [unit for unit in snapshot.units if unit.key.resource_type == schema.resource_type]
    for unit in units:
        if not unit.listed.observed:
            reason = f"the listing was not observed ({unit.listed.value} {unit.detail})"
            yield (
                unit.key.provider,
                unit.key.account,
                unit.key.region,
                reason,
                unit.captures,
            )
    asked = {unit.key.account for unit in units}
    for account in sorted(_accounts_of(snapshot, schema, tables) - asked):
        yield schema.provider, account, "global", "this resource type was not collected", ()


def _accounts_of(
    snapshot: Snapshot, schema: TableSchema, tables: Mapping[str, TableSchema]
) -> set[str]:
    """Return the accounts that a type should have been listed in: those of its kind.

    In Google Cloud an account's name says whether it is a project or what projects lie in; a type
    may be of both. Elsewhere it is what other types of the same kind were listed in. A system that
    exports records exports only its own: none of them should hold a type that nobody named there.
    """
    if schema.provider == "records":
        return set()
    if schema.provider == "gcp":
        mine = {u.key.account for u in snapshot.units if u.key.provider == "gcp"}
        wanted = {"project": (False,), "organization": (True,)}.get(schema.scope, (False, True))
        return {account for account in mine if holds_projects(account) in wanted}
    kin = {
        name
        for name, other in tables.items()
        if other.provider == schema.provider and _account_kind(other) == _account_kind(schema)
    }
    return {unit.key.account for unit in snapshot.units if unit.key.resource_type in kin}


def _account_kind(schema: TableSchema) -> str:
    """What the account of a type's resources is: in Azure a subscription, or the tenant."""
    return schema.scope if schema.scope in ("subscription", "tenant") else "account"


def _write(database: duckdb.DuckDBPyConnection, target: Path) -> Findings:
    counted = {name: _counts(database, name) for name in _COUNTED}
    database.execute(
        f"COPY (SELECT * FROM findings ORDER BY {_ORDER}) TO {quoted(str(target))}"
        " (FORMAT parquet, COMPRESSION zstd)"
    )
    database.execute("DROP TABLE findings")
    digest, count = _digest(database, target, counted["check_id"])
    return Findings(
        target,
        count,
        digest,
        counted["check_id"],
        counted["account"],
        counted["severity"],
        counted["owner"],
    )


def _digest(
    database: duckdb.DuckDBPyConnection, findings: Path, checks: Iterable[str]
) -> tuple[str, int]:
    """SHA-256 over one JSON line a finding, in order: the same for the same findings anywhere.

    Read back from the sorted file check by check, so that memory holds one check's at a time.
    """
    digest, count = hashlib.sha256(), 0
    source = f"read_parquet({quoted(str(findings))})"
    for check in sorted(checks):
        found = database.execute(
            f"SELECT to_json(line) FROM (SELECT * FROM {source} WHERE check_id = {quoted(check)}"
            f" ORDER BY {_ORDER}) AS line"
        )
        while batch := found.fetchmany(10_000):
            digest.update("".join(f"{line[0]}\n" for line in batch).encode())
            count += len(batch)
    return digest.hexdigest(), count


def _counts(database: duckdb.DuckDBPyConnection, column: str) -> dict[str, Counts]:
    found: dict[str, dict[str, int]] = {}
    sql = f"SELECT {column}, status, count(*) FROM findings GROUP BY ALL ORDER BY ALL"
    rows: list[Any] = database.execute(sql).fetchall()
    for value, status, number in rows:
        found.setdefault(value, {})[status] = number
    return {value: Counts.from_statuses(statuses) for value, statuses in found.items()}
