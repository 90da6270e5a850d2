"""The Google Cloud resource types there are: derived from the folder, never listed by hand."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from pathlib import Path

from collectors.catalogue import load_folder
from collectors.gcp.spec import ANY_ASSET, GcpResourceType
from evidence.redaction import Redactor, parse_path

BUILT_IN = Path(__file__).parent / "resources"


def load_resource_types(folders: Iterable[Path] = ()) -> dict[str, GcpResourceType]:
    """Load every resource type of the built-in folder, then of `folders`, which may override.

    Raises DataError with file, line and field for the first file that is wrong.
    """
    return load_folder(GcpResourceType, (BUILT_IN, *folders), ("gcp_*.yaml",))


def redactor_for(specs: Iterable[GcpResourceType], key: bytes) -> Redactor:
    """Return the redactor that takes out what `specs` declare; `key` is the store's.

    Pages hold assets of all types: what is declared is so for assets of the type's `native_type`.
    """
    declared: dict[Hashable, list[tuple[str, ...]]] = {}
    for spec in specs:
        for item in spec.redact:
            asset_type = spec.native_type or ANY_ASSET
            declared.setdefault((asset_type, item.of), []).append(parse_path(item.path))
    return Redactor(key, declared)
