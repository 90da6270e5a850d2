"""Clouds that lack an api version: another is asked for once, kept, remembered and replayed."""

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
    STORAGE,
    context_in,
    small_estate,
    snapshot_of,
)

from auditpack.collecting import collect_snapshot
from auditpack.demo.azure.server import FakeAzure
from auditpack.options import Context
from collectors.azure.exchange import Reply, Request, reply_of
from collectors.azure.versions import ApiVersions, best_version, versions_offered
from collectors.rebuilding import Rebuilt, rebuild
from evidence.segments import read_lines
from evidence.snapshot import Snapshot

CODES = ("NoRegisteredProviderFound", "InvalidApiVersionParameter", "InvalidResourceType")
LOCKS = "Microsoft.Authorization/locks"


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAzure]:
    """The fake over the small estate, and an application's credentials in the environment."""
    monkeypatch.setenv("AZURE_CLIENT_ID", "11111111-1111-4111-8111-111111111111")
    monkeypatch.setenv("AZURE_CLIENT_SECRET", SECRET)
    with FakeAzure(small_estate()) as server:
        yield server


def collected(context: Context) -> Snapshot:
    return snapshot_of(context, collect_snapshot(context))


def rebuilt_in(folder: Path, context: Context, snapshot: Snapshot) -> Rebuilt:
    return rebuild(snapshot, context.store().manifest("snapshot", snapshot.id), folder)


def captures_of(snapshot: Snapshot, ending: str) -> list[dict[str, Any]]:
    """The captures of requests whose URL ends so."""
    lines = (line for u in snapshot.units for line in read_lines(snapshot.segment(u.key.path)))
    return [c for c in map(orjson.loads, lines) if c["url"].lower().endswith(ending)]


def asked_versions(fake: FakeAzure, ending: str) -> Counter[str]:
    """How often which version was asked for at paths that end so."""
    return Counter(q["api-version"] for _, p, q in fake.requests if p.lower().endswith(ending))


def rows(snapshot: Snapshot, table: str, columns: str) -> list[tuple[Any, ...]]:
    file = snapshot.table(table)
    return duckdb.sql(f"SELECT {columns} FROM '{file}' ORDER BY id").fetchall()


@pytest.mark.parametrize("code", CODES)
def test_another_version_answers_and_both_exchanges_are_kept(
    fake: FakeAzure, tmp_path: Path, code: str
) -> None:
    fake.offer_versions(f"{STORAGE}/blobServices", "2021-04-01", "2022-09-01", code=code)
    fake.offer_versions(LOCKS, "2016-09-01", "2017-04-01", code=code)
    context = context_in(tmp_path, fake)
    snapshot = collected(context)
    assert snapshot.gaps == ()
    found = rows(snapshot, "azure_small_storage", "recovery.versioning, captures.recovery")
    assert [versioning for versioning, _ in found] == [True, False, False, True, False, False]
    locks = captures_of(snapshot, "/locks")
    shown = [(c["status"], orjson.loads(c["parameters"])["query"]["api-version"]) for c in locks]
    refusal = 404 if code == "InvalidResourceType" else 400
    assert shown.count((refusal, "2020-05-01")) >= 1
    assert shown.count((200, "2017-04-01")) == 2
    cited = {reference for _, references in found for reference in references}
    assert len(cited) > len(found), "the refusal is cited beside the answer"
    rebuilt = rebuilt_in(tmp_path / "work", context, snapshot)
    assert [table.result for table in rebuilt.tables] == ["identical"] * 3
    assert rebuilt.ok
    assert rebuilt.units == []


def test_what_is_learned_counts_for_the_type_and_the_session(
    fake: FakeAzure, tmp_path: Path
) -> None:
    fake.offer_versions(f"{STORAGE}/blobServices", "2022-09-01")
    context = context_in(tmp_path, fake, threads=1)
    collected(context)
    asked = asked_versions(fake, "/blobservices/default")
    assert asked["2022-09-01"] == 6
    assert 1 <= asked["2023-05-01"] < 6, "the refused version is not asked for every resource"


def test_the_second_look_resource_graph_and_the_handshake_lag_too(
    fake: FakeAzure, tmp_path: Path
) -> None:
    fake.page_size = 2
    fake.offer_versions(STORAGE, "2019-06-01")
    fake.offer_versions("Microsoft.ResourceGraph/resources", "2021-03-01", "2020-04-01-preview")
    fake.offer_versions("Microsoft.Resources/subscriptions", "2016-06-01")
    context = context_in(tmp_path, fake)
    snapshot = collected(context)
    assert snapshot.gaps == ()
    assert len(rows(snapshot, "azure_small_storage", "id")) == 6
    queries = captures_of(snapshot, "resourcegraph/resources")
    shown = [(c["status"], orjson.loads(c["parameters"]).get("api-version")) for c in queries]
    assert shown == [(400, None), *[(200, "2021-03-01")] * 3]
    rebuilt = rebuilt_in(tmp_path / "work", context, snapshot)
    assert rebuilt.ok, [(table.resource_type, table.why) for table in rebuilt.tables]
    assert rebuilt.units == []


def test_pages_go_on_in_the_version_that_answered(fake: FakeAzure, tmp_path: Path) -> None:
    fake.page_size = 1
    fake.offer_versions(LOCKS, "2017-04-01")
    second = fake.estate.documents[f"/subscriptions/{SANDBOX}/providers/{LOCKS}/keep".lower()]
    path = second.path.replace("Keep", "Other")
    body = {**second.body, "id": path, "name": "Other"}
    fake.estate.documents[path.lower()] = type(second)(
        body, path, second.type, second.scope, second.subscription
    )
    fake.fail("/locks", 429, "TooManyRequests", 1, 0)
    context = context_in(tmp_path, fake, types=("azure_small_lock",), max_attempts=1)
    snapshot = collected(context)
    assert len(rows(snapshot, "azure_small_lock", "id")) == 3
    assert rebuilt_in(tmp_path / "work", context, snapshot).ok


def test_where_none_answers_the_gap_names_what_was_asked_and_offered(
    fake: FakeAzure, tmp_path: Path
) -> None:
    fake.offer_versions(LOCKS, "2009-01-01")
    fake.fail(
        f"{LOCKS}$",
        400,
        "NoRegisteredProviderFound",
        message="No registered resource provider found for location 'x' and API version 'y' for"
        " type 'locks'. The supported api-versions are '2016-09-01, 2017-04-01'. The supported"
        " locations are 'x'.",
    )
    context = context_in(tmp_path, fake, types=("azure_small_lock",))
    snapshot = collected(context)
    assert [(gap.account, gap.reason) for gap in snapshot.gaps] == [
        (PRODUCTION.lower(), "error"),
        (SANDBOX.lower(), "error"),
    ]
    for gap in snapshot.gaps:
        assert gap.detail.startswith("NoRegisteredProviderFound: api version 2020-05-01 is not")
        assert "2017-04-01, 2016-09-01" in gap.detail
        assert len(gap.captures) == 2
    assert sum(asked_versions(fake, "/locks").values()) == 4, "once the declared, once another"
    assert rebuilt_in(tmp_path / "work", context, snapshot).ok


def test_a_refusal_that_offers_nothing_is_asked_once(fake: FakeAzure, tmp_path: Path) -> None:
    fake.fail(f"{LOCKS}$", 404, "InvalidResourceType", message="There is no such type.")
    snapshot = collected(context_in(tmp_path, fake, types=("azure_small_lock",)))
    assert {gap.detail for gap in snapshot.gaps} == {"InvalidResourceType: There is no such type."}
    assert asked_versions(fake, "/locks") == {"2020-05-01": 2}


def test_another_answer_in_that_version_is_what_counts(fake: FakeAzure, tmp_path: Path) -> None:
    fake.offer_versions(LOCKS, "2017-04-01")
    fake.deny("/locks")
    snapshot = collected(context_in(tmp_path, fake, types=("azure_small_lock",)))
    assert {gap.reason for gap in snapshot.gaps} == {"denied"}
    assert all("needs Microsoft.Authorization/locks/read" in gap.detail for gap in snapshot.gaps)


def test_captures_of_another_version_are_no_answer_to_a_newer_file(
    fake: FakeAzure, tmp_path: Path
) -> None:
    """Only what the cloud's refusal brought about may answer for the declared version."""
    from collectors.azure.catalogue import load_resource_types

    context = context_in(tmp_path, fake, types=("azure_small_lock",))
    snapshot = collected(context)
    file = tmp_path / "auditpack.d/resources/azure_small_lock.yaml"
    file.write_text(file.read_text().replace("2020-05-01", "2024-01-01"))
    newer = load_resource_types([file.parent])["azure_small_lock"]
    manifest = context.store().manifest("snapshot", snapshot.id)
    rebuilt = rebuild(snapshot, manifest, tmp_path / "work", types={newer.type: newer})
    assert ["hold no answer to" in table.why for table in rebuilt.tables] == [True]


@pytest.mark.parametrize(
    ("declared", "offered", "chosen"),
    [
        ("2023-05-01", "2024-01-01, 2022-09-01, 2021-01-01", "2022-09-01"),
        ("2023-05-01", "2024-01-01, 2025-01-01", "2025-01-01"),
        ("2023-05-01", "2023-05-01-preview, 2022-09-01, 2023-01-01-preview", "2022-09-01"),
        ("2023-05-01", "2021-05-01-preview, 2020-01-01-preview", "2021-05-01-preview"),
        ("2021-05-01-preview", "2017-05-01-preview, 2016-09-01", "2017-05-01-preview"),
        ("2021-05-01-preview", "2021-05-01, 2016-09-01", "2016-09-01"),
        ("2021-05-01-preview", "2021-05-01", "2021-05-01"),
        ("2023-05-01-preview", "2023-05-01-alpha, 2023-05-01", "2023-05-01-alpha"),
    ],
)
def test_the_version_that_is_chosen(declared: str, offered: str, chosen: str) -> None:
    said = f"The supported api-versions are '{offered}'. The supported locations are '2030-01-01'."
    reply = Reply(400, None, ("NoRegisteredProviderFound",), said)
    assert best_version(declared, versions_offered(reply)) == chosen


@pytest.mark.parametrize(
    ("status", "message", "offered"),
    [
        (400, "It is invalid. The supported versions are 2024-11-01,2023-07-01.", 2),
        (400, "... The supported api-versions are '2024-11-01, \n 2023-07-01-preview'.", 2),
        (404, "The supported api-versions are '2014-04-01'. See 2020-01-01.", 1),
        (400, "The supported api-versions are ''. The supported locations are ''.", 0),
        (400, "API version '2020-01-01' is not there.", 0),
        (403, "The supported api-versions are '2014-04-01'.", 0),
        (500, "The supported api-versions are '2014-04-01'.", 0),
    ],
)
def test_what_a_refusal_offers(status: int, message: str, offered: int) -> None:
    body = orjson.dumps({"error": {"code": "X", "message": message}})
    assert len(versions_offered(reply_of(status, {}, body))) == offered


def test_a_version_is_learned_for_a_type_and_not_for_its_neighbour() -> None:
    asked: list[tuple[str, str]] = []

    def ask(request: Request) -> Reply:
        asked.append((request.path.rpartition("/")[2], request.version))
        if request.version == "2023-05-01":
            return Reply(400, None, ("X",), "The supported api-versions are '2022-01-01'.")
        return Reply(200, {})

    versions = ApiVersions()
    for name in ("accounts/one", "accounts/two", "accounts/one/keys/three"):
        path = f"/subscriptions/s/providers/Microsoft.X/{name}"
        assert versions.asked(Request(path, {"api-version": "2023-05-01"}), ask).ok
    assert asked == [
        ("one", "2023-05-01"),
        ("one", "2022-01-01"),
        ("two", "2022-01-01"),
        ("three", "2023-05-01"),
        ("three", "2022-01-01"),
    ]
