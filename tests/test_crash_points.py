"""A process that dies at any of its file operations leaves a store that is valid and can go on.

The process is a real one that ends with `os._exit` just before its k-th operation, for every k
until it gets through. So each state of the disk that a kill can leave is visited once.
"""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support_store import (
    BUCKETS,
    FINISHED,
    FIRST_SNAPSHOT,
    account_id,
    new_key,
    seal_small,
    sealer_of,
    start_run,
)

from evidence.errors import StoreError
from evidence.keys import SigningKey, load_signing_key, save_signing_key
from evidence.outcome import Outcome
from evidence.sealing import announced
from evidence.segments import read_lines
from evidence.snapshot import Snapshot, SnapshotRun
from evidence.store import STORE_MARK, Store
from evidence.units import UnitKey, UnitRecord, UnitWriter
from evidence.verify import verify_store
from evidence.workspaces import workspace

OPERATIONS = ("rename", "replace", "link", "unlink", "rmdir", "fsync", "mkdir")
DIED = 77
ONE, TWO = account_id(1), account_id(2)
OTHER_TIME = datetime.datetime(2026, 4, 1, tzinfo=datetime.UTC)


def die_before(number: int) -> None:
    """Let this process end just before its `number`-th operation on the disk."""
    left = iter(range(number - 1, -1, -1))

    def counted(original: Callable[..., Any]) -> Callable[..., Any]:
        def operation(*given: Any, **named: Any) -> Any:
            if next(left, 0) == 0:
                os._exit(DIED)
            return original(*given, **named)

        return operation

    for name in OPERATIONS:
        setattr(os, name, counted(getattr(os, name)))


class Mortals:
    """Processes that die: each is forked from one that has loaded everything and has no threads."""

    def __init__(self) -> None:
        here = Path(__file__).parent
        self.parent = subprocess.Popen(
            [sys.executable, "-c", "import test_crash_points; test_crash_points.serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": f"{here}{os.pathsep}{here.parent}"},
        )

    def die(self, number: int, action: Callable[..., None], *given: Path) -> bool:
        """Run an action in a process that dies at operation `number`; False: it got through."""
        assert self.parent.stdin is not None
        assert self.parent.stdout is not None
        self.parent.stdin.write(json.dumps([number, action.__name__, *map(str, given)]) + "\n")
        self.parent.stdin.flush()
        code = int(self.parent.stdout.readline())
        assert code in (0, DIED), f"operation {number} ended with {code}"
        return code == DIED


def serve() -> None:
    """Fork a process for each line of input, and answer with its exit code."""
    for line in sys.stdin:
        number, name, *given = json.loads(line)
        process = os.fork()
        if process == 0:
            try:
                die_before(number)
                globals()[name](*map(Path, given))
            except BaseException:  # noqa: BLE001  (whatever it was, this process ends here)
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        print(code, flush=True)


@pytest.fixture(scope="module")
def mortals() -> Iterator[Mortals]:
    found = Mortals()
    yield found
    found.parent.communicate()


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the keys `old` and `new`, as PEM files."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("old", "new"):
        save_signing_key(new_key(), folder / f"{name}.key", folder / f"{name}.pem", "")
    return folder


def key_of(keys: Path, name: str) -> SigningKey:
    return load_signing_key(keys / f"{name}.key", keys / f"{name}.pem", "")


def assert_valid(root: Path) -> Store:
    """Whatever happened: what is there verifies, and nothing is there twice."""
    store = Store.open(root)
    report = verify_store(store)
    assert report.faults == []
    logged = Counter((record.kind, record.id) for record in store.log.records())
    assert set(logged.values()) <= {1}
    return store


def assert_finished(store: Store) -> None:
    report = verify_store(store)
    assert (report.faults, report.incomplete) == ([], [])
    assert announced(store) == []
    assert list(store.incomplete().iterdir()) == []


def commit_denied(run: SnapshotRun, account: str) -> None:
    """Commit a unit of buckets that could not be listed: small, so that its steps are quick."""
    writer = UnitWriter(run.folder, UnitKey("aws", account, "global", BUCKETS.resource_type))
    listed = writer.keep_capture(b'{"denied":"%s"}' % account.encode())
    record = UnitRecord(writer.key, Outcome.DENIED, "denied", 0, 1, 0, (listed,))
    writer.commit(record)


def collect(root: Path, keys: Path, ledger: Path) -> None:
    """Collect two units and seal them; note in a file of its own which are done."""
    store = Store.open(root, create=True)
    run = start_run(store)
    committed = run.committed()
    for account in (ONE, TWO):
        if account not in {key.account for key in committed}:
            commit_denied(run, account)
            with ledger.open("a") as file:
                file.write(f"{account}\n")
    run.seal([BUCKETS], FINISHED, sealer_of(key_of(keys, "old")))


def goes_on(root: Path, keys: Path, ledger: Path) -> Store:
    """Do what a person does after a crash: resume, or begin again where there is nothing."""
    store = Store.open(root, create=True)
    try:
        run = SnapshotRun.resume(store)
    except StoreError:
        if store.sealed("snapshot"):
            return store
        collect(root, keys, ledger)
        return store
    done = ledger.read_text().split() if ledger.exists() else []
    committed = {key.account: unit for key, unit in run.committed().items()}
    if store.log.find("snapshot", run.id) is None and committed:
        assert set(done) <= set(committed), "what was reported as committed is there"
    for account in (ONE, TWO):
        if account not in committed:
            commit_denied(run, account)
    run.seal([BUCKETS], FINISHED, sealer_of(key_of(keys, "old")))
    return store


@pytest.mark.slow
def test_collecting_and_sealing_survive_a_crash_at_every_operation(
    tmp_path: Path, keys: Path, mortals: Mortals
) -> None:
    number = 0
    while True:
        number += 1
        folder = tmp_path / str(number)
        folder.mkdir()
        root, ledger = folder / "store", folder / "ledger"
        if not mortals.die(number, collect, root, keys, ledger):
            break
        if (root / STORE_MARK).exists():
            assert_valid(root)
        store = goes_on(root, keys, ledger)
        assert store.sealed("snapshot") == [FIRST_SNAPSHOT]
        snapshot = Snapshot.open(store)
        assert [unit.key.account for unit in snapshot.units] == [ONE, TWO]
        captured = [len(list(read_lines(snapshot.segment(u.key.path)))) for u in snapshot.units]
        assert captured == [1, 1]
        assert_valid(root)
        assert_finished(store)
    assert number > 60, "so many operations there are at least"
    assert_finished(assert_valid(root))


def seal_decision(root: Path, keys: Path) -> None:
    store, sealer = Store.open(root), sealer_of(key_of(keys, "old"))
    sealer.finish_cut_off(store)
    if store.log.find("decision", "two") is None:
        seal_small(store, sealer, "decision", "two")


def rotate(root: Path, keys: Path) -> None:
    sealer_of(key_of(keys, "old")).add_key(Store.open(root), key_of(keys, "new"))


def revoke(root: Path, keys: Path) -> None:
    fingerprint = key_of(keys, "old").certificate.fingerprint
    sealer = sealer_of(key_of(keys, "new"))
    sealer.revoke(Store.open(root), fingerprint, since=OTHER_TIME, reason="retired")


PREPARED: dict[str, tuple[Callable[[Path, Path], None], tuple[Callable[..., None], ...]]] = {
    "a decision": (seal_decision, ()),
    "a rotation": (rotate, ()),
    "a revocation": (revoke, (rotate,)),
}


@pytest.mark.parametrize("what", PREPARED)
def test_whatever_changes_the_log_survives_a_crash_at_every_operation(
    tmp_path: Path, keys: Path, mortals: Mortals, what: str
) -> None:
    action, before = PREPARED[what]
    number = 0
    while True:
        number += 1
        root = tmp_path / str(number) / "store"
        store = Store.open(root, create=True)
        seal_small(store, sealer_of(key_of(keys, "old")), "decision", "one")
        for step in before:
            step(root, keys)
        known = len(store.log.records())
        died = mortals.die(number, action, root, keys)
        assert len(assert_valid(root).log.records()) in (known, known + 1)
        if not died:
            break
        action(root, keys)
        store = assert_valid(root)
        assert len(store.log.records()) == known + 1
        with workspace(store.incomplete(), "next"):
            pass  # whoever works there next clears up
        assert_finished(store)
    assert number > 8
