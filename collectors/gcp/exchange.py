"""A request to Cloud Asset Inventory and the reply to it, as plain values.

Live and from captures alike. A request is the JSON form of its protobuf message, which is what
captures show of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

HTTP_STATUS = {
    "OK": 200,
    "CANCELLED": 499,
    "UNKNOWN": 500,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403,
    "UNAUTHENTICATED": 401,
    "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400,
    "ABORTED": 409,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 501,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DATA_LOSS": 500,
}
"""The HTTP status that Google maps each code to, which captures have as their `status`.

Source: google/rpc/code.proto.
"""


@dataclass(frozen=True)
class Request:
    """A call of one method. `parameters` is its request message in JSON."""

    method: str
    parameters: Mapping[str, Any]

    def following(self, token: str) -> Request:
        """Return the request of the page that `token` names."""
        return Request(self.method, {**self.parameters, "pageToken": token})


@dataclass(frozen=True)
class Reply:
    """What came back. `data` is the answer in JSON, None where it is an error.

    `code` is the name of the gRPC status; `details` are those of google.rpc.Status, in JSON.
    `left_out` is how many bytes of an answer stand in fields that the library does not know.
    """

    data: dict[str, Any] | None = None
    code: str = ""
    message: str = ""
    details: tuple[Mapping[str, Any], ...] = field(default=())
    left_out: int = 0

    @property
    def ok(self) -> bool:
        """Whether it is an answer."""
        return self.data is not None

    def detail(self, kind: str) -> Mapping[str, Any]:
        """Return the first detail of a kind, such as ErrorInfo; empty where there is none."""
        ending = f"google.rpc.{kind}"
        return next((d for d in self.details if str(d.get("@type")).endswith(ending)), {})

    @property
    def reason(self) -> str:
        """The machine's reason of an error, such as SERVICE_DISABLED."""
        return str(self.detail("ErrorInfo").get("reason") or "")

    @property
    def about(self) -> Mapping[str, Any]:
        """What ErrorInfo says beside the reason, such as the permission or the service."""
        found = self.detail("ErrorInfo").get("metadata")
        return found if isinstance(found, Mapping) else {}

    @property
    def retry_after(self) -> float:
        """How many seconds the cloud asks to wait; 0 where it does not say."""
        text = str(self.detail("RetryInfo").get("retryDelay") or "")
        try:
            return max(0.0, float(text.removesuffix("s")))
        except ValueError:
            return 0.0
