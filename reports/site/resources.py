"""Resources as pages: which are shown, where, and their facets as they were read.

A resource lies on a page of its type, fifty a page, in the order of its table. Its anchor is a
digest of its identity, so it stays the same from one snapshot to the next.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import duckdb
import orjson

from controls.assessment import Finding
from controls.database import quoted
from evidence.schema import Facet, Field, TableSchema
from evidence.snapshot import Snapshot
from reports.site.names import hashed, page_name, slug
from reports.site.text import shortened
from reports.view import SEVERITY_ORDER, ReportView

PER_PAGE = 50
_VALUE_CHARACTERS = 20_000

Key = tuple[str, str, str, str]
"""What names a resource: type, account, region, id."""


def key_of(finding: Finding) -> Key:
    """The resource that a finding is about."""
    return finding.resource_type, finding.account, finding.region, finding.resource_id


def anchor_of(key: Key) -> str:
    """The id of a resource's section on its page."""
    return "r" + hashed(*key)


@dataclass
class ResourceIndex:
    """Where resources are shown. `recorded` counts all that the snapshot holds."""

    shown: int = 0
    recorded: int = 0
    pages: dict[Key, int] = field(default_factory=dict)
    by_type: dict[str, int] = field(default_factory=dict)

    def href(self, key: Key) -> str:
        """The address of a resource from the site's root; empty where it is not shown."""
        number = self.pages.get(key, 0)
        return f"{resource_page(key[0], number)}#{anchor_of(key)}" if number else ""

    @property
    def complete(self) -> bool:
        """Whether every resource of the snapshot is shown."""
        return self.shown == self.recorded


def resource_page(resource_type: str, number: int) -> str:
    """The address of a page of resources from the site's root."""
    return f"resources/{page_name(slug(resource_type), number)}"


def choose(view: ReportView, limit: int) -> ResourceIndex:
    """Return where each resource is shown.

    Where all fit they are all shown; else those with open findings, the most severe first.
    """
    wanted = None if view.resources <= limit else _with_open_findings(view, limit)
    index = ResourceIndex()
    for name in sorted(view.snapshot.schemas):
        on_pages = 0
        for account, region, identity in _rows(view.snapshot, name, "account, region, id"):
            key = (name, account, region, identity)
            index.recorded += 1
            if wanted is None or key in wanted:
                index.pages.setdefault(key, on_pages // PER_PAGE + 1)
                on_pages += 1
        index.by_type[name] = on_pages
        index.shown += on_pages
    return index


def _with_open_findings(view: ReportView, limit: int) -> set[Key]:
    found: dict[Key, None] = {}
    for status in ("failures", "not_evidenced"):
        for severity in SEVERITY_ORDER:
            for check in view.checks:
                if check.check.severity == severity:
                    found.update(dict.fromkeys(key_of(item) for item in getattr(check, status)))
    return set(list(found)[:limit])


def _rows(snapshot: Snapshot, resource_type: str, columns: str) -> Iterator[tuple[Any, ...]]:
    with duckdb.connect() as database:
        path = quoted(str(snapshot.table(resource_type)))
        found = database.execute(f"SELECT {columns} FROM read_parquet({path})")
        while batch := found.fetchmany(1_000):
            yield from batch


@dataclass(frozen=True)
class ValueView:
    """One value as text. `kind`: `unknown`, `none` (observed: there is none), `line` or `block`."""

    name: str
    about: str
    kind: str
    text: str
    cut: int = 0


@dataclass(frozen=True)
class FacetView:
    """A facet of a resource: its values, or why it was not observed."""

    name: str
    about: str
    observed: bool
    error: str
    values: tuple[ValueView, ...]
    captures: tuple[str, ...]


@dataclass(frozen=True)
class ResourceView:
    """A resource with its facets and the findings on it."""

    key: Key
    anchor: str
    name: str
    facets: tuple[FacetView, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class ResourcePage:
    """One page of resources of a type."""

    schema: TableSchema
    number: int
    of: int
    resources: tuple[ResourceView, ...]

    @property
    def path(self) -> str:
        """The page's address from the site's root."""
        return resource_page(self.schema.resource_type, self.number)


def resource_pages(
    snapshot: Snapshot, index: ResourceIndex, findings: Mapping[Key, list[Finding]]
) -> Iterator[ResourcePage]:
    """Yield the pages of all types, with the findings given by resource."""
    for name, schema in sorted(snapshot.schemas.items()):
        of = -(-index.by_type[name] // PER_PAGE)
        page: list[ResourceView] = []
        number = 1
        if not of:
            continue
        for row in _rows(snapshot, name, "*"):
            resource = _resource(schema, dict(zip(schema.columns(), row, strict=True)), findings)
            if resource.key not in index.pages:
                continue
            page.append(resource)
            if len(page) == PER_PAGE:
                yield ResourcePage(schema, number, of, _unique(page))
                page, number = [], number + 1
        if page:
            yield ResourcePage(schema, number, of, _unique(page))


def _unique(page: list[ResourceView]) -> tuple[ResourceView, ...]:
    """Leave out what is there twice: a table that lists a resource again says nothing new."""
    return tuple({resource.key: resource for resource in reversed(page)}.values())[::-1]


def _resource(
    schema: TableSchema, row: dict[str, Any], findings: Mapping[Key, list[Finding]]
) -> ResourceView:
    key = (schema.resource_type, row["account"], row["region"], row["id"])
    errors = row["errors"] or {}
    captures = row["captures"] or {}
    facets = [
        FacetView(
            facet.name,
            facet.about,
            row[facet.name] is not None,
            errors.get(facet.name, ""),
            _values(facet, row[facet.name]),
            tuple(captures.get(facet.name) or ()),
        )
        for facet in schema.facets
    ]
    tags = row["tags"]
    if tags or "tags" in errors or "tags" in captures:
        facets.append(_tags(tags, errors.get("tags", ""), tuple(captures.get("tags") or ())))
    ordered = sorted(findings.get(key, ()), key=_attention)
    return ResourceView(key, anchor_of(key), row["name"] or "", tuple(facets), tuple(ordered))


def _attention(finding: Finding) -> tuple[int, int, str]:
    order = ("fail", "not_evidenced", "excepted", "pass", "not_applicable")
    return order.index(finding.status), SEVERITY_ORDER.index(finding.severity), finding.check_id


def _tags(tags: Any, error: str, captures: tuple[str, ...]) -> FacetView:
    values = tuple(ValueView(k, "", "line", v or "") for k, v in sorted((tags or {}).items()))
    if tags is not None and not values:
        values = (ValueView("tags", "", "none", "there are none"),)
    return FacetView("tags", "the resource's tags", tags is not None, error, values, captures)


def _values(facet: Facet, value: dict[str, Any] | None) -> tuple[ValueView, ...]:
    if value is None:
        return ()
    return tuple(_value(field, value.get(field.name)) for field in facet.fields)


def _value(field: Field, value: Any) -> ValueView:
    if value is None:
        return ValueView(field.name, field.about, "unknown", "no value in the answer")
    text, block = value_text(value)
    if field.absent is not None and value == field.absent:
        return ValueView(field.name, field.about, "none", text)
    kind = "block" if block else "line"
    return ValueView(field.name, field.about, kind, *shortened(text, _VALUE_CHARACTERS))


def value_text(value: Any) -> tuple[str, bool]:
    """Return a value of a table as text, and whether it takes lines of its own."""
    if isinstance(value, bool):
        return str(value).lower(), False
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" ") + " UTC", False
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        text = ", ".join(value)
        return (text, False) if len(text) <= 80 else ("\n".join(value), True)
    if isinstance(value, list | dict):
        text = orjson.dumps(value, default=str, option=orjson.OPT_INDENT_2).decode()
        return text, "\n" in text
    text = str(value)
    return text, "\n" in text
