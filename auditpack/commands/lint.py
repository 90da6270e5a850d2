"""`auditpack lint`: is everything that people wrote sound?"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from auditpack.options import Context, common_options


@click.command()
@click.option("--afresh", is_flag=True, help="Check again what has passed and is unchanged, too.")
@common_options
def lint(context: Context, *, afresh: bool) -> None:
    """Check every resource type, check, fact, control, framework and KPI, and their examples.

    Runs the gate: expressions bind, examples get the status that they expect, and missing evidence
    never passes or fails (knock-out and vacuous tests). What has passed before and is unchanged is
    not checked again. Exits with 2 when something is wrong.
    """
    from auditpack.config import cache_folder, own_folders
    from collectors.aws.catalogue import load_resource_types, truncating_calls
    from collectors.azure.catalogue import calls_without_action
    from collectors.azure.catalogue import load_resource_types as load_azure_types
    from collectors.gcp.catalogue import load_resource_types as load_gcp_types
    from collectors.gcp.linting import rows_of_one_id
    from controls.gate import check_catalogue
    from controls.gate_memory import GateMemory
    from controls.hygiene import hygiene_problems
    from controls.kpi_gate import kpi_problems
    from controls.kpis import load_kpis
    from controls.problems import Problem

    folders = [Path(folder) for folder in context.type_folders]
    aws, azure = load_resource_types(folders), load_azure_types(folders)
    gcp = load_gcp_types(folders)
    schemas = context.schemas()
    catalogue = context.catalogue()
    memory = None if afresh else GateMemory(cache_folder() / "gate")
    problems = check_catalogue(catalogue, schemas, memory=memory)
    problems.extend(hygiene_problems(catalogue))
    indicators = load_kpis(own_folders(context.config_file))
    problems.extend(kpi_problems(indicators, schemas))
    problems.extend(
        Problem(call, "the answer could be cut short: it has a token and no paging", "Add `page:`.")
        for call in truncating_calls(list(aws.values()))
    )
    problems.extend(
        Problem(call, "which permission it needs cannot be read off its path", "Add `actions:`.")
        for call in calls_without_action(azure.values())
    )
    problems.extend(
        Problem(f"{name}: id", "its rows are no assets, and need an id of their own", "Add `id:`.")
        for name in rows_of_one_id(gcp.values())
    )
    out = context.output.results()
    for problem in problems:
        out.print(f"[red]{problem.where}[/red]\n  {problem.what}  {problem.mend}", soft_wrap=True)
    counts = (
        f"{len(schemas)} resource types, {len(catalogue.checks)} checks, {len(catalogue.facts)}"
        f" facts, {len(catalogue.controls)} controls, {len(catalogue.frameworks)} frameworks,"
        f" {len(indicators.kpis)} KPIs"
    )
    out.print(f"{counts}: {f'{len(problems)} problems' if problems else 'all sound'}")
    context.output.json(
        {
            "problems": [
                {"where": item.where, "what": item.what, "mend": item.mend} for item in problems
            ],
            "resource_types": len(schemas),
            "checks": len(catalogue.checks),
            "facts": len(catalogue.facts),
            "controls": len(catalogue.controls),
            "frameworks": len(catalogue.frameworks),
            "kpis": len(indicators.kpis),
        }
    )
    if problems:
        sys.exit(2)
