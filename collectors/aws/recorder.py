"""The recorder: every exchange with AWS, each attempt, through botocore's events.

`before-call` knows operation and parameters, `response-received` fires for every attempt with the
bytes as they came (botocore.endpoint). Both run in the calling thread, so a thread-local list
collects the exchanges of the call that the thread is in.
"""

from __future__ import annotations

import datetime
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore import xform_name

from collectors.aws.limiter import TokenBucket
from collectors.aws.outcomes import THROTTLED
from collectors.aws.readonly import refuse_unless_reading
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
        self._current.exchanges = exchanges
        try:
            yield exchanges
        finally:
            self._current.exchanges = None

    def attach(self, client: Any, region: str, bucket: TokenBucket) -> None:
        """Hook into a client: refuse changing calls, pay the bucket, record every attempt."""
        events = client.meta.events

        def before_call(model: Any, params: Any, context: Any, **_: Any) -> None:
            context[_CONTEXT_KEY] = {
                "operation": xform_name(model.name),
                "url": params["url"].split("?")[0],
                "attempt": 0,
            }

        def before_send(**_: Any) -> None:
            bucket.acquire()

        def received(
            response_dict: Any, parsed_response: Any, context: Any, exception: Any, **_: Any
        ) -> None:
            _teach(bucket, parsed_response)
            known = context.get(_CONTEXT_KEY)
            exchanges = getattr(self._current, "exchanges", None)
            if known is not None and exchanges is not None:
                known["attempt"] += 1
                exchanges.append(_exchange(known, response_dict, exception, region, context))

        events.register_first("before-call", refuse_unless_reading)
        events.register("before-call", before_call)
        events.register("before-send", before_send)
        events.register("response-received", received)
        events.register_first("provide-client-params", _remember_parameters)


def _remember_parameters(params: Any, context: Any, **_: Any) -> None:
    context[f"{_CONTEXT_KEY}-params"] = dict(params)


def _teach(bucket: TokenBucket, parsed: Any) -> None:
    code = ((parsed or {}).get("Error") or {}).get("Code")
    if code in THROTTLED:
        bucket.throttled()
    elif parsed is not None:
        bucket.succeeded()


def _exchange(
    known: dict[str, Any], response: Any, exception: Any, region: str, context: Any
) -> Exchange:
    headers = {str(k).lower(): str(v) for k, v in (response or {}).get("headers", {}).items()}
    body = (response or {}).get("body", b"")
    return Exchange(
        operation=known["operation"],
        parameters=context.get(f"{_CONTEXT_KEY}-params", {}),
        region=region,
        url=known["url"],
        attempt=known["attempt"],
        started=datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"),
        status=int((response or {}).get("status_code", 0)),
        request_id=headers.get("x-amzn-requestid") or headers.get("x-amz-request-id", ""),
        cloud_date=headers.get("date", ""),
        body=body if isinstance(body, bytes) else b"",
        error="" if exception is None else type(exception).__name__,
    )
