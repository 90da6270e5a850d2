"""Objects in an S3 bucket, through AWS's own SDK.

Created once: PutObject with `If-None-Match: *`, which S3 answers with 412 when there is one, and
with 409 while another write of the same name is under way. S3 checks and keeps our SHA-256 of the
bytes, so what it says of an object (GetObjectAttributes) is the digest in our manifests. Where
retention is asked for, each object is locked until its day (Object Lock); else the bucket's own
default applies. Source: AWS, "Amazon S3 API Reference", PutObject; "Conditional writes".
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import hashlib
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from evidence.errors import StoreError
from evidence.files import sha256_of_file
from evidence.objects import DISCARDABLE, ObjectInfo
from evidence.objects_remote import (
    CHUNK,
    WRITER,
    RemoteObjects,
    exists_error,
    length_of,
    new_writer,
    opened,
    source_errors,
)
from evidence.objects_s3_errors import REFUSED, error_code, explained

LARGEST = 5 * (1 << 30)
"""Bytes that one PutObject takes. In parts an object would have no SHA-256 of the whole."""

_CONFLICT_WAITS = (0.1, 0.4, 1.6)
"""Seconds to wait after each 409: S3 asks to try again once the other write is through."""

_STREAM_ATTEMPTS = 3
"""How often an object is asked for when its bytes break off; the SDK retries only the request."""


@dataclass(frozen=True)
class Retention:
    """For how many days, and how firmly (COMPLIANCE or GOVERNANCE), S3 keeps each object."""

    days: int
    mode: str = "COMPLIANCE"


@dataclass(frozen=True)
class S3Objects(RemoteObjects):
    """Objects below a prefix (empty, or ending in `/`) of a bucket. `client` is boto3's for S3."""

    bucket: str
    prefix: str
    client: Any
    clock: Callable[[], datetime.datetime]
    retention: Retention | None = None

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield the objects whose name starts with `prefix`; S3 lists in the order of UTF-8."""
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=self.prefix + prefix
        )
        with explained(self._where(prefix)):
            for page in pages:
                for item in page.get("Contents", ()):
                    name = item["Key"].removeprefix(self.prefix)
                    if name:  # else the mark that consoles make for a "folder"
                        yield ObjectInfo(name, item["Size"])

    def create(self, name: str, source: bytes | Path) -> None:
        """Create an object, or raise ObjectExistsError. Files are streamed."""
        from botocore.exceptions import ClientError

        if length_of(source) > LARGEST:
            raise StoreError(
                "S3 takes at most 5 GiB in one write, and this file is larger",
                where=self._where(name),
                mend="Collect fewer accounts or regions in one snapshot.",
            )
        conditions = self._conditions(name, source)
        for wait in (*_CONFLICT_WAITS, None):
            try:
                with explained(self._where(name), leave=REFUSED), opened(source) as body:
                    self.client.put_object(Body=body, **conditions)
            except ClientError as error:
                if error_code(error) == "ConditionalRequestConflict" and wait is not None:
                    time.sleep(wait)
                    continue
                if self._is_from(conditions["Metadata"][WRITER], name):
                    return
                raise exists_error(self._where(name)) from error
            else:
                return

    def discard(self, name: str) -> None:
        """Remove an object below `incomplete/`; one that S3 does not let go of stays."""
        from botocore.exceptions import ClientError

        if not name.startswith(DISCARDABLE):
            return
        try:
            with explained(self._where(name), leave=frozenset({"AccessDenied"})):
                self.client.delete_object(Bucket=self.bucket, Key=self.prefix + name)
        except ClientError:
            return  # no permission to delete, or locked: both are as they should be

    def _conditions(self, name: str, source: bytes | Path) -> dict[str, Any]:
        """Return what a write of `source` asks of S3 besides keeping the bytes."""
        if isinstance(source, bytes):
            digest = hashlib.sha256(source).digest()
        else:
            with source_errors(source):
                digest = bytes.fromhex(sha256_of_file(source))
        conditions: dict[str, Any] = {
            "Bucket": self.bucket,
            "Key": self.prefix + name,
            "IfNoneMatch": "*",
            "ChecksumAlgorithm": "SHA256",
            "ChecksumSHA256": base64.b64encode(digest).decode(),
            "Metadata": {WRITER: new_writer()},
        }
        if self.retention is not None and not name.startswith(DISCARDABLE):
            until = self.clock() + datetime.timedelta(days=self.retention.days)
            conditions["ObjectLockMode"] = self.retention.mode
            conditions["ObjectLockRetainUntilDate"] = until
        return conditions

    def _is_from(self, writer: str, name: str) -> bool:
        """Whether the object there is is the one of this very write."""
        from botocore.exceptions import ClientError

        key = self.prefix + name
        try:
            with explained(self._where(name), leave=None):
                found = self.client.head_object(Bucket=self.bucket, Key=key)
        except ClientError:
            return False  # it cannot be seen, so nothing shows that it is ours
        return bool(found.get("Metadata", {}).get(WRITER) == writer)

    def _copy(self, name: str, file: BinaryIO) -> None:
        from botocore.exceptions import HTTPClientError, IncompleteReadError

        with explained(self._where(name)):
            for attempt in range(1, _STREAM_ATTEMPTS + 1):
                file.seek(0)
                file.truncate()
                answer = self.client.get_object(
                    Bucket=self.bucket, Key=self.prefix + name, ChecksumMode="ENABLED"
                )
                try:
                    # Not `with answer["Body"]`: that is the stream below, without the check.
                    with contextlib.closing(answer["Body"]) as body:
                        shutil.copyfileobj(body, file, CHUNK)
                except (HTTPClientError, IncompleteReadError):
                    if attempt == _STREAM_ATTEMPTS:
                        raise
                else:
                    return

    def _where(self, name: str) -> str:
        return f"s3://{self.bucket}/{self.prefix}{name}"


def open_s3(
    bucket: str,
    prefix: str,
    *,
    clock: Callable[[], datetime.datetime],
    retention: Retention | None = None,
    profile: str = "",
    region: str = "",
    endpoint_url: str = "",
) -> S3Objects:
    """Open the objects below `prefix` of a bucket, without asking S3 anything yet.

    What is empty is the SDK's own business (AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL_S3, ...).
    Raises StoreError when the SDK's configuration cannot be used.
    """
    with explained(f"s3://{bucket}/{prefix}"):
        client = _client(profile, region, endpoint_url)
    return S3Objects(bucket, prefix, client, clock, retention)


def _client(profile: str, region: str, endpoint_url: str) -> Any:
    import boto3
    from botocore.config import Config

    session = boto3.Session(profile_name=profile or None, region_name=region or None)
    config = Config(
        signature_version="s3v4",
        retries={"mode": "standard", "total_max_attempts": 5},
        max_pool_connections=32,
        connect_timeout=10,
        user_agent_extra="auditpack",
    )
    client = session.client("s3", endpoint_url=endpoint_url or None, config=config)
    if "amazonaws.com" in client.meta.endpoint_url:
        return client
    by_path = config.merge(Config(s3={"addressing_style": "path"}))  # no DNS name for each bucket
    return session.client("s3", endpoint_url=endpoint_url or None, config=by_path)
