"""Where a store is: what people write after `--store`, and the objects that are there.

folder                          a folder of this machine
s3://bucket/prefix              Amazon S3, or a service that speaks its protocol
az://account/container/prefix   Azure Blob Storage
gs://bucket/prefix              Google Cloud Storage
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from evidence.errors import UsageError
from evidence.objects import FolderObjects, Objects

FORMS = "FOLDER, s3://BUCKET/PREFIX, az://ACCOUNT/CONTAINER/PREFIX or gs://BUCKET/PREFIX"
"""The forms of a location; the prefix may be left out."""

RETENTION_MODES = ("COMPLIANCE", "GOVERNANCE")
"""S3's modes of Object Lock: nobody, or only who may bypass it, ends a retention early."""

_URL = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]+):/+(.*)$", re.DOTALL)
_PARTS = {
    "s3": (re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"),),
    "gs": (re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]"),),
    "az": (re.compile(r"[a-z0-9]{3,24}"), re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")),
}
"""Scheme -> the form of each part that must come before the prefix, as each cloud has it."""


@dataclass(frozen=True)
class StoreOptions:
    """How a store of a cloud is reached and kept. What is empty, the cloud's SDK decides.

    `retention_days` and `retention_mode` lock each object (S3 only; other clouds have it on the
    bucket); `profile` and `region` are S3's. Raises UsageError for values that cannot be.
    """

    retention_days: int = 0
    retention_mode: str = "COMPLIANCE"
    profile: str = ""
    region: str = ""
    endpoint_url: str = ""

    def __post_init__(self) -> None:
        if self.retention_mode not in RETENTION_MODES:
            raise UsageError(
                f"there is no retention mode {self.retention_mode!r}",
                where="retention_mode",
                mend=f"Use one of: {', '.join(RETENTION_MODES)}.",
            )
        if self.retention_days < 0:
            raise UsageError(
                "a retention cannot have ended already",
                where="retention_days",
                mend="Use a number of days, or 0 for none.",
            )


@dataclass(frozen=True)
class Location:
    """A parsed location of a cloud: its scheme, the parts before the prefix, and the prefix.

    The prefix is empty, or ends in `/`.
    """

    scheme: str
    parts: tuple[str, ...]
    prefix: str


def utc_now() -> datetime.datetime:
    """Return the time of this machine."""
    return datetime.datetime.now(datetime.UTC)


def is_remote(location: str | Path) -> bool:
    """Whether a location is a URL, and so not a folder of this machine."""
    return not isinstance(location, Path) and _URL.match(location) is not None


def parse_url(location: str) -> Location:
    """Take the URL of a cloud's store apart. Raises UsageError naming the valid forms."""
    found = _URL.match(location)
    scheme, rest = found.groups() if found else ("", "")
    if scheme not in _PARTS or not location.startswith(f"{scheme}://{rest}"):
        raise _no_location(location, "this is not the location of a store")
    forms = _PARTS[scheme]
    given = rest.split("/")
    parts, below = given[: len(forms)], [part for part in given[len(forms) :] if part]
    fitting = [form.fullmatch(part) for form, part in zip(forms, parts, strict=False)]
    if len(parts) < len(forms) or None in fitting:
        raise _no_location(location, f"this is no name that {scheme}:// can have")
    if {".", ".."} & set(below):
        raise _no_location(location, "a prefix has no `.` and `..`")
    return Location(scheme, tuple(parts), "".join(f"{part}/" for part in below))


def open_objects(
    location: str | Path,
    options: StoreOptions | None = None,
    *,
    clock: Callable[[], datetime.datetime] = utc_now,
) -> Objects:
    """Open the objects at a location; nothing is asked or made yet.

    Raises UsageError for a location that is none and for a library that is not installed,
    StoreError where the cloud's SDK cannot be set up.
    """
    if not is_remote(location):
        return FolderObjects(Path(location))
    parsed = parse_url(str(location))
    options = options or StoreOptions()
    if parsed.scheme == "s3":
        return _open_s3(parsed, options, clock)
    if options.retention_days:
        raise UsageError(
            "`retention_days` is for S3",
            where=str(location),
            mend="Leave it out, and set an immutability or retention policy on the bucket itself.",
        )
    if parsed.scheme == "az":
        from evidence.objects_azure import open_azure

        account, container = parsed.parts
        return open_azure(account, container, parsed.prefix, endpoint_url=options.endpoint_url)
    from evidence.objects_gcs import open_gcs

    return open_gcs(parsed.parts[0], parsed.prefix, endpoint_url=options.endpoint_url)


def _open_s3(
    parsed: Location, options: StoreOptions, clock: Callable[[], datetime.datetime]
) -> Objects:
    from evidence.objects_s3 import Retention, open_s3

    days = options.retention_days
    return open_s3(
        parsed.parts[0],
        parsed.prefix,
        clock=clock,
        retention=Retention(days, options.retention_mode) if days else None,
        profile=options.profile,
        region=options.region,
        endpoint_url=options.endpoint_url,
    )


def _no_location(location: str, what: str) -> UsageError:
    return UsageError(what, where=location, mend=f"Write the store as {FORMS}.")
