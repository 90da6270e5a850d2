"""Whole contents in bulk: all assets of a scope, page by page, whichever types they are of.

The pages are a unit of their own, committed before the units that use them; the units of a resource
type find their assets there and cite the pages. So nothing is asked twice, and an asset that no
resource type describes is evidence all the same, and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from collectors.gcp.asking import Asker, Question
from collectors.gcp.exchange import Request
from collectors.gcp.items import HIERARCHY
from collectors.gcp.moments import same_moment
from collectors.gcp.needs import GROUPS, PERMISSIONS
from collectors.gcp.settings import LARGEST_SEARCH_PAGE
from collectors.gcp.spec import (
    ANALYZE,
    ANY_ASSET,
    LIST_ASSETS,
    SEARCH,
    Content,
    ContentStep,
    GcpResourceType,
    Listing,
)
from collectors.unit import Writer
from evidence.outcome import Outcome
from evidence.units import ALL_RESOURCES, GLOBAL_REGION, UnitKey, UnitRecord

_ASSETS = "gcp_assets"
_QUERIES = {SEARCH: "search", ANALYZE: "analysis"}
RESOURCES = ALL_RESOURCES
"""The name of the unit that holds the resources: always read, since it says which projects are."""

_MOST_TYPES = 30
"""Asset types that a listing names; where there are more, it is of all."""


def bulk_name(call: Listing | ContentStep, resource_type: str) -> str:
    """Return the name of the unit that holds the pages of a call of a resource type."""
    if isinstance(call, Listing) and call.method != LIST_ASSETS:
        return f"{resource_type}.{_QUERIES[call.method]}"
    return f"{_ASSETS}.{call.content}"


def bulk_names(spec: GcpResourceType) -> list[str]:
    """Return the names of the units that a resource type is made from, and that of resources."""
    calls: list[Listing | ContentStep] = [spec.listing, *spec.enrich]
    return list(dict.fromkeys([RESOURCES, *(bulk_name(call, spec.type) for call in calls)]))


def bulk_key(account: str, name: str) -> UnitKey:
    """Return the key of the unit that holds the pages of a content in a scope."""
    return UnitKey("gcp", account, GLOBAL_REGION, name)


def asset_types_of(
    content: Content, specs: Iterable[GcpResourceType], *, restricted: bool
) -> tuple[str, ...]:
    """Return the asset types that a content is listed for; none means all.

    Only where a run is `restricted` to some resource types, and these are few, are there any.
    """
    wanted = {spec.native_type for spec in specs if content in spec.contents()}
    if content == "resource":
        wanted |= set(HIERARCHY)
    if not restricted or ANY_ASSET in wanted or len(wanted) > _MOST_TYPES:
        return ()
    return tuple(sorted(wanted))


@dataclass(frozen=True)
class BulkQuery:
    """One question to a scope that takes many pages: plain data.

    `content` is what the assets are listed for, empty for a search or an analysis.
    """

    operation: str
    request: Request
    content: str
    needs: str

    @classmethod
    def of_assets(
        cls,
        scope: str,
        content: Content,
        read_time: str,
        asset_types: Sequence[str],
        page_size: int,
    ) -> BulkQuery:
        """Return the listing of a content at one time."""
        parameters: dict[str, Any] = {
            "parent": scope,
            "readTime": read_time,
            "contentType": content.upper(),
            "pageSize": page_size,
        }
        if asset_types:
            parameters["assetTypes"] = list(asset_types)
        operation = Listing(content=content).operation
        return cls(operation, Request(LIST_ASSETS, parameters), content, PERMISSIONS[content])

    @classmethod
    def of_listing(cls, scope: str, listing: Listing, page_size: int) -> BulkQuery:
        """Return the search or the analysis that a resource type lists by: as of now."""
        parameters: dict[str, Any] = {
            "scope": scope,
            "query": listing.search,
            "pageSize": min(page_size, LARGEST_SEARCH_PAGE),
        }
        if listing.method == ANALYZE:
            selected = {"permissions": list(listing.permissions)}
            asked = {"scope": scope, "accessSelector": selected, "options": {"expandGroups": True}}
            parameters = {"analysisQuery": asked}
        request = Request(listing.method, parameters)
        return cls(listing.operation, request, "", PERMISSIONS[listing.method])

    def results(self, data: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return what a page holds. Whatever is no object in it is left out."""
        if self.request.method == ANALYZE:
            found = (data.get("mainAnalysis") or {}).get("analysisResults")
        else:
            found = data.get("assets" if self.request.method == LIST_ASSETS else "results")
        return [item for item in found or [] if isinstance(item, dict)]


def collect_bulk(asker: Asker, query: BulkQuery, writer: Writer) -> UnitRecord:
    """Ask for all pages and commit them."""
    try:
        record = _Bulk(asker, query, writer).collect()
        writer.commit(record)
    except BaseException:
        writer.abandon()
        raise
    return record


class _Bulk:
    """One bulk unit under way."""

    def __init__(self, asker: Asker, query: BulkQuery, writer: Writer) -> None:
        self._asker, self._query, self._writer = asker, query, writer
        self._calls = self._redactions = 0
        self._captures: list[str] = []
        self._kinds: Counter[str] = Counter()
        self._doubts: list[str] = []

    def collect(self) -> UnitRecord:
        """Ask page after page; one that fails ends it, and what came before stays."""
        outcome, detail = self._pages()
        if outcome is Outcome.OK and self._doubts:
            outcome, detail = Outcome.ERROR, self._doubts[0]
        return UnitRecord(
            self._writer.key,
            outcome,
            detail,
            0,
            self._writer.records,
            self._redactions,
            captures=tuple(self._captures),
            calls={self._query.operation: self._calls},
            kinds=dict(sorted(self._kinds.items())),
        )

    def _pages(self) -> tuple[Outcome, str]:
        token = ""
        seen: set[str] = set()
        while token not in seen:
            seen.add(token)
            request = self._query.request
            answer, received = self._asker.once(
                Question(
                    self._query.operation,
                    request.following(token) if token else request,
                    self._query.content,
                    self._query.needs,
                )
            )
            self._calls += 1
            self._redactions += answer.redactions
            self._captures.extend(self._writer.keep_capture(line) for line in answer.lines)
            if answer.outcome is not Outcome.OK:
                page = f"page {self._calls}: " if self._calls > 1 else ""
                return answer.outcome, f"{page}{answer.detail}"
            self._look_at(received)
            token = str(received.get("nextPageToken") or "")
            if not token:
                return Outcome.OK, ""
        return Outcome.ERROR, "the pages of the answer go in a circle"

    def _look_at(self, page: Mapping[str, Any]) -> None:
        """Count what a page holds, and note what makes it less than it should be."""
        kinds = (str(item.get("assetType") or "") for item in self._query.results(page))
        self._kinds.update(kind for kind in kinds if kind)
        wanted, found = self._query.request.parameters.get("readTime"), page.get("readTime")
        if wanted and found and not same_moment(wanted, str(found)):
            self._doubts.append(f"page {self._calls} is of {found}, not of {wanted} as asked")
        if self._query.request.method == ANALYZE:
            self._doubts.extend(_unexplored(page))


def _unexplored(answer: Mapping[str, Any]) -> list[str]:
    """Return why an analysis is not whole, if it is not; what is false is left out of JSON."""
    main = answer.get("mainAnalysis") or {}
    errors = [item for item in main.get("nonCriticalErrors") or [] if isinstance(item, dict)]
    if answer.get("fullyExplored") and main.get("fullyExplored") and not errors:
        return []
    said = "; ".join(f"{item.get('code', '')}: {item.get('cause', '')}" for item in errors)
    needs = f" (needs {GROUPS})" if "group" in said.casefold() else ""
    return [f"the policies were not fully explored{f' ({said})' if said else ''}{needs}"]


def not_asked(key: UnitKey, why: str) -> UnitRecord:
    """Return the record of a bulk unit that was not asked."""
    return UnitRecord(key, Outcome.SKIPPED, why, 0, 0, 0)
