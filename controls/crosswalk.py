"""The crosswalk: what a company that has one framework already has of another.

Nothing is mapped by hand from framework to framework: two requirements meet in the common controls
that both name. A control that the first framework asks for is one that the company runs and
evidences already.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from controls.catalogue import Catalogue
from controls.models import Requirement
from controls.profiles import requirements_in


class Coverage(StrEnum):
    """How much of a requirement's controls another framework asks for, too."""

    COVERED = "covered"
    PARTLY = "partly"
    NEW = "new"


@dataclass(frozen=True)
class CrosswalkRow:
    """A requirement of the second framework.

    `shared` maps each of its controls that the first framework names to the requirements there;
    `new` are its other controls.
    """

    requirement: str
    title: str
    coverage: Coverage
    shared: Mapping[str, tuple[str, ...]]
    new: tuple[str, ...]


@dataclass(frozen=True)
class Crosswalk:
    """From one framework to another, requirement by requirement."""

    having: str
    wanted: str
    rows: tuple[CrosswalkRow, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many requirements are covered, partly covered and new: they add up to all."""
        found = Counter(row.coverage for row in self.rows)
        return {coverage.value: found[coverage] for coverage in Coverage}

    @property
    def new_controls(self) -> list[str]:
        """The controls that the second framework adds, sorted."""
        return sorted({name for row in self.rows for name in row.new})

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON data."""
        return {
            "having": self.having,
            "wanted": self.wanted,
            "counts": self.counts,
            "new_controls": self.new_controls,
            "requirements": [asdict(row) for row in self.rows],
        }


def crosswalk(
    catalogue: Catalogue, having: str, wanted: str, profiles: tuple[str, str] = ("", "")
) -> Crosswalk:
    """Return what a company that has `having` has of `wanted`.

    `profiles` narrow either to a profile; empty means all of it. Raises UsageError for a name that
    is no framework or profile.
    """
    first, second = catalogue.framework(having), catalogue.framework(wanted)
    asked: dict[str, list[str]] = {}
    for requirement in requirements_in(first, profiles[0]):
        for name in requirement.controls:
            asked.setdefault(name, []).append(requirement.id)
    rows = tuple(_row(item, asked) for item in requirements_in(second, profiles[1]))
    return Crosswalk(first.id, second.id, rows)


def _row(requirement: Requirement, asked: Mapping[str, list[str]]) -> CrosswalkRow:
    shared = {name: tuple(asked[name]) for name in requirement.controls if name in asked}
    new = tuple(name for name in requirement.controls if name not in asked)
    coverage = Coverage.NEW if not shared else Coverage.PARTLY if new else Coverage.COVERED
    return CrosswalkRow(requirement.id, requirement.title, coverage, shared, new)
