"""What every page of the site may show: the view, where things lie, and what serves what."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import orjson

from controls.models import Check, Control, Fact, Severity
from evidence.manifest import Manifest
from reports.accounts import Account
from reports.maturity import MaturityView, maturity_views
from reports.site.captures import CaptureIndex, Segment, segments
from reports.site.data import FINDING_STATUSES
from reports.site.names import anchor, slug
from reports.site.resources import ResourceIndex
from reports.view import (
    SEVERITY_ORDER,
    STATUS_ORDER,
    CheckView,
    FrameworkView,
    ReportView,
    RequirementView,
)

_FACT = re.compile(r"\bfact\.([a-z_][a-z0-9_]*)")


@dataclass
class Listing:
    """How many findings the lists hold, in which files, and how many were left out."""

    chunks: int = 0
    rows: int = 0
    recorded: int = 0
    by_check: dict[str, list[int]] = field(default_factory=dict)
    """Check -> the numbers of the files that hold its findings."""

    @property
    def complete(self) -> bool:
        """Whether every finding of the assessment is listed."""
        return self.rows == self.recorded


@dataclass
class Site:
    """Everything that the templates show. Filled while the site is made, front to back."""

    view: ReportView
    manifest: Manifest
    captures: CaptureIndex
    resources: ResourceIndex
    findings: Listing = field(default_factory=Listing)
    gap_chunks: int = 0
    resource_chunks: int = 0
    unit_chunks: int = 0

    @cached_property
    def segments(self) -> dict[str, Segment]:
        """The snapshot's segments by unit path."""
        return segments(self.view.snapshot, self.manifest.files)

    @cached_property
    def unlisted(self) -> frozenset[tuple[str, str, str]]:
        """(type, account, region) of listings that are gaps."""
        return frozenset(
            (gap.resource_type, gap.account, gap.region)
            for gap in self.view.gaps
            if not gap.resource_id
        )

    @cached_property
    def served(self) -> dict[str, list[tuple[FrameworkView, RequirementView]]]:
        """Check -> the requirements that it serves."""
        found: dict[str, list[tuple[FrameworkView, RequirementView]]] = {}
        for framework in self.view.frameworks:
            for requirement in framework.requirements:
                for check in requirement.checks:
                    found.setdefault(check.id, []).append((framework, requirement))
        return found

    @cached_property
    def control_requirements(self) -> dict[str, list[tuple[FrameworkView, RequirementView]]]:
        """Common control -> the requirements that it meets."""
        found: dict[str, list[tuple[FrameworkView, RequirementView]]] = {}
        for framework in self.view.frameworks:
            for requirement in framework.requirements:
                for name in requirement.requirement.controls:
                    found.setdefault(name, []).append((framework, requirement))
        return found

    @cached_property
    def maturity(self) -> tuple[MaturityView, ...]:
        """The frameworks whose requirements have levels of maturity."""
        return maturity_views(self.view.assessment)

    @cached_property
    def checks(self) -> dict[str, CheckView]:
        """The checks by id, those first that need a person."""
        return {view.check.id: view for view in sorted(self.view.checks, key=_attention)}

    def ordered(self, checks: Iterable[Check]) -> list[CheckView]:
        """Some checks, those first that need a person."""
        wanted = {check.id for check in checks}
        return [view for name, view in self.checks.items() if name in wanted]

    @cached_property
    def checks_by_control(self) -> dict[str, list[CheckView]]:
        """Common control -> its checks."""
        found: dict[str, list[CheckView]] = {}
        for view in self.checks.values():
            found.setdefault(view.check.control, []).append(view)
        return found

    @property
    def failing(self) -> list[CheckView]:
        """Checks with failures, the most severe first."""
        return [view for view in self.checks.values() if view.counts.get("fail")]

    @property
    def domains(self) -> list[tuple[str, list[Control]]]:
        """(domain, its common controls), in order."""
        found: dict[str, list[Control]] = {}
        for control in self.view.assessment.controls.values():
            found.setdefault(control.domain, []).append(control)
        return sorted(found.items())

    @cached_property
    def facts(self) -> dict[str, Fact]:
        """The facts of the catalogue that was sealed with the assessment."""
        data = (self.view.assessment.folder / "catalogue.json").read_bytes()
        found = orjson.loads(data).get("facts", {})
        return {name: Fact.model_validate(value) for name, value in found.items()}

    def facts_of(self, check: Check) -> list[Fact]:
        """The facts that a check's expressions read."""
        named = set(_FACT.findall(" ".join((check.applies, check.pass_, check.reason))))
        return [
            fact
            for fact in self.facts.values()
            if fact.subject == check.resource and named & set(fact.columns)
        ]

    @property
    def severity_table(self) -> list[tuple[str, dict[str, int]]]:
        """(severity, findings by status), most severe first."""
        found = self.view.assessment.results["findings"]["by_severity"]
        return [(name, found[name]) for name in SEVERITY_ORDER if name in found]

    @property
    def account_table(self) -> list[tuple[Account, dict[str, int]]]:
        """(account, findings by status), by cloud, kind and name."""
        found = self.view.assessment.results["findings"]["by_account"]
        return [(account, found.get(account.id, {})) for account in self.view.accounts]

    def gaps_by(self, *fields: str) -> list[tuple[tuple[str, ...], int]]:
        """How many gaps there are for each combination of `fields`, most first."""
        found: dict[tuple[str, ...], int] = {}
        for gap in self.view.gaps:
            key = tuple(str(getattr(gap, name)) for name in fields)
            found[key] = found.get(key, 0) + 1
        return sorted(found.items(), key=lambda item: (-item[1], item[0]))


def _attention(view: CheckView) -> tuple[int, int, int, str]:
    """Failing checks first, then those without evidence, each by severity and number."""
    failed, unseen = view.counts.get("fail", 0), view.counts.get("not_evidenced", 0)
    level = 0 if failed else 1 if unseen else 2 if sum(view.counts.values()) else 3
    return level, list(Severity).index(view.check.severity), -(failed or unseen), view.check.id


def check_page(check_id: str) -> str:
    """The address of a check's page from the site's root."""
    return f"checks/{slug(check_id)}.html"


def framework_page(framework_id: str) -> str:
    """The address of a framework's page from the site's root."""
    return f"frameworks/{slug(framework_id)}.html"


def requirement_link(framework_id: str, requirement_id: str) -> str:
    """The address of a requirement on its framework's page, from the site's root."""
    return f"{framework_page(framework_id)}#{anchor('req', requirement_id)}"


def control_link(control_id: str) -> str:
    """The address of a common control from the site's root."""
    return f"controls.html#{anchor('control', control_id)}"


def check_status(counts: dict[str, int]) -> str:
    """The status of a check as a whole; empty where it has no findings."""
    for status in FINDING_STATUSES:
        if counts.get(status):
            return status
    return ""


def links() -> dict[str, Any]:
    """The functions of this module that templates use."""
    return {
        "check_page": check_page,
        "framework_page": framework_page,
        "requirement_link": requirement_link,
        "control_link": control_link,
        "check_status": check_status,
        "anchor": anchor,
        "finding_statuses": FINDING_STATUSES,
        "requirement_statuses": STATUS_ORDER,
        "severities": SEVERITY_ORDER,
    }
