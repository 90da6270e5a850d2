"""Facts: joins and set-wise values, evaluated once and joined to the rows of their subject.

A gap in a table that a fact reads makes its values NULL for that account (or region): what was not
read cannot be counted. A value of kind `any` stays TRUE, one of kind `all` stays FALSE, because one
observed case is enough for these.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import duckdb

from controls.database import literal, quoted
from controls.fact_sql import FactSqlError, names_in, require_steady_query
from controls.models import Fact, FactColumn
from evidence.units import GLOBAL_REGION

SQL_TYPES = {
    "text": "VARCHAR",
    "boolean": "BOOLEAN",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "timestamp": "TIMESTAMP",
    "texts": "VARCHAR[]",
}
"""Types of fact columns in DuckDB."""

_KEYS = {"account": ("account",), "region": ("account", "region"), "id": ("id",)}


def facts_of(facts: Iterable[Fact], subject: str) -> list[Fact]:
    """Return the facts about a resource type, by id."""
    return sorted((fact for fact in facts if fact.subject == subject), key=lambda fact: fact.id)


def fact_columns(facts: Sequence[Fact]) -> dict[str, FactColumn]:
    """Return all columns of the facts of one subject; a later fact must not repeat a name."""
    return {name: column for fact in facts for name, column in fact.columns.items()}


def materialise(database: duckdb.DuckDBPyConnection, fact: Fact) -> None:
    """Evaluate a fact into the table `fact_<id>`, and its read coverage into `cover_<id>`.

    Raises FactSqlError when the SQL is not one steady query or yields two rows for one subject,
    duckdb.Error when it does not run.
    """
    require_steady_query(fact.sql)
    columns = ", ".join(
        f"CAST({name} AS {SQL_TYPES[column.type]}) AS {name}"
        for name, column in fact.columns.items()
    )
    keys = ", ".join(_KEYS[fact.by])
    database.execute(
        f"CREATE TABLE fact_{fact.id} AS SELECT {keys}, {columns} FROM ({fact.sql}) AS source"
    )
    twice = database.execute(
        f"SELECT {keys} FROM fact_{fact.id} GROUP BY ALL HAVING count(*) > 1 LIMIT 1"
    ).fetchone()
    if twice:
        raise FactSqlError(f"the fact yields more than one row for {', '.join(map(str, twice))}")
    database.execute(f"CREATE TABLE cover_{fact.id} AS {_coverage(fact)}")


def _coverage(fact: Fact) -> str:
    """SQL: for each account and region of the subject, whether every table was read there.

    `captures` are those of the listings; facts of an account or region also cite the captures of
    the facets that their SQL names, row by row.
    """
    reads = ", ".join(quoted(name) for name in fact.reads)
    captures = "flatten(list(u.captures ORDER BY u.resource_type, u.region, u.account))"
    if fact.by != "id":
        cited = f"SELECT list(DISTINCT c.capture) FROM ({_citations(fact)}) AS c WHERE"
        captures = f"list_concat({captures}, coalesce(({cited} {_is_of(fact, 'c')}), []))"
    return (
        "SELECT p.account, p.region,"
        f" count(DISTINCT u.resource_type) FILTER (WHERE u.observed) = {len(fact.reads)}"
        " AND bool_and(u.observed) AS whole,"
        f" {captures} AS captures,"
        " string_agg(u.resource_type || ' in ' || u.region || ': ' || u.detail, '; '"
        " ORDER BY u.resource_type, u.region, u.account) FILTER (WHERE NOT u.observed) AS missing"
        f" FROM (SELECT DISTINCT account, region FROM {fact.subject}) AS p"
        f" LEFT JOIN units AS u ON u.resource_type IN ({reads}) AND {_is_of(fact, 'u')}"
        " GROUP BY p.account, p.region"
    )


def _is_of(fact: Fact, table: str) -> str:
    """SQL: whether what was read belongs to the subject's place.

    It does in the subject's own account, and in every account of another kind: where subscriptions
    are judged by what their tenant holds, or projects by their organisation, all of it counts,
    since only the fact's SQL knows which belongs to which. A type of Google Cloud may be of both
    kinds; of two accounts one is then of another kind where one of them holds projects.
    """
    own = f"SELECT account FROM units WHERE resource_type = {quoted(fact.subject)}"
    above = " OR ".join(f"contains({one}.account, '/')" for one in (table, "p"))
    place = f"({table}.account = p.account OR {above} OR {table}.account NOT IN ({own}))"
    return place if fact.by == "account" else f"{place} AND {_same_region(table)}"


def _same_region(table: str) -> str:
    return (
        f"({table}.region = p.region OR {table}.region = {quoted(GLOBAL_REGION)}"
        f" OR p.region = {quoted(GLOBAL_REGION)})"
    )


def _citations(fact: Fact) -> str:
    """SQL: captures of the facets that the fact's SQL names, with account and region."""
    names = ", ".join(quoted(name) for name in names_in(fact.sql))
    return " UNION ALL ".join(
        f"SELECT account, region, unnest(flatten(list_transform(list_filter(map_entries(captures),"
        f" lambda e: e.key IN ({names})), lambda e: e.value))) AS capture FROM {name}"
        for name in fact.reads
    )


def materialise_unread(database: duckdb.DuckDBPyConnection, fact: Fact, why: str) -> None:
    """Stand in for a fact that cannot be evaluated over a snapshot: all its values are NULL."""
    keys = ", ".join(f"CAST(NULL AS VARCHAR) AS {key}" for key in _KEYS[fact.by])
    columns = ", ".join(
        f"CAST(NULL AS {SQL_TYPES[column.type]}) AS {name}" for name, column in fact.columns.items()
    )
    database.execute(
        f"CREATE OR REPLACE TABLE fact_{fact.id} AS SELECT {keys}, {columns} WHERE false"
    )
    database.execute(
        f"CREATE OR REPLACE TABLE cover_{fact.id} AS SELECT DISTINCT account, region,"
        f" false AS whole, CAST([] AS VARCHAR[]) AS captures, {quoted(why)} AS missing"
        f" FROM {fact.subject}"
    )


def row_source(subject: str, facts: Sequence[Fact]) -> str:
    """Return a FROM item: the rows of `subject` with the columns that facts add.

    These are `fact` (a STRUCT), `fact_captures` and `fact_missing` (which tables were not read).
    """
    if not facts:
        return (
            f"(SELECT *, NULL AS fact, CAST([] AS VARCHAR[]) AS fact_captures,"
            f" CAST(NULL AS VARCHAR) AS fact_missing FROM {subject})"
        )
    values: list[str] = []
    joins: list[str] = []
    captures: list[str] = []
    missing: list[str] = []
    for fact in facts:
        joins.append(_joined(fact))
        captures.append(f"coalesce(cover_{fact.id}.captures, [])")
        missing.append(f"cover_{fact.id}.missing")
        values.extend(
            f"{quoted(name)}: {_value(fact, name, column)}" for name, column in fact.columns.items()
        )
    return (
        f"(SELECT s.*, {{{', '.join(values)}}} AS fact,"
        f" list_distinct(flatten([{', '.join(captures)}])) AS fact_captures,"
        f" nullif(concat_ws('; ', {', '.join(missing)}), '') AS fact_missing"
        f" FROM {subject} AS s {' '.join(joins)})"
    )


def _joined(fact: Fact) -> str:
    on = " AND ".join(f"fact_{fact.id}.{key} = s.{key}" for key in _KEYS[fact.by])
    cover = f"cover_{fact.id}"
    return (
        f"LEFT JOIN fact_{fact.id} ON {on}"
        f" LEFT JOIN {cover} ON {cover}.account = s.account AND {cover}.region = s.region"
    )


def _value(fact: Fact, name: str, column: FactColumn) -> str:
    found = f"fact_{fact.id}.{name}"
    first_key = f"fact_{fact.id}.{_KEYS[fact.by][0]}"
    nothing = literal(column.none, SQL_TYPES[column.type])
    known = f"CASE WHEN {first_key} IS NULL THEN {nothing} ELSE {found} END"
    kept = {
        "any": f"CASE WHEN {found} THEN true END",
        "all": f"CASE WHEN NOT {found} THEN false END",
    }
    partial = kept.get(column.kind, f"CAST(NULL AS {SQL_TYPES[column.type]})")
    return f"CASE WHEN cover_{fact.id}.whole THEN {known} ELSE {partial} END"
