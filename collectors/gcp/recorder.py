"""The recorder: every attempt of every call, below the client library, with the bytes on the wire.

It is a channel between the library and gRPC's own. What comes back is seen before it is parsed. A
thread-local list collects the exchanges of the call that the thread is in. The request's metadata,
which hold the token, are never looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import grpc

from collectors.gcp.channel import WrappedChannel
from collectors.gcp.exchange import HTTP_STATUS
from collectors.limiter import TokenBucket
from collectors.recording import Recorder, now

STATUS_DETAILS = "grpc-status-details-bin"
"""The trailer that holds a google.rpc.Status. Source: google.aip.dev/193, grpc/grpc `doc`."""

GRPC_STATUS = "grpc-status"
"""The header of a capture that has gRPC's own number of the status."""

_REQUEST_IDS = ("x-request-id", "x-goog-request-id", "x-guploader-uploadid")


class RecordingChannel(WrappedChannel):
    """A channel that pays the rate bucket, calls, and records what came of it.

    `bucket_of` gives the bucket of a method's path; `base` is the beginning of the URLs.
    """

    def __init__(
        self,
        channel: grpc.Channel,
        recorder: Recorder,
        bucket_of: Callable[[str], TokenBucket],
        base: str,
    ) -> None:
        super().__init__(channel)
        self.recorder = recorder
        self.bucket_of, self._base = bucket_of, base

    def unary_unary(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        *options: Any,
        **more: Any,
    ) -> Any:
        """Return what calls `method`."""

        def callable_with(deserialize: Callable[[bytes], Any]) -> Any:
            return self._channel.unary_unary(
                method, request_serializer, deserialize, *options, **more
            )

        parse = response_deserializer or (lambda data: data)
        return _Recorded(self, f"{self._base}{method}", method, callable_with, parse)

    def unary_stream(self, method: str, *_args: Any, **_more: Any) -> NoReturn:
        """Refuse: nothing that streams is recorded, so nothing that streams is called."""
        raise NotImplementedError(method)

    stream_unary = stream_stream = unary_stream


class _Recorded:
    """Calls one method, attempt by attempt."""

    def __init__(
        self,
        channel: RecordingChannel,
        url: str,
        method: str,
        callable_with: Callable[[Callable[[bytes], Any]], Any],
        parse: Callable[[bytes], Any],
    ) -> None:
        self._channel, self._url, self._method = channel, url, method
        self._callable_with, self._parse = callable_with, parse

    def __call__(self, request: Any, **options: Any) -> Any:
        return self.with_call(request, **options)[0]

    def future(self, *_args: Any, **_more: Any) -> NoReturn:
        """Refuse: what comes later would be recorded by nobody."""
        raise NotImplementedError(self._method)

    def with_call(self, request: Any, **options: Any) -> tuple[Any, Any]:
        """Make one attempt and return the response and gRPC's call. Raises grpc.RpcError."""
        received: list[bytes] = []

        def parse(data: bytes) -> Any:
            received.append(data)
            return self._parse(data)

        bucket = self._channel.bucket_of(self._method)
        bucket.acquire()
        started = now()
        try:
            response, call = self._callable_with(parse).with_call(request, **options)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
                bucket.throttled()
            self._keep_error(started, error)
            raise
        bucket.succeeded()
        self._keep(started, grpc.StatusCode.OK, call, body=received[0] if received else b"")
        return response, call

    def _keep_error(self, started: str, error: Any) -> None:
        details = _metadata(error.trailing_metadata()).get(STATUS_DETAILS, b"")
        self._keep(
            started,
            error.code(),
            error,
            body=details if isinstance(details, bytes) else b"",
            error=error.code().name,
            error_detail=error.details() or "",
        )

    def _keep(self, started: str, code: grpc.StatusCode, call: Any, **found: Any) -> None:
        metadata = {**_metadata(call.trailing_metadata()), **_metadata(call.initial_metadata())}
        self._channel.recorder.keep(
            self._url,
            started,
            status=HTTP_STATUS.get(code.name, 500),
            request_id=next(
                (_text(metadata[name]) for name in _REQUEST_IDS if name in metadata), ""
            ),
            cloud_date=_text(metadata.get("date", "")),
            headers={GRPC_STATUS: str(code.value[0])},
            **found,
        )


def _metadata(pairs: Any) -> dict[str, Any]:
    return {str(pair[0]).lower(): pair[1] for pair in pairs or ()}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
