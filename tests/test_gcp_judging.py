"""What was read of Google Cloud is judged in the accounts that it belongs to."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from gcp_small_server import (
    ORGANIZATION,
    SmallGcp,
    context_in,
    only_small_and_quick,
    snapshot_of,
    with_policy,
)
from support_controls import check_yaml, column, fact_yaml, make_catalogue

from auditpack.collecting import collect_snapshot
from collectors.catalogue import load_schemas
from controls.evaluate import evaluate
from evidence.snapshot import Snapshot

BUCKETS = check_yaml("uniform", "access.uniform", resource="gcp_small_bucket", reason="name")
FOLDERS = check_yaml(
    "named", "identity.display_name <> ''", resource="gcp_small_folder", reason="name"
)
POLICIES = check_yaml(
    "bound", "fact.everywhere", resource="gcp_small_policy", reason="'not everywhere'"
)
EVERYWHERE = fact_yaml(
    "everywhere",
    "SELECT p.account, all_of(len(f.policy.roles) > 0) AS everywhere"
    " FROM (SELECT DISTINCT account FROM gcp_small_policy) AS p, gcp_small_policy AS f"
    " GROUP BY p.account",
    {"everywhere": column("all", none=True)},
    **{"for": "gcp_small_policy"},
    reads=["gcp_small_policy", "gcp_small_folder", "gcp_small_bucket"],
)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """There are no resource types but our own, and retries wait a moment only."""
    only_small_and_quick(monkeypatch, tmp_path)


@pytest.fixture
def fake() -> Iterator[SmallGcp]:
    """The small organisation, whose policies are set on buckets and on the organisation."""
    with SmallGcp() as server:
        above = {
            "name": f"//cloudresourcemanager.googleapis.com/{ORGANIZATION}",
            "assetType": "cloudresourcemanager.googleapis.com/Organization",
            "ancestors": [ORGANIZATION],
            "resource": {"data": {}},
        }
        server.assets = [*server.assets, with_policy(above, "roles/z")]
        yield server


def judged(folder: Path, fake: SmallGcp, **gcp: Any) -> tuple[Snapshot, list[dict[str, Any]]]:
    """Collect, judge, and return the findings."""
    context = context_in(folder, fake, **gcp)
    snapshot = snapshot_of(context, collect_snapshot(context))
    catalogue = make_catalogue(folder / "catalogue", [BUCKETS, FOLDERS, POLICIES], [EVERYWHERE])
    schemas = load_schemas([folder / "auditpack.d/resources"])
    path = evaluate(snapshot, catalogue, schemas, folder / "out").path
    found = duckdb.sql(f"SELECT * FROM '{path}'")
    return snapshot, [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


def told(findings: list[dict[str, Any]], check: str) -> list[tuple[str, str]]:
    """Account and status of a check's findings."""
    return sorted((f["account"], f["status"]) for f in findings if f["check_id"] == check)


def test_each_type_is_judged_in_the_accounts_of_its_kind(fake: SmallGcp, tmp_path: Path) -> None:
    _, findings = judged(tmp_path, fake)
    assert told(findings, "uniform") == [("lab", "fail"), ("shop", "fail"), ("shop", "pass")]
    assert told(findings, "named") == [(ORGANIZATION, "pass")]
    assert told(findings, "bound") == [
        (ORGANIZATION, "pass"),
        ("shop", "pass"),
        ("shop", "pass"),
    ], "a fact about a type of both kinds reads projects and what they lie in"


def test_what_lies_above_the_projects_that_are_read_is_not_evidenced(
    fake: SmallGcp, tmp_path: Path
) -> None:
    _, findings = judged(tmp_path, fake, scopes=("projects/shop",))
    assert told(findings, "named") == [(ORGANIZATION, "not_evidenced")]
    (missing,) = [f for f in findings if f["check_id"] == "named"]
    assert "only projects/shop is read" in missing["reason"]
    assert told(findings, "uniform") == [("shop", "fail"), ("shop", "pass")]
    assert {status for _, status in told(findings, "bound")} == {"not_evidenced"}


def test_a_type_that_was_not_collected_is_missing_in_its_own_accounts_only(
    fake: SmallGcp, tmp_path: Path
) -> None:
    _, findings = judged(tmp_path, fake, types=("gcp_small_bucket",))
    assert told(findings, "named") == [(ORGANIZATION, "not_evidenced")]
    assert told(findings, "bound") == [
        ("lab", "not_evidenced"),
        (ORGANIZATION, "not_evidenced"),
        ("shop", "not_evidenced"),
    ]


def test_ages_count_from_the_time_that_was_read(fake: SmallGcp, tmp_path: Path) -> None:
    moment = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=30)
    made = (moment - datetime.timedelta(days=10)).strftime("%Y-%m-%dT%H:%M:%SZ")
    (folder,) = [asset for asset in fake.assets if asset["name"].endswith("folders/8")]
    folder["resource"]["data"]["createTime"] = made
    context = context_in(tmp_path, fake, as_of=moment, types=("gcp_small_folder",))
    snapshot = snapshot_of(context, collect_snapshot(context))
    check = check_yaml(
        "young",
        "days_since(identity.made) = 10",
        resource="gcp_small_folder",
        reason="days_since(identity.made) || ' days'",
    )
    catalogue = make_catalogue(tmp_path / "catalogue", [check], [])
    schemas = load_schemas([tmp_path / "auditpack.d/resources"])
    path = evaluate(snapshot, catalogue, schemas, tmp_path / "out").path
    found = duckdb.sql(f"SELECT status, reason FROM '{path}'").fetchall()
    assert found == [("pass", "10 days")]
