"""What the reports show of maturity: the levels of areas, and the roadmap to the next ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from controls.assessment import Assessment
from controls.maturity import Maturity, has_levels, maturity_of
from controls.openings import open_requirements
from controls.roadmap import Phase, roadmap_of


@dataclass(frozen=True)
class MaturityView:
    """A framework with levels, as an assessment found it."""

    maturity: Maturity
    phases: tuple[Phase, ...]

    @property
    def open(self) -> int:
        """How many requirements are open, in all phases."""
        return sum(len(phase.steps) for phase in self.phases)

    @property
    def requirements(self) -> int:
        """How many requirements there are, in all phases."""
        return sum(phase.of for phase in self.phases)


def maturity_views(assessment: Assessment) -> tuple[MaturityView, ...]:
    """Return the frameworks of an assessment whose requirements have levels of maturity."""
    return tuple(
        _view(assessment, result)
        for result in assessment.results["frameworks"]
        if has_levels(assessment.frameworks[result["id"]])
    )


def _view(assessment: Assessment, result: dict[str, Any]) -> MaturityView:
    framework = assessment.frameworks[result["id"]]
    by_check = assessment.results["findings"]["by_check"]
    openings = open_requirements(
        framework, result, assessment.checks, assessment.controls, by_check
    )
    return MaturityView(
        maturity_of(framework, result, openings),
        roadmap_of(framework, openings, assessment.frameworks),
    )
