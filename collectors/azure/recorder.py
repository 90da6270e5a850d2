"""The recorder: every exchange with Azure, each attempt, through a policy of the pipelines.

It stands last before the transport, so it sees what goes over the wire: retries, throttled
attempts, and failures to connect. A thread-local list collects the exchanges of the call that the
thread is in. The request's headers, which hold the token, are never looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from azure.core.pipeline.policies import HTTPPolicy

from collectors.azure.quota import READS_LEFT, REMAINING, RESETS_AFTER, Lane, QueryQuota
from collectors.recording import Recorder, now

_KEPT_HEADERS = ("retry-after", REMAINING, RESETS_AFTER, *READS_LEFT)
"""Headers that we act on; a capture shows them."""

_REQUEST_IDS = ("x-ms-request-id", "request-id", "x-ms-correlation-request-id")


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
        started, headers = now(), {}
        try:
            answer = self.next.send(request)
            response = answer.http_response
            response.read()
            headers = {str(name).lower(): text for name, text in response.headers.items()}
        except Exception as error:
            failed = {"error": type(error).__name__, "error_detail": str(error)}
            self._recorder.keep(_without_query(http.url), started, **failed)
            raise
        finally:
            quota.answered(headers)
        if response.status_code == 429:
            bucket.throttled()
        else:
            bucket.succeeded()
        keep_response(self._recorder, http.url, started, response)
        return answer


def keep_response(recorder: Recorder, url: str, started: str, response: Any) -> None:
    """Note an attempt that was answered: `response` is one of azure-core's, read to its end."""
    headers = {str(name).lower(): str(text) for name, text in response.headers.items()}
    recorder.keep(
        _without_query(url),
        started,
        status=int(response.status_code),
        request_id=next((headers[name] for name in _REQUEST_IDS if name in headers), ""),
        cloud_date=headers.get("date", ""),
        body=response.content,
        headers={name: headers[name] for name in _KEPT_HEADERS if name in headers},
    )


def _without_query(url: str) -> str:
    return url.split("?", maxsplit=1)[0]
