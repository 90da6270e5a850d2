"""Stores: what is opened, what is put where, copies of remote ones, and who works in which folder.

The remote store here is a dict behind the interface that buckets have; `test_objects` holds the
real ones to that interface.
"""

from __future__ import annotations

import fcntl
import multiprocessing
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support_store import (
    BUCKETS,
    FINISHED,
    FIRST_SNAPSHOT,
    VOLUMES,
    MemoryObjects,
    account_id,
    add_snapshot,
    new_key,
    seal_small,
    sealed_store,
    sealer_of,
    start_run,
    write_buckets,
    write_denied_volumes,
)

from evidence.errors import StoreError
from evidence.faults import VerificationReport
from evidence.keys import SigningKey
from evidence.log import record_index, record_name
from evidence.manifest import MANIFEST_NAME, seal_folder
from evidence.objects import ObjectExistsError, ObjectInfo
from evidence.sealing import announced
from evidence.snapshot import Snapshot, SnapshotRun
from evidence.store import MARK_CONTENT, STORE_MARK, Store
from evidence.verify import Trust, verify_store
from evidence.workspaces import BusyError, clear_rests, hold, new_part, workspace

ONE = account_id(1)
SECOND_SNAPSHOT = "20260302T060000Z-000002"
CAPTURES = f"captures/aws/{ONE}/global/aws_s3_bucket.jsonl.zst"


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return new_key()


@pytest.fixture
def objects() -> MemoryObjects:
    return MemoryObjects()


@pytest.fixture
def remote(objects: MemoryObjects, tmp_path: Path) -> Store:
    return Store.open_objects(objects, tmp_path / "work", create=True)


def elsewhere(objects: MemoryObjects, folder: Path) -> Store:
    """Open the same remote store on another machine."""
    return Store.open_objects(objects, folder)


def faults(store: Store, **trust: Any) -> dict[str, str]:
    report: VerificationReport = verify_store(store, trust=Trust(**trust))
    return {fault.path: fault.what for fault in report.faults}


def assert_sound(store: Store) -> None:
    report = verify_store(store)
    assert (report.faults, report.incomplete, announced(store)) == ([], [], [])


# --------------------------------------------------------------------------------------- opening


def test_a_remote_store_is_made_and_opened_by_its_mark(
    objects: MemoryObjects, tmp_path: Path
) -> None:
    with pytest.raises(StoreError, match="no evidence store here") as caught:
        Store.open_objects(objects, tmp_path / "work")
    assert caught.value.where == "memory://evidence"
    made = Store.open_objects(objects, tmp_path / "work", create=True)
    assert objects.found == {STORE_MARK: MARK_CONTENT}
    assert not made.is_local
    again = Store.open_objects(objects, tmp_path / "work", create=True)
    assert again == made == Store.open_objects(objects, tmp_path / "work")
    assert_sound(made)


@pytest.mark.parametrize(
    "mark", [b"", b"{}", MARK_CONTENT + b"\n", MARK_CONTENT.replace(b"2", b"3")]
)
@pytest.mark.parametrize("create", [False, True])
def test_a_store_of_another_format_is_not_opened(
    objects: MemoryObjects, tmp_path: Path, mark: bytes, *, create: bool
) -> None:
    objects.found[STORE_MARK] = mark
    with pytest.raises(StoreError, match="a format that this auditpack does not know"):
        Store.open_objects(objects, tmp_path, create=create)
    assert objects.found == {STORE_MARK: mark}


# ------------------------------------------------------------------------------- sealing, remotely


def test_a_snapshot_is_sealed_into_a_remote_store_and_read_on_another_machine(
    remote: Store, objects: MemoryObjects, key: SigningKey, tmp_path: Path
) -> None:
    sealed = add_snapshot(remote, key, FIRST_SNAPSHOT)
    assert sealed == tmp_path / "work" / "snapshots" / FIRST_SNAPSHOT
    other = elsewhere(objects, tmp_path / "other")
    here, there = Snapshot.open(remote), Snapshot.open(other)
    assert there.folder == tmp_path / "other" / "snapshots" / FIRST_SNAPSHOT
    assert (here.predicate, here.units, here.gaps) == (there.predicate, there.units, there.gaps)
    for path in here.folder.rglob("*"):
        if path.is_file():
            copied = there.folder / path.relative_to(here.folder)
            assert copied.read_bytes() == path.read_bytes()
    for store in (remote, other):
        report = verify_store(store, pinned=key.certificate)
        assert report.ok
        assert report.sealed["snapshot"] == 1
        assert report.records == 14
    assert not any(name.startswith("incomplete/") for name in objects.found)
    assert list(other.incomplete().iterdir()) == []


def test_everything_is_created_in_an_order_that_never_shows_half_of_it(
    remote: Store, objects: MemoryObjects, key: SigningKey
) -> None:
    add_snapshot(remote, key, FIRST_SNAPSHOT, accounts=1, buckets=1)
    names = list(objects.found)
    folder = f"snapshots/{FIRST_SNAPSHOT}/"
    files = [index for index, name in enumerate(names) if name.startswith(folder)]
    assert names[files[-1]] == folder + MANIFEST_NAME
    assert names.index(record_name(0)) > files[-1]
    assert names.index(record_name(1)) > names.index(record_name(0))


def collected(store: Store, name: str = FIRST_SNAPSHOT) -> SnapshotRun:
    run = start_run(store, name)
    write_buckets(run, ONE, 2)
    write_denied_volumes(run, ONE)
    return run


def seals(run: SnapshotRun, key: SigningKey) -> bool:
    """Seal a run; False when the connection was lost."""
    try:
        run.seal([BUCKETS, VOLUMES], FINISHED, sealer_of(key))
    except StoreError as error:
        if error.what != "the connection was lost":
            raise
        return False
    return True


def test_an_upload_that_broke_at_any_object_is_finished_by_the_next_try(
    key: SigningKey, tmp_path: Path
) -> None:
    """Whatever was created before, the run is resumed, and everything is logged once."""
    for breaks_after in range(1, 100):
        objects = MemoryObjects()
        store = Store.open_objects(objects, tmp_path / str(breaks_after), create=True)
        run = collected(store)
        objects.breaks_after = breaks_after
        if seals(run, key):
            break
        objects.breaks_after = None
        assert faults(store) == {}
        assert store.sealed("snapshot") == []
        run.release()
        resumed = SnapshotRun.resume(store)
        resumed.seal([BUCKETS, VOLUMES], FINISHED, sealer_of(key))
        assert store.sealed("snapshot") == [FIRST_SNAPSHOT]
        assert [record.kind for record in store.log.records()] == ["key", "snapshot"]
        assert_sound(store)
        assert len(list(Snapshot.open(store).folder.rglob("*.zst"))) == 2
    assert breaks_after > 10


def test_another_machine_logs_an_upload_that_was_whole(
    remote: Store, objects: MemoryObjects, key: SigningKey, tmp_path: Path
) -> None:
    """The first machine never comes back: what it placed whole is evidence all the same."""
    run = collected(remote)
    objects.breaks_after = objects.creates + 11
    with pytest.raises(StoreError, match="connection"):
        run.seal([BUCKETS, VOLUMES], FINISHED, sealer_of(key))
    assert f"snapshots/{FIRST_SNAPSHOT}/{MANIFEST_NAME}" in objects.found, "and not logged yet"
    objects.breaks_after = None
    other = elsewhere(objects, tmp_path / "other")
    assert verify_store(other).incomplete == [f"snapshots/{FIRST_SNAPSHOT}"]
    assert sealer_of(key).finish_cut_off(other) == [f"snapshot {FIRST_SNAPSHOT}"]
    assert Snapshot.open(other).id == FIRST_SNAPSHOT
    assert_sound(other)


def test_an_object_that_another_run_put_there_is_not_taken_for_ours(
    remote: Store, objects: MemoryObjects, key: SigningKey
) -> None:
    run = collected(remote)
    objects.create(f"snapshots/{FIRST_SNAPSHOT}/gaps.jsonl", b"something else\n")
    with pytest.raises(ObjectExistsError) as caught:
        run.seal([BUCKETS, VOLUMES], FINISHED, sealer_of(key))
    assert caught.value.where == f"snapshots/{FIRST_SNAPSHOT}/gaps.jsonl"
    assert remote.sealed("snapshot") == []


def test_two_machines_seal_into_one_store(
    remote: Store, objects: MemoryObjects, key: SigningKey, tmp_path: Path
) -> None:
    other = elsewhere(objects, tmp_path / "other")
    first, second = collected(remote), collected(other, SECOND_SNAPSHOT)
    second.seal([BUCKETS, VOLUMES], FINISHED, sealer_of(key))
    first.seal([BUCKETS, VOLUMES], FINISHED, sealer_of(key))
    for store in (remote, other):
        assert store.sealed("snapshot") == [SECOND_SNAPSHOT, FIRST_SNAPSHOT]
        assert {Snapshot.open(store, name).id for name in store.sealed("snapshot")} == {
            FIRST_SNAPSHOT,
            SECOND_SNAPSHOT,
        }
        assert_sound(store)


class Busy(MemoryObjects):
    """Objects into which somebody else seals whenever the log was listed, as often as `times`."""

    def __init__(self, key: SigningKey, work: Path) -> None:
        super().__init__()
        self.key, self.work, self.times = key, work, 0

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        yield from list(super().list(prefix))
        if prefix == "log/" and self.times:
            self.times -= 1
            rival = Store.open_objects(MemoryObjects(self.found), self.work / str(self.times))
            seal_small(rival, sealer_of(self.key), "decision", f"rival-{self.times}")


@pytest.mark.parametrize("times", range(1, 5))
def test_whoever_seals_in_between_does_no_harm(key: SigningKey, tmp_path: Path, times: int) -> None:
    """The manifest says how long the log was and its root: both must be of one moment."""
    objects = Busy(key, tmp_path)
    store = Store.open_objects(objects, tmp_path / "work", create=True)
    seal_small(store, sealer_of(key), "decision", "one")
    objects.times = times
    seal_small(store, sealer_of(key), "decision", "two")
    assert objects.times == 0
    assert len(store.sealed("decision")) == times + 2
    assert_sound(store)


# ------------------------------------------------------------------------------------------ copies


@pytest.fixture
def shipped(remote: Store, objects: MemoryObjects, key: SigningKey) -> MemoryObjects:
    """The objects of a remote store with one snapshot, and nothing of it on this machine."""
    add_snapshot(remote, key, FIRST_SNAPSHOT, accounts=1, buckets=2)
    shutil.rmtree(remote.root)
    return objects


def name_of(path: str) -> str:
    return f"snapshots/{FIRST_SNAPSHOT}/{path}"


def test_a_copy_is_made_once(shipped: MemoryObjects, tmp_path: Path) -> None:
    folder = elsewhere(shipped, tmp_path / "copy").find("snapshot", "")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert elsewhere(shipped, tmp_path / "copy").find("snapshot", "") == folder
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


@pytest.mark.parametrize("path", [CAPTURES, "gaps.jsonl", "records.bin", MANIFEST_NAME])
@pytest.mark.parametrize("how", ["changed", "longer", "missing"])
def test_what_was_damaged_in_the_store_is_refused_and_not_kept(
    shipped: MemoryObjects, tmp_path: Path, path: str, how: str
) -> None:
    sound = shipped.found[name_of(path)]
    if how == "missing":
        del shipped.found[name_of(path)]
    else:
        more = b"x" if how == "longer" else b""
        shipped.found[name_of(path)] = sound[:-1] + bytes([sound[-1] ^ 1]) + more
    store = elsewhere(shipped, tmp_path / "copy")
    with pytest.raises(StoreError, match="not as it was sealed") as caught:
        store.find("snapshot", "")
    assert caught.value.where == f"memory://evidence, snapshots/{FIRST_SNAPSHOT}"
    shipped.found[name_of(path)] = sound
    assert store.find("snapshot", "").name == FIRST_SNAPSHOT, "nothing of the damaged copy is left"


def test_a_file_added_in_the_store_is_refused(shipped: MemoryObjects, tmp_path: Path) -> None:
    shipped.found[name_of("tables/added.parquet")] = b"x"
    with pytest.raises(StoreError, match="added after sealing"):
        elsewhere(shipped, tmp_path / "copy").find("snapshot", "")


@pytest.mark.parametrize("path", [CAPTURES, "gaps.jsonl", "tables/aws_s3_bucket.parquet"])
def test_a_copy_that_was_damaged_on_this_machine_is_refused(
    shipped: MemoryObjects, tmp_path: Path, path: str
) -> None:
    folder = elsewhere(shipped, tmp_path / "copy").find("snapshot", "")
    data = bytearray((folder / path).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / path).write_bytes(data)
    with pytest.raises(StoreError, match="local copy of what was sealed is damaged") as caught:
        Snapshot.open(elsewhere(shipped, tmp_path / "copy"))
    assert caught.value.where == str(folder / path)
    assert f"Remove {folder}" in caught.value.mend
    shutil.rmtree(folder)
    assert Snapshot.open(elsewhere(shipped, tmp_path / "copy")).id == FIRST_SNAPSHOT


def test_a_copy_whose_manifest_is_another_one_is_refused(
    shipped: MemoryObjects, tmp_path: Path, key: SigningKey
) -> None:
    """Even one that our own key signed: the log names another."""
    folder = elsewhere(shipped, tmp_path / "copy").find("snapshot", "")
    seal_folder(folder, "snapshot", {"id": FIRST_SNAPSHOT}, key)
    with pytest.raises(StoreError, match="is not what the log names"):
        elsewhere(shipped, tmp_path / "copy").find("snapshot", "")


@pytest.mark.parametrize("path", ["../outside", "captures/../../../outside", "/tmp/outside"])
def test_a_name_that_leads_out_of_its_folder_is_not_written(
    shipped: MemoryObjects, tmp_path: Path, path: str
) -> None:
    shipped.found[name_of(path)] = b"x"
    with pytest.raises(StoreError, match="leads out of its folder"):
        elsewhere(shipped, tmp_path / "copy").find("snapshot", "")
    assert list(tmp_path.rglob("outside")) == []


# ----------------------------------------------------------------------------- verifying, remotely


def test_whatever_is_done_to_an_object_of_a_remote_store_is_named(
    shipped: MemoryObjects, tmp_path: Path, key: SigningKey
) -> None:
    store = elsewhere(shipped, tmp_path / "work")
    seal_small(store, sealer_of(key), "decision", "one")
    assert_sound(store)
    for name, sound in list(shipped.found.items()):
        for change in (sound[:-1], sound + b"\n", sound[:9] + b"\x00" + sound[10:], None):
            if change is None:
                del shipped.found[name]
            else:
                shipped.found[name] = change
            found = faults(Store.unchecked(shipped, tmp_path / "work"))
            named = name.startswith("certificates/") and change is None
            index = record_index(name)
            is_last = index == 2 and change is None  # what it named belongs to nobody then
            assert name in found or named or is_last, (name, change, found)
            assert found
            shipped.found[name] = sound
    assert_sound(store)


@pytest.mark.parametrize(
    "name",
    [
        "stray",
        "snapshots/stray",
        f"snapshots/{SECOND_SNAPSHOT}/{MANIFEST_NAME}",
        name_of("stray"),
        name_of("captures/stray"),
        "certificates/stray.pem",
        "revocations/stray.json",
        "log/stray",
        record_name(9),
        "more/stray",
    ],
)
def test_an_object_that_belongs_to_nobody_is_named(
    shipped: MemoryObjects, tmp_path: Path, name: str
) -> None:
    shipped.found[name] = b"x"
    found = faults(elsewhere(shipped, tmp_path / "work"))
    assert any(name == path or name.startswith(f"{path}/") for path in found)


def test_verifying_leaves_nothing_on_this_machine(shipped: MemoryObjects, tmp_path: Path) -> None:
    before = dict(shipped.found)
    assert_sound(elsewhere(shipped, tmp_path / "work"))
    assert shipped.found == before
    assert not (tmp_path / "work").exists()


# --------------------------------------------------------------------------------------- what is in


def test_what_is_sealed_is_listed_in_the_order_of_the_log(tmp_path: Path, key: SigningKey) -> None:
    store = Store.open(tmp_path / "store", create=True)
    for name in ("b", "c", "a"):
        seal_small(store, sealer_of(key), "decision", name)
    assert store.sealed("decision") == ["b", "c", "a"]
    assert store.latest("decision") == "a"
    assert store.find("decision", "").name == "a"
    assert store.record("decision", "c").index == 2
    with pytest.raises(StoreError, match="holds no decision 'd'") as caught:
        store.find("decision", "d")
    assert caught.value.mend == "The newest are: b, c, a."
    with pytest.raises(StoreError, match="holds no sealed pack") as caught:
        store.find("pack", "")
    assert caught.value.mend == "Run `auditpack pack` first."


def test_what_the_log_does_not_name_is_not_found_whatever_lies_there(
    tmp_path: Path, key: SigningKey
) -> None:
    store, _, _ = sealed_store(tmp_path / "store", accounts=1, buckets=1)
    shutil.copytree(store.find("snapshot", ""), store.folder("snapshot") / SECOND_SNAPSHOT)
    assert store.sealed("snapshot") == [FIRST_SNAPSHOT]
    with pytest.raises(StoreError, match="holds no snapshot"):
        store.find("snapshot", SECOND_SNAPSHOT)
    shutil.rmtree(store.folder("snapshot") / FIRST_SNAPSHOT)
    with pytest.raises(StoreError, match="is missing"):
        store.find("snapshot", "")


# ------------------------------------------------------------------------ who works in which folder


def hold_for_ever(folder: Path, kind: str, ready: Any) -> None:
    if kind == "run":
        kept: Any = hold(folder / "run")
    elif kind == "part":
        kept = new_part(folder)
    else:
        kept = workspace(folder, "work")
        kept.__enter__()
    ready.put("ready")
    sys.stdin = kept  # kept open until the process ends
    multiprocessing.Event().wait()


class Living:
    """A process that holds something below `folder`, until it is killed."""

    def __init__(self, folder: Path, kind: str) -> None:
        context = multiprocessing.get_context("spawn")
        ready = context.Queue()
        self.process = context.Process(target=hold_for_ever, args=(folder, kind, ready))
        self.process.start()
        assert ready.get(timeout=60) == "ready"

    def kill(self) -> None:
        self.process.kill()
        self.process.join()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "incomplete").mkdir()
    return tmp_path / "incomplete"


def test_a_folder_belongs_to_one_process_until_that_ends(folder: Path) -> None:
    other = Living(folder, "run")
    try:
        with pytest.raises(BusyError, match="another process") as caught:
            hold(folder / "run")
        assert caught.value.where == str(folder / "run")
    finally:
        other.kill()
    with hold(folder / "run"), pytest.raises(BusyError):
        hold(folder / "run")
    hold(folder / "run").close()


@pytest.mark.parametrize("kind", ["work", "part"])
def test_rests_of_dead_processes_are_removed_and_those_of_living_ones_left(
    folder: Path, kind: str
) -> None:
    living, dead = Living(folder, kind), Living(folder, kind)
    before = set(folder.iterdir())
    assert len(before) == 2
    dead.kill()
    try:
        with workspace(folder, "mine") as mine:
            left = set(folder.iterdir()) - {mine}
            assert len(left) == 1
            assert left < before
        clear_rests(folder)
        assert set(folder.iterdir()) == left
    finally:
        living.kill()
    clear_rests(folder)
    assert list(folder.iterdir()) == []


def test_clearing_leaves_runs_and_announcements_alone(folder: Path) -> None:
    hold(folder / FIRST_SNAPSHOT).close()
    (folder / "decision-one.sealing.json").write_bytes(b"{}")
    (folder / "a file where a folder belongs.work").write_bytes(b"")
    before = set(folder.iterdir())
    clear_rests(folder)
    assert set(folder.iterdir()) == before


def test_a_workspace_is_removed_at_its_end_also_after_an_error(folder: Path) -> None:
    given = workspace(folder, "work")
    mine = given.__enter__()
    (mine / "file").write_bytes(b"x")
    assert not given.__exit__(RuntimeError, RuntimeError(), None)
    assert list(folder.iterdir()) == []


def test_a_folder_that_its_holder_removed_is_not_held(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever opened the lock just before would else hold a file that is not there any more."""
    lock = fcntl.flock

    def removed_meanwhile(file: Any, how: int) -> None:
        shutil.rmtree(folder / "run")
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", removed_meanwhile)
    with pytest.raises(BusyError):
        hold(folder / "run")
