"""The AWS part of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from collectors.aws.engine import (
    AwsScope,
    OpenedAccount,
    UnitTarget,
    collect,
    open_accounts,
    plan,
)
from collectors.aws.place import home_region
from collectors.aws.session import AccountTarget, check_regions
from collectors.aws.spec import AwsResourceType
from collectors.running import Progress
from evidence.snapshot import SnapshotRun


@dataclass
class AwsPart:
    """What a run reads in AWS."""

    scope: AwsScope
    types: Mapping[str, AwsResourceType]
    accounts: list[OpenedAccount] = field(default_factory=list)
    title: str = "AWS"

    @classmethod
    def configured(cls, scope: AwsScope) -> AwsPart:
        """Return the part that the configuration names. Raises UsageError."""
        check_regions(list(scope.regions))
        return cls(scope, scope.chosen_types())

    @classmethod
    def resumed(
        cls, stored: Mapping[str, Any], scope: AwsScope, types: Mapping[str, AwsResourceType]
    ) -> AwsPart:
        """Return the part that an unsealed run was started with, with the present settings."""
        known = _scope_of(stored, scope)
        return cls(known, types or known.chosen_types())

    def open(self, *, required: bool) -> list[str]:
        """Open the accounts; return remarks."""
        self.accounts = open_accounts(self.scope, required=required)
        return [remark for account in self.accounts for remark in _remarks(account)]

    def intent(self) -> dict[str, Any]:
        """Return accounts, regions and types as the snapshot's intent states them."""
        default = self.scope.settings.default_region
        return {
            **self.scope.as_dict(),
            "types": list(self.types),
            "accounts": [
                {
                    **asdict(account.target),
                    "id": account.id,
                    "regions": list(account.regions),
                    "partition": account.partition,
                    "home_region": home_region(account.partition, default),
                }
                for account in self.accounts
            ],
        }

    def plan(self, run: SnapshotRun, redaction_key: bytes) -> Sequence[UnitTarget]:
        """Return the units to collect."""
        return plan(self.accounts, self.scope, dict(self.types), run, redaction_key)

    def collect(
        self,
        targets: Sequence[UnitTarget],
        run: SnapshotRun,
        on_progress: Callable[[Progress], None],
    ) -> None:
        """Collect the units that are not committed yet."""
        at_once = self.scope.units_at_once
        collect(self.accounts, targets, run, units_at_once=at_once, on_progress=on_progress)


def _remarks(account: OpenedAccount) -> list[str]:
    found = [f"account {account.id}: {remark}" for remark in account.remarks]
    if account.failure is not None:
        found.append(
            f"account {account.id} could not be opened and becomes a gap: {account.failure.what}"
        )
    return found


def _scope_of(stored: Mapping[str, Any], configured: AwsScope) -> AwsScope:
    accounts = []
    for account in stored["accounts"]:
        known = {name: value for name, value in account.items() if name in _TARGET_FIELDS}
        accounts.append(AccountTarget(**{**known, "id": _real_id(known["id"])}))
    regions = sorted({region for account in stored["accounts"] for region in account["regions"]})
    return AwsScope(
        accounts=tuple(accounts),
        regions=tuple(regions),
        types=tuple(stored["types"]),
        type_folders=configured.type_folders,
        settings=configured.settings,
        threads=configured.threads,
    )


_TARGET_FIELDS = frozenset(item.name for item in fields(AccountTarget))


def _real_id(account: str) -> str:
    return account if account.isdigit() else ""
