"""Making the rows of a unit again from its captures: the same code, with nobody to ask."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from collectors.answers import Page
from collectors.aws.caller import Caller, NotCollectedError
from collectors.aws.catalogue import shared_calls
from collectors.aws.handlers import handler_of
from collectors.aws.parsing import AnswerReader
from collectors.aws.place import place_of
from collectors.aws.spec import AwsResourceType
from collectors.captured import Recorded, UnitCaptures
from collectors.replaying import Inline, ReplayedUnit, RowsOnly, no_pause, with_marks
from collectors.shape import plain
from collectors.unit import UnitCollector
from evidence.errors import VerificationError
from evidence.redaction import Redactor
from evidence.snapshot import Snapshot
from evidence.units import UnitKey

_Result = TypeVar("_Result")


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
        self._operation = ("", "")

    @contextmanager
    def recording(self) -> Iterator[list[Recorded]]:
        """Collect the exchanges that answer while the block runs."""
        self._current = []
        yield self._current

    def ask(self, service: str, region: str, operation: str, params: dict[str, Any]) -> Any:
        """Return the recorded answer, or raise the recorded error; NotCollectedError if none."""
        self._operation = (service, operation)
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
            data = with_marks(redacted, data)
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
            caller = Caller(source, self._shared, pause=no_pause)
            writer = RowsOnly(key, captures.records, file)
            handler = handler_of(spec.handler, caller)
            record = UnitCollector(spec, place, caller, Inline(), writer, handler).collect()
            return ReplayedUnit(record, tuple(source.missing), tuple(captures.unused))
