"""Sorting the rows of a table by account, region and id, in memory that does not grow with them.

Only keys are sorted, each with where its row lies. Keys that are too many are sorted in shares that
go to files and are merged from there; then the rows are copied one by one in the order of the keys.
(DuckDB's own sort takes several times the bytes of the rows, and fails when it may not have them.)
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO

import msgspec
import orjson

KEYS_IN_MEMORY = 32_768
"""About 15 MB. The order does not depend on it."""

_OPEN_FILES = 32
"""Rows of one account and region lie in few files, and the order goes from one to the next."""

_BUFFER = 1 << 20

_Place = tuple[str, int, int, int]
"""The key of a row, and where the row lies: the number of its file, its start there, its length."""


class _Key(msgspec.Struct):
    provider: str
    account: str
    region: str
    id: str

    def text(self) -> str:
        """Return a text that sorts as the four do one after the other, and as their UTF-8 does."""
        return f"{self.provider}\0{self.account}\0{self.region}\0{self.id}"


_key_of = msgspec.json.Decoder(_Key).decode
_place_of = msgspec.json.Decoder(_Place).decode


@dataclass(frozen=True)
class SortedRows:
    """A file of sorted rows: how many there are, their bytes, and the bytes of the longest."""

    file: Path
    rows: int
    size: int
    longest: int


def sort_rows(row_files: Sequence[Path], target: Path) -> SortedRows:
    """Write the rows of all `row_files` (JSON lines) to `target`, sorted; scratch lies beside it.

    Rows of one key are sorted by their text: the order is the same whatever file they came from.
    Raises msgspec.DecodeError for a row without its key, OSError when the disk is full.
    """
    rows = size = longest = 0
    places = _in_order(_places(row_files), target.parent)
    with closing(_RowFiles(row_files)) as files, target.open("wb", buffering=_BUFFER) as out:
        for _, same in groupby(places, key=itemgetter(0)):
            for line in sorted(map(files.line, same)):
                out.write(line)
                rows, size, longest = rows + 1, size + len(line), max(longest, len(line))
    return SortedRows(target, rows, size, longest)


def _places(row_files: Sequence[Path]) -> Iterator[_Place]:
    for number, path in enumerate(row_files):
        start = 0
        with path.open("rb", buffering=_BUFFER) as file:
            for line in file:
                yield _key_of(line).text(), number, start, len(line)
                start += len(line)


def _in_order(places: Iterator[_Place], scratch: Path) -> Iterable[_Place]:
    """Return the places in the order of their keys; what memory may not hold is in `scratch`."""
    shares: list[Iterable[_Place]] = []
    while len(share := sorted(islice(places, KEYS_IN_MEMORY))) == KEYS_IN_MEMORY:
        file = scratch / f"keys-{len(shares)}.jsonl"
        with file.open("wb", buffering=_BUFFER) as out:
            out.writelines(orjson.dumps(place) + b"\n" for place in share)
        shares.append(_set_aside(file))
    return heapq.merge(*shares, share) if shares else share


def _set_aside(file: Path) -> Iterator[_Place]:
    with file.open("rb") as lines:
        yield from map(_place_of, lines)


class _RowFiles:
    """Reads single rows; keeps only so many files open at a time."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._open: dict[int, BinaryIO] = {}

    def line(self, place: _Place) -> bytes:
        """Return the row at `place`, with a newline."""
        _, number, start, length = place
        file = self._open.get(number) or self._opened(number)
        file.seek(start)
        line = file.read(length)
        return line if line.endswith(b"\n") else line + b"\n"

    def _opened(self, number: int) -> BinaryIO:
        if len(self._open) == _OPEN_FILES:
            self._open.pop(next(iter(self._open))).close()
        file = self._open[number] = self._paths[number].open("rb", buffering=0)
        return file

    def close(self) -> None:
        """Close what is open."""
        for file in self._open.values():
            file.close()
