"""What a check of the doctor found: a state, what it means, and how to mend it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from evidence.errors import AuditpackError

State = Literal["ok", "warning", "problem"]
"""`problem`: a run would fail, or its evidence would not stand. `warning`: it could be better."""


@dataclass(frozen=True)
class Finding:
    """One line of the doctor: about `subject`, what is so, and what to do where it is not ok."""

    state: State
    subject: str
    what: str
    mend: str = ""


def ok(subject: str, what: str) -> Finding:
    """Return a finding that needs nobody."""
    return Finding("ok", subject, what)


def warning(subject: str, what: str, mend: str) -> Finding:
    """Return a finding that somebody should know."""
    return Finding("warning", subject, what, mend)


def problem(subject: str, what: str, mend: str) -> Finding:
    """Return a finding that stops a run, or makes its evidence worth less."""
    return Finding("problem", subject, what, mend)


def failed(subject: str, error: AuditpackError, state: State = "problem") -> Finding:
    """Return the finding of a check that ended with an error."""
    where = f" ({error.where})" if error.where else ""
    return Finding(state, subject, f"{error.what}{where}", error.mend)
