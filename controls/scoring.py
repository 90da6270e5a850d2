"""Scores: requirement statuses and framework scores from counts, exactly and with their formula.

All arithmetic is on integers and fractions; percentages are text with one decimal, rounded half
up, so that a score has the same bytes on every machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from types import MappingProxyType
from typing import Any

from controls.catalogue import Catalogue
from controls.models import Check, Framework, Severity, Status

FORMULA_VERSION = "2"
FORMULA = (
    "A requirement that the company has declared not applicable, with a reason, is not_applicable"
    " and its findings count nowhere. Any other is not_satisfied if a finding of its checks fails,"
    " else not_evidenced if one is not_evidenced or if it has no check, else satisfied if one"
    " passes, else not_applicable."
    " Score = satisfied / (satisfied + not_satisfied + not_evidenced)."
    " Evidence coverage = (pass + fail) / (pass + fail + not_evidenced) over findings."
    " Severity-weighted pass rate = sum over checks of weight x pass / (pass + fail +"
    " not_evidenced), divided by the sum of weights of the checks that have such findings."
    " A type that could not be listed counts there as one not_evidenced finding a check, however"
    " many resources there are: a denied listing can therefore raise this second figure, never the"
    " score."
)
"""The scoring formula, printed and sealed with every figure."""

WEIGHTS = {
    Severity.CRITICAL: 10,
    Severity.HIGH: 5,
    Severity.MEDIUM: 3,
    Severity.LOW: 1,
    Severity.INFORMATIONAL: 0,
}
"""Weights of the severity-weighted pass rate."""


class RequirementStatus(StrEnum):
    """The status of a requirement (OSCAL's words, and ours for what OSCAL leaves out)."""

    SATISFIED = "satisfied"
    NOT_SATISFIED = "not_satisfied"
    NOT_EVIDENCED = "not_evidenced"
    NOT_APPLICABLE = "not_applicable"


@dataclass(frozen=True)
class Counts:
    """How many findings have which status."""

    passed: int = 0
    failed: int = 0
    not_evidenced: int = 0
    not_applicable: int = 0
    excepted: int = 0

    @classmethod
    def from_statuses(cls, statuses: Mapping[str, int]) -> Counts:
        """Return counts from a map of status text to number."""
        return cls(
            statuses.get(Status.PASS, 0),
            statuses.get(Status.FAIL, 0),
            statuses.get(Status.NOT_EVIDENCED, 0),
            statuses.get(Status.NOT_APPLICABLE, 0),
            statuses.get(Status.EXCEPTED, 0),
        )

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.passed + other.passed,
            self.failed + other.failed,
            self.not_evidenced + other.not_evidenced,
            self.not_applicable + other.not_applicable,
            self.excepted + other.excepted,
        )

    @property
    def judged(self) -> int:
        """Findings that count: pass, fail and not_evidenced."""
        return self.passed + self.failed + self.not_evidenced

    @property
    def total(self) -> int:
        """All findings."""
        return self.judged + self.not_applicable + self.excepted

    @property
    def coverage(self) -> Fraction | None:
        """The share of judged findings for which there is evidence; None where none is judged."""
        return Fraction(self.passed + self.failed, self.judged) if self.judged else None

    def as_dict(self) -> dict[str, int]:
        """Return the counts under the status names."""
        return {
            "pass": self.passed,
            "fail": self.failed,
            "not_evidenced": self.not_evidenced,
            "not_applicable": self.not_applicable,
            "excepted": self.excepted,
        }


def total_of(counts: Iterable[Counts]) -> Counts:
    """Return the sum of `counts`."""
    return sum(counts, Counts())


def percent(share: Fraction | None) -> str | None:
    """Return a share as a percentage with one decimal, rounded half up; None stays None."""
    return one_decimal(None if share is None else share * 100)


def one_decimal(value: Fraction | None) -> str | None:
    """Return a number with one decimal, rounded half up; None stays None."""
    if value is None:
        return None
    tenths = (value * 10 + Fraction(1, 2)).__floor__()
    return f"{tenths // 10}.{tenths % 10}"


def score_of(statuses: Mapping[str, int] | Mapping[RequirementStatus, int]) -> Fraction | None:
    """Return satisfied over satisfied, not satisfied and not evidenced; None where nothing counts.

    Exact: 79.96 does not pass for 80. `statuses` counts requirements by status.
    """
    counted = satisfied = 0
    for status, number in statuses.items():
        counted += number * (status != RequirementStatus.NOT_APPLICABLE)
        satisfied += number * (status == RequirementStatus.SATISFIED)
    return Fraction(satisfied, counted) if counted else None


@dataclass(frozen=True)
class RequirementResult:
    """A requirement and what its checks found.

    `because` is the company's reason why it does not apply, where it says so.
    """

    id: str
    status: RequirementStatus
    counts: Counts
    checks: tuple[str, ...]
    because: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain JSON data."""
        told = {"declared_not_applicable": self.because} if self.because else {}
        return {
            "id": self.id,
            "status": self.status.value,
            "findings": self.counts.as_dict(),
            "checks": list(self.checks),
            **told,
        }


@dataclass(frozen=True)
class FrameworkResult:
    """A framework and its requirements, with the score and what stands beside it."""

    id: str
    requirements: tuple[RequirementResult, ...]
    weighted: Fraction | None
    statuses: dict[RequirementStatus, int] = field(default_factory=dict)
    profile: str = ""

    @property
    def counts(self) -> Counts:
        """Sum of the requirements' counts; a finding counts once for each requirement it serves."""
        return total_of(requirement.counts for requirement in self.requirements)

    @property
    def score(self) -> Fraction | None:
        """Satisfied over satisfied, not satisfied and not evidenced; None where nothing counts."""
        return score_of(self.statuses)

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain JSON data."""
        return {
            "id": self.id,
            **({"profile": self.profile} if self.profile else {}),
            "score_percent": percent(self.score),
            "evidence_coverage_percent": percent(self.counts.coverage),
            "severity_weighted_pass_rate_percent": percent(self.weighted),
            "requirements_by_status": {k.value: v for k, v in self.statuses.items()},
            "requirements": [item.as_dict() for item in self.requirements],
        }


def requirement_status(counts: Counts, has_checks: bool) -> RequirementStatus:
    """Return the status that follows from the findings of a requirement's checks."""
    if counts.failed:
        return RequirementStatus.NOT_SATISFIED
    if counts.not_evidenced or not has_checks:
        return RequirementStatus.NOT_EVIDENCED
    if counts.passed:
        return RequirementStatus.SATISFIED
    return RequirementStatus.NOT_APPLICABLE


def score_framework(
    catalogue: Catalogue,
    framework: Framework,
    by_check: Mapping[str, Counts],
    *,
    profile: str = "",
    not_applicable: Mapping[str, str] = MappingProxyType({}),
) -> FrameworkResult:
    """Score a framework from the counts of every check (checks without findings may be missing).

    `not_applicable` gives the reasons of what the company says does not apply, by requirement;
    `profile` is what the framework was narrowed to.
    """
    results = []
    used: dict[str, Check] = {}
    for requirement in framework.requirements:
        checks = catalogue.checks_of(framework, requirement)
        names = tuple(check.id for check in checks)
        because = not_applicable.get(requirement.id, "")
        if because:
            status, counts = RequirementStatus.NOT_APPLICABLE, Counts()
        else:
            used.update({check.id: check for check in checks})
            counts = total_of(by_check.get(check.id, Counts()) for check in checks)
            status = requirement_status(counts, bool(checks))
        results.append(RequirementResult(requirement.id, status, counts, names, because))
    statuses = {
        status: sum(result.status is status for result in results) for status in RequirementStatus
    }
    weighted = severity_weighted(used.values(), by_check)
    return FrameworkResult(framework.id, tuple(results), weighted, statuses, profile)


def severity_weighted(checks: Iterable[Check], by_check: Mapping[str, Counts]) -> Fraction | None:
    """Return the severity-weighted pass rate over checks; None where none with weight is judged."""
    reached, possible = Fraction(0), 0
    for check in checks:
        counts = by_check.get(check.id, Counts())
        if counts.judged:
            weight = WEIGHTS[check.severity]
            reached += weight * Fraction(counts.passed, counts.judged)
            possible += weight
    return reached / possible if possible else None
