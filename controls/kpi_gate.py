"""The gate for KPIs: one steady SELECT over the tables declared, exact figures, sound examples.

Each example gets the value that it expects, gets the same in another order of rows, and becomes
"no data" once nothing about its rows is known.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import duckdb

from controls.database import create_empty_table, insert_rows, literal, lock, open_database
from controls.examples import ExampleError, row_of
from controls.kpi_history import HISTORY_TABLES, create_history
from controls.kpi_models import Kpi, KpiExample, KpiSet, Measured, moment_of, rounded
from controls.kpi_sql import FormulaError, measure, require_formula
from controls.problems import Problem
from evidence.schema import IDENTITY_COLUMNS, TableSchema

_AS_OF = "2026-01-01T00:00:00Z"
"""The time that examples are measured at."""

Rows = Mapping[str, Sequence[Mapping[str, Any]]]


def kpi_problems(known: KpiSet, schemas: Mapping[str, TableSchema]) -> list[Problem]:
    """Return every problem of the KPIs; `schemas` are those of all tables that there are."""
    return [problem for kpi in known.kpis.values() for problem in _problems_of(known, kpi, schemas)]


def _problems_of(known: KpiSet, kpi: Kpi, schemas: Mapping[str, TableSchema]) -> Iterator[Problem]:
    for name in kpi.reads:
        if name not in schemas and name not in HISTORY_TABLES:
            near = difflib.get_close_matches(name, [*schemas, *HISTORY_TABLES], 1)
            yield Problem(
                known.where(kpi.id, "reads"),
                f"there is no table {name!r}",
                f"Did you mean {near[0]!r}?" if near else "",
            )
            return
    where = known.where(kpi.id, "formula")
    with _empty_tables(kpi, schemas) as database:
        try:
            require_formula(kpi)
            nothing = measure(database, kpi, moment_of(_AS_OF))
        except (FormulaError, duckdb.Error) as error:
            yield Problem(where, str(error).splitlines()[0])
            return
        if nothing.rows or nothing.left_out or nothing.value is not None:
            yield Problem(where, "it counts rows or gives a value although all tables are empty")
        if {example.expect is None for example in kpi.examples} != {True, False}:
            yield Problem(
                known.where(kpi.id, "examples"),
                "a KPI needs examples: one with a value, and one with rows that give none",
            )
        for index, example in enumerate(kpi.examples):
            place = known.where(kpi.id, "examples", str(index))
            for what in _wrong_in(database, kpi, example, schemas):
                yield Problem(place, what)


def _empty_tables(kpi: Kpi, schemas: Mapping[str, TableSchema]) -> duckdb.DuckDBPyConnection:
    database = open_database(_AS_OF)
    for name in kpi.reads:
        if name in schemas:
            create_empty_table(database, schemas[name])
    create_history(database)
    lock(database)
    return database


def _wrong_in(
    database: duckdb.DuckDBPyConnection,
    kpi: Kpi,
    example: KpiExample,
    schemas: Mapping[str, TableSchema],
) -> Iterator[str]:
    """Say what is wrong with one example."""
    try:
        rows = _rows_of(kpi, example, schemas)
        found = _measured(database, kpi, rows, schemas)
        turned = {name: list(reversed(given)) for name, given in rows.items()}
        again = _measured(database, kpi, turned, schemas)
        blind = _measured(database, kpi, _blinded(rows, schemas), schemas)
    except (ExampleError, FormulaError, duckdb.Error) as error:
        yield str(error).splitlines()[0]
        return
    shown = _shown(kpi, found)
    if shown != example.expect:
        yield f"the value is expected to be {example.expect} and is {shown}"
    if example.left_out is not None and found.left_out != example.left_out:
        yield f"{example.left_out} rows are expected to be left out, and {found.left_out} are"
    if again != found:
        yield f"the value is {shown}, and {_shown(kpi, again)} with its rows in another order"
    if blind.value is not None:
        yield f"the value is {_shown(kpi, blind)} although nothing is known about its rows"


def _shown(kpi: Kpi, found: Measured) -> Decimal | None:
    return None if found.value is None else rounded(found.value, kpi.decimals)


def _rows_of(kpi: Kpi, example: KpiExample, schemas: Mapping[str, TableSchema]) -> Rows:
    """Return the example's rows as tables have them. Raises ExampleError."""
    for name in example.tables:
        if name not in kpi.reads:
            raise ExampleError(f"the KPI does not read {name!r}")
    found: dict[str, list[Mapping[str, Any]]] = {}
    for name, rows in example.tables.items():
        if name in schemas:
            found[name] = [row_of(schemas[name], row) for row in rows]
            continue
        for row in rows:
            for column in row.keys() - HISTORY_TABLES[name].keys():
                raise ExampleError(f"{name} has no column {column!r}")
        found[name] = list(rows)
    return found


def _blinded(rows: Rows, schemas: Mapping[str, TableSchema]) -> Rows:
    """Return the same rows with all facets unobserved; history is ours, and known or not there."""
    return {
        name: [{k: v for k, v in row.items() if k in IDENTITY_COLUMNS} for row in given]
        for name, given in rows.items()
        if name in schemas
    }


def _measured(
    database: duckdb.DuckDBPyConnection,
    kpi: Kpi,
    rows: Rows,
    schemas: Mapping[str, TableSchema],
) -> Measured:
    """Measure over some rows; `database` has empty tables and is left so."""
    try:
        for name, given in rows.items():
            if name in schemas:
                insert_rows(database, schemas[name], given)
            else:
                _insert_history(database, name, given)
        return measure(database, kpi, moment_of(_AS_OF))
    finally:
        for name in rows:
            database.execute(f"DELETE FROM {name}")


def _insert_history(
    database: duckdb.DuckDBPyConnection, name: str, rows: Sequence[Mapping[str, Any]]
) -> None:
    for row in rows:
        kinds = {column: HISTORY_TABLES[name][column] for column in row}
        values = ", ".join(literal(row[column], kind) for column, kind in kinds.items())
        database.execute(f"INSERT INTO {name} ({', '.join(kinds)}) VALUES ({values})")
