"""Is a local folder fit for a store?"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from auditpack.doctor.finding import Finding, ok, problem, warning
from auditpack.doctor.writes import check_writes
from evidence.objects import DISCARDABLE, FolderObjects

SCARCE = 2 << 30
"""Bytes: a snapshot of a large estate with its tables and reports needs about one GiB."""

EXHAUSTED = 100 << 20
"""Bytes: not even a small run is sure to end."""


def check_folder(root: Path) -> Iterator[Finding]:
    """Check that the folder is one, can be written, has hard links and space."""
    root = root.absolute()
    if root.is_dir():
        yield ok("store", f"the folder {root}")
        yield from _writes(root)
    elif root.exists():
        yield problem("store", f"{root} is a file", "Name a folder with --store.")
        return
    else:
        yield _not_there_yet(root)
    yield from check_space(root)


def check_space(path: Path) -> Iterator[Finding]:
    """Check the free space where `path` is, or will be."""
    free = shutil.disk_usage(_existing(path)).free
    text = f"{free / (1 << 30):.1f} GiB are free at {path}"
    mend = "Make room, or choose another disk."
    if free < EXHAUSTED:
        yield problem("space", text, mend)
    elif free < SCARCE:
        yield warning("space", text, mend)
    else:
        yield ok("space", text)


def _not_there_yet(root: Path) -> Finding:
    parent = _existing(root)
    if parent.is_dir() and os.access(parent, os.W_OK | os.X_OK):
        return ok("store", f"the folder {root} is not there yet and will be made")
    return problem(
        "store",
        f"the folder {root} is not there and cannot be made in {parent}",
        "Choose another --store, or ask for the permission to write there.",
    )


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def _writes(root: Path) -> Iterator[Finding]:
    """Probe, and leave no folder behind that was not there."""
    rest = root / DISCARDABLE
    was_there = rest.exists()
    try:
        yield from check_writes(FolderObjects(root))
    finally:
        if not was_there and rest.is_dir():
            rest.rmdir()
