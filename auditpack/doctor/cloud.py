"""Is a bucket or container fit for a store? What every cloud has, and Azure's and Google's own."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from auditpack.doctor.finding import Finding, failed, ok, warning
from auditpack.doctor.s3 import check_bucket, kept_checksum
from auditpack.doctor.writes import check_writes
from evidence.errors import StoreError
from evidence.objects import DISCARDABLE, Objects
from evidence.objects_azure import AzureObjects
from evidence.objects_gcs import GcsObjects
from evidence.objects_s3 import S3Objects

_NO_POLICY = "nothing but permissions keeps an administrator from deleting evidence"


def check_cloud(objects: Objects) -> Iterator[Finding]:
    """Check that the store can be reached and written once, and what its bucket promises."""
    try:
        next(iter(objects.list(DISCARDABLE)), None)
    except StoreError as error:
        yield failed("store", error)
        return
    yield ok("store", f"{objects.location} can be reached and listed")
    try:
        if isinstance(objects, S3Objects):
            yield from check_writes(objects, partial(kept_checksum, objects))
            yield from check_bucket(objects)
        else:
            yield from check_writes(objects)
        if isinstance(objects, AzureObjects):
            yield from _azure(objects)
        if isinstance(objects, GcsObjects):
            yield from _google(objects)
    except StoreError as error:
        yield failed("store", error)


def _azure(objects: AzureObjects) -> Iterator[Finding]:
    from azure.core.exceptions import AzureError

    try:
        found = objects.client.get_container_properties()
    except AzureError as error:
        yield _not_told(str(error).partition("\n")[0])
        return
    if found.public_access:
        yield warning(
            "public access",
            f"the container can be read by anybody ({found.public_access})",
            "Switch anonymous access to the container off.",
        )
    else:
        yield ok("public access", "the container is private")
    if found.has_immutability_policy or found.immutable_storage_with_versioning_enabled:
        yield ok("retention", "the container has immutable storage")
    else:
        yield warning(
            "retention",
            f"the container has no immutability policy: {_NO_POLICY}",
            "Set a time-based retention policy on the container, as long as audits go back.",
        )


def _google(objects: GcsObjects) -> Iterator[Finding]:
    from google.api_core.exceptions import GoogleAPICallError

    try:
        found = objects.client.get_bucket(objects.bucket)
    except GoogleAPICallError as error:
        yield _not_told(str(error.message))
        return
    if found.iam_configuration.public_access_prevention == "enforced":
        yield ok("public access", "public access to the bucket is prevented")
    else:
        yield warning(
            "public access",
            "public access to the bucket is not prevented",
            "Set public access prevention to `enforced`.",
        )
    if found.retention_period:
        days = found.retention_period // 86400
        locked = "locked" if found.retention_policy_locked else "not locked: it can be shortened"
        yield ok("retention", f"the bucket keeps every object for {days} days ({locked})")
    else:
        yield warning(
            "retention",
            f"the bucket has no retention policy: {_NO_POLICY}",
            "Set a retention policy on the bucket, as long as audits go back, and lock it.",
        )


def _not_told(why: str) -> Finding:
    return warning(
        "bucket",
        f"what else the bucket promises could not be read: {why}",
        "Let the doctor read the bucket's properties, or look yourself.",
    )
