"""Working folders of runs below `incomplete/`: each belongs to one live process at a time.

A lock file says whether the process lives: the kernel drops the lock with the process, however it
ends. So a run is never resumed while it still goes on, and what a killed one left is known.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from evidence.errors import StoreError
from evidence.files import evidence_not_written

LOCK = "lock"
_ENDING = ".work"
_PART = ".part"

_TRIES = 4
_PAUSE = 0.02
"""Seconds. Who clears rests holds a lock for a moment, which must not look like a living run."""


class BusyError(StoreError):
    """Another process works in this folder."""


def hold(folder: Path) -> BinaryIO:
    """Take the lock of a working folder; it is held until the file is closed or the process ends.

    Raises BusyError when another process holds it. Source: flock(2).
    """
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(_PAUSE)
        with contextlib.suppress(FileNotFoundError):  # removed again by another process
            held = _try_to_hold(folder)
            if held is not None:
                return held
    raise _busy(folder)


def _try_to_hold(folder: Path) -> BinaryIO | None:
    """Return the locked file; None when another process has it, or removed it meanwhile."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open("ab")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise evidence_not_written(folder / LOCK, error) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            file.close()
            return None
        # A file system without locks (some network ones): go on as if alone.
    if os.fstat(file.fileno()).st_nlink == 0:  # its holder removed it when it let go
        file.close()
        return None
    return file


def _busy(folder: Path) -> BusyError:
    return BusyError(
        "another process is working on this run",
        where=str(folder),
        mend="Wait until it has ended, or stop it, then run the command again.",
    )


@contextmanager
def workspace(incomplete: Path, name: str) -> Iterator[Path]:
    """Give a fresh folder `incomplete/NAME-TOKEN.work` and remove it at the end.

    All such folders that a killed process left are removed first, whatever their name.
    """
    clear_rests(incomplete)
    folder, held = _fresh(incomplete, name)
    with held:
        try:
            yield folder
        finally:
            remove_held(folder)


def remove_held(folder: Path) -> None:
    """Remove a folder whose lock this process holds, and the lock last.

    Were it gone first, another process could make a new one and begin to work in the folder while
    its files disappear. What cannot be removed stays, as after a kill.
    """
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != LOCK:
            path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        (folder / LOCK).unlink(missing_ok=True)
        folder.rmdir()


def new_part(incomplete: Path) -> tuple[Path, BinaryIO]:
    """Make a fresh file `incomplete/TOKEN.part` to write to; its lock is held until it is closed.

    Raises OSError when it cannot be made.
    """
    while True:
        part = incomplete / f"{secrets.token_hex(8)}{_PART}"
        file = part.open("xb")
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return part, file
        file.close()  # somebody who cleared rests was quicker than our lock


def clear_rests(incomplete: Path) -> None:
    """Remove the workspaces and unfinished files of processes that do not live any more."""
    for rest in incomplete.glob(f"*{_ENDING}"):
        with contextlib.suppress(StoreError), hold(rest):
            remove_held(rest)
    for part in incomplete.glob(f"*{_PART}"):
        with contextlib.suppress(OSError), part.open("rb") as file:  # gone, or locked: it lives
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            part.unlink()


def _fresh(incomplete: Path, name: str) -> tuple[Path, BinaryIO]:
    """Make a new folder with its lock; one that others took for a rest is given up."""
    while True:
        folder = incomplete / f"{name}-{secrets.token_hex(4)}{_ENDING}"
        with contextlib.suppress(BusyError):
            return folder, hold(folder)
