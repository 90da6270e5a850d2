"""What a run of collecting asks of each provider: one `Part` a provider, behind one interface."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from collectors.run_types import AnyResourceType
from collectors.running import Progress
from evidence.snapshot import SnapshotRun


class Part(Protocol):
    """One provider's part in a run."""

    title: str
    """What people call the provider."""

    @property
    def types(self) -> Mapping[str, AnyResourceType]:
        """The resource types in scope."""

    def open(self, *, required: bool) -> list[str]:
        """Make the first handshakes; return remarks.

        With `required`, raises the first failure when nothing can be opened; without, that becomes
        gaps.
        """

    def intent(self) -> dict[str, Any]:
        """Return the part's scope as the snapshot's intent states it."""

    def plan(self, run: SnapshotRun, redaction_key: bytes) -> Sequence[Any]:
        """Return the units to collect."""

    def collect(
        self, targets: Sequence[Any], run: SnapshotRun, on_progress: Callable[[Progress], None]
    ) -> None:
        """Collect the units that are not committed yet."""
