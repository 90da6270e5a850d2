"""What S3's and the SDK's errors mean for a person who keeps a store in a bucket.

Source: AWS, "Amazon S3 API Reference", Error responses; botocore.exceptions.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from contextlib import contextmanager
from typing import Any

from evidence.errors import StoreError
from evidence.objects_remote import missing_error

REFUSED = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})
"""Error codes of a conditional write that lost: 412, and 409 while the other one is under way."""

_MISSING = frozenset({"NoSuchKey", "404", "NotFound"})

_CREDENTIALS_MEND = (
    "Log in again, or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
)
_ENDPOINT_MEND = "Check the network, the proxy, the region, and AWS_ENDPOINT_URL_S3."
_MEANINGS = {
    "NoSuchBucket": ("there is no such bucket", "Correct --store, or make the bucket first."),
    "AccessDenied": (
        "S3 refuses access",
        "The store needs s3:ListBucket, s3:GetObject and s3:PutObject, s3:PutObjectRetention"
        " for `retention_days`, and the permissions of the bucket's KMS key if it has one.",
    ),
    "InvalidAccessKeyId": ("S3 does not know the access key", _CREDENTIALS_MEND),
    "SignatureDoesNotMatch": ("S3 does not accept the secret key", _CREDENTIALS_MEND),
    "ExpiredToken": ("the login has expired", _CREDENTIALS_MEND),
    "InvalidToken": ("S3 does not accept the session token", _CREDENTIALS_MEND),
    "PermanentRedirect": ("the bucket is in another region", "Correct the region of the store."),
    "AuthorizationHeaderMalformed": (
        "the bucket is in another region",
        "Correct the region of the store.",
    ),
    "NotImplemented": (
        "this S3 endpoint lacks a part of S3 that a store needs",
        "Use a service with conditional writes (If-None-Match) and SHA-256 checksums.",
    ),
    "BadDigest": ("the bytes did not arrive as they were sent", "Run the command again."),
}
_NO_LOCK = (
    "`retention_days` is set, and this bucket has no Object Lock",
    "Make a bucket with Object Lock, or leave `retention_days` out.",
)
_LOCK_CODES = frozenset({"InvalidRequest", "InvalidBucketState"})


def error_code(error: Any) -> str:
    """Return the code of a ClientError, for instance `NoSuchKey`; of HEAD, the HTTP status."""
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def explained(where: str, *, leave: Set[str] | None = frozenset()) -> Iterator[None]:
    """Turn the SDK's errors into StoreError and ObjectMissingError.

    ClientErrors with a code in `leave` pass as they are; with None, all of them.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        if leave is None or error_code(error) in leave:
            raise
        raise _client_error(error, where) from error
    except BotoCoreError as error:
        raise _sdk_error(error, where) from error
    except ValueError as error:  # an endpoint that is no URL, a bucket name that cannot be one
        raise StoreError(
            f"S3 cannot be asked: {error}",
            where=where,
            mend="Correct --store, `endpoint_url` or AWS_ENDPOINT_URL.",
        ) from error


def _client_error(error: Any, where: str) -> StoreError:
    code = error_code(error)
    if code in _MISSING:
        return missing_error(where)
    message = str(error.response.get("Error", {}).get("Message", ""))
    if code in _LOCK_CODES and "object lock" in message.lower().replace(
        "objectlock", "object lock"
    ):
        what, mend = _NO_LOCK
    else:
        code = {"403": "AccessDenied"}.get(code, code)
        what, mend = _MEANINGS.get(code, (f"S3 answered {code or 'an error'}", ""))
    return StoreError(f"{what}: {message}" if message else what, where=where, mend=mend)


def _sdk_error(error: Exception, where: str) -> StoreError:
    name = type(error).__name__
    if name == "FlexibleChecksumError":
        return StoreError(
            "the bytes are not those of the checksum that S3 keeps",
            where=where,
            mend="Run the command again; if it stays so, run `auditpack verify`.",
        )
    if name == "ProfileNotFound":
        return StoreError(str(error), where=where, mend="Correct `profile` or AWS_PROFILE.")
    if "Credential" in name:
        return StoreError("there are no AWS credentials", where=where, mend=_CREDENTIALS_MEND)
    if "Token" in name or "SSO" in name:
        return StoreError(
            f"the login has expired or is missing: {error}", where=where, mend=_CREDENTIALS_MEND
        )
    return StoreError(f"S3 could not be reached: {error}", where=where, mend=_ENDPOINT_MEND)
