"""Refusals as Google's services word them: a code, a message, and the details that clients read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

CLOUD_ASSET = "cloudasset.googleapis.com"

MESSAGES = {
    "RESOURCE_EXHAUSTED": "Quota exceeded for requests of this minute.",
    "UNAVAILABLE": "The service is currently unavailable.",
    "DEADLINE_EXCEEDED": "The deadline expired before the operation could complete.",
    "PERMISSION_DENIED": "The caller does not have permission",
    "UNAUTHENTICATED": "Request is missing required authentication credential.",
    "INTERNAL": "Internal error encountered.",
}
"""What is said where a failure has no words of its own."""


class Refused(Exception):  # noqa: N818 (it is an answer, not a mistake)
    """An answer that is not OK."""

    def __init__(self, code: str, message: str = "", details: tuple[Any, ...] = ()) -> None:
        self.code = code
        self.message = message or MESSAGES.get(code, code)
        self.details = details
        super().__init__(f"{code}: {self.message}")

    def trailing(self) -> tuple[tuple[str, bytes], ...]:
        """Return the trailing metadata: the whole status, with its details."""
        packed = []
        for detail in self.details:
            holder = any_pb2.Any()
            holder.Pack(detail)
            packed.append(holder)
        number = grpc.StatusCode[self.code].value[0]
        status = status_pb2.Status(code=number, message=self.message, details=packed)
        return (("grpc-status-details-bin", status.SerializeToString()),)


def invalid(message: str, field: str = "") -> Refused:
    """A request that is not what it must be."""
    violation = error_details_pb2.BadRequest.FieldViolation(field=field, description=message)
    bad = error_details_pb2.BadRequest(field_violations=[violation])
    return Refused("INVALID_ARGUMENT", message, (bad,))


def denied(permission: str, resource: str) -> Refused:
    """A permission that the caller lacks."""
    about = {"permission": permission, "resource": resource}
    info = error_info("IAM_PERMISSION_DENIED", CLOUD_ASSET, about)
    return Refused(
        "PERMISSION_DENIED",
        f"Permission '{permission}' denied on resource '{resource}' (or it may not exist).",
        (info,),
    )


def service_disabled(project: str, service: str = CLOUD_ASSET) -> Refused:
    """An API that is not enabled in the project that pays for the call."""
    page = f"https://console.developers.google.com/apis/api/{service}/overview?project={project}"
    about = {"service": service, "consumer": f"projects/{project}"}
    link = error_details_pb2.Help.Link(description="Google developers console", url=page)
    return Refused(
        "PERMISSION_DENIED",
        f"Cloud Asset API has not been used in project {project} before or it is disabled."
        f" Enable it by visiting {page} then retry.",
        (
            error_details_pb2.Help(links=[link]),
            error_info("SERVICE_DISABLED", "googleapis.com", about),
        ),
    )


def exhausted(method: str, consumer: str, limit: int, wait: float | None) -> Refused:
    """A quota that is used up; `wait` is when to come back."""
    metric = f"{method} Requests"
    info = error_info(
        "RATE_LIMIT_EXCEEDED",
        "googleapis.com",
        {
            "consumer": consumer,
            "quota_limit": f"{method}RequestsPerMinutePerProject",
            "quota_limit_value": str(limit),
            "quota_metric": f"{CLOUD_ASSET}/{method}",
            "service": CLOUD_ASSET,
        },
    )
    return Refused(
        "RESOURCE_EXHAUSTED",
        f"Quota exceeded for quota metric '{metric}' and limit '{metric} per minute' of service"
        f" '{CLOUD_ASSET}' for consumer '{consumer}'.",
        (info, *retry_info(wait)),
    )


def unauthenticated(reason: str) -> Refused:
    """A call without a token, or with one that nobody gave out."""
    info = error_info(reason, "googleapis.com", {"service": CLOUD_ASSET})
    return Refused("UNAUTHENTICATED", details=(info,))


def error_info(reason: str, domain: str, metadata: Mapping[str, str]) -> Any:
    """The machine's reason of a refusal."""
    return error_details_pb2.ErrorInfo(reason=reason, domain=domain, metadata=dict(metadata))


def retry_info(wait: float | None) -> tuple[Any, ...]:
    """When to come back, if that is known."""
    if wait is None:
        return ()
    delay = duration_pb2.Duration(seconds=int(wait), nanos=int(wait % 1 * 1_000_000_000))
    return (error_details_pb2.RetryInfo(retry_delay=delay),)
