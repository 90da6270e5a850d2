"""How a resource type's YAML declares its facets: the model, and the table schema it yields.

The same for every provider. A facet is a mapping of field names to fields; `from` names the call
(or calls) that it comes from, and defaults to the listing.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from evidence.redaction import parse_path
from evidence.schema import RESERVED_NAMES
from evidence.schema import Facet as SchemaFacet
from evidence.schema import Field as SchemaField

FieldType = Literal["text", "boolean", "integer", "number", "timestamp", "tags", "policy", "list"]
Decode = Literal[
    "boolean", "integer", "number", "timestamp", "epoch", "epoch_ms", "lower", "seconds"
]

_NAME = re.compile(r"^[a-z][a-z0-9_]*$")


class Strict(BaseModel):
    """A model that refuses keys it does not know, and cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def _check_redacted(path: str) -> str:
    parse_path(path)
    return path


RedactedPath = Annotated[str, AfterValidator(_check_redacted)]
"""A path of what is always taken out of an answer, as `evidence.redaction` takes it."""


def check_jmespath(expression: str | None) -> str | None:
    """Return `expression` if it is JMESPath. Raises ValueError."""
    if expression is not None:
        try:
            jmespath.compile(expression)
        except JMESPathError as error:
            raise ValueError(f"not a JMESPath expression: {error}") from error
    return expression


def check_name(name: str) -> str:
    """Return `name` if a facet or field may be called so. Raises ValueError."""
    if not _NAME.match(name):
        raise ValueError(f"{name!r} is not a name of lower-case letters, digits and _")
    return name


class FieldSpec(Strict):
    """One field of a facet.

    `path` is JMESPath over the call's answer (over the element, inside a list). `absent` is the
    value of "observed, and there is none". `decode` turns text into what it stands for;
    `seconds` is of lengths of time such as 3.5s, 7d, 24h.
    """

    type: FieldType
    path: str = "@"
    absent: Any = None
    about: str = ""
    of: Literal["text", "boolean", "integer", "number", "timestamp"] | None = None
    fields: dict[str, FieldSpec] = Field(default_factory=dict)
    decode: Decode | None = None

    _path = field_validator("path")(check_jmespath)

    @model_validator(mode="after")
    def _list_says_of_what(self) -> FieldSpec:
        if self.type == "list" and bool(self.of) == bool(self.fields):
            raise ValueError("a list has either `of` (a scalar type) or `fields`")
        if self.type != "list" and (self.of or self.fields):
            raise ValueError("only a list has `of` or `fields`")
        for name in self.fields:
            check_name(name)
        return self

    def schema_field(self, name: str) -> SchemaField:
        """Return the field as a table schema states it."""
        inner = tuple(spec.schema_field(key) for key, spec in self.fields.items())
        return SchemaField(name, self.type, self.of or "", inner, self.absent, self.about)


class FacetSpec(Strict):
    """A facet: what one call (or several together) said about a resource."""

    sources: tuple[str, ...]
    fields: dict[str, FieldSpec]
    about: str = ""

    @model_validator(mode="before")
    @classmethod
    def _from_yaml(cls, value: Any) -> Any:
        if not isinstance(value, dict) or "sources" in value:
            return value
        fields = dict(value)
        source = fields.pop("from", "list")
        about = fields.pop("about", "")
        sources = source if isinstance(source, list) else [source]
        return {"sources": sources, "fields": fields, "about": about}

    @model_validator(mode="after")
    def _has_fields(self) -> FacetSpec:
        if not self.fields:
            raise ValueError("a facet has at least one field")
        for name in self.fields:
            check_name(name)
        return self

    def schema_facet(self, name: str, operations: tuple[str, ...]) -> SchemaFacet:
        """Return the facet as a table schema states it."""
        fields = tuple(spec.schema_field(key) for key, spec in self.fields.items())
        return SchemaFacet(name, fields, operations, self.about)


class TagsSpec(Strict):
    """Where a resource's tags are: the call, and the JMESPath of the tag list or map."""

    source: str = Field(default="list", alias="from")
    path: str

    _path = field_validator("path")(check_jmespath)


def check_facet_names(facets: dict[str, FacetSpec]) -> dict[str, FacetSpec]:
    """Return `facets` if every name may be a column. Raises ValueError."""
    for name in facets:
        check_name(name)
        if name in RESERVED_NAMES:
            raise ValueError(f"{name!r} is the name of an identity column")
    return facets
