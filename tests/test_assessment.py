"""Assessments: sealed beside their snapshot, found again, and readable without the catalogue."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import orjson
import pytest
from support_controls import (
    SCHEMAS,
    STARTED,
    Unit,
    assessed,
    check_yaml,
    framework_yaml,
    make_catalogue,
    sealed_snapshot,
    sealer,
    signing_key,
    sound_check,
    vault,
)

from controls.assessment import Assessment, assess
from controls.catalogue import Catalogue
from controls.freshness import Freshness
from evidence.canonical import digest_of
from evidence.errors import AuditpackError, DataError, StoreError, UsageError
from evidence.manifest import check_signature
from evidence.snapshot import Snapshot, SnapshotRun
from evidence.store import Store
from evidence.verify import verify_store

UNITS = [
    Unit(
        (
            vault("a", {}, encryption={"algorithm": "AES256"}),
            vault("b", {}, encryption={}),
            vault("c", {}),
        )
    )
]
FRAMEWORKS = [
    framework_yaml("soc", {"1": ["encryption-at-rest"], "2": ["people"]}),
    framework_yaml("iso", {"A": ["people"]}),
]


def catalogue_of(folder: Path, *checks: dict[str, Any]) -> Catalogue:
    return make_catalogue(folder, checks or [sound_check()], frameworks=FRAMEWORKS)


def judge(
    store: Store, snapshot: Snapshot, catalogue: Catalogue, frameworks: tuple[str, ...] = ("soc",)
) -> Assessment:
    return assess(store, snapshot, catalogue, SCHEMAS, frameworks, sealer())


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    return sealed_snapshot(tmp_path / "store", UNITS)


@pytest.fixture
def store(tmp_path: Path, snapshot: Snapshot) -> Store:
    return Store.open(tmp_path / "store")


def test_an_assessment_holds_findings_counts_and_scores(
    tmp_path: Path, store: Store, snapshot: Snapshot
) -> None:
    found = judge(store, snapshot, catalogue_of(tmp_path), ("iso", "soc"))
    assert [(item.resource_name, item.status) for item in found.findings()] == [
        ("a", "pass"),
        ("b", "fail"),
        ("c", "not_evidenced"),
    ]
    by_check = found.results["findings"]["by_check"]["encrypted"]
    assert [by_check[status] for status in ("pass", "fail", "not_evidenced")] == [1, 1, 1]
    assert [item["id"] for item in found.results["frameworks"]] == ["iso", "soc"]
    soc = found.results["frameworks"][1]
    assert [item["status"] for item in soc["requirements"]] == ["not_satisfied", "not_evidenced"]
    assert soc["score_percent"] == "0.0"
    assert soc["evidence_coverage_percent"] == "66.7"


def test_it_says_what_it_judged_by_what_when_and_how(
    tmp_path: Path, store: Store, snapshot: Snapshot
) -> None:
    catalogue = catalogue_of(tmp_path)
    found = judge(store, snapshot, catalogue).results
    assert found["snapshot"] == {"id": snapshot.id, "manifest_sha256": snapshot.manifest_digest}
    assert found["as_of"] == STARTED, "not the time of evaluating"
    assert found["catalogue_sha256"] == catalogue.digest
    assert "Score = satisfied /" in found["formula"]["text"]
    assert found["formula"]["weights"]["critical"] == 10


@pytest.mark.parametrize(
    ("judged_at", "is_stale"),
    [
        ("2026-03-31T23:59:59Z", False),
        ("2026-04-01T00:00:00Z", False),
        ("2026-04-01T00:00:01Z", True),
        ("2025-06-01T00:00:00Z", False),
    ],
)
def test_evidence_that_is_too_old_shows_nothing(
    tmp_path: Path, judged_at: str, is_stale: bool
) -> None:
    found = assessed(tmp_path, UNITS, [sound_check()], freshness=Freshness(judged_at, 90))
    statuses = {item.resource_name: item.status for item in found.findings()}
    if is_stale:
        assert set(statuses.values()) == {"not_evidenced"}
        reasons = [item.reason for item in found.findings()]
        assert reasons[1] == (
            "the evidence is of 2026-01-01T00:00:00Z, more than 90 days older than"
            " 2026-04-01T00:00:01Z: algorithm is NONE"
        )
    else:
        assert statuses == {"a": "pass", "b": "fail", "c": "not_evidenced"}
    assert (found.results["judged_at"], found.results["evidence_days"]) == (judged_at, 90)


def test_without_a_day_to_judge_for_evidence_is_of_its_own_time(tmp_path: Path) -> None:
    assert "judged_at" not in assessed(tmp_path, UNITS, [sound_check()]).results


def test_findings_can_be_read_by_status(tmp_path: Path) -> None:
    found = assessed(tmp_path, UNITS, [sound_check()])
    chosen = list(found.findings(("fail", "not_evidenced")))
    assert [item.status for item in chosen] == ["fail", "not_evidenced"]
    assert chosen[0].reason == "algorithm is NONE"
    assert chosen[0].captures
    assert list(found.findings(("excepted",))) == []


def test_it_is_sealed_with_a_signature_over_every_file(
    tmp_path: Path, store: Store, snapshot: Snapshot
) -> None:
    found = judge(store, snapshot, catalogue_of(tmp_path))
    manifest = store.manifest("assessment", found.id)
    check_signature(manifest, signing_key().certificate, where="")
    assert set(manifest.files) == {"assessment.json", "catalogue.json", "findings.parquet"}
    assert manifest.predicate["snapshot"]["manifest_sha256"] == snapshot.manifest_digest
    assert manifest.predicate["findings_sha256"] == found.results["findings"]["sha256"]
    assert verify_store(store, pinned=signing_key().certificate).ok


@pytest.mark.parametrize("name", ["findings.parquet", "assessment.json", "catalogue.json"])
def test_a_changed_byte_in_it_is_found(tmp_path: Path, name: str) -> None:
    found = assessed(tmp_path, UNITS, [sound_check()])
    data = bytearray((found.folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (found.folder / name).write_bytes(data)
    faults = verify_store(Store.open(tmp_path / "store")).faults
    assert [(fault.path, "changed bytes" in fault.what) for fault in faults] == [
        (f"assessments/{found.id}/{name}", True)
    ]


def test_opened_again_it_is_the_same(tmp_path: Path, store: Store, snapshot: Snapshot) -> None:
    sealed = judge(store, snapshot, catalogue_of(tmp_path))
    for name in ("", sealed.id):
        opened = Assessment.open(Store.open(store.root), name)
        assert opened == sealed
        assert list(opened.findings()) == list(sealed.findings())
    assert opened.snapshot_id == snapshot.id


def test_the_catalogue_that_it_judged_by_is_kept_with_it(
    tmp_path: Path, store: Store, snapshot: Snapshot
) -> None:
    """The files may change or go: what was judged stays explained."""
    catalogue = catalogue_of(tmp_path)
    sealed = judge(store, snapshot, catalogue)
    shutil.rmtree(tmp_path / "checks")
    opened = Assessment.open(store, sealed.id)
    assert opened.checks == catalogue.checks
    assert opened.controls == catalogue.controls
    assert opened.frameworks == catalogue.frameworks
    kept = orjson.loads((opened.folder / "catalogue.json").read_bytes())
    assert digest_of(kept) == opened.results["catalogue_sha256"]


def test_judging_the_same_again_finds_the_assessment_that_is_there(
    tmp_path: Path, store: Store, snapshot: Snapshot
) -> None:
    first = judge(store, snapshot, catalogue_of(tmp_path))
    again = judge(store, Snapshot.open(store), catalogue_of(tmp_path / "copy"))
    assert again == first, "signed once: the same manifest"
    assert store.sealed("assessment") == [first.id]
    assert list(store.incomplete().iterdir()) == []


@pytest.mark.parametrize(
    ("change", "frameworks"),
    [
        ({"severity": "low"}, ("soc",)),
        ({"title": "Another title"}, ("soc",)),
        ({}, ("soc", "iso")),
    ],
)
def test_another_catalogue_or_scope_makes_another_assessment_after_the_one_before(
    tmp_path: Path,
    store: Store,
    snapshot: Snapshot,
    change: dict[str, Any],
    frameworks: tuple[str, ...],
) -> None:
    first = judge(store, snapshot, catalogue_of(tmp_path / "one"))
    changed = catalogue_of(tmp_path / "two", sound_check(**change))
    second = judge(store, snapshot, changed, frameworks)
    assert second.id != first.id
    before = store.manifest("assessment", second.id).predicate["log_before"]
    assert before["size"] == store.record("assessment", first.id).index + 1
    assert before["root"] == store.log.tree().root_at(before["size"]).hex()
    assert Assessment.open(store).id == second.id, "the newest is the default"
    assert verify_store(store).ok


def test_an_older_snapshot_can_be_judged_after_a_newer_one(tmp_path: Path) -> None:
    sealed_snapshot(tmp_path / "store", UNITS, name="20260101T000000Z-old")
    store = Store.open(tmp_path / "store")
    newer = sealed_snapshot(tmp_path / "store", [Unit(())], name="20260201T000000Z-new")
    catalogue = catalogue_of(tmp_path)
    assert judge(store, newer, catalogue).results["findings"]["count"] == 0
    older = judge(store, Snapshot.open(store, "20260101T000000Z-old"), catalogue)
    assert older.results["findings"]["count"] == 3


def test_a_catalogue_that_fails_the_gate_judges_nothing(
    tmp_path: Path, store: Store, snapshot: Snapshot
) -> None:
    unsound = check_yaml("vacuous", "name <> ''")
    with pytest.raises(DataError, match="no example expects pass"):
        judge(store, snapshot, catalogue_of(tmp_path, unsound))
    assert store.sealed("assessment") == []


def test_an_unknown_framework_is_refused_with_the_nearest_name(
    tmp_path: Path, store: Store, snapshot: Snapshot
) -> None:
    with pytest.raises(UsageError, match="there is no framework 'sox'") as caught:
        judge(store, snapshot, catalogue_of(tmp_path), ("sox",))
    assert caught.value.mend == "Did you mean soc?"


def test_a_store_without_assessments_says_what_to_do(store: Store) -> None:
    with pytest.raises(StoreError) as caught:
        Assessment.open(store)
    assert caught.value.mend == "Run `auditpack evaluate` first."


def test_what_a_killed_evaluation_left_does_not_get_into_the_seal(
    tmp_path: Path, store: Store, snapshot: Snapshot
) -> None:
    rest = store.incomplete() / f"assessment-of-{snapshot.id}"
    rest.mkdir(parents=True)
    (rest / "findings.parquet").write_bytes(b"half a file")
    (rest / "stray.txt").write_text("x")
    found = judge(store, snapshot, catalogue_of(tmp_path))
    assert sorted(path.name for path in found.folder.iterdir()) == [
        "assessment.json",
        "catalogue.json",
        "findings.parquet",
        "manifest.dsse.json",
    ]
    assert len(list(found.findings())) == 3


def test_a_killed_evaluation_is_not_taken_for_a_run_of_collecting(
    store: Store, snapshot: Snapshot
) -> None:
    rest = store.incomplete() / f"assessment-of-{snapshot.id}"
    rest.mkdir(parents=True)
    (rest / "findings.parquet").write_bytes(b"half a file")
    with pytest.raises(StoreError, match="no incomplete run"):
        SnapshotRun.resume(store)


def test_a_table_that_was_damaged_is_named_and_nothing_is_sealed(
    tmp_path: Path, store: Store, snapshot: Snapshot
) -> None:
    snapshot.table("aws_vault").write_bytes(b"not a table")
    with pytest.raises(AuditpackError) as caught:
        judge(store, snapshot, catalogue_of(tmp_path))
    assert "aws_vault" in str(caught.value)
    assert store.sealed("assessment") == []
