"""What every report shows: one view of an assessment and its snapshot, ready for templates.

The PDF pack and the HTML site are two faces of this view, so they cannot disagree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from controls.assessment import Assessment, Finding
from controls.models import Check, Framework, ManualEvidence, Requirement
from controls.openings import evidence_of
from evidence.outcome import Gap
from evidence.snapshot import Snapshot
from evidence.units import ALL_RESOURCES, UnitRecord
from reports.accounts import CLOUDS, Account, accounts_of

STATUS_ORDER = ("not_satisfied", "not_evidenced", "satisfied", "not_applicable")
"""Requirement statuses in the order in which reports list them: what needs a person first."""

SEVERITY_ORDER = ("critical", "high", "medium", "low", "informational")
"""Severities, most first."""


@dataclass(frozen=True)
class RequirementView:
    """A requirement with its status, the counts of its findings, and what it needs from people.

    `because` is why the company says that it does not apply; empty where it does not say so.
    """

    requirement: Requirement
    status: str
    findings: dict[str, int]
    checks: tuple[Check, ...]
    manual_evidence: tuple[ManualEvidence, ...]
    because: str = ""


@dataclass(frozen=True)
class FrameworkView:
    """A framework with its score. Percentages are text with one decimal, or None."""

    framework: Framework
    score: str | None
    coverage: str | None
    weighted: str | None
    statuses: dict[str, int]
    requirements: tuple[RequirementView, ...]
    profile: str = ""

    @property
    def title(self) -> str:
        """The framework's title, and those of the profiles that it was narrowed to."""
        return self.framework.titled(self.profile)

    def groups(self) -> list[tuple[str, str, tuple[RequirementView, ...]]]:
        """Return (group id, title, requirements), in the framework's own order.

        A group may have no requirement of its own: it then is the heading of those below it.
        """
        held: dict[str, list[RequirementView]] = {}
        for item in self.requirements:
            held.setdefault(item.requirement.group, []).append(item)
        return [
            (group.id, group.title, tuple(held.get(group.id, ())))
            for group in self.framework.groups
            if not self.profile or group.id in held
        ]


@dataclass(frozen=True)
class CheckView:
    """A check with the counts of its findings and the findings that need a person."""

    check: Check
    counts: dict[str, int]
    failures: tuple[Finding, ...]
    not_evidenced: tuple[Finding, ...]


@dataclass(frozen=True)
class ReportView:
    """Everything that a report shows."""

    organisation: str
    period_from: str
    period_to: str
    tool_version: str
    signer: str
    fingerprint: str
    assessment: Assessment
    snapshot: Snapshot
    frameworks: tuple[FrameworkView, ...]
    checks: tuple[CheckView, ...]
    gaps: tuple[Gap, ...]
    units: tuple[UnitRecord, ...]

    @property
    def totals(self) -> dict[str, int]:
        """All findings by status."""
        return sum_counts(view.counts for view in self.checks)

    @property
    def resources(self) -> int:
        """How many resources were read."""
        return sum(unit.resources for unit in self.units)

    @property
    def calls(self) -> int:
        """How many API calls were made."""
        return sum(sum(unit.calls.values()) for unit in self.units)

    @cached_property
    def accounts(self) -> tuple[Account, ...]:
        """The accounts that were in scope, by cloud, kind and name."""
        return accounts_of(self.snapshot.predicate["intent"], self.units)

    @property
    def kinds_of_accounts(self) -> dict[str, int]:
        """How many accounts there are of each kind, such as `AWS account`."""
        return dict(Counter(account.kind for account in self.accounts))

    @property
    def regions(self) -> list[str]:
        """The regions that were in scope, sorted; `global` is not a region."""
        return sorted({unit.key.region for unit in self.units} - {"global"})

    @property
    def google_read_time(self) -> str:
        """The one time that Google Cloud was read at; empty where it was not read."""
        scope: dict[str, Any] = self.snapshot.predicate["intent"].get("scope", {})
        return str(scope.get("gcp", {}).get("read_time", ""))

    @property
    def undescribed(self) -> dict[str, int]:
        """Things that were read of kinds that no resource type of the snapshot is about."""
        known = {schema.native_type for schema in self.snapshot.schemas.values()}
        found: dict[str, int] = {}
        for unit in self.units:
            if unit.key.resource_type == ALL_RESOURCES:
                for kind, number in unit.kinds.items():
                    found[kind] = found.get(kind, 0) + number * (kind not in known)
        return {kind: number for kind, number in sorted(found.items()) if number}

    @property
    def clouds_without_regions(self) -> list[str]:
        """The clouds whose resources were read in all regions at once, as people call them."""
        at_once = {account.provider for account in self.accounts} - {"aws"}
        return [CLOUDS.get(provider, provider) for provider in sorted(at_once)]

    @cached_property
    def account_names(self) -> dict[str, str]:
        """Account id -> the name that the configuration gives it."""
        return {account.id: account.name for account in self.accounts}

    @cached_property
    def account_shown(self) -> dict[str, str]:
        """Account id -> its name and id, as one text."""
        return {account.id: account.shown for account in self.accounts}


def sum_counts(counts: Any) -> dict[str, int]:
    """Return the sum of maps of status to number."""
    total: dict[str, int] = {}
    for item in counts:
        for status, number in item.items():
            total[status] = total.get(status, 0) + number
    return total


def build_view(
    assessment: Assessment,
    snapshot: Snapshot,
    *,
    organisation: str,
    period: tuple[str, str],
    tool_version: str,
    signer: str,
    fingerprint: str,
) -> ReportView:
    """Build the view of an assessment. `period` is (from, to) as ISO dates."""
    open_findings = _by_check(assessment.findings(("fail", "not_evidenced")))
    by_check = assessment.results["findings"]["by_check"]
    checks = tuple(
        _check_view(check, by_check.get(name, {}), open_findings.get(name, []))
        for name, check in assessment.checks.items()
    )
    frameworks = tuple(
        _framework_view(assessment, result) for result in assessment.results["frameworks"]
    )
    return ReportView(
        organisation,
        period[0],
        period[1],
        tool_version,
        signer,
        fingerprint,
        assessment,
        snapshot,
        frameworks,
        checks,
        snapshot.gaps,
        snapshot.units,
    )


def _by_check(findings: Any) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for finding in findings:
        found.setdefault(finding.check_id, []).append(finding)
    return found


def _check_view(check: Check, counts: dict[str, int], findings: Sequence[Finding]) -> CheckView:
    return CheckView(
        check,
        counts,
        tuple(finding for finding in findings if finding.status == "fail"),
        tuple(finding for finding in findings if finding.status == "not_evidenced"),
    )


def _framework_view(assessment: Assessment, result: dict[str, Any]) -> FrameworkView:
    framework = assessment.frameworks[result["id"]]
    by_id = {requirement.id: requirement for requirement in framework.requirements}
    views = tuple(
        RequirementView(
            by_id[item["id"]],
            item["status"],
            item["findings"],
            tuple(assessment.checks[name] for name in item["checks"]),
            evidence_of(framework, by_id[item["id"]], assessment.controls),
            item.get("declared_not_applicable", ""),
        )
        for item in result["requirements"]
    )
    return FrameworkView(
        framework,
        result["score_percent"],
        result["evidence_coverage_percent"],
        result["severity_weighted_pass_rate_percent"],
        result["requirements_by_status"],
        views,
        result.get("profile", ""),
    )
