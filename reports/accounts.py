"""What the accounts of a snapshot are called, and what each is: the words of the clouds for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from evidence.units import UnitRecord

CLOUDS = {"aws": "AWS", "azure": "Azure", "gcp": "Google Cloud", "records": "Records"}
"""What people call a provider."""


@dataclass(frozen=True)
class Account:
    """An account in scope. `kind` is the cloud's own word for it: `AWS account`, `Entra tenant`."""

    id: str
    name: str
    provider: str
    kind: str

    @property
    def shown(self) -> str:
        """Its name and id, as one text."""
        return f"{self.name} ({self.id})" if self.name not in ("", self.id) else self.id


def accounts_of(intent: Mapping[str, Any], units: tuple[UnitRecord, ...]) -> tuple[Account, ...]:
    """Return the accounts of a snapshot's units, by cloud, kind and name.

    Names are those that the snapshot's `intent` gives them.
    """
    scope: Mapping[str, Any] = intent.get("scope", {})
    names = dict(_names(scope))
    tenants = {item["id"] for item in scope.get("azure", {}).get("tenants", [])}
    providers = {unit.key.account: unit.key.provider for unit in units}
    found = [
        Account(item, names.get(item, ""), provider, _kind(provider, item, item in tenants))
        for item, provider in providers.items()
    ]
    return tuple(sorted(found, key=lambda item: (item.provider, item.kind, item.name, item.id)))


def _names(scope: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    named = list(scope.get("accounts", []))
    for tenant in scope.get("azure", {}).get("tenants", []):
        named += [tenant, *tenant["subscriptions"]]
    for item in scope.get("gcp", {}).get("scopes", []):
        named += [{"id": item["account"], "name": item.get("name", "")}, *item["projects"]]
    return ((item["id"], item.get("name", "")) for item in named if item.get("id"))


def _kind(provider: str, account: str, is_tenant: bool) -> str:
    if provider == "azure":
        return "Entra tenant" if is_tenant else "Azure subscription"
    if provider == "gcp":
        above = {"organizations": "Google organisation", "folders": "Google folder"}
        return above.get(account.split("/", maxsplit=1)[0], "Google project")
    if provider == "records":
        return CLOUDS[provider]
    return f"{CLOUDS.get(provider, provider)} account"
