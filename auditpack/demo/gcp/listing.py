"""ListAssets: the assets below a parent at a moment, in pages, of one content at a time.

As documented: an asset type may be a regular expression, which has to fit whole; one that fits no
type that Cloud Asset Inventory knows is INVALID_ARGUMENT, as is a `read_time` that lies ahead or
more than 35 days back. Without `read_time` it is now, and stays so for all pages.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from auditpack.demo.gcp.estate import Bulk, GcpEstate, Place, Record
from auditpack.demo.gcp.messages import CONTENTS, LIST_RESPONSE
from auditpack.demo.gcp.paging import Pages, bound_to
from auditpack.demo.gcp.statuses import denied, invalid

DEFAULT_PAGE, LARGEST_PAGE = 100, 1000
REACHES_BACK = datetime.timedelta(days=35)
Listed = tuple[Bulk | None, Any]
"""A message; with a bulk, it stands for so many copies."""

NOT_RE2 = re.compile(r"\(\?[=!<]|\\[1-9]|\(\?P=")
"""What Python's expressions have and RE2 lacks: looking around and references back."""


class Lister:
    """Answers ListAssets."""

    def __init__(
        self, estate: GcpEstate, pages: Pages, clock: Callable[[], datetime.datetime]
    ) -> None:
        self._estate = estate
        self._pages = pages
        self._clock = clock

    def answer(self, request: Any) -> Any:
        """Return one page."""
        place = find_place(self._estate, request.parent)
        content = CONTENTS[request.content_type]
        if content == "relationship":
            raise invalid("Relationships are not kept for this organization.", "content_type")
        if request.page_size < 0:
            raise invalid("The page size must not be negative.", "page_size")
        wanted = matching_types(self._estate, request.asset_types)
        bound = bound_to("ListAssets", request, "page_size")
        offset, read_time = self._where(request, bound)
        moment = datetime.datetime.fromisoformat(read_time)
        size = min(request.page_size or DEFAULT_PAGE, LARGEST_PAGE)
        response = LIST_RESPONSE()
        if request.HasField("read_time"):
            response.read_time.CopyFrom(request.read_time)
        else:
            response.read_time.FromDatetime(moment)
        whole = self._whole(place, wanted, content, moment)
        found = 0
        for message, bulk, number in islice(_from(whole, offset), size):
            _fill(response.assets.add(), message, bulk, number)
            found += 1
        if found == size and next(_from(whole, offset + size), None):
            response.next_page_token = self._pages.token(bound, offset + size, read_time)
        return response

    def _where(self, request: Any, bound: str) -> tuple[int, str]:
        now = self._clock()
        moment = now
        if request.HasField("read_time"):
            moment = request.read_time.ToDatetime(datetime.UTC)
            if not now - REACHES_BACK <= moment <= now:
                raise invalid(
                    "The read time must be between the current time minus 35 days and the"
                    " current time.",
                    "read_time",
                )
        if request.page_token:
            return self._pages.open(request.page_token, bound)
        return 0, moment.isoformat()

    def _whole(
        self, place: Place, wanted: frozenset[str] | None, content: str, moment: datetime.datetime
    ) -> list[Listed]:
        """Return all that there is: assets, and bulks, each of which counts as many."""
        all_records: list[tuple[Bulk | None, Record]] = [
            *((None, record) for record in self._estate.records),
            *((bulk, bulk.original) for bulk in self._estate.bulks),
        ]
        found = (
            (bulk, _message(record, place, wanted, content, moment)) for bulk, record in all_records
        )
        return [(bulk, message) for bulk, message in found if message is not None]


def find_place(estate: GcpEstate, parent: str) -> Place:
    """Return what a request's parent or scope names, or refuse."""
    if not re.fullmatch(r"(projects/[a-z0-9:.\-]+|(folders|organizations)/[0-9]+)", parent):
        raise invalid("Invalid parent in request.", "parent")
    place = estate.place(parent)
    if place is None:
        raise denied("cloudasset.assets.listResource", parent)
    return place


def matching_types(estate: GcpEstate, patterns: Iterable[str]) -> frozenset[str] | None:
    """Return the asset types that a request's patterns fit, or None where it has no pattern."""
    found: set[str] = set()
    said = list(patterns)
    for pattern in said:
        fitting = {pattern} & estate.types or _fitting(estate.types, pattern)
        if not fitting:
            raise invalid(f"'{pattern}' does not match any supported asset type.", "asset_types")
        found |= fitting
    return frozenset(found) if said else None


def _fitting(types: frozenset[str], pattern: str) -> set[str]:
    if NOT_RE2.search(pattern):
        raise invalid(f"'{pattern}' is not an expression of RE2.", "asset_types")
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise invalid(f"'{pattern}' is no regular expression: {error}.", "asset_types") from error
    return {name for name in types if expression.fullmatch(name)}


def _message(
    record: Record,
    place: Place,
    wanted: frozenset[str] | None,
    content: str,
    moment: datetime.datetime,
) -> Any:
    if place.relative not in record.place.ancestors or (wanted and record.type not in wanted):
        return None
    version = record.at(moment)
    return None if version is None else version.messages.get(content)


def _from(whole: list[Listed], offset: int) -> Iterator[tuple[Any, Bulk | None, int]]:
    """Yield messages from an offset on; of a bulk, its message with each copy's number."""
    for bulk, message in whole:
        count = bulk.number if bulk else 1
        for number in range(min(offset, count), count):
            yield message, bulk, number
        offset = max(offset - count, 0)


def _fill(asset: Any, message: Any, bulk: Bulk | None, number: int) -> None:
    asset.CopyFrom(message)
    if bulk is None:
        return
    end = f"-{number + 1:06}"
    asset.name = bulk.original.name + end
    fields = asset.resource.data.fields if asset.HasField("resource") else {}
    for name in ("name", "selfLink"):
        if name in fields and fields[name].string_value:
            fields[name].string_value += end
