"""Formulas of KPIs: what their SQL may be, the words that it may use, and measuring by it."""

from __future__ import annotations

import datetime
import re
from decimal import Decimal
from fractions import Fraction
from typing import Any

import duckdb
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from controls.fact_sql import unsteady_calls
from controls.kpi_models import SCALES, Kpi, Measured

MOST_CAPTURES = 10
"""References that a figure cites; the rows that it rests on are counted, all of them."""

_FIGURES = frozenset({"value", "numerator", "denominator"})
_COUNTS = frozenset({"rows", "left_out"})
_OTHERS = {"captures": "VARCHAR[]", "unit": "VARCHAR", "why": "VARCHAR"}
_WHOLE = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?")
_DECIMAL = re.compile(r"DECIMAL\(\d+,\d+\)")
_LOCAL_TIMES = frozenset(
    {exp.DataType.Type.TIMESTAMPTZ, exp.DataType.Type.TIMESTAMPLTZ, exp.DataType.Type.TIMETZ}
)
_OF_THE_SNAPSHOT = frozenset({"days_since", "days_until"})

_WORDS = (
    # Complete seconds; an end before its beginning is a slip of the pen, and not known.
    "CREATE OR REPLACE MACRO seconds_between(beginning, ending) AS"
    " CASE WHEN ending >= beginning THEN date_sub('second', beginning, ending) END",
    # A measured number with six decimals, so that sums do not depend on their order.
    "CREATE OR REPLACE MACRO exact(number) AS TRY_CAST(number AS DECIMAL(28, 6))",
    # The first captures of the rows that count.
    f"CREATE OR REPLACE MACRO cited(captures, counts) AS list_sort(list_distinct(flatten(flatten("
    f"list(map_values(captures)) FILTER (WHERE counts)))))[1:{MOST_CAPTURES}]",
)


class FormulaError(ValueError):
    """A formula is refused; the text says why."""


def require_formula(kpi: Kpi) -> None:
    """Raise FormulaError unless the formula is one steady SELECT over the tables declared."""
    try:
        trees = [tree for tree in sqlglot.parse(kpi.formula, read="duckdb") if tree is not None]
    except SqlglotError as error:
        raise FormulaError(f"syntax error: {str(error).splitlines()[0]}") from error
    if len(trees) != 1 or not isinstance(trees[0], exp.Select):
        raise FormulaError("a formula is exactly one SELECT")
    tree = trees[0]
    unsteady = unsteady_calls(tree)
    if unsteady:
        raise FormulaError(
            f"{unsteady[0]}() is not the same tomorrow: use in_window and window_end, which count"
            " from the snapshot's time"
        )
    if tree.find(exp.TableSample):
        raise FormulaError("a sample is drawn by chance: count all rows")
    if any(kind.this in _LOCAL_TIMES for kind in tree.find_all(exp.DataType)):
        raise FormulaError("a time with a zone depends on where it is read: all times are in UTC")
    called = {node.name.lower() for node in tree.find_all(exp.Anonymous)} & _OF_THE_SNAPSHOT
    if called:
        raise FormulaError(f"{min(called)} knows no window: use seconds_between with window_end()")
    _require_declared_tables(kpi, tree)


def _require_declared_tables(kpi: Kpi, tree: exp.Select) -> None:
    own = {cte.alias for cte in tree.find_all(exp.CTE)}
    used = set()
    for table in tree.find_all(exp.Table):
        plain = isinstance(table.this, exp.Identifier) and not table.db
        if not plain or table.name not in own | set(kpi.reads):
            raise FormulaError(f"it reads {table.sql('duckdb')}, which `reads` does not name")
        used.add(table.name)
    for name in kpi.reads:
        if name not in used:
            raise FormulaError(f"`reads` names {name}, and the formula does not read it")


def measure(database: duckdb.DuckDBPyConnection, kpi: Kpi, end: datetime.datetime) -> Measured:
    """Measure a KPI over the tables of `database`, with the window that ends at `end`.

    Raises FormulaError when the formula gives another thing than one exact figure, duckdb.Error
    when it does not run.
    """
    _say_window(database, kpi, end)
    query = f"SELECT * FROM ({kpi.formula.strip().removesuffix(';')}\n) AS formula"
    columns = database.execute(f"DESCRIBE {query}").fetchall()
    types = {str(row[0]): str(row[1]) for row in columns}
    _require_columns(types)
    found = database.execute(query).fetchmany(2)
    if len(found) != 1:
        raise FormulaError(f"a formula gives one row, and this one gives {len(found) or 'none'}")
    return _measured(kpi, dict(zip(types, found[0], strict=True)))


def _say_window(database: duckdb.DuckDBPyConnection, kpi: Kpi, end: datetime.datetime) -> None:
    """Define the words of formulas for one KPI and one time."""
    for macro in _WORDS:
        database.execute(macro)
    database.execute(f"CREATE OR REPLACE MACRO window_end() AS TIMESTAMP '{end}'")
    for name in ("window_start", "window_days", "in_window"):
        database.execute(f"DROP MACRO IF EXISTS {name}")
    if kpi.window is None:
        return
    start = end - datetime.timedelta(days=kpi.window)
    database.execute(f"CREATE MACRO window_start() AS TIMESTAMP '{start}'")
    database.execute(f"CREATE MACRO window_days() AS {kpi.window}")
    database.execute(
        f"CREATE MACRO in_window(moment) AS"
        f" (moment > TIMESTAMP '{start}' AND moment <= TIMESTAMP '{end}')"
    )


def _require_columns(types: dict[str, str]) -> None:
    for name, kind in types.items():
        whole = bool(_WHOLE.fullmatch(kind))
        if name in _FIGURES and not whole and not _DECIMAL.fullmatch(kind):
            raise FormulaError(f"{name} is {kind}, which rounds: use whole numbers or exact()")
        if name in _COUNTS and not whole:
            raise FormulaError(f"{name} is {kind}: it counts rows")
        if name in _OTHERS and kind != _OTHERS[name]:
            raise FormulaError(f"{name} is {kind}, it must be {_OTHERS[name]}")
        if name not in _FIGURES | _COUNTS and name not in _OTHERS:
            raise FormulaError(f"a formula has no column {name!r}")
    missing = sorted(_COUNTS - types.keys())
    if missing:
        raise FormulaError(f"the formula does not give {missing[0]}")
    if _FIGURES & types.keys() not in ({"value"}, {"numerator", "denominator"}):
        raise FormulaError("a formula gives either value, or numerator and denominator")


def _measured(kpi: Kpi, row: dict[str, Any]) -> Measured:
    numerator, denominator = (_decimal(row.get(name)) for name in ("numerator", "denominator"))
    exact = row.get("value")
    value = None if exact is None else Fraction(exact)
    if numerator is not None and denominator:
        value = Fraction(numerator) / Fraction(denominator)
    known = value is not None and row["rows"]
    return Measured(
        value * SCALES.get(kpi.unit, Fraction(1)) if value is not None and known else None,
        numerator if known else None,
        denominator if known else None,
        int(row["rows"] or 0),
        int(row["left_out"] or 0),
        tuple(row.get("captures") or ())[:MOST_CAPTURES],
        row.get("unit") or "",
        row.get("why") or "",
    )


def _decimal(number: Any) -> Decimal | None:
    return None if number is None else Decimal(number)
