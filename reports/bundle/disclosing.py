"""Making a disclosure: what one resource or finding rests on, with proofs, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from cryptography import x509

from evidence.canonical import canonical_json
from evidence.disclosure import (
    CHECKPOINT,
    DISCLOSURE,
    SNAPSHOT,
    TIMESTAMP,
    RecordProof,
    capture_name,
    capture_proof_name,
    proof_name,
    record_position,
)
from evidence.errors import UsageError
from evidence.files import write_atomically
from evidence.keys import SigningKey
from evidence.log import KEY, REVOCATION, LogRecord, record_name, require_active
from evidence.manifest import MANIFEST_NAME
from evidence.merkle import MerkleTree, leaf_hash, read_leaves
from evidence.proof import LogProof
from evidence.segments import read_line
from evidence.snapshot import LEAVES_FILE, Snapshot
from evidence.store import Store, certificate_name
from reports.bundle.instructions import render
from reports.bundle.output import (
    ROOTS,
    handed_over,
    require_new,
    timestamp_roots,
)
from reports.bundle.subjects import Subject, told_resources


class Shared(Enum):
    """What to do with captures that tell of other resources, too (a listing of all buckets)."""

    AUTO = "auto"
    """Withhold them where something is left, else include them."""
    INCLUDE = "include"
    WITHHOLD = "withhold"


@dataclass(frozen=True)
class Capture:
    """A capture that a subject rests on. `tells_of` counts the resources that rest on it."""

    reference: str
    index: int
    tells_of: int

    @property
    def is_shared(self) -> bool:
        """Whether it tells of more resources than one."""
        return self.tells_of > 1


@dataclass(frozen=True)
class Disclosure:
    """A disclosure that was made."""

    path: Path
    snapshot: str
    subject: str
    disclosed: tuple[Capture, ...]
    withheld: tuple[Capture, ...]

    @property
    def also_tells(self) -> tuple[Capture, ...]:
        """What was disclosed although it tells of other resources, too."""
        return tuple(item for item in self.disclosed if item.is_shared)


def make_disclosure(
    store: Store,
    key: SigningKey,
    snapshot: Snapshot,
    subject: Subject,
    output: Path,
    *,
    shared: Shared = Shared.AUTO,
    tsa_roots: Sequence[x509.Certificate] = (),
) -> Disclosure:
    """Disclose what `subject` rests on into the folder (or zip file) `output`.

    Raises UsageError when it rests on nothing that may be disclosed or `output` exists,
    KeyFileError when the log does not have the key in use, VerificationError when the store is
    damaged.
    """
    require_new(output)
    records = store.log.records()
    require_active(records, [key])
    disclosed, withheld = _chosen(snapshot, subject, shared)
    leaves = list(read_leaves(snapshot.folder / LEAVES_FILE))
    tree = MerkleTree(leaves)
    with handed_over(output, key) as folder:
        for number, capture in enumerate(disclosed, start=1):
            _write_capture(snapshot, capture, tree, folder, number)
        document = _document(snapshot, subject, disclosed, withheld, leaves)
        write_atomically(folder / DISCLOSURE, canonical_json(document))
        if subject.document:
            data = canonical_json(subject.document)
            write_atomically(folder / f"{subject.kind}.json", data)
        manifest = (snapshot.folder / MANIFEST_NAME).read_bytes()
        write_atomically(folder / SNAPSHOT / MANIFEST_NAME, manifest)
        shown, checkpoint = _excerpt(records, snapshot)
        _write_log(store, shown, checkpoint, folder)
        roots = timestamp_roots([checkpoint], tsa_roots)
        if roots:
            write_atomically(folder / ROOTS, roots)
        text = _instructions(snapshot, subject, disclosed, withheld, key, checkpoint)
        write_atomically(folder / "VERIFY.md", text)
    return Disclosure(output, snapshot.id, subject.id, disclosed, withheld)


def _chosen(
    snapshot: Snapshot, subject: Subject, shared: Shared
) -> tuple[tuple[Capture, ...], tuple[Capture, ...]]:
    """Return what to disclose, and what to withhold. Raises UsageError when nothing is left."""
    told = told_resources(snapshot, subject.captures)
    found = [
        Capture(reference, record_position(snapshot.predicate, reference), told.get(reference, 0))
        for reference in subject.captures
    ]
    if not found:
        raise UsageError(
            f"this {subject.kind} rests on no capture: there is nothing to disclose",
            where=subject.id,
            mend="Its reason says why; a bundle shows the gap (`auditpack bundle`).",
        )
    own = tuple(item for item in found if not item.is_shared)
    if shared is Shared.INCLUDE or (shared is Shared.AUTO and not own):
        return tuple(found), ()
    if not own:
        raise UsageError(
            f"everything that this {subject.kind} rests on also tells of other resources",
            where=subject.id,
            mend="Add `--shared include` if they may be seen as well.",
        )
    return own, tuple(item for item in found if item.is_shared)


def _write_capture(
    snapshot: Snapshot, capture: Capture, tree: MerkleTree, folder: Path, number: int
) -> None:
    unit, _, line_number = capture.reference.rpartition("#")
    line = read_line(snapshot.segment(unit), int(line_number))
    path = tuple(tree.audit_path(capture.index))
    proof = RecordProof(capture.reference, capture.index, len(tree), leaf_hash(line), path)
    write_atomically(folder / capture_name(number), line)
    write_atomically(folder / capture_proof_name(number), proof.render())


def _document(
    snapshot: Snapshot,
    subject: Subject,
    disclosed: Sequence[Capture],
    withheld: Sequence[Capture],
    leaves: Sequence[bytes],
) -> Mapping[str, Any]:
    """What was withheld is named with its place and path's leaf, so that it can be shown later."""
    about = {"kind": subject.kind, "id": subject.id, "assessment": subject.assessment}
    return {
        "format": 1,
        "is": "an auditpack disclosure",
        "snapshot": snapshot.id,
        "about": about,
        "captures": [
            {
                "reference": item.reference,
                "file": capture_name(number),
                "proof": capture_proof_name(number),
                "tells_of": item.tells_of,
            }
            for number, item in enumerate(disclosed, start=1)
        ],
        "withheld": [
            {
                "reference": item.reference,
                "tells_of": item.tells_of,
                "index": item.index,
                "leaf": leaves[item.index].hex(),
            }
            for item in withheld
        ],
    }


def _excerpt(records: Sequence[LogRecord], snapshot: Snapshot) -> tuple[list[LogRecord], LogRecord]:
    """Return the records to show, and the one whose checkpoint they are proven under.

    That is the first with a timestamp that covers them all, for it says earliest when they were
    there; else the newest.
    """
    shown = [
        record
        for record in records
        if record.kind in (KEY, REVOCATION) or (record.kind, record.id) == ("snapshot", snapshot.id)
    ]
    later = records[shown[-1].index :]
    return shown, next((record for record in later if record.timestamp), records[-1])


def _write_log(
    store: Store, shown: Sequence[LogRecord], checkpoint: LogRecord, folder: Path
) -> None:
    tree, size = store.log.tree(), checkpoint.index + 1
    write_atomically(folder / CHECKPOINT, checkpoint.note.encode())
    if checkpoint.timestamp:
        write_atomically(folder / TIMESTAMP, checkpoint.timestamp)
    for record in shown:
        store.objects.fetch(record_name(record.index), folder / record_name(record.index))
        path = tuple(tree.audit_path(record.index, size))
        proof = LogProof(record.index, path, checkpoint.note)
        write_atomically(folder / proof_name(record.index), proof.render().encode())
        if record.kind == KEY:
            name = certificate_name(record.id)
            store.objects.fetch(name, folder / name)


def _instructions(
    snapshot: Snapshot,
    subject: Subject,
    disclosed: Sequence[Capture],
    withheld: Sequence[Capture],
    key: SigningKey,
    checkpoint: LogRecord,
) -> bytes:
    return render(
        "disclosure.md.j2",
        title=str(snapshot.predicate["intent"]["organisation"]),
        subject=subject.kind,
        snapshot=snapshot.id,
        signer=key.certificate.fingerprint,
        captures=len(disclosed),
        also_tells=sum(item.is_shared for item in disclosed),
        withheld=len(withheld),
        size=int(snapshot.predicate["merkle_tree"]["size"]),
        root=str(snapshot.predicate["merkle_tree"]["root"]),
        entries=checkpoint.index + 1,
        origin=checkpoint.checkpoint.origin,
        stamped=bool(checkpoint.timestamp),
    )
