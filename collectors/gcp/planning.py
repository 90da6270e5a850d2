"""What a run of Google Cloud sets out to do: its scope, and the units that follow from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from collectors.catalogue import types_in_scope
from collectors.gcp.bulk import RESOURCES
from collectors.gcp.catalogue import load_resource_types
from collectors.gcp.opening import OpenedScope, outcome_of
from collectors.gcp.reading import Reading, queries_of, skipped_because
from collectors.gcp.settings import GcpSettings
from collectors.gcp.spec import ACCESS_POLICY, GcpResourceType
from evidence.outcome import Outcome
from evidence.snapshot import SnapshotRun
from evidence.units import GLOBAL_REGION, UnitKey, UnitRecord

_ABOVE = "only {} is read, and this lies above it: name {} as a scope to read it"


@dataclass(frozen=True)
class GcpScope:
    """What to read. Without scopes it is the credentials' own project; no types means all."""

    scopes: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    exclude_types: tuple[str, ...] = ()
    type_folders: tuple[str, ...] = ()
    settings: GcpSettings = field(default_factory=GcpSettings)
    reading: Reading = field(default_factory=lambda: Reading(""))
    units_at_once: int = 8

    def chosen_types(self) -> dict[str, GcpResourceType]:
        """Return the resource types in scope. Raises UsageError for a name that is none."""
        known = load_resource_types(Path(folder) for folder in self.type_folders)
        return types_in_scope(known, self.types, self.exclude_types)


@dataclass(frozen=True)
class UnitTarget:
    """Everything that a worker needs to collect one unit: plain data.

    `scope` is organizations/N, folders/N or projects/ID, `own` its account, `account` the unit's.
    A `bulk` unit holds the pages of a content; `resource_type` is then its name. `type_folders`
    hold resource types besides the built-in ones.
    """

    scope: str
    own: str
    account: str
    resource_type: str
    run_folder: str
    redaction_key: bytes
    settings: GcpSettings
    reading: Reading
    type_folders: tuple[str, ...] = ()
    bulk: bool = False
    unread: str = ""
    outcome: Outcome = Outcome.OK

    @property
    def key(self) -> UnitKey:
        """The key of the unit."""
        return UnitKey("gcp", self.account, GLOBAL_REGION, self.resource_type)


def plan(
    scopes: Sequence[OpenedScope],
    scope: GcpScope,
    types: Mapping[str, GcpResourceType],
    run: SnapshotRun,
    redaction_key: bytes,
) -> list[UnitTarget]:
    """Return the units of a run, scope by scope. The run keeps its types (`keep_types`).

    What lies above what is read is planned as well, and is unread: nobody is to take it for empty.
    """
    found: dict[UnitKey, UnitTarget] = {}
    for opened in scopes:
        base = UnitTarget(
            opened.id,
            opened.account,
            opened.account,
            "",
            str(run.folder),
            redaction_key,
            scope.settings,
            scope.reading,
            scope.type_folders,
        )
        for target in _targets(opened, base, types):
            known = found.get(target.key)
            if known is None or (known.unread and not target.unread):
                found[target.key] = target
    return list(found.values())


def _targets(
    opened: OpenedScope, base: UnitTarget, types: Mapping[str, GcpResourceType]
) -> Iterator[UnitTarget]:
    if opened.failure is None:
        for name, query in queries_of(opened.id, types, base.reading).items():
            why = skipped_because(query, base.reading)
            unread: dict[str, Any] = {"unread": why, "outcome": Outcome.SKIPPED} if why else {}
            yield replace(base, resource_type=name, bulk=True, **unread)
    for name, spec in types.items():
        for account, more in _accounts_of(spec, opened):
            yield replace(base, resource_type=name, account=account, **more)


def _accounts_of(
    spec: GcpResourceType, opened: OpenedScope
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the accounts in which a type is read, and those in which it should have been."""
    if opened.failure is not None:
        why = f"{opened.id} could not be opened: {opened.failure.what}"
        yield opened.account, {"unread": why, "outcome": outcome_of(opened.failure)}
        return
    projects = [project.id for project in opened.projects]
    own = [] if opened.is_project else [opened.account]
    read = {
        "project": projects or own,
        "organization": own or _alone(spec, opened),
        "any": [*own, *projects],
    }[spec.scope]
    yield from ((account, {}) for account in read)
    if spec.scope == "project":
        return
    above = opened.organization
    if not above and opened.ancestors is None and opened.is_project and not read:
        above = opened.account  # nobody knows what lies above it
    if above and above not in read:
        why = _ABOVE.format(opened.id, above)
        yield above, {"unread": why, "outcome": Outcome.SKIPPED}


def _alone(spec: GcpResourceType, opened: OpenedScope) -> list[str]:
    """Return the account of a project that nothing lies above: there it is seen that nothing does.

    Access policies cannot be listed there, and there are none without an organisation.
    """
    return (
        [opened.account] if opened.ancestors == () and spec.listing.content != ACCESS_POLICY else []
    )


def undescribed(units: Iterable[UnitRecord], type_folders: Iterable[str]) -> dict[str, int]:
    """Count the assets whose type no resource type describes, by asset type."""
    known = load_resource_types(Path(folder) for folder in type_folders)
    described = {spec.native_type for spec in known.values()}
    found: Counter[str] = Counter()
    for unit in units:
        if unit.key.resource_type == RESOURCES:
            found.update({k: n for k, n in unit.kinds.items() if k not in described})
    return dict(sorted(found.items()))


def scope_as_dict(scope: GcpScope, scopes: Sequence[OpenedScope]) -> dict[str, Any]:
    """Return what the snapshot's intent says of Google Cloud: plain JSON data, without secrets."""
    return {
        **scope.reading.as_dict(),
        "endpoint": scope.settings.address,
        "credential": asdict(scope.settings.credential),
        "quota_project": scope.settings.quota_project,
        "exclude_types": list(scope.exclude_types),
        "scopes": [
            {
                "id": opened.id,
                "account": opened.account,
                "name": opened.name,
                "organization": opened.organization,
                "projects": [asdict(project) for project in opened.projects],
            }
            for opened in scopes
        ],
    }


def projects_in(stored: Mapping[str, Any], scope: str) -> dict[str, str]:
    """Return the ids of the projects of a scope by their numbers, as an intent states them."""
    return {
        str(project["number"]): str(project["id"])
        for item in stored.get("scopes", [])
        if item["id"] == scope
        for project in item["projects"]
        if project["number"]
    }
