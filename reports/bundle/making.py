"""Making a bundle: everything that an auditor needs for one pack, in a folder or a zip file.

It is an extract of the store in the store's own layout, so `auditpack verify PATH` checks it as it
checks a store. Captures are decompressed, because an auditor's machine need not have zstd.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from controls.assessment import Assessment
from evidence.bundle_verify import CHECKPOINT, FINDINGS, INSTRUCTIONS, archive_signature
from evidence.errors import UsageError
from evidence.files import write_atomically
from evidence.keys import SigningKey
from evidence.log import KEY, REVOCATION, LogRecord, record_name, require_active
from evidence.manifest import MANIFEST_NAME, read_manifest
from evidence.segments import SUFFIX, read_lines
from evidence.snapshot import Snapshot
from evidence.store import MARK_CONTENT, SEALED_KINDS, STORE_MARK, Store, certificate_name
from reports.bundle.findings import find_example, write_finding_lines
from reports.bundle.instructions import render
from reports.bundle.output import (
    ROOTS,
    ZIP,
    Progress,
    handed_over,
    no_progress,
    require_new,
    timestamp_roots,
)


@dataclass(frozen=True)
class Bundle:
    """A bundle that was made. `signature` is there for a zip file."""

    path: Path
    signature: Path | None
    pack: str
    assessment: str
    snapshot: str
    files: int
    checkpoint: str


@dataclass(frozen=True)
class _Chain:
    """The pack and what it rests on."""

    pack: str
    assessment: Assessment
    snapshot: Snapshot

    @property
    def sealed(self) -> tuple[tuple[str, str], ...]:
        return (
            ("snapshot", self.snapshot.id),
            ("assessment", self.assessment.id),
            ("pack", self.pack),
        )


def make_bundle(
    store: Store,
    key: SigningKey,
    output: Path,
    *,
    pack: str = "",
    assessment: str = "",
    tsa_roots: Sequence[x509.Certificate] = (),
    progress: Progress = no_progress,
) -> Bundle:
    """Bundle a pack (empty: the newest, or the newest of `assessment`) into `output`.

    Raises UsageError when `output` exists, StoreError when there is no such pack or something
    cannot be written, KeyFileError when the log does not have the key in use, VerificationError
    when the store is damaged.
    """
    require_new(output)
    records = store.log.records()
    require_active(records, [key])
    chain = _chain(store, pack, assessment)
    with handed_over(output, key) as folder:
        _copy_log(store, records, folder)
        files = _copy_sealed(store, chain, folder, progress)
        write_finding_lines(chain.assessment, folder / FINDINGS)
        write_atomically(folder / CHECKPOINT, records[-1].note.encode())
        roots = timestamp_roots(records, tsa_roots)
        if roots:
            write_atomically(folder / ROOTS, roots)
        write_atomically(folder / INSTRUCTIONS, _instructions(chain, key, records))
        progress(files, files, "verifying what was written")
    signature = archive_signature(output) if output.suffix == ZIP else None
    return Bundle(
        output,
        signature,
        chain.pack,
        chain.assessment.id,
        chain.snapshot.id,
        files,
        records[-1].note,
    )


def _chain(store: Store, pack: str, assessment: str) -> _Chain:
    if not pack and assessment:
        pack = _newest_pack_of(store, store.record("assessment", assessment).id)
    found = store.record("pack", pack).id
    judged = str(store.manifest("pack", found).predicate["assessment"]["id"])
    opened = Assessment.open(store, judged)
    return _Chain(found, opened, Snapshot.open(store, opened.snapshot_id))


def _newest_pack_of(store: Store, assessment: str) -> str:
    for name in reversed(store.sealed("pack")):
        if store.manifest("pack", name).predicate["assessment"]["id"] == assessment:
            return name
    raise UsageError(
        "there is no pack of this assessment yet",
        where=assessment,
        mend=f"Run `auditpack pack --assessment {assessment}` first.",
    )


def _copy_log(store: Store, records: Sequence[LogRecord], folder: Path) -> None:
    """Copy the log as it is now, and what its entries name: certificates and revocations."""
    write_atomically(folder / STORE_MARK, MARK_CONTENT)
    for record in records:
        names = [record_name(record.index)]
        if record.kind == KEY:
            names.append(certificate_name(record.id))
        elif record.kind == REVOCATION:
            names.append(f"revocations/{record.id}.json")
        for name in names:
            store.objects.fetch(name, folder / name)


def _copy_sealed(store: Store, chain: _Chain, folder: Path, progress: Progress) -> int:
    """Copy the sealed folders, captures as plain lines; return how many files there are."""
    wanted = []
    for kind, name in chain.sealed:
        source, target = store.find(kind, name), folder / SEALED_KINDS[kind] / name
        paths = [MANIFEST_NAME, *sorted(read_manifest(source).files)]
        wanted += [(source / path, target / path) for path in paths]
    for number, (source, target) in enumerate(wanted):
        progress(number, len(wanted), target.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.name.endswith(SUFFIX):
            _decompress(source, target.with_suffix(""))
        else:
            shutil.copyfile(source, target)
    return len(wanted)


def _decompress(source: Path, target: Path) -> None:
    with target.open("xb") as file:
        for line in read_lines(source):
            file.write(line + b"\n")


def _instructions(chain: _Chain, key: SigningKey, records: Sequence[LogRecord]) -> bytes:
    example = find_example(chain.assessment, chain.snapshot)
    return render(
        "bundle.md.j2",
        title=str(chain.snapshot.predicate["intent"]["organisation"]),
        pack=chain.pack,
        assessment=chain.assessment.id,
        snapshot=chain.snapshot.id,
        signer=key.certificate.fingerprint,
        origin=records[-1].checkpoint.origin,
        entries=len(records),
        root=records[-1].checkpoint.root.hex(),
        captures=chain.snapshot.predicate["merkle_tree"]["size"],
        findings=chain.assessment.results["findings"]["count"],
        stamped=sum(bool(record.timestamp) for record in records),
        example_line=example.line if example else 0,
        example_check=example.check_id if example else "",
        example_status=example.status if example else "",
    )
