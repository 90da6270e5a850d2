"""What the SQL of a fact may be: one query that gives the same answer over the same tables."""

from __future__ import annotations

import functools

import duckdb
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

_CLOCK_WORDS = frozenset(
    {"current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"}
)


class FactSqlError(ValueError):
    """A fact's SQL is refused; the text says why."""


def require_steady_query(sql: str) -> None:
    """Raise FactSqlError unless `sql` is exactly one query, without clock or chance."""
    try:
        trees = sqlglot.parse(sql, read="duckdb")
    except SqlglotError as error:
        raise FactSqlError(f"syntax error: {str(error).splitlines()[0]}") from error
    if len(trees) != 1 or not isinstance(trees[0], exp.Query):
        raise FactSqlError("a fact is exactly one query")
    unsteady = unsteady_calls(trees[0])
    if unsteady:
        raise FactSqlError(
            f"{unsteady[0]}() is not the same tomorrow: use days_since and days_until, which count"
            " from the snapshot's time"
        )


def unsteady_calls(tree: exp.Query) -> list[str]:
    """Return the functions of clock or chance that a query calls, sorted."""
    called = {_name_of(node) for node in tree.find_all(exp.Func)}
    return sorted(called & (_unsteady_functions() | _CLOCK_WORDS))


def names_in(sql: str) -> list[str]:
    """Return every name that a query uses, sorted: those of facets are among them."""
    tree = sqlglot.parse_one(sql, read="duckdb")
    return sorted({node.name for node in tree.find_all(exp.Identifier)})


def _name_of(node: exp.Func) -> str:
    if isinstance(node, exp.Anonymous):
        return node.name.lower()
    return str(node.sql("duckdb")).split("(", maxsplit=1)[0].lower()


@functools.cache
def _unsteady_functions() -> frozenset[str]:
    """Functions that DuckDB itself does not call consistent."""
    with duckdb.connect() as database:
        found = database.execute(
            "SELECT DISTINCT function_name FROM duckdb_functions()"
            " WHERE stability IN ('VOLATILE', 'CONSISTENT_WITHIN_QUERY')"
        ).fetchall()
    return frozenset(str(row[0]) for row in found)
