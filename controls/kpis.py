"""KPIs: loading them, and measuring them over a snapshot and over our own history. Pure: no clock.

A figure is exact until it is rounded to be shown, and windows end at the snapshot's time. Where a
table that it reads was not collected or not observed, or holds nothing for the window, there is
"no data", with the reason: never 0.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

import duckdb

from controls.catalogue import catalogue_folders
from controls.database import attach_table, lock, open_database
from controls.kpi_history import HISTORY_TABLES, PastAssessment, create_history, up_to
from controls.kpi_models import Kpi, KpiSet, KpiValue, Measured, Trend, moment_of, rounded
from controls.kpi_sql import FormulaError, measure, require_formula
from evidence.errors import AuditpackError, DataError
from evidence.snapshot import Snapshot
from evidence.yaml_files import line_of, load_model

_NEWEST = 5
"""Assessments that a figure from our own history names."""


class KpiError(AuditpackError):
    """A KPI could not be measured over a snapshot."""


def load_kpis(folders: Iterable[Path] = ()) -> KpiSet:
    """Load the built-in KPIs and those in `kpis/` of `folders`, which replace them by id.

    Raises DataError; formulas are checked by `controls.kpi_gate`.
    """
    kpis: dict[str, Kpi] = {}
    files: dict[str, Path] = {}
    for folder in catalogue_folders(folders):
        for file in sorted((folder / "kpis").rglob("*.yaml")):
            kpi = load_model(file, Kpi)
            if file.stem != kpi.id:
                raise DataError(
                    f"the file is called {file.stem!r} and its id is {kpi.id!r}",
                    where=f"{file}:{line_of(file, ['id'])}: id",
                    mend="Give both the same name.",
                )
            kpis[kpi.id], files[kpi.id] = kpi, file
    return KpiSet(dict(sorted(kpis.items())), files)


def _states(known: KpiSet) -> KpiSet:
    """Return the KPIs without a window, which are of the state at one time."""
    return replace(known, kpis={k: kpi for k, kpi in known.kpis.items() if kpi.window is None})


def state_tables(known: KpiSet) -> frozenset[str]:
    """Return the tables of a snapshot that KPIs without a window read."""
    reads = {name for kpi in _states(known).kpis.values() for name in kpi.reads}
    return frozenset(reads) - HISTORY_TABLES.keys()


def measure_kpis(
    snapshot: Snapshot,
    known: KpiSet,
    past: Sequence[PastAssessment] = (),
    before: Snapshot | None = None,
) -> list[KpiValue]:
    """Measure all KPIs at the time of a snapshot, by id.

    `past` are the assessments of the store (`past_assessments`), those of later states do not
    count. A KPI with a window is compared with the window before; one without with the snapshot
    `before`. Raises KpiError when a formula does not do what the gate requires.
    """
    past = up_to(past, snapshot.as_of)
    with _tables(snapshot, known, past) as database:
        found = [_value(database, snapshot, known, kpi, past) for kpi in known.kpis.values()]
    if before is None:
        return found
    states = _states(known)
    earlier = up_to(past, before.as_of)
    with _tables(before, states, earlier) as database:
        previous = {
            name: _value(database, before, states, kpi, earlier).measured
            for name, kpi in states.kpis.items()
        }
    return [
        _with_trend(value, previous[value.kpi.id], before.as_of)
        if value.kpi.id in previous
        else value
        for value in found
    ]


@contextmanager
def _tables(
    snapshot: Snapshot, known: KpiSet, past: Sequence[PastAssessment]
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a locked database with the tables that KPIs read, as far as they are there."""
    wanted = {name for kpi in known.kpis.values() for name in kpi.reads}
    with open_database(snapshot.as_of) as database:
        for name in sorted(wanted & snapshot.schemas.keys()):
            try:
                attach_table(database, snapshot.schemas[name], snapshot.table(name).resolve())
            except duckdb.Error as error:
                raise KpiError(
                    f"the table cannot be read: {str(error).splitlines()[0]}",
                    where=str(snapshot.table(name)),
                    mend="Run `auditpack verify`: the snapshot may have been damaged.",
                ) from error
        create_history(database, past if wanted & HISTORY_TABLES.keys() else ())
        lock(database, [snapshot.folder.resolve() / "tables"])
        yield database


def _value(
    database: duckdb.DuckDBPyConnection,
    snapshot: Snapshot,
    known: KpiSet,
    kpi: Kpi,
    past: Sequence[PastAssessment],
) -> KpiValue:
    unread = "; ".join(filter(None, (_unread(snapshot, name, past) for name in kpi.reads)))
    gaps = sum(gap.resource_type in kpi.reads for gap in snapshot.gaps)
    if unread:
        nothing = Measured(None, None, None, 0, 0)
        return KpiValue(kpi, "no data", snapshot.as_of, None, nothing, unread, gaps=gaps)
    end = moment_of(snapshot.as_of)
    found = _measure(database, known, kpi, end)
    used = past if HISTORY_TABLES.keys() & set(kpi.reads) else ()
    names = tuple(item.id for item in used[-_NEWEST:])
    if found.value is None:
        why = found.why or _why_nothing(database, kpi, found, end)
        return KpiValue(kpi, "no data", snapshot.as_of, None, found, why, None, names, gaps)
    state: Literal["met", "missed"] = "met" if kpi.is_met_by(found.value) else "missed"
    shown = rounded(found.value, kpi.decimals)
    value = KpiValue(kpi, state, snapshot.as_of, shown, found, "", None, names, gaps)
    if kpi.window is None:
        return value
    start = end - datetime.timedelta(days=kpi.window)
    return _with_trend(value, _measure(database, known, kpi, start), f"{start.isoformat()}Z")


def _measure(
    database: duckdb.DuckDBPyConnection, known: KpiSet, kpi: Kpi, end: datetime.datetime
) -> Measured:
    try:
        require_formula(kpi)
        return measure(database, kpi, end)
    except duckdb.BinderException as error:
        why = f"the snapshot's tables lack what the KPI reads: {str(error).splitlines()[0]}"
        return Measured(None, None, None, 0, 0, why=why)
    except (FormulaError, duckdb.Error) as error:
        raise KpiError(
            f"the KPI could not be measured: {str(error).splitlines()[0]}",
            where=known.where(kpi.id, "formula"),
            mend="Run `auditpack lint`; was the snapshot made by another version?",
        ) from error


def _unread(snapshot: Snapshot, name: str, past: Sequence[PastAssessment]) -> str:
    """Say why a table is not there as a whole; empty if it is."""
    if name in HISTORY_TABLES:
        return "" if past else f"{name}: the store holds no assessment up to this snapshot's time"
    units = [unit for unit in snapshot.units if unit.key.resource_type == name]
    if name not in snapshot.schemas or not units:
        return f"{name} was not collected"
    return "; ".join(
        f"{name} was not read in {unit.key.account} {unit.key.region}:"
        f" {unit.listed.value} {unit.detail}".rstrip()
        for unit in units
        if not unit.listed.observed
    )


def _why_nothing(
    database: duckdb.DuckDBPyConnection, kpi: Kpi, found: Measured, end: datetime.datetime
) -> str:
    """Say why tables that were read give no figure."""
    empty = [name for name in kpi.reads if not _has_rows(database, name)]
    if empty:
        return f"{' and '.join(empty)} {'hold' if len(empty) > 1 else 'holds'} no rows"
    span = f" in the {kpi.window} days to {end.date()}" if kpi.window else f" at {end.date()}"
    names = " and ".join(kpi.reads)
    if found.rows:
        return f"the rows of {names}{span} give nothing to divide by"
    if found.left_out:
        return f"no row of {names}{span} has all values needed; left out: {found.left_out}"
    return f"{names} has no row that counts{span}"


def _has_rows(database: duckdb.DuckDBPyConnection, name: str) -> bool:
    return database.execute(f"SELECT 1 FROM {name} LIMIT 1").fetchone() is not None


def _with_trend(value: KpiValue, earlier: Measured, as_of: str) -> KpiValue:
    """Add how a value compares with an earlier one, where both are figures in the same unit."""
    same_unit = earlier.unit == value.measured.unit
    if value.value is None or earlier.value is None or not same_unit:
        return value
    previous = rounded(earlier.value, value.kpi.decimals)
    if previous == value.value:
        return replace(value, trend=Trend("same", previous, as_of))
    rose = value.value > previous
    better = rose if value.kpi.direction == "higher" else not rose
    return replace(value, trend=Trend("better" if better else "worse", previous, as_of))
