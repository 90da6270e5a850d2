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
from evidence.merkle import RootBuilder, leaf_hash
from evidence.segments import read_lines, read_plain_lines
from evidence.snapshot import LEAVES_FILE

COMPRESSED = ".zst"
"""Ending of a sealed segment, which a bundle's plain one does without."""

_HASH_LENGTH = 32
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
        if manifest.kind == "snapshot" and not (leaves_damaged if standing_in else damaged):
            _verify_records(folder, where, manifest, segments, pool, report)


@dataclass(frozen=True)
class _Segment:
    """A segment of captures, and the leaf hashes that its records were sealed with."""

    file: Path
    path: str
    leaves: tuple[bytes, ...]

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
    data = leaves.read_bytes() if leaves.is_file() else b""
    found, start = {}, 0
    for segment in listed:
        if not _is_segment(segment, manifest):
            return {}
        path, end = segment["path"], start + segment["records"]
        hashes = tuple(data[i * _HASH_LENGTH : (i + 1) * _HASH_LENGTH] for i in range(start, end))
        here = path.removesuffix(COMPRESSED) if plain else path
        found[path] = _Segment(folder / here, here, hashes)
        start = end
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
    try:
        for number, line in enumerate(segment.lines(), start=1):
            size += len(line) + 1
            if number > len(segment.leaves):
                return f"record {number} was added", size
            if leaf_hash(line) != segment.leaves[number - 1]:
                return f"the first changed record is {number}", size
    except VerificationError:
        return f"cannot be read after record {number}", size
    if number < len(segment.leaves):
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
    for leaf in _leaves((folder / LEAVES_FILE).read_bytes()):
        builder.add(leaf)
    report.records += builder.size
    tree = manifest.predicate.get("merkle_tree")
    said = (tree.get("root"), tree.get("size")) if isinstance(tree, dict) else ()
    if said != (builder.root().hex(), builder.size):
        report.fault(where, "the Merkle root over its records is another")
    if builder.size != sum(len(segment.leaves) for segment in segments.values()):
        report.fault(f"{where}/{LEAVES_FILE}", "does not have one leaf hash a record")


def _leaves(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), _HASH_LENGTH):
        yield data[start : start + _HASH_LENGTH]
