"""The model of a record type's YAML: which columns an export has, and what their values may be.

A record type is one file, `types/record_<what>.yaml`. Its table has one facet, `record`, that holds
the columns: a row of an export is one statement, so it is believed as a whole or not at all.
"""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator, model_validator

from collectors.fields import Strict, check_name
from evidence.schema import Facet, TableSchema
from evidence.schema import Field as SchemaField

PROVIDER = "records"
"""The provider and the service of records, as units and captures name them."""

OPERATION = "import"
"""What was done to get a record, as captures name it."""

FACET = "record"
"""The one facet of every record type."""

ColumnType = Literal["text", "boolean", "integer", "number", "timestamp"]

_APART = re.compile(r"[\s_-]+")


def spelling(text: str) -> str:
    """Return a header or an allowed value without what spellings differ in.

    That is case, and whether words are set apart by blanks, `_` or `-`.
    """
    return _APART.sub("_", text.strip()).casefold()


class ColumnSpec(Strict):
    """One column. `values` are the allowed ones; `aliases` other headers that exports have."""

    type: ColumnType
    about: str
    required: bool = False
    values: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _values_are_texts(self) -> ColumnSpec:
        if self.values and self.type != "text":
            raise ValueError("only a text has allowed values")
        odd = next((value for value in self.values if value != spelling(value)), None)
        if odd is not None:
            raise ValueError(f"the allowed value {odd!r} is not in lower case, with _ for blanks")
        return self


class RecordType(Strict):
    """One record type. See docs/formats.md, "Records".

    `id` names the column that tells records apart, `name` the one that people know them by (the
    id where there is none). What stands in the columns of `redact` is always taken out.
    """

    type: str = Field(pattern=r"^record_[a-z0-9_]+$")
    title: str
    about: str
    id: str = "id"
    name: str | None = None
    columns: dict[str, ColumnSpec]
    redact: tuple[str, ...] = ()

    @field_validator("columns")
    @classmethod
    def _named(cls, value: dict[str, ColumnSpec]) -> dict[str, ColumnSpec]:
        for name in value:
            check_name(name)
        return value

    @model_validator(mode="after")
    def _is_whole(self) -> RecordType:
        for name in (self.id, *(() if self.name is None else (self.name,)), *self.redact):
            if name not in self.columns:
                raise ValueError(f"there is no column {name!r}")
        own = self.columns[self.id]
        if own.type != "text" or not own.required:
            raise ValueError(f"the column {self.id!r} is the id: a text, and required")
        self._check_spellings()
        return self

    def _check_spellings(self) -> None:
        seen: dict[str, str] = {}
        for name, column in self.columns.items():
            for header in dict.fromkeys(map(spelling, (name, *column.aliases))):
                if header in seen:
                    raise ValueError(f"{header!r} is a header of {seen[header]!r} and {name!r}")
                seen[header] = name

    def table_schema(self) -> TableSchema:
        """Return what checks and indicators may rely on about this type."""
        fields = tuple(
            SchemaField(name, column.type, about=_about(column))
            for name, column in self.columns.items()
        )
        facet = Facet(FACET, fields, (OPERATION,), self.about)
        return TableSchema(self.type, PROVIDER, "account", (facet,), self.title, "", PROVIDER)


def _about(column: ColumnSpec) -> str:
    return f"{column.about} ({', '.join(column.values)})" if column.values else column.about
