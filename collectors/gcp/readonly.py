"""What the Google Cloud collector may call: four methods that read. Nothing else, ever.

The guard is the channel itself, below the client library: a method that is not among these raises
before it has a token or a connection.
"""

from __future__ import annotations

from typing import Any, NoReturn

from collectors.gcp.channel import WrappedChannel
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


class ReadOnlyChannel(WrappedChannel):
    """A channel on which nothing but the reading methods can be called."""

    def unary_unary(self, method: str, *args: Any, **more: Any) -> Any:
        """Return what calls `method`, or what refuses it."""
        if method not in _PATHS:
            return _Refused(method)
        return self._channel.unary_unary(method, *args, **more)

    def unary_stream(self, method: str, *_args: Any, **_more: Any) -> Any:
        """Return what refuses the method: none that streams is needed."""
        return _Refused(method)

    stream_unary = stream_stream = unary_stream
