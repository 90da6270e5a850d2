"""What is still open in a scored framework, and what would close it.

A requirement holds when it is satisfied or does not apply. Of any other it is said which of its
checks fail, which could not be judged, and what people are to bring. Pure: a framework, its part of
a sealed assessment, and what it was judged by go in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from controls.models import Check, Control, Framework, ManualEvidence, Requirement, Severity
from controls.scoring import RequirementStatus

HOLDS = frozenset({RequirementStatus.SATISFIED.value, RequirementStatus.NOT_APPLICABLE.value})
"""Statuses of a requirement that stand in the way of nothing."""

NOT_JUDGED = "not_judged"
"""The status of a requirement that an assessment of one profile has left out: nobody looked."""


@dataclass(frozen=True)
class OpenCheck:
    """A check that fails, or that could not be judged, and for how many resources."""

    id: str
    title: str
    severity: Severity
    remediation: str
    number: int

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON data."""
        return {
            "id": self.id,
            "title": self.title,
            "severity": self.severity.value,
            "findings": self.number,
            "remediation": self.remediation,
        }


@dataclass(frozen=True)
class OpenRequirement:
    """A requirement that does not hold, and everything that is missing."""

    requirement: Requirement
    status: str
    failing: tuple[OpenCheck, ...]
    unseen: tuple[OpenCheck, ...]
    evidence: tuple[ManualEvidence, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON data."""
        return {
            "id": self.requirement.id,
            "title": self.requirement.title,
            "level": self.requirement.level,
            "status": self.status,
            "failing_checks": [check.as_dict() for check in self.failing],
            "checks_without_evidence": [check.as_dict() for check in self.unseen],
            "evidence_from_people": [item.model_dump() for item in self.evidence],
        }


def statuses_of(framework: Framework, result: Mapping[str, Any]) -> dict[str, str]:
    """Return the status of every requirement of a framework, also of those that were left out.

    `result` is the framework's part of a sealed assessment; it may have been narrowed to a profile.
    """
    judged = {item["id"]: str(item["status"]) for item in result["requirements"]}
    return {item.id: judged.get(item.id, NOT_JUDGED) for item in framework.requirements}


def open_requirements(
    framework: Framework,
    result: Mapping[str, Any],
    checks: Mapping[str, Check],
    controls: Mapping[str, Control],
    by_check: Mapping[str, Mapping[str, int]],
) -> list[OpenRequirement]:
    """Return the requirements that do not hold, in the framework's order.

    `checks` and `controls` are what was judged by, `by_check` the findings of each check by status.
    """
    statuses = statuses_of(framework, result)
    decided = {item["id"]: item["checks"] for item in result["requirements"]}
    found = []
    for item in framework.requirements:
        if statuses[item.id] in HOLDS:
            continue
        names = [checks[name] for name in decided.get(item.id, ())]
        found.append(
            OpenRequirement(
                item,
                statuses[item.id],
                _with_findings(names, by_check, "fail"),
                _with_findings(names, by_check, "not_evidenced"),
                evidence_of(framework, item, controls),
            )
        )
    return found


def evidence_of(
    framework: Framework, requirement: Requirement, controls: Mapping[str, Control]
) -> tuple[ManualEvidence, ...]:
    """Return what people bring: the requirement's own list, else what its controls need.

    Of a benchmark only its own: there the controls are not what decides.
    """
    if requirement.manual_evidence or framework.benchmark is not None:
        return requirement.manual_evidence
    found = [item for name in requirement.controls for item in controls[name].manual_evidence]
    return tuple(dict.fromkeys(found))


def _with_findings(
    checks: Iterable[Check], by_check: Mapping[str, Mapping[str, int]], status: str
) -> tuple[OpenCheck, ...]:
    """Return the checks with findings of a status, most severe first, then the most findings."""
    found = [
        OpenCheck(check.id, check.title, check.severity, check.remediation, number)
        for check in checks
        if (number := by_check.get(check.id, {}).get(status, 0))
    ]
    order = list(Severity)
    return tuple(
        sorted(found, key=lambda item: (order.index(item.severity), -item.number, item.id))
    )


def in_short(item: OpenRequirement) -> str:
    """Return in a few words what is missing: `2 checks fail, 1 piece of evidence to bring`."""
    parts = [
        _counted(item.failing, "check fails", "checks fail"),
        _counted(item.unseen, "check could not be judged", "checks could not be judged"),
        _counted(item.evidence, "piece of evidence to bring", "pieces of evidence to bring"),
    ]
    return ", ".join(part for part in parts if part) or "nothing says yet what would show it"


def _counted(items: Sequence[Any], one: str, several: str) -> str:
    return f"{len(items)} {one if len(items) == 1 else several}" if items else ""
