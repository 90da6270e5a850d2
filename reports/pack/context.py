"""What the templates get: the view, and everything that is computed from it for the pack."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from controls.models import Check
from evidence.keys import Certificate
from evidence.units import UnitRecord
from reports.maturity import MaturityView, maturity_views
from reports.pack.attachments import Attached
from reports.pack.logged import Logged
from reports.pack.sections import (
    Failure,
    GapGroup,
    Unknown,
    failures,
    gap_groups,
    resources_per_check,
    unknowns,
)
from reports.pack.text import joined, thousands
from reports.pack.verifying import Step
from reports.pack.words import FINDING_ORDER
from reports.view import SEVERITY_ORDER, FrameworkView, ReportView, RequirementView

_TOP = 10

MATURITY_SECTIONS = (
    ("areas", "Level of each area"),
    ("next", "What separates each area from its next level"),
    ("roadmap", "Roadmap"),
)
"""Sections of the chapter on maturity: anchor and title."""


@dataclass(frozen=True)
class Chapter:
    """A numbered chapter. `template` draws it; `sections` are (anchor, title) for the contents."""

    number: int
    anchor: str
    title: str
    template: str
    sections: tuple[tuple[str, str], ...] = ()
    framework: FrameworkView | None = None
    maturity: MaturityView | None = None


@dataclass(frozen=True)
class TypeLine:
    """A resource type in scope and what came of listing it."""

    resource_type: str
    title: str
    resources: int
    calls: int
    listed: int
    asked: int
    gaps: int

    @property
    def is_empty(self) -> bool:
        """Whether it was listed everywhere, and there is none."""
        return not self.resources and not self.gaps and 0 < self.asked == self.listed


@dataclass(frozen=True)
class AccountLine:
    """An account in scope, with counts."""

    account: str
    name: str
    kind: str
    resources: int
    calls: int
    gaps: int
    findings: Mapping[str, int]


@dataclass(frozen=True)
class PackContext:
    """Everything that the templates print."""

    view: ReportView
    pack_id: str
    certificate: Certificate
    attachments: tuple[Attached, ...]
    steps: tuple[Step, ...]
    chapters: tuple[Chapter, ...]
    failures: tuple[tuple[str, tuple[Failure, ...]], ...]
    unknowns: tuple[Unknown, ...]
    hidden_reasons: int
    gap_groups: tuple[GapGroup, ...]
    types: tuple[TypeLine, ...]
    accounts: tuple[AccountLine, ...]
    severities: tuple[tuple[str, Mapping[str, int]], ...]
    owners: tuple[tuple[str, Mapping[str, int]], ...]
    log: Logged | None = None

    @property
    def top_failures(self) -> list[Failure]:
        """The failing checks that need attention first."""
        return [item for _, group in self.failures for item in group][:_TOP]

    @property
    def failing_checks(self) -> int:
        """How many checks fail somewhere."""
        return sum(len(group) for _, group in self.failures)

    @property
    def most_findings(self) -> int:
        """Findings of the severity that has most: the scale of the bars."""
        return max((sum(counts.values()) for _, counts in self.severities), default=0)

    @property
    def per_check(self) -> int:
        """How many resources a failing check lists at most."""
        return resources_per_check([item.failed for _, group in self.failures for item in group])

    def checks_by_state(
        self, entry: RequirementView
    ) -> list[tuple[str, list[tuple[Check, Mapping[str, int]]]]]:
        """Return a requirement's checks by the worst status among their findings."""
        by_check = self.view.assessment.results["findings"]["by_check"]
        found: dict[str, list[tuple[Check, Mapping[str, int]]]] = {}
        for check in entry.checks:
            counts = by_check.get(check.id, {})
            state = next((name for name in FINDING_ORDER if counts.get(name, 0)), "not_applicable")
            found.setdefault(state, []).append((check, counts))
        return [(state, found[state]) for state in FINDING_ORDER if state in found]

    def account(self, account: str) -> str:
        """Return an account as `production (123456789012)`."""
        return self.view.account_shown.get(account, account)


def build_context(
    view: ReportView,
    pack_id: str,
    certificate: Certificate,
    attachments: Sequence[Attached],
    steps: Sequence[Step],
    log: Logged | None = None,
) -> PackContext:
    """Compute everything that the templates print; the log's checkpoint where it is given."""
    failing = tuple((severity, tuple(group)) for severity, group in failures(view))
    reasons, hidden = unknowns(view)
    return PackContext(
        view=view,
        pack_id=pack_id,
        certificate=certificate,
        attachments=tuple(attachments),
        steps=tuple(steps),
        chapters=tuple(_chapters(view, [severity for severity, _ in failing])),
        failures=failing,
        unknowns=tuple(reasons),
        hidden_reasons=hidden,
        gap_groups=tuple(gap_groups(view.gaps)),
        types=tuple(_types(view)),
        accounts=tuple(_accounts(view)),
        severities=tuple(_severities(view)),
        owners=tuple(_owners(view)),
        log=log,
    )


def _chapters(view: ReportView, severities: Sequence[str]) -> list[Chapter]:
    """Return the chapters in the order in which the pack has them."""
    found: list[Chapter] = []

    def add(anchor: str, title: str, template: str, **more: Any) -> None:
        found.append(Chapter(len(found) + 1, anchor, title, template, **more))

    add("summary", "Executive summary", "summary")
    add("scope", "Scope and method", "scope")
    for index, framework in enumerate(view.frameworks):
        anchor = f"framework-{index}"
        sections = tuple(
            (f"{anchor}-{place}", f"{group_id}  {title}")
            for place, (group_id, title, items) in enumerate(framework.groups())
            if items
        )
        title = framework.title
        add(anchor, title, "framework", sections=sections, framework=framework)
    for index, levels in enumerate(maturity_views(view.assessment)):
        anchor = f"maturity-{index}"
        sections = tuple((f"{anchor}-{place}", title) for place, title in MATURITY_SECTIONS)
        add(anchor, "Maturity and roadmap", "maturity", sections=sections, maturity=levels)
    sections = tuple((f"failures-{item}", item.capitalize()) for item in severities)
    add("failures", "Failures", "failures", sections=sections)
    add("unknowns", "Not evidenced", "unknowns")
    add("gaps", "Gaps in what was read", "gaps")
    add("exceptions", "Exceptions", "exceptions")
    add("verify", "How to verify this pack", "verify")
    add("glossary", "Glossary", "glossary")
    add("checks", "Annex: all checks", "checks")
    return found


def _types(view: ReportView) -> list[TypeLine]:
    """The resource types. Pages that several accounts share count as calls of their type."""
    own = [unit for unit in view.units if unit.key.resource_type == _type_of(unit)]
    names = {_type_of(unit) for unit in view.units} | set(view.snapshot.schemas)
    gaps = Counter(gap.resource_type for gap in view.gaps)
    asked = Counter(_type_of(unit) for unit in own)
    listed = Counter(_type_of(unit) for unit in own if unit.listed.observed)
    resources, calls = _numbers((_type_of(unit), unit) for unit in view.units)
    schemas = view.snapshot.schemas
    return [
        TypeLine(
            name,
            schemas[name].title if name in schemas else "",
            resources[name],
            calls[name],
            listed[name],
            asked[name],
            gaps[name],
        )
        for name in sorted(names)
    ]


def _type_of(unit: UnitRecord) -> str:
    """The resource type of a unit: one that holds pages is called `<type>.<source>`."""
    return unit.key.resource_type.partition(".")[0]


def _accounts(view: ReportView) -> list[AccountLine]:
    by_account = view.assessment.results["findings"]["by_account"]
    gaps = Counter(gap.account for gap in view.gaps)
    resources, calls = _numbers((unit.key.account, unit) for unit in view.units)
    return [
        AccountLine(
            account.id,
            account.name,
            account.kind,
            resources[account.id],
            calls[account.id],
            gaps[account.id],
            by_account.get(account.id, {}),
        )
        for account in view.accounts
    ]


def _numbers(units: Iterable[tuple[str, UnitRecord]]) -> tuple[Counter[str], Counter[str]]:
    """Return how many resources and calls there are for each name."""
    resources: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    for name, unit in units:
        resources[name] += unit.resources
        calls[name] += sum(unit.calls.values())
    return resources, calls


def _severities(view: ReportView) -> list[tuple[str, Mapping[str, int]]]:
    by_severity = view.assessment.results["findings"]["by_severity"]
    return [(name, by_severity[name]) for name in SEVERITY_ORDER if name in by_severity]


def _owners(view: ReportView) -> list[tuple[str, Mapping[str, int]]]:
    """Owners by failing findings, most first; findings without an owner come as an empty name."""
    by_owner = view.assessment.results["findings"]["by_owner"]
    failing = [(owner, counts) for owner, counts in by_owner.items() if counts.get("fail", 0)]
    return sorted(failing, key=lambda item: (-item[1]["fail"], item[0]))[:_TOP]


def in_words(counts: Mapping[str, int]) -> str:
    """Return findings in words, what needs a person first: `3 fail, 12 pass`."""
    words = {"fail": "fail", "not_evidenced": "not evidenced", "excepted": "excepted"}
    words |= {"pass": "pass", "not_applicable": "not applicable"}
    parts = [f"{thousands(counts[k])} {words[k]}" for k in FINDING_ORDER if counts.get(k, 0)]
    return joined(parts) or "no findings"
