"""What the object stores of all clouds share: sources that are streamed, files that are whole.

A conditional write can be answered with "there is one already" although it was our own first try
that made it (its answer got lost and the SDK asked again). Each write therefore carries a mark of
its own in the object's metadata, and whoever is told that he lost looks whose mark is there.
"""

from __future__ import annotations

import io
import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from evidence.errors import StoreError, UsageError
from evidence.objects import ObjectExistsError, ObjectMissingError

WRITER = "auditpackwriter"
"""Metadata key of a write's mark: letters only, which every cloud takes."""

CHUNK = 1 << 20
"""How many bytes are in memory at a time while copying."""


class RemoteObjects(ABC):
    """Objects of a cloud: what each does in the same way."""

    @property
    def location(self) -> str:
        """Where the objects are, as a person writes it."""
        return self._where("").rstrip("/")

    def read(self, name: str) -> bytes:
        """Return an object's bytes, checked against the checksum that the cloud keeps."""
        buffer = io.BytesIO()
        self._copy(name, buffer)
        return buffer.getvalue()

    def fetch(self, name: str, target: Path) -> None:
        """Copy an object into a file, checked against the checksum that the cloud keeps."""
        with whole_file(target) as file:
            self._copy(name, file)

    @abstractmethod
    def _copy(self, name: str, file: BinaryIO) -> None:
        """Write an object's bytes into a new file."""

    @abstractmethod
    def _where(self, name: str) -> str:
        """Return an object's URL, for error messages."""


def new_writer() -> str:
    """Return a mark that no other write has."""
    return secrets.token_hex(16)


@contextmanager
def opened(source: bytes | Path) -> Iterator[BinaryIO]:
    """Open what is to be written. Raises StoreError when the file cannot be read."""
    if isinstance(source, bytes):
        yield io.BytesIO(source)
        return
    with source_errors(source), source.open("rb") as file:
        yield file


def length_of(source: bytes | Path) -> int:
    """Return the length of what is to be written, in bytes. Raises StoreError."""
    if isinstance(source, bytes):
        return len(source)
    with source_errors(source):
        return source.stat().st_size


@contextmanager
def source_errors(source: Path) -> Iterator[None]:
    """Say of an OSError that it was the file to be stored that could not be read."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"a file to be stored could not be read: {error.strerror or error}", where=str(source)
        ) from error


@contextmanager
def whole_file(target: Path) -> Iterator[BinaryIO]:
    """Open a new file for writing; when the block fails, the file is not left behind.

    Raises StoreError when the file cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            yield file
    except OSError as error:
        target.unlink(missing_ok=True)
        raise StoreError(
            f"a file could not be written: {error.strerror or error}",
            where=str(target),
            mend="Make room, then run the command again.",
        ) from error
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def exists_error(where: str) -> ObjectExistsError:
    """Return the error for the writer that lost."""
    return ObjectExistsError("another writer created this first", where=where)


def missing_error(where: str) -> ObjectMissingError:
    """Return the error for an object that is not there."""
    return ObjectMissingError(
        "this is not in the store", where=where, mend="Run `auditpack verify`."
    )


def not_installed(library: str, extra: str, error: ImportError) -> UsageError:
    """Return the error for a cloud whose library is not there."""
    return UsageError(
        f"this store needs {library}, which is not installed: {error}",
        mend=f"pip install 'auditpack[{extra}]'",
    )
