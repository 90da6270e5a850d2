"""The Google Cloud engine: collecting the units of a run on any executor.

`collect_unit` is the unit of work: plain data in, a small summary out, evidence written by the
worker. First the contents of a scope are read, page by page; then each resource type finds its
assets there, account by account.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from collectors.gcp.asking import Asker, LiveSource
from collectors.gcp.assets import NotCollected, ScopeAssets
from collectors.gcp.bulk import RESOURCES, BulkQuery, bulk_key, bulk_name, bulk_names, collect_bulk
from collectors.gcp.caller import Told, UnitCaller
from collectors.gcp.catalogue import load_resource_types, redactor_for
from collectors.gcp.index import AssetIndex
from collectors.gcp.opening import OpenedScope, open_scopes
from collectors.gcp.place import place_of
from collectors.gcp.planning import GcpScope, UnitTarget, plan, projects_in
from collectors.gcp.reading import queries_of
from collectors.gcp.spec import ANY_ASSET, GcpResourceType
from collectors.replaying import Inline
from collectors.run_types import kept_types, only_gcp
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
from evidence.redaction import Redactor
from evidence.segments import segment_path
from evidence.snapshot import SnapshotRun
from evidence.units import (
    SEALED,
    WORK,
    UnitKey,
    UnitRecord,
    UnitWriter,
    committed_unit,
    holds_projects,
)

if TYPE_CHECKING:
    from collectors.gcp.session import Session

__all__ = ["GcpScope", "OpenedScope", "UnitTarget", "collect", "open_scopes", "plan"]


class _Worker:
    """What a process keeps between units of one scope: the session, what was read, the types."""

    def __init__(self, target: UnitTarget) -> None:
        self.specs = _types_of_run(target.run_folder)
        self.queries = queries_of(target.scope, self.specs, target.reading)
        self._redactor = _redactor_of(self.specs, target)
        self._settings, self._own = target.settings, target.own
        self._lock = threading.Lock()
        self._session: Session | None = None
        self.assets = assets_of_run(target, self.queries)

    def asker(self) -> Asker:
        """Return what asks; the connection is made when the first bulk unit needs it."""
        from collectors.gcp.capturing import GcpCaptures
        from collectors.gcp.session import Session

        with self._lock:
            if self._session is None:
                self._session = Session(self._settings)
        source = LiveSource(self._session, GcpCaptures(self._own, self._redactor))
        return Asker(source, first_pause=self._settings.first_pause)

    def close(self) -> None:
        """Let go of connections and files."""
        self.assets.close()
        if self._session is not None:
            self._session.close()


def _redactor_of(specs: Mapping[str, GcpResourceType], target: UnitTarget) -> Redactor:
    """Return what takes secrets out: pages hold assets of types that the run leaves out, too."""
    known = load_resource_types(Path(folder) for folder in target.type_folders)
    return redactor_for([*known.values(), *specs.values()], target.redaction_key)


def assets_of_run(target: UnitTarget, queries: Mapping[str, BulkQuery]) -> ScopeAssets:
    """Return what an open run has read of a scope, found by account and type."""
    run = Path(target.run_folder)

    def open_index(name: str) -> AssetIndex | NotCollected:
        key = bulk_key(target.own, name)
        segment, scratch = run / SEALED / segment_path(key.path), run / WORK / "assets"
        record, query = committed_unit(run, key), queries[name]
        return AssetIndex(record, query, segment, scratch, place_of_name=assets.place_named)

    assets = ScopeAssets(target.own, open_index, _projects_of_run(target.run_folder, target.scope))
    return assets


def _projects_of_run(run_folder: str, scope: str) -> dict[str, str]:
    """Return the ids of the projects of a scope by their numbers, as the run's intent has them."""
    intent = orjson.loads((Path(run_folder) / WORK / "snapshot.json").read_bytes())
    return projects_in(intent.get("scope", {}).get("gcp", {}), scope)


@functools.lru_cache(maxsize=1)
def _types_of_run(run_folder: str) -> dict[str, GcpResourceType]:
    """The resource types that a run was started with: read once a process."""
    return only_gcp(kept_types(Path(run_folder)))


_workers: Workers[_Worker] = Workers()


def _worker_of(target: UnitTarget) -> _Worker:
    return _workers.of(target.scope, target.run_folder, lambda: _Worker(target))


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
    worker = _worker_of(target)
    writer = UnitWriter(Path(target.run_folder), target.key)
    if target.bulk:
        return collect_bulk(worker.asker(), worker.queries[target.resource_type], writer)
    spec = worker.specs[target.resource_type]
    caller = UnitCaller(spec, target.account, worker.assets)
    place, told = place_of(target.account), Told(spec)
    return UnitCollector(spec, place, caller, Inline(), writer, second_look=told).collect()


def _commit_gap(target: UnitTarget, outcome: Outcome, detail: str) -> UnitRecord:
    """Commit a unit of which nothing could be read. A bulk unit's gaps are its accounts'."""
    folder = Path(target.run_folder)
    return commit_gap(target.key, folder, outcome, detail, is_counted=not target.bulk)


def collect(
    scopes: Sequence[OpenedScope],
    targets: Sequence[UnitTarget],
    run: SnapshotRun,
    *,
    executor: Executor | None = None,
    units_at_once: int = 8,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> None:
    """Collect the units that are not committed yet, one scope after the other.

    `executor` is any `concurrent.futures` executor; threads by default. Raises StoreError when
    evidence cannot be written; what was committed stays.
    """
    planned = {target.key for target in targets}

    def collected(
        opened: OpenedScope, mine: list[UnitTarget], pool: Executor
    ) -> Iterator[UnitRecord]:
        every = [target for target in targets if target.scope == opened.id]
        waiting = _Waiting(every, mine, set(planned), run)
        return as_they_finish(pool, collect_unit, waiting.first(), waiting.then)

    collect_each(
        scopes,
        targets,
        run,
        collected,
        account_of=lambda target: target.scope,
        forget=_workers.forget,
        executor=executor,
        units_at_once=units_at_once,
        on_progress=on_progress,
    )


class _Waiting:
    """The units of a scope that wait for the bulk units that they are found in.

    When all of these are there, it is known which accounts hold assets that nobody planned for: a
    project that is not among the resources, or a type that lies where it is not looked for.
    """

    def __init__(
        self,
        every: Sequence[UnitTarget],
        left: Sequence[UnitTarget],
        planned: set[UnitKey],
        run: SnapshotRun,
    ) -> None:
        self._every, self._planned, self._run = every, planned, run
        self._bulk = {target.resource_type for target in left if target.bulk}
        self._ready = [target for target in left if target.bulk or target.unread]
        self._left = [target for target in left if not target.bulk and not target.unread]
        self._specs = _types_of_run(str(run.folder))

    def first(self) -> list[UnitTarget]:
        """Return the units that wait for nothing, the bulk units first."""
        first = sorted(self._ready, key=lambda target: not target.bulk)
        return [*first, *self._released()]

    def then(self, record: UnitRecord) -> list[UnitTarget]:
        """Return the units that can begin after one."""
        if record.key.resource_type not in self._bulk:
            return []
        self._bulk.discard(record.key.resource_type)
        return self._released()

    def _released(self) -> list[UnitTarget]:
        ready: list[UnitTarget] = []
        waiting: list[UnitTarget] = []
        for target in self._left:
            needed = bulk_names(self._specs[target.resource_type])
            (ready if self._bulk.isdisjoint(needed) else waiting).append(target)
        self._left = waiting
        return ready if self._bulk else [*ready, *self._unplanned()]

    def _unplanned(self) -> list[UnitTarget]:
        """Return the units of accounts that hold assets and were not planned for."""
        base = next((target for target in self._every if target.bulk), None)
        if base is None:
            return []
        committed, assets = self._run.committed(), _worker_of(base).assets
        planned = {target.account for target in self._every}
        new = {a for a in assets.accounts(RESOURCES) if a not in planned and not holds_projects(a)}
        found = []
        for name, spec in self._specs.items():
            kind = "" if spec.native_type == ANY_ASSET else spec.native_type
            accounts = assets.accounts(bulk_name(spec.listing, name), kind)
            accounts |= new if spec.scope != "organization" else set()
            for account in sorted(accounts):
                target = replace(
                    base,
                    resource_type=name,
                    account=account,
                    bulk=False,
                    unread="",
                    outcome=Outcome.OK,
                )
                if target.key not in self._planned and target.key not in committed:
                    found.append(target)
        return found
