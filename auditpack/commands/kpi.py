"""`auditpack kpis`: how well the infrastructure is run, in figures."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from auditpack.commands.thresholds import BELOW_THRESHOLD
from auditpack.options import Context, common_options

if TYPE_CHECKING:
    from controls.kpi_models import KpiValue

_STATES = ("met", "missed", "no data")
_COLOURS = {"met": "green", "missed": "red", "no data": "yellow"}
_REACHING = {"higher": "at least", "lower": "at most"}


@click.command()
@click.option("--snapshot", default="", help="Snapshot to measure [default: the newest].")
@click.option("--fail-on-missed", is_flag=True, help="Exit with 3 when a target is missed.")
@common_options
def kpis(context: Context, *, snapshot: str, fail_on_missed: bool) -> None:
    """Measure the key performance indicators over a snapshot and the assessments of the store.

    Windows end at the snapshot's time. An indicator without its data is "no data", with the reason,
    and neither met nor missed. The trend is against the window before, or the snapshot before.
    """
    values = measured(context, snapshot)
    if not context.output.as_json:
        _print(context, values)
    counts = {state: sum(value.state == state for value in values) for state in _STATES}
    context.output.results().print(", ".join(f"{n} {state}" for state, n in counts.items()))
    context.output.json(
        {
            "as_of": values[0].as_of if values else None,
            **{state.replace(" ", "_"): number for state, number in counts.items()},
            "kpis": [value.as_dict() for value in values],
        }
    )
    if fail_on_missed and counts["missed"]:
        sys.exit(BELOW_THRESHOLD)


def measured(context: Context, snapshot_id: str = "") -> list[KpiValue]:
    """Measure all KPIs over a snapshot; an empty id means the newest."""
    from auditpack.config import own_folders
    from controls.kpi_history import past_assessments, snapshot_before
    from controls.kpis import load_kpis, measure_kpis, state_tables
    from evidence.snapshot import Snapshot

    store = context.store()
    snapshot = Snapshot.open(store, snapshot_id)
    known = load_kpis(own_folders(context.config_file))
    past = past_assessments(store, snapshot.as_of)
    states = state_tables(known) & snapshot.schemas.keys()
    before = snapshot_before(store, snapshot, states)
    return measure_kpis(snapshot, known, past, before)


def _print(context: Context, values: list[KpiValue]) -> None:
    from rich.markup import escape
    from rich.table import Table

    out = context.output.results()
    if values:
        out.print(f"[bold]Key performance indicators[/bold]  as of {values[0].as_of}")
    for area in sorted({value.kpi.area for value in values}):
        table = Table(box=None, pad_edge=False, title=area, title_justify="left")
        for name in ("Indicator", "Value", "Target", "", "Trend", "Source, or why not"):
            table.add_column(name, overflow="fold")
        for value in values:
            if value.kpi.area == area:
                table.add_row(*(escape(cell) for cell in _row(value)), style=_style(value))
        out.print(table)


def _style(value: KpiValue) -> str:
    return _COLOURS[value.state]


def _row(value: KpiValue) -> tuple[str, ...]:
    shown = "-" if value.value is None else f"{value.value:f} {_unit(value)}"
    target = f"{_REACHING[value.kpi.direction]} {value.kpi.target:f}"
    trend = f"{value.trend.direction} ({value.trend.previous:f})" if value.trend else "-"
    return value.kpi.title, shown, target, value.state, trend, _rests_on(value)


def _unit(value: KpiValue) -> str:
    return {"percent": "%", "count": ""}.get(value.unit, value.unit)


def _rests_on(value: KpiValue) -> str:
    if value.state == "no data":
        return value.why
    found = value.measured
    told = [f"{', '.join(value.kpi.reads)}: {found.rows} row{'s' * (found.rows != 1)}"]
    told += [f"{found.left_out} left out"] if found.left_out else []
    told += [f"{value.gaps} gaps"] if value.gaps else []
    return ", ".join(told)
