"""Listing the items of a unit: page by page, nested where a type needs it, or by a handler."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from collectors.answers import Answer, Caller, Handler
from collectors.forms import FormError
from collectors.place import Place
from collectors.shape import look_up
from collectors.spec import ListSpec, ResourceTypeSpec
from evidence.outcome import Outcome

Keep = Callable[[Answer], tuple[str, ...]]
"""Counts an answer, writes its captures down and returns their references."""


@dataclass(frozen=True)
class Listed:
    """One listed item and the captures of the page that it was on.

    `unread` is the answer of a second look at the item that did not succeed: a gap of it. Where
    even the listing did not tell what the item is like, it is not `told`, and `unread` says why.
    """

    item: dict[str, Any]
    captures: tuple[str, ...]
    unread: Answer | None = None
    told: bool = True


class Lister:
    """Lists one resource type in one place. `keep` writes an answer's captures down.

    `keep` returns the references of the captures, which the listed items then carry. `handler`
    lists instead of the type's calls.
    """

    def __init__(
        self,
        spec: ResourceTypeSpec,
        place: Place,
        caller: Caller,
        keep: Keep,
        handler: Handler | None = None,
    ) -> None:
        self._spec, self._place, self._caller, self._keep = spec, place, caller, keep
        self._handler = handler

    def items(self) -> Iterator[Listed | Answer]:
        """Yield items, and the answer of each listing call that did not succeed."""
        spec = self._spec
        if self._handler is not None:
            yield from self._handled(self._handler)
        elif spec.listing is None:
            yield Listed(dict(self._place.as_dict()), ())
        else:
            yield from self._walk(spec.listing, {}, ())

    def _handled(self, handler: Handler) -> Iterator[Listed | Answer]:
        handled = handler(self._place.call_region)
        captures = tuple(ref for answer in handled.answers for ref in self._keep(answer))
        if not handled.answers[-1].outcome.observed:
            yield handled.answers[-1]
        yield from (Listed(item, captures) for item in handled.items)

    def _walk(
        self, node: ListSpec, above: dict[str, Any], captures: tuple[str, ...]
    ) -> Iterator[Listed | Answer]:
        """Make one listing call; `above` is what the calls before it left in scope."""
        service = node.service or self._spec.service
        try:
            params = node.parameters({**above, "ctx": self._place.as_dict()})
        except FormError:
            what = "not asked: a path does not fit the form of the answer before"
            yield Answer(node.operation, Outcome.ERROR, None, what)
            return
        for answer in self._caller.pages(node, service, self._place.call_region, params):
            here = (*captures, *self._keep(answer))
            if answer.outcome is Outcome.ABSENT:
                return
            if answer.outcome is not Outcome.OK:
                yield answer
                return
            items = _items(node, answer)
            if items is None:
                what = "the answer holds no list of them"
                yield replace(answer, outcome=Outcome.ERROR, detail=what)
                return
            yield from self._inside(node, items, above, here)

    def _inside(
        self, node: ListSpec, items: list[Any], above: dict[str, Any], captures: tuple[str, ...]
    ) -> Iterator[Listed | Answer]:
        if node.then is None:
            for item in items:
                known = item if isinstance(item, dict) else {"value": item}
                yield Listed({**known, "parent": above} if above else known, captures)
        elif node.batch:
            for start in range(0, len(items), node.batch):
                group = {**above, "batch": items[start : start + node.batch]}
                yield from self._walk(node.then, group, captures)
        else:
            for item in items:
                known = item if isinstance(item, dict) else {"value": item}
                yield from self._walk(node.then, known, captures)


def _items(node: ListSpec, answer: Answer) -> list[Any] | None:
    """Return the items of a page: some leave an empty list out. None where they are no list."""
    try:
        found = look_up(node.items, answer.data)
    except FormError:
        return None
    if found is None:
        return []
    return found if isinstance(found, list) else None
