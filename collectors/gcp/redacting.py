"""Taking secrets out of assets: what a resource type declares, and what is recognised."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from collectors.gcp.spec import ANY_ASSET
from evidence.capture import Redaction
from evidence.redaction import Redactor

SERVICE = "cloudasset"
"""What captures call Cloud Asset Inventory."""

_HELD_IN = {"resource": "resource", "iam_policy": "iamPolicy", "org_policy": "orgPolicy"}
"""Where an asset holds a content; what access policies hold lies in the asset itself."""

_OF_ASSET = frozenset({"name", "assetType", "ancestors", "updateTime"})
_AS_ITEM = {"policy": ("iamPolicy",), "policies": ("orgPolicy",)}
"""What a listed policy is called as an item, and where it is in the asset."""


@dataclass
class AssetRedactor:
    """Takes the secrets out of assets. `redactor` has what the resource types declare."""

    redactor: Redactor
    _of: dict[tuple[str, str], Redactor] = field(default_factory=dict)

    def assets(self, content: str, assets: Sequence[Any]) -> tuple[list[Any], list[Redaction]]:
        """Return a page's assets (or results) without secrets, and what was taken out."""
        kept: list[Any] = []
        redactions: list[Redaction] = []
        for number, asset in enumerate(assets):
            clean, found = self.asset(content, asset)
            kept.append(clean)
            place = f"assets[{number}]"
            redactions.extend(replace(item, path=f"{place}.{item.path}") for item in found)
        return kept, redactions

    def asset(self, content: str, asset: Any) -> tuple[Any, list[Redaction]]:
        """Return one asset without secrets, and what was taken out."""
        kind = str(asset.get("assetType") or "") if isinstance(asset, dict) else ""
        return self._redactor_of(kind, content).redact(content, asset)

    def _redactor_of(self, kind: str, content: str) -> Redactor:
        known = self._of.get((kind, content))
        if known is None:
            declared = self.redactor.declared
            paths = (*declared.get((kind, content), ()), *declared.get((ANY_ASSET, content), ()))
            mine: Mapping[Hashable, Any] = {content: [_in_asset(content, path) for path in paths]}
            known = self._of[kind, content] = Redactor(self.redactor.key, mine)
        return known


def _in_asset(content: str, path: tuple[str, ...]) -> tuple[str, ...]:
    """Return where a path, as facets see the content, leads to in the asset itself."""
    if path[0] in _OF_ASSET or content not in _HELD_IN:
        return path
    if content != "resource" and path[0] in _AS_ITEM:
        return (*_AS_ITEM[path[0]], *path[1:])
    return (_HELD_IN[content], *path)
