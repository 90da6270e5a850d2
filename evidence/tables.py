"""Typed Parquet tables: one a resource type, made from rows that were validated already.

Row files are JSON lines, one row each (see `evidence.schema`). DuckDB turns them into Parquet,
sorted by account, region and id, so that the same rows give the same table.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import orjson

from evidence.errors import StoreError
from evidence.schema import Facet, Field, TableSchema

_LONGEST_ROW = 256 * 1024 * 1024


def write_table(schema: TableSchema, row_files: Sequence[Path], target: Path) -> int:
    """Write the Parquet table of `schema` from JSON-lines `row_files`; return the row count.

    Raises StoreError when DuckDB cannot read the rows or write the table.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as database:
        database.execute("SET preserve_insertion_order=true; SET threads=2")
        source = _source(schema, row_files)
        order = "ORDER BY provider, account, region, id"
        try:
            database.execute(
                f"COPY (SELECT * FROM {source} {order}) TO {_quoted(str(target))}"
                " (FORMAT parquet, COMPRESSION zstd)"
            )
            return _count(database, target)
        except duckdb.Error as error:
            raise StoreError(
                f"the table {schema.resource_type} could not be written: {error}",
                where=str(target),
                mend="Check that the disk has room, then run the same command with --resume.",
            ) from error


def _count(database: duckdb.DuckDBPyConnection, target: Path) -> int:
    found = database.execute(f"SELECT count(*) FROM {_quoted(str(target))}").fetchone()
    return int(found[0]) if found else 0


def _source(schema: TableSchema, row_files: Sequence[Path]) -> str:
    columns = schema.columns()
    files = [file for file in row_files if file.stat().st_size]
    if not files:
        nothing = ", ".join(f'NULL::{kind} AS "{name}"' for name, kind in columns.items())
        return f"(SELECT {nothing} WHERE false)"
    declared = ", ".join(f"{_quoted(name)}: {_quoted(kind)}" for name, kind in columns.items())
    paths = ", ".join(_quoted(str(file)) for file in files)
    return (
        f"read_json([{paths}], format='newline_delimited', columns={{{declared}}},"
        f" maximum_object_size={_LONGEST_ROW})"
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def schemas_as_json(schemas: Sequence[TableSchema]) -> bytes:
    """Return the schemas as one JSON document, kept in the snapshot beside its tables."""
    document = {schema.resource_type: _schema_as_dict(schema) for schema in schemas}
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)


def schemas_from_json(data: bytes) -> dict[str, TableSchema]:
    """Return the schemas that `schemas_as_json` wrote, by resource type."""
    return {name: _schema_from_dict(name, value) for name, value in orjson.loads(data).items()}


def _schema_as_dict(schema: TableSchema) -> dict[str, Any]:
    return {
        "provider": schema.provider,
        "scope": schema.scope,
        "service": schema.service,
        "title": schema.title,
        "native_type": schema.native_type,
        "facets": [
            {
                "name": facet.name,
                "about": facet.about,
                "operations": list(facet.operations),
                "fields": [_field_as_dict(field) for field in facet.fields],
            }
            for facet in schema.facets
        ],
    }


def _field_as_dict(field: Field) -> dict[str, Any]:
    return {
        "name": field.name,
        "type": field.type,
        "of": field.of,
        "absent": field.absent,
        "about": field.about,
        "fields": [_field_as_dict(inner) for inner in field.fields],
    }


def _schema_from_dict(name: str, value: dict[str, Any]) -> TableSchema:
    facets = tuple(
        Facet(
            facet["name"],
            tuple(_field_from_dict(field) for field in facet["fields"]),
            tuple(facet["operations"]),
            facet["about"],
        )
        for facet in value["facets"]
    )
    return TableSchema(
        name,
        value["provider"],
        value["scope"],
        facets,
        value["title"],
        value["native_type"],
        value["service"],
    )


def _field_from_dict(value: dict[str, Any]) -> Field:
    inner = tuple(_field_from_dict(field) for field in value["fields"])
    return Field(value["name"], value["type"], value["of"], inner, value["absent"], value["about"])
