"""Reading listed resources again: Resource Graph may be behind, Azure Resource Manager is not.

Each row is followed by a GET of the resource. Its answer takes the row's place, and the resource
cites both. A resource that is gone by then gives no row. Where the GET fails, the row stands, and a
gap says so.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from dataclasses import replace
from typing import Any

from collectors.answers import Answer, Caller
from collectors.azure.spec import ARM, AzureResourceType, Step
from collectors.listing import Keep, Listed
from collectors.place import Place
from evidence.outcome import Outcome

REREAD_CALL = (ARM, "GET {id}")
"""Service and operation of the second look, as captures show them."""

_IN_FLIGHT = 256
_GONE = (
    "ResourceNotFound",
    "NotFound",
    "ResourceGroupNotFound",
    "HTTP 404",
    "ParentResourceNotFound",
)

_BOTH_SAY = frozenset(
    {
        "id",
        "name",
        "type",
        "location",
        "tags",
        "properties",
        "kind",
        "sku",
        "identity",
        "plan",
        "zones",
        "extendedLocation",
        "managedBy",
        "apiVersion",
    }
)
"""Members that a row has from the resource: where the GET leaves one out, there is none."""


class Rereader:
    """Reads the items of one unit again, on the item threads, in the order of the listing."""

    def __init__(
        self, spec: AzureResourceType, place: Place, caller: Caller, threads: Executor
    ) -> None:
        api = spec.reread.api if spec.reread is not None else ""
        self._step = Step(into="reread", arm="{id}", api=api, absent=_GONE)
        self._place, self._caller, self._threads = place, caller, threads

    def items(
        self, found: Iterator[Listed | Answer], keep: Keep, keep_listing: Keep
    ) -> Iterator[Listed | Answer]:
        """Yield what `found` yields, items as they are now; those that are gone are left out."""
        waiting: deque[tuple[Listed, Future[Answer]]] = deque()
        for item in found:
            if isinstance(item, Answer):
                yield item
                continue
            waiting.append((item, self._threads.submit(self._again, item.item)))
            if len(waiting) >= _IN_FLIGHT:
                yield from self._now(*waiting.popleft(), keep, keep_listing)
        while waiting:
            yield from self._now(*waiting.popleft(), keep, keep_listing)

    def _again(self, row: dict[str, Any]) -> Answer:
        params = self._step.parameters({**row, "ctx": self._place.as_dict()})
        return self._caller.ask(self._step, ARM, self._place.call_region, params)

    def _now(
        self, listed: Listed, asked: Future[Answer], keep: Keep, keep_listing: Keep
    ) -> Iterator[Listed]:
        answer = asked.result()
        if answer.outcome is Outcome.ABSENT:
            keep_listing(answer)
            return
        captures = (*listed.captures, *keep(answer))
        if answer.outcome is Outcome.OK and isinstance(answer.data, dict):
            only_row = {k: v for k, v in listed.item.items() if k not in _BOTH_SAY}
            now = {**only_row, **answer.data}
            if not isinstance(now.get("id"), str):
                now["id"] = listed.item["id"]  # which it was asked by
            yield Listed(now, captures)
            return
        what = f"{answer.detail}; the row of Resource Graph is used, which may be behind"
        unread = replace(answer, detail=what.removeprefix("; "))
        yield Listed(listed.item, captures, unread)
