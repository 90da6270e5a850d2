"""Running units: the same for every provider, on any executor.

A provider's engine says which units there are and how one is collected. Here is the rest: that one
failing unit never stops the others, that what is committed is not done again, that accounts come
one after the other, and that an interruption ends it all.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from evidence.errors import AuditpackError, StoreError
from evidence.outcome import Gap, Outcome
from evidence.redaction import Redactor
from evidence.snapshot import SnapshotRun
from evidence.units import UnitKey, UnitRecord, UnitWriter

_interrupted = threading.Event()
_MOST_SUBMITTED = 256


@dataclass(frozen=True)
class Progress:
    """What a progress display is told after each unit."""

    done: int
    total: int
    unit: UnitRecord


class Closing(Protocol):
    """What a process keeps between units, until it is let go of."""

    def close(self) -> None:
        """Let go of threads and connections."""


Worker = TypeVar("Worker", bound=Closing)


class Workers(Generic[Worker]):
    """The workers of this process: one an account (or tenant) and run, made on first use."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[tuple[str, Hashable], Worker] = {}

    def of(self, account: str, key: Hashable, make: Callable[[], Worker]) -> Worker:
        """Return the worker of an account; `key` says what else it depends on."""
        with self._lock:
            if (account, key) not in self._made:
                self._made[account, key] = make()
            return self._made[account, key]

    def forget(self, account: str) -> None:
        """Let go of what this process keeps for an account."""
        with self._lock:
            for key in [key for key in self._made if key[0] == account]:
                self._made.pop(key).close()


class Target(Protocol):
    """Everything that is needed to collect one unit."""

    @property
    def key(self) -> UnitKey:
        """The key of the unit."""


class Opened(Protocol):
    """An account or tenant after the first handshake."""

    @property
    def id(self) -> str:
        """Its id."""


TargetType = TypeVar("TargetType", bound=Target)
OpenedType = TypeVar("OpenedType", bound=Opened)


def collect_or_gap(
    collect: Callable[[], UnitRecord], gap: Callable[[str], UnitRecord], redaction_key: bytes
) -> UnitRecord:
    """Collect a unit; any error but a store that cannot be written (StoreError) becomes its gap."""
    try:
        return collect()
    except StoreError:
        raise
    except Exception as error:
        if _interrupted.is_set():
            raise
        cause, _ = Redactor(redaction_key, {}).redact_text(_cause(error))
        return gap(cause)


def _cause(error: Exception) -> str:
    what = error.what if isinstance(error, AuditpackError) else str(error)
    return f"{type(error).__name__}: {what}"


def commit_gap(
    key: UnitKey, run_folder: Path, outcome: Outcome, detail: str, *, is_counted: bool = True
) -> UnitRecord:
    """Commit a unit of which nothing could be read.

    It has one gap; none where it is not `is_counted`, because other units have it.
    """
    gap = Gap(
        key.provider, key.account, key.region, key.resource_type, "list", outcome.value, detail
    )
    record = UnitRecord(key, outcome, detail, 0, 0, 0, gaps=(gap,) if is_counted else ())
    UnitWriter(run_folder, key).commit(record)
    return record


def collect_each(
    accounts: Sequence[OpenedType],
    targets: Sequence[TargetType],
    run: SnapshotRun,
    collected: Callable[[OpenedType, list[TargetType], Executor], Iterable[UnitRecord]],
    *,
    account_of: Callable[[TargetType], str],
    forget: Callable[[str], None],
    executor: Executor | None,
    units_at_once: int,
    on_progress: Callable[[Progress], None],
) -> None:
    """Collect the units that are not committed yet, one account after the other.

    `collected` yields the units of one account as they are done. Without an `executor`, threads
    run them. Raises StoreError when evidence cannot be written; what was committed stays.
    """
    committed = run.committed()
    total, done = len(targets), sum(target.key in committed for target in targets)
    pool = executor or ThreadPoolExecutor(units_at_once, thread_name_prefix="unit")
    _interrupted.clear()
    try:
        for account in accounts:
            mine = [t for t in targets if account_of(t) == account.id and t.key not in committed]
            for record in collected(account, mine, pool):
                done += 1
                on_progress(Progress(done, max(done, total), record))
            forget(account.id)
    except BaseException:
        _interrupted.set()
        for account in accounts:
            forget(account.id)
        raise
    finally:
        if executor is None:
            pool.shutdown(wait=True, cancel_futures=True)


def as_they_finish(
    pool: Executor,
    collect: Callable[[TargetType], UnitRecord],
    targets: Iterable[TargetType],
    then: Callable[[UnitRecord], Iterable[TargetType]] = lambda _: (),
) -> Iterator[UnitRecord]:
    """Yield units as they are done; `then` says which ones can begin after one.

    The pool has some hundreds of them at a time: waiting costs as much as there are.
    """
    later = deque(targets)
    waiting: set[Future[UnitRecord]] = set()
    try:
        while later or waiting:
            while later and len(waiting) < _MOST_SUBMITTED:
                waiting.add(pool.submit(collect, later.popleft()))
            finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in finished:
                record = future.result()
                yield record
                later.extend(then(record))
    finally:
        for future in waiting:
            future.cancel()
