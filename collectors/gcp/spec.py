"""The model of a Google Cloud resource type's YAML: which assets, and which facets they yield.

One API answers for all types: Cloud Asset Inventory. It gives a content at a time: the resources,
the IAM policies set on them, the organisation policies, the access policies. A type lists the
assets of one content; a facet that comes `from` another content is what that content says of the
same asset. What an identity can reach in the end is asked of AnalyzeIamPolicy.

Source: cloud.google.com/asset-inventory/docs/reference/rest/v1/assets.
"""

from __future__ import annotations

from collections.abc import Mapping
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
from evidence.schema import TableSchema

Content = Literal["resource", "iam_policy", "org_policy", "access_policy"]

ACCESS_POLICY: Content = "access_policy"
CONTENTS: tuple[Content, ...] = ("resource", "iam_policy", "org_policy", "access_policy")
"""The contents that Cloud Asset Inventory is asked for, one listing each."""

LIST_ASSETS = "ListAssets"
SEARCH = "SearchAllIamPolicies"
ANALYZE = "AnalyzeIamPolicy"

ANY_ASSET = "*"
"""As a native type: assets of every type, also of those that no file describes."""


class Listing(Strict):
    """What lists a type. Without members: the assets of the type's `native_type`, as resources.

    `content` is the content whose assets are listed. `each` is JMESPath to a list in an asset: one
    item an element, which expressions see as `each`. `search` is a query of SearchAllIamPolicies,
    `permissions` what AnalyzeIamPolicy is asked about: who may use them, on what, and by which
    binding. Both answer of now, never of an earlier time.
    """

    content: Content = "resource"
    each: str | None = None
    search: str = ""
    permissions: tuple[str, ...] = ()

    _each = field_validator("each")(check_jmespath)

    @model_validator(mode="after")
    def _asks_one_thing(self) -> Listing:
        if self.search and self.permissions:
            raise ValueError("a listing has either `search` or `permissions`")
        if (self.search or self.permissions) and self.content != "resource":
            raise ValueError("`content` is for listings of assets")
        return self

    @property
    def method(self) -> str:
        """The method of the API that lists."""
        return SEARCH if self.search else ANALYZE if self.permissions else LIST_ASSETS

    @property
    def operation(self) -> str:
        """What captures call it: the method, with the content where there are several."""
        return f"{LIST_ASSETS} {self.content}" if self.method == LIST_ASSETS else self.method

    @property
    def service(self) -> str:
        """The service that is asked."""
        return "cloudasset"

    @property
    def items(self) -> str:
        """JMESPath to the items in each page, as the caller hands it on."""
        return "items"

    @property
    def then(self) -> None:
        """Nothing is listed again."""
        return

    @property
    def batch(self) -> int | None:
        """Nothing is asked for in groups."""
        return None

    def parameters(self, scope: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Return what the method takes beside its scope."""
        return {"search": self.search, "permissions": list(self.permissions)}


class ContentStep(Strict):
    """What another content says of a listed asset: found among the pages, never asked alone."""

    content: Content

    @property
    def name(self) -> str:
        """What facets call it."""
        return self.content

    @property
    def operation(self) -> str:
        """What captures call it."""
        return f"{LIST_ASSETS} {self.content}"

    @property
    def service(self) -> str:
        """The service that is asked."""
        return "cloudasset"

    @property
    def pick(self) -> str | None:
        """The whole policy counts."""
        return None

    @property
    def when(self) -> str | None:
        """It always applies."""
        return None

    @property
    def each(self) -> str | None:
        """It is one a resource."""
        return None

    @property
    def region(self) -> str | None:
        """Google is asked in one place."""
        return None

    def needs(self) -> set[str]:
        """Return the names of the steps whose answers this one uses: none."""
        return set()

    def parameters(self, scope: dict[str, Any]) -> dict[str, Any]:
        """Return what names the asset."""
        return {"name": scope.get("name"), "asset_type": scope.get("assetType")}


class Redact(Strict):
    """A path in an asset that is always taken out, such as `data.metadata.items[].value`."""

    of: Content = "resource"
    path: RedactedPath


class GcpResourceType(Strict):
    """One Google Cloud resource type. See CONTRIBUTING, "Add a resource type".

    `scope` says in which accounts it is read: `project`, `organization` (also a folder's), or
    `any` for what can be set on both. Expressions see an asset as `name`, `assetType`, `ancestors`,
    `updateTime`, `location`, `parent`, `version` and `data`, the resource as its own API gives it.
    """

    type: str
    title: str
    native_type: str = ""
    service: str
    scope: Literal["project", "organization", "any"]
    about: str = ""
    listing: Listing = Field(default_factory=Listing, alias="list")
    id: str = "$name"
    name: str | None = "data.name || name"
    region: str | None = "location"
    tags: TagsSpec | None = None
    facets: dict[str, FacetSpec]
    redact: tuple[Redact, ...] = ()

    _name = field_validator("type")(check_name)
    _facets = field_validator("facets")(check_facet_names)
    _expressions = field_validator("name", "region")(check_jmespath)

    @property
    def handler(self) -> str | None:
        """No type of Google Cloud needs code."""
        return None

    @property
    def essential_member(self) -> str | None:
        """Where an asset keeps what it is."""
        return "data"

    @property
    def sources(self) -> frozenset[str]:
        """Where facets and tags come from: `list`, and contents."""
        found = {source for facet in self.facets.values() for source in facet.sources}
        return frozenset(found | ({self.tags.source} if self.tags else set()))

    @property
    def enrich(self) -> tuple[ContentStep, ...]:
        """The other contents that facets come from."""
        return tuple(ContentStep(content=name) for name in CONTENTS if name in self.sources)

    @model_validator(mode="after")
    def _is_whole(self) -> GcpResourceType:
        unknown = sorted(self.sources - {"list", *CONTENTS})
        if unknown:
            contents = ", ".join(CONTENTS)
            raise ValueError(f"{unknown[0]!r} is no source: there are list, {contents}")
        if self.listing.method == LIST_ASSETS:
            if not self.native_type:
                raise ValueError("a type whose assets are listed has a `native_type`")
            if self.listing.content in self.sources:
                raise ValueError(f"{self.listing.content} is what is listed: say `list`")
        elif self.enrich:
            raise ValueError("only listed assets have further contents")
        return self

    def contents(self) -> tuple[Content, ...]:
        """Return the contents that the type is made from, the listed one first."""
        if self.listing.method != LIST_ASSETS:
            return ()
        return (self.listing.content, *(step.content for step in self.enrich))

    def table_schema(self) -> TableSchema:
        """Return what checks may rely on about this type."""
        operations: Mapping[str, str] = {
            "list": self.listing.operation,
            **{step.name: step.operation for step in self.enrich},
        }
        facets = tuple(
            facet.schema_facet(name, tuple(operations[source] for source in facet.sources))
            for name, facet in self.facets.items()
        )
        return TableSchema(
            self.type, "gcp", self.scope, facets, self.title, self.native_type, self.service
        )
