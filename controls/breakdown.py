"""Scores by part: by family of a framework, control, account, owner and severity.

Every breakdown holds each finding (or requirement) exactly once, so its parts add up to the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from controls.models import Check, Framework
from controls.scoring import Counts, RequirementStatus, percent, score_of, total_of

PASS_RATE = (
    "Pass rate = pass / (pass + fail + not_evidenced) over findings: what was not observed counts"
    " against it, what does not apply and what is excepted does not count."
)
"""The formula of the rows over findings, printed with them."""


@dataclass(frozen=True)
class FindingsRow:
    """A part of the findings."""

    name: str
    counts: Counts

    @property
    def pass_rate(self) -> Fraction | None:
        """The share that passes of what is judged; None where nothing is."""
        judged = self.counts.judged
        return Fraction(self.counts.passed, judged) if judged else None

    def as_dict(self) -> dict[str, Any]:
        """Return the row as plain JSON data."""
        return {
            "name": self.name,
            "findings": self.counts.as_dict(),
            "pass_rate_percent": percent(self.pass_rate),
        }


@dataclass(frozen=True)
class FamilyRow:
    """A family (group) of a framework's requirements, by status."""

    id: str
    title: str
    statuses: Mapping[str, int]

    @property
    def score(self) -> Fraction | None:
        """Satisfied over all that count; None where none does."""
        return score_of(self.statuses)

    def as_dict(self) -> dict[str, Any]:
        """Return the row as plain JSON data."""
        return {
            "id": self.id,
            "title": self.title,
            "requirements_by_status": dict(self.statuses),
            "score_percent": percent(self.score),
        }


def by_family(framework: Framework, result: Mapping[str, Any]) -> list[FamilyRow]:
    """Return the families of a scored framework that hold requirements, in its own order.

    `result` is the framework's part of a sealed assessment.
    """
    group_of = {item.id: item.group for item in framework.requirements}
    found: dict[str, dict[str, int]] = {}
    for item in result["requirements"]:
        statuses = found.setdefault(
            group_of[item["id"]], {status.value: 0 for status in RequirementStatus}
        )
        statuses[item["status"]] += 1
    return [
        FamilyRow(group.id, group.title, found[group.id])
        for group in framework.groups
        if group.id in found
    ]


def by_control(
    checks: Iterable[Check], by_check: Mapping[str, Mapping[str, int]]
) -> list[FindingsRow]:
    """Return the controls that have findings, by id."""
    found: dict[str, list[Counts]] = {}
    for check in checks:
        if check.id in by_check:
            counts = Counts.from_statuses(by_check[check.id])
            found.setdefault(check.control, []).append(counts)
    return [FindingsRow(name, total_of(found[name])) for name in sorted(found)]


def by_part(counts: Mapping[str, Mapping[str, int]]) -> list[FindingsRow]:
    """Return a sealed breakdown (by account, owner or severity) as rows, in its own order."""
    return [FindingsRow(name, Counts.from_statuses(found)) for name, found in counts.items()]
