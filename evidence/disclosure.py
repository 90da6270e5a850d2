"""A disclosure: single captures of a snapshot, with proofs, and nothing of the rest.

disclosure.json             which snapshot, about what, and which captures
captures/0001.json          one capture: its line, byte for byte
proofs/0001.json            its place in the snapshot's Merkle tree, and the path to the root
snapshot/manifest.dsse.json the snapshot's signed manifest, which names that root
log/<N>.dsse.json           the log's record of the snapshot, and all that name or revoke a key
log/<N>.tlog-proof          each one's inclusion under the checkpoint (C2SP tlog-proof)
checkpoint.txt              that checkpoint; checkpoint.tsr its timestamp, where there is one
certificates/<fp>.pem       the certificates that signed any of this
SHA256SUMS, SHA256SUMS.sig  all files and the signature over their list; VERIFY.md says how to check
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from cryptography import x509

from evidence.canonical import canonical_json
from evidence.checkpoint import Checkpoint, read_checkpoint
from evidence.checksums import read_member
from evidence.contents import Contents
from evidence.errors import UsageError, VerificationError
from evidence.faults import LogState, VerificationReport
from evidence.log import LogRecord, read_record, record_index, record_name
from evidence.manifest import MANIFEST_NAME, Manifest, check_signature, read_manifest
from evidence.merkle import leaf_hash, root_from_path
from evidence.objects import FolderObjects
from evidence.proof import LogProof
from evidence.segments import segment_path
from evidence.signed_note import SignedNote, signed_by_any
from evidence.store import Store
from evidence.timestamps import check_timestamp
from evidence.verify import Trust, read_certificates
from evidence.verify_log import VerifiedLog, verify_excerpt

DISCLOSURE = "disclosure.json"
CHECKPOINT = "checkpoint.txt"
TIMESTAMP = "checkpoint.tsr"
SNAPSHOT = "snapshot"
"""Folder of the snapshot's manifest."""


@dataclass(frozen=True)
class RecordProof:
    """Where a capture stands in its snapshot's tree. `index` is from 0, `path` bottom first."""

    reference: str
    index: int
    size: int
    leaf: bytes
    path: tuple[bytes, ...]

    def render(self) -> bytes:
        """Return the proof as canonical JSON; hashes are hexadecimal digits."""
        return canonical_json(
            {
                "reference": self.reference,
                "index": self.index,
                "size": self.size,
                "leaf": self.leaf.hex(),
                "path": [part.hex() for part in self.path],
            }
        )

    @classmethod
    def parse(cls, data: bytes, *, where: str) -> RecordProof:
        """Read what `render` writes, and nothing else. Raises VerificationError."""
        try:
            value = orjson.loads(data)
            path = tuple(bytes.fromhex(part) for part in value["path"])
            leaf = bytes.fromhex(value["leaf"])
            found = cls(value["reference"], value["index"], value["size"], leaf, path)
            same = found.render() == data
        except Exception as error:  # any malformed byte ends here: the parsers raise many kinds
            raise VerificationError(f"is not a record's proof: {error}", where=where) from error
        if not same:
            raise VerificationError("has changed bytes", where=where)
        return found

    def check(self, line: bytes, manifest: Manifest, *, where: str) -> None:
        """Check that `line` is the record that the manifest's tree has here, under this reference.

        Raises VerificationError.
        """
        tree = manifest.predicate["merkle_tree"]
        if leaf_hash(line) != self.leaf:
            raise VerificationError("is not the record that its proof is for", where=where)
        try:
            root = root_from_path(self.leaf, self.index, self.size, self.path)
        except ValueError as error:
            raise VerificationError(
                f"has a proof that fits no tree: {error}", where=where
            ) from error
        if (root.hex(), self.size) != (tree["root"], tree["size"]):
            raise VerificationError("is not in the tree that the manifest signs", where=where)
        if record_position(manifest.predicate, self.reference) != self.index:
            raise VerificationError("has another place than its reference says", where=where)


def record_position(predicate: Mapping[str, Any], reference: str) -> int:
    """Return the index in the tree (from 0) of the capture `unit#line`.

    Raises VerificationError when the snapshot has no such one.
    """
    unit, _, number = reference.rpartition("#")
    start = 0
    for segment in predicate["segments"]:
        if segment["path"] == segment_path(unit):
            if number.isdecimal() and 0 < int(number) <= segment["records"]:
                return start + int(number) - 1
            break
        start += segment["records"]
    raise VerificationError("the snapshot has no such capture", where=reference)


def verify_disclosure(folder: Path, trust: Trust) -> tuple[VerificationReport, VerifiedLog]:
    """Verify a disclosure but for its list of sums; return the report and what its log says.

    Raises UsageError when the checkpoint that was kept is of another size: without the log nothing
    can be said about it.
    """
    report = VerificationReport(pinned=trust.certificate is not None)
    report.sealed = {"disclosure": 1}
    contents = Contents(Store.unchecked(FolderObjects(folder), folder))
    certificates = read_certificates(contents, report, trust.certificate)
    records = _records(folder, report)
    checkpoint = _checkpoint(folder, report)
    stamped = _stamped(folder, checkpoint, trust.timestamp_roots, report)
    log = verify_excerpt(
        records,
        certificates,
        report,
        stamped=stamped,
        pinned=trust.certificate,
        roots=trust.timestamp_roots,
    )
    if checkpoint is not None:
        _check_inclusion(folder, records, checkpoint, log, report)
        _compare(checkpoint[1], trust, report)
    manifest = _manifest(folder, log, report)
    if manifest is not None:
        _check_captures(folder, manifest, report)
    return report, log


def _records(folder: Path, report: VerificationReport) -> list[LogRecord]:
    found = []
    for path in sorted((folder / "log").glob("*.dsse.json")):
        index = record_index(f"log/{path.name}")
        try:
            if index is None:
                raise VerificationError("is not a record of the log")
            found.append(read_record(index, read_member(folder, f"log/{path.name}")))
        except VerificationError as error:
            report.fault(f"log/{path.name}", error.what)
    return found


_Note = tuple[str, Checkpoint, SignedNote]


def _checkpoint(folder: Path, report: VerificationReport) -> _Note | None:
    try:
        text = read_member(folder, CHECKPOINT).decode()
        return text, *read_checkpoint(text, where=CHECKPOINT)
    except (ValueError, VerificationError) as error:
        what = error.what if isinstance(error, VerificationError) else "is not UTF-8"
        report.fault(CHECKPOINT, what)
        return None


def _stamped(
    folder: Path,
    checkpoint: _Note | None,
    roots: Sequence[x509.Certificate],
    report: VerificationReport,
) -> dict[int, datetime.datetime]:
    if checkpoint is None or not (folder / TIMESTAMP).exists():
        return {}
    try:
        response = read_member(folder, TIMESTAMP)
        found = check_timestamp(
            response, checkpoint[0].encode(), roots=tuple(roots), where=TIMESTAMP
        )
    except VerificationError as error:
        report.fault(TIMESTAMP, f"is not a valid timestamp: {error.what}")
        return {}
    return {checkpoint[1].size - 1: found.time}


def _check_inclusion(
    folder: Path,
    records: Sequence[LogRecord],
    checkpoint: _Note,
    log: VerifiedLog,
    report: VerificationReport,
) -> None:
    """Every record must be proven under the one checkpoint, and that be signed by a known key."""
    text, found, note = checkpoint
    for record in records:
        where = proof_name(record.index)
        try:
            proof = LogProof.parse(read_member(folder, where).decode(), where=where)
            proof.check(record.leaf, where=where)
            if (proof.index, proof.checkpoint_note) != (record.index, text):
                raise VerificationError("is a proof of something else", where=where)
        except ValueError as error:
            report.fault(where, f"is not UTF-8: {error}")
        except VerificationError as error:
            report.fault(where, error.what)
    if not signed_by_any(note, found.origin, log.keys.values()):
        report.fault(CHECKPOINT, "is not signed by a key that the log names")
    moments = log.stamped.values()
    latest = max(moments).isoformat() if moments else ""
    report.log = LogState(found.origin, found.size, found.root.hex(), text, len(moments), latest)


def _compare(checkpoint: Checkpoint, trust: Trust, report: VerificationReport) -> None:
    if not trust.since:
        return
    kept, _ = read_checkpoint(trust.since, where=trust.since_name)
    if kept.size != checkpoint.size:
        raise UsageError(
            f"your checkpoint is of {kept.size} entries, this disclosure's of {checkpoint.size}:"
            " without the log nobody can compare them",
            where=trust.since_name,
            mend="Ask for a bundle, which has the whole log, and verify that with --since.",
        )
    if kept == checkpoint:
        report.since = f"{kept.size} entries, root {kept.root.hex()}"
    else:
        report.fault(CHECKPOINT, "is of another log than your checkpoint: it was rewritten")


def _manifest(folder: Path, log: VerifiedLog, report: VerificationReport) -> Manifest | None:
    where = f"{SNAPSHOT}/{MANIFEST_NAME}"
    try:
        data = read_member(folder, where)
        manifest = read_manifest(folder / SNAPSHOT, data=data, where=where)
        record = next((r for r in log.records if r.manifest_digest == manifest.digest), None)
        named = (manifest.kind, manifest.predicate.get("id"))
        if record is None or (record.kind, record.id) != named or record.kind != "snapshot":
            raise VerificationError("is not what a record of the log here names", where=where)
        certificate = log.keys.get(manifest.signed_by)
        if certificate is None:
            raise VerificationError("is signed by a certificate that no record here names")
        check_signature(manifest, certificate, where=where)
    except VerificationError as error:
        report.fault(where, error.what)
        return None
    return manifest


def _check_captures(folder: Path, manifest: Manifest, report: VerificationReport) -> None:
    try:
        listed = _listed(folder, manifest)
    except VerificationError as error:
        report.fault(DISCLOSURE, error.what)
        return
    except (ValueError, KeyError, TypeError) as error:
        report.fault(DISCLOSURE, f"is not what a disclosure says: {error}")
        return
    for capture, proof, reference in listed:
        try:
            line = read_member(folder, capture)
            found = RecordProof.parse(read_member(folder, proof), where=proof)
            found.check(line, manifest, where=capture)
            if found.reference != reference:
                raise VerificationError("is another capture than the list says", where=capture)
        except VerificationError as error:
            report.fault(error.where, error.what)
        else:
            report.records += 1
            report.evidence_bytes += len(line)
            report.files += 2


def _listed(folder: Path, manifest: Manifest) -> list[tuple[str, str, str]]:
    """Return (capture, proof, reference) of every capture. Raises ValueError when it is forged."""
    data = read_member(folder, DISCLOSURE)
    value = orjson.loads(data)
    if canonical_json(value) != data or value["snapshot"] != manifest.predicate["id"]:
        raise ValueError("changed bytes, or another snapshot's")
    found = []
    for number, item in enumerate(value["captures"], start=1):
        names = capture_name(number), capture_proof_name(number)
        if (item["file"], item["proof"]) != names:
            raise ValueError("names that no disclosure has")
        found.append((*names, str(item["reference"])))
    return found


def capture_name(number: int) -> str:
    """Return the file of capture `number` (from 1)."""
    return f"captures/{number:04d}.json"


def capture_proof_name(number: int) -> str:
    """Return the file of its proof."""
    return f"proofs/{number:04d}.json"


def proof_name(index: int) -> str:
    """Return the file that proves the log's record `index`."""
    return record_name(index).replace(".dsse.json", ".tlog-proof")
