"""A store with everything in it, ways to tamper with it, and a judge of what verification says.

`tampered_store(folder)` builds the store; `Estate.attempt(seed)` tampers with it once, verifies,
puts everything back and returns what came of it. The same seed does the same thing.
"""

from __future__ import annotations

import datetime
import os
import random
import re
import shutil
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from support_store import (
    FINISHED,
    FIRST_SNAPSHOT,
    add_snapshot,
    new_key,
    sealer_of,
    start_run,
    write_buckets,
)
from support_tsa import loopback_tsa

from evidence.canonical import canonical_json
from evidence.faults import VerificationReport, printable
from evidence.files import write_atomically
from evidence.keys import SigningKey
from evidence.log import record_name
from evidence.manifest import MANIFEST_NAME
from evidence.sealing import Sealer
from evidence.store import SEALED_KINDS, Store
from evidence.timestamps import TimestampAuthority
from evidence.verify import Trust, verify_store

SECOND_SNAPSHOT = "20260302T060000Z-000002"
THIRD_SNAPSHOT = "20260303T060000Z-000003"
ASSESSMENT = f"{FIRST_SNAPSHOT}.0123456789ab"

Entry = tuple[str, bytes]
"""What lies at a path: "file" and its bytes, "link" and its target, "folder" or "pipe" and b""."""

State = dict[str, Entry]
"""Everything below a folder, by path."""


def state_of(root: Path) -> State:
    """Return everything below `root`."""
    found: State = {}
    for top, folders, files in os.walk(root):
        base = Path(top)
        for name in [*folders, *files]:
            path = base / name
            relative = path.relative_to(root).as_posix()
            if path.is_symlink():
                found[relative] = ("link", os.fsencode(path.readlink()))
            elif path.is_dir():
                found[relative] = ("folder", b"")
            elif path.is_file():
                found[relative] = ("file", path.read_bytes())
            else:
                found[relative] = ("pipe", b"")
    return found


def remove(path: Path) -> None:
    """Remove whatever is at `path`."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def restore(root: Path, wanted: State) -> None:
    """Make what lies below `root` what it was."""
    now = state_of(root)
    for path in sorted(now, reverse=True):
        if now[path] != wanted.get(path):
            remove(root / path)
    for path in sorted(wanted):
        if now.get(path) != wanted[path]:
            kind, data = wanted[path]
            if kind == "folder":
                (root / path).mkdir(exist_ok=True)
            else:
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_bytes(data)


@dataclass(frozen=True)
class Tampering:
    """One thing that was done.

    Every one of `paths` must be named by verification, and one of `any_of` where there are some.
    `record` is the number of the first record that is not the same any more. `trust` is what the
    one who verifies must bring along to notice. With `harmless`, nothing may be named at all.
    """

    kind: str
    paths: tuple[str, ...] = ()
    record: int | None = None
    any_of: tuple[str, ...] = ()
    trust: Trust = field(default_factory=Trust)
    harmless: bool = False


@dataclass(frozen=True)
class Attempt:
    """What came of one tampering; `miss` is empty when it was found and named."""

    seed: int
    tampering: Tampering
    miss: str

    def __str__(self) -> str:
        done = self.tampering
        named = ", ".join((*done.paths, *done.any_of))
        return f"seed {self.seed}: {done.kind} of {named} ({done.record}): {self.miss}"


Tamper = Callable[["Estate", random.Random], Tampering | None]
"""Does something to the files below `Estate.root`; None when there was nothing to do it to."""


@dataclass
class Estate:
    """Something that can be tampered with in place, and how it is verified.

    `verify` returns the report; `parts` are folders that are swapped and copied as a whole.
    """

    root: Path
    verify: Callable[[Trust], VerificationReport]
    tamperings: Sequence[Tamper]
    parts: tuple[str, ...] = ()
    keys: tuple[SigningKey, ...] = ()
    states: dict[str, State] = field(default_factory=dict)
    """Other states of the same store, by name: earlier ones, and such as a forger would make."""
    checkpoint: str = ""
    named_by: dict[str, str] = field(default_factory=dict)
    """File -> the one that is named when that is lost, as nothing else tells that it was there."""

    def __post_init__(self) -> None:
        self.pristine = state_of(self.root)
        self.files = sorted(
            path
            for path, (kind, _) in self.pristine.items()
            if kind == "file" and not path.startswith("incomplete/")
        )
        self.genuine = self.verify(Trust())
        assert self.genuine.ok, self.genuine.faults

    def bytes_of(self, path: str) -> bytes:
        """Return what a file held before anything was done."""
        return self.pristine[path][1]

    def write(self, path: str, data: bytes) -> None:
        """Put bytes where they do not belong."""
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_bytes(data)

    def attempt(self, seed: int) -> Attempt:
        """Tamper once, verify, and put everything back."""
        chooser = random.Random(seed)
        while True:
            done = chooser.choice(self.tamperings)(self, chooser)
            if done is not None and state_of(self.root) != self.pristine:
                break
            restore(self.root, self.pristine)
        try:
            miss = self._miss(done)
        finally:
            restore(self.root, self.pristine)
        return Attempt(seed, done, miss)

    def _miss(self, done: Tampering) -> str:
        try:
            report = self.verify(done.trust)
        except Exception:  # noqa: BLE001  (whatever it is, verification must not raise it)
            return "verification raised\n" + traceback.format_exc()
        if done.harmless:
            return self._not_harmless(report)
        if report.ok:
            return "not detected"
        named = {fault.path: fault.what for fault in report.faults}
        for path in done.paths:
            told_by = self.named_by.get(path, path)
            if not _is_named(path, named) and not _is_named(told_by, named):
                return f"{path} is not named in {named}"
        if done.any_of and not any(_is_named(path, named) for path in done.any_of):
            return f"none of these is named in {named}"
        if done.record is not None:
            said = named.get(done.paths[0], "")
            if not re.search(rf"\brecord (is )?{done.record}\b", said):
                return f"record {done.record} is not named in {said!r}"
        return ""

    def _not_harmless(self, report: VerificationReport) -> str:
        if report.faults:
            return f"evidence fails although it was not touched: {report.faults}"
        same = (report.sealed, report.records) == (self.genuine.sealed, self.genuine.records)
        return "" if same else f"something was taken for evidence: {report.sealed}"


def _is_named(path: str, named: Iterable[str]) -> bool:
    """Whether a fault names `path`: itself, something in it, or what is whole above it.

    A sealed thing is named as a whole when it is missing or not logged; and when its manifest
    cannot be believed, there is nothing that its files could be compared with. A bundle's plain
    captures are named together when the leaf hashes are damaged that would tell which it is.
    """
    path = printable(path)
    parts = PurePosixPath(path).parts
    whole = "/".join(parts[:2]) if parts[0] in SEALED_KINDS.values() else ""
    above = {path, whole, f"{whole}/{MANIFEST_NAME}"} - {""}
    if whole and parts[2:3] == ("captures",) and f"{whole}/records.bin" in named:
        above.add(f"{whole}/captures")
    return any(fault in above or fault.startswith(f"{path}/") for fault in named)


# ---------------------------------------------------------------------------------- the store


@dataclass(frozen=True)
class _Builder:
    """Seals one small thing of each kind."""

    store: Store
    sealer: Sealer

    def seal(self, kind: str, name: str, files: dict[str, bytes], **predicate: Any) -> None:
        work = self.store.incomplete() / f"{kind}-{name}"
        for path, data in files.items():
            write_atomically(work / path, data)
        self.sealer.seal(self.store, work, kind, name, predicate)
        shutil.rmtree(work, ignore_errors=True)

    def reference(self, kind: str, name: str) -> dict[str, str]:
        return {"id": name, "manifest_sha256": self.store.manifest(kind, name).digest}


def tampered_store(folder: Path) -> Estate:
    """Build a store with everything in it, below `folder`.

    Two snapshots, one of every other sealed kind, a key that was rotated and one that was revoked,
    entries with a timestamp and one without because the authority was away, and an open run.
    """
    from support_mutations import STORE_TAMPERINGS

    root = folder / "store"
    store = Store.open(root, create=True)
    first, second, third = new_key(), new_key("Example Ltd, second"), new_key("Example Ltd, third")
    with loopback_tsa(folder / "tsa") as tsa:
        stamped = TimestampAuthority(tsa.url)
        _seal_by_first(store, Sealer(first, _clock, stamped))
    away = TimestampAuthority("http://127.0.0.1:9/tsr", attempts=1)
    Sealer(first, _clock, away).add_key(store, third, replace=False)
    sealer = sealer_of(first)
    revoked_from = datetime.datetime(2026, 5, 1, tzinfo=datetime.UTC)
    sealer.revoke(store, third.certificate.fingerprint, since=revoked_from, reason="lost")
    sealer.add_key(store, second)
    states = {"before the second snapshot": state_of(root)}
    states["another second snapshot"] = _fork(store, second, folder / "fork")
    add_snapshot(store, second, SECOND_SNAPSHOT, accounts=1, buckets=4)
    _Builder(store, sealer_of(second)).seal(
        "decision", "accepted-risk-1", {"decision.json": canonical_json({"accept": "risk"})}
    )
    write_buckets(start_run(store, THIRD_SNAPSHOT), "111111111111", 2)
    states["a forger's"] = _forged(folder / "forged", new_key())
    last = store.log.records()[-1]
    return Estate(
        root,
        lambda trust: verify_store(Store.unchecked(store.objects, root), trust=trust),
        STORE_TAMPERINGS,
        tuple(
            f"{path.parent.name}/{path.name}"
            for kind in SEALED_KINDS.values()
            for path in sorted((root / kind).iterdir())
        ),
        (first, second),
        states,
        last.note,
        {record_name(last.index): f"{SEALED_KINDS[last.kind]}/{last.id}"},
    )


def _clock() -> datetime.datetime:
    return datetime.datetime.fromisoformat(FINISHED)


def _seal_by_first(store: Store, sealer: Sealer) -> None:
    add_snapshot(store, sealer.key, FIRST_SNAPSHOT, accounts=2, buckets=3)
    builder = _Builder(store, sealer)
    snapshot = builder.reference("snapshot", FIRST_SNAPSHOT)
    table = (store.find("snapshot", FIRST_SNAPSHOT) / "tables/aws_s3_bucket.parquet").read_bytes()
    builder.seal(
        "derivation",
        f"{FIRST_SNAPSHOT}.newer",
        {"tables/aws_s3_bucket.parquet": table},
        snapshot=snapshot,
    )
    findings = b"".join(canonical_json({"finding": number}) + b"\n" for number in range(20))
    builder.seal(
        "assessment",
        ASSESSMENT,
        {"findings.jsonl": findings, "scores.json": b'{"demo":{"of":3,"passed":2}}'},
        snapshot=snapshot,
    )
    pdf = b"%PDF-1.7\n" + random.Random(5).randbytes(2000) + b"\n%%EOF\n"
    builder.seal(
        "pack",
        "2026-q1",
        {"pack.pdf": pdf, "attached/findings.csv": b"id,result\n1,pass\n2,fail\n"},
        assessment=builder.reference("assessment", ASSESSMENT),
    )
    builder.seal("attestation", "access-review", {"statement.txt": b"Reviewed on 2 March.\n"})


def _fork(store: Store, key: SigningKey, folder: Path) -> State:
    """What the store would be had the second snapshot been another, signed with the real key."""
    shutil.copytree(store.root, folder)
    add_snapshot(Store.open(folder), key, SECOND_SNAPSHOT, accounts=1, buckets=1)
    return state_of(folder)


def _forged(folder: Path, forger: SigningKey) -> State:
    """A whole store of a forger, with the same snapshot's name and other evidence."""
    store = Store.open(folder, create=True)
    add_snapshot(store, forger, FIRST_SNAPSHOT, accounts=1, buckets=1)
    return state_of(folder)


def summary(attempts: Iterable[Attempt]) -> list[tuple[str, int, int]]:
    """Return how many attempts of each kind there were, and how many were missed."""
    counts: dict[str, list[int]] = {}
    for attempt in attempts:
        count = counts.setdefault(attempt.tampering.kind, [0, 0])
        count[0] += 1
        count[1] += bool(attempt.miss)
    return [(kind, total, missed) for kind, (total, missed) in sorted(counts.items())]
