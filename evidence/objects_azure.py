"""Objects in an Azure Blob Storage container, through Azure's own SDK.

Created once: Put Blob, and for large ones Put Block List, with `If-None-Match: *`. Each writer
names his blocks at random: uncommitted blocks of one blob are shared by all who write it, and two
writers with the same names could commit each other's bytes.
Source: Microsoft, "Blob Storage REST API": Put Blob, Put Block List, conditional headers.
"""

from __future__ import annotations

import os
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

EXTRA = "azure"
"""The optional part of auditpack that brings the libraries."""

_BLOCK = 8 << 20
"""Bytes in memory at a time; a file that is not larger goes in one request."""

_MD5 = True
"""Every part is sent and fetched with its MD5, which Azure and the SDK compare."""

_RETRIES = 4
"""How often the SDK asks again while Azure is away: half a minute in all."""

_LOST = frozenset({"BlobAlreadyExists", "ConditionNotMet", "InvalidBlockList"})
"""Codes for the writer that lost; the last where the winner's commit discarded his blocks."""

_CREDENTIALS_MEND = (
    "Log in with `az login`, or set AZURE_STORAGE_CONNECTION_STRING, AZURE_STORAGE_KEY or"
    " AZURE_STORAGE_SAS_TOKEN."
)
_MEANINGS = {
    "ContainerNotFound": (
        "there is no such container",
        "Correct --store, or make the container first.",
    ),
    "AuthenticationFailed": ("Azure does not accept the credentials", _CREDENTIALS_MEND),
    "AuthorizationFailure": (
        "Azure refuses access: the credentials are not right, or the network is not allowed",
        _CREDENTIALS_MEND + " Or allow this machine's network in the account's firewall.",
    ),
    "AuthorizationPermissionMismatch": (
        "Azure refuses access",
        "The store needs the role Storage Blob Data Contributor on the container.",
    ),
}


@dataclass(frozen=True)
class AzureObjects(RemoteObjects):
    """Objects below a prefix (empty, or ending in `/`). `client` is the SDK's ContainerClient."""

    account: str
    container: str
    prefix: str
    client: Any

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield the objects whose name starts with `prefix`.

        Sorted here: accounts with a hierarchical namespace list in another order, and list folders.
        """
        with _explained(self._where(prefix)):
            found = sorted(
                (blob.name.removeprefix(self.prefix), blob.size)
                for blob in self.client.list_blobs(self.prefix + prefix, include=["metadata"])
                if (blob.metadata or {}).get("hdi_isfolder") != "true"
            )
        yield from (ObjectInfo(name, size) for name, size in found if name)

    def create(self, name: str, source: bytes | Path) -> None:
        """Create an object, or raise ObjectExistsError. Files are streamed in blocks."""
        from azure.core.exceptions import HttpResponseError

        writer = new_writer()
        length = length_of(source)
        put = self._put_whole if length <= _BLOCK else self._put_blocks
        try:
            with _explained(self._where(name), leave=_LOST), opened(source) as body:
                put(name, body, writer)
        except HttpResponseError as error:
            if not self._is_from(writer, name):
                raise exists_error(self._where(name)) from error

    def discard(self, name: str) -> None:
        """Remove an object below `incomplete/`; one that Azure does not let go of stays."""
        from azure.core.exceptions import HttpResponseError

        if not name.startswith(DISCARDABLE):
            return
        try:
            with _explained(self._where(name), leave=None):
                self.client.delete_blob(self.prefix + name)
        except HttpResponseError as error:
            if error.status_code not in (403, 404, 409):  # no permission, not there, immutable
                raise _http_error(error, self._where(name)) from error

    def _put_whole(self, name: str, body: BinaryIO, writer: str) -> None:
        self.client.upload_blob(
            self.prefix + name,
            body.read(),
            overwrite=False,
            metadata={WRITER: writer},
            validate_content=_MD5,
        )

    def _put_blocks(self, name: str, body: BinaryIO, writer: str) -> None:
        from azure.core import MatchConditions
        from azure.storage.blob import BlobBlock

        blob = self.client.get_blob_client(self.prefix + name)
        blocks: list[Any] = []
        while chunk := body.read(_BLOCK):
            blocks.append(BlobBlock(f"{writer}{len(blocks):08d}"))
            blob.stage_block(blocks[-1].id, chunk, validate_content=_MD5)
        blob.commit_block_list(
            blocks, metadata={WRITER: writer}, match_condition=MatchConditions.IfMissing
        )

    def _is_from(self, writer: str, name: str) -> bool:
        """Whether the object there is is the one of this very write."""
        from azure.core.exceptions import HttpResponseError

        try:
            with _explained(self._where(name), leave=None):
                found = self.client.get_blob_client(self.prefix + name).get_blob_properties()
        except HttpResponseError:
            return False  # it cannot be seen, so nothing shows that it is ours
        return bool(found.metadata.get(WRITER) == writer)

    def _copy(self, name: str, file: BinaryIO) -> None:
        with _explained(self._where(name)):
            stream = self.client.download_blob(self.prefix + name, validate_content=_MD5)
            stream.readinto(file)

    def _where(self, name: str) -> str:
        return f"az://{self.account}/{self.container}/{self.prefix}{name}"


def open_azure(
    account: str, container: str, prefix: str, *, endpoint_url: str = ""
) -> AzureObjects:
    """Open the objects below `prefix` of a container, without asking Azure anything yet.

    Credentials are those of the Azure command line's variables, else those that azure-identity
    finds (environment, managed identity, `az login`). Raises UsageError when the libraries are not
    installed, StoreError when the credentials cannot be used.
    """
    try:
        from azure.storage.blob import ContainerClient, ExponentialRetry
    except ImportError as error:
        raise not_installed("azure-storage-blob", EXTRA, error) from error
    again = ExponentialRetry(initial_backoff=0, increment_base=2, retry_total=_RETRIES)
    settings: dict[str, Any] = {"retry_policy": again, "connection_timeout": 10}
    connection = os.environ.get("AZURE_STORAGE_CONNECTION_STRING", "")
    try:
        if connection:
            client = ContainerClient.from_connection_string(connection, container, **settings)
        else:
            client = ContainerClient(
                endpoint_url or f"https://{account}.blob.core.windows.net",
                container,
                credential=_credential(account),
                **settings,
            )
    except ValueError as error:
        raise StoreError(
            f"the Azure settings cannot be used: {error}",
            where=f"az://{account}/{container}",
            mend=_CREDENTIALS_MEND,
        ) from error
    if client.account_name != account:
        raise StoreError(
            f"the credentials or the endpoint are those of the account {client.account_name!r}",
            where=f"az://{account}/{container}",
            mend="Correct --store, `endpoint_url` or AZURE_STORAGE_CONNECTION_STRING.",
        )
    return AzureObjects(account, container, prefix, client)


def _credential(account: str) -> Any:
    key = os.environ.get("AZURE_STORAGE_KEY", "")
    if key:
        return {"account_name": account, "account_key": key}
    token = os.environ.get("AZURE_STORAGE_SAS_TOKEN", "")
    if token:
        return token
    try:
        from azure.identity import DefaultAzureCredential
    except ImportError as error:
        raise not_installed("azure-identity", EXTRA, error) from error
    return DefaultAzureCredential()


@contextmanager
def _explained(where: str, *, leave: frozenset[str] | None = frozenset()) -> Iterator[None]:
    """Turn the SDK's errors into ours; answers with a code in `leave` (None: all) pass."""
    from azure.core.exceptions import AzureError, HttpResponseError

    try:
        yield
    except HttpResponseError as error:
        if error.status_code and (leave is None or _code(error) in leave):
            raise
        raise _http_error(error, where) from error
    except AzureError as error:
        raise StoreError(
            f"Azure could not be reached: {_first_line(error)}",
            where=where,
            mend="Check the network, the proxy, the account's name, and `endpoint_url`.",
        ) from error


def _code(error: Any) -> str:
    return str(getattr(error.error_code, "value", error.error_code or ""))


def _http_error(error: Any, where: str) -> StoreError:
    code = _code(error)
    if type(error).__name__ == "ClientAuthenticationError" and not code:
        return StoreError(
            f"there are no Azure credentials: {_first_line(error)}",
            where=where,
            mend=_CREDENTIALS_MEND,
        )
    if code == "BlobNotFound":
        return missing_error(where)
    answered = f"Azure answered {code or error.status_code or 'an error'}: {_first_line(error)}"
    what, mend = _MEANINGS.get(code, (answered, ""))
    return StoreError(what, where=where, mend=mend)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]
