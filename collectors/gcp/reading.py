"""What a run asks a scope for: the contents that its resource types need, each in one bulk unit.

It follows from the types and from a few plain values that the snapshot's intent keeps, so that the
same questions are known again when a run is resumed, and when tables are made again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from collectors.gcp.bulk import BulkQuery, asset_types_of, bulk_name
from collectors.gcp.settings import LARGEST_PAGE
from collectors.gcp.spec import ACCESS_POLICY, CONTENTS, LIST_ASSETS, ContentStep, GcpResourceType

NOT_OF_THEN = "answers as of now only, and this run reads as of an earlier time"
"""Why a search or an analysis is not made with `--as-of`."""

ONLY_ABOVE = "access policies are an organisation's, and can only be listed where one is a scope"
"""Source: cloud.google.com/asset-inventory/docs/export-bigquery, "Limitations"."""


@dataclass(frozen=True)
class Reading:
    """How a run reads: at one time, in pages of a size.

    `as_of` says that the time was asked for. A `restricted` run names the asset types of its
    resource types, where these are few.
    """

    read_time: str
    page_size: int = LARGEST_PAGE
    as_of: bool = False
    restricted: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return it as the snapshot's intent states it."""
        return {
            "read_time": self.read_time,
            "page_size": self.page_size,
            "as_of": self.as_of,
            "restricted": self.restricted,
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Reading:
        """Return what an intent states."""
        return cls(
            str(stored["read_time"]),
            int(stored["page_size"]),
            bool(stored["as_of"]),
            bool(stored["restricted"]),
        )


def queries_of(
    scope: str, specs: Mapping[str, GcpResourceType], reading: Reading
) -> dict[str, BulkQuery]:
    """Return what a scope is asked for, by the name of the bulk unit that holds it.

    The resources are always among it: they say which projects there are.
    """
    contents = {content for spec in specs.values() for content in spec.contents()}
    found: dict[str, BulkQuery] = {}
    for content in CONTENTS:
        if content in contents or content == "resource":
            only = asset_types_of(content, specs.values(), restricted=reading.restricted)
            name = bulk_name(ContentStep(content=content), "")
            found[name] = BulkQuery.of_assets(
                scope, content, reading.read_time, only, reading.page_size
            )
    for spec in specs.values():
        if spec.listing.method != LIST_ASSETS:
            name = bulk_name(spec.listing, spec.type)
            found[name] = BulkQuery.of_listing(scope, spec.listing, reading.page_size)
    return found


def skipped_because(query: BulkQuery, reading: Reading) -> str:
    """Return why a question is not asked in this run; empty where it is."""
    if query.request.method != LIST_ASSETS:
        return f"{query.request.method} {NOT_OF_THEN}" if reading.as_of else ""
    below = not str(query.request.parameters["parent"]).startswith("organizations/")
    return ONLY_ABOVE if query.content == ACCESS_POLICY and below else ""
