"""Asking Google Cloud: patient while throttled, recorded, classified.

What answers is a `Source`: the cloud itself (`LiveSource`), or the captures of a sealed snapshot
(`collectors.gcp.replaying`). Everything else is the same for both.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from collectors.answers import Answer, Page
from collectors.gcp.exchange import Reply, Request
from collectors.gcp.outcomes import classify, detail_of, is_throttle

if TYPE_CHECKING:
    from collectors.gcp.capturing import GcpCaptures
    from collectors.gcp.session import Session

_ROUNDS = 4


class Source(Protocol):
    """What answers requests."""

    def recording(self) -> AbstractContextManager[Sequence[Any]]:
        """Collect the exchanges of this thread while the block runs."""

    def ask(self, operation: str, request: Request) -> Reply:
        """Make one call and return what it means."""

    def clean(self, text: str) -> str:
        """Return an error's text without secrets."""

    def page(self, exchanges: Sequence[Any], reply: Reply, content: str) -> Page:
        """Return an answer, None where there was none, and the captures of its exchanges."""


class LiveSource:
    """What Google answers; secrets are taken out before anything is handed on."""

    def __init__(self, session: Session, captures: GcpCaptures) -> None:
        self._session, self._captures = session, captures

    def recording(self) -> AbstractContextManager[Sequence[Any]]:
        """Collect the exchanges of this thread while the block runs."""
        return self._session.recorder.recording()

    def ask(self, operation: str, request: Request) -> Reply:
        """Make one call, with the library's retries, and return what it means."""
        return self._session.send(operation, request)

    def clean(self, text: str) -> str:
        """Return an error's text without secrets."""
        return self._captures.clean(text)

    def page(self, exchanges: Sequence[Any], reply: Reply, content: str) -> Page:
        """Redact an answer and turn its exchanges into capture lines; the last is the answer."""
        return self._captures.page(exchanges, reply, content)


@dataclass(frozen=True)
class Question:
    """What is asked. `content` is what redactions are declared for, `needs` the permission."""

    operation: str
    request: Request
    content: str = ""
    needs: str = ""


class Asker:
    """Asks one source. `pause` waits for so many seconds: about `first_pause` first, then longer.

    Quotas are of a minute, and the library's own retries have been waiting before.
    """

    def __init__(
        self,
        source: Source,
        *,
        first_pause: float = 0.0,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._source, self._first_pause, self._pause = source, first_pause, pause

    def once(self, question: Question) -> tuple[Answer, dict[str, Any]]:
        """Make one call; return what came of it, and the data before anything was redacted.

        The latter says what the page holds and leads to the next one.
        """
        source = self._source
        with source.recording() as exchanges:
            reply = self._patiently(question)
        page = source.page(exchanges, reply, question.content)
        outcome, detail = classify(reply), ""
        if not reply.ok:
            clean = replace(reply, message=source.clean(reply.message))
            detail = detail_of(clean, outcome, question.needs)
        answer = Answer(question.operation, outcome, page.data, detail, page.lines, page.redactions)
        return answer, reply.data or {}

    def _patiently(self, question: Question) -> Reply:
        """Ask, and go on asking for a while when the library has given up on throttling."""
        for attempt in range(_ROUNDS - 1):
            reply = self._source.ask(question.operation, question.request)
            if not is_throttle(reply):
                return reply
            wait = self._first_pause * 2**attempt * random.uniform(0.8, 1.2)  # noqa: S311
            self._pause(max(reply.retry_after, wait))
        return self._source.ask(question.operation, question.request)
