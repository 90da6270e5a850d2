"""`auditpack explain`: everything about one check, control, requirement, resource type or fact."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

import click

from auditpack.options import Context, common_options

if TYPE_CHECKING:
    from controls.catalogue import Catalogue
    from controls.models import Requirement
    from evidence.schema import TableSchema


@click.command()
@click.argument("name")
@common_options
def explain(context: Context, *, name: str) -> None:
    """Explain NAME: a check, control, fact or resource type, or a requirement like SOC2:CC6.1."""
    catalogue, schemas = context.catalogue(), context.schemas()
    found = _find(name, catalogue, schemas)
    if not context.output.as_json:
        _print(context, found)
    context.output.json(found)


def _find(name: str, catalogue: Catalogue, schemas: dict[str, TableSchema]) -> dict[str, Any]:
    from evidence.errors import UsageError

    if ":" in name:
        return _requirement(name, catalogue)
    if name in catalogue.checks:
        return _check(name, catalogue)
    if name in catalogue.controls:
        return _control(name, catalogue)
    if name in catalogue.facts:
        return {"fact": catalogue.facts[name].model_dump(mode="json", by_alias=True)}
    if name in schemas:
        return _resource(schemas[name], catalogue)
    if name in catalogue.frameworks:
        framework = catalogue.frameworks[name]
        return {
            "framework": framework.id,
            "title": framework.title,
            "version": framework.version,
            "about": framework.about,
            "source": framework.source,
            "requirements": [f"{item.id}  {item.title}" for item in framework.requirements],
        }
    known = [*catalogue.checks, *catalogue.controls, *catalogue.facts, *schemas]
    near = difflib.get_close_matches(name, [*known, *catalogue.frameworks], 3)
    raise UsageError(
        f"there is nothing called {name!r}",
        where="NAME",
        mend=f"Did you mean {' or '.join(near)}?" if near else "`auditpack list` shows all.",
    )


def _requirement(name: str, catalogue: Catalogue) -> dict[str, Any]:
    from evidence.errors import UsageError

    prefix, _, wanted = name.partition(":")
    plain = prefix.lower().replace("-", "_")
    starting = [known for known in catalogue.frameworks if known.startswith(plain)]
    known = plain in catalogue.frameworks or len(starting) != 1
    framework = catalogue.framework(plain if known else starting[0])
    for requirement in framework.requirements:
        if requirement.id.lower() == wanted.lower():
            checks = catalogue.checks_of(framework, requirement)
            return {
                "requirement": f"{framework.id}:{requirement.id}",
                "title": requirement.title,
                "framework": f"{framework.title} {framework.version}",
                "profiles": list(requirement.profiles),
                "controls": _controls_of(requirement, catalogue),
                "checks": [f"{check.id}  {check.title}" for check in checks],
                "manual_evidence": _manual_evidence(requirement, catalogue),
                "note": requirement.note,
            }
    ids = [requirement.id for requirement in framework.requirements]
    near = difflib.get_close_matches(wanted, ids, 3)
    raise UsageError(
        f"{framework.id} has no requirement {wanted!r}",
        where="NAME",
        mend=f"Did you mean {' or '.join(near or ids[:3])}?",
    )


def _controls_of(requirement: Requirement, catalogue: Catalogue) -> dict[str, str]:
    return {name: catalogue.controls[name].title for name in requirement.controls}


def _manual_evidence(requirement: Requirement, catalogue: Catalogue) -> list[str]:
    """What people must bring for a requirement: its own, and that of its controls."""
    asked = [(item.type, item.about, "") for item in requirement.manual_evidence]
    for name in requirement.controls:
        for item in catalogue.controls[name].manual_evidence:
            asked.append((item.type, item.about, f" ({name})"))
    return [f"{kind}: {about}{of}" for kind, about, of in asked]


def _check(name: str, catalogue: Catalogue) -> dict[str, Any]:
    check = catalogue.checks[name]
    served = [
        f"{framework.id}:{requirement.id}  {requirement.title}"
        for framework in catalogue.frameworks.values()
        for requirement in framework.requirements
        if check in catalogue.checks_of(framework, requirement)
    ]
    document = check.model_dump(mode="json", by_alias=True)
    document["requirements"] = served
    document["file"] = catalogue.where("checks", name)
    return {"check": document.pop("id"), **document}


def _control(name: str, catalogue: Catalogue) -> dict[str, Any]:
    control = catalogue.controls[name]
    document = control.model_dump(mode="json")
    return {
        "control": document.pop("id"),
        **document,
        "checks": [f"{check.id}  {check.title}" for check in catalogue.checks_of_control(name)],
        "requirements": [
            f"{framework.id}:{requirement.id}  {requirement.title}"
            for framework in catalogue.frameworks.values()
            for requirement in framework.requirements
            if name in requirement.controls
        ],
    }


def _resource(schema: TableSchema, catalogue: Catalogue) -> dict[str, Any]:
    return {
        "resource": schema.resource_type,
        "title": schema.title,
        "native_type": schema.native_type,
        "provider": schema.provider,
        "scope": schema.scope,
        "facets": {
            facet.name: {
                "about": facet.about,
                "from": ", ".join(facet.operations),
                "fields": {
                    field.name: f"{field.sql_type}  {field.about}" for field in facet.fields
                },
            }
            for facet in schema.facets
        },
        "checks": [
            f"{check.id}  {check.title}"
            for check in catalogue.checks.values()
            if check.resource == schema.resource_type
        ],
    }


def _print(context: Context, found: dict[str, Any]) -> None:
    import yaml

    text = yaml.safe_dump(found, sort_keys=False, allow_unicode=True, width=96)
    click.echo(text, nl=False) if not context.output.quiet else None
