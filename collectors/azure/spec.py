"""The model of an Azure resource type's YAML: what to ask, what to keep, which facets it yields.

A call goes to one of three services, and its key says which: `resource_graph` (a table, read in
bulk for all subscriptions), `arm` (a path of Azure Resource Manager, with its `api` version) or
`graph` (a path of Microsoft Graph). All are read-only: GET, or a query of Resource Graph.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from collectors.fields import (
    FacetSpec,
    RedactedPath,
    Strict,
    TagsSpec,
    check_facet_names,
    check_jmespath,
    check_name,
)
from collectors.place import identifier
from collectors.spec import check_steps_in_order, steps_named_in
from evidence.schema import TableSchema

RESOURCE_GRAPH = "resource_graph"
ARM = "arm"
GRAPH = "graph"

_PLACEHOLDER = re.compile(r"\{([A-Za-z_.]+)\}")
_API_VERSION = re.compile(r"^\d{4}-\d{2}-\d{2}(-preview)?$")
_TABLES = (
    "resources",
    "resourcecontainers",
    "authorizationresources",
    "policyresources",
    "securityresources",
    "advisorresources",
    "patchassessmentresources",
    "guestconfigurationresources",
    "networkresources",
    "appserviceresources",
    "recoveryservicesresources",
    "healthresources",
    "insightsresources",
    "computeresources",
    "kubernetesconfigurationresources",
    "servicehealthresources",
)
"""Source: Azure Resource Graph, supported tables."""


def _as_text(value: Any) -> Any:
    """Return an api version as text: YAML takes one without quotes for a date."""
    return value.isoformat() if type(value) is datetime.date else value


class Call(Strict):
    """One call. Exactly one of `resource_graph`, `arm` and `graph` says where it goes.

    `resource_graph` is a table; `where` the KQL condition on it (by default, that the row's type is
    the type's `native_type`), `extend` and `project` further KQL. `arm` and `graph` are paths: in
    them `{name}` is filled by JMESPath from what is known (`{account}` is the subscription or
    tenant, `{id}` the resource). `select`, `filter` and `expand` are Microsoft Graph's query
    options. `absent` and `not_enabled` list error codes as for AWS, `Code: text` included.
    """

    resource_graph: str = ""
    where: str = ""
    extend: str = ""
    project: str = ""
    arm: str = ""
    api: str = ""
    graph: str = ""
    query: dict[str, str] = Field(default_factory=dict)
    headers: dict[str, str] = Field(default_factory=dict)
    absent: tuple[str, ...] = ()
    not_enabled: tuple[str, ...] = ()
    needs_permission: str = ""

    _api = field_validator("api", mode="before")(_as_text)

    @model_validator(mode="after")
    def _goes_to_one_place(self) -> Call:
        given = [name for name in (RESOURCE_GRAPH, ARM, GRAPH) if getattr(self, name)]
        if len(given) != 1:
            raise ValueError("a call has exactly one of `resource_graph`, `arm` and `graph`")
        if self.resource_graph and self.resource_graph not in _TABLES:
            raise ValueError(f"{self.resource_graph!r} is no table of Resource Graph that we read")
        if self.arm and not _API_VERSION.match(self.api):
            raise ValueError("an `arm` call says its `api` version, like 2023-05-01")
        if self.arm and not self.arm.startswith(("/", "{")):
            raise ValueError("an `arm` path begins with `/` or with `{id}`")
        if self.graph and not self.graph.startswith(("/v1.0/", "/beta/")):
            raise ValueError("a `graph` path begins with /v1.0/ or /beta/")
        if self.graph and not self.needs_permission:
            raise ValueError("a `graph` call says the application permission that it needs")
        return self

    @property
    def service(self) -> str:
        """The service that is asked: resource_graph, arm or graph."""
        return RESOURCE_GRAPH if self.resource_graph else ARM if self.arm else GRAPH

    @property
    def operation(self) -> str:
        """What captures call it: the table, or the path as the type writes it."""
        return self.resource_graph or f"GET {self.arm or self.graph}"

    def parameters(self, scope: dict[str, Any]) -> dict[str, Any]:
        """Return path and query options, filled from what expressions see."""
        if self.resource_graph:
            return {"where": self.where, "extend": self.extend, "project": self.project}
        query = {name: identifier(text, scope) for name, text in self.query.items()}
        if self.api:
            query["api-version"] = self.api
        return {"path": identifier(self.arm or self.graph, scope), "query": query}

    def templates(self) -> Iterator[str]:
        """Yield the texts that are filled from what is known."""
        yield from (self.arm, self.graph, *self.query.values())


class ListCall(Call):
    """The call that lists. `items` is JMESPath to the list in each page.

    `then` lists again for each item, which its templates see as `parent` members.
    """

    items: str = "value"
    then: ListCall | None = None

    _items = field_validator("items")(check_jmespath)

    @property
    def batch(self) -> int | None:
        """Nothing is asked for in groups."""
        return None


class Step(Call):
    """A call that enriches one resource. See `collectors.aws.spec.Step` for the common members."""

    into: str
    pick: str | None = None
    when: str | None = None
    each: str | None = None

    _expressions = field_validator("pick", "when", "each")(check_jmespath)
    _name = field_validator("into")(check_name)

    @property
    def name(self) -> str:
        """What facets call this step."""
        return self.into

    @property
    def region(self) -> str | None:
        """Azure is asked in one place."""
        return None

    def needs(self) -> set[str]:
        """Return the names of the steps whose answers this one uses."""
        texts = [self.when or "", self.each or "", *self.templates()]
        return steps_named_in(texts)

    def is_for_item(self) -> bool:
        """Whether what it asks depends on the resource, so that no two ask alike."""
        filled = {name for text in self.templates() for name in _PLACEHOLDER.findall(text)}
        return bool(filled - {"account"}) or self.each is not None


class Redact(Strict):
    """A path in the answer of a call that is always taken out; `of` is `list` or a step's name."""

    of: str = "list"
    path: RedactedPath


class Reread(Strict):
    """The GET that reads a listed resource again, since Resource Graph may be behind."""

    api: str

    _api = field_validator("api", mode="before")(_as_text)

    @field_validator("api")
    @classmethod
    def _is_version(cls, value: str) -> str:
        if not _API_VERSION.match(value):
            raise ValueError("an api version looks like 2023-05-01")
        return value


class AzureResourceType(Strict):
    """One Azure or Entra resource type. See CONTRIBUTING, "Add a resource type"."""

    type: str
    title: str
    native_type: str = ""
    service: str
    scope: Literal["subscription", "tenant"]
    about: str = ""
    listing: ListCall | None = Field(default=None, alias="list")
    id: str = "$lower(id)"
    name: str | None = "name"
    region: str | None = "location"
    reread: Reread | None = None
    enrich: tuple[Step, ...] = ()
    tags: TagsSpec | None = None
    facets: dict[str, FacetSpec]
    actions: tuple[str, ...] = ()
    """What its calls need where Azure names it otherwise than their paths: in place of that."""
    redact: tuple[Redact, ...] = ()

    _name = field_validator("type")(check_name)
    _facets = field_validator("facets")(check_facet_names)
    _expressions = field_validator("name", "region")(check_jmespath)

    @property
    def handler(self) -> str | None:
        """No type of Azure needs code."""
        return None

    @property
    def essential_member(self) -> str:
        """Azure Resource Manager keeps what a resource is in its `properties`."""
        return "properties"

    @model_validator(mode="after")
    def _is_whole(self) -> AzureResourceType:
        listed = self.listing
        if listed is not None and listed.resource_graph and not (listed.where or self.native_type):
            raise ValueError("a Resource Graph listing needs `where` or a `native_type`")
        if self.reread is not None and (listed is None or not listed.resource_graph):
            raise ValueError("`reread` is for what Resource Graph lists")
        known = {"list", *(step.name for step in self.enrich)}
        wanted = {source for facet in self.facets.values() for source in facet.sources}
        wanted |= {self.tags.source} if self.tags else set()
        wanted |= {item.of for item in self.redact}
        unknown = sorted(wanted - known)
        if unknown:
            raise ValueError(
                f"{unknown[0]!r} is no call of this type: there are {', '.join(sorted(known))}"
            )
        check_steps_in_order(self.enrich)
        if any(step.resource_graph for step in self.enrich):
            raise ValueError("Resource Graph lists; a step asks `arm` or `graph`")
        return self

    def calls(self) -> list[Call]:
        """Return every call of this type, the listing first."""
        found: list[Call] = []
        node = self.listing
        while node is not None:
            found.append(node)
            node = node.then
        return [*found, *self.enrich]

    def table_schema(self) -> TableSchema:
        """Return what checks may rely on about this type."""
        operations = {step.name: step.operation for step in self.enrich}
        operations["list"] = self.listing.operation if self.listing else "subscription"
        facets = tuple(
            facet.schema_facet(name, tuple(operations[source] for source in facet.sources))
            for name, facet in self.facets.items()
        )
        return TableSchema(
            self.type, "azure", self.scope, facets, self.title, self.native_type, self.service
        )
