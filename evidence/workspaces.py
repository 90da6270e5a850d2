"""Working folders of runs below `incomplete/`: each belongs to one live process at a time.

A lock file says whether the process lives: the kernel drops the lock with the process, however it
ends. So a run is never resumed while it still goes on, and what a killed one left is known.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from evidence.errors import StoreError
from evidence.files import evidence_not_written

LOCK = "lock"


class BusyError(StoreError):
    """Another process works in this folder."""


def hold(folder: Path) -> BinaryIO:
    """Take the lock of a working folder; it is held until the file is closed or the process ends.

    Raises BusyError when another process holds it. Source: flock(2).
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open("ab")
    except OSError as error:
        raise evidence_not_written(folder / LOCK, error) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            file.close()
            raise BusyError(
                "another process is working on this run",
                where=str(folder),
                mend="Wait until it has ended, or stop it, then run the command again.",
            ) from error
        # A file system without locks (some network ones): go on as if alone.
    return file


@contextmanager
def workspace(incomplete: Path, name: str) -> Iterator[Path]:
    """Give a fresh folder `incomplete/NAME-TOKEN` and remove it at the end.

    Folders of the same name that a killed process left are removed first.
    """
    for rest in incomplete.glob(f"{name}-*"):
        with contextlib.suppress(BusyError), hold(rest):
            shutil.rmtree(rest)
    folder = incomplete / f"{name}-{secrets.token_hex(4)}"
    with hold(folder):
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
