"""The calls of one unit: none is made, all is found in the committed pages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from collectors.answers import Answer
from collectors.gcp.assets import NotCollected, ScopeAssets
from collectors.gcp.bulk import bulk_name
from collectors.gcp.index import AssetIndex
from collectors.gcp.items import item_of, said_of, tells
from collectors.gcp.spec import ANY_ASSET, ContentStep, GcpResourceType, Listing
from collectors.listing import Keep, Listed
from collectors.shape import search
from evidence.outcome import Outcome

_MOST_CITED = 25
"""Pages that a unit without assets cites: all up to so many, else the first and the last."""


class UnitCaller:
    """Finds what one type has in one account. `missing` are calls that were never made."""

    def __init__(self, spec: GcpResourceType, account: str, assets: ScopeAssets) -> None:
        self._spec, self._account, self._assets = spec, account, assets
        self.missing: list[str] = []

    def _index(self, call: Listing | ContentStep) -> AssetIndex | Answer:
        index = self._assets.index(bulk_name(call, self._spec.type))
        if isinstance(index, AssetIndex) and self._is_asked_for(index):
            return index
        self.missing.append(call.operation)
        why = index.detail if isinstance(index, NotCollected) else "not collected"
        return Answer(call.operation, Outcome.SKIPPED, None, why, reused=True, alike=True)

    def _is_asked_for(self, index: AssetIndex) -> bool:
        """Whether a listing that was restricted to some asset types has this one."""
        only = index.query.request.parameters.get("assetTypes")
        return not only or not self._spec.native_type or self._spec.native_type in only

    def pages(
        self,
        call: Listing,
        service: str,  # noqa: ARG002  (there is one service)
        region: str,  # noqa: ARG002
        params: dict[str, Any],  # noqa: ARG002  (the bulk unit has asked)
    ) -> Iterator[Answer]:
        """Yield the items of the account, an answer a page; one that is not ok ends it."""
        index = self._index(call)
        if isinstance(index, Answer):
            yield index
            return
        kind = "" if self._spec.native_type == ANY_ASSET else self._spec.native_type
        is_empty, silent = True, ""
        for line, assets in index.of(self._assets.places_of(self._account), kind):
            is_empty, items = False, []
            for asset in assets:
                item = item_of(index.query.content, asset)
                if call.each is None:
                    items.append(item)
                    continue
                if not tells(index.query.content, item):
                    silent = silent or str(item.get("name") or "an asset")
                items += [{**item, "each": each} for each in search(call.each, item) or []]
            yield _cited(call.operation, Outcome.OK, (index.reference(line),), items)
        record = index.record
        if record.listed is not Outcome.OK:
            cited = record.captures[-_MOST_CITED:]
            yield _cited(call.operation, record.listed, cited, None, record.detail)
        elif silent:
            what = f"what {silent} is like was not told"
            yield _cited(call.operation, Outcome.ERROR, _few(index), None, what)
        elif is_empty:
            yield _cited(call.operation, Outcome.OK, _few(index), [])

    def ask(
        self,
        call: ContentStep,
        service: str,  # noqa: ARG002
        region: str,  # noqa: ARG002
        params: dict[str, Any],
    ) -> Answer:
        """Return what another content says of an asset.

        Where it says nothing, there is nothing, if the content was listed to its end.
        """
        index = self._index(call)
        if isinstance(index, Answer):
            return index
        found = index.named(str(params["name"] or ""), str(params["asset_type"] or ""))
        if len(found) == 1:
            line, asset = found[0]
            said = said_of(call.content, asset)
            answer = _cited(call.operation, Outcome.OK, (index.reference(line),), None)
            return replace(answer, data=said)
        if found:
            cited = tuple(index.reference(line) for line, _ in found)
            what = "it is there more than once, and differently"
            return _cited(call.operation, Outcome.ERROR, cited, None, what)
        record = index.record
        if record.listed is Outcome.OK:
            return _cited(call.operation, Outcome.ABSENT, _few(index, 2), None)
        cited = record.captures[-1:]
        answer = _cited(call.operation, record.listed, cited, None, record.detail)
        return replace(answer, alike=True)


def _few(index: AssetIndex, most: int = _MOST_CITED) -> tuple[str, ...]:
    """Return the references that stand for all pages of a unit."""
    lines = index.pages()
    if len(lines) > most:
        lines = [lines[0], lines[-1]]
    return tuple(index.reference(line) for line in lines)


def _cited(
    operation: str,
    outcome: Outcome,
    references: tuple[str, ...],
    items: list[Any] | None,
    detail: str = "",
) -> Answer:
    """Return an answer that rests on captures of a bulk unit, which counted the call."""
    data = None if items is None else {"items": items}
    return Answer(operation, outcome, data, detail, references=references, reused=True)


class Told:
    """Looks whether listed assets hold what they were listed for; one that does not is a gap.

    Google leaves out members that have their usual value, but not all of them at once: an asset
    without any data is one that nothing is known of.
    """

    def __init__(self, spec: GcpResourceType) -> None:
        self._listing = spec.listing

    def items(
        self,
        found: Iterator[Listed | Answer],
        keep: Keep,  # noqa: ARG002  (nothing is asked again)
        keep_listing: Keep,  # noqa: ARG002
    ) -> Iterator[Listed | Answer]:
        """Yield what `found` yields, marked where nothing is known of it."""
        listing = self._listing
        is_of_assets = listing.each is None and not (listing.search or listing.permissions)
        for item in found:
            if isinstance(item, Listed) and is_of_assets and not tells(listing.content, item.item):
                why = str(item.item.get("notRendered") or "the asset holds no content")
                unread = Answer(listing.operation, Outcome.ERROR, None, why)
                yield replace(item, unread=unread, told=False)
            else:
                yield item
