"""A run of collecting, from the configuration to a sealed snapshot."""

from __future__ import annotations

import datetime
import secrets
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditpack import __version__
from auditpack.signing import redaction_key
from collectors.aws.engine import (
    AwsScope,
    OpenedAccount,
    Progress,
    UnitTarget,
    collect,
    open_accounts,
    plan,
)
from collectors.aws.place import home_region
from collectors.aws.run_types import kept_types
from collectors.aws.session import AccountTarget, check_regions
from evidence.errors import AuditpackError, UsageError
from evidence.snapshot import Snapshot, SnapshotRun

if TYPE_CHECKING:
    from auditpack.options import Context


@dataclass(frozen=True)
class CollectSummary:
    """What a run of collecting brought in."""

    snapshot: str
    folder: Path
    resources: int
    units: int
    calls: int
    records: int
    gaps: dict[str, int]
    redactions: int
    seconds: float
    accounts: list[str]
    regions: list[str]

    def as_dict(self) -> dict[str, Any]:
        """Return the summary as plain JSON data."""
        return {**asdict(self), "folder": str(self.folder), "seconds": round(self.seconds, 2)}


def collect_snapshot(context: Context, *, resume: bool = False) -> CollectSummary:
    """Collect what the configuration names, seal it, and say what came in.

    With `resume`, the newest unsealed run goes on; its own scope counts. Raises AuditpackError
    when nothing can be read at all, or the store cannot be written.
    """
    began = time.monotonic()
    scope = context.config.aws_scope(context.type_folders)
    check_regions(list(scope.regions))
    types = scope.chosen_types()
    sealer = context.sealer()
    store = context.store(create=True)
    sealer.begin(store)
    run = SnapshotRun.resume(store) if resume else None
    try:
        if run is not None:
            scope = _scope_of(run, scope)
            types = kept_types(run.folder) or scope.chosen_types()
        accounts = open_accounts(scope)
        for account in accounts:
            _remark(context, account)
        if run is None:
            intent = _intent(context, scope, accounts, list(types))
            run = SnapshotRun.start(store, _new_id(), intent)
        targets = plan(accounts, scope, types, run, redaction_key(context.config))
        _read(context, accounts, targets, run, scope.units_at_once)
        schemas = [spec.table_schema() for spec in types.values()]
        context.output.remark("Sealing the snapshot ...")
        folder = run.seal(schemas, _now(), sealer)
    finally:
        if run is not None:
            run.release()
    return _summary(Snapshot.open(store, run.id), folder, time.monotonic() - began)


def _read(
    context: Context,
    accounts: Sequence[OpenedAccount],
    targets: Sequence[UnitTarget],
    run: SnapshotRun,
    units_at_once: int,
) -> None:
    """Collect the units that are not committed yet, showing progress."""
    began = time.monotonic()
    with context.output.progress("Reading AWS") as bar:
        task = bar.add_task("Reading AWS", total=len(targets), detail="") if bar else None
        found = _Counter()

        def advance(progress: Progress) -> None:
            found.resources += progress.unit.resources
            found.calls += sum(progress.unit.calls.values())
            if bar is not None and task is not None:
                rate = found.calls / max(time.monotonic() - began, 0.001)
                detail = f"{found.resources} resources, {found.calls} calls, {rate:.0f}/s"
                bar.update(task, completed=progress.done, total=progress.total, detail=detail)

        try:
            collect(accounts, targets, run, units_at_once=units_at_once, on_progress=advance)
        except KeyboardInterrupt:
            raise InterruptedRunError(
                f"interrupted: {len(run.committed())} of {len(targets)} units are kept,"
                " the snapshot is incomplete and the store is valid",
                where=str(run.folder),
                mend="Run `auditpack collect --resume` to go on.",
            ) from None


class InterruptedRunError(AuditpackError):
    """Somebody stopped the run (Ctrl-C, SIGTERM); what was committed is kept."""

    exit_code = 130


@dataclass
class _Counter:
    resources: int = 0
    calls: int = 0


def _summary(snapshot: Snapshot, folder: Path, seconds: float) -> CollectSummary:
    units = snapshot.units
    return CollectSummary(
        snapshot.id,
        folder,
        sum(unit.resources for unit in units),
        len(units),
        sum(sum(unit.calls.values()) for unit in units),
        int(snapshot.predicate["merkle_tree"]["size"]),
        dict(snapshot.predicate["gaps"]),
        int(snapshot.predicate["redactions"]),
        seconds,
        sorted({unit.key.account for unit in units}),
        sorted({unit.key.region for unit in units} - {"global"}),
    )


def _remark(context: Context, account: OpenedAccount) -> None:
    for remark in account.remarks:
        context.output.warn(f"account {account.id}: {remark}")
    if account.failure is not None:
        context.output.warn(
            f"account {account.id} could not be opened and becomes a gap: {account.failure.what}"
        )


def _intent(
    context: Context, scope: AwsScope, accounts: Sequence[OpenedAccount], types: list[str]
) -> dict[str, Any]:
    """What the run sets out to do: written before the first call, sealed with the result."""
    return {
        "organisation": context.config.organisation,
        "started": _now(),
        "tool": f"auditpack {__version__}",
        "scope": {
            **scope.as_dict(),
            "provider": "aws",
            "types": types,
            "accounts": [
                {
                    **asdict(account.target),
                    "id": account.id,
                    "regions": list(account.regions),
                    "partition": account.partition,
                    "home_region": home_region(account.partition, scope.settings.default_region),
                }
                for account in accounts
            ],
        },
    }


def _scope_of(run: SnapshotRun, configured: AwsScope) -> AwsScope:
    """Return the scope that an unsealed run was started with, with the present settings."""
    stored = run.intent["scope"]
    accounts = []
    for account in stored["accounts"]:
        known = {name: value for name, value in account.items() if name in _TARGET_FIELDS}
        accounts.append(AccountTarget(**{**known, "id": _real_id(known["id"])}))
    regions = sorted({region for account in stored["accounts"] for region in account["regions"]})
    if not accounts:
        raise UsageError("the unsealed run names no account", where=run.id)
    return AwsScope(
        accounts=tuple(accounts),
        regions=tuple(regions),
        types=tuple(stored["types"]),
        type_folders=configured.type_folders,
        settings=configured.settings,
        threads=configured.threads,
    )


_TARGET_FIELDS = frozenset(field.name for field in fields(AccountTarget))


def _real_id(account: str) -> str:
    return account if account.isdigit() else ""


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _new_id() -> str:
    moment = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    return f"{moment}-{secrets.token_hex(3)}"
