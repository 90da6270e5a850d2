"""Where a unit of Google Cloud asks: one place for all locations."""

from __future__ import annotations

from collectors.place import Place
from evidence.units import GLOBAL_REGION


def place_of(account: str) -> Place:
    """Return the place of a project, a folder or an organisation."""
    return Place(account, "", GLOBAL_REGION, "")
