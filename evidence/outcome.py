"""What came of one call, and the gap that an unobserved one leaves (DESIGN 3)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """The outcome of a call to a cloud.

    `OK` and `ABSENT` are knowledge ("the answer is: there is none"); every other one is a gap.
    """

    OK = "ok"
    ABSENT = "absent"
    DENIED = "denied"
    NOT_ENABLED = "not_enabled"
    THROTTLED = "throttled"
    ERROR = "error"
    SKIPPED = "skipped"

    @property
    def observed(self) -> bool:
        """Whether the cloud told us what we asked."""
        return self in (Outcome.OK, Outcome.ABSENT)


@dataclass(frozen=True)
class Gap:
    """Something that should have been read and was not.

    `resource_id` and `facet` are empty where a whole listing is missing. `reason` is an
    `Outcome` value; `detail` the cloud's own error code and message, redacted.
    """

    provider: str
    account: str
    region: str
    resource_type: str
    operation: str
    reason: str
    detail: str
    resource_id: str = ""
    facet: str = ""
    captures: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the gap as plain JSON data."""
        return {**asdict(self), "captures": list(self.captures)}
