"""Units of collecting: one resource type in one account and region, committed whole or not at all.

A unit leaves four files in the open run's folder: its captures (below `sealed/`, where they stay),
and below `work/` its rows, the leaf hashes of its captures, and last a small record whose presence
is the commit. What has no record is a rest of a killed run and is collected again.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from evidence.canonical import canonical_json
from evidence.files import evidence_not_written, sync_folder, write_atomically
from evidence.outcome import Gap, Outcome
from evidence.segments import SegmentWriter, segment_path

SEALED = "sealed"
"""The part of an open run's folder that becomes the snapshot."""

WORK = "work"
"""The part of an open run's folder that is dropped when the snapshot is sealed."""

GLOBAL_REGION = "global"
"""The region of a unit whose resources belong to the account as a whole."""


ALL_RESOURCES = "gcp_assets.resource"
"""The unit that holds the resources of a Google Cloud scope, of whichever types they are."""


def holds_projects(account: str) -> bool:
    """Whether an account of Google Cloud is an organisation or a folder, and no project."""
    return account.startswith(("organizations/", "folders/"))


@dataclass(frozen=True, order=True)
class UnitKey:
    """What names a unit."""

    provider: str
    account: str
    region: str
    resource_type: str

    @property
    def path(self) -> str:
        """The unit's path below a folder, and the stem of its capture references."""
        return f"{self.provider}/{self.account}/{self.region}/{self.resource_type}"


@dataclass(frozen=True)
class UnitRecord:
    """What came of a unit. `listed` is the outcome of listing the type in this account and region.

    `captures` are the references of the exchanges that the listing rests on; `calls` counts calls
    by operation. `kinds` counts what the pages of a unit hold that are of many kinds at once,
    whether or not a resource type describes it.
    """

    key: UnitKey
    listed: Outcome
    detail: str
    resources: int
    records: int
    redactions: int
    captures: tuple[str, ...] = ()
    calls: dict[str, int] = field(default_factory=dict)
    gaps: tuple[Gap, ...] = ()
    kinds: dict[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the record as plain JSON data, without its gaps."""
        kinds = {"kinds": self.kinds} if self.kinds else {}
        return {
            "provider": self.key.provider,
            "account": self.key.account,
            "region": self.key.region,
            "resource_type": self.key.resource_type,
            "listed": self.listed.value,
            "detail": self.detail,
            "resources": self.resources,
            "records": self.records,
            "redactions": self.redactions,
            "captures": list(self.captures),
            "calls": self.calls,
            **kinds,
        }


class UnitWriter:
    """Writes one unit into the folder of an open run."""

    def __init__(self, run_folder: Path, key: UnitKey) -> None:
        self._run = run_folder
        self.key = key
        self._segment_part = run_folder / SEALED / f"{segment_path(key.path)}.part"
        self._rows_part = self._file(f"{WORK}/rows", ".jsonl.part")
        self._leaves_part = self._file(f"{WORK}/leaves", ".bin.part")
        self._rows = _opened(self._rows_part)
        self._leaves = _opened(self._leaves_part)
        self._segment = SegmentWriter(self._segment_part, self._leaves.write)

    def _file(self, kind: str, suffix: str) -> Path:
        return self._run / kind / f"{self.key.path}{suffix}"

    def keep_capture(self, line: bytes) -> str:
        """Append a capture; return its reference."""
        return f"{self.key.path}#{self._segment.append(line)}"

    @property
    def records(self) -> int:
        """How many captures were kept so far."""
        return self._segment.lines

    def write_row(self, row: dict[str, Any]) -> None:
        """Append a validated row. Not thread-safe: one thread writes a unit's rows."""
        try:
            self._rows.write(orjson.dumps(row) + b"\n")
        except OSError as error:
            raise evidence_not_written(self._rows_part, error) from error

    def commit(self, record: UnitRecord) -> None:
        """Finish the files and write the record that makes the unit count. Raises StoreError."""
        self._segment.close()
        try:
            for file in (self._rows, self._leaves):
                file.flush()
                os.fsync(file.fileno())
                file.close()
            for part in (self._segment_part, self._rows_part, self._leaves_part):
                part.rename(part.with_name(part.name.removesuffix(".part")))
                sync_folder(part.parent)
        except OSError as error:
            raise evidence_not_written(self._rows_part, error) from error
        document = {**record.as_dict(), "gaps": [gap.as_dict() for gap in record.gaps]}
        write_atomically(self._file(f"{WORK}/units", ".json"), canonical_json(document))

    def abandon(self) -> None:
        """Drop what was written: the unit does not count."""
        self._segment_part.unlink(missing_ok=True)
        self._rows_part.unlink(missing_ok=True)
        self._leaves_part.unlink(missing_ok=True)
        self._segment.abandon()
        for file in (self._rows, self._leaves):
            with contextlib.suppress(OSError):  # what is still buffered may not fit on the disk
                file.close()


def _opened(part: Path) -> BinaryIO:
    """Open a new file below the run's folder. Raises StoreError."""
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        return part.open("wb")
    except OSError as error:
        raise evidence_not_written(part, error) from error


def committed_unit(run_folder: Path, key: UnitKey) -> UnitRecord:
    """Return the record of one committed unit of an open run."""
    return read_unit((run_folder / WORK / "units" / f"{key.path}.json").read_bytes())


def committed_units(run_folder: Path) -> list[UnitRecord]:
    """Return the records of all committed units of an open run, sorted by their key."""
    files = (run_folder / WORK / "units").rglob("*.json")
    return sorted((read_unit(file.read_bytes()) for file in files), key=lambda unit: unit.key)


def read_unit(data: bytes) -> UnitRecord:
    """Read a unit record as `UnitWriter.commit` wrote it."""
    value = orjson.loads(data)
    return unit_from_dict(value, [gap_from_dict(gap) for gap in value["gaps"]])


def unit_from_dict(value: dict[str, Any], gaps: Sequence[Gap] = ()) -> UnitRecord:
    """Return a unit record from its JSON data."""
    key = UnitKey(value["provider"], value["account"], value["region"], value["resource_type"])
    return UnitRecord(
        key,
        Outcome(value["listed"]),
        value["detail"],
        value["resources"],
        value["records"],
        value["redactions"],
        tuple(value["captures"]),
        value["calls"],
        tuple(gaps),
        value.get("kinds", {}),
    )


def gap_from_dict(value: dict[str, Any]) -> Gap:
    """Return a gap from its JSON data."""
    return Gap(**{**value, "captures": tuple(value["captures"])})
