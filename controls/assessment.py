"""Assessments: an evaluation sealed beside its snapshot, and opened again for reports.

An assessment's folder holds `findings.parquet`, `assessment.json` (counts, scores, requirement
statuses, formula), `catalogue.json` (everything that it was judged by) and the signed manifest.
Its id is made of the snapshot's and of a digest over its results, so evaluating the same again
finds the assessment that is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import duckdb
import orjson

from controls.catalogue import Catalogue
from controls.database import quoted
from controls.evaluate import FINDING_COLUMNS, Findings, evaluate
from controls.freshness import ANY_AGE, Freshness
from controls.gate import require_sound
from controls.gate_memory import GateMemory
from controls.models import Check, Control, Framework
from controls.parameters import parameters_of, with_parameters
from controls.scoping import Scoping, scope_frameworks
from controls.scoring import FORMULA, FORMULA_VERSION, WEIGHTS, Counts, score_framework
from evidence.canonical import canonical_json, digest_of
from evidence.files import write_atomically
from evidence.schema import TableSchema
from evidence.sealing import Sealer
from evidence.snapshot import Snapshot
from evidence.store import Store
from evidence.workspaces import workspace


@dataclass(frozen=True)
class Finding:
    """One finding as a report shows it."""

    check_id: str
    status: str
    severity: str
    reason: str
    provider: str
    account: str
    region: str
    resource_type: str
    resource_id: str
    resource_name: str
    control: str
    owner: str
    captures: tuple[str, ...]


@dataclass(frozen=True)
class Assessment:
    """A sealed assessment, opened for reading. `results` is the content of `assessment.json`."""

    id: str
    folder: Path
    results: dict[str, Any]
    checks: dict[str, Check]
    controls: dict[str, Control]
    frameworks: dict[str, Framework]
    manifest_digest: str

    @classmethod
    def open(cls, store: Store, assessment_id: str = "") -> Assessment:
        """Open a sealed assessment; an empty id means the newest. Raises StoreError."""
        folder = store.find("assessment", assessment_id)
        catalogue = orjson.loads((folder / "catalogue.json").read_bytes())
        return cls(
            folder.name,
            folder,
            orjson.loads((folder / "assessment.json").read_bytes()),
            {k: Check.model_validate(v) for k, v in catalogue["checks"].items()},
            {k: Control.model_validate(v) for k, v in catalogue["controls"].items()},
            {k: Framework.model_validate(v) for k, v in catalogue["frameworks"].items()},
            store.manifest("assessment", folder.name).digest,
        )

    @property
    def snapshot_id(self) -> str:
        """The snapshot that was judged."""
        return str(self.results["snapshot"]["id"])

    def findings(self, statuses: Sequence[str] = ()) -> Iterator[Finding]:
        """Yield findings in order, of all statuses or of some."""
        where = ""
        if statuses:
            where = f" WHERE status IN ({', '.join(quoted(status) for status in statuses)})"
        columns = ", ".join(FINDING_COLUMNS)
        path = quoted(str(self.folder / "findings.parquet"))
        with duckdb.connect() as database:
            found = database.execute(f"SELECT {columns} FROM read_parquet({path}){where}")
            while batch := found.fetchmany(5_000):
                yield from (finding_of(row) for row in batch)


def finding_of(row: Sequence[Any]) -> Finding:
    """Return the finding of a row with `FINDING_COLUMNS`."""
    values = dict(zip(FINDING_COLUMNS, row, strict=True))
    return Finding(**{**values, "captures": tuple(values["captures"])})


def assess(
    store: Store,
    snapshot: Snapshot,
    catalogue: Catalogue,
    schemas: Mapping[str, TableSchema],
    frameworks: Sequence[str],
    sealer: Sealer,
    *,
    not_applicable: Mapping[str, str] = MappingProxyType({}),
    freshness: Freshness = ANY_AGE,
    owner_tags: Sequence[str] = (),
    memory_limit: str = "",
    gate_memory: GateMemory | None = None,
) -> Assessment:
    """Judge a snapshot, seal the result, and return it; an equal assessment is reused.

    `frameworks` may be narrowed to a profile (`nist_800_53:moderate`); `not_applicable` gives
    reasons by `framework:requirement` (`controls.scoping`). `freshness` says how old the evidence
    may be, and `gate_memory` remembers what has passed the gate.
    Raises DataError when the catalogue does not pass the gate, UsageError for an unknown
    framework, StoreError when it cannot be written.
    """
    chosen = scope_frameworks(catalogue, frameworks, not_applicable)
    require_sound(catalogue, schemas, memory=gate_memory)
    catalogue = with_parameters(catalogue, parameters_of(item.framework for item in chosen))
    catalogue = catalogue.without(_elsewhere(snapshot, schemas))
    sealer.begin(store)
    with workspace(store.incomplete(), f"assessment-of-{snapshot.id}") as folder:
        work = folder / "sealed"
        found = evaluate(
            snapshot,
            catalogue,
            schemas,
            work,
            owner_tags=owner_tags,
            memory_limit=memory_limit,
            stale=freshness.stale(snapshot.as_of),
        )
        results = _results(snapshot, catalogue, chosen, found, owner_tags) | freshness.as_dict()
        name = f"{snapshot.id}.{digest_of(results)[:12]}"
        if store.log.find("assessment", name) is None:
            write_atomically(work / "assessment.json", canonical_json(results))
            write_atomically(work / "catalogue.json", canonical_json(catalogue.as_dict()))
            predicate = {
                "snapshot": results["snapshot"],
                "catalogue_sha256": catalogue.digest,
                "findings_sha256": found.digest,
                "findings": found.count,
            }
            sealer.seal(store, work, "assessment", name, predicate)
    return Assessment.open(store, name)


def _elsewhere(snapshot: Snapshot, schemas: Mapping[str, TableSchema]) -> frozenset[str]:
    """Return the resource types of clouds that a snapshot has nothing to do with.

    Their checks say nothing here: a requirement that only they could decide lacks evidence.
    """
    providers = {unit.key.provider for unit in snapshot.units}
    return frozenset(name for name, schema in schemas.items() if schema.provider not in providers)


def _results(
    snapshot: Snapshot,
    catalogue: Catalogue,
    scopings: Sequence[Scoping],
    found: Findings,
    owner_tags: Sequence[str],
) -> dict[str, Any]:
    scored = [
        score_framework(
            catalogue,
            item.framework,
            found.by_check,
            profile=item.profile,
            not_applicable=item.not_applicable,
        )
        for item in scopings
    ]
    return {
        "snapshot": {"id": snapshot.id, "manifest_sha256": snapshot.manifest_digest},
        "as_of": snapshot.as_of,
        "catalogue_sha256": catalogue.digest,
        "formula": {
            "version": FORMULA_VERSION,
            "text": FORMULA,
            "weights": {severity.value: weight for severity, weight in WEIGHTS.items()},
        },
        "owner_tags": list(owner_tags),
        "findings": {
            "count": found.count,
            "sha256": found.digest,
            "by_check": _dumped(found.by_check),
            "by_account": _dumped(found.by_account),
            "by_severity": _dumped(found.by_severity),
            "by_owner": _dumped(found.by_owner),
        },
        "frameworks": [item.as_dict() for item in scored],
    }


def _dumped(counts: Mapping[str, Counts]) -> dict[str, dict[str, int]]:
    return {name: value.as_dict() for name, value in counts.items()}
