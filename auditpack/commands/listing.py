"""`auditpack list`: what there is."""

from __future__ import annotations

from typing import Any

import click

from auditpack.options import Context, common_options


@click.command("list")
@click.argument(
    "kind", type=click.Choice(["frameworks", "controls", "checks", "resources", "facts"])
)
@common_options
def list_(context: Context, *, kind: str) -> None:
    """List frameworks, controls, checks, resource types or facts."""
    from rich.table import Table

    rows = _ROWS[kind](context)
    table = Table(box=None, pad_edge=False)
    for name in rows[0] if rows else ():
        table.add_column(name.replace("_", " ").capitalize(), overflow="fold")
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    context.output.results().print(table)
    context.output.results().print(f"{len(rows)} {kind}")
    context.output.json(rows)


def _frameworks(context: Context) -> list[dict[str, Any]]:
    catalogue = context.catalogue()
    rows = []
    for framework in catalogue.frameworks.values():
        with_checks = sum(
            bool(catalogue.checks_of(framework, requirement))
            for requirement in framework.requirements
        )
        rows.append(
            {
                "id": framework.id,
                "title": framework.title,
                "version": framework.version,
                "requirements": len(framework.requirements),
                "with_checks": with_checks,
            }
        )
    return rows


def _controls(context: Context) -> list[dict[str, Any]]:
    catalogue = context.catalogue()
    return [
        {
            "id": control.id,
            "title": control.title,
            "domain": control.domain,
            "checks": len(catalogue.checks_of_control(control.id)),
        }
        for control in catalogue.controls.values()
    ]


def _checks(context: Context) -> list[dict[str, Any]]:
    return [
        {
            "id": check.id,
            "severity": check.severity.value,
            "resource": check.resource,
            "control": check.control,
            "title": check.title,
        }
        for check in context.catalogue().checks.values()
    ]


def _resources(context: Context) -> list[dict[str, Any]]:
    catalogue = context.catalogue()
    return [
        {
            "type": name,
            "provider": schema.provider,
            "scope": schema.scope,
            "facets": len(schema.facets),
            "checks": sum(check.resource == name for check in catalogue.checks.values()),
            "title": schema.title,
        }
        for name, schema in context.schemas().items()
    ]


def _facts(context: Context) -> list[dict[str, Any]]:
    return [
        {"id": fact.id, "for": fact.subject, "reads": ", ".join(fact.reads), "about": fact.about}
        for fact in context.catalogue().facts.values()
    ]


_ROWS = {
    "frameworks": _frameworks,
    "controls": _controls,
    "checks": _checks,
    "resources": _resources,
    "facts": _facts,
}
