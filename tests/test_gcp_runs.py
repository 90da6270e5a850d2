"""Runs over Google Cloud: by the command line, signed in, cut short, spread, or large."""

from __future__ import annotations

import datetime
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from gcp_small_server import BASIC, ORGANIZATION, TYPES, SmallGcp, context_in, snapshot_of
from support_cli import Said, auditpack, started

from auditpack.collecting import collect_snapshot
from auditpack.demo.gcp.server import FakeGcp
from evidence.snapshot import Snapshot
from evidence.store import Store
from evidence.tables import write_table

CONFIG = """\
organisation: Small
store: ev
gcp:
  scopes: [{scope}]
  types: [{types}]
  endpoint: "{endpoint}"
  requests_per_minute: 60000
"""
VARIABLES = (
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_CLOUD_PROJECT",
    "GOOGLE_CLOUD_QUOTA_PROJECT",
    "AUDITPACK_GCP_ENDPOINT",
    "AUDITPACK_GCP_CA_FILE",
)


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this machine's own Google Cloud counts."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def fake() -> Iterator[FakeGcp]:
    """The demo's Google Cloud."""
    with FakeGcp() as server:
        yield server


@pytest.fixture
def small() -> Iterator[SmallGcp]:
    """The small organisation."""
    with SmallGcp() as server:
        yield server


def with_types(folder: Path) -> Path:
    """A working folder with resource types of our own."""
    types = folder / "auditpack.d" / "resources"
    types.mkdir(parents=True)
    for name, text in TYPES.items():
        (types / f"{name}.yaml").write_text(text)
    return folder


def folder_for(folder: Path, server: Any, scope: str, endpoint: str = "", more: str = "") -> Path:
    """A working folder with a configuration, types of our own, and a key."""
    with_types(folder)
    assert auditpack("init", "--no-passphrase", cwd=folder).code == 0
    text = CONFIG.format(
        scope=scope, types=", ".join(BASIC), endpoint=endpoint or f"http://{server.address}"
    )
    (folder / "auditpack.yaml").write_text(text + more)
    return folder


def newest(folder: Path) -> Snapshot:
    """The newest snapshot of a working folder's store."""
    return Snapshot.open(Store.open(folder / "ev"))


def rows(snapshot: Snapshot, resource_type: str, columns: str) -> list[Any]:
    """Columns of a table, by id."""
    table = snapshot.table(resource_type)
    return duckdb.sql(f"SELECT {columns} FROM '{table}' ORDER BY id").fetchall()


# The command line


def test_the_command_line_says_when_and_what_it_read(small: SmallGcp, tmp_path: Path) -> None:
    folder = folder_for(tmp_path, small, ORGANIZATION)
    said = auditpack("collect", "--json", cwd=folder)
    assert said.code == 0, said.err
    assert said.json["accounts"] == ["lab", ORGANIZATION, "shop"]
    assert said.json["read_time"] == newest(folder).predicate["intent"]["scope"]["gcp"]["read_time"]
    told = auditpack("collect", cwd=folder)
    assert f"Google Cloud was read as of {said.json['read_time'][:10]}" in told.out
    one = auditpack("collect", "--project=lab", "--type=gcp_small_bucket", "--json", cwd=folder)
    assert (one.code, one.json["accounts"], one.json["resources"]) == (0, ["lab"], 1)


def test_scopes_and_endpoint_may_come_from_the_command_line_and_the_environment(
    small: SmallGcp, tmp_path: Path
) -> None:
    with_types(tmp_path)
    wanted = ("collect", "--provider=gcp", "--type=gcp_small_bucket", "--json")
    endpoint = {"AUDITPACK_GCP_ENDPOINT": small.endpoint}
    said = auditpack(*wanted, f"--gcp-scope={ORGANIZATION}", cwd=tmp_path, **endpoint)
    assert (said.code, said.json["resources"]) == (0, 3), said.err
    said = auditpack(*wanted, cwd=tmp_path, GOOGLE_CLOUD_PROJECT="shop", **endpoint)
    assert (said.code, said.json["accounts"]) == (0, ["shop"]), said.err


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--provider=gcp", "--gcp-scope=organisations/9"), "is no scope of Google Cloud"),
        (("--provider=gcp", "--gcp-scope=organizations/9", "--as-of=soon"), "is not a time"),
        (("--provider=gcp", "--gcp-scope=organizations/9", "--as-of=2020-01-01T00:00Z"), "35 days"),
        (("--provider=gcp", "--project=../x"), "is no scope of Google Cloud"),
        (("--provider=aws", "--as-of=2026-11-01T00:00:00Z"), "is not read"),
        (("--provider=all", "--project=x", "--as-of=2026-11-01T00:00:00Z"), "only Google Cloud"),
        (("--provider=gcp",), "no scope is named"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    small: SmallGcp, tmp_path: Path, arguments: tuple[str, ...], word: str
) -> None:
    said = auditpack("collect", *arguments, cwd=tmp_path, AUDITPACK_GCP_ENDPOINT=small.endpoint)
    assert said.code == 2, said.err
    assert word in said.err
    assert "Traceback" not in said.err
    assert small.calls == []


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("gcp: {scopes: [organizations/x]}", "scopes"),
        ("gcp: {page_size: 2000}", "page_size"),
        ("gcp: {as_of: 2026-11-01}", "as_of"),
        ("gcp: {zone: x}", "zone"),
    ],
)
def test_a_wrong_configuration_names_the_field(tmp_path: Path, text: str, field: str) -> None:
    (tmp_path / "auditpack.yaml").write_text(text + "\n")
    said = auditpack("collect", cwd=tmp_path)
    assert said.code == 2
    assert field in said.err


def test_rebuild_and_verify_and_a_second_look(small: SmallGcp, tmp_path: Path) -> None:
    folder = folder_for(tmp_path, small, ORGANIZATION)
    assert auditpack("collect", cwd=folder).code == 0
    made = auditpack("rebuild", cwd=folder)
    assert made.code == 0, made.out
    assert "3 tables" in made.out
    assert "from 2 captures" in made.out
    assert auditpack("verify", cwd=folder).code == 0
    derived = auditpack("rebuild", "--current-types", cwd=folder)
    assert "Nothing to derive" in derived.out


# As of an earlier time


def test_as_of_gives_the_state_of_then(fake: FakeGcp, tmp_path: Path) -> None:
    record = next(
        record
        for record in fake.estate.records
        if record.type == "storage.googleapis.com/Bucket" and len(record.versions) > 1
    )
    until = record.versions[0].until
    assert until is not None
    then = until - datetime.timedelta(days=1)
    (tmp_path / "auditpack.d/resources").mkdir(parents=True)
    (tmp_path / "auditpack.d/resources/gcp_then_bucket.yaml").write_text(
        "type: gcp_then_bucket\ntitle: Bucket\nnative_type: storage.googleapis.com/Bucket\n"
        "service: storage\nscope: project\nfacets:\n  all:\n    about: x\n"
        "    data: {type: text, path: to_string(data), about: x}\n"
    )

    def said_of(*more: str) -> Said:
        return auditpack(
            "collect",
            "--provider=gcp",
            f"--gcp-scope={fake.organization}",
            "--type=gcp_then_bucket",
            "--store=ev",
            "--json",
            *more,
            cwd=tmp_path,
            AUDITPACK_GCP_ENDPOINT=f"http://{fake.address}",
        )

    now = said_of()
    assert now.code == 0, now.err
    earlier = said_of(f"--as-of={then.isoformat()}")
    assert earlier.code == 0, earlier.err
    store = Store.open(tmp_path / "ev")
    told = {
        name: dict(
            duckdb.sql(
                'SELECT id, "all".data FROM'
                f" '{Snapshot.open(store, name).table('gcp_then_bucket')}'"
            ).fetchall()
        )[record.name]
        for name in (now.json["snapshot"], earlier.json["snapshot"])
    }
    assert told[now.json["snapshot"]] != told[earlier.json["snapshot"]]
    snapshot = Snapshot.open(store, earlier.json["snapshot"])
    assert snapshot.as_of == then.strftime("%Y-%m-%dT%H:%M:%SZ") == earlier.json["read_time"]


# Signed in, with TLS


def signed_in(folder: Path, fake: FakeGcp, **environment: str) -> Said:
    """Collect over TLS with what the environment says."""
    return auditpack(
        "collect",
        "--provider=gcp",
        f"--gcp-scope={fake.organization}",
        "--type=gcp_small_bucket",
        "--json",
        cwd=folder,
        AUDITPACK_GCP_ENDPOINT=fake.tls_address,
        AUDITPACK_GCP_CA_FILE=str(fake.ca_file),
        **environment,
    )


def test_a_service_account_key_signs_in(fake: FakeGcp, tmp_path: Path) -> None:
    key = {"GOOGLE_APPLICATION_CREDENTIALS": str(fake.service_account_file)}
    said = signed_in(
        with_types(tmp_path), fake, GOOGLE_CLOUD_QUOTA_PROJECT="halden-shared-logging", **key
    )
    assert said.code == 0, said.err
    assert said.json["gaps"] == {}
    assert {call.secure for call in fake.calls} == {True}
    assert {call.principal for call in fake.calls} == {email_of(fake)}
    assert {call.metadata.get("x-goog-user-project") for call in fake.calls} == {
        "halden-shared-logging"
    }


def email_of(fake: FakeGcp) -> str:
    """The service account that collects."""
    told = json.loads(fake.service_account_file.read_text())
    return str(told["client_email"])


@pytest.mark.parametrize("how", ["external_account_file", "impersonating_file"])
def test_workload_identity_federation_signs_in(fake: FakeGcp, tmp_path: Path, how: str) -> None:
    file = str(getattr(fake, how))
    said = signed_in(with_types(tmp_path), fake, GOOGLE_APPLICATION_CREDENTIALS=file)
    assert said.code == 0, said.err
    assert said.json["resources"] > 0


def test_a_file_and_a_quota_project_may_be_configured(fake: FakeGcp, tmp_path: Path) -> None:
    more = (
        f"  credentials_file: {fake.service_account_file}\n  ca_file: {fake.ca_file}\n"
        "  quota_project: halden-production\n"
    )
    folder = folder_for(tmp_path, fake, fake.organization, fake.tls_address, more)
    said = auditpack("collect", "--json", cwd=folder)
    assert said.code == 0, said.err
    assert {call.metadata.get("x-goog-user-project") for call in fake.calls} == {
        "halden-production"
    }
    intent = newest(folder).predicate["intent"]["scope"]["gcp"]
    assert intent["quota_project"] == "halden-production"
    assert "private_key" not in json.dumps(intent)


@pytest.mark.parametrize(
    ("environment", "word"),
    [
        ({}, "credentials"),
        ({"GOOGLE_APPLICATION_CREDENTIALS": "/nowhere/key.json"}, "/nowhere/key.json"),
    ],
)
def test_no_credentials_are_said_to_be_missing(
    fake: FakeGcp, tmp_path: Path, environment: dict[str, str], word: str
) -> None:
    said = signed_in(
        with_types(tmp_path), fake, HOME=str(tmp_path), NO_GCE_CHECK="true", **environment
    )
    assert said.code == 2, said.err
    assert word in said.err
    assert "Traceback" not in said.err
    assert fake.calls == []


def test_credentials_that_are_not_accepted_are_said_to_be_wrong(
    fake: FakeGcp, tmp_path: Path
) -> None:
    file = fake.service_account_file
    told = json.loads(file.read_text())
    file = tmp_path / "other.json"
    file.write_text(json.dumps({**told, "client_email": "nobody@x.iam.gserviceaccount.com"}))
    said = signed_in(with_types(tmp_path), fake, GOOGLE_APPLICATION_CREDENTIALS=str(file))
    assert said.code == 2, said.err
    assert "credentials" in said.err
    assert "Traceback" not in said.err


def test_an_authority_that_is_not_trusted_is_an_error(fake: FakeGcp, tmp_path: Path) -> None:
    said = auditpack(
        "collect",
        "--provider=gcp",
        "--project=halden-production",
        cwd=tmp_path,
        AUDITPACK_GCP_ENDPOINT=fake.tls_address,
        GOOGLE_APPLICATION_CREDENTIALS=str(fake.service_account_file),
    )
    assert said.code == 1, said.err
    assert "certificate" in said.err.lower()
    assert "Traceback" not in said.err


def test_an_api_that_is_switched_off_is_a_gap_that_names_it(fake: FakeGcp, tmp_path: Path) -> None:
    fake.disable_api("111222333444")
    said = auditpack(
        "collect",
        "--provider=gcp",
        f"--gcp-scope={fake.organization}",
        "--type=gcp_small_bucket",
        "--store=ev",
        "--json",
        cwd=with_types(tmp_path),
        AUDITPACK_GCP_ENDPOINT=f"http://{fake.address}",
    )
    assert said.code == 0, said.err
    assert set(said.json["gaps"]) == {"not_enabled"}
    (gap,) = newest(tmp_path).gaps
    assert "cloudasset.googleapis.com enabled in projects/111222333444" in gap.detail


def test_the_quota_is_outlasted(fake: FakeGcp, tmp_path: Path) -> None:
    fake.limit(2, 1.5)
    said = auditpack(
        "collect",
        "--provider=gcp",
        f"--gcp-scope={fake.organization}",
        "--type=gcp_small_bucket",
        "--json",
        cwd=with_types(tmp_path),
        AUDITPACK_GCP_ENDPOINT=f"http://{fake.address}",
    )
    assert said.code == 0, said.err
    assert said.json["gaps"] == {}
    assert said.json["records"] > said.json["calls"], "the throttled attempts are kept"


def test_the_demo_is_only_read_and_follows_from_its_captures(fake: FakeGcp, tmp_path: Path) -> None:
    environment = {"AUDITPACK_GCP_ENDPOINT": f"http://{fake.address}"}
    scope = f"--gcp-scope={fake.organization}"
    said = auditpack("collect", "--provider=gcp", scope, "--json", cwd=tmp_path, **environment)
    assert said.code == 0, said.err
    assert fake.others == []
    made = auditpack("rebuild", "--json", cwd=tmp_path)
    assert made.code == 0, made.out
    assert made.json["captures_unused"] == 0


# Cut short


def committed(folder: Path) -> list[Path]:
    """Units that are committed in the open run."""
    return list((folder / "ev/incomplete").rglob("work/units/**/*.json"))


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_cut_short_is_resumed_at_its_own_time(
    small: SmallGcp, tmp_path: Path, how: signal.Signals
) -> None:
    folder = folder_for(tmp_path, small, ORGANIZATION)
    held = [True]

    def wait(method: str, request: dict[str, Any]) -> None:
        while held[0] and request["contentType"] == "IAM_POLICY":
            time.sleep(0.02)

    small.refuse = wait
    process = started("collect", cwd=folder)
    deadline = time.monotonic() + 60
    while not any(path.name == "gcp_small_folder.json" for path in committed(folder)):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(how)
    time.sleep(0.3)
    held[0] = False
    _, err = process.communicate(timeout=60)
    if how is not signal.SIGKILL:
        assert process.returncode == 130, err
        assert "--resume" in err
    assert auditpack("verify", cwd=folder).code == 0
    read_time = small.asked()[-1]["readTime"]
    small.calls.clear()
    time.sleep(1.1)
    resumed = auditpack("collect", "--resume", "--json", cwd=folder)
    assert resumed.code == 0, resumed.err
    assert (resumed.json["gaps"], resumed.json["resources"]) == ({}, 3 + 1 + 2)
    assert {request["readTime"] for request in small.asked()} == {read_time}
    assert small.contents() == ["IAM_POLICY"], "the resources were committed, and asked again"
    assert resumed.json["read_time"] == read_time
    assert auditpack("rebuild", cwd=folder).code == 0


def test_scratch_files_are_made_again_and_never_sealed(small: SmallGcp, tmp_path: Path) -> None:
    from collectors.gcp.engine import collect, open_scopes, plan
    from collectors.run_types import keep_types
    from evidence.snapshot import SnapshotRun

    context = context_in(tmp_path, small)
    scope = context.config.gcp_scope(context.type_folders, read_time="2026-11-01T00:00:00Z")
    types = scope.chosen_types()
    scopes = open_scopes(scope.scopes, scope.settings, scope.reading.read_time)
    store = context.store(create=True)
    run = SnapshotRun.start(store, "20260101T000000Z-scratch", {"scope": {}})
    keep_types(run.folder, types.values())
    targets = plan(scopes, scope, types, run, b"k" * 32)
    collect(scopes, [target for target in targets if target.bulk], run)
    for file in (run.folder / "work/assets").glob("*"):
        file.unlink()
    collect(scopes, targets, run)
    records = run.committed()
    assert sum(record.resources for record in records.values()) == 6
    made = {file.name.partition("-")[0] for file in (run.folder / "work/assets").iterdir()}
    assert made == {"gcp_assets.iam_policy", "gcp_assets.resource"}
    assert not list((run.folder / "sealed").rglob("*.sqlite"))
    run.release()


def test_the_same_rows_come_back_from_a_process_pool(small: SmallGcp, tmp_path: Path) -> None:
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    from collectors.gcp.engine import collect, open_scopes, plan
    from collectors.run_types import keep_types
    from evidence.snapshot import SnapshotRun

    context = context_in(tmp_path, small)
    whole = snapshot_of(context, collect_snapshot(context))
    scope = context.config.gcp_scope(context.type_folders, read_time="2026-11-01T00:00:00Z")
    types = scope.chosen_types()
    scopes = open_scopes(scope.scopes, scope.settings, scope.reading.read_time)
    run = SnapshotRun.start(context.store(), "20260101T000000Z-pool00", {"scope": {}})
    keep_types(run.folder, types.values())
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        collect(scopes, plan(scopes, scope, types, run, b"k" * 32), run, executor=pool)
    records = run.committed()
    assert len(records) == 2 + 2 + 1 + 3
    assert all(record.listed.value == "ok" for record in records.values())
    files = sorted((run.folder / "work/rows").rglob("gcp_small_bucket.jsonl"))
    write_table(types["gcp_small_bucket"].table_schema(), files, tmp_path / "again.parquet")
    columns = "account, id, name, tags, access, policy, captures"
    again = duckdb.sql(f"SELECT {columns} FROM '{tmp_path / 'again.parquet'}' ORDER BY id")
    assert again.fetchall() == rows(whole, "gcp_small_bucket", columns)
    run.release()


# Large

MEASURED = """
import json, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from types import SimpleNamespace
import collectors.gcp.catalogue
collectors.gcp.catalogue.BUILT_IN = Path("/nonexistent")
from gcp_small_server import context_in
from collectors.gcp.engine import collect, open_scopes, plan
from collectors.run_types import keep_types
from evidence.snapshot import SnapshotRun

fake = SimpleNamespace(address={address!r})
context = context_in(Path({folder!r}), fake, types=("gcp_small_bucket",), scopes=({scope!r},))
scope = context.config.gcp_scope(context.type_folders, read_time={read_time!r})
types = scope.chosen_types()
scopes = open_scopes(scope.scopes, scope.settings, scope.reading.read_time)
run = SnapshotRun.start(context.store(create=True), "20260101T000000Z-large0", {{"scope": {{}}}})
keep_types(run.folder, types.values())
collect(scopes, plan(scopes, scope, types, run, b"k" * 32), run)
status = Path("/proc/self/status").read_text().split("VmHWM:")[1]
rows = sum(record.resources for record in run.committed().values())
print(json.dumps({{"rows": rows, "kilobytes": int(status.split()[0])}}))
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_assets(fake: FakeGcp, tmp_path: Path) -> None:
    kind = "storage.googleapis.com/Bucket"
    name = next(record.name for record in fake.estate.records if record.type == kind)
    before = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=10)

    def peak(copies: int) -> dict[str, Any]:
        fake.reset()
        fake.multiply(name, copies)
        code = MEASURED.format(
            tests=str(Path(__file__).parent),
            address=fake.address,
            folder=str(tmp_path / str(copies)),
            scope=fake.organization,
            read_time=before.strftime("%Y-%m-%dT%H:%M:%SZ"),
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    small, large = peak(4_000), peak(24_000)
    assert large["rows"] - small["rows"] == 20_000
    assert large["kilobytes"] < small["kilobytes"] + 60_000, (small, large)
