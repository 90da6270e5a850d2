"""What making a unit's rows again from its captures needs, whichever provider it is of."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeVar

import orjson

from collectors.answers import Page
from collectors.captured import Recorded, UnitCaptures
from evidence.errors import VerificationError
from evidence.redaction import Redactor
from evidence.secret_text import MARK
from evidence.snapshot import Snapshot
from evidence.units import UnitKey, UnitRecord

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class ReplayedUnit:
    """A unit as its captures say it was. `missing` are calls that no capture answers."""

    record: UnitRecord
    missing: tuple[str, ...]
    unused: tuple[str, ...]


def with_marks(redacted: Any, before: Any) -> Any:
    """Return `redacted` with the marks that stand for what was taken out when it was captured."""
    if isinstance(before, str):
        return before if MARK.fullmatch(before) else redacted
    if isinstance(before, dict) and isinstance(redacted, dict):
        return {key: with_marks(item, before.get(key)) for key, item in redacted.items()}
    if isinstance(before, list) and isinstance(redacted, list):
        return [with_marks(*pair) for pair in zip(redacted, before, strict=True)]
    return redacted


def unit_captures(
    snapshot: Snapshot, key: UnitKey, declared: frozenset[tuple[str, str]], scratch: BinaryIO
) -> UnitCaptures:
    """Open a unit's captures. Raises VerificationError when they are missing."""
    segment = snapshot.segment(key.path)
    if not segment.is_file():
        raise VerificationError("the captures of this unit are missing", where=str(segment))
    return UnitCaptures(segment, key.path, declared, scratch)


class CapturedAnswers:
    """Answers from captures, for a provider's source to be built on.

    With a redactor, what it has declared is taken out of the answers too. `missing` are questions
    that no capture answers.
    """

    def __init__(self, captures: UnitCaptures, redactor: Redactor | None = None) -> None:
        self.missing: list[str] = []
        self._captures, self._redactor = captures, redactor
        self._current: list[Recorded] = []

    @contextmanager
    def recording(self) -> Iterator[list[Recorded]]:
        """Collect the exchanges that answer while the block runs."""
        self._current = []
        yield self._current

    def clean(self, text: str) -> str:
        """Return an error's text: secrets were taken out before it was captured."""
        return text if self._redactor is None else self._redactor.redact_text(text)[0]

    def _take(
        self, service: str, region: str, operation: str, params: dict[str, Any], called: str
    ) -> dict[str, Any] | None:
        """Return the capture that answers; None where there is none, and `called` is missing."""
        found = self._captures.take(service, region, operation, params)
        if found is None:
            self.missing.append(called)
            return None
        exchanges, capture = found
        self._current.extend(exchanges)
        return capture

    def _answered(self, exchanges: Sequence[Recorded], answer: Any, declared_for: Hashable) -> Page:
        """Return an answer; its captures are named by their references."""
        if self._redactor is not None and answer is not None:
            redacted, _ = self._redactor.redact(declared_for, answer)
            answer = with_marks(redacted, answer)
        return Page(answer, tuple(recorded.reference.encode() for recorded in exchanges))


def no_pause(_seconds: float) -> None:
    """What was waited for has happened."""


class Inline(Executor):
    """Runs a task when it is submitted: answers are taken in the order in which they were kept."""

    def submit(  # type: ignore[override]  # (positional arguments are all that a unit gives)
        self, task: Callable[..., _Result], /, *arguments: Any
    ) -> Future[_Result]:
        """Run `task` now and return its result as if it had waited."""
        done: Future[_Result] = Future()
        done.set_result(task(*arguments))
        return done


class RowsOnly:
    """Writes a unit's rows; its captures are there already, and are named by their references."""

    def __init__(self, key: UnitKey, records: int, file: BinaryIO) -> None:
        self.key, self.records, self._file = key, records, file

    def keep_capture(self, line: bytes) -> str:
        """Return the reference that `CapturedSource.page` gave for a capture."""
        return line.decode()

    def write_row(self, row: dict[str, Any]) -> None:
        """Append a validated row."""
        self._file.write(orjson.dumps(row) + b"\n")

    def commit(self, record: UnitRecord) -> None:
        """Do nothing: what is replayed is compared and never kept."""

    def abandon(self) -> None:
        """Do nothing: the rows are dropped with their folder."""
