"""The Azure engine: which units there are, and collecting them on any executor.

`collect_unit` is the unit of work: plain data in, a small summary out, evidence written by the
worker. It runs on threads here and would run the same on a process pool or on Dask.
"""

from __future__ import annotations

import functools
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from collectors.azure.actions import needs_of
from collectors.azure.asking import Asker, LiveSource
from collectors.azure.bulk import SUFFIX, BulkRows, bulk_key, bulk_listing, collect_bulk
from collectors.azure.caller import UnitCaller
from collectors.azure.catalogue import load_resource_types, redactor_for, shared_calls
from collectors.azure.clouds import AzureSettings
from collectors.azure.opening import OpenedTenant, open_tenants
from collectors.azure.place import place_of
from collectors.azure.rereading import Rereader
from collectors.azure.session import TenantSession, TenantTarget
from collectors.azure.spec import AzureResourceType
from collectors.capturing import CaptureMaker
from collectors.catalogue import types_in_scope
from collectors.run_types import kept_types, only_azure
from collectors.running import (
    Progress,
    Workers,
    as_they_finish,
    collect_each,
    collect_or_gap,
    commit_gap,
)
from collectors.unit import UnitCollector
from evidence.outcome import Outcome
from evidence.segments import segment_path
from evidence.snapshot import SnapshotRun
from evidence.units import (
    GLOBAL_REGION,
    SEALED,
    UnitKey,
    UnitRecord,
    UnitWriter,
    committed_unit,
)

__all__ = [
    "AzureScope",
    "OpenedTenant",
    "UnitTarget",
    "collect",
    "open_tenants",
    "plan",
]


@dataclass(frozen=True)
class AzureScope:
    """What to read. A tenant without subscriptions means every visible one; no types means all."""

    tenants: tuple[TenantTarget, ...] = (TenantTarget(),)
    types: tuple[str, ...] = ()
    exclude_types: tuple[str, ...] = ()
    type_folders: tuple[str, ...] = ()
    settings: AzureSettings = field(default_factory=AzureSettings)
    threads: int = 32
    units_at_once: int = 12

    def chosen_types(self) -> dict[str, AzureResourceType]:
        """Return the resource types in scope. Raises UsageError for a name that is none."""
        known = load_resource_types(Path(folder) for folder in self.type_folders)
        return types_in_scope(known, self.types, self.exclude_types)


@dataclass(frozen=True)
class UnitTarget:
    """Everything that a worker needs to collect one unit: plain data.

    `account` is the subscription or the tenant. `bulk` marks the unit that holds a type's pages of
    Resource Graph, for the `subscriptions` that it names (none: the whole tenant).
    """

    tenant: TenantTarget
    tenant_id: str
    account: str
    resource_type: str
    run_folder: str
    redaction_key: bytes
    settings: AzureSettings
    threads: int
    bulk: bool = False
    subscriptions: tuple[str, ...] = ()
    unread: str = ""
    outcome: Outcome = Outcome.OK

    @property
    def key(self) -> UnitKey:
        """The key of the unit."""
        if self.bulk:
            return bulk_key(self.tenant_id, self.resource_type)
        return UnitKey("azure", self.account, GLOBAL_REGION, self.resource_type)


class _Worker:
    """What a process keeps between units of one tenant: session, asker, item threads."""

    def __init__(self, target: UnitTarget) -> None:
        self.specs = _types_of_run(target.run_folder)
        self.session = TenantSession(target.tenant, target.settings)
        self._redactor = redactor_for(self.specs.values(), target.redaction_key)
        self._shared = shared_calls(self.specs.values())
        self._askers: dict[str, Asker] = {}
        self._rows: dict[str, BulkRows] = {}
        self._lock = threading.Lock()
        self.threads = ThreadPoolExecutor(target.threads, thread_name_prefix="item")

    def asker(self, account: str) -> Asker:
        """Return what asks for a subscription, or for the tenant: captures name whose they are."""
        with self._lock:
            if account not in self._askers:
                source = LiveSource(self.session, CaptureMaker("azure", account, self._redactor))
                self._askers[account] = Asker(source, self._shared)
            return self._askers[account]

    def rows(self, target: UnitTarget) -> BulkRows:
        """Return the committed pages of a type."""
        with self._lock:
            name = target.resource_type
            if name not in self._rows:
                self._rows[name] = _bulk_rows(target)
            return self._rows[name]

    def close(self) -> None:
        """Let go of threads and connections."""
        self.threads.shutdown(wait=False, cancel_futures=True)
        self.session.close()


def _bulk_rows(target: UnitTarget) -> BulkRows:
    run, key = Path(target.run_folder), bulk_key(target.tenant_id, target.resource_type)
    return BulkRows(committed_unit(run, key), run / SEALED / segment_path(key.path))


@functools.lru_cache(maxsize=1)
def _types_of_run(run_folder: str) -> dict[str, AzureResourceType]:
    """The resource types that a run was started with: read once a process."""
    return only_azure(kept_types(Path(run_folder)))


_workers: Workers[_Worker] = Workers()


def collect_unit(target: UnitTarget) -> UnitRecord:
    """Collect one unit and commit it. Only a store that cannot be written raises (StoreError).

    Any other error is this unit's gap: it must not stop the rest.
    """
    if target.unread:
        return _commit_gap(target, target.outcome, target.unread)

    def gap(detail: str) -> UnitRecord:
        return _commit_gap(target, Outcome.ERROR, detail)

    return collect_or_gap(lambda: _collected_unit(target), gap, target.redaction_key)


def _collected_unit(target: UnitTarget) -> UnitRecord:
    key = (target.tenant, target.run_folder)
    worker = _workers.of(target.tenant_id, key, lambda: _Worker(target))
    spec = worker.specs[target.resource_type]
    writer = UnitWriter(Path(target.run_folder), target.key)
    asker = worker.asker(target.account)
    if target.bulk:
        needs = needs_of(spec)[id(spec.listing)]
        return collect_bulk(asker, spec, target.subscriptions, needs, writer)
    place = place_of(target.account, target.settings.cloud)
    subscription = target.account if spec.scope == "subscription" else None
    caller = UnitCaller(spec, asker, subscription, lambda: worker.rows(target))
    again = None
    if spec.reread is not None and target.settings.reread:
        again = Rereader(spec, place, caller, worker.threads)
    collector = UnitCollector(spec, place, caller, worker.threads, writer, second_look=again)
    return collector.collect()


def _commit_gap(target: UnitTarget, outcome: Outcome, detail: str) -> UnitRecord:
    """Commit a unit of which nothing could be read. A bulk unit's gaps are its subscriptions'."""
    folder = Path(target.run_folder)
    return commit_gap(target.key, folder, outcome, detail, is_counted=not target.bulk)


def plan(
    tenants: Sequence[OpenedTenant],
    scope: AzureScope,
    types: dict[str, AzureResourceType],
    run: SnapshotRun,
    redaction_key: bytes,
) -> list[UnitTarget]:
    """Return the units of a run, tenant by tenant. The run keeps its types (`keep_types`)."""
    return [
        UnitTarget(
            tenant.target,
            tenant.id,
            account,
            name,
            str(run.folder),
            redaction_key,
            scope.settings,
            scope.threads,
            **more,
        )
        for tenant in tenants
        for name, spec in types.items()
        for account, more in _accounts_of(spec, tenant)
    ]


def _accounts_of(
    spec: AzureResourceType, tenant: OpenedTenant
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the accounts in which a type is read, the bulk unit first."""
    failed: dict[str, Any] = {}
    if tenant.failure is not None:
        why = f"the tenant could not be opened: {tenant.failure.what}"
        failed = {"unread": why, "outcome": Outcome.DENIED}
    of_tenant = spec.scope == "tenant"
    asked = () if of_tenant else tenant.readable
    if bulk_listing(spec) is not None and not failed and (of_tenant or asked):
        yield tenant.id, {"bulk": True, "subscriptions": asked}
    if of_tenant:
        yield tenant.id, failed
        return
    if not tenant.subscriptions:
        none = {"unread": "the credentials see no subscription", "outcome": Outcome.DENIED}
        yield tenant.id, failed or none
    for item in tenant.subscriptions:
        unread = {"unread": item.unread, "outcome": item.outcome} if item.unread else {}
        yield item.id, failed or unread


def collect(
    tenants: Sequence[OpenedTenant],
    targets: Sequence[UnitTarget],
    run: SnapshotRun,
    *,
    executor: Executor | None = None,
    units_at_once: int = 12,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> None:
    """Collect the units that are not committed yet, one tenant after the other.

    `executor` is any `concurrent.futures` executor; threads by default. Raises StoreError when
    evidence cannot be written; what was committed stays.
    """
    collect_each(
        tenants,
        targets,
        run,
        _collected,
        account_of=lambda target: target.tenant_id,
        forget=_workers.forget,
        executor=executor,
        units_at_once=units_at_once,
        on_progress=on_progress,
    )


def _collected(
    _tenant: OpenedTenant, targets: Sequence[UnitTarget], pool: Executor
) -> Iterator[UnitRecord]:
    """Yield the units as they are done; what rests on a bulk unit begins when that is committed."""
    bulk = {target.resource_type for target in targets if target.bulk}
    later: dict[str, list[UnitTarget]] = defaultdict(list)
    for target in targets:
        if not target.bulk and target.resource_type in bulk and not target.unread:
            later[target.resource_type].append(target)
    first = [t for t in targets if t.bulk or t.unread or t.resource_type not in bulk]
    first.sort(key=lambda target: not target.bulk)

    def then(record: UnitRecord) -> list[UnitTarget]:
        name = record.key.resource_type
        return later.pop(name.removesuffix(SUFFIX), []) if name.endswith(SUFFIX) else []

    return as_they_finish(pool, collect_unit, first, then)


def scope_as_dict(scope: AzureScope, tenants: Sequence[OpenedTenant]) -> dict[str, Any]:
    """Return what the snapshot's intent says of Azure: plain JSON data, without secrets."""
    return {
        "cloud": scope.settings.cloud,
        "reread": scope.settings.reread,
        "exclude_types": list(scope.exclude_types),
        "tenants": [
            {
                "id": tenant.id,
                "name": tenant.target.name,
                "credential": asdict(tenant.target.credential),
                "subscriptions": [
                    {"id": item.id, "name": item.name, "unread": item.unread}
                    for item in tenant.subscriptions
                ],
            }
            for tenant in tenants
        ],
    }
