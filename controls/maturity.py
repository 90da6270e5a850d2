"""Maturity: the level that each area of a framework has reached, and what the next one still needs.

Only what holds counts: a level is reached when every requirement up to it holds, so one that is
open keeps its area below, however much is done above it. Figures are exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from controls.models import Framework
from controls.openings import HOLDS, OpenRequirement, statuses_of
from controls.scoring import RequirementStatus, one_decimal

LEVELS = {1: "initial", 2: "repeatable", 3: "defined", 4: "measured", 5: "optimising"}
"""The five levels by name. The first asks for nothing."""

TOP = max(LEVELS)

FORMULA = (
    "The level of an area is the highest up to which each of its requirements is satisfied or not"
    " applicable; level 1 asks for nothing. What was not evidenced, or not judged, does not hold."
    " An area in which nothing applies has no level. The level overall is the lowest of the"
    " areas; their mean, rounded half up to one decimal, stands beside it."
)
"""How levels are found, printed with them."""


@dataclass(frozen=True)
class LevelCount:
    """How many requirements of an area a level has, and how many of them hold."""

    level: int
    held: int
    of: int


@dataclass(frozen=True)
class Area:
    """An area (group) of a framework. `level` is None where nothing in it applies."""

    id: str
    title: str
    level: int | None
    counts: tuple[LevelCount, ...]
    missing: tuple[OpenRequirement, ...]
    """The open requirements of the next level: what separates the area from it."""

    @property
    def next_level(self) -> int | None:
        """The level to reach next; None at the top, and where there is no level."""
        return None if self.level in (None, TOP) else (self.level or 0) + 1

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON data."""
        return {
            "id": self.id,
            "title": self.title,
            "level": self.level,
            "level_name": LEVELS.get(self.level or 0),
            "requirements_by_level": {
                str(item.level): {"held": item.held, "of": item.of} for item in self.counts
            },
            "next_level": self.next_level,
            "missing": [item.as_dict() for item in self.missing],
        }


@dataclass(frozen=True)
class Maturity:
    """The areas of a framework, in its own order."""

    framework: str
    title: str
    areas: tuple[Area, ...]
    profile: str = ""
    """What the assessment was narrowed to; all else is open, since nobody looked."""

    @property
    def lowest(self) -> int | None:
        """The level overall: that of the lowest area; None where nothing applies."""
        return min(self._levels, default=None)

    @property
    def mean(self) -> Fraction | None:
        """The mean of the areas' levels; None where nothing applies."""
        levels = self._levels
        return Fraction(sum(levels), len(levels)) if levels else None

    @property
    def _levels(self) -> list[int]:
        return [area.level for area in self.areas if area.level is not None]

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON data."""
        return {
            "framework": self.framework,
            "title": self.title,
            **({"profile": self.profile} if self.profile else {}),
            "level": self.lowest,
            "level_name": LEVELS.get(self.lowest or 0),
            "mean_level": one_decimal(self.mean),
            "formula": FORMULA,
            "areas": [area.as_dict() for area in self.areas],
        }


def has_levels(framework: Framework) -> bool:
    """Whether a framework's requirements carry levels of maturity (2 to 5).

    A benchmark's levels are something else: how strict a profile is.
    """
    if framework.benchmark is not None or not framework.requirements:
        return False
    return all(
        item.level in range(2, TOP + 1) and not item.equivalent for item in framework.requirements
    )


def level_reached(requirements: Iterable[tuple[int, str]]) -> int | None:
    """Return the level of an area from (level, status) of its requirements.

    None where none of them applies: that is no level that anybody has reached.
    """
    known = list(requirements)
    if all(status == RequirementStatus.NOT_APPLICABLE for _, status in known):
        return None
    lowest_open = min((level for level, status in known if status not in HOLDS), default=TOP + 1)
    return lowest_open - 1


def maturity_of(
    framework: Framework, result: Mapping[str, Any], openings: Sequence[OpenRequirement]
) -> Maturity:
    """Return the maturity that a scored framework shows.

    `result` is its part of a sealed assessment, `openings` what is open in it
    (`controls.openings.open_requirements`). The framework must have levels (`has_levels`).
    """
    statuses = statuses_of(framework, result)
    areas = []
    for group in framework.groups:
        held = [
            (item.level or TOP, statuses[item.id])
            for item in framework.requirements
            if item.group == group.id
        ]
        if not held:
            continue
        level = level_reached(held)
        missing = tuple(
            item
            for item in openings
            if item.requirement.group == group.id and item.requirement.level == (level or 0) + 1
        )
        areas.append(Area(group.id, group.title, level, _counts(held), missing))
    return Maturity(framework.id, framework.title, tuple(areas), result.get("profile", ""))


def _counts(requirements: Sequence[tuple[int, str]]) -> tuple[LevelCount, ...]:
    found = []
    for level in range(2, TOP + 1):
        statuses = [status for at, status in requirements if at == level]
        found.append(LevelCount(level, sum(s in HOLDS for s in statuses), len(statuses)))
    return tuple(found)
