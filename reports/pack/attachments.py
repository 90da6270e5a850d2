"""What is attached to the PDF: manifests, results, findings, gaps, certificates, log proofs.

Each is an associated file in the sense of PDF/A-3. The manifests, results and gaps are the sealed
files byte for byte, so their digests are those that the signed manifests name.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from evidence.canonical import sha256_hex
from evidence.keys import Certificate
from evidence.manifest import MANIFEST_NAME
from evidence.store import Store, certificate_name
from reports.findings_export import write_findings
from reports.pack.errors import PackError
from reports.pack.logged import Logged
from reports.view import ReportView

SNAPSHOT_MANIFEST = "snapshot-manifest.dsse.json"
ASSESSMENT_MANIFEST = "assessment-manifest.dsse.json"
CERTIFICATE = "certificate.pem"
FINDINGS = "findings.csv"
GAPS = "gaps.jsonl"
CHECKPOINT = "checkpoint.txt"
INSTRUCTIONS = "how-to-verify.txt"

ALL_FINDINGS = 1_000_000
"""Up to this many findings (some 400 MB as CSV) are attached whole."""

OPEN_STATUSES = ("fail", "not_evidenced", "excepted")
"""Statuses that are attached in any case."""

_FINGERPRINT = re.compile(r"\A[0-9a-f]{64}\Z")
_MEDIA_TYPES = {
    "json": "application/json",
    "jsonl": "application/jsonl",
    "csv": "text/csv",
    "txt": "text/plain",
    "pem": "application/x-pem-file",
    "tlog-proof": "text/plain",
}


@dataclass(frozen=True)
class Attached:
    """One attached file. `relationship` is the PDF/A-3 AFRelationship."""

    name: str
    about: str
    relationship: str
    data: bytes

    @property
    def media_type(self) -> str:
        """The media type, by the name's ending; never what a machine's own tables say."""
        return _MEDIA_TYPES[self.name.rpartition(".")[2]]

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the file's bytes."""
        return sha256_hex(self.data)


def attach_evidence(
    view: ReportView, store: Store, certificate: Certificate, log: Logged
) -> tuple[Attached, ...]:
    """Return the files to attach, sorted by name. Raises PackError where one cannot be read.

    `certificate` is that of the pack's signer. Other certificates that the manifests and the
    checkpoint were signed with come along under their fingerprint, so that everything can be
    verified from the PDF.
    """
    snapshot, assessment = view.snapshot.folder, view.assessment.folder
    try:
        files = [
            Attached(
                SNAPSHOT_MANIFEST,
                "signed manifest of the snapshot: every sealed file with its SHA-256",
                "Source",
                (snapshot / MANIFEST_NAME).read_bytes(),
            ),
            Attached(
                ASSESSMENT_MANIFEST,
                "signed manifest of the assessment",
                "Source",
                (assessment / MANIFEST_NAME).read_bytes(),
            ),
            Attached(
                "assessment.json",
                "counts, scores, requirement statuses and the formula, as sealed",
                "Data",
                (assessment / "assessment.json").read_bytes(),
            ),
            Attached(
                GAPS,
                "everything that could not be read and why, one JSON object a line, as sealed",
                "Data",
                (snapshot / "gaps.jsonl").read_bytes(),
            ),
        ]
    except OSError as error:
        raise PackError(
            f"a sealed file could not be read: {error.strerror}",
            where=str(error.filename),
            mend="Run `auditpack verify` to see what is missing or damaged.",
        ) from error
    files.append(_findings(view))
    files.extend(_from_log(log))
    files.append(
        Attached(CERTIFICATE, "certificate of the pack's signer", "Supplement", certificate.pem)
    )
    signers = [*manifest_signers(view, store).values(), log.signer]
    names = certificate_names(signers, certificate)
    for fingerprint, name in names.items():
        if fingerprint != certificate.fingerprint:
            about = "certificate of a manifest's or the checkpoint's signer"
            files.append(Attached(name, about, "Supplement", _kept(store, fingerprint)))
    return in_order(files)


def _from_log(log: Logged) -> list[Attached]:
    """Return the checkpoint, and what proves snapshot and assessment under it."""
    about = "the log's newest checkpoint when this pack was made, signed: keep it"
    found = [Attached(CHECKPOINT, about, "Supplement", log.note.encode())]
    for kind, text in log.entries.items():
        about = f"the log's entry of the {kind}"
        found.append(Attached(f"{kind}-log-entry.json", about, "Supplement", text.encode()))
        about = f"proof that the {kind} is in the log under this checkpoint (C2SP tlog-proof)"
        proof = log.proofs[kind].encode()
        found.append(Attached(f"{kind}.tlog-proof", about, "Supplement", proof))
    return found


def in_order(files: Iterable[Attached]) -> tuple[Attached, ...]:
    """Return files sorted by name, as the PDF's name tree wants them."""
    return tuple(sorted(files, key=lambda file: file.name))


def manifest_signers(view: ReportView, store: Store) -> dict[str, str]:
    """Return the fingerprint of the certificate that signed each of the two manifests."""
    names = {"snapshot": view.snapshot.id, "assessment": view.assessment.id}
    return {kind: store.manifest(kind, name).signed_by for kind, name in names.items()}


def certificate_names(fingerprints: Iterable[str], certificate: Certificate) -> Mapping[str, str]:
    """Return the attachment that holds each certificate, by fingerprint."""
    named = {certificate.fingerprint: CERTIFICATE}
    for fingerprint in sorted(set(fingerprints)):
        named.setdefault(fingerprint, f"certificate-{fingerprint[:16]}.pem")
    return named


def _kept(store: Store, fingerprint: str) -> bytes:
    """Return a certificate that the store keeps. A fingerprint is used in names and commands."""
    name = certificate_name(fingerprint)
    if not _FINGERPRINT.match(fingerprint) or name not in store.kept_certificates():
        raise PackError(
            "a manifest was signed with a certificate that the store does not hold",
            where=fingerprint[:80],
            mend="Run `auditpack verify` to see what is missing or damaged.",
        )
    return store.objects.read(name)


def _findings(view: ReportView) -> Attached:
    """Return the findings: all of them, or in a very large assessment those that are open."""
    count = view.assessment.results["findings"]["count"]
    about = f"all {count:,} findings, one a line, with their capture references"
    statuses: tuple[str, ...] = ()
    if count > ALL_FINDINGS:
        statuses = OPEN_STATUSES
        about = (
            f"all findings that fail, lack evidence or are excepted, of {count:,}; the store's"
            " findings.parquet has every one"
        )
    buffer = io.BytesIO()
    text = io.TextIOWrapper(buffer, "utf-8", newline="", write_through=True)
    write_findings(view.assessment, "csv", text, statuses)
    text.flush()
    return Attached(FINDINGS, about, "Data", buffer.getvalue())
