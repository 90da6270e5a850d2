"""Classifying an AWS error: was it denied, throttled, switched off, or did something break?

Codes are those that AWS documents as common errors, and the SDKs' own throttling list.
"""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from evidence.outcome import Outcome

DENIED = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "AccessDeniedError",
        "AllAccessDisabled",
        "AuthFailure",
        "AuthorizationError",
        "AuthorizationErrorException",
        "Client.UnauthorizedOperation",
        "Forbidden",
        "ForbiddenException",
        "KMSAccessDeniedException",
        "NotAuthorized",
        "UnauthorizedException",
        "UnauthorizedOperation",
    }
)
NOT_ENABLED = frozenset(
    {
        "OptInRequired",
        "SubscriptionRequiredException",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "AWSOrganizationsNotInUseException",
        "RegionDisabledException",
    }
)
THROTTLED = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestLimitExceeded",
        "TooManyRequestsException",
        "SlowDown",
        "PriorRequestNotComplete",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "BandwidthLimitExceeded",
        "TransactionInProgressException",
        "EC2ThrottledException",
    }
)
BAD_CREDENTIALS = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidToken",
        "MissingAuthenticationToken",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
"""Codes that mean, when an account is opened, that the credentials are wrong."""


def error_code(error: Exception) -> str:
    """Return the cloud's error code, or the name of the SDK's own error."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "")) or "Unknown"
    return type(error).__name__


def http_status(error: Exception) -> int:
    """Return the HTTP status of an error answer; 0 where there was none."""
    if isinstance(error, ClientError):
        metadata: dict[str, Any] = dict(error.response.get("ResponseMetadata", {}))
        return int(metadata.get("HTTPStatusCode", 0))
    return 0


def is_throttle(error: Exception) -> bool:
    """Whether the cloud asked us to slow down."""
    return error_code(error) in THROTTLED or http_status(error) == 429


def _matches(entry: str, code: str, error: Exception) -> bool:
    """Whether an entry (`Code`, or `Code: text in the message`) stands for this error."""
    wanted, _, text = entry.partition(": ")
    return code == wanted and text in str(error)


def classify(
    error: Exception,
    absent: tuple[str, ...] = (),
    not_enabled: tuple[str, ...] = (),
) -> Outcome:
    """Return the outcome that `error` stands for; the resource type's own codes come first."""
    code = error_code(error)
    if any(_matches(entry, code, error) for entry in absent):
        return Outcome.ABSENT
    if code in NOT_ENABLED or any(_matches(entry, code, error) for entry in not_enabled):
        return Outcome.NOT_ENABLED
    if is_throttle(error):
        return Outcome.THROTTLED
    if code in DENIED or http_status(error) in (401, 403):
        return Outcome.DENIED
    return Outcome.ERROR
