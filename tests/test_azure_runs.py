"""Runs over Azure that are cut short, spread over processes, or large."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure_small_estate import (
    PRODUCTION,
    SANDBOX,
    SECRET,
    TENANT,
    TYPES,
    account_path,
    context_in,
    small_estate,
    snapshot_of,
)
from support_cli import auditpack, started

from auditpack.collecting import collect_snapshot
from auditpack.demo.azure.server import FakeAzure
from evidence.segments import read_lines
from evidence.snapshot import Snapshot
from evidence.tables import write_table

CONFIG = """\
organisation: Small
store: ev
azure:
  tenants:
    - id: {tenant}
      name: Small
  types: [{types}]
  authority: "{url}"
  arm_endpoint: "{url}"
  graph_endpoint: "{url}"
  ca_file: "{ca_file}"
"""


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAzure]:
    """The fake over the small estate, and an application's credentials in the environment."""
    monkeypatch.setenv("AZURE_CLIENT_ID", "11111111-1111-4111-8111-111111111111")
    monkeypatch.setenv("AZURE_CLIENT_SECRET", SECRET)
    with FakeAzure(small_estate()) as server:
        yield server


@pytest.fixture
def folder(fake: FakeAzure, tmp_path: Path) -> Path:
    """A working folder with a configuration for the fake, types of our own, and a key."""
    context_in(tmp_path, fake)
    said = auditpack("init", "--no-passphrase", cwd=tmp_path)
    assert said.code == 0, said.err
    text = CONFIG.format(tenant=TENANT, types=", ".join(TYPES), url=fake.url, ca_file=fake.ca_file)
    (tmp_path / "auditpack.yaml").write_text(text)
    return tmp_path


def committed(folder: Path) -> list[Path]:
    """Units that are committed in the open run."""
    return list((folder / "ev/incomplete").rglob("work/units/**/*.json"))


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_cut_short_is_resumed_without_asking_again(
    fake: FakeAzure, folder: Path, how: signal.Signals
) -> None:
    fake.delay(0.25)
    process = started("collect", cwd=folder)
    deadline = time.monotonic() + 60
    while not any("resource_graph" in path.name for path in committed(folder)):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(how)
    _, err = process.communicate(timeout=60)
    if how is not signal.SIGKILL:
        assert process.returncode == 130
        assert "--resume" in err
    verified = auditpack("verify", "--json", cwd=folder)
    assert verified.code == 0, verified.out
    fake.reset()
    resumed = auditpack("collect", "--resume", "--json", cwd=folder)
    assert resumed.code == 0, resumed.err
    assert resumed.json["gaps"] == {}
    assert resumed.json["resources"] == 6 + 2 + 5
    queries = [path for method, path, _ in fake.requests if method == "POST"]
    assert queries == [], "the bulk unit was committed, and was asked again"
    assert auditpack("verify", cwd=folder).code == 0


def test_the_command_line_reads_what_is_configured(fake: FakeAzure, folder: Path) -> None:
    said = auditpack("collect", "--json", cwd=folder)
    assert said.code == 0, said.err
    assert said.json["accounts"] == [TENANT, PRODUCTION.lower(), SANDBOX.lower()]
    one = auditpack("collect", "--subscription", SANDBOX, "--type", "azure_small_lock", cwd=folder)
    assert one.code == 0, one.err
    assert "1 resource in 1 account;" in one.out
    assert fake.writes == []


def test_endpoints_may_come_from_the_environment(fake: FakeAzure, tmp_path: Path) -> None:
    said = auditpack(
        "collect",
        "--provider=azure",
        f"--tenant={TENANT}",
        "--type=azure_resource_group",
        "--json",
        cwd=tmp_path,
        AZURE_AUTHORITY_HOST=fake.url,
        AUDITPACK_AZURE_ARM_ENDPOINT=fake.url,
        AUDITPACK_AZURE_GRAPH_ENDPOINT=fake.url,
        AUDITPACK_AZURE_CA_FILE=str(fake.ca_file),
    )
    assert said.code == 0, said.err
    assert said.json["resources"] == 2


def test_reads_slow_down_before_azure_refuses_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AZURE_CLIENT_ID", "11111111-1111-4111-8111-111111111111")
    monkeypatch.setenv("AZURE_CLIENT_SECRET", SECRET)
    with FakeAzure(small_estate(accounts=45)) as fake:
        fake.limit_reads(60)
        context = context_in(tmp_path, fake, types=("azure_small_storage",))
        snapshot = snapshot_of(context, collect_snapshot(context))
        reads = [path for method, path, _ in fake.requests if method == "GET"]
    assert snapshot.gaps == ()
    lines = [
        json.loads(line)
        for unit in snapshot.units
        for line in read_lines(snapshot.segment(unit.key.path))
    ]
    refused = [line for line in lines if line["status"] != 200]
    assert len(reads) == 1 + 2 * 45 * 2 + len(refused)
    assert len(refused) <= 9, "a few that were under way; without the quota it is dozens"
    left = "x-ms-ratelimit-remaining-subscription-reads"
    assert min(int(line["headers"].get(left, "60")) for line in lines) < 10


def test_wrong_credentials_are_said_to_be_wrong(
    fake: FakeAzure, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AZURE_CLIENT_SECRET")
    said = auditpack("collect", cwd=folder, AZURE_TOKEN_CREDENTIALS="prod", PATH="/nowhere")
    assert said.code == 2
    assert "credentials" in said.err
    assert "Traceback" not in said.err
    assert not (folder / "ev/incomplete").exists() or committed(folder) == []


def test_an_authority_that_is_not_trusted_is_an_error(fake: FakeAzure, folder: Path) -> None:
    file = folder / "auditpack.yaml"
    file.write_text(file.read_text().replace("  ca_file:", "  # ca_file:"))
    said = auditpack("collect", cwd=folder)
    assert said.code in (1, 2)
    assert "certificate" in said.err.lower()
    assert "Traceback" not in said.err


def test_the_same_rows_come_back_from_a_process_pool(fake: FakeAzure, tmp_path: Path) -> None:
    import duckdb

    from collectors.azure.engine import collect, open_tenants, plan
    from collectors.run_types import keep_types
    from evidence.snapshot import SnapshotRun

    context = context_in(tmp_path, fake)
    whole = snapshot_of(context, collect_snapshot(context))
    scope = context.config.azure_scope(context.type_folders)
    types = scope.chosen_types()
    tenants = open_tenants(scope.tenants, scope.settings)
    run = SnapshotRun.start(context.store(), "20260101T000000Z-pool00", {"scope": {}})
    keep_types(run.folder, types.values())
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        collect(tenants, plan(tenants, scope, types, run, b"k" * 32), run, executor=pool)
    records = run.committed()
    assert len(records) == 1 + 2 + 2 + 1
    assert all(record.listed.value == "ok" for record in records.values())
    schema = types["azure_small_storage"].table_schema()
    files = sorted((run.folder / "work/rows").rglob("azure_small_storage.jsonl"))
    write_table(schema, files, tmp_path / "again.parquet")
    columns = "account, id, name, tags, transport, recovery"
    again = duckdb.sql(f"SELECT {columns} FROM '{tmp_path / 'again.parquet'}' ORDER BY id")
    table = whole.table("azure_small_storage")
    assert again.fetchall() == duckdb.sql(f"SELECT {columns} FROM '{table}' ORDER BY id").fetchall()
    run.release()


MEASURED = """
import json, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from types import SimpleNamespace
from azure_small_estate import context_in
from collectors.azure.engine import collect, open_tenants, plan
from collectors.run_types import keep_types
from evidence.snapshot import SnapshotRun

fake = SimpleNamespace(url={url!r}, ca_file={ca_file!r})
context = context_in(Path({folder!r}), fake, types=("azure_small_storage",), reread=False)
scope = context.config.azure_scope(context.type_folders)
types = scope.chosen_types()
tenants = open_tenants(scope.tenants, scope.settings)
run = SnapshotRun.start(context.store(create=True), "20260101T000000Z-large0", {{"scope": {{}}}})
keep_types(run.folder, types.values())
collect(tenants, plan(tenants, scope, types, run, b"k" * 32), run)
status = Path("/proc/self/status").read_text().split("VmHWM:")[1]
rows = sum(record.resources for record in run.committed().values())
print(json.dumps({{"rows": rows, "kilobytes": int(status.split()[0])}}))
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows_of_resource_graph(
    fake: FakeAzure, tmp_path: Path
) -> None:
    def peak(name: str) -> dict[str, Any]:
        folder = tmp_path / name
        context_in(folder, fake)
        file = folder / "auditpack.d/resources/azure_small_storage.yaml"
        text = file.read_text()
        without_calls = text[: text.index("enrich:")] + text[text.index("tags:") :]
        start, end = without_calls.index("  recovery:"), without_calls.index("redact:")
        file.write_text(without_calls[:start] + without_calls[end:])
        code = MEASURED.format(
            tests=str(Path(__file__).parent),
            url=fake.url,
            ca_file=str(fake.ca_file),
            folder=str(folder),
        )
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    fake.multiply(account_path(SANDBOX, "Store2"), 2_000)
    small = peak("small")
    fake.multiply(account_path(SANDBOX, "Store1"), 98_000)
    large = peak("large")
    assert (small["rows"], large["rows"]) == (2_006, 100_006)
    # Kept, the rows would take some 300 MB; threads and their pages differ by tens from run to run.
    assert large["kilobytes"] < small["kilobytes"] + 100_000, (small, large)


def test_the_whole_tenant_is_judged(fake: FakeAzure, folder: Path) -> None:
    """What is sealed is what the evaluator takes: no table is missing, nothing is in the way."""
    from auditpack.config import load_config
    from auditpack.console import Output
    from auditpack.options import Context

    assert auditpack("collect", cwd=folder).code == 0
    file = folder / "auditpack.yaml"
    store = Context(load_config(file), file, Output(quiet=True)).store()
    snapshot = Snapshot.open(store)
    assert set(snapshot.schemas) == set(TYPES)
    assert all(unit.listed.observed for unit in snapshot.units)
