"""The assets of a bulk unit, found by account and type, or by name.

One pass over the committed pages puts them into a scratch file. That is no evidence: it is made
again from the pages wherever it is missing, in a run as when tables are made again. So memory holds
a page at a time, however many assets there are.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import zstandard

from collectors.gcp.bulk import BulkQuery
from collectors.gcp.items import place_of_asset, place_of_result, project_of, resource_of
from evidence.files import evidence_not_written
from evidence.segments import read_lines
from evidence.units import UnitRecord

_TABLES = """
CREATE TABLE pages (line INTEGER);
CREATE TABLE projects (number TEXT, id TEXT, name TEXT);
CREATE TABLE assets (line INTEGER, position INTEGER, place TEXT, type TEXT, name TEXT, body BLOB);
"""
_INDEXES = """
CREATE INDEX by_place ON assets (place, type, line, position);
CREATE INDEX by_type ON assets (type, place);
CREATE INDEX by_name ON assets (name);
"""
_QUICK = "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
_FETCHED = 200

Clean = Callable[[dict[str, Any]], dict[str, Any]]
"""Takes secrets out of an asset that was captured before they were declared."""

PlaceOfName = Callable[[str], str]
"""Returns the place of the asset of a name; empty where it is not known."""


class AssetIndex:
    """The assets of one committed bulk unit. Safe to share between threads.

    `folder` is where the scratch file lies. The pages themselves are the unit's `segment`. Results
    that do not say which project they are of are looked up by `place_of_name`.
    """

    def __init__(
        self,
        record: UnitRecord,
        query: BulkQuery,
        segment: Path,
        folder: Path,
        clean: Clean | None = None,
        place_of_name: PlaceOfName = lambda _: "",
    ) -> None:
        self.record, self.query = record, query
        self._segment, self._clean, self._place_of_name = segment, clean, place_of_name
        self._pages: list[int] | None = None
        self._file = folder / f"{_name_of(record)}.sqlite"
        self._lock = threading.Lock()
        self._made: sqlite3.Connection | None = None

    def _database(self) -> sqlite3.Connection:
        """Return the scratch database, made if need be; the caller holds the lock."""
        if self._made is None:
            if not self._file.exists():
                _build(self._file, self._segment, self.query, self._place_of_name)
            self._made = sqlite3.connect(self._file, check_same_thread=False)
        return self._made

    def _rows(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        with self._lock:
            cursor = self._database().execute(sql, parameters)
            batch = cursor.fetchmany(_FETCHED)
        while batch:
            yield from batch
            with self._lock:
                batch = cursor.fetchmany(_FETCHED)

    def reference(self, line: int) -> str:
        """Return the reference of the page at a line of the segment."""
        return f"{self.record.key.path}#{line}"

    def pages(self) -> list[int]:
        """Return the lines that hold pages."""
        if self._pages is None:
            self._pages = [row[0] for row in self._rows("SELECT line FROM pages ORDER BY line")]
        return self._pages

    def projects(self) -> list[tuple[str, str, str]]:
        """Return number, id and name of the projects that are among the assets."""
        return list(self._rows("SELECT DISTINCT number, id, name FROM projects ORDER BY number"))

    def places(self, asset_type: str = "") -> list[str]:
        """Return the places that assets (of a type) lie in, as `place_of_asset` names them."""
        if asset_type:
            sql = "SELECT DISTINCT place FROM assets WHERE type = ? ORDER BY place"
            return [row[0] for row in self._rows(sql, (asset_type,))]
        return [row[0] for row in self._rows("SELECT DISTINCT place FROM assets ORDER BY place")]

    def of(
        self, places: Sequence[str], asset_type: str = ""
    ) -> Iterator[tuple[int, list[dict[str, Any]]]]:
        """Yield (line, assets) page by page: those of a type (or of all types) in some places."""
        marks = ", ".join("?" for _ in places)
        only = " AND type = ?" if asset_type else ""
        sql = (
            f"SELECT line, body FROM assets WHERE place IN ({marks}){only} ORDER BY line, position"
        )
        line = 0
        found: list[dict[str, Any]] = []
        for number, body in self._rows(sql, (*places, *([asset_type] if asset_type else []))):
            if number != line and found:
                yield line, found
                found = []
            line = number
            found.append(self._asset(body))
        if found:
            yield line, found

    def named(self, name: str, asset_type: str) -> list[tuple[int, dict[str, Any]]]:
        """Return (line, asset) of the assets of a name and type that say different things."""
        sql = "SELECT line, body FROM assets WHERE name = ? AND type = ? ORDER BY line, position"
        found: dict[bytes, tuple[int, dict[str, Any]]] = {}
        for line, body in self._rows(sql, (name, asset_type)):
            asset = self._asset(body)
            found.setdefault(orjson.dumps(asset, option=orjson.OPT_SORT_KEYS), (line, asset))
        return list(found.values())

    def place_named(self, name: str) -> str:
        """Return the place of the first asset of a name; empty where there is none."""
        sql = "SELECT place FROM assets WHERE name = ? ORDER BY line, position LIMIT 1"
        return next((row[0] for row in self._rows(sql, (name,))), "")

    def _asset(self, body: bytes) -> dict[str, Any]:
        asset: dict[str, Any] = orjson.loads(zstandard.decompress(body))
        return asset if self._clean is None else self._clean(asset)

    def close(self) -> None:
        """Close the scratch file; it stays for others."""
        with self._lock:
            if self._made is not None:
                self._made.close()
                self._made = None


def _name_of(record: UnitRecord) -> str:
    """Return a name for the scratch file: another committed unit has another."""
    told = orjson.dumps(record.as_dict(), option=orjson.OPT_SORT_KEYS)
    return f"{record.key.resource_type}-{hashlib.sha256(told).hexdigest()[:16]}"


def _build(target: Path, segment: Path, query: BulkQuery, place_of_name: PlaceOfName) -> None:
    """Put what the pages hold into a new file. Raises StoreError when it cannot be written."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(".part", target.stem, target.parent)
        os.close(handle)
        try:
            with contextlib.closing(sqlite3.connect(part)) as database:
                database.executescript(f"{_QUICK} {_TABLES}")
                for number, page in _answers(segment):
                    _insert(database, number, query, page, place_of_name)
                database.executescript(_INDEXES)
                database.commit()
            Path(part).replace(target)
        finally:
            Path(part).unlink(missing_ok=True)
    except OSError as error:
        raise evidence_not_written(target, error) from error
    except sqlite3.OperationalError as error:  # such as: the disk is full
        raise evidence_not_written(target, OSError(str(error))) from error


def _answers(segment: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line, answer) of the captures that hold an answer; the others are failed attempts."""
    for number, line in enumerate(read_lines(segment), start=1):
        capture = orjson.loads(line)
        if capture["status"] == 200 and not capture["error"]:
            yield number, orjson.loads(capture["body"])


def _insert(
    database: sqlite3.Connection,
    number: int,
    query: BulkQuery,
    page: dict[str, Any],
    place_of_name: PlaceOfName,
) -> None:
    compress = zstandard.ZstdCompressor(level=1).compress
    database.execute("INSERT INTO pages VALUES (?)", (number,))
    rows, projects = [], []
    for position, asset in enumerate(query.results(page)):
        place = place_of_asset(asset) if query.content else place_of_result(asset)
        if not place and not query.content:
            place = place_of_name(resource_of(asset))
        kind, name = str(asset.get("assetType") or ""), str(asset.get("name") or "")
        rows.append((number, position, place, kind, name, compress(orjson.dumps(asset))))
        project = project_of(asset)
        projects += [] if project is None else [project]
    database.executemany("INSERT INTO assets VALUES (?, ?, ?, ?, ?, ?)", rows)
    database.executemany("INSERT INTO projects VALUES (?, ?, ?)", projects)
