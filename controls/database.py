"""The DuckDB database that judges: macros, tables, locked against everything outside.

After `lock`, SQL can read only the folders allowed, and no setting can be changed. Cursors of one
connection share its tables and macros, so checks run on several cursors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from evidence.schema import TableSchema

_MACROS = Path(__file__).parent / "macros.sql"

UNITS_DDL = (
    "CREATE TABLE units (provider VARCHAR, account VARCHAR, region VARCHAR, resource_type VARCHAR,"
    " observed BOOLEAN, detail VARCHAR, captures VARCHAR[])"
)
"""What was asked and whether it was answered: one row a unit of the snapshot."""


def open_database(
    as_of: str, *, memory_limit: str = "", spill: str = ""
) -> duckdb.DuckDBPyConnection:
    """Return an in-memory database with the macros; ages count from `as_of` (ISO 8601 UTC).

    What does not fit into `memory_limit` (like "2GB") goes to files in the folder `spill`.
    """
    database = duckdb.connect(config={"threads": 2, "preserve_insertion_order": True})
    if memory_limit:
        database.execute("SET memory_limit = ?", [memory_limit])
    if spill:
        database.execute("SET temp_directory = ?", [spill])
    database.execute(_MACROS.read_text())
    moment = as_of.replace("T", " ").removesuffix("Z").split("+")[0]
    database.execute(
        f"CREATE MACRO days_since(moment) AS"
        f" CAST(floor(date_diff('second', moment, TIMESTAMP '{moment}') / 86400.0) AS BIGINT)"
    )
    database.execute(
        f"CREATE MACRO days_until(moment) AS"
        f" CAST(floor(date_diff('second', TIMESTAMP '{moment}', moment) / 86400.0) AS BIGINT)"
    )
    database.execute(UNITS_DDL)
    return database


def lock(database: duckdb.DuckDBPyConnection, folders: Sequence[Path] = ()) -> None:
    """Allow reading and writing in `folders` only, and no more changes of settings."""
    allowed = ", ".join(quoted(str(folder)) for folder in folders)
    database.execute(f"SET allowed_directories = [{allowed}]")
    database.execute("SET enable_external_access = false")
    database.execute("SET lock_configuration = true")


def create_empty_table(database: duckdb.DuckDBPyConnection, schema: TableSchema) -> None:
    """Create the table of a resource type without rows, for binding and for examples."""
    columns = ", ".join(f'"{name}" {kind}' for name, kind in schema.columns().items())
    database.execute(f"CREATE TABLE {schema.resource_type} ({columns})")


def attach_table(database: duckdb.DuckDBPyConnection, schema: TableSchema, parquet: Path) -> None:
    """Create a view over the Parquet table of a snapshot."""
    database.execute(
        f"CREATE VIEW {schema.resource_type} AS SELECT * FROM read_parquet({quoted(str(parquet))})"
    )


def insert_rows(
    database: duckdb.DuckDBPyConnection, schema: TableSchema, rows: Sequence[Mapping[str, Any]]
) -> None:
    """Insert rows given as Python values (examples) into a table made by `create_empty_table`."""
    for row in rows:
        given = {k: kind for k, kind in schema.columns().items() if row.get(k) is not None}
        names = ", ".join(f'"{name}"' for name in given)
        values = ", ".join(literal(row[name], kind) for name, kind in given.items())
        database.execute(f"INSERT INTO {schema.resource_type} ({names}) VALUES ({values})")


def literal(value: Any, kind: str) -> str:
    """Return `value` as a DuckDB literal of type `kind`."""
    return f"CAST({_plain_literal(value)} AS {kind})"


def _plain_literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, dict):
        if not value:
            return "MAP {}"
        return "{" + ", ".join(f"{quoted(k)}: {_plain_literal(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_plain_literal(item) for item in value) + "]"
    return quoted(str(value))


def quoted(text: str) -> str:
    """Return `text` as an SQL text literal."""
    return "'" + text.replace("'", "''") + "'"
