"""Snapshots: opening a run, sealing it, and reading what was sealed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from evidence.canonical import canonical_json
from evidence.errors import StoreError
from evidence.files import evidence_not_written, write_atomically
from evidence.merkle import RootBuilder, read_leaves
from evidence.outcome import Gap
from evidence.schema import TableSchema
from evidence.sealing import Sealer
from evidence.segments import segment_path
from evidence.store import Store
from evidence.tables import schemas_as_json, schemas_from_json, write_table
from evidence.units import (
    SEALED,
    WORK,
    UnitKey,
    UnitRecord,
    committed_units,
    gap_from_dict,
    unit_from_dict,
)
from evidence.workspaces import LOCK, BusyError, clear_rests, hold, remove_held

SPECS_FILE = "specs.json"
"""What the tables were shaped by: the resource types, which collectors keep in a run's `WORK`."""

LEAVES_FILE = "records.bin"
"""The RFC 6962 leaf hashes of all captures, 32 bytes each, in tree order."""


@dataclass(frozen=True)
class SnapshotRun:
    """A run of collecting that is not sealed yet. `intent` says what it set out to read.

    The run's folder is held by this process until it is sealed or the process ends.
    """

    store: Store
    id: str
    intent: dict[str, Any]
    held: BinaryIO | None = field(default=None, compare=False, repr=False)

    @property
    def folder(self) -> Path:
        """Where the run writes."""
        return self.store.incomplete() / self.id

    @classmethod
    def start(cls, store: Store, snapshot_id: str, intent: dict[str, Any]) -> SnapshotRun:
        """Begin a run: its intent is written before the first call is made. Raises StoreError."""
        _remove_ended(store)
        folder = store.incomplete() / snapshot_id
        run = cls(store, snapshot_id, intent, hold(folder))
        try:
            write_atomically(run._intent_file, canonical_json(intent))
        except StoreError:
            run._end()
            raise
        return run

    @property
    def _intent_file(self) -> Path:
        return self.folder / WORK / "snapshot.json"

    @classmethod
    def resume(cls, store: Store, snapshot_id: str = "") -> SnapshotRun:
        """Open an unsealed run again; an empty id means the newest that nobody works on.

        Raises StoreError when there is none, BusyError when other processes have them all.
        """
        _remove_ended(store)
        found = store.incomplete().glob(f"*/{WORK}/snapshot.json")
        names = sorted((path.parent.parent.name for path in found), reverse=True)
        if snapshot_id:
            names = [name for name in names if name == snapshot_id]
        if not names:
            raise _no_run(str(store.root))
        name, held = _first_free(store.incomplete(), names)
        intent = orjson.loads((store.incomplete() / name / WORK / "snapshot.json").read_bytes())
        return cls(store, name, intent, held)

    def committed(self) -> dict[UnitKey, UnitRecord]:
        """Return the units that are done, by key."""
        return {unit.key: unit for unit in committed_units(self.folder)}

    def seal(self, schemas: Sequence[TableSchema], finished: str, sealer: Sealer) -> Path:
        """Make the tables, sign the manifest and publish the snapshot; return its folder.

        Raises StoreError when something cannot be written; the run can then be sealed again. What
        a crash left half-made is made anew; what it left whole is taken on.
        """
        sealer.finish_cut_off(self.store)
        if self.store.log.find("snapshot", self.id) is None:
            predicate: dict[str, Any] = {}
            if sealer.sealed_before(self._sealed) is None:
                units = committed_units(self.folder)
                self._remove_rests(units)
                predicate = self._write_sealed_files(units, schemas, finished)
            sealer.seal(self.store, self._sealed, "snapshot", self.id, predicate)
        self._end()
        return self.store.find("snapshot", self.id)

    def release(self) -> None:
        """Let go of the run's folder: another process may then resume it."""
        if self.held is not None:
            self.held.close()

    def _end(self) -> None:
        """Remove the run's folder and let go of it."""
        remove_held(self.folder)
        self.release()

    @property
    def _sealed(self) -> Path:
        return self.folder / SEALED

    def _remove_rests(self, units: Sequence[UnitRecord]) -> None:
        """Remove everything but the captures of committed units: the rest is made anew."""
        kept = {self._sealed / segment_path(unit.key.path) for unit in units}
        for rest in sorted(self._sealed.rglob("*"), reverse=True):
            if rest.is_dir() and not rest.is_symlink():
                with contextlib.suppress(OSError):  # not empty
                    rest.rmdir()
            elif rest not in kept:
                rest.unlink()

    def _write_sealed_files(
        self, units: Sequence[UnitRecord], schemas: Sequence[TableSchema], finished: str
    ) -> dict[str, Any]:
        gaps = [gap for unit in units for gap in unit.gaps]
        write_atomically(self._sealed / "units.jsonl", _lines([u.as_dict() for u in units]))
        write_atomically(self._sealed / "gaps.jsonl", _lines([gap.as_dict() for gap in gaps]))
        write_atomically(self._sealed / "schemas.json", schemas_as_json(schemas))
        specs = self.folder / WORK / SPECS_FILE
        if specs.exists():
            write_atomically(self._sealed / SPECS_FILE, specs.read_bytes())
        tree = self._write_leaves(units)
        tables = {schema.resource_type: self._write_table(schema, units) for schema in schemas}
        return {
            "intent": self.intent,
            "finished": finished,
            "merkle_tree": tree,
            "segments": [
                {"path": segment_path(unit.key.path), "records": unit.records} for unit in units
            ],
            "tables": tables,
            "gaps": _count_by_reason(gaps),
            "redactions": sum(unit.redactions for unit in units),
        }

    def _write_leaves(self, units: Sequence[UnitRecord]) -> dict[str, Any]:
        builder = RootBuilder()
        target = self._sealed / LEAVES_FILE
        try:
            with target.open("wb") as file:
                for unit in units:
                    leaves = self.folder / WORK / "leaves" / f"{unit.key.path}.bin"
                    for leaf in read_leaves(leaves):
                        file.write(leaf)
                        builder.add(leaf)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise evidence_not_written(target, error) from error
        return {"hash": "RFC 6962, SHA-256", "size": builder.size, "root": builder.root().hex()}

    def _write_table(self, schema: TableSchema, units: Sequence[UnitRecord]) -> int:
        files = [
            self.folder / WORK / "rows" / f"{unit.key.path}.jsonl"
            for unit in units
            if unit.key.resource_type == schema.resource_type
        ]
        target = self._sealed / "tables" / f"{schema.resource_type}.parquet"
        return write_table(schema, files, target)


@dataclass(frozen=True)
class Snapshot:
    """A sealed snapshot, opened for reading."""

    id: str
    folder: Path
    predicate: dict[str, Any]
    manifest_digest: str
    units: tuple[UnitRecord, ...]
    gaps: tuple[Gap, ...]
    schemas: dict[str, TableSchema]

    @classmethod
    def open(cls, store: Store, snapshot_id: str = "") -> Snapshot:
        """Open a sealed snapshot; an empty id means the newest. Raises StoreError."""
        folder = store.find("snapshot", snapshot_id)
        manifest = store.manifest("snapshot", folder.name)
        units = _read_lines(folder / "units.jsonl")
        gaps = _read_lines(folder / "gaps.jsonl")
        return cls(
            folder.name,
            folder,
            manifest.predicate,
            manifest.digest,
            tuple(unit_from_dict(value) for value in units),
            tuple(gap_from_dict(value) for value in gaps),
            schemas_from_json((folder / "schemas.json").read_bytes()),
        )

    @property
    def started(self) -> str:
        """When collecting began, as ISO 8601 UTC."""
        return str(self.predicate["intent"]["started"])

    @property
    def as_of(self) -> str:
        """The time of the state that was read, which ages are measured from: as ISO 8601 UTC.

        It is when collecting began, unless all was read as of an earlier time.
        """
        return str(self.predicate["intent"].get("as_of") or self.started)

    def table(self, resource_type: str) -> Path:
        """Return the Parquet file of one resource type."""
        return self.folder / "tables" / f"{resource_type}.parquet"

    def segment(self, unit_path: str) -> Path:
        """Return the segment that the references `unit_path#line` point into."""
        return self.folder / segment_path(unit_path)


def _first_free(incomplete: Path, names: Sequence[str]) -> tuple[str, BinaryIO]:
    """Return the first of `names` that no living process holds, with its lock."""
    busy: StoreError = _no_run(str(incomplete.parent))
    for name in names:
        try:
            held = hold(incomplete / name)
        except BusyError as error:
            busy = error
            continue
        if (incomplete / name / WORK / "snapshot.json").exists():
            return name, held
        remove_held(incomplete / name)  # its process sealed it while we were looking
        held.close()
    raise busy


def _remove_ended(store: Store) -> None:
    """Remove the rest of runs whose process died before it wrote its intent, or clearing up."""
    clear_rests(store.incomplete())
    folders = store.incomplete().iterdir() if store.incomplete().is_dir() else ()
    for folder in folders:
        intent = folder / WORK / "snapshot.json"
        if not folder.is_dir() or intent.exists():
            continue
        if (folder / LOCK).exists():
            with contextlib.suppress(BusyError), hold(folder):
                if not intent.exists():
                    remove_held(folder)
        else:
            with contextlib.suppress(OSError):  # not empty: no run's
                folder.rmdir()


def _no_run(where: str) -> StoreError:
    return StoreError(
        "there is no incomplete run to resume",
        where=where,
        mend="Run `auditpack collect` without --resume to start a new snapshot.",
    )


def _lines(values: Sequence[dict[str, Any]]) -> bytes:
    return b"".join(canonical_json(value) + b"\n" for value in values)


def _read_lines(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def _count_by_reason(gaps: Sequence[Gap]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for gap in gaps:
        counts[gap.reason] = counts.get(gap.reason, 0) + 1
    return counts
