"""Bundles to be tampered with: as a folder, as a zip file with its signature, and by who signs.

`bundle_estates(folder)` builds all three, as estates of `support_tampering`.
"""

from __future__ import annotations

import io
import random
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from support_handover import make_estate
from support_mutations import ANY_FILE, BYTES, ENVELOPES, RECORDS
from support_store import new_key
from support_tampering import Estate, Tamper, Tampering, state_of
from support_tsa import loopback_tsa

from evidence.bundle_verify import CHECKPOINT, FINDINGS, INSTRUCTIONS, verify_bundle
from evidence.checksums import SIGNATURE, SUMS, write_sums
from evidence.errors import AuditpackError, StoreError
from evidence.faults import VerificationReport
from evidence.log import record_name
from evidence.verify import Trust
from reports.bundle.making import make_bundle

ARCHIVE = "bundle.zip"
ARCHIVE_SIGNATURE = f"{ARCHIVE}.sig"
_VOUCHED_BY_THE_SUMS_ALONE = (SUMS, SIGNATURE, INSTRUCTIONS, "timestamp-roots.pem")


@dataclass(frozen=True)
class Bundles:
    """The same bundle in three forms; of `resigned`, its producer signs what he changed."""

    folder: Estate
    resigned: Estate
    archive: Estate


def bundle_estates(folder: Path) -> Bundles:
    """Build a store, a bundle of it as a folder (twice) and as a zip file, below `folder`."""
    with loopback_tsa(folder / "tsa") as tsa:
        estate = make_estate(folder, tsa.url)
    store, key = estate.built.store, estate.key
    (folder / "plain").mkdir()
    plain = make_bundle(store, key, folder / "plain/bundle").path
    (folder / "resigned").mkdir()
    copied = Path(shutil.copytree(plain, folder / "resigned/bundle"))
    (folder / "zipped").mkdir()
    make_bundle(store, key, folder / "zipped" / ARCHIVE)
    keys = (estate.old_key, estate.key)
    tamperings = (*RECORDS, *ENVELOPES, _findings)
    resigned = Estate(
        copied,
        lambda trust: verify_bundle(copied, trust),
        tuple(map(_signed_anew, (*BYTES, *tamperings))),
        keys=keys,
        named_by={record_name(len(store.log.records()) - 1): CHECKPOINT},
    )
    # What only the sums vouch for is the producer's word anyway, which is that the sums are right.
    resigned.files = [p for p in resigned.files if p not in _VOUCHED_BY_THE_SUMS_ALONE]
    return Bundles(
        Estate(
            plain, lambda trust: verify_bundle(plain, trust), (*ANY_FILE, *tamperings), keys=keys
        ),
        resigned,
        Estate(
            folder / "zipped",
            _verifying_archive(folder / "zipped"),
            (*BYTES, _pack_again, _add_entry, _sign_as_a_forger),
            named_by={ARCHIVE_SIGNATURE: ARCHIVE},
        ),
    )


def _verifying_archive(folder: Path) -> Callable[[Trust], VerificationReport]:
    """Verify the zip file; that it cannot even be opened is a fault of it."""

    def verify(trust: Trust) -> VerificationReport:
        try:
            return verify_bundle(folder / ARCHIVE, trust)
        except AuditpackError as error:
            report = VerificationReport()
            report.fault(Path(error.where).name, error.what)
            return report

    return verify


def _findings(estate: Estate, chooser: random.Random) -> Tampering:
    """Turn what failed into what passed, in the file that people read."""
    data = estate.bytes_of(FINDINGS)
    lines = data.splitlines(keepends=True)
    at = chooser.randrange(len(lines))
    lines[at] = lines[at].replace(b'"fail"', b'"pass"').replace(b"1", b"2")
    estate.write(FINDINGS, b"".join(lines))
    return Tampering("change a finding", (FINDINGS,))


def _signed_anew(tamper: Tamper) -> Tamper:
    """Do it as one who holds the key: list the sums and sign them again."""

    def resigned(estate: Estate, chooser: random.Random) -> Tampering | None:
        done = tamper(estate, chooser)
        if done is None or state_of(estate.root) == estate.pristine:
            return None
        for name in (SUMS, SIGNATURE):
            (estate.root / name).unlink()
        try:
            write_sums(estate.root, estate.keys[-1])
        except (StoreError, OSError):
            return None  # a name that cannot be listed
        return done

    return resigned


def _pack_again(estate: Estate, chooser: random.Random) -> Tampering:
    """The same entries, compressed in another way."""
    packed = io.BytesIO()
    kind = chooser.choice([zipfile.ZIP_STORED, zipfile.ZIP_BZIP2])
    data = io.BytesIO(estate.bytes_of(ARCHIVE))
    with zipfile.ZipFile(data) as source, zipfile.ZipFile(packed, "w", kind) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    estate.write(ARCHIVE, packed.getvalue())
    return Tampering("pack a zip file again", (ARCHIVE,))


def _add_entry(estate: Estate, chooser: random.Random) -> Tampering:
    packed = io.BytesIO(estate.bytes_of(ARCHIVE))
    with zipfile.ZipFile(packed, "a") as archive:
        name = chooser.choice(["notes.txt", "../notes.txt", "/notes.txt", "a\\b", "log/x"])
        archive.writestr(name, b"x")
    estate.write(ARCHIVE, packed.getvalue())
    return Tampering("add an entry to a zip file", (ARCHIVE,))


def _sign_as_a_forger(estate: Estate, _: random.Random) -> Tampering:
    estate.write(ARCHIVE_SIGNATURE, new_key().sign(estate.bytes_of(ARCHIVE)))
    return Tampering("sign a zip file as a forger", (ARCHIVE_SIGNATURE,))
