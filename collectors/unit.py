"""One unit of collecting: one resource type in one account and region, from calls to rows.

The same for every provider: who asks is a `Caller`. A unit lists, enriches each item on the shared
item threads, shapes facets, and commits captures and rows together. An error in one resource
becomes a gap of that resource; an error in the listing becomes the unit's outcome.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from collectors.answers import Answer, Caller, Handler
from collectors.enriching import Enriched, Enricher
from collectors.listing import Keep, Listed, Lister
from collectors.place import Place
from collectors.rows import RowShaper, Shaped
from collectors.seen import SeenRows
from collectors.spec import ResourceTypeSpec
from evidence.outcome import Gap, Outcome
from evidence.units import UnitKey, UnitRecord

_IN_FLIGHT = 256


@dataclass
class _Tally:
    """What a unit counted while it ran."""

    calls: dict[str, int] = field(default_factory=dict)
    redactions: int = 0
    resources: int = 0
    gaps: list[Gap] = field(default_factory=list)
    listing: list[str] = field(default_factory=list)
    told: set[tuple[str, Outcome, str]] = field(default_factory=set)

    def is_first(self, source: str, answer: Answer) -> bool:
        """Whether nothing of what `answer` says of all resources was noted before."""
        known = len(self.told)
        self.told.add((source, answer.outcome, answer.detail))
        return len(self.told) > known

    def count(self, answer: Answer) -> None:
        """Count one call that was made for this unit."""
        if answer.reused:
            return
        self.calls[answer.operation] = self.calls.get(answer.operation, 0) + 1
        self.redactions += answer.redactions


class Writer(Protocol):
    """Where a unit goes: `evidence.units.UnitWriter`, or rows alone where captures are replayed."""

    @property
    def key(self) -> UnitKey:
        """What names the unit."""

    @property
    def records(self) -> int:
        """How many captures the unit has so far."""

    def keep_capture(self, line: bytes) -> str:
        """Keep a capture; return its reference."""

    def write_row(self, row: dict[str, Any]) -> None:
        """Append a validated row."""

    def commit(self, record: UnitRecord) -> None:
        """Make the unit count."""

    def abandon(self) -> None:
        """Drop what was written."""


class SecondLook(Protocol):
    """Looks at listed items again before they are enriched."""

    def items(
        self, found: Iterator[Listed | Answer], keep: Keep, keep_listing: Keep
    ) -> Iterator[Listed | Answer]:
        """Yield what `found` yields, items as they are now.

        `keep` keeps an answer for an item, `keep_listing` one that the listing itself rests on.
        """


class UnitCollector:
    """Collects one unit. `threads` runs the items' calls; the unit is named by its writer."""

    def __init__(
        self,
        spec: ResourceTypeSpec,
        place: Place,
        caller: Caller,
        threads: Executor,
        writer: Writer,
        handler: Handler | None = None,
        second_look: SecondLook | None = None,
    ) -> None:
        self._spec, self._place, self._threads = spec, place, threads
        self._second_look = second_look
        self._lister = Lister(spec, place, caller, self._keep_listing, handler)
        self._enricher = Enricher(spec, place, caller)
        self._key, self._writer = writer.key, writer
        self._shaper = RowShaper(spec, writer.key, place.account)
        self._tally = _Tally()
        self._kept: dict[bytes, str] = {}
        self._seen = SeenRows()

    def collect(self) -> UnitRecord:
        """Collect and commit the unit; on an unforeseen error nothing of it is kept."""
        try:
            listed, detail = self._collect_items()
            record = self._record(listed, detail)
            self._writer.commit(record)
        except BaseException:
            self._writer.abandon()
            raise
        return record

    def _record(self, listed: Outcome, detail: str) -> UnitRecord:
        tally = self._tally
        if not listed.observed:
            tally.gaps.insert(0, self._listing_gap(listed, detail))
        return UnitRecord(
            key=self._key,
            listed=listed,
            detail=detail,
            resources=tally.resources,
            records=self._writer.records,
            redactions=tally.redactions,
            captures=tuple(dict.fromkeys(tally.listing)),
            calls=dict(sorted(tally.calls.items())),
            gaps=tuple(tally.gaps),
        )

    def _listing_gap(self, listed: Outcome, detail: str) -> Gap:
        operation = self._spec.listing.operation if self._spec.listing else self._spec.handler or ""
        captures = tuple(dict.fromkeys(self._tally.listing))
        return self._gap(operation, listed.value, detail, captures=captures)

    def _gap(self, operation: str, reason: str, detail: str, **more: Any) -> Gap:
        key = self._key
        return Gap(
            key.provider,
            key.account,
            key.region,
            key.resource_type,
            operation,
            reason,
            detail,
            **more,
        )

    def _collect_items(self) -> tuple[Outcome, str]:
        """List and enrich, with a bounded number of items in flight; return how listing went."""
        waiting: deque[Future[Enriched]] = deque()
        outcome, detail = Outcome.OK, ""
        for found in self._listed():
            if isinstance(found, Answer):
                outcome, detail = found.outcome, found.detail
                continue
            waiting.append(self._threads.submit(self._enricher.enrich, found))
            if len(waiting) >= _IN_FLIGHT:
                self._finish(waiting.popleft().result())
        while waiting:
            self._finish(waiting.popleft().result())
        return outcome, detail

    def _listed(self) -> Iterator[Listed | Answer]:
        found = self._lister.items()
        if self._second_look is None:
            return found
        return self._second_look.items(found, self._keep_counted, self._keep_listing)

    # Captures

    def _keep_listing(self, answer: Answer) -> tuple[str, ...]:
        references = self._keep_counted(answer)
        self._tally.listing.extend(references)
        return references

    def _keep_counted(self, answer: Answer) -> tuple[str, ...]:
        self._tally.count(answer)
        return tuple(self._keep(answer))

    def _keep(self, answer: Answer) -> list[str]:
        """Write the captures of an answer into this unit's segment; shared ones once."""
        if answer.references:
            return list(answer.references)
        if not answer.shared:
            return [self._writer.keep_capture(line) for line in answer.lines]
        for line in answer.lines:
            if line not in self._kept:
                self._kept[line] = self._writer.keep_capture(line)
        return [self._kept[line] for line in answer.lines]

    # Shaping and writing (runs on the unit's own thread)

    def _finish(self, done: Enriched) -> None:
        listed = Answer("list", Outcome.OK, done.listed.item)
        if not done.listed.told and done.listed.unread is not None:
            listed = done.listed.unread
        answers = {"list": listed, **done.answers}
        references = self._references(done)
        for answer in done.answers.values():
            if answer.lines:
                self._tally.count(answer)
        scope = self._enricher.scope(done.listed.item, done.answers)
        shaped = self._shaper.shape(scope, answers, references)
        if self._is_new(shaped.row):
            self._note_gaps(shaped, done, references)
            self._writer.write_row(shaped.row)
            self._tally.resources += 1

    def _references(self, done: Enriched) -> dict[str, list[str]]:
        """Return the captures that each source rests on.

        A call that was not made, because it does not apply, rests on what showed that.
        """
        found = {"list": list(done.listed.captures)}
        for step in self._spec.enrich:
            answer = done.answers[step.name]
            basis = [ref for name in sorted(step.needs()) for ref in found[name]]
            is_kept = answer.lines or answer.references
            found[step.name] = self._keep(answer) if is_kept else [*found["list"], *basis]
        return found

    def _is_new(self, row: dict[str, Any]) -> bool:
        """Whether the resource was not written yet: a page that comes twice gives no second row.

        One that is listed again with another content, or without an id, becomes a gap.
        """
        content = {name: value for name, value in row.items() if name != "captures"}
        known = self._seen.seen(row["id"], orjson.dumps(content, option=orjson.OPT_SORT_KEYS))
        if row["id"] and known is None:
            return True
        if not row["id"] or not known:
            what = "listed twice, differently" if row["id"] else "the answer holds no id"
            captures = tuple(row["captures"][next(iter(self._spec.facets))])
            more = {"resource_id": row["id"] or row["name"], "captures": captures}
            self._tally.gaps.append(self._gap("list", Outcome.ERROR.value, what, **more))
        return False

    def _note_gaps(self, shaped: Shaped, done: Enriched, references: dict[str, list[str]]) -> None:
        row = shaped.row
        for item in shaped.refused:
            self._tally.gaps.append(
                self._gap(
                    ",".join(item.sources),
                    Outcome.ERROR.value,
                    item.detail,
                    resource_id=row["id"],
                    facet=item.facet,
                    captures=tuple(row["captures"][item.facet]),
                )
            )
        unread = [] if done.listed.unread is None else [("list", done.listed.unread)]
        for name, answer in (*unread, *done.answers.items()):
            if answer.outcome.observed or (answer.alike and not self._tally.is_first(name, answer)):
                continue
            self._tally.gaps.append(
                self._gap(
                    answer.operation,
                    answer.outcome.value,
                    answer.detail,
                    resource_id="" if answer.alike else row["id"],
                    facet=",".join(self._facets_of(name)),
                    captures=tuple(references[name]),
                )
            )

    def _facets_of(self, source: str) -> list[str]:
        return [name for name, facet in self._spec.facets.items() if source in facet.sources]
