"""Segments: many captures in one zstd file, one canonical JSON line each.

A segment is written once, front to back, and becomes part of a snapshot only when its unit is
committed. Lines are numbered from 1; the RFC 6962 leaf of a line is its bytes without newline.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import zstandard

from evidence.errors import VerificationError
from evidence.files import evidence_not_written
from evidence.merkle import leaf_hash

_LEVEL = 3
_CHUNK = 1 << 18

_COMPRESSED_CHUNK = 1 << 14
"""Bytes that are decompressed at once. zstd makes up to 32,768 times as many of them, so a forged
segment takes half a gigabyte at most before its first line is found to be another."""

_LONGEST_LINE = 1 << 29


SUFFIX = ".jsonl.zst"


def segment_path(unit_path: str) -> str:
    """Return where a unit's segment lies in a snapshot's folder, and in a run's sealed part."""
    return f"captures/{unit_path}{SUFFIX}"


class SegmentWriter:
    """Appends captures to a new segment; safe to share between threads.

    The leaf hash of each goes to `keep_leaf`, in order; without it they are kept in `leaves`.
    """

    def __init__(self, path: Path, keep_leaf: Callable[[bytes], object] | None = None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self.lines = 0
        self.leaves: list[bytes] = []
        self._keep_leaf = keep_leaf or self.leaves.append
        self.raw_bytes = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: BinaryIO = path.open("wb")
        except OSError as error:
            raise evidence_not_written(path, error) from error
        self._stream: Any = zstandard.ZstdCompressor(level=_LEVEL).stream_writer(
            self._file, closefd=False
        )

    def append(self, line: bytes) -> int:
        """Append one capture; return its line number (from 1). Raises StoreError."""
        with self._lock:
            try:
                self._stream.write(line + b"\n")
                self._keep_leaf(leaf_hash(line))
            except OSError as error:
                raise evidence_not_written(self._path, error) from error
            self.lines += 1
            self.raw_bytes += len(line) + 1
            return self.lines

    def close(self) -> None:
        """Finish the file and force it to the disk. Raises StoreError."""
        try:
            self._stream.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        except OSError as error:
            raise evidence_not_written(self._path, error) from error

    def abandon(self) -> None:
        """Close without finishing: the file is a rest that the next run removes."""
        with contextlib.suppress(OSError):  # what is still buffered may not fit on the disk
            self._file.close()


def read_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a segment, without newline.

    Raises VerificationError when the file is not a whole zstd stream of lines.
    """
    try:
        with path.open("rb") as file:
            yield from _lines(_decompressed(file, path), path)
    except zstandard.ZstdError as error:
        raise VerificationError(f"not a readable zstd segment: {error}", where=str(path)) from error


def read_plain_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a decompressed segment, without newline.

    Raises VerificationError when the last line has no end, or the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            yield from _lines(iter(lambda: file.read(_CHUNK), b""), path)
    except OSError as error:
        raise VerificationError(
            f"the file could not be read: {error.strerror}", where=str(path)
        ) from error


def _lines(pieces: Iterable[bytes], path: Path) -> Iterator[bytes]:
    """Yield the lines of a text that comes in pieces, without newline."""
    begun: list[bytes] = []
    length = 0
    for piece in pieces:
        first, *others = piece.split(b"\n")
        begun.append(first)
        length += len(first)
        if others:
            yield b"".join(begun)
            yield from others[:-1]
            begun, length = [others[-1]], len(others[-1])
        elif length > _LONGEST_LINE:
            raise VerificationError("a record is longer than any capture", where=str(path))
    if length:
        raise VerificationError("the last record is cut off", where=str(path))


def _decompressed(file: BinaryIO, path: Path) -> Iterator[bytes]:
    """Yield the content of one whole frame: zstandard's own reader takes a cut one for its end."""
    frame = zstandard.ZstdDecompressor().decompressobj()
    while data := file.read(_COMPRESSED_CHUNK):
        if frame.eof:
            raise VerificationError("there is more after the end of the segment", where=str(path))
        yield frame.decompress(data)
    if not frame.eof:
        raise VerificationError("the segment is cut off", where=str(path))
    if frame.unused_data:
        raise VerificationError("there is more after the end of the segment", where=str(path))


def read_line(path: Path, number: int) -> bytes:
    """Return line `number` (from 1) of a segment. Raises VerificationError if there is none."""
    for index, line in enumerate(read_lines(path), start=1):
        if index == number:
            return line
    raise VerificationError(f"there is no record {number}", where=str(path))
