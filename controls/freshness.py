"""The time to live of evidence: what is too old at the time that is judged for shows nothing.

There is no clock here. The time that is judged for is given, such as the end of the period that a
pack is about, and sealed with the assessment.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Freshness:
    """How old evidence may be: `days` at `judged_at` (ISO 8601 UTC); without a time, any age."""

    judged_at: str = ""
    days: int = 90

    def stale(self, as_of: str) -> str:
        """Return why evidence of `as_of` is too old; empty where it is not."""
        if not self.judged_at:
            return ""
        age = _moment(self.judged_at) - _moment(as_of)
        if age <= datetime.timedelta(days=self.days):
            return ""
        return f"the evidence is of {as_of}, more than {self.days} days older than {self.judged_at}"

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON data; nothing where any age will do."""
        return {"judged_at": self.judged_at, "evidence_days": self.days} if self.judged_at else {}


ANY_AGE = Freshness()
"""Evidence of any age will do: it is judged for its own time."""


def _moment(text: str) -> datetime.datetime:
    found = datetime.datetime.fromisoformat(text)
    return found if found.tzinfo is not None else found.replace(tzinfo=datetime.UTC)
