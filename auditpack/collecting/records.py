"""The part of a run that reads records: files that a company's own systems exported."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from collectors.records.engine import RecordScope, UnitTarget, collect, plan
from collectors.records.spec import RecordType
from collectors.running import Progress
from evidence.errors import UsageError
from evidence.snapshot import SnapshotRun


@dataclass
class RecordsPart:
    """What a run reads of records."""

    scope: RecordScope
    types: Mapping[str, RecordType]
    title: str = "records"

    @classmethod
    def configured(cls, scope: RecordScope) -> RecordsPart:
        """Return the part that the configuration names. Raises UsageError."""
        if not scope.files:
            raise UsageError(
                "the configuration names no records",
                where="records",
                mend="Name files in auditpack.yaml: `records: [{type: record_incident, file: F}]`.",
            )
        return cls(scope, scope.chosen_types())

    @classmethod
    def resumed(
        cls, stored: Mapping[str, Any], scope: RecordScope, types: Mapping[str, RecordType]
    ) -> RecordsPart:
        """Return the part that an unsealed run was started with, with the files where they are now.

        One that the configuration does not name any more becomes a gap.
        """
        known = scope.of_intent(stored["files"])
        return cls(known, types or known.chosen_types())

    def open(self, *, required: bool) -> list[str]:  # noqa: ARG002  (a file that is not there is a gap)
        """Return no remarks: there is nobody to shake hands with."""
        return []

    def intent(self) -> dict[str, Any]:
        """Return files and types as the snapshot's intent states them: without their folders."""
        files = [file.as_dict() for file in self.scope.files]
        return {"files": files, "types": list(self.types)}

    def plan(self, run: SnapshotRun, redaction_key: bytes) -> Sequence[UnitTarget]:
        """Return the units to collect."""
        return plan(self.scope, self.types, run, redaction_key)

    def collect(
        self,
        targets: Sequence[UnitTarget],
        run: SnapshotRun,
        on_progress: Callable[[Progress], None],
    ) -> None:
        """Collect the units that are not committed yet."""
        collect(targets, run, on_progress=on_progress)
