"""`auditpack maturity`: the level of every area, what separates it from the next, the roadmap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from auditpack.options import Context, common_options

if TYPE_CHECKING:
    from controls.assessment import Assessment
    from controls.maturity import Area
    from controls.openings import OpenCheck, OpenRequirement
    from reports.maturity import MaturityView

_SHOWN = 5
"""Checks named under a requirement; --json has all."""


@click.command()
@click.option("--assessment", "name", default="", help="Assessment [default: the newest].")
@click.option(
    "--framework",
    "framework_id",
    default="operational_excellence",
    show_default=True,
    help="A framework whose requirements have levels 2 to 5.",
)
@click.option("--roadmap", is_flag=True, help="Show what is open as steps in phases, too.")
@common_options
def maturity(context: Context, *, name: str, framework_id: str, roadmap: bool) -> None:
    """Show how far each area of a framework has come, in five levels, and what the next one needs.

    Levels follow from the requirements that hold in a sealed assessment. Nothing is judged anew;
    what was not evidenced does not hold.
    """
    from controls.assessment import Assessment

    assessment = Assessment.open(context.store(), name)
    view = _view(assessment, framework_id)
    if not context.output.as_json:
        _print(context, assessment, view, roadmap=roadmap)
    context.output.json(_document(assessment, view, roadmap=roadmap))


def _view(assessment: Assessment, framework_id: str) -> MaturityView:
    from evidence.errors import UsageError
    from reports.maturity import maturity_views

    views = {view.maturity.framework: view for view in maturity_views(assessment)}
    if framework_id not in views:
        judged = framework_id in {item["id"] for item in assessment.results["frameworks"]}
        what = "has no levels of maturity" if judged else "was not judged"
        have = ", ".join(views)
        mend = f"It shows the maturity of: {have}." if have else ""
        raise UsageError(
            f"{framework_id} {what}",
            where=f"assessment {assessment.id}",
            mend=mend or "Run `auditpack evaluate --framework operational_excellence` first.",
        )
    return views[framework_id]


def _document(assessment: Assessment, view: MaturityView, *, roadmap: bool) -> dict[str, Any]:
    from controls.roadmap import ORDER

    steps = {"order": ORDER, "phases": [phase.as_dict() for phase in view.phases]}
    return {
        "assessment": assessment.id,
        "snapshot": assessment.snapshot_id,
        "as_of": assessment.results["as_of"],
        **view.maturity.as_dict(),
        **({"roadmap": steps} if roadmap else {}),
    }


def _print(context: Context, assessment: Assessment, view: MaturityView, *, roadmap: bool) -> None:
    from rich.markup import escape

    from controls.maturity import FORMULA
    from controls.scoring import one_decimal

    out = context.output.results()
    found = view.maturity
    out.print(f"[bold]{escape(found.title)}[/bold]  as of {assessment.results['as_of']}")
    out.print(f"Overall: {_level(found.lowest)}, the lowest area; mean {one_decimal(found.mean)}")
    if found.profile:
        out.print(f"[yellow]Only {escape(found.profile)} was judged; all else is open.[/yellow]")
    out.print(_table(found.areas))
    out.print("[dim]Under 2 to 5: requirements that hold, of all at that level.[/dim]")
    for area in found.areas:
        if area.missing:
            title = f"{area.id}  {area.title}: to reach {_level(area.next_level)}"
            out.print(f"\n[bold]{escape(title)}[/bold]")
            for item in area.missing:
                for line in _told(item):
                    out.print(escape(line), soft_wrap=True)
    if roadmap:
        _print_roadmap(out, view)
    out.print(f"\n[dim]{FORMULA}[/dim]")


def _level(level: int | None) -> str:
    from controls.maturity import LEVELS

    return "no level, nothing applies" if level is None else f"level {level} ({LEVELS[level]})"


def _table(areas: Sequence[Area]) -> Any:
    from rich.markup import escape
    from rich.table import Table

    from controls.maturity import LEVELS

    table = Table(box=None, pad_edge=False)
    for name in ("Area", "Level", "", *(f"{level}" for level in LEVELS if level > 1)):
        table.add_column(name, overflow="fold", justify="right" if name.isdigit() else "left")
    for area in areas:
        held = [f"{count.held}/{count.of}" if count.of else "-" for count in area.counts]
        name = "-" if area.level is None else f"{area.level} {LEVELS[area.level]}"
        table.add_row(escape(f"{area.id}  {area.title}"), bar(area.level), name, *held)
    return table


def bar(level: int | None) -> str:
    """Return a level as a bar of five blocks; dots where there is none."""
    from controls.maturity import TOP

    return "·" * TOP if level is None else "█" * level + "░" * (TOP - level)


def _told(item: OpenRequirement, number: str = "") -> Iterator[str]:
    """Yield the lines about an open requirement: what it is, what fails, what is missing."""
    status = item.status.replace("_", " ")
    yield f"  {number}{item.requirement.id}  {item.requirement.title}: {status}"
    yield from _checks(item.failing, "fails", mend=True)
    yield from _checks(item.unseen, "could not be judged", mend=False)
    for evidence in item.evidence:
        yield f"      bring: {evidence.about} ({evidence.type.replace('-', ' ')})"


def _checks(checks: Sequence[OpenCheck], verb: str, *, mend: bool) -> Iterator[str]:
    for check in checks[:_SHOWN]:
        how = f" {check.remediation}" if mend else ""
        yield f"      {verb} ({check.number}): {check.title}.{how}"
    more = len(checks) - _SHOWN
    if more > 0:
        yield f"      {verb}: {more} more check{'' if more == 1 else 's'}"


def _print_roadmap(out: Any, view: MaturityView) -> None:
    from rich.markup import escape

    from controls.roadmap import ORDER

    for phase in view.phases:
        number = f"{len(phase.steps)} of {phase.of} open"
        out.print(f"\n[bold]{escape(phase.title)}[/bold]  {number}")
        for step in phase.steps:
            for line in _told(step.opening, f"{step.place}. "):
                out.print(escape(line), soft_wrap=True)
            if step.after:
                out.print(
                    escape(f"      its level also needs: {', '.join(step.after)}"), soft_wrap=True
                )
    out.print(f"\n[dim]{ORDER}[/dim]")
