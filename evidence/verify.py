"""Verification: is every byte of a store still what was sealed?

Everything that is wrong is found and named: the file, the record where there is one, and whether
bytes were changed, are missing, or were added. Files that belong to nobody are reported too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from evidence.errors import KeyFileError, VerificationError
from evidence.files import sha256_of_file
from evidence.keys import Certificate
from evidence.manifest import (
    MANIFEST_NAME,
    Manifest,
    check_signature,
    files_below,
    read_manifest,
)
from evidence.merkle import RootBuilder, leaf_hash
from evidence.segments import read_lines
from evidence.snapshot import LEAVES_FILE
from evidence.store import MARK_CONTENT, SEALED_KINDS, STORE_MARK, Store

_HASH_LENGTH = 32


@dataclass(frozen=True)
class Fault:
    """One thing that is not as it was sealed. `path` is relative to the store."""

    path: str
    what: str


@dataclass
class VerificationReport:
    """What `verify_store` found. `ok` is true when there is no fault."""

    sealed: dict[str, int] = field(default_factory=dict)
    files: int = 0
    bytes: int = 0
    records: int = 0
    incomplete: list[str] = field(default_factory=list)
    signers: dict[str, str] = field(default_factory=dict)
    pinned: bool = False
    faults: list[Fault] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults


def verify_store(store: Store, *, pinned: Certificate | None = None) -> VerificationReport:
    """Check every sealed folder of `store`, the chains between them, and stray files.

    With `pinned`, only signatures of that certificate count; without, the certificates that lie
    in the store are believed, which proves consistency but not who signed (the report says so).
    """
    report = VerificationReport(pinned=pinned is not None)
    certificates = _certificates(store, report, pinned)
    sealed = {}
    for kind in SEALED_KINDS:
        sealed[kind] = _verify_kind(store, kind, certificates, report)
        _verify_chain(kind, sealed[kind], report)
        report.sealed[kind] = len(sealed[kind])
    _verify_references(sealed, report)
    _find_strays(store, report)
    return report


def _certificates(
    store: Store, report: VerificationReport, pinned: Certificate | None
) -> dict[str, Certificate]:
    found = {}
    folder = store.root / "certificates"
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        name = f"certificates/{path.name}"
        if path.is_symlink():
            report.faults.append(Fault(name, "was replaced by a link"))
            continue
        try:
            certificate = Certificate.from_pem(path.read_bytes(), where=name)
        except Exception as error:  # noqa: BLE001  (damaged: a fault, whatever the parser raises)
            report.faults.append(Fault(name, f"not a certificate any more: {error}"))
            continue
        if path.name != f"{certificate.fingerprint}.pem" or certificate.pem != path.read_bytes():
            report.faults.append(Fault(name, "is not the certificate that its name says"))
            continue
        found[certificate.fingerprint] = certificate
        report.signers[certificate.fingerprint] = certificate.subject
    if pinned is not None:
        return {pinned.fingerprint: pinned}
    return found


def _verify_kind(
    store: Store, kind: str, certificates: dict[str, Certificate], report: VerificationReport
) -> dict[str, Manifest]:
    manifests = {}
    folder = store.folder(kind)
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        where = f"{SEALED_KINDS[kind]}/{path.name}"
        if path.is_symlink() or not path.is_dir():
            report.faults.append(Fault(where, "is a file or a link that belongs to nobody"))
            continue
        try:
            manifest = read_manifest(path)
            _check_signer(manifest, certificates, f"{where}/{MANIFEST_NAME}")
        except (VerificationError, KeyFileError) as error:
            report.faults.append(Fault(f"{where}/{MANIFEST_NAME}", error.what))
            continue
        if manifest.kind != kind or manifest.predicate.get("id") != path.name:
            found = f"{manifest.kind} {manifest.predicate.get('id')}"
            report.faults.append(Fault(where, f"holds {found} under another name"))
        manifests[path.name] = manifest
        _verify_files(path, where, manifest, report)
    return manifests


def _check_signer(manifest: Manifest, certificates: dict[str, Certificate], where: str) -> None:
    certificate = certificates.get(manifest.signed_by)
    if certificate is None:
        raise VerificationError(
            f"signed by {manifest.signed_by[:16] or 'nobody'}, a certificate that is not trusted",
            where=where,
        )
    check_signature(manifest, certificate, where=where)


def _verify_files(folder: Path, where: str, manifest: Manifest, report: VerificationReport) -> None:
    present = set(files_below(folder))
    damaged = []
    for path, (digest, length) in sorted(manifest.files.items()):
        fault = _file_fault(folder / path, digest, length)
        if fault:
            damaged.append(path)
            detail = _damaged_record(folder, path, manifest) if path in present else ""
            report.faults.append(Fault(f"{where}/{path}", fault + detail))
        else:
            report.files += 1
            report.bytes += length
    for path in sorted(present - set(manifest.files)):
        report.faults.append(Fault(f"{where}/{path}", "was added after sealing"))
    for path in _empty_folders(folder):
        report.faults.append(Fault(f"{where}/{path}", "is an empty folder, added after sealing"))
    if manifest.kind == "snapshot" and not damaged:
        _verify_records(folder, where, manifest, report)


def _empty_folders(folder: Path) -> list[str]:
    found = (path for path in folder.rglob("*") if path.is_dir() and not path.is_symlink())
    return sorted(p.relative_to(folder).as_posix() for p in found if not any(p.iterdir()))


def _file_fault(path: Path, digest: str, length: int) -> str:
    if path.is_symlink():
        return "was replaced by a link"
    if not path.is_file():
        return "is missing"
    found = path.stat().st_size
    if found < length:
        return f"is {length - found} bytes shorter than sealed: {found} of {length}"
    if found > length:
        return f"has {found - length} bytes added: {found} instead of {length}"
    return "" if sha256_of_file(path) == digest else "has changed bytes (SHA-256 differs)"


def _damaged_record(folder: Path, path: str, manifest: Manifest) -> str:
    """Name the first damaged record of a segment, where the leaf hashes still tell."""
    if not path.startswith("captures/") or not (folder / LEAVES_FILE).is_file():
        return ""
    expected = _leaves_of(folder, path, manifest)
    number = 0
    try:
        for number, line in enumerate(read_lines(folder / path), start=1):
            if number > len(expected):
                return f"; record {number} was added"
            if leaf_hash(line) != expected[number - 1]:
                return f"; the first changed record is {number}"
    except VerificationError:
        return f"; cannot be read after record {number}"
    if number < len(expected):
        return f"; record {number + 1} is missing"
    return "; every record is intact, only the compressed form differs"


def _leaves_of(folder: Path, path: str, manifest: Manifest) -> list[bytes]:
    data = (folder / LEAVES_FILE).read_bytes()
    start = 0
    for segment in manifest.predicate["segments"]:
        if segment["path"] == path:
            end = start + segment["records"]
            return [data[i * _HASH_LENGTH : (i + 1) * _HASH_LENGTH] for i in range(start, end)]
        start += segment["records"]
    return []


def _verify_records(
    folder: Path, where: str, manifest: Manifest, report: VerificationReport
) -> None:
    """Recompute the Merkle root from the records themselves."""
    builder = RootBuilder()
    for segment in manifest.predicate["segments"]:
        before = builder.size
        for line in read_lines(folder / segment["path"]):
            builder.add(leaf_hash(line))
        if builder.size - before != segment["records"]:
            fault = f"holds {builder.size - before} records, {segment['records']} were sealed"
            report.faults.append(Fault(f"{where}/{segment['path']}", fault))
    report.records += builder.size
    if builder.root().hex() != manifest.predicate["merkle_tree"]["root"]:
        report.faults.append(Fault(where, "the Merkle root over its records is another"))


def _verify_chain(kind: str, manifests: dict[str, Manifest], report: VerificationReport) -> None:
    """Every manifest but one names the one before it, which must be here and unchanged."""
    first = [name for name, manifest in sorted(manifests.items()) if manifest.previous is None]
    for name in first[1:]:
        fault = f"claims to be the first {kind}, and so does {first[0]}"
        report.faults.append(Fault(f"{SEALED_KINDS[kind]}/{name}", fault))
    for name, manifest in sorted(manifests.items()):
        where = f"{SEALED_KINDS[kind]}/{name}"
        previous = manifest.previous
        if previous is None:
            continue
        before = manifests.get(previous["id"])
        if before is None:
            report.faults.append(
                Fault(f"{SEALED_KINDS[kind]}/{previous['id']}", f"is missing; {name} follows it")
            )
        elif before.digest != previous["manifest_sha256"]:
            fault = f"was sealed after another {previous['id']} than the one here"
            report.faults.append(Fault(where, fault))


def _verify_references(sealed: dict[str, dict[str, Manifest]], report: VerificationReport) -> None:
    """Every assessment and pack must rest on exactly the sealed thing that it names."""
    for kind, source in (("assessment", "snapshot"), ("pack", "assessment")):
        for name, manifest in sorted(sealed[kind].items()):
            where = f"{SEALED_KINDS[kind]}/{name}"
            reference = manifest.predicate.get(source) or {}
            found = sealed[source].get(reference.get("id", ""))
            if found is None:
                fault = f"the {source} that it rests on is not here, or not intact"
                report.faults.append(Fault(where, fault))
            elif found.digest != reference["manifest_sha256"]:
                fault = f"rests on another {source} {reference['id']} than the one here"
                report.faults.append(Fault(where, fault))


def _find_strays(store: Store, report: VerificationReport) -> None:
    mark = store.root / STORE_MARK
    if not mark.is_file() or mark.is_symlink() or mark.read_bytes() != MARK_CONTENT:
        report.faults.append(Fault(STORE_MARK, "is not the mark of a store any more"))
    known = {STORE_MARK, "certificates", "incomplete", *SEALED_KINDS.values()}
    for path in sorted(store.root.iterdir()):
        if path.name not in known:
            report.faults.append(Fault(path.name, "belongs to nobody"))
        elif path.name != STORE_MARK and not path.is_dir():
            report.faults.append(Fault(path.name, "is a file where a folder belongs"))
    report.incomplete = sorted(_names(store.incomplete()))


def _names(folder: Path) -> Iterator[str]:
    if folder.is_dir():
        yield from (path.name for path in folder.iterdir())
