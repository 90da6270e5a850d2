"""What comes of a call, attempt by attempt, noted below the client library of a cloud.

A thread-local list collects the exchanges of the call that the thread is in. Whatever stands in the
library's way to the network (a policy of a pipeline, a channel) notes there what it sees.
"""

from __future__ import annotations

import datetime
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from evidence.capture import Exchange
from evidence.units import GLOBAL_REGION


@dataclass
class _Call:
    """What the thread is asking."""

    operation: str
    parameters: Mapping[str, Any]
    attempt: int = 0


class Recorder:
    """Records the exchanges of each thread's call."""

    def __init__(self) -> None:
        self._current = threading.local()

    @contextmanager
    def recording(self) -> Iterator[list[Exchange]]:
        """Collect the exchanges of this thread while the block runs."""
        exchanges: list[Exchange] = []
        self._current.exchanges = exchanges
        try:
            yield exchanges
        finally:
            self._current.exchanges = None

    @contextmanager
    def call(self, operation: str, parameters: Mapping[str, Any]) -> Iterator[None]:
        """Name what this thread asks while the block runs; an error without exchange is kept."""
        call = self._current.call = _Call(operation, parameters)
        try:
            yield
        except Exception as error:
            if not call.attempt:  # refused, or it could not be made: nothing went over the wire
                self.keep("", now(), error=type(error).__name__, error_detail=str(error))
            raise
        finally:
            self._current.call = None

    def keep(self, url: str, started: str, **found: Any) -> None:
        """Note one attempt of the call that this thread is in; `found` is what came of it."""
        call: _Call | None = getattr(self._current, "call", None)
        exchanges: list[Exchange] | None = getattr(self._current, "exchanges", None)
        if call is None or exchanges is None:
            return
        call.attempt += 1
        shown: dict[str, Any] = {"status": 0, "request_id": "", "cloud_date": "", "body": b""}
        exchanges.append(
            Exchange(
                operation=call.operation,
                parameters=call.parameters,
                region=GLOBAL_REGION,
                url=url,
                attempt=call.attempt,
                started=started,
                **{**shown, **found},
            )
        )


def now() -> str:
    """Return the present time as captures show it."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
