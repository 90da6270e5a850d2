"""Collecting from a server that denies, throttles and fails, through the real SDK."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pytest
from support_aws import Request, every
from support_store import new_key, sealer_of

from auditpack.collecting import CollectSummary, collect_snapshot
from auditpack.config import AwsConfig, Config, SigningConfig
from auditpack.console import Output
from auditpack.options import Context
from controls.assessment import Assessment
from evidence.segments import read_lines
from evidence.snapshot import Snapshot
from evidence.store import Store

TYPES = (
    "aws_account",
    "aws_s3_bucket",
    "aws_iam_user",
    "aws_kms_key",
    "aws_sqs_queue",
    "aws_sns_topic",
    "aws_vpc_security_group",
    "aws_ebs_volume",
    "aws_cloudwatch_log_group",
)


def context_in(folder: Path, **aws: Any) -> Context:
    """A context whose store and keys lie in `folder`."""
    settings = {"regions": ("us-east-1",), "types": TYPES, "max_attempts": 4, **aws}
    config = Config(
        organisation="Test",
        store=str(folder / "store"),
        aws=AwsConfig(**settings),
        signing=SigningConfig(key=folder / "keys/k.pem", certificate=folder / "keys/c.pem"),
    )
    return Context(config, None, Output(quiet=True))


def rows_of(snapshot: Snapshot, resource_type: str) -> list[dict[str, Any]]:
    """The rows of a table without the columns that say where they came from."""
    table = snapshot.table(resource_type)
    sql = f"SELECT to_json(t) FROM (SELECT * EXCLUDE (captures) FROM '{table}') AS t ORDER BY id"
    return [orjson.loads(row[0]) for row in duckdb.sql(sql).fetchall()]


def snapshot_of(context: Context, summary: CollectSummary) -> Snapshot:
    """Open what a run sealed."""
    return Snapshot.open(Store.open(Path(context.config.store)), summary.snapshot)


@pytest.fixture(scope="module")
def baseline(gated_estate: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An undisturbed run to compare with: its context and snapshot."""
    url, gate = gated_estate
    gate.reset()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }.items():
            patch.setenv(name, value)
        context = context_in(tmp_path_factory.mktemp("baseline"))
        summary = collect_snapshot(context)
    return context, snapshot_of(context, summary)


def test_an_undisturbed_run_has_no_gaps_and_cites_captures_that_exist(baseline: Any) -> None:
    _, snapshot = baseline
    assert list(snapshot.gaps) == []
    sql = f"SELECT id, captures FROM '{snapshot.table('aws_s3_bucket')}'"
    for bucket, captures in duckdb.sql(sql).fetchall():
        for reference in captures["versioning"]:
            unit, _, number = reference.rpartition("#")
            line = list(read_lines(snapshot.segment(unit)))[int(number) - 1]
            capture = orjson.loads(line)
            assert capture["operation"] == "get_bucket_versioning"
            assert orjson.loads(capture["parameters"])["Bucket"] == bucket.rpartition(":")[2]
            assert capture["request_id"]
            assert capture["status"] == 200


def test_no_call_is_made_twice_for_the_same_thing(aws_environment: Any, tmp_path: Path) -> None:
    context = context_in(tmp_path, types=())
    collect_snapshot(context)
    seen = Counter(
        (request.name, request.region, request.body)
        for request in aws_environment.requests
        if not request.operation.startswith("GET ")
        and request.operation != "GenerateCredentialReport"
    )
    assert {key: count for key, count in seen.items() if count > 1} == {}


def test_throttling_on_every_third_call_loses_nothing(
    aws_environment: Any, tmp_path: Path, baseline: Any
) -> None:
    aws_environment.refuse = every(3, (400, "ThrottlingException", "Rate exceeded"))
    context = context_in(tmp_path, max_attempts=Config().aws.max_attempts)
    snapshot = snapshot_of(context, collect_snapshot(context))
    assert snapshot.gaps == ()
    for resource_type in TYPES:
        assert rows_of(snapshot, resource_type) == rows_of(baseline[1], resource_type)


def test_throttled_attempts_are_kept_as_captures(aws_environment: Any, tmp_path: Path) -> None:
    aws_environment.refuse = every(3, (400, "ThrottlingException", "Rate exceeded"))
    context = context_in(tmp_path, types=("aws_kms_key",), max_attempts=5)
    snapshot = snapshot_of(context, collect_snapshot(context))
    unit = next(unit for unit in snapshot.units if unit.key.resource_type == "aws_kms_key")
    captures = [orjson.loads(line) for line in read_lines(snapshot.segment(unit.key.path))]
    assert {capture["status"] for capture in captures} == {200, 400}
    assert any("Rate exceeded" in capture["body"] for capture in captures)


def half_of_everything(request: Request) -> tuple[int, str, str] | None:
    """Deny about half of the operations, always the same ones."""
    if request.service == "sts" or sum(request.name.encode()) % 2:
        return None
    return 403, "AccessDenied", "no permission for this"


def test_what_is_denied_is_a_gap_and_never_a_verdict(
    aws_environment: Any, tmp_path: Path, baseline: Any
) -> None:
    from auditpack.commands.evaluate import assess_snapshot

    aws_environment.refuse = half_of_everything
    context = context_in(tmp_path)
    summary = collect_snapshot(context)
    assert summary.gaps["denied"] > 5
    whole = statuses(assess_snapshot(baseline[0]))
    partial = statuses(assess_snapshot(context))
    assert Counter(partial.values())["not_evidenced"] > Counter(whole.values())["not_evidenced"]
    for key, status in partial.items():
        if key in whole and status != whole[key]:
            assert status == "not_evidenced", key


def statuses(assessment: Assessment) -> dict[tuple[str, str], str]:
    """Status by check and resource."""
    return {(f.check_id, f.resource_id): f.status for f in assessment.findings()}


def test_an_operation_that_the_cloud_does_not_have_is_an_error_gap(
    aws_environment: Any, tmp_path: Path
) -> None:
    aws_environment.refuse = lambda request: (
        (501, "NotImplemented", "not here") if "ListQueues" in request.operation else None
    )
    context = context_in(tmp_path, types=("aws_sqs_queue", "aws_sns_topic"))
    snapshot = snapshot_of(context, collect_snapshot(context))
    listed = {unit.key.resource_type: unit.listed.value for unit in snapshot.units}
    assert listed == {"aws_sqs_queue": "error", "aws_sns_topic": "ok"}


def test_an_answer_that_is_no_aws_answer_stops_only_its_own_call(
    aws_environment: Any, tmp_path: Path
) -> None:
    aws_environment.refuse = lambda request: (
        (500, "<html>", "oops") if request.service == "kms" else None
    )
    context = context_in(tmp_path, types=("aws_kms_key", "aws_sns_topic"), max_attempts=1)
    snapshot = snapshot_of(context, collect_snapshot(context))
    listed = {unit.key.resource_type: unit.listed.value for unit in snapshot.units}
    assert listed["aws_kms_key"] == "error"
    assert listed["aws_sns_topic"] == "ok"


def test_an_account_that_cannot_be_opened_becomes_gaps_of_every_type(
    aws_environment: Any, tmp_path: Path
) -> None:
    def refuse(request: Request) -> tuple[int, str, str] | None:
        if request.operation == "AssumeRole":
            return 403, "AccessDenied", "not authorised to perform sts:AssumeRole"
        return None

    aws_environment.refuse = refuse
    accounts = (
        {"id": "123456789012", "name": "open"},
        {"id": "222222222222", "role_arn": "arn:aws:iam::222222222222:role/audit"},
    )
    context = context_in(tmp_path, accounts=accounts)
    snapshot = snapshot_of(context, collect_snapshot(context))
    closed = [unit for unit in snapshot.units if unit.key.account == "222222222222"]
    assert {unit.key.resource_type for unit in closed} == set(TYPES)
    assert all(unit.listed.value == "denied" for unit in closed)
    assert any(unit.listed.value == "ok" for unit in snapshot.units)


def test_the_same_rows_come_back_from_a_process_pool(
    aws_environment: Any, tmp_path: Path, baseline: Any
) -> None:
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    from collectors.aws.engine import collect, open_accounts, plan
    from collectors.run_types import keep_types
    from evidence.snapshot import SnapshotRun

    context = context_in(tmp_path)
    scope = context.config.aws_scope()
    types, accounts = scope.chosen_types(), open_accounts(scope)
    store = context.store(create=True)
    intent = {"started": "2026-01-01T00:00:00Z", "organisation": "Test", "scope": scope.as_dict()}
    run = SnapshotRun.start(store, "20260101T000000Z-pool00", intent)
    keep_types(run.folder, types.values())
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        collect(accounts, plan(accounts, scope, types, run, b"k" * 32), run, executor=pool)
    sealer = sealer_of(new_key())
    run.seal([spec.table_schema() for spec in types.values()], "2026-01-01T00:01:00Z", sealer)
    snapshot = Snapshot.open(store)
    for resource_type in ("aws_s3_bucket", "aws_iam_user", "aws_vpc_security_group"):
        assert rows_of(snapshot, resource_type) == rows_of(baseline[1], resource_type)


def test_a_credential_report_is_read_although_making_a_new_one_is_denied(
    aws_environment: Any, tmp_path: Path
) -> None:
    context = context_in(tmp_path / "first", types=("aws_iam_credential_report",))
    whole = snapshot_of(context, collect_snapshot(context))
    aws_environment.refuse = lambda request: (
        (403, "AccessDenied", "no") if request.operation == "GenerateCredentialReport" else None
    )
    context = context_in(tmp_path / "second", types=("aws_iam_credential_report",))
    again = snapshot_of(context, collect_snapshot(context))
    assert again.gaps == ()
    assert [row["name"] for row in rows_of(again, "aws_iam_credential_report")] == [
        row["name"] for row in rows_of(whole, "aws_iam_credential_report")
    ]


OWN_TYPE = """\
type: aws_own_queue
title: Queue
service: sqs
scope: region
list: {{operation: list_queues, items: "{items}"}}
id: $Url
facets:
  identity:
    about: the queue
    queue_name: {{type: text, path: "after_last(Url || 'x/none', '/')", about: its name}}
"""


@pytest.mark.parametrize(
    ("items", "rows", "gaps"),
    [
        ("QueueUrls[].{Url: @}", 1, []),
        ("[QueueUrls[], QueueUrls[]][].{Url: @}", 1, []),
        ("QueueUrls[].{Other: @}", 0, ["the answer holds no id"]),
        (
            "[QueueUrls[].{Url: 'same', Name: 'a'}, QueueUrls[].{Url: 'same', Name: 'b'}][]",
            1,
            [],
        ),
    ],
)
def test_a_resource_is_written_once_and_only_with_an_id(
    aws_environment: Any, tmp_path: Path, items: str, rows: int, gaps: list[str]
) -> None:
    folder = tmp_path / "types"
    folder.mkdir()
    (folder / "aws_own_queue.yaml").write_text(OWN_TYPE.format(items=items))
    context = context_in(tmp_path, types=())
    scope = context.config.aws_scope((str(folder),))
    from dataclasses import replace

    from collectors.aws.engine import collect, open_accounts, plan
    from collectors.run_types import keep_types
    from evidence.snapshot import SnapshotRun

    scope = replace(scope, types=("aws_own_queue",))
    accounts, types = open_accounts(scope), scope.chosen_types()
    run = SnapshotRun.start(context.store(create=True), "20260101T000000Z-own000", {"scope": {}})
    keep_types(run.folder, types.values())
    collect(accounts, plan(accounts, scope, types, run, b"k" * 32), run)
    unit = next(iter(run.committed().values()))
    assert unit.resources == rows
    assert [gap.detail for gap in unit.gaps] == gaps


def test_an_absent_code_can_be_narrowed_to_a_message() -> None:
    from botocore.exceptions import ClientError

    from collectors.aws.outcomes import classify
    from evidence.outcome import Outcome

    def refused(message: str) -> ClientError:
        return ClientError(
            {
                "Error": {"Code": "AccessDeniedException", "Message": message},
                "ResponseMetadata": {"HTTPStatusCode": 403},
            },
            "GetMacieSession",
        )

    absent = ("AccessDeniedException: Macie is not enabled",)
    assert classify(refused("Macie is not enabled."), absent) is Outcome.ABSENT
    assert classify(refused("User is not authorized"), absent) is Outcome.DENIED


def test_a_tight_quota_with_many_threads_loses_nothing(
    aws_environment: Any, tmp_path: Path, baseline: Any
) -> None:
    """A server-side token bucket of 25 requests a second, far below what 32 threads can send."""
    import threading
    import time

    lock, state = threading.Lock(), {"tokens": 25.0, "at": time.monotonic()}

    def refuse(_: Request) -> tuple[int, str, str] | None:
        with lock:
            now = time.monotonic()
            state["tokens"] = min(25.0, state["tokens"] + (now - state["at"]) * 25)
            state["at"] = now
            if state["tokens"] < 1:
                return 400, "ThrottlingException", "Rate exceeded"
            state["tokens"] -= 1
            return None

    aws_environment.refuse = refuse
    context = context_in(tmp_path, max_attempts=Config().aws.max_attempts)
    snapshot = snapshot_of(context, collect_snapshot(context))
    assert snapshot.gaps == ()
    for resource_type in TYPES:
        assert rows_of(snapshot, resource_type) == rows_of(baseline[1], resource_type)
