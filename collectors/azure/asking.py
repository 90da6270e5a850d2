"""Asking Azure: all pages, patient while throttled, shared between types, classified.

What answers is a `Source`: the cloud itself (`LiveSource`), or the captures of a sealed snapshot
(`collectors.azure.replaying`). Everything else is the same for both.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Protocol

from collectors.answers import Answer, Page
from collectors.azure.exchange import Reply, Request
from collectors.azure.outcomes import classify, detail_of, is_throttle
from collectors.azure.session import TenantSession
from collectors.capturing import CaptureMaker
from collectors.sharing import SharedAnswers
from evidence.capture import parameters_text
from evidence.outcome import Outcome

NOT_COLLECTED = "NotCollected"
"""The code of a reply that captures do not hold: the call was not made when they were."""

_ROUNDS = 6
_FIRST_PAUSE = 1.0
_LINKS = ("nextLink", "@odata.nextLink", "odata.nextLink")


class Source(Protocol):
    """What answers requests."""

    def recording(self) -> AbstractContextManager[Sequence[Any]]:
        """Collect the exchanges of this thread while the block runs."""

    def ask(self, service: str, operation: str, request: Request) -> Reply:
        """Send one request and return what it means."""

    def clean(self, text: str) -> str:
        """Return an error's text without secrets."""

    def page(
        self, service: str, exchanges: Sequence[Any], answer: Any, declared_for: Hashable
    ) -> Page:
        """Return an answer, None where there was none, and the captures of its exchanges."""


class LiveSource:
    """What a tenant answers; secrets are taken out before anything is handed on."""

    def __init__(self, session: TenantSession, maker: CaptureMaker) -> None:
        self._session, self._maker = session, maker

    def recording(self) -> AbstractContextManager[Sequence[Any]]:
        """Collect the exchanges of this thread while the block runs."""
        return self._session.recorder.recording()

    def ask(self, service: str, operation: str, request: Request) -> Reply:
        """Send one request, with the SDK's retries, and return what it means."""
        return self._session.send(service, operation, request)

    def clean(self, text: str) -> str:
        """Return an error's text without secrets."""
        return self._maker.clean(text)

    def page(
        self, service: str, exchanges: Sequence[Any], answer: Any, declared_for: Hashable
    ) -> Page:
        """Redact an answer and turn its exchanges into capture lines; the last is the answer."""
        return self._maker.page(service, exchanges, answer, declared_for)


@dataclass(frozen=True)
class Question:
    """What is asked, and how its answer is to be taken.

    `declared_for` is what redactions are declared for, `needs` the permission that is missing where
    it is denied; `absent` and `not_enabled` are the resource type's error codes. `next_page` gives
    the request after a page (none ends it).
    """

    service: str
    operation: str
    request: Request
    declared_for: Hashable
    needs: str = ""
    absent: tuple[str, ...] = ()
    not_enabled: tuple[str, ...] = ()

    def after(self, data: Any) -> Request | None:
        """Return the request of the page after `data`. Raises ValueError where the link is none."""
        members = data if isinstance(data, dict) else {}
        link = next((members[name] for name in _LINKS if members.get(name)), None)
        return None if link is None else self.request.following(str(link))


class Asker:
    """Asks one source. What may be asked more than once alike is asked once and shared.

    `shared` are (service, operation) pairs; `pause` waits for so many seconds.
    """

    def __init__(
        self,
        source: Source,
        shared: frozenset[tuple[str, str]] = frozenset(),
        *,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._source, self._shared, self._pause = source, shared, pause
        self._made = SharedAnswers()

    def ask(self, question: Question) -> Answer:
        """Return one answer, the lists of its pages joined."""
        pages = list(self.pages(question))
        last = pages[-1]
        if len(pages) == 1:
            return last
        if last.outcome is Outcome.OK:
            last = _joined(pages)
        lines = tuple(line for page in pages for line in page.lines)
        return replace(last, lines=lines, redactions=sum(page.redactions for page in pages))

    def pages(self, question: Question) -> Iterator[Answer]:
        """Yield one answer a page; a page that fails is the last, with its outcome."""
        if (question.service, question.operation) not in self._shared:
            yield from self._pages(question)
            return
        parameters = parameters_text(question.request.parameters)
        key = (question.service, question.operation, parameters)
        yield from self._made.pages(key, lambda: self._pages(question))

    def _pages(self, question: Question) -> Iterator[Answer]:
        request: Request | None = question.request
        seen: set[str] = set()
        while request is not None:
            asked = parameters_text(request.parameters)
            if asked in seen:
                what = "the pages of the answer go in a circle"
                yield Answer(question.operation, Outcome.ERROR, None, what)
                return
            seen.add(asked)
            answer, received = self.once(replace(question, request=request))
            yield answer
            if answer.outcome is not Outcome.OK:
                return
            try:
                request = question.after(received)
            except ValueError:
                what = "the address of the next page is none"
                yield Answer(question.operation, Outcome.ERROR, None, what)
                return

    def once(self, question: Question) -> tuple[Answer, Any]:
        """Send one request; return what came of it, and the data before anything was redacted.

        The latter only leads to the next page: a token in it may look like a secret.
        """
        source = self._source
        with source.recording() as exchanges:
            reply = self._patiently(question)
        page = source.page(question.service, exchanges, reply.data, question.declared_for)
        outcome = classify(reply, question.absent, question.not_enabled)
        detail = ""
        if reply.code == NOT_COLLECTED:
            outcome, detail = Outcome.SKIPPED, "not collected"
        elif outcome is not Outcome.OK:
            clean = replace(reply, message=source.clean(reply.message))
            detail = detail_of(clean, outcome, question.needs)
        operation = question.operation
        answer = Answer(operation, outcome, page.data, detail, page.lines, page.redactions)
        return answer, reply.data

    def _patiently(self, question: Question) -> Reply:
        """Ask, and go on asking for a while when the SDK has given up on throttling."""
        for attempt in range(_ROUNDS - 1):
            reply = self._source.ask(question.service, question.operation, question.request)
            if not is_throttle(reply):
                return reply
            wait = _FIRST_PAUSE * 2**attempt * random.uniform(0.8, 1.2)  # noqa: S311
            self._pause(max(reply.retry_after, wait))
        return self._source.ask(question.service, question.operation, question.request)


def _joined(pages: Sequence[Answer]) -> Answer:
    """Return pages of a list as one answer; an error where one of them holds no list."""
    lists = [page.data.get("value") if isinstance(page.data, dict) else None for page in pages]
    if not all(isinstance(items, list) for items in lists):
        what = "a page of the answer holds no list"
        return replace(pages[-1], outcome=Outcome.ERROR, data=None, detail=what)
    value = [item for items in lists for item in items or []]
    return replace(pages[-1], data={**pages[0].data, "value": value})
