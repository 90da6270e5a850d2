"""Making the rows of a unit again from its captures: the same code, with nobody to ask."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from collectors.answers import Page
from collectors.aws.caller import Caller, NotCollectedError
from collectors.aws.catalogue import shared_calls
from collectors.aws.handlers import handler_of
from collectors.aws.parsing import AnswerReader
from collectors.aws.place import place_of
from collectors.aws.spec import AwsResourceType
from collectors.captured import Recorded, UnitCaptures
from collectors.replaying import (
    CapturedAnswers,
    Inline,
    ReplayedUnit,
    RowsOnly,
    no_pause,
    unit_captures,
)
from collectors.shape import plain
from collectors.unit import UnitCollector
from evidence.errors import VerificationError
from evidence.redaction import Redactor
from evidence.snapshot import Snapshot
from evidence.units import UnitKey


class CapturedSource(CapturedAnswers):
    """Answers calls from captures, as the SDK would."""

    def __init__(
        self,
        captures: UnitCaptures,
        reader: AnswerReader,
        partition: str,
        redactor: Redactor | None = None,
    ) -> None:
        super().__init__(captures, redactor)
        self.partition = partition
        self._reader = reader
        self._operation = ("", "")

    def ask(self, service: str, region: str, operation: str, params: dict[str, Any]) -> Any:
        """Return the recorded answer, or raise the recorded error; NotCollectedError if none."""
        self._operation = (service, operation)
        called = f"{service}.{operation} in {region}"
        capture = self._take(service, region, operation, params, called)
        if capture is None:
            raise NotCollectedError(operation)
        return self._reader.read(operation, params, capture)

    def page(self, service: str, exchanges: Sequence[Recorded], response: Any) -> Page:  # noqa: ARG002
        """Return an answer as plain data; its captures are named by their references."""
        data = None if response is None else plain(response)
        return self._answered(exchanges, data, self._operation)


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
        with tempfile.TemporaryFile() as scratch, rows.open("wb") as file:
            captures = unit_captures(self._snapshot, key, self._declared, scratch)
            source = CapturedSource(captures, self._reader, place.partition, self._redactor)
            caller = Caller(source, self._shared, pause=no_pause)
            writer = RowsOnly(key, captures.records, file)
            handler = handler_of(spec.handler, caller)
            record = UnitCollector(spec, place, caller, Inline(), writer, handler).collect()
            return ReplayedUnit(record, tuple(source.missing), tuple(captures.unused))
