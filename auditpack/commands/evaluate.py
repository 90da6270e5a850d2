"""`auditpack evaluate`: judge a snapshot against the frameworks."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from auditpack.commands.thresholds import (
    BELOW_THRESHOLD,
    SEVERITIES,
    has_failure,
    is_below,
    shown_percent,
    threshold_options,
)
from auditpack.options import Context, common_options

if TYPE_CHECKING:
    from controls.assessment import Assessment
    from controls.catalogue import Catalogue
    from controls.freshness import Freshness
    from evidence.snapshot import Snapshot


@click.command()
@click.option("--snapshot", default="", help="Snapshot to judge [default: the newest].")
@click.option("--framework", "frameworks", multiple=True, help="Framework; may be repeated.")
@click.option(
    "--at",
    default="",
    metavar="DATE",
    help="Day that is judged for: evidence older by more than evidence_days shows nothing"
    " [default: the snapshot's own time].",
)
@threshold_options
@common_options
def evaluate(
    context: Context,
    *,
    snapshot: str,
    frameworks: tuple[str, ...],
    at: str,
    fail_under: float | None,
    fail_on: str | None,
) -> None:
    """Judge a snapshot: findings, requirement statuses and scores, sealed as an assessment.

    The same snapshot and the same catalogue always give the same findings, byte for byte.
    """
    assessment = assess_snapshot(context, snapshot, frameworks, at)
    show_assessment(context, assessment)
    if is_below(assessment, fail_under) or has_failure(assessment, fail_on):
        sys.exit(BELOW_THRESHOLD)


def assess_snapshot(
    context: Context, snapshot_id: str = "", frameworks: tuple[str, ...] = (), at: str = ""
) -> Assessment:
    """Judge a snapshot with the configured (or given) frameworks, for a day. Raises UsageError."""
    from auditpack.config import cache_folder
    from controls.assessment import assess
    from controls.gate_memory import GateMemory
    from evidence.snapshot import Snapshot

    store = context.store()
    snapshot = Snapshot.open(store, snapshot_id)
    catalogue = context.catalogue()
    chosen = frameworks or context.config.frameworks or _fitting(catalogue, snapshot)
    context.output.remark(f"Judging snapshot {snapshot.id} by {len(catalogue.checks)} checks ...")
    return assess(
        store,
        snapshot,
        catalogue,
        context.schemas(),
        chosen,
        context.sealer(),
        not_applicable=context.config.not_applicable,
        freshness=_freshness(context, at),
        owner_tags=context.config.owner_tags,
        memory_limit=context.config.memory_limit,
        gate_memory=GateMemory(cache_folder() / "gate"),
    )


def _freshness(context: Context, at: str) -> Freshness:
    """Return how old evidence may be, at the end of the day that is judged for.

    The day is asked for and never today by itself: the same evidence is to give the same findings
    whenever it is judged.
    """
    import datetime

    from controls.freshness import Freshness
    from evidence.errors import UsageError

    if not at:
        return Freshness()
    try:
        moment = f"{datetime.date.fromisoformat(at)}T23:59:59Z"
    except ValueError:
        raise UsageError(
            f"{at!r} is no day", where="--at", mend="Write it as 2026-12-31."
        ) from None
    return Freshness(moment, context.config.evidence_days)


def _fitting(catalogue: Catalogue, snapshot: Snapshot) -> tuple[str, ...]:
    """Return the usual frameworks that say anything of the clouds in a snapshot.

    Those that are asked for by name are judged all the same, and then may lack evidence.
    """
    providers = {unit.key.provider for unit in snapshot.units}
    types = {name for name, schema in snapshot.schemas.items() if schema.provider in providers}
    chosen = []
    for name, framework in catalogue.frameworks.items():
        if not framework.by_default:
            continue
        benchmark = framework.benchmark
        judged = {
            check.resource for check in catalogue.checks.values() if benchmark in check.equivalents
        }
        if not benchmark or not judged or judged & types:
            chosen.append(name)
    return tuple(chosen)


def show_assessment(context: Context, assessment: Assessment) -> None:
    """Print scores and the most pressing failures."""
    from rich.table import Table

    out = context.output.results()
    results = assessment.results
    out.print(f"[bold]Assessment {assessment.id}[/bold]")
    table = Table(box=None, pad_edge=False)
    for name in ("Framework", "Score", "Satisfied", "Not satisfied", "Not evidenced", "N/A"):
        table.add_column(name, justify="left" if name == "Framework" else "right")
    table.add_column("Evidence coverage", justify="right")
    table.add_column("Weighted pass rate", justify="right")
    for item in results["frameworks"]:
        statuses = item["requirements_by_status"]
        table.add_row(
            assessment.frameworks[item["id"]].titled(item.get("profile", "")),
            shown_percent(item["score_percent"]),
            str(statuses["satisfied"]),
            str(statuses["not_satisfied"]),
            str(statuses["not_evidenced"]),
            str(statuses["not_applicable"]),
            shown_percent(item["evidence_coverage_percent"]),
            shown_percent(item["severity_weighted_pass_rate_percent"]),
        )
    out.print(table)
    out.print(_severity_table(assessment))
    totals = _totals(results)
    out.print(
        f"{results['findings']['count']} findings: {totals['pass']} pass, {totals['fail']} fail,"
        f" {totals['not_evidenced']} not evidenced, {totals['not_applicable']} not applicable"
    )
    context.output.json({"assessment": assessment.id, **_summary(results)})


def _severity_table(assessment: Assessment) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, title="Failing checks", title_justify="left")
    table.add_column("Severity")
    table.add_column("Fails", justify="right")
    table.add_column("Check")
    failing = [
        (SEVERITIES.index(check.severity.value), -counts["fail"], check.title, check, counts)
        for name, counts in assessment.results["findings"]["by_check"].items()
        if counts["fail"] and (check := assessment.checks.get(name)) is not None
    ]
    for _, _, _, check, counts in sorted(failing, key=lambda item: item[:3])[:10]:
        table.add_row(check.severity.value, str(counts["fail"]), check.title)
    if len(failing) > 10:
        table.add_row("", "", f"and {len(failing) - 10} more: see the pack or the site")
    return table


def _totals(results: dict[str, Any]) -> dict[str, int]:
    total: dict[str, int] = {}
    for counts in results["findings"]["by_severity"].values():
        for status, number in counts.items():
            total[status] = total.get(status, 0) + number
    names = ("pass", "fail", "not_evidenced", "not_applicable")
    return {name: total.get(name, 0) for name in names}


def _summary(results: dict[str, Any]) -> dict[str, Any]:
    return {
        "snapshot": results["snapshot"]["id"],
        "catalogue_sha256": results["catalogue_sha256"],
        "findings": {
            "count": results["findings"]["count"],
            "sha256": results["findings"]["sha256"],
            **_totals(results),
        },
        "frameworks": [
            {name: value for name, value in item.items() if name != "requirements"}
            for item in results["frameworks"]
        ],
        "formula": results["formula"],
    }
