"""The calls of one unit: those to ARM and Microsoft Graph are made, bulk rows are found."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import replace
from typing import Any

from collectors.answers import Answer
from collectors.azure.actions import needs_of
from collectors.azure.asking import Asker, Question
from collectors.azure.bulk import BulkRows
from collectors.azure.exchange import Request
from collectors.azure.spec import RESOURCE_GRAPH, AzureResourceType, Call, ListCall
from collectors.forms import FormError
from collectors.shape import search
from evidence.outcome import Outcome

_IDS_BEGIN = ("/subscriptions/", "/providers/")


class UnitCaller:
    """Makes the calls of one type in one subscription (or tenant: None). Safe for many threads."""

    def __init__(
        self,
        spec: AzureResourceType,
        asker: Asker,
        subscription: str | None,
        bulk: Callable[[], BulkRows],
    ) -> None:
        self._asker, self._subscription, self._bulk = asker, subscription, bulk
        self._needs = needs_of(spec)
        listing = {id(call): "list" for call in spec.calls()}
        steps = {id(step): step.name for step in spec.enrich}
        self._declared_for: dict[int, Hashable] = {
            call: (spec.type, of) for call, of in {**listing, **steps}.items()
        }
        self._list = (spec.type, "list")
        self._read = f"{spec.native_type}/read" if spec.native_type else ""

    def pages(
        self,
        call: Call,
        service: str,  # noqa: ARG002  (a call of Azure says itself which service it asks)
        region: str,  # noqa: ARG002
        params: dict[str, Any],
    ) -> Iterator[Answer]:
        """Yield an answer a page; an answer that is not ok ends it.

        A page without a list is an error: it must not pass for a list of nothing.
        """
        if call.service == RESOURCE_GRAPH:
            yield from self._bulk().answers(call.operation, self._subscription)
            return
        if not _has_address(call, params):
            yield _not_asked(call)
            return
        for answer in self._asker.pages(self._question(call, params)):
            if answer.outcome is Outcome.OK and not _holds_list(call, answer.data):
                what = "the answer holds no list of them"
                yield replace(answer, outcome=Outcome.ERROR, detail=what)
                return
            yield answer

    def ask(self, call: Call, service: str, region: str, params: dict[str, Any]) -> Answer:  # noqa: ARG002
        """Return one answer, the lists of its pages joined."""
        if not _has_address(call, params):
            return _not_asked(call)
        return self._asker.ask(self._question(call, params))

    def _question(self, call: Call, params: dict[str, Any]) -> Question:
        return Question(
            call.service,
            call.operation,
            Request(params["path"], params["query"], call.headers),
            self._declared_for.get(id(call), self._list),
            self._needs.get(id(call), self._read),
            call.absent,
            call.not_enabled,
        )


def _has_address(call: Call, params: dict[str, Any]) -> bool:
    """Whether a path that begins with the id of a resource really does."""
    begins_with_id = call.arm.startswith("{")
    return not begins_with_id or params["path"].lower().startswith(_IDS_BEGIN)


def _not_asked(call: Call) -> Answer:
    what = "not asked: what it is asked about has no id"
    return Answer(call.operation, Outcome.ERROR, None, what)


def _holds_list(call: Call, data: Any) -> bool:
    """Whether a listing's `items` finds a list in a page."""
    if not isinstance(call, ListCall):
        return True
    try:
        return isinstance(search(call.items, data), list)
    except FormError:
        return False
