"""The AWS engine: which units there are, and collecting them on any executor.

`collect_unit` is the unit of work: plain data in, a small summary out, evidence written by the
worker. It runs on threads here and would run the same on a process pool or on Dask.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from collectors.aws.caller import Caller
from collectors.aws.catalogue import load_resource_types, redactor_for, shared_calls
from collectors.aws.handlers import handler_of
from collectors.aws.live import LiveSource
from collectors.aws.place import home_region, place_of
from collectors.aws.session import AccountSession, AccountTarget, ClientSettings
from collectors.aws.spec import AwsResourceType
from collectors.catalogue import types_in_scope
from collectors.run_types import kept_types, only_aws
from collectors.running import (
    Progress,
    Workers,
    as_they_finish,
    collect_each,
    collect_or_gap,
    commit_gap,
)
from collectors.unit import UnitCollector
from evidence.errors import AuditpackError, UsageError
from evidence.outcome import Outcome
from evidence.snapshot import SnapshotRun
from evidence.units import GLOBAL_REGION, UnitKey, UnitRecord, UnitWriter

_UNKNOWN_REGION = "every-region"


@dataclass(frozen=True)
class AwsScope:
    """What to read. No regions means every enabled one, no types means all."""

    accounts: tuple[AccountTarget, ...] = (AccountTarget(),)
    regions: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    exclude_types: tuple[str, ...] = ()
    type_folders: tuple[str, ...] = ()
    settings: ClientSettings = field(default_factory=ClientSettings)
    threads: int = 32
    units_at_once: int = 12

    def as_dict(self) -> dict[str, Any]:
        """Return the scope as plain JSON data, for the snapshot's intent."""
        return {
            "accounts": [asdict(account) for account in self.accounts],
            "regions": list(self.regions),
            "types": list(self.types),
            "exclude_types": list(self.exclude_types),
        }

    def chosen_types(self) -> dict[str, AwsResourceType]:
        """Return the resource types in scope. Raises UsageError for a name that is none."""
        known = load_resource_types(Path(folder) for folder in self.type_folders)
        return types_in_scope(known, self.types, self.exclude_types)


@dataclass(frozen=True)
class UnitTarget:
    """Everything that a worker needs to collect one unit: plain data."""

    account: AccountTarget
    account_id: str
    partition: str
    resource_type: str
    region: str
    run_folder: str
    redaction_key: bytes
    settings: ClientSettings
    threads: int

    @property
    def key(self) -> UnitKey:
        """The key of the unit."""
        return UnitKey("aws", self.account_id, self.region, self.resource_type)


class _Worker:
    """What a process keeps between units of one account: session, caller, item threads."""

    def __init__(self, target: UnitTarget) -> None:
        self.specs = _types_of_run(target.run_folder)
        session = AccountSession(target.account, target.settings)
        session.account, session.partition = target.account_id, target.partition
        redactor = redactor_for(self.specs.values(), target.redaction_key)
        source = LiveSource(session, redactor)
        self.caller = Caller(source, shared_calls(self.specs.values()))
        self.threads = ThreadPoolExecutor(target.threads, thread_name_prefix="item")

    def close(self) -> None:
        """Let go of the items' threads."""
        self.threads.shutdown(wait=False, cancel_futures=True)


@functools.lru_cache(maxsize=1)
def _types_of_run(run_folder: str) -> dict[str, AwsResourceType]:
    """The resource types that a run was started with: read once a process, not once an account."""
    return only_aws(kept_types(Path(run_folder)))


_workers: Workers[_Worker] = Workers()


def collect_unit(target: UnitTarget) -> UnitRecord:
    """Collect one unit and commit it. Only a store that cannot be written raises (StoreError).

    Any other error is this unit's gap: it must not stop the rest.
    """

    def gap(detail: str) -> UnitRecord:
        return commit_gap(target.key, Path(target.run_folder), Outcome.ERROR, detail)

    return collect_or_gap(lambda: _collected_unit(target), gap, target.redaction_key)


def _collected_unit(target: UnitTarget) -> UnitRecord:
    key = (target.account, target.run_folder)
    worker = _workers.of(target.account_id, key, lambda: _Worker(target))
    spec = worker.specs[target.resource_type]
    home = home_region(target.partition, target.settings.default_region)
    place = place_of(spec, target.key, target.partition, home)
    writer = UnitWriter(Path(target.run_folder), target.key)
    handler = handler_of(spec.handler, worker.caller)
    collector = UnitCollector(spec, place, worker.caller, worker.threads, writer, handler)
    return collector.collect()


@dataclass(frozen=True)
class OpenedAccount:
    """An account after the first handshake: its id, its regions, and why not, if not."""

    target: AccountTarget
    id: str
    partition: str
    regions: tuple[str, ...]
    remarks: tuple[str, ...] = ()
    failure: AuditpackError | None = None


def open_account(target: AccountTarget, scope: AwsScope) -> OpenedAccount:
    """Find out whose the credentials are and which regions there are.

    An account that cannot be opened is returned with its failure, not raised.
    """
    try:
        session = AccountSession(target, scope.settings)
        remark = session.identify()
    except AuditpackError as error:
        name = target.id or _account_in(target.role_arn) or target.name or "unknown"
        return OpenedAccount(target, name, "aws", scope.regions, failure=error)
    remarks = [remark] if remark else []
    regions = list(scope.regions)
    if not regions:
        regions, remark = session.enabled_regions()
        remarks.extend([remark] if remark else [])
    return OpenedAccount(target, session.account, session.partition, tuple(regions), tuple(remarks))


def _account_in(role_arn: str) -> str:
    parts = role_arn.split(":")
    return parts[4] if len(parts) > 4 else ""


def open_accounts(scope: AwsScope, *, required: bool = True) -> list[OpenedAccount]:
    """Open every account of the scope.

    With `required`, raises the first failure when none can be opened.
    """
    with ThreadPoolExecutor(min(16, len(scope.accounts))) as threads:
        opened = list(threads.map(lambda target: open_account(target, scope), scope.accounts))
    failures = [account.failure for account in opened if account.failure is not None]
    if required and failures and len(failures) == len(opened):
        raise failures[0]
    seen: set[str] = set()
    for account in opened:
        if account.id in seen:
            raise UsageError(
                f"account {account.id} is there twice",
                where="aws.accounts",
                mend="Name each account once; two roles of one account are one account.",
            )
        seen.add(account.id)
    return opened


def plan(
    accounts: Sequence[OpenedAccount],
    scope: AwsScope,
    types: dict[str, AwsResourceType],
    run: SnapshotRun,
    redaction_key: bytes,
) -> list[UnitTarget]:
    """Return the units of a run, account by account. The run keeps its types (`keep_types`)."""
    return [
        UnitTarget(
            account.target,
            account.id,
            account.partition,
            name,
            region,
            str(run.folder),
            redaction_key,
            scope.settings,
            scope.threads,
        )
        for account in accounts
        for name, spec in types.items()
        for region in _regions_of(spec, account)
    ]


def _regions_of(spec: AwsResourceType, account: OpenedAccount) -> tuple[str, ...]:
    if spec.scope == "global":
        return (GLOBAL_REGION,)
    return account.regions or (_UNKNOWN_REGION,)


def collect(
    accounts: Sequence[OpenedAccount],
    targets: Sequence[UnitTarget],
    run: SnapshotRun,
    *,
    executor: Executor | None = None,
    units_at_once: int = 12,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> None:
    """Collect the units that are not committed yet, one account after the other.

    `executor` is any `concurrent.futures` executor; threads by default. Raises StoreError when
    evidence cannot be written; what was committed stays.
    """
    collect_each(
        accounts,
        targets,
        run,
        _collected,
        account_of=lambda target: target.account_id,
        forget=_workers.forget,
        executor=executor,
        units_at_once=units_at_once,
        on_progress=on_progress,
    )


def _collected(
    account: OpenedAccount, targets: Sequence[UnitTarget], pool: Executor
) -> Iterable[UnitRecord]:
    if account.failure is not None:
        detail = f"the account could not be opened: {account.failure.what}"
        for target in targets:
            yield commit_gap(target.key, Path(target.run_folder), Outcome.DENIED, detail)
        return
    yield from as_they_finish(pool, collect_unit, targets)
