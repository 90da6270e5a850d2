"""The Azure part of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from collectors.azure.credentials import CredentialTarget
from collectors.azure.engine import (
    AzureScope,
    OpenedTenant,
    UnitTarget,
    collect,
    open_tenants,
    plan,
    scope_as_dict,
)
from collectors.azure.session import TenantTarget
from collectors.azure.spec import AzureResourceType
from collectors.running import Progress
from evidence.snapshot import SnapshotRun


@dataclass
class AzurePart:
    """What a run reads in Azure and Entra ID."""

    scope: AzureScope
    types: Mapping[str, AzureResourceType]
    tenants: list[OpenedTenant] = field(default_factory=list)
    title: str = "Azure"

    @classmethod
    def configured(cls, scope: AzureScope) -> AzurePart:
        """Return the part that the configuration names. Raises UsageError."""
        return cls(scope, scope.chosen_types())

    @classmethod
    def resumed(
        cls, stored: Mapping[str, Any], scope: AzureScope, types: Mapping[str, AzureResourceType]
    ) -> AzurePart:
        """Return the part that an unsealed run was started with, with the present settings."""
        known = _scope_of(stored, scope)
        return cls(known, types or known.chosen_types())

    def open(self, *, required: bool) -> list[str]:
        """Open the tenants; return remarks."""
        self.tenants = open_tenants(self.scope.tenants, self.scope.settings, required=required)
        return [remark for tenant in self.tenants for remark in _remarks(tenant)]

    def intent(self) -> dict[str, Any]:
        """Return tenants, subscriptions and types as the snapshot's intent states them."""
        return {**scope_as_dict(self.scope, self.tenants), "types": list(self.types)}

    def plan(self, run: SnapshotRun, redaction_key: bytes) -> Sequence[UnitTarget]:
        """Return the units to collect."""
        return plan(self.tenants, self.scope, dict(self.types), run, redaction_key)

    def collect(
        self,
        targets: Sequence[UnitTarget],
        run: SnapshotRun,
        on_progress: Callable[[Progress], None],
    ) -> None:
        """Collect the units that are not committed yet."""
        at_once = self.scope.units_at_once
        collect(self.tenants, targets, run, units_at_once=at_once, on_progress=on_progress)


def _remarks(tenant: OpenedTenant) -> list[str]:
    found = [f"tenant {tenant.id}: {remark}" for remark in tenant.remarks]
    if tenant.failure is not None:
        found.append(
            f"tenant {tenant.id} could not be opened and becomes a gap: {tenant.failure.what}"
        )
    return found


def _scope_of(stored: Mapping[str, Any], configured: AzureScope) -> AzureScope:
    tenants = tuple(
        TenantTarget(
            tenant["id"],
            tenant["name"],
            tuple(item["id"] for item in tenant["subscriptions"]),
            CredentialTarget(**tenant["credential"]),
        )
        for tenant in stored["tenants"]
    )
    return replace(
        configured,
        tenants=tenants,
        types=tuple(stored["types"]),
        exclude_types=(),
        settings=replace(configured.settings, cloud=stored["cloud"], reread=bool(stored["reread"])),
    )
