"""Tables made again from captures alone: the same, or named where they are not."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import duckdb
import orjson
import pytest
from support_aws import Request, every
from support_cli import Said, auditpack
from test_collect_aws import context_in, half_of_everything

from auditpack.collecting import collect_snapshot
from collectors.rebuilding import Rebuilt, rebuild
from evidence.files import sha256_of_file
from evidence.outcome import Outcome
from evidence.segments import read_lines
from evidence.snapshot import Snapshot
from evidence.verify import verify_store

REGIONS = ("eu-west-1",)
SECRET = "hunter2-and-some-more"
NOBODY_THERE = "http://127.0.0.1:9"


@pytest.fixture(scope="module", autouse=True)
def _pages_and_secrets(gated_estate: Any) -> None:
    """Things in a region of their own that take several pages, or hold a secret."""
    url, gate = gated_estate
    gate.reset()
    session = boto3.Session(
        aws_access_key_id="test", aws_secret_access_key="test", region_name="eu-west-1"
    )
    logs = session.client("logs", endpoint_url=url)
    for number in range(120):
        logs.create_log_group(logGroupName=f"group-{number:03}")
    tags = {"zeta": "last", "db_password": SECRET, "alpha": "first"}
    session.client("sqs", endpoint_url=url).create_queue(QueueName="secretive", tags=tags)
    session.client("ec2", endpoint_url=url).create_security_group(
        GroupName="secretive", Description=f"password: {SECRET}"
    )


def rebuilt_from(context: Any, work: Path) -> Rebuilt:
    store = context.store()
    snapshot = Snapshot.open(store)
    return rebuild(snapshot, store.manifest("snapshot", snapshot.id), work)


def faults(rebuilt: Rebuilt) -> list[str]:
    """Everything that is not as it was sealed, and captures that no table rests on."""
    tables = [f"{t.resource_type}: {t.result}: {t.why}" for t in rebuilt.tables if not t.ok]
    other = [f"{t.resource_type}: {t.result}" for t in rebuilt.tables if t.result == "same rows"]
    return [*tables, *other, *rebuilt.units, *rebuilt.unused]


def captures_of(context: Any) -> list[dict[str, Any]]:
    snapshot = Snapshot.open(context.store())
    segments = [snapshot.segment(unit.key.path) for unit in snapshot.units]
    return [orjson.loads(line) for segment in segments for line in read_lines(segment)]


@pytest.mark.slow
def test_every_table_is_the_same_byte_for_byte(aws_environment: Any, tmp_path: Path) -> None:
    context = context_in(tmp_path, types=(), regions=REGIONS)
    collect_snapshot(context)
    captures = captures_of(context)
    assert any(capture["redactions"] for capture in captures)
    assert any("nextToken" in capture["parameters"] for capture in captures)
    rebuilt = rebuilt_from(context, tmp_path / "work")
    assert faults(rebuilt) == []
    assert rebuilt.captures == len(captures)
    assert len(rebuilt.tables) == len(Snapshot.open(context.store()).schemas)
    for table in rebuilt.tables:
        assert table.sha256 == table.sealed_sha256 == sha256_of_file(table.file or Path())


def throttled_and_denied() -> Callable[[Request], Any]:
    throttled = every(3, (400, "ThrottlingException", "Rate exceeded"))
    return lambda request: half_of_everything(request) or throttled(request)


@pytest.mark.slow
def test_what_was_denied_or_throttled_comes_out_the_same(
    aws_environment: Any, tmp_path: Path
) -> None:
    aws_environment.refuse = throttled_and_denied()
    context = context_in(tmp_path, types=(), regions=REGIONS)
    summary = collect_snapshot(context)
    assert summary.gaps["denied"] > 20
    assert {200, 400, 403} <= {capture["status"] for capture in captures_of(context)}
    assert faults(rebuilt_from(context, tmp_path / "work")) == []


def test_an_answer_that_is_none_and_a_server_that_is_away_come_out_the_same(
    aws_environment: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", NOBODY_THERE)

    def refuse(request: Request) -> Any:
        if request.operation == "GetTopicAttributes":
            return 200, "<html>", f"password: {SECRET}"
        if request.operation == "GetQueueAttributes":
            return 403, "AccessDenied", f"no: password: {SECRET}"
        return None

    aws_environment.refuse = refuse
    types = ("aws_kms_key", "aws_sns_topic", "aws_sqs_queue")
    context = context_in(tmp_path, types=types, max_attempts=2)
    summary = collect_snapshot(context)
    assert summary.gaps == {"error": 2, "denied": 1}
    captures = captures_of(context)
    errors = {capture["error"]: capture for capture in captures if capture["error"]}
    assert NOBODY_THERE in errors["EndpointConnectionError"]["error_detail"]
    assert "<html>" in errors["ResponseParserError"]["body"]
    assert SECRET not in str(captures)
    assert faults(rebuilt_from(context, tmp_path / "work")) == []


def test_polling_until_a_report_is_ready_comes_out_the_same(
    aws_environment: Any, tmp_path: Path
) -> None:
    asked = [0]

    def refuse(request: Request) -> Any:
        if request.operation != "GenerateCredentialReport":
            return None
        asked[0] += 1
        return (400, "LimitExceededException", "slow down") if asked[0] == 1 else None

    aws_environment.refuse = refuse
    context = context_in(tmp_path, types=("aws_iam_credential_report",))
    collect_snapshot(context)
    assert sum(c["operation"] == "generate_credential_report" for c in captures_of(context)) > 1
    assert faults(rebuilt_from(context, tmp_path / "work")) == []


# From another process, and what a dishonest producer could do


@pytest.fixture
def collected(aws_environment: Any, tmp_path: Path) -> Path:
    """A folder with a store that the command line made; the server is out of reach afterwards."""
    return collected_in(tmp_path)


TYPES = ("aws_s3_bucket", "aws_sqs_queue", "aws_vpc_security_group", "aws_kms_key")


def collected_in(folder: Path) -> Path:
    typed = [word for name in TYPES for word in ("--type", name)]
    said = auditpack("collect", *typed, "--region", "eu-west-1", "--json", cwd=folder)
    assert said.code == 0, said.err
    return folder


def rebuilt_in(folder: Path, *options: str, **environment: str) -> Said:
    """Run `auditpack rebuild` where no cloud can be reached."""
    alone = {"AWS_ENDPOINT_URL": NOBODY_THERE, "AWS_ACCESS_KEY_ID": "", "AWS_PROFILE": "no-such"}
    return auditpack("rebuild", *options, "--json", cwd=folder, **{**alone, **environment})


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "1", "LC_ALL": "C"},
        {"TZ": "America/St_Johns", "PYTHONHASHSEED": "2", "LC_ALL": "C.UTF-8"},
    ],
)
def test_another_process_elsewhere_makes_the_same_tables(
    collected: Path, elsewhere: dict[str, str]
) -> None:
    before = {path: path.read_bytes() for path in collected.rglob("*") if path.is_file()}
    said = rebuilt_in(collected, **elsewhere)
    assert said.code == 0, said.err
    assert {table["result"] for table in said.json["tables"].values()} == {"identical"}
    assert sorted(said.json["tables"]) == sorted(TYPES)
    after = {path: path.read_bytes() for path in collected.rglob("*") if path.is_file()}
    assert after == before


LIE = (
    "* REPLACE (CASE WHEN name = 'small-estate-1' THEN struct_update(versioning,"
    " status := 'Enabled') ELSE versioning END AS versioning)"
)


@pytest.mark.parametrize(
    ("selected", "result", "why"),
    [
        (
            LIE + " FROM t",
            "differs",
            r"row \d+ \(arn:aws:s3:::small-estate-1\), column versioning.status:"
            " sealed 'Enabled', made again 'Disabled'",
        ),
        (
            "* FROM t WHERE name <> 'small-estate-3'",
            "differs",
            r"row \d+ \(arn:aws:s3:::small-estate-3\), column id: sealed no row, made again this",
        ),
        (
            "* EXCLUDE (tags) FROM t",
            "differs",
            r"columns differ: sealed identity STRUCT\(created TIMESTAMP\), made again tags MAP\(",
        ),
        ("* FROM t", "same rows", "the same rows in other bytes"),
    ],
)
def test_a_table_altered_before_it_was_signed_is_named(
    aws_environment: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    selected: str,
    result: str,
    why: str,
) -> None:
    import evidence.snapshot

    honest = evidence.snapshot.write_table

    def dishonest(schema: Any, files: Any, target: Path) -> int:
        count = honest(schema, files, target)
        if schema.resource_type == "aws_s3_bucket":
            with duckdb.connect() as database:
                database.sql(f"CREATE TABLE t AS FROM '{target}'")
                database.sql(f"COPY (SELECT {selected}) TO '{target}' (FORMAT parquet)")
        return count

    monkeypatch.setattr(evidence.snapshot, "write_table", dishonest)
    context = context_in(tmp_path, types=("aws_s3_bucket", "aws_sqs_queue"))
    collect_snapshot(context)
    assert verify_store(context.store()).ok
    rebuilt = rebuilt_from(context, tmp_path / "work")
    results = {table.resource_type: table for table in rebuilt.tables}
    assert results["aws_sqs_queue"].result == "identical"
    assert results["aws_s3_bucket"].result == result
    assert re.match(why, results["aws_s3_bucket"].why)
    said = auditpack("rebuild", cwd=tmp_path)
    assert said.code == (5 if result == "differs" else 0)
    shown = re.search(f"aws_s3_bucket: differs: {why}", said.out)
    assert (shown is not None) == (result == "differs")


def test_a_listing_that_was_denied_cannot_be_sealed_as_an_empty_one(
    aws_environment: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import evidence.snapshot

    honest = evidence.snapshot.committed_units
    monkeypatch.setattr(
        evidence.snapshot,
        "committed_units",
        lambda run: [replace(unit, listed=Outcome.OK, gaps=(), detail="") for unit in honest(run)],
    )
    aws_environment.refuse = lambda request: (
        (403, "AccessDenied", "no") if request.operation == "ListQueues" else None
    )
    context = context_in(tmp_path, types=("aws_sqs_queue",))
    collect_snapshot(context)
    assert verify_store(context.store()).ok
    rebuilt = rebuilt_from(context, tmp_path / "work")
    assert not rebuilt.ok
    found = "\n".join(rebuilt.units)
    assert "listed: sealed 'ok', made again 'denied'" in found
    assert "gaps.jsonl: aws/123456789012/us-east-1/aws_sqs_queue: list_queues denied" in found


def test_a_capture_left_out_is_missed(
    aws_environment: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import evidence.units

    honest = evidence.units.UnitWriter.keep_capture

    def dishonest(writer: Any, line: bytes) -> str:
        wanted = b'"operation":"get_bucket_versioning"' in line and b"small-estate-2" in line
        return "aws/none#1" if wanted else honest(writer, line)

    monkeypatch.setattr(evidence.units.UnitWriter, "keep_capture", dishonest)
    context = context_in(tmp_path, types=("aws_s3_bucket",))
    collect_snapshot(context)
    (table,) = rebuilt_from(context, tmp_path / "work").tables
    assert table.result == "cannot be made"
    assert "hold no answer to s3.get_bucket_versioning" in table.why


def test_captures_changed_after_sealing_are_not_gone_by(collected: Path) -> None:
    segment = next((collected / "store/snapshots").rglob("aws_kms_key.jsonl.zst"))
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    said = rebuilt_in(collected)
    assert said.code == 5
    assert "aws_kms_key.jsonl.zst" in said.err


def test_a_snapshot_without_its_types_says_so(collected: Path) -> None:
    snapshot = next((collected / "store/snapshots").iterdir())
    (snapshot / "specs.json").unlink()
    said = rebuilt_in(collected)
    assert said.code == 5
    assert "specs.json" in said.err


# Newer resource types


def own_type(folder: Path, name: str, *changes: tuple[str, str]) -> None:
    """Put a changed copy of a built-in resource type into the user's folder."""
    import collectors.aws.catalogue

    text = (collectors.aws.catalogue.BUILT_IN / f"{name}.yaml").read_text()
    for old, new in changes:
        assert text.count(old) == 1, (old, text.count(old))
        text = text.replace(old, new)
    own = folder / "auditpack.d" / "resources"
    own.mkdir(parents=True, exist_ok=True)
    (own / f"{name}.yaml").write_text(text)


NEW_STEP = (
    "enrich:\n",
    "enrich:\n  - {operation: get_bucket_request_payment, params: {Bucket: $Name}}\n",
)
NEW_FACETS = (
    "facets:\n",
    """facets:
  payment:
    about: who pays
    from: get_bucket_request_payment
    payer: {type: text, path: Payer, about: who pays}
  location:
    about: where it is
    from: get_bucket_location
    place: {type: text, path: "@", about: its region}
""",
)


def test_a_newer_type_makes_a_derivation_and_leaves_the_table_as_it_is(collected: Path) -> None:
    assert rebuilt_in(collected, "--current-types").json["derivation"] == ""
    sealed = {p: p.read_bytes() for p in (collected / "store/snapshots").rglob("*") if p.is_file()}
    own_type(collected, "aws_s3_bucket", NEW_STEP, NEW_FACETS)
    first = rebuilt_in(collected, "--current-types")
    assert first.code == 0, first.err
    assert first.json["derivation_is_new"]
    folder = collected / "store/derivations" / first.json["derivation"]
    assert [path.name for path in folder.glob("tables/*")] == ["aws_s3_bucket.parquet"]
    row = duckdb.sql(
        f"SELECT location.place, payment, errors FROM '{folder}/tables/aws_s3_bucket.parquet'"
    ).fetchall()[0]
    assert row[0] == "us-east-1"
    assert row[1] is None
    assert row[2] == {"payment": "skipped: get_bucket_request_payment not collected"}
    for path, data in sealed.items():
        assert path.read_bytes() == data
    again = rebuilt_in(collected, "--current-types")
    assert again.json["derivation"] == first.json["derivation"]
    assert not again.json["derivation_is_new"]
    assert rebuilt_in(collected).code == 0


def test_each_newer_type_has_a_derivation_of_its_own_that_verifies(collected: Path) -> None:
    own_type(collected, "aws_s3_bucket", NEW_STEP, NEW_FACETS)
    first = rebuilt_in(collected, "--current-types").json
    own_type(collected, "aws_s3_bucket", NEW_FACETS, ("enrich:\n", NEW_STEP[1] + "  # as before\n"))
    assert rebuilt_in(collected, "--current-types").json["derivation"] == first["derivation"]
    own_type(collected, "aws_s3_bucket", ("enrich:\n", NEW_STEP[1]), NEW_FACETS)
    own_type(collected, "aws_kms_key", ("facets:\n", "facets:\n" + OTHER_FACET))
    second = rebuilt_in(collected, "--current-types").json
    assert second["derivation"] != first["derivation"]
    names = {path.name for path in (collected / "store/derivations").iterdir()}
    assert names == {first["derivation"], second["derivation"]}
    verified = auditpack("verify", "--json", cwd=collected)
    assert verified.code == 0, verified.out
    assert verified.json["sealed"]["derivation"] == 2


OTHER_FACET = """\
  more:
    about: more
    from: list
    arn: {type: text, path: KeyArn, absent: "", about: its ARN}
"""


def test_a_newer_listing_that_was_not_made_gives_no_empty_table(collected: Path) -> None:
    own_type(collected, "aws_sqs_queue", ("params: {MaxResults: 1000}", "params: {MaxResults: 9}"))
    said = rebuilt_in(collected, "--current-types")
    table = said.json["tables"]["aws_sqs_queue"]
    assert table["result"] == "cannot be made"
    assert "hold no answer to sqs.list_queues" in table["why"]
    assert said.json["derivation"] == ""
    assert not (collected / "store/derivations").exists()


def test_a_newer_type_takes_out_what_it_says_is_secret(collected: Path) -> None:
    own_type(
        collected,
        "aws_sqs_queue",
        ("redact: []", 'redact:\n  - {operation: get_queue_attributes, path: "Attributes.*"}'),
    )
    said = rebuilt_in(collected, "--current-types").json
    table = collected / "store/derivations" / said["derivation"] / "tables/aws_sqs_queue.parquet"
    (row,) = duckdb.sql(f"SELECT errors, tags FROM '{table}'").fetchall()
    assert "identity" in row[0]
    assert row[1]["db_password"].startswith("[redacted ")


def test_a_run_goes_on_with_the_types_that_it_was_started_with(
    aws_environment: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Types that change while a run is interrupted do not make half of a table."""
    from collectors.aws.engine import collect, open_accounts, plan
    from collectors.run_types import keep_types
    from evidence.snapshot import SnapshotRun

    context = context_in(tmp_path, types=("aws_s3_bucket", "aws_sqs_queue"))
    scope = context.config.aws_scope()
    types, accounts = scope.chosen_types(), open_accounts(scope)
    account = {"id": "123456789012", "regions": ["us-east-1"], "partition": "aws"}
    intent = {
        "started": "2026-01-01T00:00:00Z",
        "scope": {"types": list(types), "accounts": [{**account, "home_region": "us-east-1"}]},
    }
    run = SnapshotRun.start(context.store(create=True), "20260101T000000Z-000001", intent)
    keep_types(run.folder, types.values())
    targets = plan(accounts, scope, types, run, b"k" * 32)
    collect(accounts, targets[:1], run)
    assert run.held is not None
    run.held.close()
    own_type(tmp_path, "aws_s3_bucket", NEW_STEP, NEW_FACETS)
    monkeypatch.chdir(tmp_path)
    collect_snapshot(context, resume=True)
    assert faults(rebuilt_from(context, tmp_path / "work")) == []
    assert Snapshot.open(context.store()).schemas["aws_s3_bucket"].facet_names[0] != "payment"
