"""The Google Cloud part of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from collectors.gcp.engine import (
    GcpScope,
    OpenedScope,
    UnitTarget,
    collect,
    open_scopes,
    plan,
)
from collectors.gcp.opening import UNKNOWN
from collectors.gcp.planning import scope_as_dict
from collectors.gcp.reading import Reading
from collectors.gcp.spec import GcpResourceType
from collectors.running import Progress
from evidence.snapshot import SnapshotRun


@dataclass
class GcpPart:
    """What a run reads in Google Cloud."""

    scope: GcpScope
    types: Mapping[str, GcpResourceType]
    scopes: list[OpenedScope] = field(default_factory=list)
    title: str = "Google Cloud"

    @classmethod
    def configured(cls, scope: GcpScope) -> GcpPart:
        """Return the part that the configuration names. Raises UsageError."""
        return cls(scope, scope.chosen_types())

    @classmethod
    def resumed(
        cls, stored: Mapping[str, Any], scope: GcpScope, types: Mapping[str, GcpResourceType]
    ) -> GcpPart:
        """Return the part that an unsealed run was started with, with the present settings.

        It goes on reading at the time that it was started with.
        """
        reading = Reading.from_dict(stored)
        known = replace(
            scope,
            scopes=tuple(item["id"] for item in stored["scopes"] if item["id"] != UNKNOWN),
            types=tuple(stored["types"]),
            exclude_types=(),
            reading=reading,
            settings=replace(scope.settings, page_size=reading.page_size),
        )
        return cls(known, types or known.chosen_types())

    def open(self, *, required: bool) -> list[str]:
        """Open the scopes; return remarks."""
        read_time = self.scope.reading.read_time
        self.scopes = open_scopes(
            self.scope.scopes, self.scope.settings, read_time, required=required
        )
        return [remark for scope in self.scopes for remark in _remarks(scope)]

    def intent(self) -> dict[str, Any]:
        """Return scopes, projects, types and time as the snapshot's intent states them."""
        return {**scope_as_dict(self.scope, self.scopes), "types": list(self.types)}

    def plan(self, run: SnapshotRun, redaction_key: bytes) -> Sequence[UnitTarget]:
        """Return the units to collect."""
        return plan(self.scopes, self.scope, self.types, run, redaction_key)

    def collect(
        self,
        targets: Sequence[UnitTarget],
        run: SnapshotRun,
        on_progress: Callable[[Progress], None],
    ) -> None:
        """Collect the units that are not committed yet."""
        at_once = self.scope.units_at_once
        collect(self.scopes, targets, run, units_at_once=at_once, on_progress=on_progress)


def _remarks(scope: OpenedScope) -> list[str]:
    found = [f"{scope.id}: {remark}" for remark in scope.remarks]
    if scope.failure is not None:
        found.append(f"{scope.id} could not be opened and becomes a gap: {scope.failure.what}")
    return found
