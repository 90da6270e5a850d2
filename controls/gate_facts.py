"""The gate for facts: their examples, and that nothing is known once no table could be read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import duckdb

from controls.catalogue import Catalogue
from controls.database import insert_rows, quoted
from controls.examples import ExampleError, row_of
from controls.fact_sql import FactSqlError
from controls.facts import materialise, row_source
from controls.models import Fact, FactExample
from controls.problems import Problem, no_such_type
from evidence.schema import IDENTITY_COLUMNS, TableSchema
from evidence.units import GLOBAL_REGION


def fact_problems(
    catalogue: Catalogue,
    fact: Fact,
    schemas: Mapping[str, TableSchema],
    database: duckdb.DuckDBPyConnection,
) -> Iterator[Problem]:
    """Yield what is wrong with a fact. `database` has an empty table for every schema."""
    for name in (fact.subject, *fact.reads):
        if name not in schemas:
            yield no_such_type(catalogue, "facts", fact.id, "reads", name, schemas)
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
            provider = quoted(schemas[fact.subject].provider)
            observed = "false" if name in example.unread else "true"
            database.execute(
                f"INSERT INTO units VALUES ({provider}, {quoted(subject['account'])},"
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
    if schema.scope != "region":
        return GLOBAL_REGION
    return str(subject["region"]) if subject["region"] != GLOBAL_REGION else "us-east-1"
