"""Resource Graph in bulk: one query a type for all subscriptions of a tenant, kept page by page.

The pages are a unit of their own, committed before the units that use them. A subscription's unit
then finds its rows in the committed pages and cites them: nothing is asked twice, nothing is held
in memory but which pages hold rows of which subscription.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import orjson

from collectors.answers import Answer
from collectors.azure.asking import Asker, Question
from collectors.azure.exchange import Request, parsed_body, resource_graph_query
from collectors.azure.spec import RESOURCE_GRAPH, AzureResourceType, ListCall
from collectors.replaying import with_marks
from collectors.unit import Writer
from evidence.outcome import Outcome
from evidence.redaction import Redactor
from evidence.segments import read_lines
from evidence.units import GLOBAL_REGION, UnitKey, UnitRecord

_Taken = TypeVar("_Taken")

SUFFIX = ".resource_graph"
"""What the name of a bulk unit has after its resource type's."""

_MOST_SUBSCRIPTIONS = 1000
"""Subscriptions that one query may name."""

_NOBODY = "?"
"""Stands for the owner of a row that names none: every subscription misses something then."""

_MOST_CITED = 25
"""Pages that a subscription without rows cites: all up to so many, else the first and the last."""


def bulk_key(tenant_id: str, resource_type: str) -> UnitKey:
    """Return the key of the unit that holds a type's pages."""
    return UnitKey("azure", tenant_id, GLOBAL_REGION, f"{resource_type}{SUFFIX}")


def bulk_listing(spec: AzureResourceType) -> ListCall | None:
    """Return the listing of a type that Resource Graph lists, else None."""
    listing = spec.listing
    return listing if listing is not None and listing.service == RESOURCE_GRAPH else None


def query_text(call: ListCall, native_type: str) -> str:
    """Return the query in Resource Graph's language: ordered, since pages need an order."""
    condition = call.where or f"type =~ '{native_type.lower()}'"
    parts = [call.resource_graph, f"where {condition}"]
    parts += [f"extend {call.extend}"] if call.extend else []
    parts += [f"project {call.project}"] if call.project else []
    return " | ".join([*parts, "order by id asc"])


def collect_bulk(
    asker: Asker,
    spec: AzureResourceType,
    subscriptions: Sequence[str],
    needs: str,
    writer: Writer,
) -> UnitRecord:
    """Query a type for all `subscriptions` (none: the whole tenant) and commit the pages."""
    try:
        record = _Bulk(asker, spec, needs, writer).collect(subscriptions)
        writer.commit(record)
    except BaseException:
        writer.abandon()
        raise
    return record


class _Bulk:
    """One bulk unit under way."""

    def __init__(self, asker: Asker, spec: AzureResourceType, needs: str, writer: Writer) -> None:
        listing = bulk_listing(spec)
        assert listing is not None  # noqa: S101  (the engine plans bulk units for such types only)
        self._asker, self._spec, self._listing, self._needs = asker, spec, listing, needs
        self._writer = writer
        self._calls = self._redactions = 0
        self._captures: list[str] = []

    def collect(self, subscriptions: Sequence[str]) -> UnitRecord:
        """Query group after group; the first that fails ends it."""
        outcome, detail = Outcome.OK, ""
        for start in range(0, max(1, len(subscriptions)), _MOST_SUBSCRIPTIONS):
            group = tuple(subscriptions[start : start + _MOST_SUBSCRIPTIONS])
            outcome, detail = self._group(group)
            if outcome is not Outcome.OK:
                break
        calls = {self._listing.operation: self._calls}
        return UnitRecord(
            self._writer.key,
            outcome,
            detail,
            0,
            self._writer.records,
            self._redactions,
            captures=tuple(self._captures),
            calls=calls,
        )

    def _group(self, subscriptions: tuple[str, ...]) -> tuple[Outcome, str]:
        query, token = query_text(self._listing, self._spec.native_type), ""
        seen: set[str] = set()
        while token not in seen:
            seen.add(token)
            answer, received = self._page(resource_graph_query(query, subscriptions, token))
            if answer.outcome is not Outcome.OK:
                return answer.outcome, answer.detail
            token = str(received.get("$skipToken") or "")
            if not isinstance(received.get("data"), list):
                return Outcome.ERROR, "the answer of Resource Graph has no list of rows"
            if not token:
                cut = str(received.get("resultTruncated", "false")).lower() == "true"
                what = "Resource Graph cut the answer short and gives no next page"
                return (Outcome.ERROR, what) if cut else (Outcome.OK, "")
        return Outcome.ERROR, "the pages of Resource Graph go in a circle"

    def _page(self, request: Request) -> tuple[Answer, dict[str, Any]]:
        """Ask for one page and keep its captures."""
        listing = self._listing
        answer, received = self._asker.once(
            Question(
                RESOURCE_GRAPH,
                listing.operation,
                request,
                (self._spec.type, "list"),
                self._needs,
                listing.absent,
                listing.not_enabled,
            )
        )
        self._calls += 1
        self._redactions += answer.redactions
        self._captures.extend(self._writer.keep_capture(line) for line in answer.lines)
        return answer, received if isinstance(received, dict) else {}


@dataclass(frozen=True)
class _Index:
    """Which lines of a segment hold pages, and which of them rows of which subscription."""

    pages: tuple[int, ...]
    by_subscription: dict[str, tuple[int, ...]]

    def lines_of(self, subscription: str) -> tuple[int, ...]:
        """Return the pages with rows of a subscription, or with rows that do not say whose."""
        mine = self.by_subscription.get(subscription, ())
        return tuple(sorted({*mine, *self.by_subscription.get(_NOBODY, ())}))


class BulkRows:
    """The rows of one type, read from the committed pages. Safe to share between threads.

    With a redactor, what it has `declared_for` is taken out of the rows, which were kept before.
    """

    def __init__(
        self,
        record: UnitRecord,
        segment: Path,
        redactor: Redactor | None = None,
        declared_for: Hashable = None,
    ) -> None:
        self._record, self._segment = record, segment
        self._redactor, self._declared_for = redactor, declared_for
        self._lock = threading.Lock()
        self._made: _Index | None = None

    def answers(self, operation: str, subscription: str | None) -> Iterator[Answer]:
        """Yield the rows of a subscription (None: all rows), an answer a page.

        Where the query failed, the one answer says why.
        """
        record = self._record
        if record.listed is not Outcome.OK:
            cited = record.captures[-_MOST_CITED:]
            yield _cited(operation, record.listed, None, cited, record.detail)
            return
        index = self._index()
        lines = index.pages
        if subscription is not None:
            lines = index.lines_of(subscription)
        if not lines:
            few = (
                index.pages
                if len(index.pages) <= _MOST_CITED
                else index.pages[:: len(index.pages) - 1]
            )
            yield _cited(operation, Outcome.OK, [], self._references(few))
            return
        for number, mine in self._read(lines, functools.partial(_rows_in, subscription)):
            yield _cited(operation, Outcome.OK, self._clean(mine), self._references((number,)))

    def _clean(self, rows: list[Any]) -> list[Any]:
        if self._redactor is None:
            return rows
        redacted, _ = self._redactor.redact(self._declared_for, {"value": rows})
        cleaned: list[Any] = with_marks(redacted["value"], rows)
        return cleaned

    def _references(self, lines: Sequence[int]) -> tuple[str, ...]:
        return tuple(f"{self._record.key.path}#{number}" for number in lines)

    def _index(self) -> _Index:
        with self._lock:
            if self._made is None:
                pages: list[int] = []
                by_subscription: dict[str, list[int]] = {}
                for number, owners in self._read(None, _subscriptions_of):
                    pages.append(number)
                    for subscription in owners:
                        by_subscription.setdefault(subscription, []).append(number)
                found = {name: tuple(lines) for name, lines in by_subscription.items()}
                self._made = _Index(tuple(pages), found)
            return self._made

    def _read(
        self, lines: Sequence[int] | None, take: Callable[[list[Any]], _Taken]
    ) -> Iterator[tuple[int, _Taken]]:
        """Yield (line, what `take` takes of its rows) of the pages at `lines`, or of all.

        Attempts that failed are no pages. A page's other rows are let go of before the next one.
        """
        wanted = None if lines is None else frozenset(lines)
        last = max(lines) if lines else None
        for number, line in enumerate(read_lines(self._segment), start=1):
            if last is not None and number > last:
                return
            if wanted is not None and number not in wanted:
                continue
            rows = _rows_of(orjson.loads(line))
            if rows is not None:
                taken, rows = take(rows), None
                yield number, taken


def _subscriptions_of(rows: list[Any]) -> set[str]:
    return {_owner_of(row) for row in rows}


def _rows_in(subscription: str | None, rows: list[Any]) -> list[Any]:
    if subscription is None:
        return rows
    return [row for row in rows if _owner_of(row) in (subscription, _NOBODY)]


def _owner_of(row: Any) -> str:
    """Return the subscription of a row; what has no id either is nobody's."""
    if not isinstance(row, dict):
        return _NOBODY
    named = isinstance(row.get("id"), str) and row["id"]
    return subscription_of(row) or ("" if named else _NOBODY)


def _cited(
    operation: str,
    outcome: Outcome,
    rows: list[Any] | None,
    references: tuple[str, ...],
    detail: str = "",
) -> Answer:
    """Return an answer that rests on captures of the bulk unit, which counted the call."""
    data = None if rows is None else {"value": rows}
    return Answer(operation, outcome, data, detail, references=references, reused=True)


def _rows_of(capture: dict[str, Any]) -> list[Any] | None:
    """Return the rows that a capture holds; None where it is no page."""
    if capture["status"] != 200 or capture["body_is"].endswith("base64"):
        return None
    try:
        body = parsed_body(capture["body"].encode())
    except ValueError:
        return None
    rows = body.get("data") if isinstance(body, dict) else None
    return rows if isinstance(rows, list) else None


def subscription_of(row: dict[str, Any]) -> str:
    """Return the subscription that a row belongs to, in lower case; empty where there is none."""
    given = row.get("subscriptionId")
    if not isinstance(given, str) or not given:
        parts = str(row.get("id") or "").split("/")
        is_in_one = len(parts) > 2 and parts[1].lower() == "subscriptions"
        given = parts[2] if is_in_one else ""
    return given.lower()
