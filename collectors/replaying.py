"""What making a unit's rows again from its captures needs, whichever provider it is of."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeVar

import orjson

from collectors.captured import MARK
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
