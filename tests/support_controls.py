"""Small real things for tests of judging: two schemas, catalogues on disk, sealed snapshots."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from support_store import sealer_of

from controls.assessment import Assessment, assess
from controls.catalogue import Catalogue
from controls.models import Check, Control, Fact, Framework
from evidence.capture import Exchange, capture_line
from evidence.keys import SigningKey, make_signing_key
from evidence.outcome import Outcome
from evidence.schema import Facet, Field, TableSchema
from evidence.sealing import Sealer
from evidence.snapshot import Snapshot, SnapshotRun
from evidence.store import Store
from evidence.units import UnitKey, UnitRecord, UnitWriter
from evidence.yaml_files import load_model

STARTED = "2026-01-01T00:00:00Z"
FINISHED = "2026-01-01T00:05:00Z"
ACCOUNT, OTHER_ACCOUNT = "111111111111", "222222222222"
HERE, THERE = "us-east-1", "eu-west-1"

VAULT = TableSchema(
    "aws_vault",
    "aws",
    "region",
    (
        Facet(
            "encryption",
            (
                Field("algorithm", "text", absent="NONE"),
                Field("bits", "integer"),
                Field("ratio", "number"),
                Field("rotated", "boolean"),
                Field("made", "timestamp"),
                Field("keys", "list", of="text", absent=[]),
            ),
        ),
        Facet(
            "network",
            (
                Field("public", "boolean", absent=False),
                Field("limit", "integer"),
                Field(
                    "rules",
                    "list",
                    fields=(
                        Field("cidr", "text"),
                        Field("from_port", "integer"),
                        Field("to_port", "integer"),
                    ),
                    absent=[],
                ),
                Field("labels", "tags"),
            ),
        ),
        Facet("policy", (Field("statements", "policy", absent=[]),)),
    ),
)
"""A regional type with every kind of field."""

HOME = TableSchema(
    "aws_home",
    "aws",
    "global",
    (
        Facet("identity", (Field("number", "text"), Field("size", "integer"))),
        Facet("contact", (Field("email", "text", absent=""), Field("checked", "boolean"))),
    ),
)
"""A global type with one row an account, for facts."""

SCHEMAS = {schema.resource_type: schema for schema in (VAULT, HOME)}


# Catalogues: the YAML that people write, in a folder


def check_yaml(name: str, passes: str, **changes: Any) -> dict[str, Any]:
    """A check on vaults that is complete but for examples; `changes` replace or add fields."""
    return {
        "id": name,
        "title": f"Title of {name}",
        "control": "encryption-at-rest",
        "resource": "aws_vault",
        "severity": "high",
        "pass": passes,
        "reason": "'algorithm is ' || encryption.algorithm",
        "remediation": "Mend it.",
        "examples": [],
        **changes,
    }


def fact_yaml(name: str, sql: str, columns: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A fact about homes that reads vaults; `changes` replace or add fields."""
    return {
        "id": name,
        "about": "what the vaults say",
        "for": "aws_home",
        "by": "account",
        "reads": ["aws_vault"],
        "columns": columns,
        "sql": sql,
        "examples": [{"expect": {}}],
        **changes,
    }


def column(kind: str = "value", of: str = "boolean", **more: Any) -> dict[str, Any]:
    """A column of a fact."""
    return {"type": of, "kind": kind, "about": "a value", **more}


def control_yaml(name: str) -> dict[str, Any]:
    """A common control."""
    return {
        "id": name,
        "title": f"Title of {name}",
        "domain": "Data",
        "objective": "Keep it safe.",
        "testing": "Look at it.",
        "frequency": "daily",
        "owner": "security",
    }


def framework_yaml(
    name: str, requirements: dict[str, Sequence[str]], **changes: Any
) -> dict[str, Any]:
    """A framework of one group; `requirements` maps an id to the controls that meet it."""
    return {
        "id": name,
        "title": f"Title of {name}",
        "version": "1",
        "publisher": "us",
        "source": "https://example.com",
        "about": "for tests",
        "scope": "all of it",
        "groups": [{"id": "G", "title": "Group"}],
        "requirements": [
            {"id": item, "title": f"Title of {item}", "group": "G", "controls": list(controls)}
            for item, controls in requirements.items()
        ],
        **changes,
    }


def write_yaml(folder: Path, kind: str, item: dict[str, Any]) -> Path:
    """Write one thing where its kind belongs."""
    file = folder / kind / f"{item['id']}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(item, sort_keys=False))
    return file


def load_folder(folder: Path) -> Catalogue:
    """Read the catalogue in a folder, and nothing that is built in."""
    models = {"checks": Check, "facts": Fact, "library": Control, "frameworks": Framework}
    loaded: dict[str, dict[str, Any]] = {kind: {} for kind in models}
    files: dict[tuple[str, str], Path] = {}
    for kind, model in models.items():
        for file in sorted((folder / kind).glob("*.yaml")):
            item: Any = load_model(file, model)
            loaded[kind][item.id] = item
            files[kind, item.id] = file
    return Catalogue(
        loaded["checks"], loaded["facts"], loaded["library"], loaded["frameworks"], files
    )


def make_catalogue(
    folder: Path,
    checks: Iterable[dict[str, Any]] = (),
    facts: Iterable[dict[str, Any]] = (),
    frameworks: Iterable[dict[str, Any]] = (),
) -> Catalogue:
    """Write and read a catalogue; the controls that it names are made."""
    kinds = {"checks": list(checks), "facts": list(facts), "frameworks": list(frameworks)}
    names = {check["control"] for check in kinds["checks"]}
    for framework in kinds["frameworks"]:
        names.update(name for item in framework["requirements"] for name in item["controls"])
    kinds["library"] = [control_yaml(name) for name in sorted(names)]
    for kind, items in kinds.items():
        for item in items:
            write_yaml(folder, kind, item)
    return load_folder(folder)


# Rows and snapshots


@dataclass(frozen=True)
class Unit:
    """What a test says about one resource type in one account and region."""

    rows: tuple[dict[str, Any], ...] = ()
    resource_type: str = "aws_vault"
    account: str = ACCOUNT
    region: str = HERE
    listed: Outcome = Outcome.OK
    detail: str = ""

    @property
    def key(self) -> UnitKey:
        """The key of the unit."""
        return UnitKey("aws", self.account, self.region, self.resource_type)


def vault(name: str, tags: dict[str, str] | None = None, **facets: Any) -> dict[str, Any]:
    """A row of a vault: facets that are named were observed, the others denied."""
    return {"id": f"arn:vault/{name}", "name": name, "tags": tags, **facets}


def home(account: str = ACCOUNT, **facets: Any) -> Unit:
    """The unit of an account's home."""
    row = {"id": f"arn:home/{account}", "name": account, "tags": None, **facets}
    return Unit((row,), "aws_home", account, "global")


def full_row(schema: TableSchema, given: dict[str, Any], unit: Unit) -> dict[str, Any]:
    """Complete a row as a collector would: absent values, and why a facet is missing."""
    row = {
        "provider": "aws",
        "account": unit.account,
        "region": unit.region,
        "errors": {},
        "captures": {},
        **given,
    }
    for facet in schema.facets:
        value = given.get(facet.name)
        if value is None:
            row["errors"] = {**row["errors"], facet.name: f"denied: get_{facet.name} AccessDenied"}
            row[facet.name] = None
        else:
            row[facet.name] = {f.name: value.get(f.name, f.absent) for f in facet.fields}
    if row["tags"] is None:
        row["errors"] = {**row["errors"], "tags": "denied: list_tags AccessDenied"}
    return row


def sealed_snapshot(
    root: Path,
    units: Sequence[Unit],
    schemas: Sequence[TableSchema] = tuple(SCHEMAS.values()),
    name: str = "20260101T000000Z-test",
) -> Snapshot:
    """Collect `units` in the order given, seal them, and open the snapshot."""
    store = Store.open(root, create=True)
    run = SnapshotRun.start(store, name, {"started": STARTED, "scope": {}})
    known = {schema.resource_type: schema for schema in schemas}
    for unit in units:
        write_unit(run.folder, unit, known[unit.resource_type])
    run.seal(list(known.values()), FINISHED, sealer())
    return Snapshot.open(store, name)


def write_unit(folder: Path, unit: Unit, schema: TableSchema) -> None:
    """Write one unit into the folder of an open run, with a capture a facet."""
    writer = UnitWriter(folder, unit.key)
    listing = writer.keep_capture(_capture(unit, "list", ""))
    for given in unit.rows:
        row = full_row(schema, given, unit)
        asked = [*schema.facet_names, "tags"]
        row["captures"] = {
            name: [writer.keep_capture(_capture(unit, f"get_{name}", row["id"]))] for name in asked
        }
        writer.write_row(row)
    writer.commit(
        UnitRecord(
            unit.key, unit.listed, unit.detail, len(unit.rows), writer.records, 0, (listing,)
        )
    )


def _capture(unit: Unit, operation: str, resource: str) -> bytes:
    exchange = Exchange(
        operation, {}, unit.region, "https://example.com", 1, STARTED, 200, "r", "", b"{}"
    )
    return capture_line(
        exchange,
        provider="aws",
        account=unit.account,
        service="vault",
        redacted_body=None,
        redactions=(),
        parameters=f'{{"Id":"{resource}"}}',
    )


EXAMPLES = [
    {"expect": "pass", "encryption": {"algorithm": "AES256"}},
    {"expect": "fail", "encryption": {}},
    {"expect": "not_evidenced"},
]
"""Examples that make a check of `encryption.algorithm <> 'NONE'` whole."""


def sound_check(name: str = "encrypted", **changes: Any) -> dict[str, Any]:
    """A check that passes the gate: vaults are encrypted."""
    return check_yaml(name, "encryption.algorithm <> 'NONE'", examples=EXAMPLES, **changes)


def assessed(
    folder: Path, units: Sequence[Unit], checks: Sequence[dict[str, Any]], **options: Any
) -> Assessment:
    """Seal a snapshot in `folder`, judge it by `checks`, and return the sealed assessment."""
    snapshot = sealed_snapshot(folder / "store", units)
    requirements = {"1": sorted({check["control"] for check in checks})}
    catalogue = make_catalogue(
        folder / "catalogue", checks, frameworks=[framework_yaml("soc", requirements)]
    )
    store = Store.open(folder / "store")
    return assess(store, snapshot, catalogue, SCHEMAS, ["soc"], sealer(), **options)


@functools.cache
def signing_key() -> SigningKey:
    """One key for all tests of a run."""
    return make_signing_key("Example", datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC))


def sealer() -> Sealer:
    """Seal with that key, when the snapshots of these tests were finished."""
    return sealer_of(signing_key(), FINISHED)
