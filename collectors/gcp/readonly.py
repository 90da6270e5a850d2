"""What the Google Cloud collector may call: four methods that read. Nothing else, ever.

The guard is the channel itself, below the client library: a method that is not among these raises
before it has a token or a connection.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import grpc

from collectors.gcp.errors import NotReadOnlyError

SERVICE = "google.cloud.asset.v1.AssetService"
METHODS = frozenset(
    {"ListAssets", "SearchAllIamPolicies", "SearchAllResources", "AnalyzeIamPolicy"}
)
"""All of them read. Source: google/cloud/asset/v1/asset_service.proto."""

_PATHS = frozenset(f"/{SERVICE}/{name}" for name in METHODS)


class _Refused:
    """Stands where a call would be made: the client library makes one of every method."""

    def __init__(self, method: str) -> None:
        self._method = method

    def __call__(self, *_args: Any, **_more: Any) -> NoReturn:
        raise NotReadOnlyError(
            f"refused before it was sent: {self._method} is not a reading method",
            where=self._method,
            mend="Collecting is read-only. Correct the resource type.",
        )

    with_call = future = __call__


class ReadOnlyChannel(grpc.Channel):  # type: ignore[misc]
    """A channel on which nothing but the reading methods can be called."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel

    def unary_unary(self, method: str, *args: Any, **more: Any) -> Any:
        """Return what calls `method`, or what refuses it."""
        if method not in _PATHS:
            return _Refused(method)
        return self._channel.unary_unary(method, *args, **more)

    def unary_stream(self, method: str, *_args: Any, **_more: Any) -> Any:
        """Return what refuses the method: none that streams is needed."""
        return _Refused(method)

    stream_unary = stream_stream = unary_stream

    def subscribe(self, callback: Callable[..., None], try_to_connect: bool = False) -> None:
        """Tell `callback` of the channel's state."""
        self._channel.subscribe(callback, try_to_connect)

    def unsubscribe(self, callback: Callable[..., None]) -> None:
        """Do not tell it any more."""
        self._channel.unsubscribe(callback)

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def __enter__(self) -> ReadOnlyChannel:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()
