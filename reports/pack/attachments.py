"""What is attached to the PDF: manifests, results, findings, gaps and certificates.

Each is an associated file in the sense of PDF/A-3. The manifests, results and gaps are the sealed
files byte for byte, so their digests are those that the signed manifests name.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from evidence.canonical import sha256_hex
from evidence.keys import Certificate
from evidence.manifest import MANIFEST_NAME
from evidence.store import Store
from reports.findings_export import write_findings
from reports.pack.errors import PackError
from reports.view import ReportView

SNAPSHOT_MANIFEST = "snapshot-manifest.dsse.json"
ASSESSMENT_MANIFEST = "assessment-manifest.dsse.json"
CERTIFICATE = "certificate.pem"
FINDINGS = "findings.csv"
GAPS = "gaps.jsonl"
INSTRUCTIONS = "how-to-verify.txt"


@dataclass(frozen=True)
class Attached:
    """One attached file. `relationship` is the PDF/A-3 AFRelationship."""

    name: str
    about: str
    relationship: str
    data: bytes

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the file's bytes."""
        return sha256_hex(self.data)


def attach_evidence(
    view: ReportView, store: Store, certificate: Certificate
) -> tuple[Attached, ...]:
    """Return the files to attach, sorted by name. Raises PackError where one cannot be read.

    `certificate` is that of the pack's signer. Other certificates that the manifests were signed
    with come along under their fingerprint, so that everything can be verified from the PDF.
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
        others = _other_certificates(store, certificate)
    except OSError as error:
        raise PackError(
            f"a sealed file could not be read: {error.strerror}",
            where=str(error.filename),
            mend="Run `auditpack verify` to see what is missing or damaged.",
        ) from error
    files.append(Attached(FINDINGS, _findings_about(view), "Data", _findings(view)))
    files.append(
        Attached(CERTIFICATE, "certificate of the pack's signer", "Supplement", certificate.pem)
    )
    signers = manifest_signers(view, store)
    files.extend(
        Attached(name, "certificate of a manifest's signer", "Supplement", others[fingerprint])
        for fingerprint, name in certificate_names(signers.values(), certificate).items()
        if fingerprint != certificate.fingerprint and fingerprint in others
    )
    return in_order(files)


def in_order(files: Iterable[Attached]) -> tuple[Attached, ...]:
    """Return files sorted by name, as the PDF's name tree wants them."""
    return tuple(sorted(files, key=lambda file: file.name))


def manifest_signers(view: ReportView, store: Store) -> dict[str, str]:
    """Return the fingerprint of the certificate that signed each of the two manifests."""
    names = {"snapshot": view.snapshot.id, "assessment": view.assessment.id}
    return {kind: store.manifest(kind, name).signed_by for kind, name in names.items()}


def certificate_names(
    fingerprints: Iterable[str], certificate: Certificate
) -> Mapping[str, str]:
    """Return the attachment that holds each certificate, by fingerprint."""
    named = {certificate.fingerprint: CERTIFICATE}
    for fingerprint in sorted(set(fingerprints)):
        named.setdefault(fingerprint, f"certificate-{fingerprint[:16]}.pem")
    return named


def _other_certificates(store: Store, certificate: Certificate) -> dict[str, bytes]:
    folder = store.root / "certificates"
    files = sorted(folder.glob("*.pem")) if folder.is_dir() else []
    return {f.stem: f.read_bytes() for f in files if f.stem != certificate.fingerprint}


def _findings_about(view: ReportView) -> str:
    count = view.assessment.results["findings"]["count"]
    return f"all {count:,} findings, one a line, with their capture references"


def _findings(view: ReportView) -> bytes:
    text = io.StringIO(newline="")
    write_findings(view.assessment, "csv", text)
    return text.getvalue().encode()
