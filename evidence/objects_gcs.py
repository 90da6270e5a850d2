"""Objects in a Google Cloud Storage bucket, through Google's own library.

Created once: uploads with `ifGenerationMatch=0`, which means "only if there is none". Large files
go up in pieces and become an object, under the same condition, with the last one. The library
sends and compares a CRC32C of the whole.
Source: Google, "Cloud Storage documentation": request preconditions, resumable uploads.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from evidence.errors import StoreError
from evidence.objects import DISCARDABLE, ObjectInfo
from evidence.objects_remote import (
    WRITER,
    RemoteObjects,
    exists_error,
    length_of,
    missing_error,
    new_writer,
    not_installed,
    opened,
)

EXTRA = "google"
"""The optional part of auditpack that brings the library."""

_CHUNK = 8 << 20
"""Bytes in memory at a time (a multiple of 256 KiB); a smaller object goes in one request."""

_RETRY_SECONDS = 30.0
"""For how long the library asks again while Google is away."""

_CHECKSUM = "crc32c"

_CREDENTIALS_MEND = (
    "Run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS."
)


@dataclass(frozen=True)
class GcsObjects(RemoteObjects):
    """Objects below a prefix (empty, or ending in `/`). `client` is Google's storage Client."""

    bucket: str
    prefix: str
    client: Any

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield the objects whose name starts with `prefix`; Google lists in the order of UTF-8."""
        with _explained(self._where(prefix)):
            for blob in self.client.list_blobs(
                self.bucket,
                prefix=self.prefix + prefix,
                fields="items(name,size),nextPageToken",
                retry=_retry(),
            ):
                name = blob.name.removeprefix(self.prefix)
                if name:
                    yield ObjectInfo(name, blob.size)

    def create(self, name: str, source: bytes | Path) -> None:
        """Create an object, or raise ObjectExistsError. Files are streamed."""
        from google.api_core.exceptions import PreconditionFailed

        blob = self._blob(name, _CHUNK)
        blob.metadata = {WRITER: new_writer()}
        length = length_of(source)
        try:
            with _explained(self._where(name), leave=412), opened(source) as body:
                blob.upload_from_file(
                    body,
                    size=length,
                    content_type="application/octet-stream",
                    if_generation_match=0,
                    checksum=_CHECKSUM,
                    retry=_retry(),
                )
        except PreconditionFailed as error:
            if not self._is_from(blob.metadata[WRITER], name):
                raise exists_error(self._where(name)) from error

    def discard(self, name: str) -> None:
        """Remove an object below `incomplete/`; one that Google does not let go of stays."""
        from google.api_core.exceptions import Forbidden, NotFound

        if not name.startswith(DISCARDABLE):
            return
        try:
            with _explained(self._where(name), leave=(403, 404)):
                self._blob(name).delete(retry=_retry())
        except (Forbidden, NotFound):
            return  # no permission to delete, held by a retention policy, or not there

    def _is_from(self, writer: str, name: str) -> bool:
        """Whether the object there is is the one of this very write."""
        with _explained(self._where(name)):
            found = self.client.bucket(self.bucket).get_blob(self.prefix + name, retry=_retry())
        return found is not None and (found.metadata or {}).get(WRITER) == writer

    def _copy(self, name: str, file: BinaryIO) -> None:
        with _explained(self._where(name)):
            # As it is kept: no decompression on the way, whatever encoding somebody gave it.
            self._blob(name).download_to_file(
                file, raw_download=True, checksum=_CHECKSUM, retry=_retry()
            )

    def _blob(self, name: str, chunk: int | None = None) -> Any:
        return self.client.bucket(self.bucket).blob(self.prefix + name, chunk_size=chunk)

    def _where(self, name: str) -> str:
        return f"gs://{self.bucket}/{self.prefix}{name}"


def open_gcs(bucket: str, prefix: str, *, endpoint_url: str = "") -> GcsObjects:
    """Open the objects below `prefix` of a bucket, without asking Google anything yet.

    Credentials are Google's application default ones; STORAGE_EMULATOR_HOST is honoured. Raises
    UsageError when the library is not installed, StoreError when there are no credentials.
    """
    try:
        from google.cloud.storage import Client
    except ImportError as error:
        raise not_installed("google-cloud-storage", EXTRA, error) from error
    options = {"api_endpoint": endpoint_url} if endpoint_url else None
    with _explained(f"gs://{bucket}/{prefix}"):
        return GcsObjects(bucket, prefix, Client(project=None, client_options=options))


def _retry() -> Any:
    from google.cloud.storage.retry import DEFAULT_RETRY

    return DEFAULT_RETRY.with_timeout(_RETRY_SECONDS)


@contextmanager
def _explained(where: str, *, leave: int | tuple[int, ...] = ()) -> Iterator[None]:
    """Turn the library's errors into ours; answers with a status in `leave` pass."""
    from google.api_core.exceptions import GoogleAPICallError, RetryError
    from google.auth.exceptions import GoogleAuthError, TransportError
    from google.cloud.storage.exceptions import DataCorruption
    from requests.exceptions import RequestException

    passing = (leave,) if isinstance(leave, int) else leave
    try:
        yield
    except GoogleAPICallError as error:
        if error.code in passing:
            raise
        raise _answered(error, where) from error
    except DataCorruption as error:
        raise StoreError(
            f"the bytes are not those of the checksum that Google keeps: {error}",
            where=where,
            mend="Run the command again; if it stays so, run `auditpack verify`.",
        ) from error
    except (RetryError, TransportError, RequestException, ConnectionError) as error:
        raise StoreError(
            f"Google could not be reached: {error}",
            where=where,
            mend="Check the network, the proxy, and `endpoint_url`.",
        ) from error
    except GoogleAuthError as error:
        raise StoreError(
            f"there are no Google credentials: {error}", where=where, mend=_CREDENTIALS_MEND
        ) from error


def _answered(error: Any, where: str) -> StoreError:
    message = str(error.message)
    if error.code == 404 and "bucket does not exist" not in message.lower():
        return missing_error(where)
    if error.code == 404:
        return StoreError(
            "there is no such bucket",
            where=where,
            mend="Correct --store, or make the bucket first.",
        )
    if error.code == 401:
        return StoreError(
            "Google does not accept the credentials", where=where, mend=_CREDENTIALS_MEND
        )
    if error.code == 403:
        return StoreError(
            f"Google refuses access: {message}",
            where=where,
            mend="The store needs the role Storage Object User on the bucket.",
        )
    return StoreError(f"Google answered {error.code}: {message}", where=where)
