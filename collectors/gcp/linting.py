"""What is wrong with Google Cloud's resource types although each of them is well formed."""

from __future__ import annotations

from collections.abc import Iterable

from collectors.gcp.spec import LIST_ASSETS, GcpResourceType

_NAME_OF_ASSET = "$name"


def rows_of_one_id(specs: Iterable[GcpResourceType]) -> list[str]:
    """Return the types whose rows are no assets, and have the id of an asset all the same."""
    return [
        spec.type
        for spec in specs
        if spec.id == _NAME_OF_ASSET
        and (spec.listing.each is not None or spec.listing.method != LIST_ASSETS)
    ]
