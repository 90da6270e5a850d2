"""Verification: is every byte of a store still what was sealed?

Everything that is wrong is found and named: the file, the record where there is one, and whether
bytes were changed, are missing, or were added. Files that belong to nobody are reported too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cryptography import x509

from evidence.canonical import sha256_hex
from evidence.contents import Contents, Member
from evidence.errors import AuditpackError, VerificationError
from evidence.faults import Fault, LogState, VerificationReport
from evidence.keys import Certificate
from evidence.log import FOLDER, KEY, REVOCATION, LogRecord, record_name
from evidence.manifest import MANIFEST_NAME, Manifest, check_signature, read_manifest
from evidence.sealing import announced
from evidence.store import MARK_CONTENT, SEALED_KINDS, STORE_MARK, Store, certificate_name
from evidence.verify_folder import verify_folder
from evidence.verify_log import VerifiedLog, check_since, read_log, verify_log

__all__ = ["Extract", "Fault", "LogState", "VerificationReport", "verify_store"]

_RESTS_ON = {"derivation": "snapshot", "assessment": "snapshot", "pack": "assessment"}
"""Kind of what was sealed -> kind of what its manifest says it rests on."""


@dataclass(frozen=True)
class Trust:
    """What the one who verifies brings along, to depend on nothing that lies in the store.

    `certificate` is the pinned one, `since` a checkpoint's text kept from earlier with `since_name`
    where it came from, `timestamp_roots` the certificates of trusted timestamping authorities.
    """

    certificate: Certificate | None = None
    since: str = ""
    since_name: str = ""
    timestamp_roots: tuple[x509.Certificate, ...] = ()


@dataclass(frozen=True)
class Extract:
    """What a bundle holds of a store: the log whole, of what it names only `only` (kind, id).

    Captures are plain lines in it; `beside` are the names of its own files.
    """

    only: frozenset[tuple[str, str]]
    beside: frozenset[str]


def verify_store(
    store: Store,
    *,
    pinned: Certificate | None = None,
    trust: Trust | None = None,
    extract: Extract | None = None,
) -> VerificationReport:
    """Check the log, everything that it names, and stray files.

    Without a pinned certificate those that lie in the store are believed, which proves consistency
    but not who signed (the report says so). With `extract` the store is a bundle.
    """
    return verify_store_and_log(store, trust=trust or Trust(pinned), extract=extract)[0]


def verify_store_and_log(
    store: Store, *, trust: Trust, extract: Extract | None = None
) -> tuple[VerificationReport, VerifiedLog]:
    """Do the same, and return the log as far as it could be believed as well."""
    report = VerificationReport(pinned=trust.certificate is not None)
    contents = Contents(store)
    pending = _pending(store, report)
    read = read_log(contents, report)  # before the certificates: a writer keeps them first
    certificates = read_certificates(contents, report, trust.certificate)
    log = verify_log(
        read,
        certificates,
        report,
        pinned=trust.certificate,
        roots=trust.timestamp_roots,
    )
    if trust.since or trust.since_name:  # an empty file is not a checkpoint that holds
        check_since(log, trust.since, trust.since_name, report)
    _name_unlogged(contents, log, pending, report)
    sealed = _verify_sealed(contents, log, report, extract)
    _verify_references(sealed, report, extract)
    _find_strays(contents, report, extract.beside if extract else frozenset())
    return report, log


def read_certificates(
    contents: Contents, report: VerificationReport, pinned: Certificate | None
) -> dict[str, Certificate]:
    """Read the kept certificates; the pinned one is there even if the store has lost it."""
    found = {} if pinned is None else {pinned.fingerprint: pinned}
    for member in contents.members("certificates"):
        name = f"certificates/{member.name}"
        if not member.is_file:
            report.fault(name, "was replaced by a link, or is a folder")
            continue
        data = contents.store.objects.read(name)
        try:
            certificate = Certificate.from_pem(data, where=name)
        except Exception as error:  # noqa: BLE001  (damaged: a fault, whatever the parser raises)
            report.fault(name, f"not a certificate any more: {error}")
            continue
        if member.name != f"{certificate.fingerprint}.pem" or certificate.pem != data:
            report.fault(name, "is not the certificate that its name says")
            continue
        found[certificate.fingerprint] = certificate
    return found


def _pending(store: Store, report: VerificationReport) -> set[tuple[str, str]]:
    """Return what was being sealed when its run was cut off, or is being sealed right now."""
    try:
        return set(announced(store))
    except (AuditpackError, ValueError, KeyError, TypeError) as error:
        report.remark(
            "incomplete", f"an announcement cannot be read and counts for nothing: {error}"
        )
        return set()


def _name_unlogged(
    contents: Contents,
    log: VerifiedLog,
    pending: set[tuple[str, str]],
    report: VerificationReport,
) -> None:
    """Name what lies in the store although the log does not name it."""
    logged = {(record.kind, record.id): record for record in log.records}
    for kind, folder in SEALED_KINDS.items():
        for member in contents.members(folder):
            where = f"{folder}/{member.name}"
            if (kind, member.name) in logged:
                continue
            if (kind, member.name) in pending and member.is_folder:
                report.incomplete.append(where)
            elif _came_meanwhile(contents.store, (kind, member.name)):
                report.remark(where, "was sealed while this ran: verify again to have it checked")
            else:
                report.fault(where, "belongs to nobody: the log does not name it")
    for member in contents.members("certificates"):
        name = member.name.removesuffix(".pem")
        is_first = not logged and bool(pending)  # a log's first key comes before its first entry
        known = (KEY, name) in logged or (KEY, name) in pending or is_first
        if member.is_file and not known and not _came_meanwhile(contents.store, (KEY, name)):
            report.fault(
                f"certificates/{member.name}", "belongs to nobody: the log names no such key"
            )
    for member in contents.members("revocations"):
        _verify_revocation(contents, member, logged, pending, report)
    if not logged and report.faults:
        report.fault(FOLDER.rstrip("/"), "is missing, empty, or cannot be read at all")
    _name_missing(contents, log, report)


def _came_meanwhile(store: Store, thing: tuple[str, str]) -> bool:
    """Whether another process seals `thing` right now, or did since we read the log."""
    try:
        now = announced(store)
        logged = {(record.kind, record.id) for record in store.log.records()}
    except AuditpackError:  # what is wrong there is named where it is verified
        return False
    is_first_key = thing[0] == KEY and not logged and bool(now)
    return thing in now or thing in logged or is_first_key


def _name_missing(contents: Contents, log: VerifiedLog, report: VerificationReport) -> None:
    """Name the certificates and revocations that the log names and the store does not have."""
    for record in log.records:
        if record.kind == REVOCATION:
            name = f"revocations/{record.id}.json"
        elif record.kind == KEY and record.id not in log.keys:  # a pinned one need not be kept
            name = certificate_name(record.id)
        else:
            continue
        folder, _, file = name.partition("/")
        if file not in _names(contents, folder):
            report.fault(name, f"is missing; {record_name(record.index)} names it")


def _verify_revocation(
    contents: Contents,
    member: Member,
    logged: Mapping[tuple[str, str], LogRecord],
    pending: set[tuple[str, str]],
    report: VerificationReport,
) -> None:
    where = f"revocations/{member.name}"
    thing = (REVOCATION, member.name.removesuffix(".json"))
    if not member.is_file or (thing not in logged and thing not in pending):
        report.fault(where, "belongs to nobody: not in the log")
    elif thing in logged:
        found = sha256_hex(contents.store.objects.read(where))
        if found != logged[thing].manifest_digest or not member.name.endswith(".json"):
            report.fault(where, "is not the revocation that the log names")


def _names(contents: Contents, folder: str) -> set[str]:
    return {member.name for member in contents.members(folder)}


def _verify_sealed(
    contents: Contents,
    log: VerifiedLog,
    report: VerificationReport,
    extract: Extract | None,
) -> dict[tuple[str, str], Manifest]:
    """Check everything that the log names; return the manifests that are what it names."""
    found = {}
    report.sealed = dict.fromkeys(SEALED_KINDS, 0)
    present = {
        (kind, member.name): member.is_folder
        for kind, folder in SEALED_KINDS.items()
        for member in contents.members(folder)
    }
    first: dict[tuple[str, str], str] = {}
    for record in log.records:
        thing = (record.kind, record.id)
        here = record_name(record.index)
        if record.kind not in (*SEALED_KINDS, KEY, REVOCATION):
            report.fault(here, f"is about a {record.kind[:40]}, which this auditpack does not know")
        if first.setdefault(thing, here) != here:
            report.fault(here, f"is about the same {record.kind} as {first[thing]}")
        if record.kind not in SEALED_KINDS or (extract and thing not in extract.only):
            continue
        where = f"{SEALED_KINDS[record.kind]}/{record.id}"
        if thing not in present:
            report.fault(where, f"is missing; {record_name(record.index)} names it")
        elif not present[thing]:
            report.fault(where, "was replaced by a file or a link")
        else:
            manifest = _verify_one(
                contents, record, where, log, report, plain_captures=extract is not None
            )
            if manifest is not None:
                found[thing] = manifest
                report.sealed[record.kind] += 1
    return found


def _verify_one(
    contents: Contents,
    record: LogRecord,
    where: str,
    log: VerifiedLog,
    report: VerificationReport,
    *,
    plain_captures: bool,
) -> Manifest | None:
    with contents.sealed_folder(record.kind, record.id) as folder:
        if not (folder / MANIFEST_NAME).is_file():  # reading a pipe would never end
            report.fault(f"{where}/{MANIFEST_NAME}", "is missing")
            return None
        try:
            manifest = read_manifest(folder, where=f"{where}/{MANIFEST_NAME}")
            _check_manifest(manifest, record, log, f"{where}/{MANIFEST_NAME}")
        except AuditpackError as error:
            report.fault(f"{where}/{MANIFEST_NAME}", error.what)
            return None
        verify_folder(folder, where, manifest, report, plain_captures=plain_captures)
    return manifest


def _check_manifest(manifest: Manifest, record: LogRecord, log: VerifiedLog, where: str) -> None:
    """Check that a manifest is the one that the log names, and who signed it."""
    if manifest.digest != record.manifest_digest:
        raise VerificationError(
            f"is not the manifest that {record_name(record.index)} names", where=where
        )
    if (manifest.kind, manifest.predicate.get("id")) != (record.kind, record.id):
        found = f"{manifest.kind} {manifest.predicate.get('id')}"
        raise VerificationError(f"is of {found}, under another name", where=where)
    certificate = log.keys.get(manifest.signed_by)
    if certificate is None:
        raise VerificationError(
            f"signed by {manifest.signed_by[:16] or 'nobody'}, a certificate that is not trusted",
            where=where,
        )
    check_signature(manifest, certificate, where=where)
    if not _was_before(manifest.predicate.get("log_before"), record, log):
        raise VerificationError("was sealed after another log than the one here", where=where)


def _was_before(said: object, record: LogRecord, log: VerifiedLog) -> bool:
    """Whether the log here begins with the one that a manifest says it was sealed after."""
    size = said.get("size") if isinstance(said, dict) else None
    if not isinstance(said, dict) or not isinstance(size, int) or not 0 <= size <= record.index:
        return False
    return record.index >= len(log.tree) or log.tree.root_at(size).hex() == said.get("root")


def _verify_references(
    sealed: dict[tuple[str, str], Manifest],
    report: VerificationReport,
    extract: Extract | None,
) -> None:
    """Every assessment and pack must rest on exactly the sealed thing that it names."""
    for (kind, name), manifest in sorted(sealed.items()):
        source = _RESTS_ON.get(kind)
        if source is None:
            continue
        where = f"{SEALED_KINDS[kind]}/{name}"
        reference = manifest.predicate.get(source)
        if not isinstance(reference, dict):
            report.fault(where, f"does not say which {source} it rests on")
            continue
        thing = (source, str(reference.get("id", "")))
        found = sealed.get(thing)
        if found is None:
            if extract is None or thing in extract.only:
                report.fault(where, f"the {source} that it rests on is not here, or not intact")
        elif found.digest != reference.get("manifest_sha256"):
            report.fault(where, f"rests on another {source} {reference['id']} than the one here")


def _find_strays(contents: Contents, report: VerificationReport, beside: frozenset[str]) -> None:
    folders = {"certificates", "revocations", "log", "incomplete", *SEALED_KINDS.values()}
    mark = next((m for m in contents.members("") if m.name == STORE_MARK), None)
    if mark is None or not mark.is_file:
        report.fault(STORE_MARK, "is missing, or was replaced")
    elif contents.store.objects.read(STORE_MARK) != MARK_CONTENT:
        report.fault(STORE_MARK, "is not the mark of a store any more")
    for member in contents.members(""):
        if member.name not in {STORE_MARK, *folders, *beside}:
            report.fault(member.name, "belongs to nobody")
        elif member.name in folders and not member.is_folder:
            report.fault(member.name, "is a file where a folder belongs")
    report.incomplete = sorted({*report.incomplete, *_runs(contents)})


def _runs(contents: Contents) -> list[str]:
    return [member.name for member in contents.members("incomplete") if member.is_folder]
