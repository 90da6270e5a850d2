"""Runs over records: by command line, beside a cloud, gone on with, shaped anew, altered."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pytest
from support_cli import Said, auditpack
from support_records import INCIDENTS, collected, context_in, details, rows

from auditpack.collecting import InterruptedRunError, collect_snapshot
from auditpack.config import AwsConfig, load_config
from collectors.records import engine
from collectors.records.catalogue import load_record_types
from collectors.running import Progress
from evidence.errors import DataError, UsageError
from evidence.snapshot import Snapshot
from evidence.store import Store
from reports.accounts import Account, accounts_of

TRAINING = "id,person,course,assigned,due,completed\nT-1,ann,security,2026-01-01,2026-02-01,\n"
CONFIG = """\
organisation: Small
store: ev
records:
  - {type: record_incident, file: exports/incidents.csv, source: jira}
  - {type: record_training, file: exports/training.csv, source: lms}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with a configuration, a key and two exports."""
    assert auditpack("init", "--no-passphrase", cwd=tmp_path).code == 0
    (tmp_path / "auditpack.yaml").write_text(CONFIG)
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports/incidents.csv").write_text(INCIDENTS)
    (tmp_path / "exports/training.csv").write_text(TRAINING)
    return tmp_path


def newest(folder: Path) -> Snapshot:
    """The newest snapshot of a working folder's store."""
    return Snapshot.open(Store.open(folder / "ev"))


def succeeded(said: Said) -> Said:
    """What a command said, that did what it was to do."""
    assert said.code == 0, said.err + said.out
    return said


# The command line


def test_records_alone_are_collected_verified_and_made_again(folder: Path) -> None:
    said = succeeded(auditpack("collect", "--json", cwd=folder)).json
    assert (said["accounts"], said["resources"], said["gaps"]) == (["jira", "lms"], 3, {})
    shutil.rmtree(folder / "exports")
    succeeded(auditpack("verify", cwd=folder))
    made = succeeded(auditpack("rebuild", "--json", cwd=folder)).json
    assert {table["result"] for table in made["tables"].values()} == {"identical"}
    assert made["units_without_captures"] == 0


def test_provider_and_types_narrow_what_is_read(folder: Path) -> None:
    said = succeeded(auditpack("collect", "--type=record_training", "--json", cwd=folder)).json
    assert (said["accounts"], said["resources"]) == (["lms"], 1)
    said = succeeded(auditpack("collect", "--provider=records", "--json", cwd=folder)).json
    assert said["accounts"] == ["jira", "lms"]
    refused = auditpack("collect", "--type=record_risk", cwd=folder)
    assert (refused.code, "names no file of record_risk" in refused.err) == (2, True)


def test_records_that_nobody_named_are_a_mistake(tmp_path: Path) -> None:
    said = auditpack("collect", "--provider=records", cwd=tmp_path)
    assert said.code == 2
    assert "the configuration names no records" in said.err


def test_an_unknown_record_type_is_named_with_the_nearest(tmp_path: Path) -> None:
    context = context_in(tmp_path, {"type": "record_incidents", "file": "i.csv"})
    with pytest.raises(UsageError, match=r"no resource type 'record_incidents'[\s\S]*record_inc"):
        collect_snapshot(context)


def test_gaps_are_an_exit_code_of_their_own_where_strict(folder: Path) -> None:
    (folder / "exports/training.csv").write_text(TRAINING + "T-2,,security,,,\n")
    said = auditpack("collect", "--strict", cwd=folder)
    assert said.code == 4
    assert "1 gap" in said.out


def test_paths_are_those_of_the_configuration_and_stay_out_of_evidence(folder: Path) -> None:
    config = load_config(folder / "auditpack.yaml")
    assert config.providers() == ("records",)
    assert config.records[0].file == folder / "exports/incidents.csv"
    succeeded(auditpack("collect", "-q", f"--config={folder}/auditpack.yaml", cwd=folder.parent))
    (made,) = folder.rglob("manifest.dsse.json")
    snapshot = Snapshot.open(Store.open(made.parents[2]))
    intent = json.dumps(snapshot.predicate["intent"])
    assert "incidents.csv" in intent
    assert "exports" not in intent


def test_a_type_of_ones_own_is_read_like_the_others(folder: Path) -> None:
    types = folder / "auditpack.d/resources"
    types.mkdir(parents=True)
    (types / "record_visitor.yaml").write_text(
        "type: record_visitor\ntitle: Visitor\nabout: one visit\nname: person\nredact: [person]\n"
        "columns:\n"
        "  id: {type: text, required: true, about: the number}\n"
        "  person: {type: text, about: who came}\n"
    )
    (folder / "v.csv").write_text("id,Person\nV-1,Ann Example\n")
    with (folder / "auditpack.yaml").open("a") as file:
        file.write("  - {type: record_visitor, file: v.csv}\n")
    succeeded(auditpack("collect", "--type=record_visitor", cwd=folder))
    ((person,),) = rows(newest(folder), "record.person", "record_visitor")
    assert person.startswith("[redacted ")
    assert auditpack("explain", "record_visitor", cwd=folder).code == 0
    succeeded(auditpack("rebuild", cwd=folder))


# Beside a cloud


def test_records_are_sealed_beside_a_cloud(
    gated_estate: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    url, gate = gated_estate
    gate.reset()
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    (tmp_path / "i.csv").write_text(INCIDENTS)
    aws = AwsConfig(regions=("us-east-1",), types=("aws_s3_bucket",))
    item = {"type": "record_incident", "file": "i.csv"}
    context = context_in(tmp_path, item, aws=aws)
    assert context.config.providers() == ("aws", "records")
    summary = collect_snapshot(context)
    snapshot = Snapshot.open(context.store(), summary.snapshot)
    assert len(rows(snapshot, "id", "aws_s3_bucket")) >= 4
    assert len(rows(snapshot, "id")) == 2
    found = accounts_of(snapshot.predicate["intent"], snapshot.units)
    assert Account("records", "", "records", "Records") in found
    assert {account.provider for account in found} == {"aws", "records"}


# Going on


def test_a_run_that_was_cut_short_goes_on_with_its_own_scope(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.csv").write_text(INCIDENTS)
    files = [
        {"type": "record_incident", "file": f"{name}.csv", "source": name}
        for name in ("a", "b", "c")
    ]
    real = engine.collect

    def stopped(targets: Any, run: Any, *, on_progress: Any) -> None:
        def first(progress: Progress) -> None:
            on_progress(progress)
            raise KeyboardInterrupt

        real(targets, run, on_progress=first)

    context = context_in(tmp_path, *files)
    monkeypatch.setattr("auditpack.collecting.records.collect", stopped)
    with pytest.raises(InterruptedRunError):
        collect_snapshot(context)
    monkeypatch.undo()
    less = context_in(tmp_path, *files[:2])  # the last one is not configured any more
    summary = collect_snapshot(less, resume=True)
    snapshot = Snapshot.open(less.store(), summary.snapshot)
    assert [unit.key.account for unit in snapshot.units] == ["a", "b", "c"]
    assert details(snapshot) == ["c.csv: the configuration does not name it any more"]
    assert len(rows(snapshot, "id")) == 4


# What was collected, shaped or altered later


def test_newer_types_shape_the_captured_rows_anew(folder: Path) -> None:
    (folder / "exports/incidents.csv").write_text(INCIDENTS.replace("Kind", "Sort"))
    succeeded(auditpack("collect", cwd=folder))
    assert rows(newest(folder), "id") == []
    types = folder / "auditpack.d/resources"
    types.mkdir(parents=True)
    (built_in,) = Path(engine.__file__).parent.glob("types/record_incident.yaml")
    text = built_in.read_text().replace("[category,", "[sort, category,")
    (types / "record_incident.yaml").write_text(text)
    shutil.rmtree(folder / "exports")
    said = succeeded(auditpack("rebuild", "--current-types", "--json", cwd=folder)).json
    assert said["derivation"]
    assert said["tables"]["record_incident"]["rows"] == 2


def test_a_table_that_says_something_else_than_its_captures_is_found(tmp_path: Path) -> None:
    from collectors.rebuilding import rebuild
    from evidence.files import sha256_of_file
    from evidence.manifest import Manifest

    (tmp_path / "i.csv").write_text(INCIDENTS)
    context, snapshot, _ = collected(tmp_path, {"type": "record_incident", "file": "i.csv"})
    table = snapshot.table("record_incident")
    other = table.with_suffix(".other")
    duckdb.sql(
        f"COPY (SELECT * REPLACE (struct_update(record, severity := 'low') AS record)"
        f" FROM '{table}') TO '{other}' (FORMAT parquet)"
    )
    other.replace(table)
    manifest = context.store().manifest("snapshot", snapshot.id)
    name = "tables/record_incident.parquet"
    files = {**manifest.files, name: (sha256_of_file(table), table.stat().st_size)}
    forged = Manifest(**{**vars(manifest), "files": files})
    rebuilt = rebuild(snapshot, forged, tmp_path / "work")
    assert not rebuilt.ok
    assert "severity" in rebuilt.tables[0].why


# The types themselves


def test_every_built_in_type_reads_what_it_says_it_reads(tmp_path: Path) -> None:
    """One row of each, under the headers of other systems."""
    values = {
        "text": "some words",
        "boolean": "No",
        "integer": "12",
        "number": "-99.95",
        "timestamp": "2026-03-01T08:00:00+02:00",
    }
    types = load_record_types()
    assert len(types) >= 12
    files = []
    for name, spec in types.items():
        headers = [(column.aliases or (key,))[-1].title() for key, column in spec.columns.items()]
        cells = [
            column.values[0] if column.values else values[column.type]
            for column in spec.columns.values()
        ]
        (tmp_path / f"{name}.csv").write_text("\t".join(headers) + "\n" + "\t".join(cells) + "\n")
        files.append({"type": name, "file": f"{name}.csv"})
    _, snapshot, summary = collected(tmp_path, *files)
    assert details(snapshot) == []
    assert summary.resources == len(types)
    for name, spec in types.items():
        ((record,),) = rows(snapshot, "record", name)
        assert list(record) == list(spec.columns)
        assert None not in record.values()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("id: number\ncolumns: {a: {type: text, about: a}}", "there is no column 'number'"),
        ("columns: {id: {type: text, about: a}}", "a text, and required"),
        (
            "columns: {id: {type: text, required: true, about: a},"
            " b: {type: text, about: b, aliases: [ID]}}",
            "'id' is a header of 'id' and 'b'",
        ),
        (
            "columns: {id: {type: text, required: true, about: a},"
            " b: {type: text, about: b, values: [High]}}",
            "'High' is not in lower case",
        ),
    ],
)
def test_a_type_that_cannot_work_is_refused(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "record_odd.yaml").write_text(f"type: record_odd\ntitle: Odd\nabout: odd\n{text}\n")
    with pytest.raises(DataError, match=why):
        load_record_types([tmp_path])
