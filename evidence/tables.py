"""Typed Parquet tables: one a resource type, made from rows that were validated already.

Row files are JSON lines, one row each (see `evidence.schema`). They are sorted by account, region
and id, and DuckDB turns them into Parquet as it reads them: the same rows give the same table on
any machine, and memory does not grow with their number.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import orjson

from evidence.errors import StoreError
from evidence.schema import Facet, Field, TableSchema
from evidence.tables_order import SortedRows, sort_rows

_GROUP_BYTES = 16 * 1024 * 1024
"""JSON of the rows that are in memory at a time: those of one row group."""

_LARGEST_GROUP = 122_880
"""Rows: DuckDB's own choice, whatever their width."""

_SHORTEST_LIMIT = 1024 * 1024
"""Bytes. Rows up to here are read through one buffer that is large enough for many."""


def write_table(schema: TableSchema, row_files: Sequence[Path], target: Path) -> int:
    """Write the Parquet table of `schema` from JSON-lines `row_files`; return the row count.

    Needs room for a copy of the rows beside `target` while it works. Raises StoreError when the
    rows cannot be read or the table cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="rows-", dir=target.parent) as scratch:
            rows = sort_rows(row_files, Path(scratch) / "sorted.jsonl")
            return _copy(schema, rows, target)
    except (OSError, msgspec.DecodeError, duckdb.Error) as error:
        raise StoreError(
            f"the table {schema.resource_type} could not be written: {error}",
            where=str(target),
            mend="Check that the disk has room, then run the same command with --resume.",
        ) from error


def _copy(schema: TableSchema, rows: SortedRows, target: Path) -> int:
    """Let DuckDB copy sorted rows: one thread takes them one by one, in their order."""
    with duckdb.connect() as database:
        database.execute("SET preserve_insertion_order=true; SET threads=1")
        database.execute(
            f"COPY (SELECT * FROM {_source(schema, rows)}) TO {_quoted(str(target))}"
            f" (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1,"
            f" ROW_GROUP_SIZE {_group_size(rows)})"
        )
        found = database.execute(f"SELECT count(*) FROM {_quoted(str(target))}").fetchone()
        return int(found[0]) if found else 0


def _group_size(rows: SortedRows) -> int:
    return max(1, min(_LARGEST_GROUP, _GROUP_BYTES * rows.rows // max(1, rows.size)))


def _source(schema: TableSchema, rows: SortedRows) -> str:
    columns = schema.columns()
    if not rows.rows:
        nothing = ", ".join(f'NULL::{kind} AS "{name}"' for name, kind in columns.items())
        return f"(SELECT {nothing} WHERE false)"
    declared = ", ".join(f"{_quoted(name)}: {_quoted(kind)}" for name, kind in columns.items())
    return (
        f"read_json({_quoted(str(rows.file))}, format='newline_delimited', columns={{{declared}}},"
        f" maximum_object_size={max(_SHORTEST_LIMIT, rows.longest)})"
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
