"""The trace of a document: each of its bullets, what carries it here, and what can prove it.

A framework that comes from a company's own document has one, so that nothing of the document is
left out unseen. `scripts/trace.py` writes the page of it.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from controls.models import Control, Framework, Requirement, Strict
from evidence.yaml_files import load_model

TRACES = Path(__file__).parent / "traces"
"""The folder of the traces."""

MATURITY = "maturity"
"""Carries what is about levels: they are computed from the requirements (`controls.maturity`)."""

SCOPE = "scope"
"""Carries what a document leaves out: the framework's own words on its scope."""

Kind = Literal["scope", "practice", "figure", "phase", "result"]


class TraceEvidence(Strict):
    """What can prove a bullet.

    `checks` are controls whose checks show it, `people` the kinds of evidence that people bring,
    `figures` are KPIs; `also` names what is none of these.
    """

    checks: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    figures: tuple[str, ...] = ()
    also: str = ""

    @model_validator(mode="after")
    def _says_something(self) -> TraceEvidence:
        if not (self.checks or self.people or self.figures or self.also):
            raise ValueError("names nothing that could prove the bullet")
        return self


class Bullet(Strict):
    """A bullet of the document, by its line there, in our words.

    `carried_by` names requirements, KPIs and phases of the framework by id, `maturity`, or `scope`.
    """

    line: int = Field(gt=0)
    section: str
    topic: str
    kind: Kind
    carried_by: tuple[str, ...] = Field(min_length=1)
    evidence: TraceEvidence


class Trace(Strict):
    """A document's bullets in its own order, and the framework that stands for it."""

    id: str
    framework: str
    title: str
    about: str
    bullets: tuple[Bullet, ...]

    @model_validator(mode="after")
    def _in_order(self) -> Trace:
        lines = [bullet.line for bullet in self.bullets]
        if lines != sorted(set(lines)):
            raise ValueError("the lines do not rise from bullet to bullet")
        return self

    def sections(self) -> dict[str, list[Bullet]]:
        """Return the bullets by section, in the document's order."""
        found: dict[str, list[Bullet]] = {}
        for bullet in self.bullets:
            found.setdefault(bullet.section, []).append(bullet)
        return found

    def carried(self) -> dict[str, list[int]]:
        """Return what carries bullets, with the lines of those that it carries."""
        found: dict[str, list[int]] = {}
        for bullet in self.bullets:
            for name in bullet.carried_by:
                found.setdefault(name, []).append(bullet.line)
        return found


def load_trace(name: str, folder: Path = TRACES) -> Trace:
    """Return the trace of an id. Raises DataError for a file that is not one."""
    return load_model(folder / f"{name}.yaml", Trace)


def kpi_ids(folder: Path = TRACES.parent / "kpis") -> list[str]:
    """Return the ids of the KPIs: each has a file of its name."""
    return sorted(file.stem for file in folder.glob("*.yaml"))


def problems_of(
    trace: Trace,
    framework: Framework,
    controls: Mapping[str, Control],
    controls_with_checks: Collection[str],
    kpis: Sequence[str],
) -> Iterator[str]:
    """Yield what is wrong with a trace: names of what is not there, and what carries nothing."""
    requirements = {item.id: item for item in framework.requirements}
    phases = [profile.id for profile in framework.profiles]
    known = [*requirements, *phases, *kpis, MATURITY, SCOPE]
    for bullet in trace.bullets:
        here, evidence = f"line {bullet.line}", bullet.evidence
        yield from _unknown(here, "carried by", bullet.carried_by, known)
        yield from _unknown(here, "checks of", evidence.checks, controls_with_checks)
        yield from _unknown(here, "figure", evidence.figures, kpis)
        carriers = [requirements[name] for name in bullet.carried_by if name in requirements]
        yield from _unknown(here, "from people", evidence.people, _asked(carriers, controls))
    carried = trace.carried()
    for name in [*requirements, *phases, *kpis]:
        if name not in carried:
            yield f"{name} carries no bullet"


def _unknown(here: str, what: str, names: Sequence[str], known: Collection[str]) -> Iterator[str]:
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            yield f"{here}: {what} {name!r}: there is none" + (
                f"; nearest is {near[0]!r}" if near else ""
            )


def _asked(requirements: Sequence[Requirement], controls: Mapping[str, Control]) -> set[str]:
    """Return the kinds of evidence that requirements and their controls ask people for."""
    found = {need.type for item in requirements for need in item.manual_evidence}
    for item in requirements:
        for name in item.controls:
            found |= {need.type for need in controls[name].manual_evidence}
    return found
