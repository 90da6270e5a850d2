"""The gate: what every check and fact must pass before it may judge anything.

Expressions compile and bind against empty typed tables in a locked DuckDB; literals fit the
columns that they are compared with; the examples get the statuses that they expect; taking a facet
away (knock-out) may only keep a status or make it not_evidenced; with every facet taken away
(vacuous) nothing passes or fails. The same for facts, with tables taken away.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from sqlglot import exp, parse_one

from controls.catalogue import Catalogue
from controls.compiler import CompiledCheck, FieldError, compile_check
from controls.database import (
    create_empty_table,
    insert_rows,
    literal,
    lock,
    open_database,
    quoted,
)
from controls.examples import ExampleError, example_row, row_of
from controls.fact_sql import FactSqlError
from controls.facts import SQL_TYPES, fact_columns, facts_of, materialise, row_source
from controls.models import Check, Fact, FactExample, Status
from evidence.errors import DataError
from evidence.files import write_atomically
from evidence.schema import IDENTITY_COLUMNS, TableSchema
from evidence.tables import schemas_as_json
from evidence.units import GLOBAL_REGION

_AS_OF = "2026-01-01T00:00:00Z"
"""The time that examples are judged at."""

_KINDS_OF_LITERAL = {
    "VARCHAR": "text",
    "BOOLEAN": "boolean",
    "BIGINT": "number",
    "DOUBLE": "number",
}


@dataclass(frozen=True)
class Problem:
    """Something that the gate found: where (file, line, field), what, and what to do."""

    where: str
    what: str
    mend: str = ""


def check_catalogue(catalogue: Catalogue, schemas: Mapping[str, TableSchema]) -> list[Problem]:
    """Return every problem of the catalogue's facts and checks; none means that it may judge."""
    problems: list[Problem] = []
    with open_database(_AS_OF) as database:
        database.execute("PRAGMA disable_optimizer")  # a few rows: planning would cost the most
        for schema in schemas.values():
            create_empty_table(database, schema)
        lock(database)
        for fact in catalogue.facts.values():
            problems.extend(_fact_problems(catalogue, fact, schemas, database))
        if problems:
            return problems
        for fact in catalogue.facts.values():
            materialise(database, fact)
        for check in catalogue.checks.values():
            problems.extend(_check_problems(catalogue, check, schemas, database))
    return problems


def require_sound(
    catalogue: Catalogue, schemas: Mapping[str, TableSchema], *, passed: Path | None = None
) -> None:
    """Raise DataError with the first problem of the catalogue, if there is one.

    `passed` is a folder that remembers which catalogues have passed: the same files under the same
    gate need not pass it again before every evaluation.
    """
    mark = passed / _gate_digest(catalogue, schemas) if passed is not None else None
    if mark is not None and mark.exists():
        return
    problems = check_catalogue(catalogue, schemas)
    if problems:
        more = f" (and {len(problems) - 1} more: run `auditpack lint`)" if len(problems) > 1 else ""
        raise DataError(problems[0].what + more, where=problems[0].where, mend=problems[0].mend)
    if mark is not None:
        write_atomically(mark, b"")


def _gate_digest(catalogue: Catalogue, schemas: Mapping[str, TableSchema]) -> str:
    """What the gate's answer depends on: the files, the shapes, and the rooms' own code."""
    digest = hashlib.sha256(catalogue.digest.encode())
    digest.update(schemas_as_json(list(schemas.values())))
    digest.update(duckdb.__version__.encode())
    for file in sorted(Path(__file__).parent.glob("*.*")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def compiled_checks(
    catalogue: Catalogue, schemas: Mapping[str, TableSchema]
) -> list[CompiledCheck]:
    """Compile every check whose resource type is among `schemas`."""
    facts = catalogue.facts.values()
    return [
        compile_check(check, schemas[check.resource], facts_of(facts, check.resource))
        for check in catalogue.checks.values()
        if check.resource in schemas
    ]


# Checks


def _check_problems(
    catalogue: Catalogue,
    check: Check,
    schemas: Mapping[str, TableSchema],
    database: duckdb.DuckDBPyConnection,
) -> Iterator[Problem]:
    if check.resource not in schemas:
        yield _no_such_type(catalogue, "checks", check.id, "resource", check.resource, schemas)
        return
    schema = schemas[check.resource]
    facts = facts_of(catalogue.facts.values(), check.resource)
    try:
        compiled = compile_check(check, schema, facts)
    except FieldError as error:
        yield Problem(catalogue.where("checks", check.id, error.field), str(error))
        return
    bound = [*_binding_problems(catalogue, compiled, database)]
    yield from bound
    if bound:
        return
    yield from _literal_problems(catalogue, compiled)
    yield from _coverage_problems(catalogue, check)
    yield from _example_problems(catalogue, compiled, database)


def _no_such_type(
    catalogue: Catalogue,
    kind: str,
    name: str,
    field: str,
    wanted: str,
    schemas: Mapping[str, TableSchema],
) -> Problem:
    import difflib

    near = difflib.get_close_matches(wanted, schemas, 1)
    return Problem(
        catalogue.where(kind, name, field),
        f"there is no resource type {wanted!r}",
        f"Did you mean {near[0]!r}?" if near else "",
    )


def _binding_problems(
    catalogue: Catalogue, compiled: CompiledCheck, database: duckdb.DuckDBPyConnection
) -> Iterator[Problem]:
    """The expressions bind to the table and have the type that they must have."""
    wanted = {"applies": "BOOLEAN", "pass": "BOOLEAN", "reason": "VARCHAR"}
    parts = {
        "applies": compiled.applies.sql,
        "pass": compiled.passes.sql,
        "reason": compiled.reason.sql,
    }
    try:
        kinds = _kinds_of(compiled, parts, database)
        database.execute(f"EXPLAIN {compiled.findings_sql()}")
    except duckdb.Error as error:
        yield _unbound(catalogue, compiled, parts, database, error)
        return
    for field, kind in kinds.items():
        if kind != wanted[field]:
            where = catalogue.where("checks", compiled.check.id, field)
            yield Problem(where, f"the expression is {kind}, it must be {wanted[field]}")


def _kinds_of(
    compiled: CompiledCheck, parts: Mapping[str, str], database: duckdb.DuckDBPyConnection
) -> dict[str, str]:
    source = row_source(compiled.schema.resource_type, compiled.facts)
    values = ", ".join(f'({sql}) AS "{field}"' for field, sql in parts.items())
    found = database.execute(f"DESCRIBE SELECT {values} FROM {source} AS row").fetchall()
    return {str(column[0]): str(column[1]) for column in found}


def _unbound(
    catalogue: Catalogue,
    compiled: CompiledCheck,
    parts: Mapping[str, str],
    database: duckdb.DuckDBPyConnection,
    error: duckdb.Error,
) -> Problem:
    """Say which of the expressions it was that did not bind."""
    for field, sql in parts.items():
        try:
            _kinds_of(compiled, {field: sql}, database)
        except duckdb.Error as found:
            where = catalogue.where("checks", compiled.check.id, field)
            return Problem(where, str(found).splitlines()[0])
    return Problem(catalogue.where("checks", compiled.check.id), str(error).splitlines()[0])


def _literal_problems(catalogue: Catalogue, compiled: CompiledCheck) -> Iterator[Problem]:
    """DuckDB would cast 'x' to a number silently: compare kinds of literals ourselves."""
    types = {
        (facet.name, field.name): field.sql_type
        for facet in compiled.schema.facets
        for field in facet.fields
    }
    for field, sql in (("applies", compiled.applies.sql), ("pass", compiled.passes.sql)):
        for node in parse_one(sql, read="duckdb").find_all(exp.Binary, exp.In, exp.Between):
            sides = [node.this, *node.args.get("expressions", [])]
            others = (node.args.get(key) for key in ("expression", "low", "high"))
            sides.extend(other for other in others if other is not None)
            columns = [side for side in sides if isinstance(side, exp.Column)]
            for column in columns:
                path = tuple(part.name for part in column.parts[:2])
                expected = _KINDS_OF_LITERAL.get(types.get(path, ""))  # type: ignore[arg-type]
                for side in sides:
                    found = _kind_of_literal(side)
                    if expected and found and found != expected:
                        yield Problem(
                            catalogue.where("checks", compiled.check.id, field),
                            f"{'.'.join(path)} is {expected}, compared with {side.sql('duckdb')}",
                        )


def _kind_of_literal(node: exp.Expression) -> str:
    if isinstance(node, exp.Boolean):
        return "boolean"
    if isinstance(node, exp.Literal):
        return "text" if node.is_string else "number"
    return ""


def _coverage_problems(catalogue: Catalogue, check: Check) -> Iterator[Problem]:
    """Examples must show that the check can pass, can fail, and can be without evidence."""
    shown = {example.expect for example in check.examples}
    for status in (Status.PASS, Status.FAIL, Status.NOT_EVIDENCED):
        if status not in shown:
            yield Problem(
                catalogue.where("checks", check.id, "examples"),
                f"no example expects {status.value}",
                "Give at least one row that passes, one that fails, one without evidence.",
            )
    if check.applies != "true" and Status.NOT_APPLICABLE not in shown:
        yield Problem(
            catalogue.where("checks", check.id, "examples"),
            "the check has `applies`, but no example expects not_applicable",
        )


@dataclass(frozen=True)
class _Trial:
    """A row to be judged, and what its status may be."""

    where: str
    row: dict[str, Any]
    facts: dict[str, Any]
    allowed: tuple[str, ...]
    complaint: str


def _example_problems(
    catalogue: Catalogue, compiled: CompiledCheck, database: duckdb.DuckDBPyConnection
) -> Iterator[Problem]:
    """Examples, knock-outs and the vacuous row, judged in one query."""
    trials: list[_Trial] = []
    for index in range(len(compiled.check.examples)):
        where = catalogue.where("checks", compiled.check.id, "examples", str(index))
        try:
            trials.extend(_trials_of(compiled, index, where))
        except ExampleError as error:
            yield Problem(where, str(error))
            return
    trials.append(_vacuous_trial(catalogue, compiled))
    try:
        statuses = statuses_of(database, compiled, [(trial.row, trial.facts) for trial in trials])
    except (ExampleError, duckdb.Error) as error:
        where = catalogue.where("checks", compiled.check.id, "examples")
        yield Problem(where, f"an example does not fit the table: {str(error).splitlines()[0]}")
        return
    for trial, status in zip(trials, statuses, strict=True):
        if status not in trial.allowed:
            yield Problem(trial.where, trial.complaint.format(status=status))


def _trials_of(compiled: CompiledCheck, index: int, where: str) -> Iterator[_Trial]:
    """The example itself, and the example with each facet or fact taken away."""
    example = compiled.check.examples[index]
    row, facts = example_row(example, compiled.schema), dict(example.row.get("fact") or {})
    expected = example.expect.value
    complaint = f"the example expects {expected} and gets {{status}}"
    yield _Trial(where, row, facts, (expected,), complaint)
    allowed = (expected, Status.NOT_EVIDENCED.value)
    for taken, fewer, fewer_facts in _knock_outs(compiled, row, facts):
        complaint = (
            f"without {taken} the status turns from {expected} into {{status}}:"
            " missing evidence may only lead to not_evidenced"
        )
        yield _Trial(where, fewer, fewer_facts, allowed, complaint)


def _knock_outs(
    compiled: CompiledCheck, row: dict[str, Any], facts: dict[str, Any]
) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    for facet in compiled.facets:
        if row.get(facet) is not None:
            yield facet, {**row, facet: None}, facts
    for name in facts:
        yield f"fact.{name}", row, {**facts, name: None}


def _vacuous_trial(catalogue: Catalogue, compiled: CompiledCheck) -> _Trial:
    return _Trial(
        catalogue.where("checks", compiled.check.id, "pass"),
        row_of(compiled.schema, {}),
        {},
        (Status.NOT_EVIDENCED.value,),
        "without any evidence the status is {status}: a check rests on a facet or a fact",
    )


def statuses_of(
    database: duckdb.DuckDBPyConnection,
    compiled: CompiledCheck,
    rows: Sequence[tuple[dict[str, Any], dict[str, Any]]],
) -> list[str]:
    """Return the status of each (row, facts), in one query over what the check reads."""
    read = {*compiled.facets, *IDENTITY_COLUMNS}
    columns = {name: kind for name, kind in compiled.schema.columns().items() if name in read}
    selects = [
        f"SELECT {number} AS trial, {_row_sql(compiled, columns, row, facts)}"
        for number, (row, facts) in enumerate(rows)
    ]
    sql = f"SELECT {compiled.status_sql()} FROM ({' UNION ALL '.join(selects)}) AS row"
    return [str(found[0]) for found in database.execute(f"{sql} ORDER BY trial").fetchall()]


def _row_sql(
    compiled: CompiledCheck,
    columns: Mapping[str, str],
    row: Mapping[str, Any],
    facts: Mapping[str, Any],
) -> str:
    values = [f'{literal(row.get(name), kind)} AS "{name}"' for name, kind in columns.items()]
    declared = fact_columns(compiled.facts)
    unknown = sorted(set(facts) - set(declared))
    if unknown:
        raise ExampleError(f"the check uses no fact {unknown[0]!r}")
    pairs = ", ".join(
        f"{quoted(name)}: {literal(facts.get(name), SQL_TYPES[column.type])}"
        for name, column in declared.items()
    )
    values.append(f"{{{pairs}}} AS fact" if pairs else "NULL AS fact")
    return ", ".join(values)


# Facts


def _fact_problems(
    catalogue: Catalogue,
    fact: Fact,
    schemas: Mapping[str, TableSchema],
    database: duckdb.DuckDBPyConnection,
) -> Iterator[Problem]:
    for name in (fact.subject, *fact.reads):
        if name not in schemas:
            yield _no_such_type(catalogue, "facts", fact.id, "reads", name, schemas)
            return
    if not fact.examples:
        yield Problem(catalogue.where("facts", fact.id, "examples"), "a fact needs examples")
    for index in range(len(fact.examples)):
        yield from _fact_example_problems(catalogue, fact, index, schemas, database)


def _fact_example_problems(
    catalogue: Catalogue,
    fact: Fact,
    index: int,
    schemas: Mapping[str, TableSchema],
    database: duckdb.DuckDBPyConnection,
) -> Iterator[Problem]:
    """The example's values, and that nothing is known once no table could be read."""
    example = fact.examples[index]
    where = catalogue.where("facts", fact.id, "examples", str(index))
    try:
        found = fact_values(fact, example, schemas, database)
        blind = fact_values(fact, _unread(example, fact.reads), schemas, database)
    except (ExampleError, FactSqlError, duckdb.Error) as error:
        yield Problem(where, str(error).splitlines()[0])
        return
    for name, value in example.expect.items():
        if name not in found:
            yield Problem(where, f"the fact has no column {name!r}")
        elif found[name] != value:
            yield Problem(where, f"{name} is expected to be {value!r} and is {found[name]!r}")
    for name, value in blind.items():
        if value is not None:
            yield Problem(where, f"{name} is {value!r} although nothing could be read")


def _unread(example: FactExample, reads: Sequence[str]) -> FactExample:
    subject = {k: v for k, v in example.subject.items() if k in IDENTITY_COLUMNS}
    return FactExample(subject=subject, tables={}, unread=tuple(reads), expect={})


def fact_values(
    fact: Fact,
    example: FactExample,
    schemas: Mapping[str, TableSchema],
    database: duckdb.DuckDBPyConnection,
) -> dict[str, Any]:
    """Return what the fact yields for the example's subject.

    `database` has an empty table for every schema, and is left so.
    """
    subject = row_of(schemas[fact.subject], example.subject)
    tables = sorted({fact.subject, *fact.reads})
    try:
        for name in tables:
            rows = [row_of(schemas[name], row) for row in example.tables.get(name, ())]
            insert_rows(database, schemas[name], rows)
        if fact.subject not in example.tables:
            insert_rows(database, schemas[fact.subject], [subject])
        for name in fact.reads:
            region = _region_of(schemas[name], subject)
            observed = "false" if name in example.unread else "true"
            database.execute(
                f"INSERT INTO units VALUES ('aws', {quoted(subject['account'])},"
                f" {quoted(region)}, {quoted(name)}, {observed}, 'denied', [])"
            )
        materialise(database, fact)
        source, wanted = row_source(fact.subject, [fact]), quoted(subject["id"])
        found = database.execute(f"SELECT fact FROM {source} WHERE id = {wanted}").fetchone()
        return dict(found[0]) if found else {}
    finally:
        for name in (*tables, "units"):
            database.execute(f"DELETE FROM {name}")
        database.execute(f"DROP TABLE IF EXISTS fact_{fact.id}")
        database.execute(f"DROP TABLE IF EXISTS cover_{fact.id}")


def _region_of(schema: TableSchema, subject: Mapping[str, Any]) -> str:
    """The region in which an example's table was read."""
    if schema.scope == GLOBAL_REGION:
        return GLOBAL_REGION
    return str(subject["region"]) if subject["region"] != GLOBAL_REGION else "us-east-1"
