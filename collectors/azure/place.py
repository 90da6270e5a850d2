"""Where a unit of Azure asks: one place for all regions."""

from __future__ import annotations

from collectors.place import Place
from evidence.units import GLOBAL_REGION


def place_of(account: str, cloud: str) -> Place:
    """Return the place of a subscription or a tenant."""
    return Place(account, cloud, GLOBAL_REGION, "")
