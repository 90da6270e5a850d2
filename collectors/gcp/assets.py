"""What was read of one scope: its bulk units, and which account each asset is of."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from collectors.gcp.bulk import RESOURCES
from collectors.gcp.index import AssetIndex


@dataclass(frozen=True)
class NotCollected:
    """Stands for a bulk unit that was never asked: why."""

    detail: str


class ScopeAssets:
    """The assets of one scope. Safe to share between threads.

    `account` is the scope's own: an organisation, a folder, or a project's id. `open_index` opens
    a bulk unit by its name. `known` are ids of projects by their numbers, besides those that the
    resources tell.
    """

    def __init__(
        self,
        account: str,
        open_index: Callable[[str], AssetIndex | NotCollected],
        known: Mapping[str, str],
    ) -> None:
        self.account = account
        self._open, self._known = open_index, known
        self._lock = threading.Lock()
        self._indexes: dict[str, AssetIndex | NotCollected] = {}
        self._ids: dict[str, str] | None = None
        self._numbers: dict[str, list[str]] = {}

    def index(self, name: str) -> AssetIndex | NotCollected:
        """Return a bulk unit."""
        with self._lock:
            if name not in self._indexes:
                self._indexes[name] = self._open(name)
            return self._indexes[name]

    def _read_projects(self) -> dict[str, str]:
        """Return the ids of projects by their numbers: what the resources say goes first."""
        resources = self.index(RESOURCES)
        with self._lock:
            if self._ids is None:
                told = resources.projects() if isinstance(resources, AssetIndex) else []
                ids = {**self._known, **{number: name for number, name, _ in told}}
                for number, name in ids.items():
                    self._numbers.setdefault(name, []).append(number)
                self._ids = ids
            return self._ids

    def account_of(self, place: str) -> str:
        """Return the account of a place: a project's id, or its number where no more is known.

        What lies above all projects is the scope's own.
        """
        return self._read_projects().get(place, place) or self.account

    def places_of(self, account: str) -> list[str]:
        """Return the places whose account is `account`."""
        ids = self._read_projects()
        itself = [account] if ids.get(account, account) == account else []
        above = [""] if account == self.account else []
        return list(dict.fromkeys([*itself, *self._numbers.get(account, []), *above]))

    def accounts(self, name: str, asset_type: str = "") -> set[str]:
        """Return the accounts in which a bulk unit holds assets (of a type)."""
        index = self.index(name)
        if not isinstance(index, AssetIndex):
            return set()
        return {self.account_of(place) for place in index.places(asset_type)}

    def place_named(self, name: str) -> str:
        """Return the place of the resource of a full name; empty where it is not known."""
        resources = self.index(RESOURCES)
        return resources.place_named(name) if isinstance(resources, AssetIndex) else ""

    def close(self) -> None:
        """Close what was opened."""
        with self._lock:
            for index in self._indexes.values():
                if isinstance(index, AssetIndex):
                    index.close()
            self._indexes.clear()
