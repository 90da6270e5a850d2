"""Strict, facet-atomic typing of rows, before they become a table.

DuckDB's own JSON casts are lax ("5" becomes 5, 1 becomes true), so a row is decoded with msgspec
in strict mode first. One bad leaf makes its whole facet NULL, with a data-quality note that names
the path: a wrong type is never half believed.
"""

from __future__ import annotations

import datetime
import sys
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

from evidence.schema import POLICY_STATEMENT, Facet, Field, TableSchema
from evidence.storable import is_storable

_BIGINT = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_FINITE = Annotated[float, msgspec.Meta(ge=-sys.float_info.max, le=sys.float_info.max)]
_SCALARS: dict[str, Any] = {
    "text": str,
    "boolean": bool,
    "integer": _BIGINT,
    "number": _FINITE,
    "timestamp": Annotated[datetime.datetime, msgspec.Meta(tz=False)],
}
"""A timestamp is UTC without a zone: DuckDB's cast would drop an offset."""


@dataclass(frozen=True)
class BadType:
    """A facet that was refused: which resource, which facet, and what msgspec says of it."""

    resource_id: str
    facet: str
    detail: str


class RowValidator:
    """Validates the rows of one table; make one a table and reuse it."""

    def __init__(self, schema: TableSchema) -> None:
        self._facets = {facet.name: _facet_type(facet) for facet in schema.facets}

    def clean(self, row: dict[str, Any]) -> list[BadType]:
        """Replace every wrongly typed facet of `row` by None, in place.

        The reason is put into `row["errors"]`; the refusals are returned.
        """
        refused = []
        for name, expected in self._facets.items():
            value = row.get(name)
            if value is None:
                continue
            why = _why_refused(value, expected)
            if why:
                row[name] = None
                row["errors"][name] = detail = f"bad_type: {why}"
                refused.append(BadType(str(row["id"]), name, detail))
        return refused


def _why_refused(value: Any, expected: Any) -> str:
    try:
        msgspec.convert(value, expected, strict=True)
    except msgspec.ValidationError as error:
        return str(error)
    return "" if is_storable(value) else "a text holds half a character"


def _facet_type(facet: Facet) -> Any:
    return _struct_type(f"facet_{facet.name}", facet.fields)


def _struct_type(name: str, fields: tuple[Field, ...]) -> Any:
    members = [(field.name, _field_type(name, field), None) for field in fields]
    return msgspec.defstruct(name, members, forbid_unknown_fields=True)


def _field_type(parent: str, field: Field) -> Any:
    return _element_type(parent, field) | None


def _element_type(parent: str, field: Field) -> Any:
    if field.type == "tags":
        return dict[str, str]
    if field.type == "policy":
        return _list_of(_struct_type("statement", POLICY_STATEMENT))
    if field.type == "list":
        inner = _struct_type(f"{parent}_{field.name}", field.fields) if field.fields else None
        return _list_of(inner or _SCALARS[field.of])
    return _SCALARS[field.type]


def _list_of(element: Any) -> Any:
    return list.__class_getitem__(element)
