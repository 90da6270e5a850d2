"""Collecting records: the units of a run, and one unit from its files to rows and captures.

A unit is a record type of a source: all files that the configuration names for the two, one after
the other. Nothing is asked of anybody; files are read where they lie.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collectors.catalogue import types_in_scope
from collectors.records.capturing import RecordCaptures
from collectors.records.catalogue import load_record_types, redactor_for
from collectors.records.importing import Importer
from collectors.records.reading import read_file
from collectors.records.source import FileHead
from collectors.records.spec import PROVIDER, RecordType
from collectors.running import (
    Progress,
    as_they_finish,
    collect_each,
    collect_or_gap,
    commit_gap,
)
from evidence.outcome import Outcome
from evidence.snapshot import SnapshotRun
from evidence.units import GLOBAL_REGION, UnitKey, UnitRecord, UnitWriter

_AT_ONCE = 2
"""Units at a time: parsing keeps a core busy."""


@dataclass(frozen=True)
class SourceFile:
    """A file of records: of which type and source, and where it is (nobody knows any more: None).

    `name` is what evidence calls it: no path of this machine is in it.
    """

    type: str
    source: str
    name: str
    path: Path | None
    sheet: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return what a snapshot's intent says of the file."""
        return {"type": self.type, "source": self.source, "file": self.name, "sheet": self.sheet}


@dataclass(frozen=True)
class RecordScope:
    """What to read: files, in the order of the configuration."""

    files: tuple[SourceFile, ...] = ()
    type_folders: tuple[str, ...] = ()

    def chosen_types(self) -> dict[str, RecordType]:
        """Return the record types that files are named for. Raises UsageError for unknown ones."""
        known = load_record_types(Path(folder) for folder in self.type_folders)
        wanted = sorted({file.type for file in self.files})
        return types_in_scope(known, wanted, ()) if wanted else {}

    def of_intent(self, stored: Iterable[Mapping[str, Any]]) -> RecordScope:
        """Return the files that a run was started with, where the configuration has them now."""
        here = {tuple(file.as_dict().values()): file for file in self.files}
        found = []
        for item in stored:
            gone = SourceFile(item["type"], item["source"], item["file"], None, item["sheet"])
            found.append(here.get(tuple(gone.as_dict().values()), gone))
        return RecordScope(tuple(found), self.type_folders)


@dataclass(frozen=True)
class UnitTarget:
    """Everything that a worker needs to collect one unit: plain data."""

    source: str
    spec: RecordType
    files: tuple[SourceFile, ...]
    run_folder: str
    redaction_key: bytes

    @property
    def key(self) -> UnitKey:
        """The key of the unit."""
        return UnitKey(PROVIDER, self.source, GLOBAL_REGION, self.spec.type)


@dataclass(frozen=True)
class _Source:
    id: str


def plan(
    scope: RecordScope, types: Mapping[str, RecordType], run: SnapshotRun, redaction_key: bytes
) -> list[UnitTarget]:
    """Return the units of a run, source by source."""
    found: dict[tuple[str, str], list[SourceFile]] = {}
    for file in scope.files:
        found.setdefault((file.source, file.type), []).append(file)
    return [
        UnitTarget(source, types[name], tuple(files), str(run.folder), redaction_key)
        for (source, name), files in sorted(found.items())
    ]


def collect(
    targets: Sequence[UnitTarget],
    run: SnapshotRun,
    *,
    executor: Executor | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> None:
    """Collect the units that are not committed yet, one source after the other.

    Raises StoreError when evidence cannot be written; what was committed stays.
    """

    def collected(_: _Source, mine: list[UnitTarget], pool: Executor) -> Iterable[UnitRecord]:
        return as_they_finish(pool, collect_unit, mine)

    collect_each(
        [_Source(name) for name in sorted({target.source for target in targets})],
        targets,
        run,
        collected,
        account_of=lambda target: target.source,
        forget=lambda _: None,
        executor=executor,
        units_at_once=_AT_ONCE,
        on_progress=on_progress,
    )


def collect_unit(target: UnitTarget) -> UnitRecord:
    """Collect one unit and commit it. Only a store that cannot be written raises (StoreError).

    Any other error is this unit's gap: it must not stop the rest.
    """

    def gap(detail: str) -> UnitRecord:
        return commit_gap(target.key, Path(target.run_folder), Outcome.ERROR, detail)

    return collect_or_gap(lambda: _collected(target), gap, target.redaction_key)


def _collected(target: UnitTarget) -> UnitRecord:
    redactor = redactor_for([target.spec], target.redaction_key)
    captures = RecordCaptures(target.spec, target.source, redactor)
    writer = UnitWriter(Path(target.run_folder), target.key)
    try:
        importer = Importer(target.spec, writer)
        for file in target.files:
            _import(file, importer, captures, writer)
        record = importer.finish()
        writer.commit(record)
    except BaseException:
        writer.abandon()
        raise
    return record


def _import(
    file: SourceFile, importer: Importer, captures: RecordCaptures, writer: UnitWriter
) -> None:
    """Import a file: what counts is what its captures say, so that they can be read again."""
    read, rows = read_file(file.path, file.name, file.sheet)
    captured = captures.file(read)
    importer.count_redactions(captured.redactions)
    head = FileHead.from_text(captured.text)
    importer.file(head, writer.keep_capture(captured.line))
    for row in rows:
        captured = captures.row(head, row)
        importer.count_redactions(captured.redactions)
        reference = writer.keep_capture(captured.line)
        importer.row(row.number, captured.text, row.problem, reference)
