"""The pack's long chapters, grouped and capped: failures, what is not evidenced, gaps.

A PDF carries what is read; whole populations are attached. Where a list is cut, the number left
out stands beside it, with the attachment that holds them all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from controls.assessment import Finding
from controls.models import Check
from evidence.outcome import Gap
from reports.view import SEVERITY_ORDER, CheckView, ReportView

PER_CHECK = 25
"""Resources that the PDF lists for a failing check."""

PER_PACK = 2_000
"""Resources that the PDF lists in all; above that each check lists fewer."""

_FEWER = (PER_CHECK, 10, 5)
_REASONS = 60
_CHECKS_PER_REASON = 12
_GAPS_PER_REASON = 60


@dataclass(frozen=True)
class Failure:
    """A failing check: what it serves, the resources shown, and how many more there are."""

    check: Check
    counts: Mapping[str, int]
    serves: tuple[tuple[str, str], ...]
    """(framework title, requirement ids joined by commas)."""
    shown: tuple[Finding, ...]
    hidden: int

    @property
    def failed(self) -> int:
        """How many resources fail."""
        return len(self.shown) + self.hidden

    @property
    def judged(self) -> int:
        """How many resources were judged: passing, failing and without evidence."""
        return sum(self.counts.get(name, 0) for name in ("pass", "fail", "not_evidenced"))


@dataclass(frozen=True)
class Unknown:
    """One reason why findings are not evidenced, and which checks it concerns."""

    reason: str
    total: int
    checks: tuple[tuple[Check, int], ...]
    hidden_checks: int
    accounts: tuple[str, ...]
    regions: tuple[str, ...]


@dataclass(frozen=True)
class GapLine:
    """Gaps of one reason in one account, resource type and operation."""

    account: str
    resource_type: str
    operation: str
    facet: str
    regions: tuple[str, ...]
    resources: int
    number: int
    detail: str
    captures: tuple[str, ...]


@dataclass(frozen=True)
class GapGroup:
    """All gaps of one reason (denied, throttled, ...)."""

    reason: str
    total: int
    lines: tuple[GapLine, ...]
    hidden: int


def failures(view: ReportView) -> list[tuple[str, list[Failure]]]:
    """Return (severity, failing checks), most severe first, then those that fail most often."""
    failing = [check for check in view.checks if check.failures]
    limit = resources_per_check([len(check.failures) for check in failing])
    serves = requirements_served(view)
    found = []
    for severity in SEVERITY_ORDER:
        group = [check for check in failing if check.check.severity.value == severity]
        group.sort(key=lambda item: (-len(item.failures), item.check.id))
        if group:
            found.append((severity, [_failure(item, limit, serves) for item in group]))
    return found


def resources_per_check(failing: Sequence[int]) -> int:
    """Return how many resources each check may list, given how many fail each check."""
    for limit in _FEWER:
        if sum(min(number, limit) for number in failing) <= PER_PACK:
            return limit
    return _FEWER[-1]


def _failure(
    item: CheckView, limit: int, serves: Mapping[str, tuple[tuple[str, str], ...]]
) -> Failure:
    shown = item.failures[:limit]
    hidden = len(item.failures) - len(shown)
    return Failure(item.check, item.counts, serves.get(item.check.id, ()), shown, hidden)


def requirements_served(view: ReportView) -> dict[str, tuple[tuple[str, str], ...]]:
    """Return, for each check, the requirements that it decides, framework by framework."""
    found: dict[str, dict[str, list[str]]] = {}
    for framework in view.frameworks:
        for item in framework.requirements:
            for check in item.checks:
                ids = found.setdefault(check.id, {}).setdefault(framework.title, [])
                ids.append(item.requirement.id)
    return {
        name: tuple((title, ", ".join(ids)) for title, ids in by_title.items())
        for name, by_title in found.items()
    }


def unknowns(view: ReportView) -> tuple[list[Unknown], int]:
    """Return what is not evidenced by reason, the most frequent first, and how many were cut."""
    by_reason: dict[str, list[Finding]] = {}
    for check in view.checks:
        for finding in check.not_evidenced:
            by_reason.setdefault(finding.reason, []).append(finding)
    ordered = sorted(by_reason.items(), key=lambda item: (-len(item[1]), item[0]))
    shown = [_unknown(view, reason, found) for reason, found in ordered[:_REASONS]]
    return shown, max(len(ordered) - _REASONS, 0)


def _unknown(view: ReportView, reason: str, found: Sequence[Finding]) -> Unknown:
    numbers = _tally(finding.check_id for finding in found)
    ordered = sorted(numbers.items(), key=lambda item: (-item[1], item[0]))
    checks = [(view.assessment.checks[name], number) for name, number in ordered]
    return Unknown(
        reason,
        len(found),
        tuple(checks[:_CHECKS_PER_REASON]),
        max(len(checks) - _CHECKS_PER_REASON, 0),
        tuple(sorted({finding.account for finding in found})),
        tuple(sorted({finding.region for finding in found})),
    )


def gap_groups(gaps: Sequence[Gap]) -> list[GapGroup]:
    """Return gaps by reason, the most frequent first."""
    by_reason: dict[str, list[Gap]] = {}
    for gap in gaps:
        by_reason.setdefault(gap.reason, []).append(gap)
    ordered = sorted(by_reason.items(), key=lambda item: (-len(item[1]), item[0]))
    return [_gap_group(reason, found) for reason, found in ordered]


def _gap_group(reason: str, gaps: Sequence[Gap]) -> GapGroup:
    by_place: dict[tuple[str, str, str, str], list[Gap]] = {}
    for gap in gaps:
        place = (gap.account, gap.resource_type, gap.operation, gap.facet)
        by_place.setdefault(place, []).append(gap)
    lines = [_gap_line(place, found) for place, found in sorted(by_place.items())]
    hidden = max(len(lines) - _GAPS_PER_REASON, 0)
    return GapGroup(reason, len(gaps), tuple(lines[:_GAPS_PER_REASON]), hidden)


def _gap_line(place: tuple[str, str, str, str], gaps: Sequence[Gap]) -> GapLine:
    account, resource_type, operation, facet = place
    return GapLine(
        account,
        resource_type,
        operation,
        facet,
        tuple(sorted({gap.region for gap in gaps})),
        len({gap.resource_id for gap in gaps if gap.resource_id}),
        len(gaps),
        next((gap.detail for gap in gaps if gap.detail), ""),
        next((gap.captures for gap in gaps if gap.captures), ()),
    )


def _tally(names: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name in names:
        found[name] = found.get(name, 0) + 1
    return found
