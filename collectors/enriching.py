"""Enriching a listed item: the calls that one resource needs, in order. Nothing is written here.

A call that cannot be decided on, because an answer has another form than is documented, is not
observed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from collectors.answers import Answer, Caller
from collectors.forms import FormError
from collectors.listing import Listed
from collectors.place import Place
from collectors.shape import look_up, search
from collectors.spec import ResourceTypeSpec, StepSpec
from evidence.outcome import Outcome

_NOT_ASKED = "not asked: a path does not fit the form of the answer before"


@dataclass(frozen=True)
class Enriched:
    """A listed item with the answers of its steps."""

    listed: Listed
    answers: dict[str, Answer]


class Enricher:
    """Makes the calls of one item after the other; safe to use from many threads."""

    def __init__(self, spec: ResourceTypeSpec, place: Place, caller: Caller) -> None:
        self._spec, self._place, self._caller = spec, place, caller

    def enrich(self, listed: Listed) -> Enriched:
        """Make the item's calls. A call that needs the answer of one that failed is not made."""
        answers: dict[str, Answer] = {}
        for step in self._spec.enrich:
            answers[step.name] = self._step(step, listed.item, answers)
        return Enriched(listed, answers)

    def _step(self, step: StepSpec, item: dict[str, Any], answers: dict[str, Answer]) -> Answer:
        for name in sorted(step.needs()):
            if not answers[name].outcome.observed:
                return Answer(step.operation, answers[name].outcome, None, answers[name].detail)
        scope = self.scope(item, answers)
        try:
            if step.when is not None and not search(step.when, scope):
                return Answer(step.operation, Outcome.ABSENT, None, "not asked: does not apply")
            region = self._region(step, scope)
            if step.each is None:
                return self._picked(step, region, scope)
            elements = look_up(step.each, scope)
        except FormError:
            return _failed(step, _NOT_ASKED)
        if not isinstance(elements, list | None):
            return _failed(step, "not asked: there is no list to ask for")
        return self._each(step, region, scope, elements or [])

    def _region(self, step: StepSpec, scope: dict[str, Any]) -> str:
        region = search(step.region, scope) if step.region is not None else None
        if not isinstance(region, str | None):
            raise FormError("a region is text")
        return region or self._place.call_region

    def _each(
        self, step: StepSpec, region: str, scope: dict[str, Any], elements: list[Any]
    ) -> Answer:
        results: list[dict[str, Any]] = []
        whole = Answer(step.operation, Outcome.OK)
        for element in elements:
            answer = self._picked(step, region, {**scope, "each": element})
            whole = replace(
                whole,
                lines=(*whole.lines, *answer.lines),
                redactions=whole.redactions + answer.redactions,
                shared=whole.shared or answer.shared,
            )
            if not answer.outcome.observed:
                return replace(whole, outcome=answer.outcome, detail=answer.detail)
            results.append({"each": element, "result": answer.data})
        return replace(whole, data=results)

    def _picked(self, step: StepSpec, region: str, scope: dict[str, Any]) -> Answer:
        service = step.service or self._spec.service
        try:
            params = step.parameters(scope)
        except FormError:
            return _failed(step, _NOT_ASKED)
        answer = self._caller.ask(step, service, region, params)
        if step.pick is None or answer.outcome is not Outcome.OK:
            return answer
        try:
            data = look_up(step.pick, answer.data)
        except FormError as error:
            return replace(answer, outcome=Outcome.ERROR, data=None, detail=str(error))
        outcome = Outcome.OK if data is not None else Outcome.ABSENT
        return replace(answer, outcome=outcome, data=data)

    def scope(self, item: dict[str, Any], answers: dict[str, Answer]) -> dict[str, Any]:
        """Return what expressions see: the item's keys, `steps`, and `ctx`."""
        steps = {name: answer.data for name, answer in answers.items()}
        return {**item, "steps": steps, "ctx": self._place.as_dict()}


def _failed(step: StepSpec, why: str) -> Answer:
    return Answer(step.operation, Outcome.ERROR, None, why)
