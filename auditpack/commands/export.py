"""`auditpack export`: what was found, for other programs."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from auditpack.options import Context, common_options


@click.group()
def export() -> None:
    """Write findings in a format that other programs read."""


@export.command()
@click.option("--assessment", default="", help="Assessment to export [default: the newest].")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["csv", "json", "jsonl"]),
    default="csv",
    show_default=True,
)
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice(["pass", "fail", "not_evidenced", "not_applicable", "excepted"]),
    help="Only findings of this status; may be repeated.",
)
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), help="File [default: stdout]."
)
@common_options
def findings(
    context: Context,
    *,
    assessment: str,
    kind: str,
    statuses: tuple[str, ...],
    output: Path | None,
) -> None:
    """Export findings, one a check and resource, with the captures that each rests on."""
    from controls.assessment import Assessment
    from reports.findings_export import write_findings

    opened = Assessment.open(context.store(), assessment)
    if output is None:
        write_findings(opened, kind, sys.stdout, statuses)
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("w", encoding="utf-8", newline="") as file:
        count = write_findings(opened, kind, file, statuses)
    context.output.results().print(f"{count} findings in {output}", soft_wrap=True)
    context.output.json({"findings": count, "output": str(output), "assessment": opened.id})
