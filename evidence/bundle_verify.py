"""Verification of what was handed over: a bundle or a disclosure, as a folder or a zip file.

A bundle is an extract of a store in the store's own layout, and everything is checked that
`verify_store` checks; beside it lie `SHA256SUMS` with its signature, the newest checkpoint, the
findings as plain lines, and `VERIFY.md`.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath

from evidence.checksums import (
    SIGNATURE,
    SUMS,
    check_sums,
    read_member,
    read_sums,
    signer_of_sums,
)
from evidence.disclosure import DISCLOSURE, verify_disclosure
from evidence.errors import UsageError, VerificationError
from evidence.faults import VerificationReport
from evidence.files import mapped, sha256_of_file
from evidence.keys import Certificate
from evidence.log import active_keys
from evidence.manifest import MANIFEST_NAME, read_manifest
from evidence.objects import FolderObjects
from evidence.store import SEALED_KINDS, STORE_MARK, Store
from evidence.verify import Extract, Trust, verify_store_and_log
from evidence.verify_log import VerifiedLog

CHECKPOINT = "checkpoint.txt"
"""A bundle's newest checkpoint: what its reader should keep."""

FINDINGS = "findings.jsonl"
"""A bundle's findings, one JSON line each; their digest is sealed with the assessment."""

INSTRUCTIONS = "VERIFY.md"
"""How to check it all without auditpack."""

_KINDS = {folder: kind for kind, folder in SEALED_KINDS.items()}


def verify_bundle(path: Path, trust: Trust) -> VerificationReport:
    """Verify a bundle or a disclosure: a folder, or a zip with its signature beside it.

    Raises UsageError when `path` is neither.
    """
    if path.is_dir():
        return _verify_folder(path, trust)[0]
    with tempfile.TemporaryDirectory(prefix="auditpack-verify-") as fresh:
        folder = Path(fresh) / "bundle"
        faults = _unpack(path, folder)
        try:
            report, signers = _verify_folder(folder, trust)
        except UsageError as error:
            if not faults:
                raise UsageError(error.what, where=str(path), mend=error.mend) from error
            report, signers = VerificationReport(), []  # nothing of it could be unpacked
        for name, what in faults.items():
            report.fault(f"{path.name}: {name}" if name else path.name, what)
        _check_archive(path, signers, report)
    return report


def _verify_folder(folder: Path, trust: Trust) -> tuple[VerificationReport, list[Certificate]]:
    """Return the report, and the certificates that might sign the whole."""
    report, problem, sums = VerificationReport(), None, dict[str, str]()
    try:
        sums = read_sums(folder)
    except VerificationError as error:
        problem = error
    is_disclosure = DISCLOSURE in sums or (folder / DISCLOSURE).exists()
    if not is_disclosure and not sums and not (folder / INSTRUCTIONS).exists():
        raise UsageError(
            "this is neither a bundle nor a disclosure",
            where=str(folder),
            mend="Name what `auditpack bundle` or `disclose` wrote; a store is named with --store.",
        )
    if is_disclosure:
        report, log = verify_disclosure(folder, trust)
    else:
        report, log = _verify_extract(folder, sums, trust)
    if problem is not None:
        report.fault(problem.where, problem.what)
    signers = [log.keys[name] for name in active_keys(log.records) if name in log.keys]
    try:
        signers = [signer_of_sums(folder, signers)]
    except VerificationError as error:
        report.fault(error.where, error.what)
        if problem is None and error.where == SIGNATURE:
            report.fault(SUMS, f"is not what {SIGNATURE} signs: one of the two was changed")
    check_sums(folder, sums, report)
    return report, signers


def _verify_extract(
    folder: Path, sums: Mapping[str, str], trust: Trust
) -> tuple[VerificationReport, VerifiedLog]:
    names = set(sums) | {p.relative_to(folder).as_posix() for p in folder.glob("*/*/*")}
    things = set()
    for name in names:
        parts = PurePosixPath(name).parts
        if len(parts) > 2 and parts[0] in _KINDS:
            things.add((_KINDS[parts[0]], parts[1]))
    beside = {name for name in sums if "/" not in name} - {STORE_MARK}
    extract = Extract(frozenset(things), frozenset({*beside, SUMS, SIGNATURE}))
    store = Store.unchecked(FolderObjects(folder), folder)
    report, log = verify_store_and_log(store, trust=trust, extract=extract)
    _check_own_files(folder, log, report)
    for kind, name in sorted(things):
        if kind == "assessment":
            _check_findings(folder, name, report)
    return report, log


def _check_own_files(folder: Path, log: VerifiedLog, report: VerificationReport) -> None:
    try:
        read_member(folder, INSTRUCTIONS)
        if log.records and read_member(folder, CHECKPOINT) != log.records[-1].note.encode():
            raise VerificationError("is not the newest checkpoint of the log", where=CHECKPOINT)
    except VerificationError as error:
        report.fault(error.where, error.what)


def _check_findings(folder: Path, assessment: str, report: VerificationReport) -> None:
    """The findings as plain lines must be those that were sealed (their digest is)."""
    path, sealed_in = folder / FINDINGS, f"{SEALED_KINDS['assessment']}/{assessment}"
    if path.is_symlink() or not path.is_file():
        report.fault(FINDINGS, "is missing, or was replaced")
        return
    with suppress(VerificationError):  # a manifest that cannot be read is a fault already
        data = read_member(folder, f"{sealed_in}/{MANIFEST_NAME}")
        sealed = read_manifest(folder / sealed_in, data=data, where=sealed_in).predicate
        if sha256_of_file(path) != sealed.get("findings_sha256"):
            report.fault(FINDINGS, "are not the findings that were sealed")


def _unpack(path: Path, target: Path) -> dict[str, str]:
    """Unpack a zip file into the new folder `target`; return what is wrong with it, by entry."""
    target.mkdir()
    faults: dict[str, str] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                try:
                    _extract(archive, info, target)
                except Exception as error:  # noqa: BLE001  (hostile bytes raise many kinds)
                    faults[info.filename] = f"cannot be unpacked: {error}"
    except Exception as error:  # zipfile and zlib raise many kinds on hostile bytes
        raise VerificationError(
            f"this is neither a folder nor a zip file that can be read: {error}", where=str(path)
        ) from error
    return faults


def _extract(archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path) -> None:
    name = PurePosixPath(info.filename)
    if info.is_dir() or name.is_absolute() or ".." in name.parts or "\\" in info.filename:
        raise ValueError("a name that no bundle has")
    file = target / name
    file.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(info) as source, file.open("xb") as copy:  # x: no entry twice
        shutil.copyfileobj(source, copy, 1 << 20)


def archive_signature(path: Path) -> Path:
    """Return where the signature over a zip file is: beside it, with `.sig` after its name."""
    return path.with_name(f"{path.name}.sig")


def check_archive(path: Path, certificate: Certificate) -> None:
    """Check the signature over a zip file. Raises VerificationError."""
    signature = archive_signature(path).read_bytes()
    with mapped(path) as data:
        certificate.check(data, signature, where=path.name)


def _check_archive(path: Path, signers: list[Certificate], report: VerificationReport) -> None:
    beside = archive_signature(path)
    if beside.is_symlink() or not beside.is_file():
        report.fault(beside.name, "is missing: it lies beside the zip file when that is made")
        return
    if not any(_archive_signed(path, certificate) for certificate in signers):
        report.fault(path.name, f"{beside.name} is not a signature over it by a key in use")


def _archive_signed(path: Path, certificate: Certificate) -> bool:
    try:
        check_archive(path, certificate)
    except VerificationError:
        return False
    return True
