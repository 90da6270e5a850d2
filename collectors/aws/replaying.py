"""Making the rows of a unit again from its captures: the same code, with nobody to ask."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import orjson

from collectors.answers import Page
from collectors.aws.caller import Caller, NotCollectedError
from collectors.aws.captured import MARK, Recorded, UnitCaptures
from collectors.aws.catalogue import shared_calls
from collectors.aws.handlers import handler_of
from collectors.aws.parsing import AnswerReader
from collectors.aws.place import place_of
from collectors.aws.spec import AwsResourceType
from collectors.shape import plain
from collectors.unit import UnitCollector
from evidence.errors import VerificationError
from evidence.redaction import Redactor
from evidence.snapshot import Snapshot
from evidence.units import UnitKey, UnitRecord

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class ReplayedUnit:
    """A unit as its captures say it was. `missing` are calls that no capture answers."""

    record: UnitRecord
    missing: tuple[str, ...]
    unused: tuple[str, ...]


class CapturedSource:
    """Answers calls from captures. With a redactor, its paths are taken out of the answers too."""

    def __init__(
        self,
        captures: UnitCaptures,
        reader: AnswerReader,
        partition: str,
        redactor: Redactor | None = None,
    ) -> None:
        self.partition = partition
        self.missing: list[str] = []
        self._captures, self._reader, self._redactor = captures, reader, redactor
        self._current: list[Recorded] = []
        self._operation = ""

    @contextmanager
    def recording(self) -> Iterator[list[Recorded]]:
        """Collect the exchanges that answer while the block runs."""
        self._current = []
        yield self._current

    def ask(self, service: str, region: str, operation: str, params: dict[str, Any]) -> Any:
        """Return the recorded answer, or raise the recorded error; NotCollectedError if none."""
        self._operation = operation
        found = self._captures.take(service, region, operation, params)
        if found is None:
            self.missing.append(f"{service}.{operation} in {region}")
            raise NotCollectedError(operation)
        exchanges, capture = found
        self._current.extend(exchanges)
        return self._reader.read(operation, params, capture)

    def clean(self, text: str) -> str:
        """Return an error's text: secrets were taken out before it was captured."""
        return text if self._redactor is None else self._redactor.redact_text(text)[0]

    def page(self, service: str, exchanges: Sequence[Recorded], response: Any) -> Page:  # noqa: ARG002
        """Return an answer as plain data; its captures are named by their references."""
        data = None if response is None else plain(response)
        if self._redactor is not None and response is not None:
            redacted, _ = self._redactor.redact(self._operation, data)
            data = _with_marks(redacted, data)
        return Page(data, tuple(recorded.reference.encode() for recorded in exchanges))


class UnitReplayer:
    """Replays the units of one snapshot, shaped by `types`.

    `recorded_types` are those that the snapshot was collected with: they say what was asked.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        types: Mapping[str, AwsResourceType],
        recorded_types: Mapping[str, AwsResourceType],
        redactor: Redactor | None = None,
    ) -> None:
        self._snapshot, self._types, self._redactor = snapshot, types, redactor
        self._shared = shared_calls(types.values())
        calls = (call for spec in recorded_types.values() for call in spec.calls())
        self._declared = frozenset(calls)
        self._reader = AnswerReader()
        accounts = snapshot.predicate["intent"].get("scope", {}).get("accounts", [])
        self._accounts = {account["id"]: account for account in accounts}

    def replay(self, key: UnitKey, rows: Path) -> ReplayedUnit:
        """Write the rows of a unit as JSON lines to `rows` and return what came of it.

        Raises VerificationError when its captures cannot be read or the snapshot does not say
        where it asked; what else is raised, the unit's captures or types are not fit for.
        """
        spec = self._types[key.resource_type]
        account = self._accounts.get(key.account)
        if account is None or "partition" not in account:
            raise VerificationError(
                f"the snapshot does not say in which partition account {key.account} is",
                where=str(self._snapshot.folder),
            )
        place = place_of(spec, key, account["partition"], account["home_region"])
        segment = self._snapshot.segment(key.path)
        if not segment.is_file():
            raise VerificationError("the captures of this unit are missing", where=str(segment))
        with tempfile.TemporaryFile() as scratch, rows.open("wb") as file:
            captures = UnitCaptures(segment, key.path, self._declared, scratch)
            source = CapturedSource(captures, self._reader, place.partition, self._redactor)
            caller = Caller(source, self._shared, pause=_no_pause)
            writer = _RowsOnly(key, captures.records, file)
            handler = handler_of(spec.handler, caller)
            record = UnitCollector(spec, place, caller, _Inline(), writer, handler).collect()
            return ReplayedUnit(record, tuple(source.missing), tuple(captures.unused))


def _with_marks(redacted: Any, before: Any) -> Any:
    """Return `redacted` with the marks that stand for what was taken out when it was captured."""
    if isinstance(before, str):
        return before if MARK.fullmatch(before) else redacted
    if isinstance(before, dict) and isinstance(redacted, dict):
        return {key: _with_marks(item, before.get(key)) for key, item in redacted.items()}
    if isinstance(before, list) and isinstance(redacted, list):
        return [_with_marks(*pair) for pair in zip(redacted, before, strict=True)]
    return redacted


def _no_pause(_seconds: float) -> None:
    """What was waited for has happened."""


class _Inline(Executor):
    """Runs a task when it is submitted: answers are taken in the order in which they were kept."""

    def submit(  # type: ignore[override]  # (positional arguments are all that a unit gives)
        self, task: Callable[..., _Result], /, *arguments: Any
    ) -> Future[_Result]:
        done: Future[_Result] = Future()
        done.set_result(task(*arguments))
        return done


class _RowsOnly:
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
