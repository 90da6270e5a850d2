"""Key performance indicators: what people write of one, and what comes of measuring it."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from controls.models import Strict
from evidence.yaml_files import line_of

_KPI_ID = re.compile(r"^[a-z][a-z0-9-]*$")

Unit = Literal["percent", "hours", "days", "count", "currency", "per day"]

SCALES: dict[str, Fraction] = {
    "percent": Fraction(100),
    "hours": Fraction(1, 3_600),
    "days": Fraction(1, 86_400),
}
"""From what a formula gives (a share, seconds) to the unit shown; any other unit is as given."""


class KpiExample(Strict):
    """Rows of the tables that a KPI reads, and the value that it must get; none is "no data".

    Examples are measured as of 2026-01-01; `left_out` is how many rows lack a value.
    """

    about: str = ""
    tables: dict[str, tuple[dict[str, Any], ...]] = Field(default_factory=dict)
    expect: Decimal | None
    left_out: int | None = None


class Kpi(Strict):
    """A figure of how well a company runs its infrastructure, with the target it is held to.

    `formula` is one SELECT over the tables in `reads` that gives one row: `rows` (how many rows
    the figure rests on), `left_out` (rows that lack a value that it needs), and either `value` or
    `numerator` and `denominator`, all whole numbers or DECIMAL; lengths of time are in seconds,
    shares between 0 and 1. It may give `captures` (references), `unit` (which currency) and `why`
    (why there is no figure). `window` is in days and ends at the snapshot's time; without one the
    figure is of the state at that time.
    """

    id: str
    title: str
    area: str
    unit: Unit
    decimals: int = Field(default=1, ge=0, le=6)
    direction: Literal["higher", "lower"]
    target: Decimal
    formula: str
    reads: tuple[str, ...] = Field(min_length=1)
    window: int | None = Field(default=None, ge=1, le=3_660)
    source: str
    about: str
    examples: tuple[KpiExample, ...]

    @field_validator("id")
    @classmethod
    def _id_form(cls, value: str) -> str:
        if not _KPI_ID.match(value):
            raise ValueError("a KPI's id has lower-case letters, digits and -")
        return value

    def is_met_by(self, value: Fraction) -> bool:
        """Whether an exact value reaches the target: 99.96 is not rounded up to pass for 100."""
        target = Fraction(self.target)
        return value >= target if self.direction == "higher" else value <= target


@dataclass(frozen=True)
class KpiSet:
    """All KPIs by id, and the file that each was read from, for error messages."""

    kpis: Mapping[str, Kpi]
    files: Mapping[str, Path]

    def where(self, name: str, *field: str) -> str:
        """Return `file:line: field` of a KPI."""
        file = self.files[name]
        label = f": {'.'.join(field)}" if field else ""
        return f"{file}:{line_of(file, field)}{label}"


@dataclass(frozen=True)
class Measured:
    """What a formula gave at one time: the exact value in the KPI's unit, and what it rests on."""

    value: Fraction | None
    numerator: Decimal | None
    denominator: Decimal | None
    rows: int
    left_out: int
    captures: tuple[str, ...] = ()
    unit: str = ""
    why: str = ""


@dataclass(frozen=True)
class Trend:
    """How a value compares with an earlier one, both as they are shown."""

    direction: Literal["better", "worse", "same"]
    previous: Decimal
    previous_as_of: str

    def as_dict(self) -> dict[str, str]:
        """Return the trend as plain JSON data."""
        return {
            "direction": self.direction,
            "previous": str(self.previous),
            "previous_as_of": self.previous_as_of,
        }


@dataclass(frozen=True)
class KpiValue:
    """A KPI at the time of a snapshot.

    `value` is rounded half up to the KPI's decimals. `why` says in words why there is no data.
    `captures` are some of the captures that the value rests on, `assessments` the newest of those
    that it was computed from; `gaps` counts what of its tables should have been read and was not.
    """

    kpi: Kpi
    state: Literal["met", "missed", "no data"]
    as_of: str
    value: Decimal | None
    measured: Measured
    why: str = ""
    trend: Trend | None = None
    assessments: tuple[str, ...] = ()
    gaps: int = 0

    @property
    def unit(self) -> str:
        """The unit shown: which currency, where the records say so."""
        return self.measured.unit or self.kpi.unit

    def as_dict(self) -> dict[str, Any]:
        """Return the value as plain JSON data; figures are text, so that nobody rounds them."""
        kpi, found = self.kpi, self.measured
        return {
            "id": kpi.id,
            "title": kpi.title,
            "area": kpi.area,
            "state": self.state,
            "value": _text(self.value),
            "unit": self.unit,
            "target": f"{kpi.target:f}",
            "direction": kpi.direction,
            "window_days": kpi.window,
            "as_of": self.as_of,
            "why": self.why,
            "numerator": _text(found.numerator),
            "denominator": _text(found.denominator),
            "rows": found.rows,
            "left_out": found.left_out,
            "gaps": self.gaps,
            "trend": self.trend.as_dict() if self.trend else None,
            "captures": list(found.captures),
            "assessments": list(self.assessments),
            "reads": list(kpi.reads),
            "source": kpi.source,
        }


def moment_of(as_of: str) -> datetime.datetime:
    """Return a time in ISO 8601 as UTC without a zone, as tables have it."""
    moment = datetime.datetime.fromisoformat(as_of)
    return moment.astimezone(datetime.UTC).replace(tzinfo=None) if moment.tzinfo else moment


def rounded(value: Fraction, decimals: int) -> Decimal:
    """Return an exact value rounded half up (away from zero) to a number of decimals."""
    steps = int(abs(value) * 10**decimals + Fraction(1, 2))
    return Decimal(-steps if value < 0 else steps).scaleb(-decimals)


def _text(number: Decimal | None) -> str | None:
    return None if number is None else f"{number:f}"
