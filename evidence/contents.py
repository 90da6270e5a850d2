"""What lies in a store, folder by folder, whether it is local or remote: for verification."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from evidence.store import SEALED_KINDS, Store


@dataclass(frozen=True)
class Member:
    """Something in a folder of the store. A link is neither a file nor a folder."""

    name: str
    is_file: bool
    is_folder: bool


@dataclass(frozen=True)
class Contents:
    """The contents of one store."""

    store: Store

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return tuple(info.name for info in self.store.objects.list(""))

    def members(self, folder: str) -> list[Member]:
        """Return what is in `folder` ("" is the store itself), sorted by name."""
        if self.store.is_local:
            path = self.store.root / folder
            found = sorted(path.iterdir()) if path.is_dir() and not path.is_symlink() else []
            return [_local(item) for item in found]
        prefix = f"{folder}/" if folder else ""
        rests = [name.removeprefix(prefix) for name in self._names if name.startswith(prefix)]
        folders = {rest.partition("/")[0] for rest in rests if "/" in rest}
        files = {rest for rest in rests if "/" not in rest}
        return [Member(name, name in files, name in folders) for name in sorted(files | folders)]

    @contextmanager
    def sealed_folder(self, kind: str, name: str) -> Iterator[Path]:
        """Give a folder with one sealed thing: the store's own, or a fresh copy of a remote one."""
        if self.store.is_local:
            yield self.store.folder(kind) / name
            return
        with tempfile.TemporaryDirectory(prefix="auditpack-verify-") as fresh:
            target = Path(fresh) / SEALED_KINDS[kind] / name
            self.store.fetch(kind, name, target)
            yield target


def _local(path: Path) -> Member:
    link = path.is_symlink()
    return Member(path.name, path.is_file() and not link, path.is_dir() and not link)
