"""Collecting Azure and Entra ID over a fake that speaks their interfaces with TLS."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import orjson
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

from auditpack.collecting import collect_snapshot
from auditpack.demo.azure.server import FakeAzure
from evidence.segments import read_lines
from evidence.snapshot import Snapshot

QUERY = "resourcegraph/resources"


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAzure]:
    """The fake over the small estate, and an application's credentials in the environment."""
    monkeypatch.setenv("AZURE_CLIENT_ID", "11111111-1111-4111-8111-111111111111")
    monkeypatch.setenv("AZURE_CLIENT_SECRET", SECRET)
    with FakeAzure(small_estate()) as server:
        yield server


def collected(folder: Path, fake: FakeAzure, **azure: Any) -> Snapshot:
    """Collect the small estate and open what was sealed."""
    context = context_in(folder, fake, **azure)
    return snapshot_of(context, collect_snapshot(context))


def rows_of(snapshot: Snapshot, resource_type: str) -> list[dict[str, Any]]:
    """The rows of a table, by id."""
    found = duckdb.sql(f"SELECT * FROM '{snapshot.table(resource_type)}' ORDER BY id")
    return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


def unit_of(snapshot: Snapshot, account: str, resource_type: str) -> Any:
    """The unit of a type in a subscription or tenant."""
    return next(
        unit
        for unit in snapshot.units
        if (unit.key.account, unit.key.resource_type) == (account.lower(), resource_type)
    )


def capture_at(snapshot: Snapshot, reference: str) -> dict[str, Any]:
    """The capture that a reference names."""
    unit, _, number = reference.rpartition("#")
    line = list(read_lines(snapshot.segment(unit)))[int(number) - 1]
    found: dict[str, Any] = orjson.loads(line)
    return found


def asked(fake: FakeAzure) -> Counter[str]:
    """How often each method and shape of path was asked."""
    return Counter(f"{method} {path.rpartition('/')[2]}" for method, path, _ in fake.requests)


def test_everything_is_read_and_cites_the_cloud(fake: FakeAzure, tmp_path: Path) -> None:
    snapshot = collected(tmp_path, fake)
    assert snapshot.gaps == ()
    rows = rows_of(snapshot, "azure_small_storage")
    assert len(rows) == 6
    first = rows[0]
    assert first["id"] == account_path(PRODUCTION, "Store0").lower()
    assert first["account"] == PRODUCTION.lower()
    assert first["provider"] == "azure"
    assert first["region"] == "norwayeast"
    assert first["tags"] == {"Owner": "data"}
    assert first["transport"] == {"https_only": True, "minimum_tls": "tls1_2"}
    assert [row["recovery"]["versioning"] for row in rows[:3]] == [True, False, False]
    row, again = (capture_at(snapshot, ref) for ref in first["captures"]["transport"])
    assert (row["service"], row["account"], row["region"]) == ("resource_graph", TENANT, "global")
    assert (again["service"], again["operation"]) == ("arm", "GET {id}")
    assert again["account"] == PRODUCTION.lower()
    assert again["url"].lower().endswith("/storageaccounts/store0")
    assert again["request_id"]
    assert again["cloud_date"]
    assert len(rows_of(snapshot, "entra_small_user")) == 5
    assert [row["lock"]["level"] for row in rows_of(snapshot, "azure_small_lock")] == [
        "cannotdelete",
        "cannotdelete",
    ]


def test_bulk_takes_a_request_a_thousand_rows_and_the_declared_gets(
    fake: FakeAzure, tmp_path: Path
) -> None:
    fake.multiply(account_path(SANDBOX, "Store2"), 2100)
    collected(
        tmp_path, fake, types=("azure_small_storage",), reread=False, requests_per_second=5000
    )
    counts = asked(fake)
    assert counts["POST resources"] == 3
    assert counts["GET default"] == 2106
    assert counts["GET subscriptions"] == 1
    assert sum(counts.values()) == 3 + 2106 + 1


def test_only_the_bulk_query_is_made_where_nothing_else_is_declared(
    fake: FakeAzure, tmp_path: Path
) -> None:
    fake.page_size = 2
    context = context_in(tmp_path, fake, types=("azure_small_storage",), reread=False)
    file = tmp_path / "auditpack.d/resources/azure_small_storage.yaml"
    text = file.read_text()
    start, end = text.index("enrich:"), text.index("tags:")
    start_of_recovery, redact = text.index("  recovery:"), text.index("redact:")
    file.write_text(text[:start] + text[end:start_of_recovery] + text[redact:])
    snapshot = snapshot_of(context, collect_snapshot(context))
    assert len(rows_of(snapshot, "azure_small_storage")) == 6
    assert asked(fake)["POST resources"] == 3
    unit = unit_of(snapshot, SANDBOX, "azure_small_storage")
    assert unit.calls == {}
    assert {ref.partition("#")[0] for ref in unit.captures} == {
        f"azure/{TENANT}/global/azure_small_storage.resource_graph"
    }


def test_pages_of_every_service_are_followed(fake: FakeAzure, tmp_path: Path) -> None:
    fake.page_size = 1
    snapshot = collected(tmp_path, fake)
    assert snapshot.gaps == ()
    assert len(rows_of(snapshot, "azure_small_storage")) == 6
    assert len(rows_of(snapshot, "entra_small_user")) == 5


@pytest.mark.parametrize("path", [QUERY, "/locks", "/v1.0/users", "blobServices"])
def test_throttling_is_outlasted_and_retry_after_obeyed(
    fake: FakeAzure, tmp_path: Path, path: str
) -> None:
    fake.fail(path, 429, "TooManyRequests", 3, 1)
    snapshot = collected(tmp_path, fake)
    assert snapshot.gaps == ()
    assert len(rows_of(snapshot, "azure_small_storage")) == 6
    captures = [
        orjson.loads(line)
        for unit in snapshot.units
        for line in read_lines(snapshot.segment(unit.key.path))
    ]
    throttled = [capture for capture in captures if capture["status"] == 429]
    assert len(throttled) == 3
    assert {capture["headers"]["retry-after"] for capture in throttled} == {"1"}


def test_the_quota_of_resource_graph_is_waited_for(fake: FakeAzure, tmp_path: Path) -> None:
    fake.page_size = 1
    fake.limit_queries(3, 1.0)
    snapshot = collected(tmp_path, fake, types=("azure_small_storage",))
    assert snapshot.gaps == ()
    assert len(rows_of(snapshot, "azure_small_storage")) == 6


def test_a_subscription_that_is_not_visible_is_a_gap_and_never_an_empty_list(
    fake: FakeAzure, tmp_path: Path
) -> None:
    unknown = "dddddddd-0000-4000-8000-00000000000d"
    tenants = ({"id": TENANT, "subscriptions": (PRODUCTION, unknown)},)
    snapshot = collected(tmp_path, fake, tenants=tenants)
    for name in ("azure_small_storage", "azure_small_lock"):
        unit = unit_of(snapshot, unknown, name)
        assert unit.listed.value == "denied"
        assert "not visible" in unit.detail
    assert {row["account"] for row in rows_of(snapshot, "azure_small_storage")} == {
        PRODUCTION.lower()
    }


def test_a_disabled_subscription_is_a_gap_of_every_type(fake: FakeAzure, tmp_path: Path) -> None:
    fake.estate.documents[f"/subscriptions/{SANDBOX}".lower()].body["state"] = "Disabled"
    snapshot = collected(tmp_path, fake)
    unit = unit_of(snapshot, SANDBOX, "azure_small_storage")
    assert (unit.listed.value, "Disabled" in unit.detail) == ("not_enabled", True)
    assert len(rows_of(snapshot, "azure_small_storage")) == 3


def test_what_is_denied_names_the_permission(fake: FakeAzure, tmp_path: Path) -> None:
    fake.deny(f"/subscriptions/{SANDBOX}/.*/locks")
    fake.deny("Store1/blobServices")
    fake.withhold("User.Read.All")
    snapshot = collected(tmp_path, fake)
    gaps = {(gap.account, gap.resource_type): gap for gap in snapshot.gaps}
    lock = gaps[SANDBOX.lower(), "azure_small_lock"]
    assert (lock.reason, lock.resource_id) == ("denied", "")
    assert "needs Microsoft.Authorization/locks/read" in lock.detail
    blobs = gaps[PRODUCTION.lower(), "azure_small_storage"]
    assert (blobs.facet, blobs.resource_id) == (
        "recovery",
        account_path(PRODUCTION, "Store1").lower(),
    )
    assert "needs Microsoft.Storage/storageAccounts/blobServices/read" in blobs.detail
    users = gaps[TENANT, "entra_small_user"]
    assert users.reason == "denied"
    assert "needs User.Read.All" in users.detail
    assert users.captures
    assert len(rows_of(snapshot, "azure_small_storage")) == 6


def test_a_failed_bulk_query_leaves_every_subscription_unread(
    fake: FakeAzure, tmp_path: Path
) -> None:
    fake.fail(QUERY, 403, "AuthorizationFailed")
    snapshot = collected(tmp_path, fake)
    for account in (PRODUCTION, SANDBOX):
        unit = unit_of(snapshot, account, "azure_small_storage")
        assert unit.listed.value == "denied"
        assert "needs Microsoft.Storage/storageAccounts/read" in unit.detail
        assert capture_at(snapshot, unit.captures[0])["status"] == 403
    assert len([gap for gap in snapshot.gaps if gap.resource_type == "azure_small_storage"]) == 2
    assert len(rows_of(snapshot, "azure_small_lock")) == 2


def test_a_missing_licence_is_named(fake: FakeAzure, tmp_path: Path) -> None:
    code = "Authentication_RequestFromNonPremiumTenantOrB2CTenant"
    fake.fail("/v1.0/users", 403, code, message="Neither tenant is B2C or has premium license")
    snapshot = collected(tmp_path, fake, types=("entra_small_user",))
    assert [gap.reason for gap in snapshot.gaps] == ["not_enabled"]
    assert "Microsoft Entra ID P1 or P2" in snapshot.gaps[0].detail


def test_a_provider_that_is_not_registered_is_not_enabled(fake: FakeAzure, tmp_path: Path) -> None:
    fake.fail("/locks", 409, "MissingSubscriptionRegistration", message="Register it first.")
    snapshot = collected(tmp_path, fake, types=("azure_small_lock",))
    assert {gap.reason for gap in snapshot.gaps} == {"not_enabled"}
    assert fake.writes == []


def test_ids_are_lower_case_and_missing_properties_are_unknown(
    fake: FakeAzure, tmp_path: Path
) -> None:
    documents = fake.estate.documents
    documents[account_path(SANDBOX, "Store0").lower()].body.pop("properties")
    documents[account_path(SANDBOX, "Store1").lower()].body["properties"] = None
    documents[account_path(SANDBOX, "Store2").lower()].body["type"] = (
        "MICROSOFT.STORAGE/storageaccounts"
    )
    snapshot = collected(tmp_path, fake)
    rows = rows_of(snapshot, "azure_small_storage")
    assert all(row["id"] == row["id"].lower() for row in rows)
    mine = [row["transport"] for row in rows if row["account"] == SANDBOX.lower()]
    assert [facet and facet["https_only"] for facet in mine] == [None, None, True]


def test_the_second_look_is_what_counts_and_both_are_kept(fake: FakeAzure, tmp_path: Path) -> None:
    stale = {"properties": {"supportsHttpsTrafficOnly": False}, "tags": {"Owner": "nobody"}}
    fake.behind(account_path(PRODUCTION, "Store0"), stale)
    now = rows_of(collected(tmp_path / "now", fake), "azure_small_storage")[0]
    assert (now["transport"]["https_only"], now["tags"]) == (True, {"Owner": "data"})
    assert len(now["captures"]["transport"]) == 2
    behind = rows_of(collected(tmp_path / "row", fake, reread=False), "azure_small_storage")[0]
    assert behind["transport"]["https_only"] is False
    assert len(behind["captures"]["transport"]) == 1


def test_what_is_gone_by_the_second_look_gives_no_row(fake: FakeAzure, tmp_path: Path) -> None:
    fake.remove(account_path(PRODUCTION, "Store1"))
    snapshot = collected(tmp_path, fake)
    assert len(rows_of(snapshot, "azure_small_storage")) == 5
    assert snapshot.gaps == ()
    unit = unit_of(snapshot, PRODUCTION, "azure_small_storage")
    assert {capture_at(snapshot, ref)["status"] for ref in unit.captures} == {200, 404}


def test_where_the_second_look_fails_the_row_stands_and_a_gap_says_so(
    fake: FakeAzure, tmp_path: Path
) -> None:
    fake.deny("Store1$")
    snapshot = collected(tmp_path, fake)
    assert len(rows_of(snapshot, "azure_small_storage")) == 6
    gap = next(gap for gap in snapshot.gaps if gap.account == PRODUCTION.lower())
    assert gap.facet == "transport"
    assert "the row of Resource Graph is used" in gap.detail
    assert "needs Microsoft.Storage/storageAccounts/read" in gap.detail


def test_no_token_and_no_secret_is_in_any_capture(fake: FakeAzure, tmp_path: Path) -> None:
    snapshot = collected(tmp_path, fake)
    text = b"\n".join(
        line for unit in snapshot.units for line in read_lines(snapshot.segment(unit.key.path))
    )
    assert b"private-text-of-" not in text
    assert text.count(b"[redacted ") >= 12
    assert SECRET.encode() not in text
    assert b"Bearer" not in text
    assert b"access_token" not in text
    assert int(snapshot.predicate["redactions"]) == 12


def test_both_providers_are_one_snapshot(
    aws_environment: Any, fake: FakeAzure, tmp_path: Path
) -> None:
    from auditpack.config import AwsConfig
    from auditpack.options import Context
    from collectors.rebuilding import rebuild

    context = context_in(tmp_path, fake)
    aws = AwsConfig(regions=("us-east-1",), types=("aws_sqs_queue",))
    context = Context(
        context.config.model_copy(update={"aws": aws}), context.config_file, context.output
    )
    assert context.config.providers() == ("aws", "azure")
    snapshot = snapshot_of(context, collect_snapshot(context))
    assert {unit.key.provider for unit in snapshot.units} == {"aws", "azure"}
    assert set(snapshot.schemas) == {"aws_sqs_queue", *TYPES}
    scope = snapshot.predicate["intent"]["scope"]
    assert scope["provider"] == "aws,azure"
    assert scope["accounts"][0]["id"] == "123456789012"
    assert scope["azure"]["tenants"][0]["id"] == TENANT
    manifest = context.store().manifest("snapshot", snapshot.id)
    rebuilt = rebuild(snapshot, manifest, tmp_path / "work")
    assert rebuilt.ok, [(table.resource_type, table.why) for table in rebuilt.tables]


def test_a_provider_that_cannot_be_opened_does_not_stop_the_other(
    aws_environment: Any, fake: FakeAzure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from auditpack.config import AwsConfig
    from auditpack.options import Context

    context = context_in(tmp_path, fake, arm_endpoint="https://127.0.0.1:9")
    aws = AwsConfig(regions=("us-east-1",), types=("aws_sqs_queue",))
    context = Context(
        context.config.model_copy(update={"aws": aws}), context.config_file, context.output
    )
    snapshot = snapshot_of(context, collect_snapshot(context))
    assert len(rows_of(snapshot, "aws_sqs_queue")) == 1
    unread = [unit for unit in snapshot.units if unit.key.provider == "azure"]
    assert {unit.key.resource_type for unit in unread} == set(TYPES)
    assert {unit.listed.value for unit in unread} == {"denied"}


@pytest.mark.parametrize("page_size", [1, 1000])
def test_the_tables_can_be_made_again_from_the_captures(
    fake: FakeAzure, tmp_path: Path, page_size: int
) -> None:
    from collectors.rebuilding import rebuild

    fake.page_size = page_size
    fake.fail("Store2/blobServices", 429, "TooManyRequests", 2, 0)
    fake.deny("Store1$")
    fake.remove(account_path(SANDBOX, "Store2"))
    context = context_in(tmp_path, fake, max_attempts=1)
    snapshot = snapshot_of(context, collect_snapshot(context))
    manifest = context.store().manifest("snapshot", snapshot.id)
    rebuilt = rebuild(snapshot, manifest, tmp_path / "work")
    assert [table.result for table in rebuilt.tables] == ["identical"] * 3
    assert rebuilt.units == []
    assert rebuilt.ok


def test_evidence_of_a_snapshot_verifies(fake: FakeAzure, tmp_path: Path) -> None:
    from support_cli import auditpack

    context = context_in(tmp_path, fake)
    collect_snapshot(context)
    said = auditpack("verify", "--store", str(tmp_path / "store"), cwd=tmp_path)
    assert said.code == 0, said.out + said.err
