"""Sealing: a finished folder gets its signed manifest, its place in the store and its log entry.

The order makes a crash harmless. What is to be sealed is announced below `incomplete/`; then the
files go to their place, the manifest last; then the log gets its entry, and only with that is it
evidence. A later sealing in the same store finishes what an announcement says was cut off.
"""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from evidence.canonical import canonical_json, sha256_hex
from evidence.errors import AuditpackError, KeyFileError, StoreError, VerificationError
from evidence.keys import Certificate, SigningKey
from evidence.log import KEY, REVOCATION, LogRecord, active_keys, known_certificates, require_active
from evidence.manifest import (
    MANIFEST_NAME,
    check_files,
    check_signature,
    read_manifest,
    seal_folder,
)
from evidence.objects import ObjectExistsError, ObjectMissingError, create_or_read
from evidence.store import SEALED_KINDS, Store
from evidence.timestamps import TimestampAuthority, TimestampError

ANNOUNCEMENT = ".sealing.json"
"""Ending of the objects below `incomplete/` that say what is being sealed."""


@dataclass(frozen=True)
class Sealer:
    """Who seals: the signing key, the clock (UTC), and the timestamp authority if there is one."""

    key: SigningKey
    clock: Callable[[], datetime.datetime]
    authority: TimestampAuthority | None = None

    def seal(
        self, store: Store, folder: Path, kind: str, identifier: str, predicate: dict[str, Any]
    ) -> Path:
        """Seal `folder` as the `kind` named `identifier`; return where it is to be read.

        A folder that has its manifest already (a run was cut off here) is taken on as it is. Raises
        StoreError when it cannot be written, KeyFileError when the log does not take the key.
        """
        self.begin(store)
        digest = self._manifest(store, folder, kind, identifier, predicate)
        _announce(store, kind, identifier)
        store.keep_certificate(self.key.certificate)
        store.put_folder(folder, kind, identifier)
        self._log(store, kind, identifier, digest)
        return store.find(kind, identifier)

    def begin(self, store: Store) -> None:
        """Refuse a key that could not seal here, and finish what an earlier run was cut off in.

        Long work calls this first, not to learn it at its end. Raises KeyFileError, StoreError.
        """
        self._require_valid(self.key.certificate)
        require_active(store.log.records(), [self.key])
        self.finish_cut_off(store)

    def _require_valid(self, certificate: Certificate) -> None:
        """Refuse a certificate that is not valid now: what it signs would never verify."""
        if not certificate.valid_at(self.clock()):
            raise KeyFileError(
                f"the signing key's certificate is not valid at {self.now()}",
                where=f"{certificate.subject}, valid from {certificate.x509.not_valid_before_utc}"
                f" to {certificate.x509.not_valid_after_utc}",
                mend="Correct this machine's clock, or sign with a certificate that is valid.",
            )

    def _manifest(
        self, store: Store, folder: Path, kind: str, identifier: str, predicate: dict[str, Any]
    ) -> str:
        digest = self.sealed_before(folder)
        if digest is not None:
            return digest
        tree = store.log.tree()  # read once: others may append between two readings
        before = {"size": len(tree), "root": tree.root().hex()}
        return seal_folder(
            folder, kind, {**predicate, "id": identifier, "log_before": before}, self.key
        )

    def sealed_before(self, folder: Path) -> str | None:
        """Return the digest of a manifest that this key made for `folder` as it is, if any."""
        if not (folder / MANIFEST_NAME).exists():
            return None
        try:
            manifest = read_manifest(folder)
            check_signature(manifest, self.key.certificate, where=str(folder))
            check_files(folder, manifest)
        except VerificationError:
            return None  # a run was cut off here, or another key's was: it is sealed anew
        return manifest.digest

    def _log(self, store: Store, kind: str, identifier: str, digest: str) -> LogRecord:
        entry = {"kind": kind, "id": identifier, "manifest_sha256": digest, "time": self.now()}
        record = store.log.append(entry, [self.key], self.stamp, first=self._first())
        store.objects.discard(_announcement(kind, identifier))
        return record

    def _first(self) -> dict[str, Any]:
        return {"kind": KEY, "id": self.key.certificate.fingerprint, "time": self.now()}

    def now(self) -> str:
        """Return the clock's time as ISO 8601 UTC."""
        return self.clock().astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def stamp(self, data: bytes) -> tuple[bytes, str]:
        """Return the timestamp over `data`, or b"" and why there is none: never an error."""
        if self.authority is None:
            return b"", ""
        try:
            return self.authority.stamp(data), ""
        except TimestampError as error:
            return b"", f"{self.authority.url}: {error.what}"

    def finish_cut_off(self, store: Store) -> list[str]:
        """Log what was put into place whole but not logged; return the names of what was.

        The log takes only what is signed by a key in use, so nobody else's folder gets in.
        """
        finished = []
        for kind, identifier in announced(store):
            if store.log.find(kind, identifier) is not None:
                store.objects.discard(_announcement(kind, identifier))
                continue
            if kind not in SEALED_KINDS:
                continue  # a key or a revocation: its command is run again
            try:
                manifest = store.placed_manifest(kind, identifier)
                check_signature(manifest, self.key.certificate, where=identifier)
            except (AuditpackError, OSError):
                continue  # not whole yet, or another key's: its own run goes on with it
            if (manifest.kind, manifest.predicate.get("id")) != (kind, identifier):
                continue  # the announcement is not ours: verification names what it is about
            self._log(store, kind, identifier, manifest.digest)
            finished.append(f"{kind} {identifier}")
        return finished

    def add_key(self, store: Store, new: SigningKey, *, replace: bool = True) -> LogRecord:
        """Let this key name `new` in the log, signed by both; it is then in use.

        With `replace`, this key signs nothing after that. Raises KeyFileError for a key that the
        log had in use before: what it signed since could not be told apart.
        """
        fingerprint = new.certificate.fingerprint
        self._require_valid(new.certificate)
        self.finish_cut_off(store)
        replaced = self.key.certificate.fingerprint if replace else None
        known = store.log.find(KEY, fingerprint)
        if known is not None:
            return self._added_before(store, known, replaced)
        _announce(store, KEY, fingerprint)
        for key in (self.key, new):  # an empty log begins with this one
            store.keep_certificate(key.certificate)
        entry = {"kind": KEY, "id": fingerprint, "time": self.now()}
        if replaced is not None:
            entry["replaces"] = replaced
        record = store.log.append(entry, [self.key, new], self.stamp, first=self._first())
        store.objects.discard(_announcement(KEY, fingerprint))
        return record

    def _added_before(self, store: Store, known: LogRecord, replaced: str | None) -> LogRecord:
        """Return the record of the same hand-over, cut off or not. Raises KeyFileError."""
        is_same = known.entry.get("replaces") == replaced
        if not is_same or known.id not in active_keys(store.log.records()):
            raise KeyFileError(
                "this log named that key before: a key comes once, and cannot come back",
                where=f"certificate {known.id[:16]}",
                mend="Sign with it where it is in use, or make a new key.",
            )
        store.objects.discard(_announcement(KEY, known.id))
        return known

    def revoke(
        self, store: Store, fingerprint: str, *, since: datetime.datetime, reason: str
    ) -> LogRecord:
        """Say in the log that what `fingerprint` signed from `since` on does not count.

        Raises KeyFileError when the log never knew such a key, and when it is the only one in
        use: it must hand over first, as without a key nothing could follow.
        """
        self.begin(store)
        if fingerprint not in known_certificates(store.log.records()):
            raise KeyFileError(
                "the log knows no such key",
                where=fingerprint,
                mend="`auditpack log show` lists the keys with their whole fingerprints.",
            )
        if active_keys(store.log.records()) == (fingerprint,):
            raise KeyFileError(
                "this is the only key that the log has in use",
                where=f"certificate {fingerprint[:16]}",
                mend="Run `auditpack keys rotate` first, change auditpack.yaml, then revoke it.",
            )
        moment = since.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        document = {"certificate": fingerprint, "revoked_from": moment, "reason": reason}
        _announce(store, REVOCATION, fingerprint)
        name = f"revocations/{fingerprint}.json"
        data = create_or_read(store.objects, name, canonical_json(document))
        entry = {
            "kind": REVOCATION,
            "id": fingerprint,
            "time": self.now(),
            "revoked_from": str(orjson.loads(data)["revoked_from"]),
            "manifest_sha256": sha256_hex(data),
        }
        record = store.log.append(entry, [self.key], self.stamp, first=self._first())
        store.objects.discard(_announcement(REVOCATION, fingerprint))
        return record


def announced(store: Store) -> list[tuple[str, str]]:
    """Return kind and id of everything whose sealing was begun and not finished.

    Raises StoreError when an announcement cannot be read.
    """
    found = []
    for info in store.objects.list("incomplete/"):
        if info.name.endswith(ANNOUNCEMENT) and info.name.count("/") == 1:
            with contextlib.suppress(ObjectMissingError):  # finished in the meantime
                found.append(_read_announcement(store, info.name))
    return found


def _read_announcement(store: Store, name: str) -> tuple[str, str]:
    data = store.objects.read(name)
    try:
        value = orjson.loads(data)
        return str(value["kind"]), str(value["id"])
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            "this file announces nothing: it was changed, or is not ours",
            where=name,
            mend="Remove it: nothing depends on it.",
        ) from error


def _announcement(kind: str, identifier: str) -> str:
    return f"incomplete/{kind}-{identifier}{ANNOUNCEMENT}"


def _announce(store: Store, kind: str, identifier: str) -> None:
    try:
        store.objects.create(
            _announcement(kind, identifier), canonical_json({"kind": kind, "id": identifier})
        )
    except ObjectExistsError:
        return  # cut off before, and now taken up again
