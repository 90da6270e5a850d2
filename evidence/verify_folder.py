"""Verification of one sealed folder: every file, and every record of a snapshot, is as sealed.

A bundle carries captures as plain lines, which everybody can read: `X.jsonl` stands there for the
sealed `X.jsonl.zst`. Its bytes have no digest in the manifest; each line is held against its leaf
hash, and the leaf hashes against the signed Merkle root.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from evidence.errors import VerificationError
from evidence.faults import VerificationReport
from evidence.files import sha256_of_file
from evidence.manifest import Manifest, files_below
from evidence.merkle import RootBuilder, leaf_hash, read_leaves
from evidence.segments import read_lines, read_plain_lines
from evidence.snapshot import LEAVES_FILE

COMPRESSED = ".zst"
"""Ending of a sealed segment, which a bundle's plain one does without."""

_CAPTURES = "captures"
"""The folder of segments in a snapshot."""

_THREADS = 4
"""Hashing and unpacking let go of Python's lock, so a few threads keep the cores busy."""


def verify_folder(
    folder: Path,
    where: str,
    manifest: Manifest,
    report: VerificationReport,
    *,
    plain_captures: bool = False,
) -> None:
    """Compare `folder` with its manifest and name what differs in `report` below `where`.

    With `plain_captures` the segments are expected decompressed, as a bundle has them.
    """
    present = set(files_below(folder))
    damaged = False
    segments = _segments(folder, manifest, plain=plain_captures)
    standing_in = {item.path for path, item in segments.items() if path != item.path}
    replaced = set(segments) if standing_in else set()
    with ThreadPoolExecutor(_THREADS) as pool:
        jobs = [
            (path, length, pool.submit(_file_fault, folder / path, digest, length))
            for path, (digest, length) in sorted(manifest.files.items())
            if path not in replaced
        ]
        for path, length, job in jobs:
            fault = job.result() if path in present else "is missing"
            if fault:
                damaged = True
                detail = _damaged_record(segments.get(path))
                report.fault(f"{where}/{path}", fault + detail)
            else:
                report.files += 1
                report.bytes += length
        for path in sorted(present - (set(manifest.files) - replaced) - standing_in):
            report.fault(f"{where}/{path}", "was added after sealing")
        for path in _empty_folders(folder):
            report.fault(f"{where}/{path}", "is an empty folder, added after sealing")
        leaves_damaged = any(f.path == f"{where}/{LEAVES_FILE}" for f in report.faults)
        if manifest.kind == "snapshot" and standing_in and leaves_damaged:
            _verify_root_alone(where, manifest, segments, report)
        elif manifest.kind == "snapshot" and (standing_in or not damaged):
            _verify_records(folder, where, manifest, segments, pool, report)


@dataclass(frozen=True)
class _Segment:
    """A segment of captures, and which of the leaf hashes its records were sealed with."""

    file: Path
    path: str
    leaves_file: Path
    start: int
    records: int

    def leaves(self) -> Iterator[bytes]:
        """Yield the leaf hashes of its records: fewer where their file is damaged, too."""
        if self.leaves_file.is_file():
            yield from read_leaves(self.leaves_file, self.start, self.records)

    def lines(self) -> Iterator[bytes]:
        """Yield its records. Raises VerificationError where it cannot be read."""
        read = read_lines if self.path.endswith(COMPRESSED) else read_plain_lines
        return read(self.file)


def _segments(folder: Path, manifest: Manifest, *, plain: bool) -> dict[str, _Segment]:
    """Return the segments that a snapshot's manifest names, by sealed path; {} where forged."""
    listed = manifest.predicate.get("segments")
    leaves = folder / LEAVES_FILE
    if manifest.kind != "snapshot" or not isinstance(listed, list):
        return {}
    if not leaves.is_file() and not plain:
        return {}
    found, start = {}, 0
    for segment in listed:
        if not _is_segment(segment, manifest):
            return {}
        path, records = segment["path"], segment["records"]
        here = path.removesuffix(COMPRESSED) if plain else path
        found[path] = _Segment(folder / here, here, leaves, start, records)
        start += records
    return found


def _is_segment(listed: object, manifest: Manifest) -> bool:
    return (
        isinstance(listed, dict)
        and listed.get("path") in manifest.files
        and isinstance(listed.get("records"), int)
        and listed["records"] >= 0
    )


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


def _damaged_record(segment: _Segment | None) -> str:
    """Name the first damaged record of a segment, where the leaf hashes still tell."""
    if segment is None or segment.file.is_symlink() or not segment.file.is_file():
        return ""
    fault, _ = _check_records(segment)
    return f"; {fault or 'every record is intact, only the compressed form differs'}"


def _check_records(segment: _Segment) -> tuple[str, int]:
    """Return what is wrong with the first damaged record, and the bytes of all that were read."""
    number = size = 0
    if segment.file.is_symlink() or not segment.file.is_file():
        return "is missing, or was replaced", size
    leaves = segment.leaves()
    try:
        for number, line in enumerate(segment.lines(), start=1):
            size += len(line) + 1
            if number > segment.records:
                return f"record {number} was added", size
            if leaf_hash(line) != next(leaves, b""):
                return f"the first changed record is {number}", size
    except VerificationError:
        return f"cannot be read after record {number}", size
    if number < segment.records:
        return f"record {number + 1} is missing", size
    return "", size


def _verify_records(
    folder: Path,
    where: str,
    manifest: Manifest,
    segments: dict[str, _Segment],
    pool: ThreadPoolExecutor,
    report: VerificationReport,
) -> None:
    """Hash every record, compare it with its leaf, and the leaves with the signed root."""
    for segment, (fault, size) in zip(
        segments.values(), pool.map(_check_records, segments.values()), strict=True
    ):
        report.evidence_bytes += size
        if fault:
            report.fault(f"{where}/{segment.path}", fault)
    if LEAVES_FILE not in manifest.files:
        report.fault(f"{where}/{LEAVES_FILE}", "was never sealed, so nothing vouches for a record")
        return
    builder = RootBuilder()
    for leaf in read_leaves(folder / LEAVES_FILE):
        builder.add(leaf)
    report.records += builder.size
    if not _is_signed_tree(builder, manifest):
        report.fault(where, "the Merkle root over its records is another")
    if builder.size != sum(segment.records for segment in segments.values()):
        report.fault(f"{where}/{LEAVES_FILE}", "does not have one leaf hash a record")


def _verify_root_alone(
    where: str, manifest: Manifest, segments: dict[str, _Segment], report: VerificationReport
) -> None:
    """Hold plain captures against the signed root: the leaf hashes are not what they were."""
    builder = RootBuilder()
    for segment in segments.values():
        if segment.file.is_symlink() or not segment.file.is_file():
            report.fault(f"{where}/{segment.path}", "is missing, or was replaced")
            continue
        try:
            for line in segment.lines():
                builder.add(leaf_hash(line))
        except VerificationError as error:
            report.fault(f"{where}/{segment.path}", error.what)
    if not _is_signed_tree(builder, manifest):
        report.fault(
            f"{where}/{_CAPTURES}",
            f"not all are as they were sealed: which, only an intact {LEAVES_FILE} would tell",
        )


def _is_signed_tree(builder: RootBuilder, manifest: Manifest) -> bool:
    tree = manifest.predicate.get("merkle_tree")
    said = (tree.get("root"), tree.get("size")) if isinstance(tree, dict) else ()
    return said == (builder.root().hex(), builder.size)
