"""Making the tables of a snapshot again from its captures, and saying where they differ.

A table that its producer altered before signing has a valid signature all the same. What it has not
is captures that it follows from: whoever has the snapshot can make the tables again and look.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import duckdb

from collectors.aws.replaying import UnitReplayer
from collectors.azure.replaying import AzureReplayer
from collectors.gcp.replaying import GcpReplayer
from collectors.records.replaying import RecordReplayer
from collectors.replaying import ReplayedUnit
from collectors.run_types import (
    AnyResourceType,
    only_aws,
    only_azure,
    only_gcp,
    only_records,
    specs_from_json,
    versions_here,
    versions_in,
)
from evidence.comparing import first_difference
from evidence.errors import AuditpackError, StoreError, VerificationError
from evidence.files import sha256_of_file
from evidence.manifest import Manifest
from evidence.redaction import Redactor
from evidence.schema import TableSchema
from evidence.snapshot import SPECS_FILE, Snapshot
from evidence.tables import write_table
from evidence.units import UnitKey, UnitRecord

IDENTICAL = "identical"
SAME_ROWS = "same rows"
DIFFERS = "differs"
IMPOSSIBLE = "cannot be made"

_COUNTED_ELSEWHERE = ("calls", "redactions")
"""What a unit record says of calls that other units may have made first."""


@dataclass(frozen=True)
class TableResult:
    """What came of one table. `file` is the table made again, where one could be made.

    `result` is identical (byte for byte), same rows (equal in all columns, written by another
    DuckDB), differs, or cannot be made; `why` says where, or why.
    """

    resource_type: str
    result: str
    why: str = ""
    rows: int = 0
    sealed_sha256: str = ""
    sha256: str = ""
    file: Path | None = None

    @property
    def ok(self) -> bool:
        """Whether the table says what its captures say."""
        return self.result in (IDENTICAL, SAME_ROWS)


@dataclass
class Rebuilt:
    """What came of making a snapshot's tables again.

    `units` are differences in what the units are said to have been: whether they were listed, and
    their gaps. `unread` counts units without any capture, which were sealed as gaps and so can be
    neither shown nor doubted. `versions` are libraries that are not those of the snapshot.
    """

    snapshot: Snapshot
    tables: list[TableResult] = field(default_factory=list)
    units: list[str] = field(default_factory=list)
    unread: int = 0
    captures: int = 0
    unused: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether everything follows from the captures."""
        return not self.units and all(table.ok for table in self.tables)

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain JSON data."""
        return {
            "snapshot": self.snapshot.id,
            "ok": self.ok,
            "tables": {
                table.resource_type: {
                    "result": table.result,
                    "why": table.why,
                    "rows": table.rows,
                    "sealed_sha256": table.sealed_sha256,
                    "sha256": table.sha256,
                }
                for table in self.tables
            },
            "units": self.units,
            "units_without_captures": self.unread,
            "captures": self.captures,
            "captures_unused": len(self.unused),
            "other_versions": self.versions,
        }


class Replayer(Protocol):
    """Makes units of one provider again."""

    def replay(self, key: UnitKey, rows: Path) -> ReplayedUnit:
        """Write the rows of a unit as JSON lines to `rows` and return what came of it."""


def sealed_types(snapshot: Snapshot) -> dict[str, AnyResourceType]:
    """Return the resource types that a snapshot's tables were shaped by. Raises StoreError."""
    return specs_from_json(_specs(snapshot), where=str(snapshot.folder / SPECS_FILE))


def _specs(snapshot: Snapshot) -> bytes:
    path = snapshot.folder / SPECS_FILE
    if not path.is_file():
        raise StoreError(
            "this snapshot does not hold the resource types that it was shaped by",
            where=str(path),
            mend="Snapshots of earlier versions cannot be made again; collect a new one.",
        )
    return path.read_bytes()


def rebuild(
    snapshot: Snapshot,
    manifest: Manifest,
    work: Path,
    types: Mapping[str, AnyResourceType] | None = None,
    redactor: Redactor | None = None,
    on_unit: Callable[[UnitRecord], None] = lambda _: None,
) -> Rebuilt:
    """Make every table again in the folder `work`, and compare it with the sealed one.

    `types` are other resource types than the sealed ones; their calls that were not made leave
    facets NULL, as not collected, and tables whose listing was not made cannot be made. Raises
    VerificationError when what is read is not what was sealed, StoreError when `work` is full.
    """
    check_sealed(snapshot, manifest)
    work.mkdir(parents=True, exist_ok=True)
    recorded = sealed_types(snapshot)
    chosen = {**recorded, **(types or {})}
    chosen = {name: spec for name, spec in chosen.items() if name in recorded}
    gcp = GcpReplayer(snapshot, only_gcp(chosen), only_gcp(recorded), redactor, work / "gcp")
    replayers: dict[str, Replayer] = {
        "aws": UnitReplayer(snapshot, only_aws(chosen), only_aws(recorded), redactor),
        "azure": AzureReplayer(snapshot, only_azure(chosen), only_azure(recorded), redactor),
        "gcp": gcp,
        "records": RecordReplayer(snapshot, only_records(chosen), redactor),
    }
    rebuilt = Rebuilt(snapshot, versions=_other_versions(_specs(snapshot)))
    bulk = [unit for unit in snapshot.units if unit.key.resource_type not in snapshot.schemas]
    rebuilt.captures = sum(unit.records for unit in bulk)
    with contextlib.closing(gcp):
        for name in sorted(snapshot.schemas):
            units = [unit for unit in snapshot.units if unit.key.resource_type == name]
            table = _Table(snapshot, name, work, chosen.get(name), compare_units=types is None)
            result = table.make(replayers, units, rebuilt, on_unit)
            sealed_sha256, _ = manifest.files.get(f"tables/{name}.parquet", ("", 0))
            rebuilt.tables.append(_compared(result, snapshot.table(name), sealed_sha256))
    return rebuilt


def check_sealed(snapshot: Snapshot, manifest: Manifest) -> None:
    """Check that every file of a snapshot has the digest that its manifest names.

    Whose signature the manifest bears is `auditpack verify`'s part. Raises VerificationError.
    """
    for path, (digest, _) in sorted(manifest.files.items()):
        file = snapshot.folder / path
        if file.is_symlink() or not file.is_file() or sha256_of_file(file) != digest:
            raise VerificationError(
                "this file is not the one that was sealed",
                where=str(file),
                mend="Run `auditpack verify` to see everything that is wrong.",
            )


def _other_versions(specs: bytes) -> dict[str, str]:
    here = versions_here()
    return {
        name: f"{then} then, {here.get(name, 'none')} now"
        for name, then in versions_in(specs).items()
        if here.get(name) != then
    }


@dataclass(frozen=True)
class _Table:
    """One table being made again."""

    snapshot: Snapshot
    name: str
    work: Path
    spec: AnyResourceType | None
    compare_units: bool

    def make(
        self,
        replayers: Mapping[str, Replayer],
        units: Sequence[UnitRecord],
        rebuilt: Rebuilt,
        on_unit: Callable[[UnitRecord], None],
    ) -> TableResult:
        """Replay the units and write the table; an unfit capture ends this table, not the rest."""
        if self.spec is None:
            return TableResult(self.name, IMPOSSIBLE, f"{SPECS_FILE} does not say what it is")
        rows = []
        for number, unit in enumerate(units):
            on_unit(unit)
            rebuilt.captures += unit.records
            if not (unit.records or unit.captures or unit.listed.observed):
                rebuilt.unread += 1
                continue
            rows.append(self.work / f"{self.name}-{number}.jsonl")
            try:
                replayed = replayers[unit.key.provider].replay(unit.key, rows[-1])
            except OSError as error:
                raise StoreError(
                    f"the rows could not be written: {error.strerror or error}",
                    where=str(self.work),
                    mend="Make room there, or set TMPDIR to another folder.",
                ) from error
            except Exception as error:  # noqa: BLE001  (whatever it is, it is this table's answer)
                return TableResult(self.name, IMPOSSIBLE, f"{unit.key.path}: {_cause(error)}")
            why = self._not_made(unit, replayed)
            if why:
                return TableResult(self.name, IMPOSSIBLE, f"{unit.key.path}: {why}")
            if self.compare_units:
                rebuilt.unused.extend(replayed.unused)
                rebuilt.units.extend(self._unit_differences(unit, replayed.record))
        return self._written(self.spec.table_schema(), rows)

    def _not_made(self, unit: UnitRecord, replayed: ReplayedUnit) -> str:
        """Return why the unit cannot be made again, or nothing.

        With other types only the listing has to be there: without it nobody knows what there is.
        """
        if not replayed.missing:
            return ""
        listing = unit.listed.observed and not replayed.record.listed.observed
        if self.compare_units or listing:
            return f"the captures hold no answer to {replayed.missing[0]}"
        return ""

    def _unit_differences(self, sealed: UnitRecord, remade: UnitRecord) -> list[str]:
        one, other = sealed.as_dict(), remade.as_dict()
        found = [
            f"units.jsonl: {sealed.key.path}: {name}: sealed {one[name]!r}, made again {value!r}"
            for name, value in other.items()
            if name not in _COUNTED_ELSEWHERE and one[name] != value
        ]
        gaps = [gap for gap in self.snapshot.gaps if _is_of(gap.as_dict(), sealed)]
        if gaps != list(remade.gaps):
            odd = next(
                (gap for gap in gaps if gap not in remade.gaps),
                next((gap for gap in remade.gaps if gap not in gaps), None),
            )
            what = "their order" if odd is None else f"{odd.operation} {odd.reason} {odd.detail}"
            found.append(f"gaps.jsonl: {sealed.key.path}: {what}")
        return found

    def _written(self, schema: TableSchema, rows: Sequence[Path]) -> TableResult:
        target = self.work / "tables" / f"{self.name}.parquet"
        count = write_table(schema, rows, target)
        for file in rows:
            file.unlink()
        return TableResult(self.name, "", rows=count, sha256=sha256_of_file(target), file=target)


def _is_of(gap: Mapping[str, Any], unit: UnitRecord) -> bool:
    key = unit.key
    return (gap["provider"], gap["account"], gap["region"], gap["resource_type"]) == (
        key.provider,
        key.account,
        key.region,
        key.resource_type,
    )


def _cause(error: Exception) -> str:
    return error.what if isinstance(error, AuditpackError) else f"{type(error).__name__}: {error}"


def _compared(made: TableResult, sealed: Path, sealed_sha256: str) -> TableResult:
    """Return what was made with the result of comparing it with the sealed table."""
    made = replace(made, sealed_sha256=sealed_sha256)
    if made.file is None:
        return made
    if made.sha256 == sealed_sha256:
        return replace(made, result=IDENTICAL)
    try:
        difference = first_difference(sealed, made.file)
    except duckdb.Error as error:
        return replace(made, result=DIFFERS, why=f"the sealed table cannot be read: {error}")
    if difference is None:
        return replace(made, result=SAME_ROWS, why="the same rows in other bytes")
    return replace(made, result=DIFFERS, why=str(difference))
