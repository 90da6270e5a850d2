"""Atomic files: a file is there whole, or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from evidence.errors import StoreError


def write_atomically(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write `data` to a new file beside `path`, force it to the disk, and rename it into place.

    Raises StoreError when that cannot be done; `path` is then as it was before.
    """
    rest = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")  # no other writer's
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(rest, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        rest.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            rest.unlink()
        raise StoreError(
            f"a file could not be written: {error.strerror or error}",
            where=str(path),
            mend="Make room or choose another --store, then run the command again.",
        ) from error


def evidence_not_written(path: Path, error: OSError) -> StoreError:
    """Return the error for evidence of an open run that did not get onto the disk."""
    return StoreError(
        f"evidence could not be written: {error.strerror or error}",
        where=str(path),
        mend="Make room or choose another --store, then run collect again with --resume.",
    )


def sync_folder(folder: Path) -> None:
    """Force a folder's entries to the disk, so that a rename survives a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def mapped(path: Path) -> Iterator[bytes]:
    """Give a file's bytes without reading them into memory: it need not fit. It is not empty."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield cast("bytes", data)


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
