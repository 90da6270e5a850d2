"""Where two Parquet tables first differ, for people who have to find the reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import duckdb

_BATCH = 1000
_LONGEST_VALUE = 200
_NO_ROW: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Difference:
    """The first difference of two tables. `row` counts from 1; 0 means the columns themselves.

    `resource_id` is that of the row, and both values are texts, cut where they are long.
    """

    row: int
    resource_id: str
    column: str
    sealed: str
    remade: str

    def __str__(self) -> str:
        if not self.row:
            return f"columns differ: sealed {self.sealed}, made again {self.remade}"
        return (
            f"row {self.row} ({self.resource_id}), column {self.column}:"
            f" sealed {self.sealed}, made again {self.remade}"
        )


def first_difference(sealed: Path, remade: Path) -> Difference | None:
    """Return where two tables first differ in columns, types, rows or their order; None if nowhere.

    Memory stays flat: both are read in batches. Raises duckdb.Error when one cannot be read.
    """
    with duckdb.connect() as database:
        database.execute("SET preserve_insertion_order=true; SET threads=1")
        columns = _columns(database, sealed)
        others = _columns(database, remade)
        if columns != others:
            odd = next(pair for pair in zip_longest(columns, others) if pair[0] != pair[1])
            name = next(column[0] for column in odd if column is not None)
            sealed_as, remade_as = (" ".join(column or ("nothing",)) for column in odd)
            return Difference(0, "", name, _cut(sealed_as), _cut(remade_as))
        names = [column[0] for column in columns]
        pairs = zip_longest(_rows(database, sealed), _rows(database, remade), fillvalue=_NO_ROW)
        for number, (one, other) in enumerate(pairs, start=1):
            if one != other:
                return _difference(number, names, one, other)
    return None


def _columns(database: duckdb.DuckDBPyConnection, table: Path) -> list[tuple[str, str]]:
    found = database.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(table)]).fetchall()
    return [(row[0], row[1]) for row in found]


def _rows(database: duckdb.DuckDBPyConnection, table: Path) -> Iterator[tuple[Any, ...]]:
    cursor = database.cursor().execute("SELECT * FROM read_parquet(?)", [str(table)])
    while rows := cursor.fetchmany(_BATCH):
        yield from rows


def _difference(
    number: int, names: list[str], one: tuple[Any, ...], other: tuple[Any, ...]
) -> Difference:
    known = dict(zip(names, one or other, strict=True))
    resource = str(known.get("id", ""))
    if not one or not other:
        return Difference(number, resource, "id", _row_text(one), _row_text(other))
    for name, mine, theirs in zip(names, one, other, strict=True):
        if mine != theirs:
            return Difference(number, resource, *_inside(name, mine, theirs))
    raise AssertionError("two rows differ and none of their columns does")


def _inside(name: str, one: Any, other: Any) -> tuple[str, str, str]:
    """Return path and both values of what differs, as far down as both are structures."""
    while isinstance(one, dict) and isinstance(other, dict):
        keys = [*one, *(key for key in other if key not in one)]
        key = next((k for k in keys if one.get(k) != other.get(k)), None)
        if key is None:
            break
        name, one, other = f"{name}.{key}", one.get(key), other.get(key)
    return name, _text(one), _text(other)


def _row_text(row: tuple[Any, ...]) -> str:
    return "this row" if row else "no row"


def _text(value: Any) -> str:
    text = "nothing" if value is None else repr(value) if isinstance(value, str) else str(value)
    return _cut(text)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]} ..."
