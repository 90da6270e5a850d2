"""Where a store keeps its bytes: named objects that are created once and never changed.

A store is a set of objects with names like `snapshots/ID/manifest.dsse.json`. The interface has no
way to overwrite one, and none to delete what is evidence: two writers that create the same name
cannot both succeed, and the one that lost is told. A local folder is the default; object stores
(S3, Azure Blob, Google Cloud Storage) implement the same four verbs.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from evidence.errors import StoreError
from evidence.files import sync_folder
from evidence.workspaces import new_part

DISCARDABLE = "incomplete/"
"""The only names that may be removed again: what is below is not evidence."""


class ObjectExistsError(StoreError):
    """Another writer created this object first."""


class ObjectMissingError(StoreError):
    """There is no object of this name."""


@dataclass(frozen=True)
class ObjectInfo:
    """What a listing says of an object. `length` is in bytes."""

    name: str
    length: int


class Objects(Protocol):
    """The objects of one store. Names use `/`, are relative, and never contain `..`."""

    @property
    def location(self) -> str:
        """Where the objects are, as a person writes it: a folder or `s3://bucket/prefix`."""

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield every object whose name starts with `prefix`, sorted by name. Raises StoreError."""

    def read(self, name: str) -> bytes:
        """Return an object's bytes. Raises ObjectMissingError, or StoreError."""

    def fetch(self, name: str, target: Path) -> None:
        """Copy an object into the new file `target`. Raises ObjectMissingError, or StoreError."""

    def create(self, name: str, source: bytes | Path) -> None:
        """Create an object whole, or not at all; `source` is its bytes, or a file that has them.

        Raises ObjectExistsError when there is one of this name, whatever its bytes; StoreError.
        """

    def discard(self, name: str) -> None:
        """Remove an object below `incomplete/`, if it is there and the store lets us."""


@dataclass(frozen=True)
class FolderObjects:
    """Objects as files of a local folder."""

    root: Path

    @property
    def location(self) -> str:
        """The folder."""
        return str(self.root)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield the files whose path below the root starts with `prefix`, sorted by name.

        What other processes remove meanwhile (their working files) is left out, and so are links
        that lead nowhere.
        """
        base = self.root / prefix.rpartition("/")[0]
        found = []
        for folder, _, files in os.walk(base):
            for path in (Path(folder, file) for file in files):
                name = path.relative_to(self.root).as_posix()
                if name.startswith(prefix):
                    with contextlib.suppress(OSError):
                        status = path.stat()
                        if stat.S_ISREG(status.st_mode):
                            found.append(ObjectInfo(name, status.st_size))
        yield from sorted(found, key=lambda info: info.name)

    def read(self, name: str) -> bytes:
        """Return a file's bytes."""
        try:
            return (self.root / name).read_bytes()
        except FileNotFoundError as error:
            raise _missing(self.root / name) from error
        except OSError as error:
            raise _unreadable(self.root / name, error) from error

    def fetch(self, name: str, target: Path) -> None:
        """Copy a file."""
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.root / name, target)
        except FileNotFoundError as error:
            raise _missing(self.root / name) from error
        except OSError as error:
            raise _unreadable(self.root / name, error) from error

    def create(self, name: str, source: bytes | Path) -> None:
        """Write below `incomplete/`, force to the disk, and link into place.

        A kill leaves a rest only where nothing is taken for evidence. Source: link(2), which never
        replaces (EEXIST) and is atomic on every local file system and on NFS.
        """
        target, rest = self.root / name, None
        try:
            (self.root / DISCARDABLE).mkdir(parents=True, exist_ok=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            rest, file = new_part(self.root / DISCARDABLE)
            with file:
                if isinstance(source, bytes):
                    file.write(source)
                else:
                    with source.open("rb") as given:
                        shutil.copyfileobj(given, file, 1 << 20)
                file.flush()
                os.fsync(file.fileno())
                _link(rest, target)
            sync_folder(target.parent)
        except OSError as error:
            raise StoreError(
                f"a file could not be written: {error.strerror or error}",
                where=str(target),
                mend="Make room or choose another --store, then run the command again.",
            ) from error
        finally:
            if rest is not None:
                with contextlib.suppress(OSError):
                    rest.unlink()

    def discard(self, name: str) -> None:
        """Remove a file below `incomplete/`."""
        if name.startswith(DISCARDABLE):
            (self.root / name).unlink(missing_ok=True)


def create_or_read(objects: Objects, name: str, data: bytes) -> bytes:
    """Create an object; return its bytes, which are another writer's where he was first."""
    try:
        objects.create(name, data)
    except ObjectExistsError:
        return objects.read(name)
    return data


def _link(rest: Path, target: Path) -> None:
    """Give the finished file its name. Raises ObjectExistsError when the name is taken."""
    try:
        os.link(rest, target)
    except FileExistsError as error:
        raise ObjectExistsError("another writer created this first", where=str(target)) from error


def _missing(path: Path) -> ObjectMissingError:
    return ObjectMissingError(
        "this is not in the store", where=str(path), mend="Run `auditpack verify`."
    )


def _unreadable(path: Path, error: OSError) -> StoreError:
    return StoreError(f"a file could not be read: {error.strerror}", where=str(path))
