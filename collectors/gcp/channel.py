"""A gRPC channel around another: what the guard and the recorder have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import grpc


class WrappedChannel(grpc.Channel):  # type: ignore[misc]
    """Passes on what is about the connection; what is called, a subclass decides."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel

    def subscribe(self, callback: Callable[..., None], try_to_connect: bool = False) -> None:
        """Tell `callback` of the channel's state."""
        self._channel.subscribe(callback, try_to_connect)

    def unsubscribe(self, callback: Callable[..., None]) -> None:
        """Do not tell it any more."""
        self._channel.unsubscribe(callback)

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()
