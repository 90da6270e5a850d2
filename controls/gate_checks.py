"""The gate for checks: binding, literals, examples, knock-outs and the vacuous row.

A check's rows are judged in one query over the columns that it reads, in a database that holds an
empty table for every resource type.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
from sqlglot import exp, parse_one

from controls.catalogue import Catalogue
from controls.compiler import CompiledCheck, FieldError, compile_check
from controls.database import literal, quoted
from controls.examples import ExampleError, example_row, row_of
from controls.facts import SQL_TYPES, fact_columns, facts_of, row_source
from controls.models import Check, Status
from controls.problems import Problem, no_such_type
from evidence.schema import IDENTITY_COLUMNS, TableSchema

_KINDS_OF_LITERAL = {
    "VARCHAR": "text",
    "BOOLEAN": "boolean",
    "BIGINT": "number",
    "DOUBLE": "number",
}


def check_problems(
    catalogue: Catalogue,
    check: Check,
    schemas: Mapping[str, TableSchema],
    database: duckdb.DuckDBPyConnection,
) -> Iterator[Problem]:
    """Yield what is wrong with a check; facts of its subject are materialised already."""
    if check.resource not in schemas:
        yield no_such_type(catalogue, "checks", check.id, "resource", check.resource, schemas)
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
