"""A run of collecting, from the configuration to a sealed snapshot, of one provider or of all."""

from __future__ import annotations

import datetime
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditpack import __version__
from auditpack.collecting.part import Part
from auditpack.signing import redaction_key
from evidence.errors import AuditpackError, UsageError
from evidence.snapshot import Snapshot, SnapshotRun

if TYPE_CHECKING:
    from auditpack.options import Context
    from collectors.running import Progress


@dataclass(frozen=True)
class CollectSummary:
    """What a run of collecting brought in.

    `read_time` is the one time that Google Cloud was read at; `undescribed` counts its assets of
    types that no file describes: they are kept as evidence.
    """

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
    read_time: str = ""
    undescribed: dict[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the summary as plain JSON data."""
        return {**asdict(self), "folder": str(self.folder), "seconds": round(self.seconds, 2)}


def collect_snapshot(
    context: Context, *, resume: bool = False, providers: Sequence[str] = ()
) -> CollectSummary:
    """Collect what the configuration names, seal it, and say what came in.

    `providers` are those to read; none means every one that the configuration names. With `resume`,
    the newest unsealed run goes on; its own scope counts. Raises AuditpackError when nothing can be
    read at all, or the store cannot be written.
    """
    began = time.monotonic()
    names = tuple(providers) or context.config.providers()
    if not resume:
        _check_one_time(context, names)
    parts = {} if resume else {name: _CONFIGURED[name](context) for name in names}
    sealer = context.sealer()
    store = context.store(create=True)
    sealer.begin(store)
    run = SnapshotRun.resume(store) if resume else None
    try:
        if run is not None:
            parts = _parts_of(run, context)
        _open(context, parts)
        if run is None:
            run = SnapshotRun.start(store, _new_id(), _intent(context, parts))
        _keep_types(run, parts)
        key = redaction_key(context.config)
        for part in parts.values():
            _read(context, part, part.plan(run, key), run)
        schemas = [spec.table_schema() for part in parts.values() for spec in part.types.values()]
        context.output.remark("Sealing the snapshot ...")
        folder = run.seal(schemas, _now(), sealer)
    finally:
        if run is not None:
            run.release()
    snapshot = Snapshot.open(store, run.id)
    return _summary(context, snapshot, folder, time.monotonic() - began)


def _aws(context: Context) -> Part:
    from auditpack.collecting.aws import AwsPart

    return AwsPart.configured(context.config.aws_scope(context.type_folders))


def _azure(context: Context) -> Part:
    from auditpack.collecting.azure import AzurePart

    return AzurePart.configured(context.config.azure_scope(context.type_folders))


def _gcp(context: Context) -> Part:
    from auditpack.collecting.gcp import GcpPart
    from collectors.gcp.moments import read_time_of

    gcp, now = context.config.gcp, datetime.datetime.now(datetime.UTC)
    read_time = read_time_of(gcp.as_of if gcp is not None else None, now)
    scope = context.config.gcp_scope(context.type_folders, read_time=read_time)
    return GcpPart.configured(scope)


def _records(context: Context) -> Part:
    from auditpack.collecting.records import RecordsPart

    return RecordsPart.configured(context.config.record_scope(context.type_folders))


_CONFIGURED = {"aws": _aws, "azure": _azure, "gcp": _gcp, "records": _records}


def _check_one_time(context: Context, providers: Sequence[str]) -> None:
    """Check that all that is read can be read as of the time that is asked for."""
    gcp = context.config.gcp
    others = [name for name in providers if name != "gcp"]
    if gcp is not None and gcp.as_of is not None and "gcp" in providers and others:
        raise UsageError(
            f"only Google Cloud can be read as of an earlier time, not {', '.join(others)}",
            where="as of",
            mend="Add --provider gcp.",
        )


def _open(context: Context, parts: Mapping[str, Part]) -> None:
    """Open every part. With several, one that cannot be opened becomes gaps of the snapshot."""
    for part in parts.values():
        for remark in part.open(required=len(parts) == 1):
            context.output.warn(remark)


def _keep_types(run: SnapshotRun, parts: Mapping[str, Part]) -> None:
    from collectors.run_types import keep_types

    keep_types(run.folder, [spec for part in parts.values() for spec in part.types.values()])


def _read(context: Context, part: Part, targets: Sequence[Any], run: SnapshotRun) -> None:
    """Collect the units that are not committed yet, showing progress."""
    began = time.monotonic()
    title = f"Reading {part.title}"
    with context.output.progress(title) as bar:
        task = bar.add_task(title, total=len(targets), detail="") if bar else None
        found = _Counter()

        def advance(progress: Progress) -> None:
            found.resources += progress.unit.resources
            found.calls += sum(progress.unit.calls.values())
            if bar is not None and task is not None:
                rate = found.calls / max(time.monotonic() - began, 0.001)
                detail = f"{found.resources} resources, {found.calls} calls, {rate:.0f}/s"
                bar.update(task, completed=progress.done, total=progress.total, detail=detail)

        try:
            part.collect(targets, run, advance)
        except KeyboardInterrupt:
            kept = len(run.committed())
            raise InterruptedRunError(
                f"interrupted while {title[0].lower()}{title[1:]}: {kept} units are kept,"
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


def _summary(context: Context, snapshot: Snapshot, folder: Path, seconds: float) -> CollectSummary:
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
        str(snapshot.predicate["intent"]["scope"].get("gcp", {}).get("read_time", "")),
        _undescribed(context, snapshot),
    )


def _undescribed(context: Context, snapshot: Snapshot) -> dict[str, int]:
    """Count the assets whose types no resource type describes, by type."""
    counted = [unit.kinds for unit in snapshot.units if unit.kinds]
    if not counted:
        return {}
    from collectors.gcp.planning import undescribed

    return undescribed(snapshot.units, context.type_folders)


def _intent(context: Context, parts: Mapping[str, Part]) -> dict[str, Any]:
    """What the run sets out to do: written before the first call, sealed with the result.

    What is said of AWS stands in the scope itself, what is said of another provider below its name.
    `as_of` is there where all is read as of an earlier time.
    """
    scope: dict[str, Any] = {"accounts": [], "regions": [], "types": [], "exclude_types": []}
    for name, part in parts.items():
        scope.update(part.intent() if name == "aws" else {name: part.intent()})
    gcp = scope.get("gcp", {})
    as_of = {"as_of": gcp["read_time"]} if gcp.get("as_of") else {}
    return {
        "organisation": context.config.organisation,
        "started": _now(),
        **as_of,
        "tool": f"auditpack {__version__}",
        "scope": {**scope, "provider": ",".join(parts)},
    }


def _parts_of(run: SnapshotRun, context: Context) -> dict[str, Part]:
    """Return the parts that an unsealed run was started with, with the present settings."""
    from collectors.run_types import kept_types, only_aws, only_azure, only_gcp, only_records

    scope, types = run.intent["scope"], kept_types(run.folder)
    parts: dict[str, Part] = {}
    if scope["accounts"]:
        from auditpack.collecting.aws import AwsPart

        aws = context.config.aws_scope(context.type_folders)
        parts["aws"] = AwsPart.resumed(scope, aws, only_aws(types))
    if "azure" in scope:
        from auditpack.collecting.azure import AzurePart

        azure = context.config.azure_scope(context.type_folders)
        parts["azure"] = AzurePart.resumed(scope["azure"], azure, only_azure(types))
    if "gcp" in scope:
        from auditpack.collecting.gcp import GcpPart

        gcp = context.config.gcp_scope(context.type_folders)
        parts["gcp"] = GcpPart.resumed(scope["gcp"], gcp, only_gcp(types))
    if "records" in scope:
        from auditpack.collecting.records import RecordsPart

        records = context.config.record_scope(context.type_folders)
        parts["records"] = RecordsPart.resumed(scope["records"], records, only_records(types))
    if not parts:
        raise UsageError("the unsealed run names no account", where=run.id)
    return parts


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _new_id() -> str:
    moment = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    return f"{moment}-{secrets.token_hex(3)}"
