"""The model of an AWS resource type's YAML: what to call, what to keep, which facets it yields."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from collectors.aws.models import operation_model
from collectors.aws.readonly import why_refused
from collectors.fields import (
    FacetSpec,
    RedactedPath,
    Strict,
    TagsSpec,
    check_facet_names,
    check_jmespath,
    check_name,
)
from collectors.place import filled
from collectors.spec import check_steps_in_order, steps_named_in
from evidence.redaction import parse_path
from evidence.schema import TableSchema


class TokenPair(Strict):
    """How to page an operation for which botocore has no paginator."""

    input: str
    output: str


class Call(Strict):
    """One operation: its name as boto3 spells it, parameters (`$` starts JMESPath), and outcomes.

    `absent` lists error codes that mean "there is none"; `not_enabled` those that mean that the
    service is switched off. `Code: text` counts only where the message holds the text, for codes
    that mean other things as well. Other errors are classified by `collectors.aws.outcomes`.
    """

    operation: str
    service: str | None = None
    params: dict[str, Any] = Field(default_factory=dict)
    absent: tuple[str, ...] = ()
    not_enabled: tuple[str, ...] = ()
    page: TokenPair | None = None

    def parameters(self, scope: dict[str, Any]) -> dict[str, Any]:
        """Return the parameters, filled from what expressions see."""
        found: dict[str, Any] = filled(self.params, scope)
        return found


class ListCall(Call):
    """The call that lists resources. `items` is JMESPath to the list in each page.

    `then` lists again for each item (its scope is `parent`); `batch` hands on the items in
    groups of that size, as `$batch`, to a describing call.
    """

    items: str
    then: ListCall | None = None
    batch: int | None = Field(default=None, ge=1, le=1000)

    _items = field_validator("items")(check_jmespath)

    @model_validator(mode="after")
    def _batch_needs_then(self) -> ListCall:
        if self.batch is not None and self.then is None:
            raise ValueError("`batch` says how many items `then` takes at a time: add `then`")
        return self


class Step(Call):
    """A call that enriches one resource.

    `when` (JMESPath) decides whether it is asked at all: where not, its facets take their absent
    values. `each` makes one call an element and yields a list of {each, result}. `region` says
    where to ask when that is not the unit's region.
    """

    into: str = ""
    pick: str | None = None
    when: str | None = None
    each: str | None = None
    region: str | None = None

    _expressions = field_validator("pick", "when", "each", "region")(check_jmespath)

    @property
    def name(self) -> str:
        """What facets call this step."""
        return self.into or self.operation

    def depends_on_item(self) -> bool:
        """Whether the parameters are taken from the item or from earlier answers."""
        expressions = [text for text in _texts_of(self.params) if text.startswith("$")]
        return self.each is not None or any(not text.startswith("$ctx.") for text in expressions)

    def needs(self) -> set[str]:
        """Return the names of the steps whose answers this one uses."""
        texts = [self.when or "", self.each or "", self.region or ""]
        texts.extend(_texts_of(self.params))
        return steps_named_in(texts)


class Redact(Strict):
    """A path in the answer of an operation that is always taken out."""

    operation: str
    path: RedactedPath


class AwsResourceType(Strict):
    """One AWS resource type. See CONTRIBUTING, "Add a resource type"."""

    type: str
    title: str
    native_type: str = ""
    service: str
    scope: Literal["global", "region"]
    about: str = ""
    listing: ListCall | None = Field(default=None, alias="list")
    handler: str | None = None
    operations: tuple[str, ...] = ()
    id: str
    name: str | None = None
    region: str | None = None
    enrich: tuple[Step, ...] = ()
    tags: TagsSpec | None = None
    facets: dict[str, FacetSpec]
    redact: tuple[Redact, ...] = ()

    _name = field_validator("type")(check_name)
    _facets = field_validator("facets")(check_facet_names)
    _expressions = field_validator("name", "region")(check_jmespath)

    @property
    def essential_member(self) -> None:
        """Each API of AWS has members of its own."""
        return

    @model_validator(mode="after")
    def _is_whole(self) -> AwsResourceType:
        if self.handler and self.listing:
            raise ValueError("a type has either `list` or `handler`")
        for service, operation in self.calls():
            reason = why_refused(service, operation_model(service, operation).name)
            if reason:
                raise ValueError(reason)
        self._sources_exist()
        check_steps_in_order(self.enrich)
        self._redactions_are_of_calls()
        return self

    def _redactions_are_of_calls(self) -> None:
        """A path of an operation that is never called, misspelt say, would take nothing out."""
        known = sorted({operation for _, operation in self.calls()})
        for item in self.redact:
            if item.operation not in known:
                raise ValueError(
                    f"`redact` names {item.operation!r}, which is none of: {', '.join(known)}"
                )

    def _sources_exist(self) -> None:
        known = {"list", *(step.name for step in self.enrich)}
        wanted = {source for facet in self.facets.values() for source in facet.sources}
        if self.tags:
            wanted.add(self.tags.source)
        unknown = sorted(wanted - known)
        if unknown:
            raise ValueError(
                f"a facet comes from {unknown[0]!r}, which is none of: {', '.join(sorted(known))}"
            )

    def calls(self) -> list[tuple[str, str]]:
        """Return every (service, boto3 method name) that this type may call, each once."""
        found = [(self.service, operation) for operation in self.operations]
        found.extend(self._declared_calls())
        return list(dict.fromkeys(found))

    def _declared_calls(self) -> Iterator[tuple[str, str]]:
        node = self.listing
        while node is not None:
            yield node.service or self.service, node.operation
            node = node.then
        for step in self.enrich:
            yield step.service or self.service, step.operation

    def repeated_calls(self) -> set[tuple[str, str]]:
        """Return the calls that two items, or two regions, may make with the same parameters."""
        return {
            (step.service or self.service, step.operation)
            for step in self.enrich
            if step.region is not None or not step.depends_on_item()
        }

    def declared_pages(self) -> dict[tuple[str, str], TokenPair]:
        """Return the token pairs that this type declares, by (service, method name)."""
        nodes: list[Call] = list(self.enrich)
        node = self.listing
        while node is not None:
            nodes.append(node)
            node = node.then
        return {
            (call.service or self.service, call.operation): call.page
            for call in nodes
            if call.page is not None
        }

    def table_schema(self) -> TableSchema:
        """Return what checks may rely on about this type."""
        operations = {step.name: step.operation for step in self.enrich}
        operations["list"] = self.listing.operation if self.listing else "account"
        facets = tuple(
            facet.schema_facet(name, tuple(operations[source] for source in facet.sources))
            for name, facet in self.facets.items()
        )
        return TableSchema(
            self.type, "aws", self.scope, facets, self.title, self.native_type, self.service
        )

    def redacted_paths(self) -> dict[tuple[str, str], list[tuple[str, ...]]]:
        """Return the declared redactions, by service and boto3 method name."""
        found: dict[tuple[str, str], list[tuple[str, ...]]] = {}
        for item in self.redact:
            for call in self.calls():
                if call[1] == item.operation:
                    found.setdefault(call, []).append(parse_path(item.path))
        return found


def _texts_of(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts_of(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts_of(item)
