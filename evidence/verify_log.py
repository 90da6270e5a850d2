"""Verification of the log: every record in its place, signed by a key that might, and consistent.

Trust begins with the certificate that the first record names and goes from key to key as the log
says. A pinned certificate must be one of these and must have signed a checkpoint: with that its
owner vouched for everything before it.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cryptography import x509
from securesystemslib.exceptions import VerificationError as SignatureError

from evidence.checkpoint import Checkpoint, read_checkpoint
from evidence.contents import Contents
from evidence.errors import AuditpackError, VerificationError
from evidence.faults import LogState, VerificationReport
from evidence.keys import Certificate
from evidence.log import (
    FOLDER,
    KEY,
    REVOCATION,
    LogRecord,
    active_after,
    read_record,
    record_index,
    record_name,
)
from evidence.manifest import check_canonical
from evidence.merkle import MerkleTree
from evidence.signed_note import signed_by_any
from evidence.timestamps import check_timestamp

_CLOCK_TOLERANCE = datetime.timedelta(minutes=10)

_NAMED_ONE_BY_ONE = 100


@dataclass
class VerifiedLog:
    """What the log says, as far as it could be believed. `keys` are all that it ever named.

    `revoked` says from when on a certificate does not count.
    """

    records: list[LogRecord] = field(default_factory=list)
    tree: MerkleTree = field(default_factory=MerkleTree)
    keys: dict[str, Certificate] = field(default_factory=dict)
    revoked: dict[str, datetime.datetime] = field(default_factory=dict)
    signers: dict[int, tuple[str, ...]] = field(default_factory=dict)
    stamped: dict[int, datetime.datetime] = field(default_factory=dict)

    def known_by(self, index: int) -> datetime.datetime | None:
        """Return the earliest time at which a timestamp shows that record `index` existed."""
        later = [moment for at, moment in self.stamped.items() if at >= index]
        return min(later, default=None)


def verify_log(
    read: Sequence[tuple[int, bytes | None]],
    certificates: Mapping[str, Certificate],
    report: VerificationReport,
    *,
    pinned: Certificate | None = None,
    roots: Sequence[x509.Certificate] = (),
) -> VerifiedLog:
    """Check every record of the log and return what it says; what is wrong goes into `report`.

    `read` is what `read_log` returned; `certificates` are those kept in the store, by fingerprint;
    `roots` the timestamping authorities' that are trusted.
    """
    log = VerifiedLog()
    active: tuple[str, ...] = ()
    whole = True
    for index, data in read:
        if data is None:
            whole = False
            continue
        try:
            record = read_record(index, data)
        except VerificationError as error:
            report.fault(record_name(index), error.what)
            whole = False
            continue
        log.records.append(record)
        fault = _check_signers(record, active, certificates, log) or _check_place(record, log)
        if not fault and whole:
            log.tree.add(record.leaf)
            fault = _check_root(record, log)
        if fault:
            report.fault(record_name(index), fault)
            continue
        active = active_after(active, record)
        _note_revocation(record, log)
        _check_timestamp(record, log, report, roots)
    if not whole:
        report.fault(FOLDER.rstrip("/"), "is not whole: the entries after the damage have no proof")
    _check_pinned(log, pinned, report)
    _check_revocations(log, report, anchored=bool(roots))
    report.signers.update({name: item.subject for name, item in log.keys.items()})
    _describe(log, report)
    return log


def verify_excerpt(
    records: Sequence[LogRecord],
    certificates: Mapping[str, Certificate],
    report: VerificationReport,
    *,
    stamped: Mapping[int, datetime.datetime],
    pinned: Certificate | None = None,
    roots: Sequence[x509.Certificate] = (),
) -> VerifiedLog:
    """Check records that were taken out of a log, all that name or revoke a key among them.

    Who might sign is followed from key to key as in the whole log; that they are in the log is
    for the caller to prove. `stamped` are timestamps that cover entries, by the last one's index.
    """
    log = VerifiedLog(list(records), stamped=dict(stamped))
    active: tuple[str, ...] = ()
    for record in records:
        fault = _check_signers(record, active, certificates, log)
        if fault:
            report.fault(record_name(record.index), fault)
            continue
        active = active_after(active, record)
        _note_revocation(record, log)
        _check_timestamp(record, log, report, roots)
    _check_pinned(log, pinned, report)
    _check_revocations(log, report, anchored=bool(roots))
    report.signers.update({name: item.subject for name, item in log.keys.items()})
    return log


def read_log(contents: Contents, report: VerificationReport) -> list[tuple[int, bytes | None]]:
    """Return the records' bytes by index, None where some are missing; name what is no record."""
    indexes = []
    for member in contents.members(FOLDER.rstrip("/")):
        index = record_index(FOLDER + member.name)
        if index is None or not member.is_file:
            report.fault(FOLDER + member.name, "belongs to nobody, or is not the file that it was")
        else:
            indexes.append(index)
    found: list[tuple[int, bytes | None]] = []
    following = 0
    for index in sorted(indexes):
        if index > following:
            _name_hole(following, index - 1, report)
            found.append((following, None))
        found.append((index, contents.store.objects.read(record_name(index))))
        following = index + 1
    return found


def _name_hole(first: int, last: int, report: VerificationReport) -> None:
    """Name missing records, of very many the first: a stray file may claim number 99999999."""
    for index in range(first, min(last, first + _NAMED_ONE_BY_ONE - 1) + 1):
        report.fault(record_name(index), "is missing from the log")
    rest = first + _NAMED_ONE_BY_ONE
    if rest <= last:
        report.fault(record_name(rest), f"and all up to {record_name(last)} are missing as well")


def _check_signers(
    record: LogRecord,
    active: Sequence[str],
    certificates: Mapping[str, Certificate],
    log: VerifiedLog,
) -> str:
    """Return what is wrong with who signed a record; "" when nothing is."""
    fault = _signers_fault(record, active, certificates)
    if fault:
        return fault
    signers = tuple(record.envelope.signatures)
    chosen = [certificates[fingerprint] for fingerprint in signers]
    try:
        record.envelope.verify([one.verification_key() for one in chosen], len(chosen))
        check_canonical(record.envelope)
        vouched = [record.signed_note.signed_by(record.checkpoint.origin, one) for one in chosen]
    except (SignatureError, AuditpackError) as error:
        return f"its signature is not valid: {error}"
    if not all(vouched) or len(record.signed_note.signatures) != len(chosen):
        return "its checkpoint is not signed by those who signed the record"
    moment = parse_time(record.time)
    # A key whose certificate has run out may still hand over: the new one signs as well.
    counted = chosen[-1:] if record.kind == KEY else chosen
    if moment is None or not all(one.valid_at(moment) for one in counted):
        return "says a time at which its signer's certificate was not valid"
    log.signers[record.index] = signers
    log.keys.update({one.fingerprint: one for one in chosen})
    return ""


def _signers_fault(
    record: LogRecord, active: Sequence[str], certificates: Mapping[str, Certificate]
) -> str:
    """Return what is wrong with the names of those who signed, before any signature is checked.

    The order of signatures is fixed and nothing stands beside them: neither is signed itself, so
    it could be changed unnoticed.
    """
    signers = tuple(record.envelope.signatures)
    named = (record.id,) if record.kind == KEY else ()
    if any(one.unrecognized_fields for one in record.envelope.signatures.values()):
        return "has something beside its signatures that nobody signed"
    if record.index == 0 and record.kind != KEY:
        return "the log does not begin with the entry that names its key"
    wanted = named if record.index == 0 else (*active, *named)
    for fingerprint in signers:
        if fingerprint not in wanted:
            return f"signed by {fingerprint[:16] or 'nobody'}, which might not sign here"
        if fingerprint not in certificates:
            return f"signed by {fingerprint[:16]}, whose certificate is not here"
    if named and signers[-1:] != named:
        return "is not signed, last, by the key that it names"
    if not signers or (record.index and not set(active) & set(signers)):
        return "is not signed by a key that the log had in use"
    return ""


def _check_place(record: LogRecord, log: VerifiedLog) -> str:
    """Return what is wrong when a record's checkpoint is of another place or log; else ""."""
    origin = log.records[0].checkpoint.origin
    if record.checkpoint.origin != origin:
        return f"its checkpoint is of the log {record.checkpoint.origin}, not {origin}"
    if record.checkpoint.size != record.index + 1:
        return f"its checkpoint is for {record.checkpoint.size} entries, not {record.index + 1}"
    return ""


def _check_root(record: LogRecord, log: VerifiedLog) -> str:
    """Return what is wrong with a record's checkpoint; "" when it follows from all before it."""
    if record.checkpoint.root != log.tree.root():
        return "its checkpoint has another root than the entries up to it"
    return ""


def _note_revocation(record: LogRecord, log: VerifiedLog) -> None:
    if record.kind == REVOCATION:
        since = parse_time(str(record.entry.get("revoked_from", "")))
        beginning = datetime.datetime.min.replace(tzinfo=datetime.UTC)
        log.revoked[record.id] = since or beginning


def _check_timestamp(
    record: LogRecord,
    log: VerifiedLog,
    report: VerificationReport,
    roots: Sequence[x509.Certificate],
) -> None:
    where = record_name(record.index)
    if record.timestamp_missing:
        report.remark(where, f"has no timestamp: {record.timestamp_missing}")
    if not record.timestamp:
        return
    try:
        found = check_timestamp(
            record.timestamp, record.note.encode(), roots=tuple(roots), where=where
        )
    except VerificationError as error:
        report.fault(where, f"its timestamp is not valid: {error.what}")
        return
    log.stamped[record.index] = found.time
    said = parse_time(record.time)
    if said is not None and abs(found.time - said) > _CLOCK_TOLERANCE:
        report.remark(
            where, f"the writer's clock said {record.time}, the authority {found.time.isoformat()}"
        )


def _check_pinned(log: VerifiedLog, pinned: Certificate | None, report: VerificationReport) -> None:
    if pinned is None:
        return
    signed = any(pinned.fingerprint in signers for signers in log.signers.values())
    if not signed:
        report.fault(FOLDER.rstrip("/"), "the certificate that you pinned has signed nothing here")


def _check_revocations(log: VerifiedLog, report: VerificationReport, *, anchored: bool) -> None:
    """What a revoked key signed counts only from before the date, as shown or at least as said.

    Only `anchored` timestamps show anything: whoever has a stolen key can also play an authority.
    """
    for record in log.records:
        for fingerprint in log.signers.get(record.index, ()):
            revoked = log.revoked.get(fingerprint)
            if revoked is None:
                continue
            shown = log.known_by(record.index) if anchored else None
            said = parse_time(record.time)
            day = revoked.date().isoformat()
            if shown is not None and shown < revoked:
                continue
            if record.kind == KEY and record.id != fingerprint:
                report.remark(
                    record_name(record.index),
                    f"a key revoked from {day} on handed over to {record.id[:16]}: pin that one",
                )
                continue
            if said is None or said >= revoked:
                report.fault(
                    record_name(record.index),
                    f"was signed with {fingerprint[:16]}, which is revoked from {day} on",
                )
            else:
                report.remark(
                    record_name(record.index),
                    f"was signed with {fingerprint[:16]}, revoked from {day} on: that it is older,"
                    " only the log says (no timestamp of an authority that you trust)",
                )


def check_since(log: VerifiedLog, note: str, where: str, report: VerificationReport) -> None:
    """Compare the log with a checkpoint that somebody kept: nothing before it may have changed.

    Raises VerificationError when the file is not a checkpoint at all.
    """
    kept, signed = read_checkpoint(note, where=where)
    fault = _difference(log, kept)
    if not fault and not signed_by_any(signed, kept.origin, log.keys.values()):
        fault = "your checkpoint is not signed by any key of this log"
    if fault:
        report.fault(FOLDER.rstrip("/"), fault)
    else:
        report.since = f"{kept.size} entries, root {kept.root.hex()}"


def _difference(log: VerifiedLog, kept: Checkpoint) -> str:
    if not log.records:
        return f"is empty; your checkpoint is of {kept.size} entries"
    origin = log.records[0].checkpoint.origin
    if kept.origin != origin:
        return f"is the log {origin}; your checkpoint is of {kept.origin}"
    if kept.size > len(log.tree):
        return f"has {len(log.tree)} entries that hold together; your checkpoint has {kept.size}"
    if log.tree.root_at(kept.size) != kept.root:
        return f"was rewritten: its first {kept.size} entries are not those of your checkpoint"
    return ""


def _describe(log: VerifiedLog, report: VerificationReport) -> None:
    if not log.records:
        return
    last = log.records[-1]
    report.log = LogState(
        last.checkpoint.origin,
        len(log.tree),
        log.tree.root().hex(),
        last.note,
        len(log.stamped),
        max(log.stamped.values()).isoformat() if log.stamped else "",
    )


def parse_time(text: str) -> datetime.datetime | None:
    """Return the time that `YYYY-MM-DDTHH:MM:SSZ` says; None when it is anything else."""
    try:
        return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.UTC)
    except ValueError:
        return None
