"""Examples of checks and facts as rows: a facet that is named is observed, any other is not."""

from __future__ import annotations

from typing import Any

from controls.models import Example
from evidence.schema import IDENTITY_COLUMNS, Field, TableSchema


class ExampleError(ValueError):
    """An example that names something the resource type does not have."""


def example_row(example: Example, schema: TableSchema) -> dict[str, Any]:
    """Return the table row that a check's example stands for."""
    return row_of(schema, {name: value for name, value in example.row.items() if name != "fact"})


def row_of(schema: TableSchema, given: dict[str, Any]) -> dict[str, Any]:
    """Return a row of `schema` from the facets and columns given. Raises ExampleError."""
    row: dict[str, Any] = {
        "provider": schema.provider,
        "account": "111111111111",
        "region": "us-east-1" if schema.scope == "region" else "global",
        "id": f"example-{schema.resource_type}",
        "name": "example",
        "errors": {},
        "captures": {},
    }
    facets = {facet.name: facet for facet in schema.facets}
    for name, value in given.items():
        if name in IDENTITY_COLUMNS:
            row[name] = value
        elif name in facets:
            row[name] = _facet(name, facets[name].fields, value)
        else:
            raise ExampleError(f"{schema.resource_type} has no facet or column {name!r}")
    return row


def _facet(name: str, fields: tuple[Field, ...], given: Any) -> Any:
    if given is None:
        return None
    if not isinstance(given, dict):
        raise ExampleError(f"the facet {name!r} is a mapping of its fields")
    return _struct(name, fields, given)


def _struct(path: str, fields: tuple[Field, ...], given: dict[str, Any]) -> dict[str, Any]:
    known = {field.name for field in fields}
    unknown = sorted(set(given) - known)
    if unknown:
        names = ", ".join(sorted(known))
        raise ExampleError(f"{path} has no field {unknown[0]!r}; it has: {names}")
    return {field.name: _value(path, field, given) for field in fields}


def _value(path: str, field: Field, given: dict[str, Any]) -> Any:
    value = given.get(field.name, field.absent)
    inner = field.fields
    if field.type == "policy":
        from evidence.schema import POLICY_STATEMENT

        inner = POLICY_STATEMENT
    if inner and isinstance(value, list | tuple):
        return [_struct(f"{path}.{field.name}", inner, item) for item in value]
    return value
