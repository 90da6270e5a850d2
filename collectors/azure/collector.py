"""Collecting an Azure unit from answers that have another form than Azure documents.

What a path cannot be read from is refused like a value of the wrong type: the facet is NULL and a
data-quality note says so. The resource's other facets, and the other resources, stay.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

from jmespath.exceptions import JMESPathError

from collectors.answers import Answer, Caller
from collectors.azure.spec import AzureResourceType
from collectors.enriching import Enriched, Enricher
from collectors.fields import FacetSpec
from collectors.place import Place
from collectors.shape import search
from collectors.spec import StepSpec
from collectors.unit import SecondLook, UnitCollector, Writer
from evidence.outcome import Outcome

_NAMES_IT = ("id", "name", "location")
"""Members that name a resource: they are text, or they say nothing."""


class AzureUnitCollector(UnitCollector):
    """Collects one unit. What a single answer has in another form is a gap of that facet alone."""

    def __init__(
        self,
        spec: AzureResourceType,
        place: Place,
        caller: Caller,
        threads: Executor,
        writer: Writer,
        second_look: SecondLook | None = None,
    ) -> None:
        super().__init__(spec, place, caller, threads, writer, second_look=second_look)
        self._enricher = _CarefulEnricher(spec, place, caller)
        self._tagged = spec.tags
        self._properties_of = {
            name: sources_with_properties(facet) for name, facet in spec.facets.items()
        }
        self._refused: dict[str, tuple[tuple[str, ...], str]] = {}

    def _finish(self, done: Enriched) -> None:
        self._refused = {}
        super()._finish(done)

    def _identity(self, done: Enriched) -> dict[str, Any]:
        listed = done.listed
        item = {k: v for k, v in listed.item.items() if k not in _NAMES_IT or isinstance(v, str)}
        try:
            row = super()._identity(replace(done, listed=replace(listed, item=item)))
        except JMESPathError:  # a path of the type's own: then nothing names the resource
            row = super()._identity(replace(done, listed=replace(listed, item={}), answers={}))
        if not isinstance(row["region"], str):
            row["region"] = self._key.region
        return row

    def _tags(self, answers: dict[str, Answer]) -> dict[str, str] | None:
        tags = super()._tags(answers)
        spec = self._tagged
        if spec is not None and tags is None and answers[spec.source].outcome is Outcome.OK:
            self._refused["tags"] = (spec.source,), "bad_type: the tags are no map"
        return tags

    def _facet(
        self, name: str, facet: FacetSpec, answers: dict[str, Answer], errors: dict[str, str]
    ) -> dict[str, Any] | None:
        for source in self._properties_of[name]:
            answer = answers[source]
            if answer.outcome is Outcome.OK and not _has_properties(answer.data):
                self._refuse(name, facet, "the answer holds no `properties`", errors)
                return None
        try:
            return super()._facet(name, facet, answers, errors)
        except JMESPathError:
            self._refuse(name, facet, "a path does not fit the answer's form", errors)
            return None

    def _refuse(self, name: str, facet: FacetSpec, why: str, errors: dict[str, str]) -> None:
        errors[name] = f"bad_type: {why}"
        self._refused[name] = facet.sources, errors[name]

    def _note_gaps(
        self, row: dict[str, Any], done: Enriched, references: dict[str, list[str]]
    ) -> None:
        super()._note_gaps(row, done, references)
        for name, (sources, detail) in self._refused.items():
            row["errors"][name] = detail
            self._tally.gaps.append(
                self._gap(
                    ",".join(sources),
                    Outcome.ERROR.value,
                    detail,
                    resource_id=row["id"],
                    facet=name,
                    captures=tuple(row["captures"][name]),
                )
            )


class _CarefulEnricher(Enricher):
    """Makes the calls of one item; a call that cannot be decided on is not observed."""

    def _step(self, step: StepSpec, item: dict[str, Any], answers: dict[str, Answer]) -> Answer:
        try:
            return super()._step(step, item, answers)
        except JMESPathError:
            what = "not asked: a path does not fit the form of the answer before"
            return Answer(step.operation, Outcome.ERROR, None, what)

    def _each(self, step: StepSpec, region: str, scope: dict[str, Any]) -> Answer:
        if not isinstance(search(step.each or "@", scope), list | None):
            what = "not asked: there is no list to ask for"
            return Answer(step.operation, Outcome.ERROR, None, what)
        return super()._each(step, region, scope)


def sources_with_properties(facet: FacetSpec) -> tuple[str, ...]:
    """Return the calls whose answer's own `properties` a facet reads.

    Azure Resource Manager keeps what a resource is in that member: where it is not there, nothing
    was said, and nothing may be taken for absent.
    """
    prefixes: Mapping[str, str] = {source: rf"{source}\." for source in facet.sources}
    if len(facet.sources) == 1:
        prefixes = {facet.sources[0]: ""}
    return tuple(
        source
        for source, prefix in prefixes.items()
        if any(
            re.search(rf"(?<![\w.\]]){prefix}properties\b", field.path)
            for field in facet.fields.values()
        )
    )


def _has_properties(data: Any) -> bool:
    return isinstance(data, dict) and isinstance(data.get("properties"), dict)
