"""Derivations: tables made again from a snapshot's captures by newer resource types, sealed apart.

The snapshot and its tables stay as they are. A derivation's folder holds only the tables that came
out different, with the types and schemas that they were shaped by; its predicate names the snapshot
and, for each table, the digest of both.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from collectors.rebuilding import DIFFERS, Rebuilt, TableResult
from collectors.run_types import AnyResourceType, spec_as_json, specs_as_json
from evidence.canonical import digest_of, sha256_hex
from evidence.files import write_atomically
from evidence.sealing import Sealer
from evidence.snapshot import SPECS_FILE
from evidence.store import Store
from evidence.tables import schemas_as_json


def derived_tables(rebuilt: Rebuilt) -> list[TableResult]:
    """Return the tables that are to be sealed: those that came out different."""
    return [table for table in rebuilt.tables if table.result == DIFFERS and table.file]


def seal_derivation(
    store: Store,
    sealer: Sealer,
    rebuilt: Rebuilt,
    types: Mapping[str, AnyResourceType],
    work: Path,
    tool: str,
) -> tuple[str, bool]:
    """Seal the tables that came out different; return the derivation's id and whether it is new.

    `work` is the folder below the store's `incomplete/` in which they were made. An equal
    derivation that is sealed already is kept and never replaced. Raises StoreError.
    """
    tables = derived_tables(rebuilt)
    used = {table.resource_type: types[table.resource_type] for table in tables}
    predicate = _predicate(rebuilt, tables, used, tool)
    identifier: str = predicate["id"]
    sealer.finish_cut_off(store)
    if identifier in store.sealed("derivation"):
        return identifier, False
    folder = work / "sealed"
    (folder / "tables").mkdir(parents=True)
    for table in tables:
        if table.file is not None:
            table.file.rename(folder / "tables" / table.file.name)
    schemas = [spec.table_schema() for spec in used.values()]
    write_atomically(folder / "schemas.json", schemas_as_json(schemas))
    write_atomically(folder / SPECS_FILE, specs_as_json(used.values()))
    sealer.seal(store, folder, "derivation", identifier, predicate)
    return identifier, True


def _predicate(
    rebuilt: Rebuilt,
    tables: list[TableResult],
    used: Mapping[str, AnyResourceType],
    tool: str,
) -> dict[str, Any]:
    snapshot = rebuilt.snapshot
    content = {
        "snapshot": {"id": snapshot.id, "manifest_sha256": snapshot.manifest_digest},
        "tables": {
            table.resource_type: {
                "sha256": table.sha256,
                "rows": table.rows,
                "sealed_sha256": table.sealed_sha256,
            }
            for table in tables
        },
    }
    shaped_by = {name: sha256_hex(spec_as_json(spec)) for name, spec in used.items()}
    digest = digest_of({**content, "shaped_by": shaped_by})
    return {"id": f"{snapshot.id}.{digest[:12]}", **content, "tool": tool}
