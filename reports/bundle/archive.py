"""Zip files that are the same bytes for the same content."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

_WHEN = (1980, 1, 1, 0, 0, 0)
"""The earliest time that the format knows; no file's own time is of any use here."""

_UNIX = 3
_MODE = 0o100644 << 16
_COMPRESSED = (".parquet", ".pdf", ".zst", ".sig", ".tsr")
"""Endings of files that do not get smaller: they are stored as they are."""


def write_zip(folder: Path, target: Path) -> None:
    """Pack the files of `folder`, sorted by name, with fixed times and modes.

    The same files give the same bytes wherever zlib is the same.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    with zipfile.ZipFile(target, "x") as archive:
        for path in files:
            info = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _WHEN)
            info.create_system, info.external_attr = _UNIX, _MODE
            stored = path.suffix in _COMPRESSED
            info.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
            info.file_size = path.stat().st_size
            with path.open("rb") as source, archive.open(info, "w") as entry:
                shutil.copyfileobj(source, entry, 1 << 20)
