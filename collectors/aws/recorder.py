"""The recorder: every exchange with AWS, each attempt, through botocore's events.

`before-call` knows operation and parameters, `response-received` fires for every attempt with the
bytes as they came (botocore.endpoint). Both run in the calling thread, so a thread-local list
collects the exchanges of the call that the thread is in. What ends a call without firing either (an
answer that is none, parameters that the SDK refuses) is told to `failed`: no call goes unrecorded.
"""

from __future__ import annotations

import datetime
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from botocore import xform_name
from botocore.exceptions import ClientError

from collectors.aws.models import parsed_headers
from collectors.aws.outcomes import THROTTLED
from collectors.aws.readonly import refuse_unless_reading
from collectors.limiter import TokenBucket
from evidence.capture import Exchange

_CONTEXT_KEY = "auditpack"


class Recorder:
    """Records what goes over the wire on the clients that it is attached to."""

    def __init__(self) -> None:
        self._current = threading.local()

    @contextmanager
    def recording(self) -> Iterator[list[Exchange]]:
        """Collect the exchanges of this thread while the block runs."""
        exchanges: list[Exchange] = []
        self._current.exchanges, self._current.known = exchanges, None
        try:
            yield exchanges
        finally:
            self._current.exchanges = None

    def attach(self, client: Any, region: str, bucket: TokenBucket) -> None:
        """Hook into a client: refuse changing calls, pay the bucket, record every attempt."""
        events = client.meta.events

        def before_call(model: Any, params: Any, context: Any, **_: Any) -> None:
            known = {
                "operation": xform_name(model.name),
                "model": model,
                "parameters": context.get(f"{_CONTEXT_KEY}-params", {}),
                "region": region,
                "url": params["url"].split("?")[0],
                "attempt": 0,
            }
            context[_CONTEXT_KEY] = self._current.known = known

        def before_send(**_: Any) -> None:
            bucket.acquire()

        def before_parse(response_dict: Any, **_: Any) -> None:
            if getattr(self._current, "known", None) is not None:
                self._current.known["unread"] = response_dict

        def received(
            response_dict: Any, parsed_response: Any, context: Any, exception: Any, **_: Any
        ) -> None:
            _teach(bucket, parsed_response)
            known = context.get(_CONTEXT_KEY)
            exchanges = getattr(self._current, "exchanges", None)
            if known is not None and exchanges is not None:
                known.pop("unread", None)
                exchanges.append(_exchange(known, response_dict, exception))

        events.register_first("before-call", refuse_unless_reading)
        events.register("before-call", before_call)
        events.register("before-send", before_send)
        events.register("before-parse", before_parse)
        events.register("response-received", received)
        events.register_first("provide-client-params", _remember_parameters)

    def failed(
        self, operation: str, parameters: Mapping[str, Any], region: str, error: Exception
    ) -> None:
        """Record an error that ended a call of this thread, unless its exchange was recorded."""
        exchanges: list[Exchange] | None = getattr(self._current, "exchanges", None)
        if exchanges is None or isinstance(error, ClientError):
            return
        if exchanges and exchanges[-1].error == type(error).__name__:
            return
        known = getattr(self._current, "known", None)
        if known is None or known["operation"] != operation or known["parameters"] != parameters:
            known = {"operation": operation, "parameters": parameters, "region": region}
        exchanges.append(_exchange(known, known.pop("unread", None), error))


def _remember_parameters(params: Any, context: Any, **_: Any) -> None:
    context[f"{_CONTEXT_KEY}-params"] = dict(params)


def _teach(bucket: TokenBucket, parsed: Any) -> None:
    code = ((parsed or {}).get("Error") or {}).get("Code")
    if code in THROTTLED:
        bucket.throttled()
    elif parsed is not None:
        bucket.succeeded()


def _exchange(
    known: dict[str, Any], response: Mapping[str, Any] | None, error: Exception | None
) -> Exchange:
    """Return the next attempt of the call that `known` describes."""
    known["attempt"] = known.get("attempt", 0) + 1
    response = response or {}
    headers = {str(k).lower(): str(v) for k, v in response.get("headers", {}).items()}
    body = response.get("body", b"")
    model = known.get("model")
    return Exchange(
        operation=known["operation"],
        parameters=known["parameters"],
        region=known["region"],
        url=known.get("url", ""),
        attempt=known["attempt"],
        started=datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"),
        status=int(response.get("status_code", 0)),
        request_id=headers.get("x-amzn-requestid") or headers.get("x-amz-request-id", ""),
        cloud_date=headers.get("date", ""),
        body=body if isinstance(body, bytes) else b"",
        error="" if error is None else type(error).__name__,
        error_detail="" if error is None else str(error),
        headers=parsed_headers(model, headers) if model is not None else {},
    )
