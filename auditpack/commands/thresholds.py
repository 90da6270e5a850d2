"""Thresholds of commands that judge: when they end with exit code 3."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from controls.assessment import Assessment

BELOW_THRESHOLD = 3
SEVERITIES = ["critical", "high", "medium", "low", "informational"]


def threshold_options(command: Any) -> Any:
    """Add `--fail-under` and `--fail-on` to a command."""
    for option in (
        click.option(
            "--fail-on",
            type=click.Choice(SEVERITIES),
            help="Exit with 3 when a check of this severity or above fails.",
        ),
        click.option(
            "--fail-under",
            type=click.FloatRange(0, 100),
            help="Exit with 3 when a framework's score is below this percentage.",
        ),
    ):
        command = option(command)
    return command


def shown_percent(text: str | None) -> str:
    """Return a percentage as people read it; a dash where there is none."""
    return "-" if text is None else f"{text} %"


def is_below(assessment: Assessment, threshold: float | None) -> bool:
    """Whether the score of a framework lies below a percentage; without one, none does."""
    if threshold is None:
        return False
    from controls.scoring import score_of

    wanted = Fraction(str(threshold)) / 100
    return any(
        score is not None and score < wanted
        for item in assessment.results["frameworks"]
        for score in [score_of(item["requirements_by_status"])]
    )


def has_failure(assessment: Assessment, severity: str | None) -> bool:
    """Whether a check of a severity or above fails; without one, none does."""
    if severity is None:
        return False
    counted = SEVERITIES[: SEVERITIES.index(severity) + 1]
    by_severity = assessment.results["findings"]["by_severity"]
    return any(by_severity.get(name, {}).get("fail", 0) for name in counted)
