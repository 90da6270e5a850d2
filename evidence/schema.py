"""The shape of a resource table: facets of typed fields, and their DuckDB types.

A table has a few identity columns (`provider`, `account`, `region`, `id`, `name`, `tags`), one
STRUCT column a facet, and the maps `errors` (facet -> why it is NULL) and `captures` (facet ->
references of the captures that it came from). A facet is NULL when it was not observed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SCALARS = {
    "text": "VARCHAR",
    "boolean": "BOOLEAN",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "timestamp": "TIMESTAMP",
}
"""Scalar field types and the DuckDB type of each."""

IDENTITY_COLUMNS = {
    "provider": "VARCHAR",
    "account": "VARCHAR",
    "region": "VARCHAR",
    "id": "VARCHAR",
    "name": "VARCHAR",
    "tags": "MAP(VARCHAR, VARCHAR)",
}
"""Columns of every table before its facets; `tags` is NULL when tags were not observed."""

BOOKKEEPING_COLUMNS = {
    "errors": "MAP(VARCHAR, VARCHAR)",
    "captures": "MAP(VARCHAR, VARCHAR[])",
}
"""Columns of every table after its facets."""

RESERVED_NAMES = frozenset({*IDENTITY_COLUMNS, *BOOKKEEPING_COLUMNS, "fact", "param"})
"""Names that no facet may take."""


@dataclass(frozen=True)
class Field:
    """One typed leaf (or list) of a facet.

    `type` is a scalar of `SCALARS`, `tags` (map of text), `policy` (list of policy statements) or
    `list`; a list has either `of` (scalar) or `fields` (elements are structs). `absent` is the
    value that stands for "observed, and there is none"; None means that a missing value stays
    unknown.
    """

    name: str
    type: str
    of: str = ""
    fields: tuple[Field, ...] = ()
    absent: Any = None
    about: str = ""

    @property
    def sql_type(self) -> str:
        """The DuckDB type of this field."""
        if self.type == "tags":
            return "MAP(VARCHAR, VARCHAR)"
        if self.type == "policy":
            return _struct(POLICY_STATEMENT) + "[]"
        if self.type == "list":
            return (_struct(self.fields) if self.fields else SCALARS[self.of]) + "[]"
        return SCALARS[self.type]


@dataclass(frozen=True)
class Facet:
    """What one API call (or a few that belong together) said about a resource."""

    name: str
    fields: tuple[Field, ...]
    operations: tuple[str, ...] = ()
    about: str = ""

    @property
    def sql_type(self) -> str:
        """The DuckDB STRUCT type of this facet."""
        return _struct(self.fields)


@dataclass(frozen=True)
class TableSchema:
    """Everything that a check may rely on about one resource type."""

    resource_type: str
    provider: str
    scope: str
    facets: tuple[Facet, ...]
    title: str = ""
    native_type: str = ""
    service: str = ""

    @property
    def facet_names(self) -> tuple[str, ...]:
        """Names of the facets, in declared order."""
        return tuple(facet.name for facet in self.facets)

    def columns(self) -> dict[str, str]:
        """Return every column and its DuckDB type, in table order."""
        facets = {facet.name: facet.sql_type for facet in self.facets}
        return {**IDENTITY_COLUMNS, **facets, **BOOKKEEPING_COLUMNS}

    def paths(self) -> list[str]:
        """Return every dotted path that an expression may use, for "did you mean" hints."""
        found = ["account", "region", "id", "name", "tags"]
        for facet in self.facets:
            found.append(facet.name)
            found.extend(f"{facet.name}.{field.name}" for field in facet.fields)
        return found


def _struct(fields: tuple[Field, ...]) -> str:
    inner = ", ".join(f'"{field.name}" {field.sql_type}' for field in fields)
    return f"STRUCT({inner})"


def _texts(name: str, about: str) -> Field:
    return Field(name, "list", of="text", absent=[], about=about)


POLICY_STATEMENT: tuple[Field, ...] = (
    Field("sid", "text", absent="", about="statement id"),
    Field("effect", "text", about="Allow or Deny"),
    _texts("principals", "who, as kind:value (AWS:*, Service:lambda.amazonaws.com); * for all"),
    _texts("not_principals", "everyone but these"),
    _texts("actions", "actions as written, lower case"),
    _texts("not_actions", "all actions but these, lower case"),
    _texts("resources", "resources as written"),
    _texts("not_resources", "all resources but these"),
    Field(
        "conditions",
        "list",
        fields=(
            Field("operator", "text", about="operator, lower case"),
            Field("key", "text", about="condition key, lower case"),
            _texts("values", "values as text"),
        ),
        absent=[],
        about="one element a condition key",
    ),
)
"""The element of a `policy` field: an IAM-style statement with every list made explicit."""
