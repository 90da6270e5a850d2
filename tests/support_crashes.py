"""Processes that collect, seal and evaluate, killed at random moments; a ledger of what must hold.

`python tests/support_crashes.py --kills 50 --seed 1` runs as a process of its own, because it
forks: nothing in it has threads or an open database at that time. It prints what it did as JSON,
and exits with 1 and the reason when something was lost, repeated, or taken for evidence wrongly.

Half of the kills come from outside at a random time; the others hit just before a random one of
the process's file operations, so that short steps (signing, publishing, logging) are hit as well.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import random
import select
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pack_store import CHECKS, FINISHED, NOW, SCHEMAS, STARTED, _catalogue
from support_store import sealer_of

from controls.assessment import assess
from controls.gate_memory import GateMemory
from evidence.canonical import canonical_json
from evidence.errors import StoreError
from evidence.keys import SigningKey, make_signing_key
from evidence.outcome import Outcome
from evidence.segments import read_lines
from evidence.snapshot import Snapshot, SnapshotRun
from evidence.store import STORE_MARK, Store
from evidence.units import UnitKey, UnitRecord, UnitWriter, committed_units
from evidence.verify import verify_store

UNITS = tuple(
    UnitKey("aws", account, region, resource_type)
    for account in ("111111111111", "222222222222")
    for region, resource_type in (
        ("global", "aws_s3_bucket"),
        ("eu-west-1", "aws_sqs_queue"),
        ("us-east-1", "aws_sqs_queue"),
    )
)
CAPTURES = 60
A_STORE_LASTS = 25
"""Kills in one store before the next one is made: verifying takes longer the more there is."""

Say = Callable[..., None]
Message = tuple[str, ...]


class LostError(AssertionError):
    """Something that was promised does not hold after a kill."""


# ----------------------------------------------------------------------- what a process does


def lines_of(run_id: str, unit: UnitKey) -> Iterator[bytes]:
    """Yield the captures of one unit: the same for the same run, of 100 bytes to 20 kB."""
    chooser = random.Random(f"{run_id}/{unit.path}")
    for number in range(CAPTURES):
        filler = chooser.randbytes(int(50 * 200 ** chooser.random())).hex()
        yield canonical_json({"unit": unit.path, "number": number, "body": filler})


def write_unit(run: SnapshotRun, unit: UnitKey) -> None:
    """Collect and commit one unit."""
    writer = UnitWriter(run.folder, unit)
    references = [writer.keep_capture(line) for line in lines_of(run.id, unit)]
    schema = SCHEMAS[unit.resource_type]
    for number in range(20):
        writer.write_row(
            {
                "provider": unit.provider,
                "account": unit.account,
                "region": unit.region,
                "id": f"arn:aws:{unit.path}/{number}",
                "name": f"thing-{number}",
                "tags": {},
                "errors": {},
                "captures": {"identity": [references[number]]},
                **{f.name: {x.name: x.absent for x in f.fields} for f in schema.facets},
            }
        )
    record = UnitRecord(unit, Outcome.OK, "", 20, writer.records, 0, (references[0],))
    writer.commit(record)


def open_run(store: Store) -> SnapshotRun:
    """Resume a run that nobody works on, or start one."""
    try:
        return SnapshotRun.resume(store)
    except StoreError:  # none, or others have them all
        intent = {"organisation": "Example Ltd", "started": STARTED, "scope": {}}
        name = f"20260301T{time.time_ns() % 10**12:012}-{os.getpid():06x}"
        return SnapshotRun.start(store, name, intent)


def work(root: Path, key: SigningKey, cycles: int, say: Say, now: datetime.datetime = NOW) -> None:
    """Collect, seal and evaluate `cycles` times, saying what is done."""
    store, sealer = Store.open(root, create=True), sealer_of(key, now.isoformat())
    for _ in range(cycles):
        run = open_run(store)
        say("run", run.id)
        done = run.committed()
        for unit in UNITS:
            if unit not in done:
                say("asks", run.id, unit.path)
                write_unit(run, unit)
                say("committed", run.id, unit.path)
        say("sealing", run.id)
        run.seal(list(SCHEMAS.values()), FINISHED, sealer)
        say("sealed", "snapshot", run.id)
        say("evaluating", run.id)
        found = assess(
            store,
            Snapshot.open(store, run.id),
            _catalogue(CHECKS),
            SCHEMAS,
            ["demo"],
            sealer,
            gate_memory=GateMemory(root.parent / "gate"),
        )
        say("sealed", "assessment", found.id)


# --------------------------------------------------------------------------- killing processes


@dataclass(frozen=True)
class Child:
    """A forked process that works; `pipe` is where it says what it did."""

    pid: int
    pipe: int

    def kill(self) -> None:
        """SIGKILL: it cannot do anything about it."""
        os.kill(self.pid, signal.SIGKILL)

    def wait(self, deadline: float | None = None) -> tuple[int, list[Message]]:
        """Wait for its end, killing it after `deadline` seconds; return how it ended, what it said.

        The first is its exit code, or the negative number of the signal that ended it.
        """
        data = bytearray()
        until = None if deadline is None else time.monotonic() + deadline
        while True:
            left = None if until is None else max(0.0, until - time.monotonic())
            if not select.select([self.pipe], [], [], left)[0]:
                self.kill()
                until = None
                continue
            piece = os.read(self.pipe, 1 << 16)
            if not piece:
                break
            data += piece
        os.close(self.pipe)
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return code, [tuple(json.loads(line)) for line in data.splitlines()]


def fork(do: Callable[[Say], None], *, die_at: int | None = None) -> Child:
    """Run `do` in a fork of this process; with `die_at`, until its N-th file operation."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return Child(pid, reading)
    os.close(reading)

    def say(*message: str) -> None:
        os.write(writing, json.dumps(message).encode() + b"\n")

    code = 0
    try:
        counted = _count_file_operations(die_at)
        do(say)
        say("operations", str(counted[0]))
    except BaseException:  # noqa: BLE001  (the parent reads it and fails)
        say("failed", traceback.format_exc())
        code = 1
    os._exit(code)


_FILE_OPERATIONS = {"open", "os.rename", "os.link", "os.remove", "os.rmdir", "os.mkdir"}


def _count_file_operations(die_at: int | None) -> list[int]:
    counted = [0]

    def hook(event: str, _: tuple[Any, ...]) -> None:
        if event in _FILE_OPERATIONS:
            counted[0] += 1
            if counted[0] == die_at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    return counted


# ---------------------------------------------------------------------------------- the ledger


@dataclass
class Ledger:
    """What processes said of one store before they were killed, and so must hold for ever."""

    root: Path
    key: SigningKey
    commits: set[tuple[str, str]] = field(default_factory=set)
    sealed: set[tuple[str, str]] = field(default_factory=set)
    log: list[str] = field(default_factory=list)
    phases: Counter[str] = field(default_factory=Counter)

    def note(self, messages: list[Message], finished: set[tuple[str, str]]) -> None:
        """Take down what a process said. `finished` are the units that were committed before."""
        for kind, *rest in messages:
            if kind == "failed":
                raise LostError(f"a process failed by itself: {rest[0]}")
            if kind == "asks" and (rest[0], rest[1]) in finished:
                raise LostError(f"a finished unit was collected again: {rest}")
            if kind == "committed":
                self.commits.add((rest[0], rest[1]))
            elif kind == "sealed":
                self.sealed.add((rest[0], rest[1]))
        self.phases[messages[-1][0] if messages else "starting"] += 1

    def committed(self) -> set[tuple[str, str]]:
        """Return the units that are committed in open runs, as they lie on the disk."""
        runs = (self.root / "incomplete").glob("*/work/units")
        return {
            (run.parents[1].name, unit.key.path)
            for run in runs
            for unit in committed_units(run.parents[1])
        }

    def check(self) -> None:
        """Check everything that must hold at any time. Raises LostError."""
        if not (self.root / STORE_MARK).exists():
            if self.commits or self.sealed:
                raise LostError("the store is gone")
            return
        store = Store.open(self.root)
        report = verify_store(store, pinned=self.key.certificate if store.log.records() else None)
        if not report.ok:
            raise LostError(f"the store does not verify: {report.faults}")
        self._check_log(store)
        on_disk = self.committed()
        for run_id, path in self.commits:
            self._check_commit(store, run_id, path, on_disk)

    def _check_log(self, store: Store) -> None:
        texts = [record.text for record in store.log.records()]
        if texts[: len(self.log)] != self.log:
            raise LostError("the log is not the one that it was with more entries")
        self.log = texts
        logged = {(record.kind, record.id) for record in store.log.records()}
        if not self.sealed <= logged:
            raise LostError(f"reported as sealed, but not there: {self.sealed - logged}")

    def _check_commit(
        self, store: Store, run_id: str, path: str, on_disk: set[tuple[str, str]]
    ) -> None:
        """A reported commit is in the open run or in the sealed snapshot, line by line."""
        folder = store.folder("snapshot") / run_id
        if not folder.exists():
            if (run_id, path) not in on_disk:
                raise LostError(f"reported as committed, but not there: {run_id} {path}")
            folder = store.incomplete() / run_id / "sealed"
        unit = UnitKey(*path.split("/"))
        found = read_lines(folder / f"captures/{path}.jsonl.zst")
        if list(found) != list(lines_of(run_id, unit)):
            raise LostError(f"other records than those that were committed: {run_id} {path}")

    def finish(self) -> None:
        """Let a process end what was begun, and one more; then nothing may be left lying about."""
        begun = len(list((self.root / "incomplete").glob("*/work/snapshot.json")))
        before = self.committed()
        later = NOW + datetime.timedelta(days=8)
        child = fork(lambda say: work(self.root, self.key, begun + 1, say, later))
        code, messages = child.wait()
        self.note(messages, before)
        if code:
            raise LostError(f"a process that nobody killed ended with {code}")
        self.check()
        store = Store.open(self.root)
        if self.committed():
            raise LostError(f"open although all was finished: {self.committed()}")
        rests = sorted(p.name for p in store.incomplete().iterdir() if p.suffix != ".json")
        if rests:
            raise LostError(f"left lying about below incomplete/: {rests}")


def kill_one(ledger: Ledger, chooser: random.Random, seconds: float, operations: int) -> None:
    """Let a process work, kill it at a random moment, and check what it left."""
    before = ledger.committed()

    def do(say: Say) -> None:
        work(ledger.root, ledger.key, 2, say)

    if chooser.random() < 0.5:
        code, messages = fork(do).wait(chooser.uniform(0, seconds))
    else:
        code, messages = fork(do, die_at=chooser.randint(1, operations)).wait()
    if code not in (-signal.SIGKILL, 0):
        raise LostError(f"it ended with {code}: {messages[-1:]}")
    ledger.note(messages, before)
    ledger.check()


def kill_one_of_two(ledger: Ledger, chooser: random.Random, seconds: float) -> None:
    """Let two processes seal into the same store and kill one: the other goes on.

    A third one verifies all the while.
    """
    before = ledger.committed()
    verifier = fork(lambda say: verify_for(ledger.root, 2 * seconds, say))
    victim = fork(lambda say: work(ledger.root, ledger.key, 3, say))
    other = fork(lambda say: work(ledger.root, ledger.key, 3, say))
    ended, said = victim.wait(chooser.uniform(0, 2 * seconds))
    ledger.note(said, before)
    code, said = other.wait()
    ledger.note(said, before)
    ledger.note(verifier.wait()[1], before)
    if code != 0 or ended not in (-signal.SIGKILL, 0):
        raise LostError(f"they ended with {ended} and {code}: {said[-1:]}")
    ledger.check()


def verify_for(root: Path, seconds: float, say: Say) -> None:
    """Verify again and again while others write: there is never a fault."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not (root / STORE_MARK).exists():
            continue
        report = verify_store(Store.open(root))
        if not report.ok:
            raise LostError(f"a fault while others were writing: {report.faults}")
        say("verified", str(sum(report.sealed.values())))


def measure(folder: Path) -> tuple[float, int]:
    """Return how long one cycle takes, in seconds, and how many file operations it has."""
    began = time.monotonic()
    key = make_signing_key("Example Ltd", NOW)
    code, messages = fork(lambda say: work(folder / "store", key, 1, say)).wait()
    if code:
        raise LostError(str(messages[-1]))
    return time.monotonic() - began, int(messages[-1][1])


def run(kills: int, seed: int, *, two: bool = False) -> dict[str, Any]:
    """Kill `kills` processes, checking after each; return what was done. Raises LostError."""
    chooser = random.Random(seed)
    done = 0
    phases: Counter[str] = Counter()
    entries = 0
    with tempfile.TemporaryDirectory() as temporary:
        (Path(temporary) / "measured").mkdir()
        seconds, operations = measure(Path(temporary) / "measured")
        while done < kills:
            root = Path(temporary) / f"{done}" / "store"
            root.parent.mkdir()
            ledger = Ledger(root, make_signing_key("Example Ltd", NOW))
            for _ in range(min(A_STORE_LASTS, kills - done)):
                if two:
                    kill_one_of_two(ledger, chooser, seconds)
                else:
                    kill_one(ledger, chooser, 1.5 * seconds, int(1.5 * operations))
                done += 1
            ledger.finish()
            phases += ledger.phases
            entries += len(ledger.log)
    return {
        "kills": done,
        "a cycle": {"seconds": round(seconds, 2), "file operations": operations},
        "last words": dict(phases.most_common()),
        "entries in the logs": entries,
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--two", action="store_true", help="two processes, one of them killed")
    arguments = parser.parse_args()
    try:
        print(json.dumps(run(arguments.kills, arguments.seed, two=arguments.two)))
    except LostError as error:
        print(error, file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
