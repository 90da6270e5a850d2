"""Collecting Google Cloud over real gRPC, from a server that answers what the test says."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pytest
from gcp_small_server import (
    BASIC,
    BUCKET,
    ORGANIZATION,
    PROJECT,
    SmallGcp,
    bucket,
    context_in,
    error_info,
    folder,
    only_small_and_quick,
    project,
    small_estate,
    snapshot_of,
    with_policy,
)

from auditpack.collecting import collect_snapshot
from evidence.errors import UsageError
from evidence.segments import read_lines
from evidence.snapshot import Snapshot
from reports.accounts import accounts_of as accounts_of_intent

API = "cloudasset.googleapis.com"
ABOVE = ("folders/8", ORGANIZATION)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Retries wait a moment only, and there are no resource types but our own."""
    only_small_and_quick(monkeypatch, tmp_path)
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)


@pytest.fixture
def fake() -> Iterator[SmallGcp]:
    """The small organisation."""
    with SmallGcp() as server:
        yield server


def collected(folder: Path, fake: SmallGcp, **gcp: Any) -> Snapshot:
    """Collect the small organisation and open what was sealed."""
    context = context_in(folder, fake, **gcp)
    return snapshot_of(context, collect_snapshot(context))


def rows_of(snapshot: Snapshot, resource_type: str = "gcp_small_bucket") -> list[dict[str, Any]]:
    """The rows of a table, by id."""
    found = duckdb.sql(f"SELECT * FROM '{snapshot.table(resource_type)}' ORDER BY id")
    return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


def by_name(snapshot: Snapshot, resource_type: str = "gcp_small_bucket") -> dict[str, Any]:
    """The rows of a table, by name."""
    return {row["name"]: row for row in rows_of(snapshot, resource_type)}


def unit_of(snapshot: Snapshot, account: str, resource_type: str = "gcp_small_bucket") -> Any:
    """The unit of a type in an account."""
    wanted = (account, resource_type)
    return next(u for u in snapshot.units if (u.key.account, u.key.resource_type) == wanted)


def accounts_of(snapshot: Snapshot, resource_type: str = "gcp_small_bucket") -> dict[str, str]:
    """The accounts that a type was looked for in, and how that went."""
    units = [unit for unit in snapshot.units if unit.key.resource_type == resource_type]
    return {unit.key.account: unit.listed.value for unit in units}


def capture_at(snapshot: Snapshot, reference: str) -> dict[str, Any]:
    """The capture that a reference names."""
    unit, _, number = reference.rpartition("#")
    line = list(read_lines(snapshot.segment(unit)))[int(number) - 1]
    found: dict[str, Any] = orjson.loads(line)
    return found


def captures_of(snapshot: Snapshot) -> list[dict[str, Any]]:
    """All captures."""
    return [
        orjson.loads(line)
        for unit in snapshot.units
        for line in read_lines(snapshot.segment(unit.key.path))
    ]


def rebuilt_of(context: Any, snapshot: Snapshot, work: Path) -> Any:
    """The tables made again from the captures."""
    from collectors.rebuilding import rebuild

    return rebuild(snapshot, context.store().manifest("snapshot", snapshot.id), work)


def test_everything_is_read_and_cites_the_pages(fake: SmallGcp, tmp_path: Path) -> None:
    snapshot = collected(tmp_path, fake)
    assert snapshot.gaps == ()
    rows = by_name(snapshot)
    assert {name: row["account"] for name, row in rows.items()} == {
        "one": "shop",
        "two": "shop",
        "three": "lab",
    }
    one = rows["one"]
    assert (one["id"], one["provider"], one["region"]) == (
        "//storage.googleapis.com/one",
        "gcp",
        "europe-north1",
    )
    assert one["access"] == {"uniform": True, "days": 3}
    assert rows["two"]["access"] == {"uniform": False, "days": 0}
    assert rows["two"]["tags"] == {"Owner": "data"}
    assert rows["two"]["policy"] == {"roles": ["roles/b", "roles/c"]}
    assert rows["three"]["policy"] == {"roles": []}, "listed to the end, and not there: none is set"
    (page,) = (capture_at(snapshot, ref) for ref in one["captures"]["access"])
    assert (page["account"], page["operation"], page["status"]) == (
        ORGANIZATION,
        "ListAssets resource",
        200,
    )
    assert page["body_is"] == "JSON of a protobuf message, redacted"
    assert page["headers"] == {"grpc-status": "0"}
    assert page["cloud_date"].startswith("Tue, 24 Nov")
    assert page["url"].endswith("/google.cloud.asset.v1.AssetService/ListAssets")
    (policies,) = (capture_at(snapshot, ref) for ref in one["captures"]["policy"])
    assert policies["operation"] == "ListAssets iam_policy"
    assert policies["body_is"] == "JSON of a protobuf message"


def test_what_lies_above_projects_is_the_organisations(fake: SmallGcp, tmp_path: Path) -> None:
    snapshot = collected(tmp_path, fake)
    assert accounts_of(snapshot, "gcp_small_folder") == {ORGANIZATION: "ok"}
    assert accounts_of(snapshot) == {"shop": "ok", "lab": "ok"}
    assert set(accounts_of(snapshot, "gcp_small_policy")) == {ORGANIZATION, "shop", "lab"}
    assert rows_of(snapshot, "gcp_small_folder")[0]["account"] == ORGANIZATION


def test_folders_and_projects_are_called_by_their_names(fake: SmallGcp, tmp_path: Path) -> None:
    snapshot = collected(tmp_path, fake, scopes=("folders/8",))
    shown = {
        a.id: a.shown for a in accounts_of_intent(snapshot.predicate["intent"], snapshot.units)
    }
    assert shown["folders/8"] == "Folder 8 (folders/8)"
    assert shown[ORGANIZATION] == ORGANIZATION, "it is not read, and nobody says its name"


def test_digest_and_length_are_of_the_bytes_on_the_wire(tmp_path: Path) -> None:
    import hashlib

    sent: list[bytes] = []
    with SmallGcp() as fake:
        fake.change = lambda page: sent.append(page.SerializeToString())
        snapshot = collected(tmp_path, fake)
    wire = {hashlib.sha256(data).hexdigest(): len(data) for data in sent}
    pages = [capture for capture in captures_of(snapshot) if capture["status"] == 200]
    assert len(pages) == 2
    for page in pages:
        assert wire[page["received_sha256"]] == page["received_length"]


def test_numbers_are_made_whole_and_members_are_in_order(fake: SmallGcp, tmp_path: Path) -> None:
    fake.assets = [project(1, "shop"), bucket("b", 1, z=3, a=1.5, big=2**53 + 1, days=2**40)]
    snapshot = collected(tmp_path, fake, types=("gcp_small_bucket",))
    page = next(c for c in captures_of(snapshot) if c["operation"] == "ListAssets resource")
    assert (
        '{"a":1.5,"big":9007199254740992.0,"days":1099511627776,"name":"b","z":3}' in page["body"]
    )
    assert rows_of(snapshot)[0]["access"]["days"] == 2**40


def test_a_rounded_integer_is_a_gap_and_never_a_value(fake: SmallGcp, tmp_path: Path) -> None:
    fake.assets = [project(1, "shop"), bucket("b", 1, days=2**60 + 1), bucket("c", 1, days=1)]
    snapshot = collected(tmp_path, fake, types=("gcp_small_bucket",))
    rows = by_name(snapshot)
    assert rows["b"]["access"] is None
    assert rows["c"]["access"] == {"uniform": False, "days": 1}
    (gap,) = snapshot.gaps
    assert (gap.resource_id, gap.facet) == ("//storage.googleapis.com/b", "access")
    assert "bad_type" in gap.detail


def test_fields_that_this_version_does_not_know_are_said_to_be_missing(
    fake: SmallGcp, tmp_path: Path
) -> None:
    fake.change = lambda page: page.assets.add().MergeFromString(b"\xfa\x3e\x02hi")
    snapshot = collected(tmp_path, fake, types=("gcp_small_bucket",))
    told = {capture["body_is"] for capture in captures_of(snapshot)}
    assert "JSON of a protobuf message without 5 bytes of fields unknown to this version" in told


def test_one_moment_for_every_content_and_page(fake: SmallGcp, tmp_path: Path) -> None:
    fake.page_size = 2
    snapshot = collected(tmp_path, fake)
    read_times = {request["readTime"] for request in fake.asked()}
    scope = snapshot.predicate["intent"]["scope"]["gcp"]
    assert read_times == {scope["read_time"]}
    now = datetime.datetime.now(datetime.UTC)
    age = now - datetime.datetime.fromisoformat(scope["read_time"])
    assert datetime.timedelta(minutes=9) < age < datetime.timedelta(minutes=15)
    assert len(rows_of(snapshot)) == 3
    assert len(unit_of(snapshot, ORGANIZATION, "gcp_assets.resource").captures) == 3


def test_a_page_of_another_time_is_an_error_and_not_silent(fake: SmallGcp, tmp_path: Path) -> None:
    fake.page_size = 3

    def change(page: Any) -> None:
        if not page.next_page_token:
            page.read_time.FromJsonString("2026-01-01T00:00:00Z")

    fake.change = change
    snapshot = collected(tmp_path, fake, types=("gcp_small_bucket",))
    assert set(accounts_of(snapshot).values()) == {"error"}
    assert "is of 2026-01-01T00:00:00Z, not of" in snapshot.gaps[0].detail
    assert len(rows_of(snapshot)) == 3


def test_an_earlier_time_may_be_asked_for(fake: SmallGcp, tmp_path: Path) -> None:
    moment = (datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=20)).replace(
        microsecond=0
    )
    snapshot = collected(tmp_path, fake, as_of=moment)
    told = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert {request["readTime"] for request in fake.asked()} == {told}
    assert snapshot.as_of == told
    assert snapshot.started > told


@pytest.mark.parametrize(("days", "word"), [(-1, "has not come yet"), (36, "reaches back 35 days")])
def test_a_time_that_cannot_be_asked_for_is_refused(
    fake: SmallGcp, tmp_path: Path, days: int, word: str
) -> None:
    moment = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=days)
    with pytest.raises(UsageError, match=word):
        collected(tmp_path, fake, as_of=moment)
    assert fake.calls == []


def test_only_what_the_types_need_is_listed(fake: SmallGcp, tmp_path: Path) -> None:
    collected(tmp_path, fake, types=("gcp_small_folder",))
    asked = fake.asked()[1:]
    assert [request["contentType"] for request in asked] == ["RESOURCE"]
    assert asked[0]["assetTypes"] == [
        "cloudresourcemanager.googleapis.com/Folder",
        "cloudresourcemanager.googleapis.com/Organization",
        PROJECT,
    ]


def test_a_whole_run_asks_for_all_asset_types_and_counts_them(
    fake: SmallGcp, tmp_path: Path
) -> None:
    context = context_in(tmp_path, fake, types=())
    summary = collect_snapshot(context)
    snapshot = snapshot_of(context, summary)
    assert all("assetTypes" not in request for request in fake.asked()[1:])
    unit = unit_of(snapshot, ORGANIZATION, "gcp_assets.resource")
    assert unit.kinds[BUCKET] == 3
    assert unit.kinds["example.googleapis.com/Widget"] == 1
    assert summary.undescribed["example.googleapis.com/Widget"] == 1
    assert BUCKET not in summary.undescribed
    assert any("example.googleapis.com/Widget" in c["body"] for c in captures_of(snapshot))


def test_pages_are_followed_and_rows_cite_their_own(fake: SmallGcp, tmp_path: Path) -> None:
    fake.page_size = 1
    snapshot = collected(tmp_path, fake)
    assert snapshot.gaps == ()
    assert len(rows_of(snapshot)) == 3
    for row in rows_of(snapshot):
        (reference,) = row["captures"]["access"]
        assert row["id"] in capture_at(snapshot, reference)["body"]


def test_throttling_is_outlasted_and_every_attempt_is_kept(fake: SmallGcp, tmp_path: Path) -> None:
    fake.page_size = 2
    codes = {"": "RESOURCE_EXHAUSTED", "2": "UNAVAILABLE", "4": "DEADLINE_EXCEEDED"}
    seen: set[str] = set()

    def refuse(method: str, request: dict[str, Any]) -> Any:
        asked = str(sorted(request.items()))
        is_first = asked not in seen
        seen.add(asked)
        return (codes[request.get("pageToken", "")], "later", []) if is_first else None

    fake.refuse = refuse
    snapshot = collected(tmp_path, fake, types=("gcp_small_bucket",))
    assert snapshot.gaps == ()
    assert len(rows_of(snapshot)) == 3
    told = [
        (capture["attempt"], capture["status"])
        for capture in captures_of(snapshot)
        if capture["operation"] == "ListAssets resource"
    ]
    assert told == [(1, 429), (2, 200), (1, 503), (2, 200), (1, 504), (2, 200)]


def test_throttling_without_end_is_a_gap(fake: SmallGcp, tmp_path: Path) -> None:
    fake.refuse = lambda method, request: (
        ("RESOURCE_EXHAUSTED", "Quota exceeded", [])
        if request["contentType"] == "IAM_POLICY"
        else None
    )
    snapshot = collected(tmp_path, fake)
    assert {gap.reason for gap in snapshot.gaps} == {"throttled"}
    assert {row["policy"] for row in rows_of(snapshot) if row["policy"] is None} == {None}
    assert [row["access"] is None for row in rows_of(snapshot)] == [False] * 3


@pytest.mark.parametrize(
    ("details", "message", "reason", "needs"),
    [
        ([], "The caller does not have permission", "denied", "cloudasset.assets.listIamPolicy"),
        (
            [error_info("IAM_PERMISSION_DENIED", permission="a.b.c", resource="organizations/9")],
            "no",
            "denied",
            "needs a.b.c on organizations/9, as in roles/cloudasset.viewer",
        ),
        (
            [
                error_info(
                    "SERVICE_DISABLED", service="cloudasset.googleapis.com", consumer="projects/7"
                )
            ],
            "no",
            "not_enabled",
            "needs the API cloudasset.googleapis.com enabled in projects/7",
        ),
        (
            [],
            "Cloud Asset API has not been used in project 7 before or it is disabled.",
            "not_enabled",
            "needs the API cloudasset.googleapis.com enabled in the quota project",
        ),
        (
            [error_info("USER_PROJECT_DENIED", consumer="projects/7")],
            "no",
            "denied",
            "needs serviceusage.services.use on projects/7",
        ),
        (
            [error_info("SECURITY_POLICY_VIOLATED")],
            "Request is prohibited by organization's policy.",
            "denied",
            "perimeter",
        ),
    ],
)
def test_what_is_refused_names_what_is_missing(
    fake: SmallGcp, tmp_path: Path, details: Any, message: str, reason: str, needs: str
) -> None:
    fake.refuse = lambda method, request: (
        ("PERMISSION_DENIED", message, details) if request["contentType"] == "IAM_POLICY" else None
    )
    snapshot = collected(tmp_path, fake)
    bucket_gaps = [gap for gap in snapshot.gaps if gap.resource_type == "gcp_small_bucket"]
    assert [(gap.reason, gap.facet, gap.resource_id) for gap in bucket_gaps] == [
        (reason, "policy", "")
    ] * 2, "one gap an account tells it for all its resources"
    assert needs in bucket_gaps[0].detail
    assert all(row["policy"] is None for row in rows_of(snapshot))
    assert all(row["errors"]["policy"].startswith(reason) for row in rows_of(snapshot))
    assert set(accounts_of(snapshot, "gcp_small_policy").values()) == {reason}
    refused = capture_at(snapshot, bucket_gaps[0].captures[0])
    assert (refused["status"], refused["error"]) == (403, "PERMISSION_DENIED")
    assert refused["error_detail"] == message
    if details:
        assert details[0].reason in refused["body"]


def test_a_scope_that_is_denied_altogether_is_a_gap_with_its_evidence(
    fake: SmallGcp, tmp_path: Path
) -> None:
    fake.refuse = lambda method, request: ("PERMISSION_DENIED", "no", [])
    snapshot = collected(tmp_path, fake)
    for name in BASIC:
        assert accounts_of(snapshot, name) == {ORGANIZATION: "denied"}
        assert capture_at(snapshot, unit_of(snapshot, ORGANIZATION, name).captures[0])["error"]


def test_an_invalid_page_token_ends_the_listing_and_is_a_gap(
    fake: SmallGcp, tmp_path: Path
) -> None:
    fake.page_size = 5
    fake.refuse = lambda method, request: (
        ("INVALID_ARGUMENT", "The page token is invalid", [])
        if request.get("pageToken") and PROJECT not in request.get("assetTypes", [])
        else None
    )
    context = context_in(tmp_path, fake, types=())
    snapshot = snapshot_of(context, collect_snapshot(context))
    assert accounts_of(snapshot) == {"shop": "error", "lab": "error"}
    gap = next(gap for gap in snapshot.gaps if gap.resource_type == "gcp_small_bucket")
    assert gap.detail.startswith("page 2: INVALID_ARGUMENT: The page token is invalid")
    assert {row["name"] for row in rows_of(snapshot)} == {"one", "two"}, "what came is kept"
    assert rebuilt_of(context, snapshot, tmp_path / "work").ok


def test_pages_that_go_in_a_circle_end(fake: SmallGcp, tmp_path: Path) -> None:
    fake.change = lambda page: setattr(page, "next_page_token", "0")
    snapshot = collected(tmp_path, fake, types=("gcp_small_folder",))
    assert accounts_of(snapshot, "gcp_small_folder") == {ORGANIZATION: "error"}
    assert len(rows_of(snapshot, "gcp_small_folder")) == 1


def test_projects_alone_leave_what_lies_above_them_unread(fake: SmallGcp, tmp_path: Path) -> None:
    snapshot = collected(tmp_path, fake, scopes=("projects/shop",))
    assert accounts_of(snapshot) == {"shop": "ok"}
    assert accounts_of(snapshot, "gcp_small_folder") == {ORGANIZATION: "skipped"}
    assert accounts_of(snapshot, "gcp_small_policy") == {ORGANIZATION: "skipped", "shop": "ok"}
    gap = next(gap for gap in snapshot.gaps if gap.resource_type == "gcp_small_folder")
    assert "only projects/shop is read" in gap.detail


def test_a_project_without_an_organisation_has_nothing_above_it(
    fake: SmallGcp, tmp_path: Path
) -> None:
    fake.assets = [project(1, "shop"), bucket("one", 1)]
    snapshot = collected(tmp_path, fake, scopes=("projects/shop",))
    unit = unit_of(snapshot, "shop", "gcp_small_folder")
    assert (unit.listed.value, unit.resources) == ("ok", 0), "it is seen that nothing does"
    assert unit.captures == ("gcp/shop/global/gcp_assets.resource#1",)
    assert snapshot.gaps == ()


def test_a_project_may_be_named_by_its_number(fake: SmallGcp, tmp_path: Path) -> None:
    snapshot = collected(tmp_path, fake, scopes=("projects/1",))
    assert accounts_of(snapshot) == {"shop": "ok"}
    assert unit_of(snapshot, "shop", "gcp_assets.resource").records == 1


def test_a_folder_is_an_account_and_its_organisation_is_unread(
    fake: SmallGcp, tmp_path: Path
) -> None:
    snapshot = collected(tmp_path, fake, scopes=("folders/8",))
    assert accounts_of(snapshot, "gcp_small_folder") == {
        "folders/8": "ok",
        ORGANIZATION: "skipped",
    }
    assert rows_of(snapshot, "gcp_small_folder")[0]["account"] == "folders/8"
    assert accounts_of(snapshot) == {"shop": "ok", "lab": "ok"}


def test_a_scope_within_another_is_not_read_twice(fake: SmallGcp, tmp_path: Path) -> None:
    scopes = ("projects/shop", ORGANIZATION, "folders/8", "projects/1")
    snapshot = collected(tmp_path, fake, scopes=scopes)
    assert [item["id"] for item in snapshot.predicate["intent"]["scope"]["gcp"]["scopes"]] == [
        ORGANIZATION
    ]
    assert len(rows_of(snapshot)) == 3


def test_one_scope_that_fails_does_not_stop_the_others(fake: SmallGcp, tmp_path: Path) -> None:
    fake.refuse = lambda method, request: (
        ("NOT_FOUND", "no such project", []) if request["parent"] == "projects/gone" else None
    )
    scopes = ("projects/gone", "projects/shop", "projects/lab")
    snapshot = collected(tmp_path, fake, scopes=scopes)
    assert accounts_of(snapshot) == {"gone": "error", "shop": "ok", "lab": "ok"}
    assert "no such project" in unit_of(snapshot, "gone").detail
    assert len(rows_of(snapshot)) == 3


def test_a_single_scope_that_does_not_exist_is_an_error(fake: SmallGcp, tmp_path: Path) -> None:
    from collectors.gcp.errors import GcpUnreachableError

    fake.refuse = lambda method, request: ("NOT_FOUND", "no such project", [])
    with pytest.raises(GcpUnreachableError, match="no such project"):
        collected(tmp_path, fake, scopes=("projects/gone",))


def test_an_endpoint_that_does_not_answer_is_an_error(fake: SmallGcp, tmp_path: Path) -> None:
    from collectors.gcp.errors import GcpUnreachableError

    with pytest.raises(GcpUnreachableError, match="UNAVAILABLE"):
        collected(tmp_path, fake, endpoint="http://127.0.0.1:9")


def test_odd_assets_are_gaps_or_rows_and_break_nothing(fake: SmallGcp, tmp_path: Path) -> None:
    odd = bucket("odd/../näme #1?\n*", 1, *ABOVE, days=1)
    silent = {**bucket("silent", 1, *ABOVE), "resource": {"version": "v1"}}
    bare = {k: v for k, v in bucket("bare", 1, *ABOVE).items() if k != "resource"}
    lost = {k: v for k, v in bucket("lost", 2).items() if k != "ancestors"}
    nowhere = {"name": "//storage.googleapis.com/nowhere", "assetType": BUCKET}
    nowhere["resource"] = {"data": {"name": "nowhere"}}
    evil = {**bucket("evil", 1), "ancestors": ["projects/../../../tmp/x", ORGANIZATION]}
    stranger = bucket("stranger", 77, *ABOVE)
    twice, other = bucket("twice", 1, *ABOVE, days=1), bucket("twice", 1, *ABOVE, days=2)
    same = bucket("same", 1, *ABOVE)
    assets = [odd, silent, bare, lost, nowhere, evil, stranger, twice, other, same, same, {}]
    fake.assets = [*small_estate(), *assets]
    fake.page_size = 3
    context = context_in(tmp_path, fake, types=())
    snapshot = snapshot_of(context, collect_snapshot(context))
    rows = {row["id"].removeprefix("//storage.googleapis.com/"): row for row in rows_of(snapshot)}
    accounts = {name: row["account"] for name, row in rows.items()}
    assert accounts["odd/../näme #1?\n*"] == "shop"
    assert accounts["lost"] == "lab", "its parent says where it is"
    assert accounts["nowhere"] == accounts["evil"] == ORGANIZATION
    assert accounts["stranger"] == "77"
    assert unit_of(snapshot, "77", "gcp_small_policy").listed.value == "ok"
    for name in ("silent", "bare"):
        assert rows[name]["access"] is None
        assert "holds no content" in rows[name]["errors"]["access"]
    buckets = [gap for gap in snapshot.gaps if gap.resource_type == "gcp_small_bucket"]
    assert {gap.resource_id.rpartition("/")[2]: gap.detail for gap in buckets} == {
        "silent": "the asset holds no content",
        "bare": "the asset holds no content",
        "twice": "listed twice, differently",
    }
    assert rows["same"]["access"] == {"uniform": False, "days": 0}
    assert rebuilt_of(context, snapshot, tmp_path / "work").ok


def test_an_asset_that_has_no_json_form_is_a_gap_of_its_own(fake: SmallGcp, tmp_path: Path) -> None:
    def change(page: Any) -> None:
        for asset in page.assets:
            if asset.name.endswith("/two"):
                asset.update_time.seconds = 10**15

    fake.change = change
    snapshot = collected(tmp_path, fake, types=("gcp_small_bucket",))
    assert len(rows_of(snapshot)) == 3
    (gap,) = snapshot.gaps
    assert gap.resource_id == "//storage.googleapis.com/two"


def test_two_policies_of_one_name_are_not_guessed_between(fake: SmallGcp, tmp_path: Path) -> None:
    one = bucket("one", 1, *ABOVE)
    fake.assets = [project(1, "shop", *ABOVE), with_policy(one, "roles/a")]
    fake.assets += [{k: v for k, v in with_policy(one, "roles/b").items() if k != "resource"}]

    def change(page: Any) -> None:
        for asset in list(page.assets)[::-1]:
            if not asset.HasField("resource") and not asset.HasField("iam_policy"):
                page.assets.remove(asset)

    fake.change = change
    snapshot = collected(tmp_path, fake, types=("gcp_small_bucket",))
    (row,) = rows_of(snapshot)
    assert row["policy"] is None
    assert "more than once" in row["errors"]["policy"]


def test_a_unit_without_assets_cites_the_pages_that_show_it(fake: SmallGcp, tmp_path: Path) -> None:
    fake.assets = [project(1, "shop", *ABOVE), project(2, "lab", *ABOVE)]
    fake.assets += [bucket(f"b{number}", 1, *ABOVE) for number in range(60)]
    fake.page_size = 2
    snapshot = collected(tmp_path, fake, types=("gcp_small_bucket",))
    unit = unit_of(snapshot, "lab")
    assert (unit.listed.value, unit.resources) == ("ok", 0)
    pages = unit_of(snapshot, ORGANIZATION, "gcp_assets.resource").captures
    assert unit.captures == (pages[0], pages[-1])


def test_elements_of_a_list_are_rows_of_their_own(fake: SmallGcp, tmp_path: Path) -> None:
    fake.assets = [*small_estate(), {**bucket("mute", 2, *ABOVE), "resource": {}}]
    snapshot = collected(tmp_path, fake, types=("gcp_small_rule",))
    rows = rows_of(snapshot, "gcp_small_rule")
    assert [(row["id"], row["account"], row["rule"]["age"]) for row in rows] == [
        ("//storage.googleapis.com/three/rules/x", "lab", 7),
        ("//storage.googleapis.com/three/rules/y", "lab", 9),
    ]
    (gap,) = snapshot.gaps
    assert (gap.account, gap.reason) == ("lab", "error")
    assert "mute" in gap.detail


def test_a_search_is_followed_to_its_end_and_belongs_to_its_projects(
    fake: SmallGcp, tmp_path: Path
) -> None:
    policy = {"bindings": [{"role": "roles/x", "members": ["allUsers"]}]}
    fake.results = [
        {"resource": "//storage.googleapis.com/one", "project": "projects/1", "policy": policy},
        {"resource": "//storage.googleapis.com/three", "project": "projects/2", "policy": policy},
        {"resource": f"//cloudresourcemanager.googleapis.com/{ORGANIZATION}", "policy": policy},
    ]
    fake.page_size = 1
    context = context_in(tmp_path, fake, types=("gcp_small_public",))
    snapshot = snapshot_of(context, collect_snapshot(context))
    rows = rows_of(snapshot, "gcp_small_public")
    assert sorted(row["account"] for row in rows) == ["lab", ORGANIZATION, "shop"]
    assert [request["query"] for request in fake.asked("SearchAllIamPolicies")] == [
        "policy:allUsers"
    ] * 3
    assert rebuilt_of(context, snapshot, tmp_path / "work").ok


def _analysis(**more: Any) -> dict[str, Any]:
    result = {
        "attachedResourceFullName": "//storage.googleapis.com/three",
        "iamBinding": {"role": "roles/owner", "members": ["user:a@x.example"]},
        "fullyExplored": True,
    }
    return {"fullyExplored": True, "mainAnalysis": {"analysisResults": [result], **more}}


def test_an_analysis_gives_a_row_a_result(fake: SmallGcp, tmp_path: Path) -> None:
    fake.analysis = _analysis(fullyExplored=True)
    snapshot = collected(tmp_path, fake, types=("gcp_small_actor", "gcp_small_bucket"))
    (row,) = rows_of(snapshot, "gcp_small_actor")
    assert (row["account"], row["binding"]["role"]) == ("lab", "roles/owner")
    assert snapshot.gaps == ()
    (asked,) = fake.asked("AnalyzeIamPolicy")
    assert asked["analysisQuery"]["accessSelector"]["permissions"] == ["iam.serviceAccounts.actAs"]
    assert asked["analysisQuery"]["options"] == {"expandGroups": True}, "who is in a group counts"


def test_an_analysis_that_is_not_whole_is_a_gap_that_says_why(
    fake: SmallGcp, tmp_path: Path
) -> None:
    errors = [{"code": "PERMISSION_DENIED", "cause": "groups could not be read"}]
    fake.analysis = _analysis(nonCriticalErrors=errors)
    snapshot = collected(tmp_path, fake, types=("gcp_small_actor", "gcp_small_bucket"))
    assert len(rows_of(snapshot, "gcp_small_actor")) == 1
    gaps = [gap for gap in snapshot.gaps if gap.resource_type == "gcp_small_actor"]
    assert {gap.reason for gap in gaps} == {"error"}
    assert "groups could not be read" in gaps[0].detail
    assert "needs groups.read in Google Workspace" in gaps[0].detail


def test_what_answers_of_now_is_skipped_with_an_earlier_time(
    fake: SmallGcp, tmp_path: Path
) -> None:
    moment = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=2)
    types = ("gcp_small_actor", "gcp_small_public", "gcp_small_bucket")
    snapshot = collected(tmp_path, fake, types=types, as_of=moment)
    assert {name for name, _ in fake.calls} == {"ListAssets"}
    for name in types[:2]:
        assert set(accounts_of(snapshot, name).values()) == {"skipped"}
        gap = next(gap for gap in snapshot.gaps if gap.resource_type == name)
        assert "as of now only" in gap.detail


def test_secrets_are_taken_out_before_anything_is_written(fake: SmallGcp, tmp_path: Path) -> None:
    key = (
        "-----BEGIN RSA PRIVATE KEY-----\\nMIIEowIBAAKCAQEAx0000000\\n-----END RSA PRIVATE KEY-----"
    )
    widget = {
        "name": "//example.googleapis.com/w",
        "assetType": "example.googleapis.com/Widget",
        "ancestors": ["projects/1", *ABOVE],
        "resource": {"data": {"startup": key, "hidden": "not ours to hide"}},
    }
    fake.assets = [*small_estate(), widget]
    context = context_in(tmp_path, fake, types=())
    snapshot = snapshot_of(context, collect_snapshot(context))
    text = "\n".join(capture["body"] for capture in captures_of(snapshot))
    assert "hide me" not in text
    assert "MIIEowIBAAKCAQEAx0000000" not in text
    assert "not ours to hide" in text, "a path is declared for the assets of one type"
    reasons = {r["path"]: r["reason"] for c in captures_of(snapshot) for r in c["redactions"]}
    assert reasons["assets[3].resource.data.hidden"] == "declared"
    assert any("startup" in path for path in reasons)


def test_secrets_of_types_that_are_left_out_are_taken_out_too(
    fake: SmallGcp, tmp_path: Path
) -> None:
    context = context_in(tmp_path, fake, types=(), exclude_types=("gcp_small_bucket",))
    snapshot = snapshot_of(context, collect_snapshot(context))
    text = "\n".join(capture["body"] for capture in captures_of(snapshot))
    assert "//storage.googleapis.com/one" in text, "it is evidence all the same"
    assert "hide me" not in text


@pytest.mark.parametrize("page_size", [1, 1000])
def test_the_tables_can_be_made_again_from_the_captures(
    fake: SmallGcp, tmp_path: Path, page_size: int
) -> None:
    fake.page_size = page_size
    fake.analysis = _analysis(fullyExplored=True)
    calls = Counter[str]()

    def refuse(method: str, request: dict[str, Any]) -> Any:
        calls[method] += 1
        return ("UNAVAILABLE", "later", []) if calls[method] == 2 else None

    fake.refuse = refuse
    types = (*BASIC, "gcp_small_actor", "gcp_small_rule")
    context = context_in(tmp_path, fake, types=types)
    snapshot = snapshot_of(context, collect_snapshot(context))
    rebuilt = rebuilt_of(context, snapshot, tmp_path / "work")
    assert [table.result for table in rebuilt.tables] == ["identical"] * 5
    assert rebuilt.units == []
    assert rebuilt.captures == len(captures_of(snapshot))


def test_newer_types_are_shaped_from_older_pages(fake: SmallGcp, tmp_path: Path) -> None:
    from collectors.catalogue import redactor_for
    from collectors.gcp.catalogue import load_resource_types
    from collectors.rebuilding import rebuild

    context = context_in(tmp_path, fake, types=("gcp_small_bucket",))
    snapshot = snapshot_of(context, collect_snapshot(context))
    file = tmp_path / "auditpack.d/resources/gcp_small_bucket.yaml"
    file.write_text(
        file.read_text().replace("data.hidden", "data.days")
        + "  - {of: org_policy, path: policies}\n"
    )
    text = file.read_text().replace(
        "redact:",
        "  rules:\n    from: org_policy\n    about: x\n"
        "    all: {type: list, of: text, path: 'policies[].constraint', absent: [], about: x}\n"
        "redact:",
    )
    file.write_text(text)
    types = load_resource_types([file.parent])
    manifest = context.store().manifest("snapshot", snapshot.id)
    redactor = redactor_for(types, b"k" * 32)
    rebuilt = rebuild(snapshot, manifest, tmp_path / "work", types, redactor)
    (table,) = rebuilt.tables
    assert table.result == "differs"
    found = duckdb.sql(f"SELECT name, access, rules, errors FROM '{table.file}' ORDER BY name")
    rows = {row[0]: row[1:] for row in found.fetchall()}
    assert rows["one"][0] is None, "what is taken out now is no number any more"
    assert rows["one"][1] is None
    assert "not collected" in rows["one"][2]["rules"]


def test_a_type_that_was_not_asked_for_is_not_collected(fake: SmallGcp, tmp_path: Path) -> None:
    from collectors.gcp.catalogue import load_resource_types
    from collectors.rebuilding import rebuild

    context = context_in(tmp_path, fake, types=("gcp_small_bucket",))
    snapshot = snapshot_of(context, collect_snapshot(context))
    file = tmp_path / "auditpack.d/resources/gcp_small_bucket.yaml"
    file.write_text(file.read_text().replace(BUCKET, "example.googleapis.com/Widget"))
    manifest = context.store().manifest("snapshot", snapshot.id)
    types = load_resource_types([file.parent])
    (table,) = rebuild(snapshot, manifest, tmp_path / "work", types).tables
    assert table.result == "cannot be made"
    assert "ListAssets resource" in table.why


def test_an_organisation_without_projects_is_read_and_empty(fake: SmallGcp, tmp_path: Path) -> None:
    fake.assets = [folder(8, ORGANIZATION)]
    snapshot = collected(tmp_path, fake)
    assert accounts_of(snapshot) == {ORGANIZATION: "ok"}
    assert accounts_of(snapshot, "gcp_small_folder") == {ORGANIZATION: "ok"}
    assert snapshot.gaps == ()


def test_access_policies_are_only_asked_for_where_an_organisation_is_read(
    fake: SmallGcp, tmp_path: Path
) -> None:
    context = context_in(tmp_path, fake, types=("gcp_small_bucket",), scopes=("projects/shop",))
    file = tmp_path / "auditpack.d/resources/gcp_small_bucket.yaml"
    file.write_text(file.read_text().replace("from: iam_policy", "from: access_policy"))
    snapshot = snapshot_of(context, collect_snapshot(context))
    assert fake.contents() == []
    assert {request["contentType"] for request in fake.asked()} == {"RESOURCE"}
    (gap,) = snapshot.gaps
    assert (gap.reason, gap.facet) == ("skipped", "policy")
    assert "are an organisation's" in gap.detail
    assert rebuilt_of(context, snapshot, tmp_path / "work").ok


def test_a_cloud_that_cannot_be_opened_does_not_stop_another(
    aws_environment: Any, fake: SmallGcp, tmp_path: Path
) -> None:
    from auditpack.config import AwsConfig
    from auditpack.options import Context

    aws = AwsConfig(regions=("us-east-1",), types=("aws_sqs_queue",))
    for name, changes in (
        ("away", {"endpoint": "http://127.0.0.1:9"}),
        ("unnamed", {"scopes": ()}),
    ):
        context = context_in(tmp_path / name, fake, **changes)
        config = context.config.model_copy(update={"aws": aws})
        context = Context(config, context.config_file, context.output)
        snapshot = snapshot_of(context, collect_snapshot(context, providers=("aws", "gcp")))
        assert len(rows_of(snapshot, "aws_sqs_queue")) == 1
        unread = [unit for unit in snapshot.units if unit.key.provider == "gcp"]
        assert {unit.key.resource_type for unit in unread} == set(BASIC)
        assert {unit.listed.value for unit in unread} == {"error"}


def test_all_clouds_are_one_snapshot(aws_environment: Any, fake: SmallGcp, tmp_path: Path) -> None:
    from auditpack.config import AwsConfig
    from auditpack.options import Context

    context = context_in(tmp_path, fake)
    aws = AwsConfig(regions=("us-east-1",), types=("aws_sqs_queue",))
    config = context.config.model_copy(update={"aws": aws})
    context = Context(config, context.config_file, context.output)
    assert context.config.providers() == ("aws", "gcp")
    snapshot = snapshot_of(context, collect_snapshot(context, providers=("aws", "gcp")))
    assert {unit.key.provider for unit in snapshot.units} == {"aws", "gcp"}
    assert snapshot.predicate["intent"]["scope"]["provider"] == "aws,gcp"
    assert set(snapshot.schemas) == {"aws_sqs_queue", *BASIC}
    assert rebuilt_of(context, snapshot, tmp_path / "work").ok
    moment = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    earlier = context_in(tmp_path, fake, as_of=moment)
    with pytest.raises(UsageError, match="only Google Cloud"):
        collect_snapshot(earlier, providers=("aws", "gcp"))
