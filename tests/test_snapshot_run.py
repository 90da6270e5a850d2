"""Snapshot runs: a unit counts whole or not at all, and sealing survives a crash at any point."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import orjson
import pytest
from support_store import (
    BUCKETS,
    FINISHED,
    FIRST_SNAPSHOT,
    STARTED,
    VOLUMES,
    account_id,
    add_snapshot,
    new_key,
    sealed_store,
    sealer_of,
    start_run,
    write_buckets,
    write_denied_volumes,
)

from evidence.errors import AuditpackError, StoreError
from evidence.keys import SigningKey
from evidence.manifest import MANIFEST_NAME, read_manifest
from evidence.merkle import leaf_hash, root_of
from evidence.outcome import Outcome
from evidence.segments import read_line, read_lines
from evidence.snapshot import Snapshot, SnapshotRun
from evidence.store import Store
from evidence.units import GLOBAL_REGION, UnitKey, UnitWriter
from evidence.verify import verify_store
from evidence.workspaces import BusyError

ONE, TWO, THREE = account_id(1), account_id(2), account_id(3)
SCHEMAS = (BUCKETS, VOLUMES)
SECOND_SNAPSHOT = "20260302T060000Z-000002"
FULL_DEVICE = Path("/dev/full")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store", create=True)


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return new_key()


def buckets_key(account: str) -> UnitKey:
    return UnitKey("aws", account, GLOBAL_REGION, BUCKETS.resource_type)


def half_written(run: SnapshotRun, account: str) -> UnitWriter:
    """Leave what a process leaves that is killed in the middle of a unit."""
    writer = UnitWriter(run.folder, buckets_key(account))
    writer.keep_capture(b'{"half":"written"}')
    writer.write_row({"id": "half written"})
    return writer


def files_in(folder: Path) -> list[str]:
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(found)


def sealed_files(store: Store, name: str = FIRST_SNAPSHOT) -> list[str]:
    return sorted(read_manifest(store.folder("snapshot") / name).files)


def assert_sound(store: Store, *snapshots: str) -> None:
    """The store verifies, holds exactly `snapshots`, and nothing is left to finish."""
    report = verify_store(store)
    assert report.faults == []
    assert store.sealed("snapshot") == list(snapshots)
    assert report.incomplete == []


EXPECTED_FILES = [
    f"captures/aws/{ONE}/global/aws_s3_bucket.jsonl.zst",
    f"captures/aws/{ONE}/us-east-1/aws_ebs_volume.jsonl.zst",
    "gaps.jsonl",
    "records.bin",
    "schemas.json",
    "tables/aws_ebs_volume.parquet",
    "tables/aws_s3_bucket.parquet",
    "units.jsonl",
]


# -------------------------------------------------------------------------------------- units


def test_a_unit_counts_once_it_is_committed(store: Store) -> None:
    run = start_run(store)
    assert run.committed() == {}
    record = write_buckets(run, ONE, 3)
    assert run.committed() == {buckets_key(ONE): record}
    assert record.records == 4


def test_what_a_killed_unit_left_never_counts(store: Store, key: SigningKey) -> None:
    run = start_run(store)
    write_buckets(run, ONE)
    write_denied_volumes(run, ONE)
    half_written(run, TWO)
    assert set(run.committed()) == {buckets_key(ONE), write_denied_volumes(run, ONE).key}
    run.seal(SCHEMAS, FINISHED, sealer_of(key))
    assert sealed_files(store) == EXPECTED_FILES
    assert_sound(store, FIRST_SNAPSHOT)


def test_a_unit_killed_between_its_renames_never_counts(store: Store, key: SigningKey) -> None:
    """Captures and rows are in place, but the record that is the commit was never written."""
    run = start_run(store)
    write_buckets(run, ONE)
    write_denied_volumes(run, ONE)
    write_buckets(run, TWO)
    (run.folder / "work" / "units" / f"{buckets_key(TWO).path}.json").unlink()
    assert buckets_key(TWO) not in run.committed()
    run.seal(SCHEMAS, FINISHED, sealer_of(key))
    assert sealed_files(store) == EXPECTED_FILES
    assert {unit.key.account for unit in Snapshot.open(store).units} == {ONE}


def test_a_unit_that_is_given_up_leaves_nothing(store: Store) -> None:
    run = start_run(store)
    before = files_in(run.folder)
    half_written(run, ONE).abandon()
    assert files_in(run.folder) == before
    write_buckets(run, ONE)
    assert set(run.committed()) == {buckets_key(ONE)}


@pytest.mark.skipif(not FULL_DEVICE.exists(), reason="needs /dev/full")
@pytest.mark.parametrize("part", ["sealed/captures", "work/rows"])
def test_a_full_disk_is_a_store_error_and_the_unit_does_not_count(store: Store, part: str) -> None:
    run = start_run(store)
    suffix = ".jsonl.zst.part" if part == "sealed/captures" else ".jsonl.part"
    target = run.folder / part / f"{buckets_key(ONE).path}{suffix}"
    target.parent.mkdir(parents=True)
    target.symlink_to(FULL_DEVICE)
    with pytest.raises(StoreError, match="No space left"):
        write_buckets(run, ONE)
    assert run.committed() == {}


# ----------------------------------------------------------------------------- run and resume


def test_a_resumed_run_finishes_without_doing_committed_units_again(
    store: Store, key: SigningKey
) -> None:
    first = start_run(store)
    write_buckets(first, ONE)
    write_denied_volumes(first, ONE)
    half_written(first, TWO)
    first.release()
    committed = {
        path: (path.stat().st_ino, path.read_bytes())
        for path in first.folder.rglob(f"*/{ONE}/*/*")
        if path.is_file()
    }
    resumed = SnapshotRun.resume(store)
    assert (resumed.id, resumed.intent) == (first.id, first.intent)
    assert buckets_key(ONE) in resumed.committed()
    assert buckets_key(TWO) not in resumed.committed()
    write_buckets(resumed, TWO)
    write_denied_volumes(resumed, TWO)
    untouched = {path: (path.stat().st_ino, path.read_bytes()) for path in committed}
    assert untouched == committed
    resumed.seal(SCHEMAS, FINISHED, sealer_of(key))
    assert_sound(store, FIRST_SNAPSHOT)
    assert [unit.key.account for unit in Snapshot.open(store).units] == [ONE, ONE, TWO, TWO]


def test_a_resumed_run_is_the_same_as_one_without_a_break(tmp_path: Path, key: SigningKey) -> None:
    whole, _, _ = sealed_store(tmp_path / "whole", accounts=2, buckets=3)
    broken = Store.open(tmp_path / "broken", create=True)
    run = start_run(broken)
    write_denied_volumes(run, TWO)
    half_written(run, TWO)
    run.release()
    run = SnapshotRun.resume(broken)
    write_buckets(run, TWO, 3)
    write_denied_volumes(run, ONE)
    write_buckets(run, ONE, 3)
    run.seal(SCHEMAS, FINISHED, sealer_of(key))
    predicates = [dict(Snapshot.open(store).predicate) for store in (broken, whole)]
    logs = [predicate.pop("log_before") for predicate in predicates]
    assert predicates[0] == predicates[1]
    assert logs[0] == logs[1], "both are the first thing in their log"
    files = [store.manifest("snapshot", "").files for store in (broken, whole)]
    assert files[0] == files[1]


def test_the_newest_run_is_resumed_or_the_one_that_is_named(store: Store) -> None:
    for name in (FIRST_SNAPSHOT, SECOND_SNAPSHOT):
        start_run(store, name).release()
    newest = SnapshotRun.resume(store)
    assert newest.id == SECOND_SNAPSHOT
    assert SnapshotRun.resume(store, FIRST_SNAPSHOT).id == FIRST_SNAPSHOT


def test_a_run_that_goes_on_is_not_resumed(store: Store) -> None:
    first, second = start_run(store, FIRST_SNAPSHOT), start_run(store, SECOND_SNAPSHOT)
    with pytest.raises(BusyError, match="another process"):
        SnapshotRun.resume(store, SECOND_SNAPSHOT)
    with pytest.raises(BusyError):
        SnapshotRun.resume(store)
    with pytest.raises(BusyError):
        start_run(store, SECOND_SNAPSHOT)
    first.release()
    assert SnapshotRun.resume(store).id == FIRST_SNAPSHOT, "the newest that nobody works on"
    second.release()
    assert SnapshotRun.resume(store).id == SECOND_SNAPSHOT


def test_where_there_is_no_run_to_resume_the_way_on_is_said(store: Store) -> None:
    with pytest.raises(StoreError, match="no incomplete run") as caught:
        SnapshotRun.resume(store)
    assert "without --resume" in caught.value.mend
    start_run(store).release()
    with pytest.raises(StoreError, match="no incomplete run"):
        SnapshotRun.resume(store, SECOND_SNAPSHOT)


def test_a_run_that_died_before_its_intent_was_written_is_not_resumed(store: Store) -> None:
    start_run(store, FIRST_SNAPSHOT).release()
    dead = start_run(store, SECOND_SNAPSHOT)
    dead.release()
    (dead.folder / "work" / "snapshot.json").unlink()
    assert SnapshotRun.resume(store).id == FIRST_SNAPSHOT
    with pytest.raises(AuditpackError):
        SnapshotRun.resume(store, SECOND_SNAPSHOT)


def test_what_a_killed_evaluation_left_is_not_a_run_to_resume(store: Store) -> None:
    rest = store.incomplete() / f"assessment-of-{FIRST_SNAPSHOT}"
    rest.mkdir(parents=True)
    (rest / "findings.parquet").write_bytes(b"half")
    with pytest.raises(StoreError, match="no incomplete run"):
        SnapshotRun.resume(store)
    start_run(store).release()
    assert SnapshotRun.resume(store).id == FIRST_SNAPSHOT


# ------------------------------------------------------------------------------------ sealing


def test_a_sealed_snapshot_holds_what_was_collected(tmp_path: Path) -> None:
    store, _, name = sealed_store(tmp_path / "store", accounts=2, buckets=4)
    snapshot = Snapshot.open(store)
    assert (snapshot.id, snapshot.started) == (name, STARTED)
    assert snapshot.schemas == {schema.resource_type: schema for schema in SCHEMAS}
    assert snapshot.predicate["tables"] == {"aws_s3_bucket": 8, "aws_ebs_volume": 0}
    assert snapshot.predicate["gaps"] == {"denied": 4}
    assert snapshot.predicate["redactions"] == 2
    assert {gap.facet for gap in snapshot.gaps} == {"", "encryption"}
    listed = {unit.key.resource_type: unit.listed for unit in snapshot.units}
    assert listed == {"aws_s3_bucket": Outcome.OK, "aws_ebs_volume": Outcome.DENIED}
    with duckdb.connect() as database:
        rows = database.execute(
            "SELECT count(*), count(encryption), count(*) FILTER (errors['encryption'] LIKE"
            " 'denied%') FROM read_parquet(?)",
            [str(snapshot.table("aws_s3_bucket"))],
        ).fetchall()
    assert rows == [(8, 6, 2)]


def test_every_reference_leads_to_the_capture_that_it_names(tmp_path: Path) -> None:
    store, _, _ = sealed_store(tmp_path / "store", accounts=1, buckets=3)
    snapshot = Snapshot.open(store)
    with duckdb.connect() as database:
        found = database.execute(
            "SELECT name, captures['encryption'][1] FROM read_parquet(?) ORDER BY name",
            [str(snapshot.table("aws_s3_bucket"))],
        ).fetchall()
    for name, reference in found:
        unit, number = reference.split("#")
        record = orjson.loads(read_line(snapshot.segment(unit), int(number)))
        assert record["operation"] == "get_bucket_encryption"
        assert orjson.loads(record["body"])["Bucket"] == name


def test_the_root_is_over_all_records_in_the_order_of_their_units(tmp_path: Path) -> None:
    store, _, _ = sealed_store(tmp_path / "store", accounts=2, buckets=2)
    snapshot = Snapshot.open(store)
    lines = [
        line for unit in snapshot.units for line in read_lines(snapshot.segment(unit.key.path))
    ]
    leaves = [leaf_hash(line) for line in lines]
    tree = snapshot.predicate["merkle_tree"]
    assert (tree["size"], tree["root"]) == (len(lines), root_of(leaves).hex())
    assert (snapshot.folder / "records.bin").read_bytes() == b"".join(leaves)
    keys = [unit.key for unit in snapshot.units]
    assert keys == sorted(keys)


def test_each_snapshot_vouches_for_the_log_before_it(store: Store, key: SigningKey) -> None:
    names = [FIRST_SNAPSHOT, SECOND_SNAPSHOT, "20260301T000000Z-000003"]
    for name in names:
        add_snapshot(store, key, name, accounts=1, buckets=0, schemas=(BUCKETS,))
    befores = [store.manifest("snapshot", name).predicate["log_before"] for name in names]
    tree = store.log.tree()
    assert befores[0] == {"size": 0, "root": tree.root_at(0).hex()}
    assert befores[1:] == [{"size": size, "root": tree.root_at(size).hex()} for size in (2, 3)], (
        "the key, then one entry a snapshot"
    )
    assert store.latest("snapshot") == names[2], "sealed last, whatever its name sorts like"
    assert verify_store(store).ok


def ready_to_seal(store: Store, name: str = FIRST_SNAPSHOT) -> SnapshotRun:
    run = start_run(store, name)
    write_buckets(run, ONE)
    write_denied_volumes(run, ONE)
    return run


def test_sealing_that_failed_can_be_done_again(store: Store, key: SigningKey) -> None:
    run = ready_to_seal(store)
    rows = run.folder / "work" / "rows" / f"{buckets_key(ONE).path}.jsonl"
    sound = rows.read_bytes()
    rows.write_bytes(sound[:-20])
    with pytest.raises(StoreError, match="aws_s3_bucket could not be written"):
        run.seal(SCHEMAS, FINISHED, sealer_of(key))
    assert store.sealed("snapshot") == []
    assert verify_store(store).incomplete == [FIRST_SNAPSHOT]
    rows.write_bytes(sound)
    run.release()
    SnapshotRun.resume(store).seal(SCHEMAS, FINISHED, sealer_of(key))
    assert sealed_files(store) == EXPECTED_FILES
    assert_sound(store, FIRST_SNAPSHOT)


def test_publishing_that_failed_can_be_done_again(store: Store, key: SigningKey) -> None:
    run = ready_to_seal(store)
    store.folder("snapshot").write_bytes(b"a file where a folder belongs")
    with pytest.raises(StoreError, match="could not be put into place"):
        run.seal(SCHEMAS, FINISHED, sealer_of(key))
    store.folder("snapshot").unlink()
    run.release()
    SnapshotRun.resume(store).seal(SCHEMAS, FINISHED, sealer_of(key))
    assert_sound(store, FIRST_SNAPSHOT)


def test_the_manifest_is_what_makes_a_snapshot_so_it_comes_last(
    store: Store, key: SigningKey
) -> None:
    """Whatever lies in the run's folder, nothing of it is a snapshot before it is published."""
    run = ready_to_seal(store)
    assert store.sealed("snapshot") == []
    folder = run.seal(SCHEMAS, FINISHED, sealer_of(key))
    newest = max(
        folder.rglob("*"), key=lambda path: path.stat().st_mtime_ns if path.is_file() else 0
    )
    assert newest == folder / MANIFEST_NAME
    assert not run.folder.exists()


LEFT_BY_A_CRASH = {
    "a manifest that was not renamed": f"{MANIFEST_NAME}.part",
    "a list that was not renamed": "units.jsonl.part",
    "a table that was being written": "tables/aws_s3_bucket.parquet",
    "a table under DuckDB's name for one": "tables/tmp_aws_s3_bucket.parquet",
    "leaf hashes of an earlier attempt": "records.bin",
    "captures of a unit without a record": f"captures/aws/{THREE}/global/aws_s3_bucket.jsonl.zst",
}


@pytest.mark.parametrize("state", LEFT_BY_A_CRASH)
def test_what_a_crash_while_sealing_left_does_not_become_evidence(
    store: Store, key: SigningKey, state: str
) -> None:
    run = ready_to_seal(store)
    rest = run.folder / "sealed" / LEFT_BY_A_CRASH[state]
    rest.parent.mkdir(parents=True, exist_ok=True)
    rest.write_bytes(b"half written")
    run.release()
    SnapshotRun.resume(store).seal(SCHEMAS, FINISHED, sealer_of(key))
    assert sealed_files(store) == EXPECTED_FILES
    assert_sound(store, FIRST_SNAPSHOT)


def signed_but_not_published(store: Store, key: SigningKey, name: str) -> SnapshotRun:
    """Leave a run as a crash leaves it between signing the manifest and publishing the folder."""
    run = ready_to_seal(store, name)
    in_the_way = store.folder("snapshot") / name
    (in_the_way / "so that renaming fails").mkdir(parents=True)
    with pytest.raises(StoreError):
        run.seal(SCHEMAS, FINISHED, sealer_of(key))
    shutil.rmtree(in_the_way)
    run.release()
    assert (run.folder / "sealed" / MANIFEST_NAME).exists()
    return run


def test_a_run_that_was_signed_but_not_published_is_published_when_resumed(
    store: Store, key: SigningKey
) -> None:
    signed_but_not_published(store, key, FIRST_SNAPSHOT)
    assert store.sealed("snapshot") == []
    assert verify_store(store).incomplete == [FIRST_SNAPSHOT]
    SnapshotRun.resume(store).seal(SCHEMAS, FINISHED, sealer_of(key))
    assert_sound(store, FIRST_SNAPSHOT)


def test_a_signed_run_that_another_one_overtook_follows_it(store: Store, key: SigningKey) -> None:
    """Its manifest names the log as it was then, which the log of now still begins with."""
    signed_but_not_published(store, key, FIRST_SNAPSHOT)
    add_snapshot(store, key, SECOND_SNAPSHOT, accounts=1, buckets=1)
    SnapshotRun.resume(store, FIRST_SNAPSHOT).seal(SCHEMAS, FINISHED, sealer_of(key))
    assert_sound(store, SECOND_SNAPSHOT, FIRST_SNAPSHOT)
    assert store.latest("snapshot") == FIRST_SNAPSHOT


def test_a_signed_run_is_signed_anew_though_the_key_was_changed_since(
    store: Store, key: SigningKey
) -> None:
    """The crash came before the certificate was kept; the run is resumed with a new key."""
    signed_but_not_published(store, key, FIRST_SNAPSHOT)
    shutil.rmtree(store.root / "certificates", ignore_errors=True)
    other = new_key("Example Ltd, new key")
    SnapshotRun.resume(store).seal(SCHEMAS, FINISHED, sealer_of(other))
    assert_sound(store, FIRST_SNAPSHOT)
    assert store.manifest("snapshot", "").signed_by == other.certificate.fingerprint


def test_a_crash_after_publishing_leaves_nothing_that_cannot_be_finished(
    store: Store, key: SigningKey, tmp_path: Path
) -> None:
    """The snapshot is in its place and logged, but the run's folder was not removed yet."""
    run = ready_to_seal(store)
    shutil.copytree(run.folder / "work", tmp_path / "work")
    published = run.seal(SCHEMAS, FINISHED, sealer_of(key))
    digest = read_manifest(published).digest
    shutil.copytree(tmp_path / "work", run.folder / "work")
    resumed = SnapshotRun.resume(store)
    assert resumed.seal(SCHEMAS, FINISHED, sealer_of(key)) == published
    assert read_manifest(published).digest == digest
    assert_sound(store, FIRST_SNAPSHOT)
