"""Hygiene of the catalogue: nothing unused, nothing said twice."""

from __future__ import annotations

from collections.abc import Iterator

from controls.catalogue import Catalogue
from controls.mappings import asks_people
from controls.problems import Problem


def hygiene_problems(catalogue: Catalogue) -> list[Problem]:
    """Return what is unused, doubled or without evidence, and benchmark ids that do not exist."""
    return [
        *_idle_controls(catalogue),
        *_without_evidence(catalogue),
        *_without_scope(catalogue),
        *_twin_checks(catalogue),
        *_unknown_benchmark_ids(catalogue),
    ]


def _idle_controls(catalogue: Catalogue) -> Iterator[Problem]:
    used = {
        name
        for framework in catalogue.frameworks.values()
        for requirement in framework.requirements
        for name in requirement.controls
    }
    for name in catalogue.controls:
        if name not in used:
            yield Problem(
                catalogue.where("library", name, "id"), f"no requirement names the control {name!r}"
            )


def _without_evidence(catalogue: Catalogue) -> Iterator[Problem]:
    """A requirement is met by what checks find or by what people bring: one of the two is named."""
    for framework in catalogue.frameworks.values():
        for number, requirement in enumerate(framework.requirements):
            decided = catalogue.checks_of(framework, requirement)
            if not decided and not asks_people(catalogue, framework, requirement):
                yield Problem(
                    catalogue.where("frameworks", framework.id, "requirements", str(number)),
                    f"nothing evidences {requirement.id}: no check, and nothing that people bring",
                    "Name manual evidence, or a control that has checks or names some.",
                )


def _twin_checks(catalogue: Catalogue) -> Iterator[Problem]:
    """Two checks with the same rule on the same type are one check under two names."""
    seen: dict[tuple[str, str, str], str] = {}
    for check in catalogue.checks.values():
        parameters = str(sorted((name, item.default) for name, item in check.parameters.items()))
        key = (check.resource, " ".join(check.pass_.split()) + parameters, check.applies)
        if key in seen:
            yield Problem(
                catalogue.where("checks", check.id, "pass"),
                f"the check says the same as {seen[key]}",
                "Keep one of them, with the equivalents of both.",
            )
        seen[key] = check.id


def _unknown_benchmark_ids(catalogue: Catalogue) -> Iterator[Problem]:
    for framework in catalogue.frameworks.values():
        if framework.benchmark is None:
            continue
        known = {requirement.id for requirement in framework.requirements}
        for check in catalogue.checks.values():
            for name in check.equivalent_ids(framework.benchmark):
                if name not in known:
                    yield Problem(
                        catalogue.where("checks", check.id, "equivalents", framework.benchmark),
                        f"{framework.id} has no requirement {name!r}",
                    )


def _without_scope(catalogue: Catalogue) -> Iterator[Problem]:
    """A framework says what of the publisher's text it lists: a reader cannot see what is not."""
    for framework in catalogue.frameworks.values():
        if not framework.scope:
            yield Problem(
                catalogue.where("frameworks", framework.id, "id"),
                "the framework does not say what of its text is listed here, and what is not",
                "Say it in `scope`.",
            )
