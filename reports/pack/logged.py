"""The log as it was when a pack was made: its newest checkpoint, and proofs under it.

A pack is an entry of the log itself, so what it carries is the checkpoint before that entry. Made
again later, a pack has the same one.
"""

from __future__ import annotations

from dataclasses import dataclass

from evidence.checkpoint import Checkpoint
from evidence.merkle import MerkleTree
from evidence.proof import LogProof
from evidence.store import Store
from reports.view import ReportView


@dataclass(frozen=True)
class Logged:
    """A checkpoint with its signed note, and what it proves; `signer` is a fingerprint."""

    checkpoint: Checkpoint
    note: str
    signer: str
    entries: dict[str, str]
    """Kind (snapshot, assessment) -> the entry's text, which is the leaf of the log's tree."""
    proofs: dict[str, str]
    """Kind -> the C2SP tlog-proof of that entry."""


def logged(view: ReportView, store: Store, pack_id: str) -> Logged:
    """Return what the log says before the pack `pack_id`. Raises StoreError."""
    records = store.log.records()
    pack = store.log.find("pack", pack_id)
    before = records[: pack.index] if pack is not None else records
    last = before[-1]
    tree = MerkleTree([record.leaf for record in before])
    names = {"snapshot": view.snapshot.id, "assessment": view.assessment.id}
    found = {kind: store.record(kind, name) for kind, name in names.items()}
    return Logged(
        last.checkpoint,
        last.note,
        list(last.envelope.signatures)[-1],  # of a rotation's two the new key's, also in the note
        {kind: record.text for kind, record in found.items()},
        {
            kind: LogProof(record.index, tuple(tree.audit_path(record.index)), last.note).render()
            for kind, record in found.items()
        },
    )
