"""The log: one append-only Merkle tree over everything that was sealed, with signed checkpoints.

Record N is the object `log/<N, eight digits>.dsse.json`, created once: a writer that finds the
place taken reads on and tries the next one. So entry, checkpoint and timestamp appear together or
not at all, and two writers cannot both append entry N. A record is a DSSE envelope over

    entry              canonical JSON, as text: what was sealed (kind, id, manifest_sha256, time)
    checkpoint         C2SP signed note over the tree of all entries up to this one
    timestamp          RFC 3161 response over the checkpoint's bytes, base64; empty if there is none
    timestamp_missing  why there is none although a timestamping authority is configured

The leaf of the tree (RFC 6962) is the entry's text in UTF-8.

Sources: c2sp.org/tlog-checkpoint, c2sp.org/signed-note, RFC 6962 section 2.1.
"""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import orjson
from securesystemslib.dsse import Envelope

from evidence.canonical import canonical_json, canonical_text
from evidence.checkpoint import Checkpoint, read_checkpoint, sign_checkpoint
from evidence.errors import KeyFileError, StoreError, VerificationError
from evidence.keys import SigningKey
from evidence.merkle import MerkleTree, leaf_hash
from evidence.objects import ObjectExistsError, Objects
from evidence.signed_note import SignedNote

FOLDER = "log/"
SUFFIX = ".dsse.json"
PAYLOAD_TYPE = "application/vnd.auditpack.log-record+json"

KEY = "key"
"""Kind of the entries that name a certificate: the first entry, and each rotation."""

REVOCATION = "revocation"
"""Kind of the entries that revoke a certificate from a date on."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""Ids become names of folders: no separators, and nothing that leads elsewhere."""

_ATTEMPTS = 200
_READERS = 16


@dataclass(frozen=True)
class LogRecord:
    """One record that was read and whose form was checked, not yet its signatures."""

    index: int
    text: str
    entry: dict[str, Any]
    note: str
    checkpoint: Checkpoint
    signed_note: SignedNote
    timestamp: bytes
    timestamp_missing: str
    envelope: Envelope

    @property
    def kind(self) -> str:
        """What the entry is about: a sealed kind, `key` or `revocation`."""
        return str(self.entry["kind"])

    @property
    def id(self) -> str:
        """The id of what was sealed; of a key, its certificate's fingerprint."""
        return str(self.entry["id"])

    @property
    def time(self) -> str:
        """When the writer says that it was appended, ISO 8601 UTC."""
        return str(self.entry["time"])

    @property
    def manifest_digest(self) -> str:
        """SHA-256 of the manifest that was sealed; empty for keys and revocations."""
        return str(self.entry.get("manifest_sha256", ""))

    @property
    def leaf(self) -> bytes:
        """The RFC 6962 leaf hash of the entry."""
        return leaf_hash(self.text.encode())


Stamp = Callable[[bytes], tuple[bytes, str]]
"""Takes the checkpoint's bytes; returns the timestamp, or b"" and why it is missing."""


@dataclass
class Log:
    """The log of one store. Records never change, so those that were read are kept."""

    objects: Objects
    _known: list[LogRecord] = field(default_factory=list)

    def records(self) -> Sequence[LogRecord]:
        """Return all records in order, reading those that are new. Raises VerificationError."""
        names = [info.name for info in self.objects.list(FOLDER)]
        wanted = [record_name(index) for index in range(len(names))]
        if names != wanted:
            odd = next(a for a, b in zip([*names, ""], [*wanted, ""], strict=True) if a != b)
            raise VerificationError(
                "the log has a hole, or a file that does not belong to it",
                where=odd,
                mend="Run `auditpack verify` to see everything that is wrong.",
            )
        new = names[len(self._known) :]
        with ThreadPoolExecutor(_READERS) as pool:
            found = list(pool.map(self.objects.read, new))
        for data in found:
            self._known.append(read_record(len(self._known), data))
        return tuple(self._known)

    def find(self, kind: str, identifier: str) -> LogRecord | None:
        """Return the record of one sealed thing, if the log has it."""
        return next((r for r in self.records() if (r.kind, r.id) == (kind, identifier)), None)

    def tree(self) -> MerkleTree:
        """Return the tree over all entries."""
        return MerkleTree([record.leaf for record in self.records()])

    def append(
        self,
        entry: dict[str, Any],
        keys: Sequence[SigningKey],
        stamp: Stamp,
        *,
        first: dict[str, Any],
    ) -> LogRecord:
        """Append `entry`, signed by `keys`; return its record, or that of an equal one.

        An empty log begins with `first`, the entry that names its key. Raises StoreError when the
        log holds another thing of that kind and id, or others append without end, KeyFileError when
        it does not take the keys.
        """
        _require_name(entry, self.objects.location)
        for _ in range(_ATTEMPTS):
            records = self.records()
            same = _same(records, entry)
            if same is not None:
                return same
            if records:
                require_active(records, keys, named=entry["id"] if entry["kind"] == KEY else "")
                self._create(records, entry, keys, stamp)
            else:
                self._create(records, first, keys[:1], stamp)
        raise StoreError(
            f"{_ATTEMPTS} times another writer was first to append to the log",
            where=self.objects.location,
            mend="Run the command again when fewer runs seal into this store.",
        )

    def _create(
        self,
        records: Sequence[LogRecord],
        entry: dict[str, Any],
        keys: Sequence[SigningKey],
        stamp: Stamp,
    ) -> None:
        """Try to create the next record; another writer's being first is no error."""
        origin = (
            records[0].checkpoint.origin if records else f"auditpack.log/{secrets.token_hex(8)}"
        )
        text = canonical_text(entry)
        tree = MerkleTree([*(record.leaf for record in records), leaf_hash(text.encode())])
        checkpoint = Checkpoint(origin, len(records) + 1, tree.root())
        data = _sealed_record(text, sign_checkpoint(checkpoint, keys), keys, stamp)
        try:
            self.objects.create(record_name(len(records)), data)
        except ObjectExistsError:
            return


def _require_name(entry: dict[str, Any], where: str) -> None:
    if not _ID.fullmatch(str(entry["id"])):
        raise StoreError(
            f"nothing can be sealed under the name {str(entry['id'])[:80]!r}",
            where=where,
            mend="Use letters, digits, dots, hyphens and underscores.",
        )


def _same(records: Sequence[LogRecord], entry: dict[str, Any]) -> LogRecord | None:
    """Return the record of the same thing. Raises StoreError when it is not the same after all."""
    for record in records:
        if (record.kind, record.id) != (entry["kind"], entry["id"]):
            continue
        if record.manifest_digest != entry.get("manifest_sha256", ""):
            raise StoreError(
                f"another run sealed {entry['kind']} {entry['id']} first, with other content",
                where=record_name(record.index),
                mend="Run the command again: it then makes a new one.",
            )
        return record
    return None


def require_active(
    records: Sequence[LogRecord], keys: Sequence[SigningKey], *, named: str = ""
) -> None:
    """Refuse to append with a key that the log does not know, or not any more. Raises KeyFileError.

    `named` is the fingerprint that the new entry itself names. An empty log begins with any key.
    """
    if not records:
        return
    active = active_keys(records)
    fingerprints = [key.certificate.fingerprint for key in keys]
    refused = [one for one in fingerprints if one not in (*active, named)]
    if not refused and set(active) & set(fingerprints):
        return
    fingerprint = (refused or fingerprints)[0]
    raise KeyFileError(
        "this store's log does not take the signing key any more: it was replaced or revoked"
        if fingerprint in known_certificates(records)
        else "this store's log began with another signing key",
        where=f"certificate {fingerprint[:16]}; the log knows {', '.join(active)[:200]}",
        mend="Sign with the key in use, or let it hand over with `auditpack keys rotate`.",
    )


def _sealed_record(text: str, note: str, keys: Sequence[SigningKey], stamp: Stamp) -> bytes:
    timestamp, missing = stamp(note.encode())
    payload = {
        "entry": text,
        "checkpoint": note,
        "timestamp": base64.b64encode(timestamp).decode(),
        "timestamp_missing": missing,
    }
    envelope = Envelope(canonical_json(payload), PAYLOAD_TYPE, {})
    for key in keys:
        envelope.sign(key.signer)
    return canonical_json(envelope.to_dict())


def record_name(index: int) -> str:
    """Return the object name of record `index`."""
    return f"{FOLDER}{index:08d}{SUFFIX}"


def record_index(name: str) -> int | None:
    """Return the index that an object name stands for; None when it is not a record's name."""
    digits = name.removeprefix(FOLDER).removesuffix(SUFFIX)
    is_ours = digits.isdigit() and digits.isascii() and name == record_name(int(digits))
    return int(digits) if is_ours else None


def read_record(index: int, data: bytes) -> LogRecord:
    """Read record `index` and check that its form is, byte for byte, what we write.

    Raises VerificationError; signatures are checked elsewhere.
    """
    where = record_name(index)
    try:
        envelope = Envelope.from_dict(orjson.loads(data))
        payload = orjson.loads(envelope.payload)
        text, note = payload["entry"], payload["checkpoint"]
        timestamp = base64.b64decode(payload["timestamp"], validate=True)
        again = {**payload, "timestamp": base64.b64encode(timestamp).decode()}
        same = canonical_json(envelope.to_dict()) == data and envelope.payload_type == PAYLOAD_TYPE
        same &= canonical_json(again) == envelope.payload and len(payload) == 4
        entry = orjson.loads(text)
        same &= canonical_text(entry) == text and {"kind", "id", "time"} <= set(entry)
        same &= _ID.fullmatch(entry["id"]) is not None
        missing = str(payload["timestamp_missing"])
    except Exception as error:  # any malformed byte ends here: the libraries raise many kinds
        raise VerificationError(
            f"not a record of the log any more: {error}", where=where
        ) from error
    if not same:
        raise VerificationError("the bytes of this record were changed", where=where)
    checkpoint, signed_note = read_checkpoint(note, where=where)
    return LogRecord(
        index, text, entry, note, checkpoint, signed_note, timestamp, missing, envelope
    )


def known_certificates(records: Sequence[LogRecord]) -> Iterator[str]:
    """Yield the fingerprints of all certificates that the log names, in order."""
    for record in records:
        if record.kind == KEY:
            yield record.id


def active_after(active: Sequence[str], record: LogRecord) -> tuple[str, ...]:
    """Return the fingerprints in use after a record, given those in use before it."""
    if record.kind == KEY:
        replaced = record.entry.get("replaces")
        return (*(one for one in active if one != replaced), record.id)
    if record.kind == REVOCATION:
        return tuple(one for one in active if one != record.id)
    return tuple(active)


def active_keys(records: Sequence[LogRecord]) -> tuple[str, ...]:
    """Return the fingerprints that may sign the next record: named, not replaced, not revoked."""
    active: tuple[str, ...] = ()
    for record in records:
        active = active_after(active, record)
    return active
