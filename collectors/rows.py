"""Shaping a row: from the answers about one resource to its identity, tags and facets.

What has another form than is documented costs the facet that it belongs to, and nothing else: the
facet is NULL, the row says why, and the refusal becomes a gap of the resource.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from collectors.answers import Answer
from collectors.fields import FacetSpec
from collectors.forms import FormError
from collectors.place import name_text, resource_id
from collectors.shape import absent_facet, look_up, observed_facet, search, tags_of
from collectors.spec import ResourceTypeSpec
from evidence.outcome import Outcome
from evidence.storable import is_storable
from evidence.typing_rows import RowValidator
from evidence.units import UnitKey

Answers = Mapping[str, Answer]
"""The answers about one resource by what facets call them; `list` is the listed item itself."""


@dataclass(frozen=True)
class Refused:
    """A facet, or the tags, whose answer has another form: which calls it rests on, and why."""

    facet: str
    sources: tuple[str, ...]
    detail: str


@dataclass(frozen=True)
class Shaped:
    """A row, typed as its table is, and what had to be left out of it."""

    row: dict[str, Any]
    refused: list[Refused]


class RowShaper:
    """Shapes the rows of one unit."""

    def __init__(self, spec: ResourceTypeSpec, key: UnitKey, account: str) -> None:
        self._spec, self._key, self._account = spec, key, account
        self._validator = RowValidator(spec.table_schema())
        self._essential = {
            name: sources_needing(spec.essential_member, facet)
            for name, facet in spec.facets.items()
        }

    def shape(
        self, scope: dict[str, Any], answers: Answers, references: Mapping[str, Sequence[str]]
    ) -> Shaped:
        """Return the row. `scope` is what expressions see, `references` the captures by source."""
        row = self._identity(scope)
        refused: list[Refused] = []
        row["tags"] = self._tags(answers, refused)
        for name, facet in self._spec.facets.items():
            row[name] = self._facet(name, facet, answers, row["errors"], refused)
            sources = [ref for source in facet.sources for ref in references[source]]
            row["captures"][name] = list(dict.fromkeys(sources))
        if self._spec.tags:
            row["captures"]["tags"] = list(references[self._spec.tags.source])
            tag_answer = answers[self._spec.tags.source]
            if not tag_answer.outcome.observed:
                row["errors"]["tags"] = _why(tag_answer)
        for item in refused:
            row["errors"][item.facet] = item.detail
        for bad in self._validator.clean(row):
            sources_of = self._spec.facets[bad.facet].sources
            refused.append(Refused(bad.facet, sources_of, bad.detail))
        return Shaped(row, refused)

    def _identity(self, scope: dict[str, Any]) -> dict[str, Any]:
        spec, found_id = self._spec, resource_id(self._spec.id, scope)
        name = _named(spec.name, scope)
        return {
            "provider": self._key.provider,
            "account": self._account,
            "region": _named(spec.region, scope) or self._key.region,
            "id": found_id,
            "name": name if name is not None else found_id,
            "tags": None,
            "errors": {},
            "captures": {},
        }

    def _tags(self, answers: Answers, refused: list[Refused]) -> dict[str, str] | None:
        spec = self._spec.tags
        if spec is None:
            return None
        answer = answers[spec.source]
        if answer.outcome is Outcome.ABSENT:
            return {}
        if answer.outcome is not Outcome.OK:
            return None
        try:
            found = look_up(spec.path, answer.data)
        except FormError as error:
            refused.append(Refused("tags", (spec.source,), f"bad_type: {error}"))
            return None
        tags = {} if found is None else tags_of(found)
        if isinstance(tags, dict) and is_storable(tags):
            return tags
        refused.append(Refused("tags", (spec.source,), "bad_type: the tags are no map"))
        return None

    def _facet(
        self,
        name: str,
        facet: FacetSpec,
        answers: Answers,
        errors: dict[str, str],
        refused: list[Refused],
    ) -> dict[str, Any] | None:
        sources = [answers[source] for source in facet.sources]
        unobserved = next((answer for answer in sources if not answer.outcome.observed), None)
        if unobserved is not None:
            errors[name] = _why(unobserved)
            return None
        if all(answer.outcome is Outcome.ABSENT for answer in sources):
            return absent_facet(facet)
        try:
            self._check_essential(name, answers)
            if len(sources) == 1:
                return observed_facet(facet, sources[0].data)
            data = {source: answers[source].data for source in facet.sources}
            return observed_facet(facet, data)
        except FormError as error:
            refused.append(Refused(name, facet.sources, f"bad_type: {error}"))
            return None

    def _check_essential(self, name: str, answers: Answers) -> None:
        """Check that answers hold the member that their facet is about. Raises FormError."""
        member = self._spec.essential_member
        for source in self._essential[name]:
            answer = answers[source]
            if answer.outcome is Outcome.OK and not _holds_object(answer.data, member):
                raise FormError(f"the answer holds no `{member}`")


def sources_needing(member: str | None, facet: FacetSpec) -> tuple[str, ...]:
    """Return the calls whose answer's own `member` a facet reads."""
    if member is None:
        return ()
    prefixes: Mapping[str, str] = {source: rf"{source}\." for source in facet.sources}
    if len(facet.sources) == 1:
        prefixes = {facet.sources[0]: ""}
    return tuple(
        source
        for source, prefix in prefixes.items()
        if any(
            re.search(rf"(?<![\w.\]]){prefix}{re.escape(member)}\b", field.path)
            for field in facet.fields.values()
        )
    )


def _holds_object(data: Any, member: str | None) -> bool:
    return isinstance(data, dict) and isinstance(data.get(member), dict)


def _named(expression: str | None, scope: dict[str, Any]) -> str | None:
    """Return the text that an expression finds. What is no text names nothing."""
    if expression is None:
        return None
    try:
        return name_text(search(expression, scope))
    except FormError:
        return None


def _why(answer: Answer) -> str:
    return f"{answer.outcome.value}: {answer.operation} {answer.detail}".strip()
