"""`auditpack score`: the scores of an assessment, part by part."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from auditpack.commands.thresholds import (
    BELOW_THRESHOLD,
    has_failure,
    is_below,
    shown_percent,
    threshold_options,
)
from auditpack.options import Context, common_options

if TYPE_CHECKING:
    from controls.assessment import Assessment
    from controls.breakdown import FamilyRow, FindingsRow

_PARTS = ("family", "control", "account", "owner", "severity")


@click.command()
@click.option("--assessment", "name", default="", help="Assessment [default: the newest].")
@click.option(
    "--by",
    "parts",
    type=click.Choice(_PARTS),
    multiple=True,
    help="Part to show; may be repeated [default: all in JSON, families and severities here].",
)
@threshold_options
@common_options
def score(
    context: Context,
    *,
    name: str,
    parts: tuple[str, ...],
    fail_under: float | None,
    fail_on: str | None,
) -> None:
    """Show the scores of a sealed assessment: by framework, and by parts that add up to the whole.

    Parts of the findings are controls, accounts, owners and severities; families are the parts of a
    framework. The formula is printed with the figures. Nothing is judged anew.
    """
    from controls.assessment import Assessment

    assessment = Assessment.open(context.store(), name)
    document = _document(assessment)
    if not context.output.as_json:
        _print(context, assessment, parts or ("family", "severity"))
    context.output.json(document)
    if is_below(assessment, fail_under) or has_failure(assessment, fail_on):
        sys.exit(BELOW_THRESHOLD)


def _findings(assessment: Assessment) -> dict[str, list[FindingsRow]]:
    """Return every breakdown of the findings."""
    from controls.breakdown import by_control, by_part

    found = assessment.results["findings"]
    return {
        "control": by_control(assessment.checks.values(), found["by_check"]),
        "account": by_part(found["by_account"]),
        "owner": by_part(found["by_owner"]),
        "severity": by_part(found["by_severity"]),
    }


def _families(assessment: Assessment, result: Mapping[str, Any]) -> list[FamilyRow]:
    from controls.breakdown import by_family

    return by_family(assessment.frameworks[result["id"]], result)


def _document(assessment: Assessment) -> dict[str, Any]:
    from controls.breakdown import PASS_RATE

    results = assessment.results
    frameworks = []
    for item in results["frameworks"]:
        told = {key: value for key, value in item.items() if key != "requirements"}
        families = [row.as_dict() for row in _families(assessment, item)]
        frameworks.append({**told, "by_family": families})
    return {
        "assessment": assessment.id,
        "snapshot": assessment.snapshot_id,
        "as_of": results["as_of"],
        "formula": {**results["formula"], "pass_rate": PASS_RATE},
        "frameworks": frameworks,
        **{
            f"by_{part}": [row.as_dict() for row in rows]
            for part, rows in _findings(assessment).items()
        },
    }


def _print(context: Context, assessment: Assessment, parts: Sequence[str]) -> None:
    from controls.breakdown import PASS_RATE

    out = context.output.results()
    out.print(f"[bold]Assessment {assessment.id}[/bold]  as of {assessment.results['as_of']}")
    for item in assessment.results["frameworks"]:
        title = assessment.frameworks[item["id"]].titled(item.get("profile", ""))
        out.print(f"[bold]{title}[/bold]  score {shown_percent(item['score_percent'])}")
        if "family" in parts:
            out.print(_family_table(_families(assessment, item)))
    for part, rows in _findings(assessment).items():
        if part in parts:
            out.print(_findings_table(part, rows))
    out.print(f"[dim]{assessment.results['formula']['text']}[/dim]")
    out.print(f"[dim]{PASS_RATE}[/dim]")


def _family_table(rows: Sequence[FamilyRow]) -> Any:
    from controls.scoring import percent

    table = _table("Family", "Score", "Satisfied", "Not satisfied", "Not evidenced", "N/A")
    for row in rows:
        numbers = (str(number) for number in row.statuses.values())
        table.add_row(f"{row.id}  {row.title}", shown_percent(percent(row.score)), *numbers)
    return table


def _findings_table(part: str, rows: Sequence[FindingsRow]) -> Any:
    from controls.scoring import percent

    names = ("Pass rate", "Pass", "Fail", "Not evidenced", "N/A", "Excepted")
    table = _table(part.capitalize(), *names)
    for row in rows:
        numbers = (str(number) for number in row.counts.as_dict().values())
        table.add_row(row.name or "(none)", shown_percent(percent(row.pass_rate)), *numbers)
    return table


def _table(first: str, *others: str) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column(first, overflow="fold")
    for name in others:
        table.add_column(name, justify="right")
    return table
