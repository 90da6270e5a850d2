"""The recorder: every exchange with Azure, each attempt, through a policy of the pipelines.

It stands last before the transport, so it sees what goes over the wire: retries, throttled
attempts, and failures to connect. A thread-local list collects the exchanges of the call that the
thread is in. The request's headers, which hold the token, are never looked at.
"""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from azure.core.pipeline.policies import HTTPPolicy

from collectors.azure.quota import READS_LEFT, REMAINING, RESETS_AFTER, Lane, QueryQuota
from evidence.capture import Exchange
from evidence.units import GLOBAL_REGION

_KEPT_HEADERS = ("retry-after", REMAINING, RESETS_AFTER, *READS_LEFT)
"""Headers that we act on; a capture shows them."""

_REQUEST_IDS = ("x-ms-request-id", "request-id", "x-ms-correlation-request-id")


@dataclass
class _Call:
    """What the thread is asking."""

    operation: str
    parameters: Mapping[str, Any]
    attempt: int = 0


class Recorder:
    """Records what goes over the wire in the pipelines that its policies are in."""

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
            if not call.attempt:  # refused, or there was no token: nothing went over the wire
                self.keep("", _now(), error=error)
            raise
        finally:
            self._current.call = None

    def keep(
        self, url: str, started: str, *, response: Any = None, error: Exception | None = None
    ) -> None:
        """Note one attempt of the call that this thread is in."""
        call: _Call | None = getattr(self._current, "call", None)
        exchanges: list[Exchange] | None = getattr(self._current, "exchanges", None)
        if call is None or exchanges is None:
            return
        call.attempt += 1
        headers: dict[str, str] = {}
        if response is not None:
            headers = {str(name).lower(): str(text) for name, text in response.headers.items()}
        exchanges.append(
            Exchange(
                operation=call.operation,
                parameters=call.parameters,
                region=GLOBAL_REGION,
                url=url.split("?", maxsplit=1)[0],
                attempt=call.attempt,
                started=started,
                status=0 if response is None else int(response.status_code),
                request_id=next((headers[name] for name in _REQUEST_IDS if name in headers), ""),
                cloud_date=headers.get("date", ""),
                body=b"" if response is None else response.content,
                error="" if error is None else type(error).__name__,
                error_detail="" if error is None else str(error),
                headers={name: headers[name] for name in _KEPT_HEADERS if name in headers},
            )
        )


class RecordingPolicy(HTTPPolicy[Any, Any]):
    """Pays the rate bucket, waits for the quota, sends, and records what came of it.

    `lane_of` gives the lane of a URL's path.
    """

    def __init__(
        self, recorder: Recorder, lane_of: Callable[[str], Lane], queries: QueryQuota
    ) -> None:
        self._recorder, self._lane_of, self._queries = recorder, lane_of, queries

    def send(self, request: Any) -> Any:
        """Send one attempt."""
        http = request.http_request
        lane = self._lane_of(http.url)
        bucket = lane.bucket
        quota = self._queries if http.method == "POST" else lane.reads
        bucket.acquire()
        quota.acquire()
        started, headers = _now(), {}
        try:
            answer = self.next.send(request)
            response = answer.http_response
            response.read()
            headers = {str(name).lower(): text for name, text in response.headers.items()}
        except Exception as error:
            self._recorder.keep(http.url, started, error=error)
            raise
        finally:
            quota.answered(headers)
        if response.status_code == 429:
            bucket.throttled()
        else:
            bucket.succeeded()
        self._recorder.keep(http.url, started, response=response)
        return answer


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
