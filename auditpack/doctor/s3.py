"""What an S3 bucket promises about evidence: checksums, versions, locks, encryption, privacy.

Source: AWS, "Amazon S3 API Reference": the Get operations named here, and their error codes.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from auditpack.doctor.finding import Finding, ok, problem, warning
from auditpack.doctor.writes import PROBE
from evidence.errors import StoreError
from evidence.objects_s3 import Retention, S3Objects
from evidence.objects_s3_errors import error_code, explained

_Judge = Callable[[dict[str, Any]], Finding]
"""Judges an answer of S3; an empty one where nothing is set."""

_NONE_SET = frozenset(
    {
        "ObjectLockConfigurationNotFoundError",
        "ServerSideEncryptionConfigurationNotFoundError",
        "NoSuchPublicAccessBlockConfiguration",
    }
)
"""Error codes that mean: nobody has set this on the bucket."""


def kept_checksum(objects: S3Objects, name: str) -> Iterator[Finding]:
    """Check that S3 keeps our SHA-256 of the probe."""
    with explained(f"{objects.location}/{name}"):
        found = objects.client.head_object(
            Bucket=objects.bucket, Key=objects.prefix + name, ChecksumMode="ENABLED"
        )
    expected = base64.b64encode(hashlib.sha256(PROBE).digest()).decode()
    if found.get("ChecksumSHA256") == expected:
        yield ok("checksum", "S3 keeps the SHA-256 of each object, as our manifests have it")
    else:
        yield warning(
            "checksum",
            "the service does not keep the SHA-256 that it was given",
            "Evidence stands without it: `auditpack verify` reads the bytes themselves.",
        )


def check_bucket(objects: S3Objects) -> Iterator[Finding]:
    """Check what the bucket is set to; a setting that may not be read is a warning."""
    settings: tuple[tuple[str, str, str, _Judge], ...] = (
        ("versioning", "get_bucket_versioning", "GetBucketVersioning", _versioning),
        (
            "retention",
            "get_object_lock_configuration",
            "GetBucketObjectLockConfiguration",
            partial(_retention, objects.retention),
        ),
        ("encryption", "get_bucket_encryption", "GetEncryptionConfiguration", _encryption),
        (
            "public access",
            "get_public_access_block",
            "GetBucketPublicAccessBlock",
            _public_access,
        ),
    )
    for subject, operation, permission, judge in settings:
        ask = partial(getattr(objects.client, operation), Bucket=objects.bucket)
        yield _judged(subject, ask, permission, judge)


def _judged(
    subject: str, ask: Callable[[], dict[str, Any]], permission: str, judge: _Judge
) -> Finding:
    from botocore.exceptions import ClientError

    try:
        with explained("", leave=None):
            return judge(ask())
    except ClientError as error:
        if error_code(error) in _NONE_SET:
            return judge({})
        return warning(
            subject,
            f"this could not be read: {error_code(error)}",
            f"Allow s3:{permission} on the bucket, or look yourself.",
        )
    except StoreError as error:
        return warning(subject, f"this could not be read: {error.what}", error.mend)


def _versioning(answer: dict[str, Any]) -> Finding:
    if answer.get("Status") == "Enabled":
        return ok("versioning", "is on: what somebody deletes or overwrites can be brought back")
    return warning(
        "versioning",
        "is off: what somebody with the permission deletes or overwrites is gone",
        "Switch versioning on.",
    )


def _retention(asked: Retention | None, answer: dict[str, Any]) -> Finding:
    lock = answer.get("ObjectLockConfiguration", {})
    if lock.get("ObjectLockEnabled") != "Enabled":
        if asked is not None:
            return problem(
                "retention",
                f"`retention_days: {asked.days}` is set, and the bucket has no Object Lock",
                "Make a bucket with Object Lock, or leave `retention_days` out.",
            )
        return warning(
            "retention",
            "the bucket has no Object Lock: whoever may delete objects can delete evidence",
            "Keep evidence in a bucket with Object Lock, and set a retention.",
        )
    if asked is not None:
        return ok("retention", f"each object is locked for {asked.days} days ({asked.mode})")
    default = lock.get("Rule", {}).get("DefaultRetention", {})
    if default:
        length = f"{default['Years']} years" if default.get("Years") else f"{default['Days']} days"
        return ok("retention", f"the bucket locks each object for {length} ({default['Mode']})")
    return warning(
        "retention",
        "the bucket has Object Lock, but no default retention, so nothing is locked",
        "Set `store_options: {retention_days: ...}`, or a default retention on the bucket.",
    )


def _encryption(answer: dict[str, Any]) -> Finding:
    rules = answer.get("ServerSideEncryptionConfiguration", {}).get("Rules", [])
    defaults = [rule.get("ApplyServerSideEncryptionByDefault", {}) for rule in rules]
    names = [rule["SSEAlgorithm"] for rule in defaults if "SSEAlgorithm" in rule]
    if names:
        return ok("encryption", f"objects are encrypted by default ({', '.join(names)})")
    return warning(
        "encryption",
        "the bucket does not say that it encrypts objects",
        "Set a default encryption on the bucket.",
    )


def _public_access(answer: dict[str, Any]) -> Finding:
    blocks = answer.get("PublicAccessBlockConfiguration", {})
    names = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    missing = [name for name in names if not blocks.get(name)]
    if not missing:
        return ok("public access", "is blocked")
    return warning(
        "public access",
        f"the bucket itself does not block it: {', '.join(missing)} not set",
        "Switch on all four settings of Block Public Access.",
    )
