"""The roadmap: what is open in a framework, in the order in which to go about it.

Phases come first, as the framework has them; then what builds on what (in an area, a lower level
before a higher one); then weight. The same input gives the same order everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from controls.models import Framework, Requirement
from controls.openings import OpenRequirement
from controls.scoring import WEIGHTS

ORDER = (
    "Open requirements by phase; in a phase, of one area the lower level first; of those that may"
    " come next, the one with the greatest weight: first the failing findings, each times the"
    " weight of its severity, then how many requirements of other frameworks rest on the same"
    " common controls; then in the framework's own order."
)
"""How the steps are ordered, printed with them."""


@dataclass(frozen=True)
class Step:
    """An open requirement as a step of the roadmap."""

    place: int
    """Its number, counted over all phases."""
    opening: OpenRequirement
    failing_weight: int
    serves: int
    """How many requirements of other frameworks the same controls serve."""
    after: tuple[str, ...]
    """Open requirements of its area at a lower level, of any phase: its level needs them, too."""

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON data."""
        return {
            "place": self.place,
            **self.opening.as_dict(),
            "area": self.opening.requirement.group,
            "level_also_needs": list(self.after),
            "failing_weight": self.failing_weight,
            "other_requirements_served": self.serves,
        }


@dataclass(frozen=True)
class Phase:
    """A phase and its steps, in order. `of` is how many requirements it has, open or not."""

    id: str
    title: str
    of: int
    steps: tuple[Step, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON data."""
        return {
            "id": self.id,
            "title": self.title,
            "requirements": self.of,
            "open": len(self.steps),
            "steps": [step.as_dict() for step in self.steps],
        }


def roadmap_of(
    framework: Framework,
    openings: Sequence[OpenRequirement],
    frameworks: Mapping[str, Framework],
) -> tuple[Phase, ...]:
    """Return the phases of a framework with what is open in each.

    `frameworks` are all that the catalogue has: what a step serves besides is counted in them.
    """
    serving = _served(framework, frameworks)
    phase_ids = [profile.id for profile in framework.profiles] or [""]
    titles = {profile.id: profile.title for profile in framework.profiles} or {"": "All"}
    rank = {item.id: n for n, item in enumerate(framework.requirements)}
    phases, place = [], 0
    for phase in phase_ids:
        waiting = [item for item in openings if _phase(item.requirement, phase_ids) == phase]
        steps = []
        for opening in _ordered(waiting, serving, rank):
            place += 1
            steps.append(_step(place, opening, openings, serving))
        number = sum(_phase(item, phase_ids) == phase for item in framework.requirements)
        phases.append(Phase(phase, titles[phase], number, tuple(steps)))
    return tuple(phases)


def _phase(requirement: Requirement, phases: Sequence[str]) -> str:
    """Return the first phase that brings a requirement; one that names none is in all of them."""
    return next((phase for phase in phases if phase in requirement.profiles), phases[0])


def _ordered(
    waiting: Sequence[OpenRequirement],
    serving: Mapping[str, frozenset[tuple[str, str]]],
    rank: Mapping[str, int],
) -> list[OpenRequirement]:
    """Take, again and again, the weightiest of those on which nothing lower has to wait."""
    left, found = list(waiting), []
    while left:
        free = [item for item in left if not _below(item, left)]
        first = min(
            free,
            key=lambda item: (
                -failing_weight(item),
                -_serves(item, serving),
                rank[item.requirement.id],
            ),
        )
        found.append(first)
        left.remove(first)
    return found


def _below(item: OpenRequirement, others: Sequence[OpenRequirement]) -> list[OpenRequirement]:
    """Return those of the same area at a lower level."""
    here, level = item.requirement.group, item.requirement.level or 0
    return [
        other
        for other in others
        if other.requirement.group == here and (other.requirement.level or 0) < level
    ]


def _step(
    place: int,
    opening: OpenRequirement,
    openings: Sequence[OpenRequirement],
    serving: Mapping[str, frozenset[tuple[str, str]]],
) -> Step:
    below = tuple(other.requirement.id for other in _below(opening, openings))
    return Step(place, opening, failing_weight(opening), _serves(opening, serving), below)


def failing_weight(opening: OpenRequirement) -> int:
    """Return the failing findings of a requirement, each times the weight of its severity."""
    return sum(WEIGHTS[check.severity] * check.number for check in opening.failing)


def _serves(opening: OpenRequirement, serving: Mapping[str, frozenset[tuple[str, str]]]) -> int:
    found: set[tuple[str, str]] = set()
    for name in opening.requirement.controls:
        found |= serving.get(name, frozenset())
    return len(found)


def _served(
    framework: Framework, frameworks: Mapping[str, Framework]
) -> dict[str, frozenset[tuple[str, str]]]:
    """Return, for each control, the requirements of other frameworks that name it."""
    found: dict[str, set[tuple[str, str]]] = {}
    for other in frameworks.values():
        if other.id != framework.id:
            for item in other.requirements:
                for name in item.controls:
                    found.setdefault(name, set()).add((other.id, item.id))
    return {name: frozenset(items) for name, items in found.items()}
