"""Where something that is handed over is written: whole and checked, or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from evidence.bundle_verify import archive_signature, verify_bundle
from evidence.checksums import write_sums
from evidence.errors import UsageError, VerificationError
from evidence.files import mapped, write_atomically
from evidence.keys import SigningKey
from evidence.log import LogRecord
from evidence.timestamps import check_timestamp
from evidence.verify import Trust
from reports.bundle.archive import write_zip

ROOTS = "timestamp-roots.pem"
"""Certificates that the timestamps lead to, for `openssl ts -verify`."""

ZIP = ".zip"

Progress = Callable[[int, int, str], None]
"""Is told how many of how many things are done, and which one comes now."""


def no_progress(_done: int, _total: int, _detail: str) -> None:
    """Show nothing."""


def require_new(output: Path) -> None:
    """Raise UsageError when there is something at `output`: nothing is ever overwritten."""
    signature = archive_signature(output)
    for path in (output, signature) if output.suffix == ZIP else (output,):
        if path.is_dir() and not any(path.iterdir()):
            continue
        if path.exists() or path.is_symlink():
            raise UsageError(
                "this exists already and is not overwritten",
                where=str(path),
                mend="Name another --output, or move it away.",
            )


@contextmanager
def handed_over(output: Path, key: SigningKey) -> Iterator[Path]:
    """Give a folder to fill; it is then listed, signed, verified, and put at `output`.

    An output that ends in `.zip` becomes a zip file with its signature beside it. Raises UsageError
    when there is something already, VerificationError when what was written does not verify (then
    the store is damaged), StoreError when it cannot be written.
    """
    require_new(output)
    part = output.with_name(f"{output.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
        yield part
        write_sums(part, key)
        _require_sound(part)
        if output.suffix == ZIP:
            _write_archive(part, output, key)
        else:
            if output.exists():
                output.rmdir()
            part.rename(output)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _require_sound(folder: Path) -> None:
    report = verify_bundle(folder, Trust())
    if not report.ok:
        fault = report.faults[0]
        raise VerificationError(
            f"what was written does not verify, and was removed: {fault.what}",
            where=fault.path,
            mend="The store is damaged: `auditpack verify` names everything that is wrong.",
        )


def _write_archive(folder: Path, output: Path, key: SigningKey) -> None:
    part = output.with_name(f"{output.name}.part.zip")
    try:
        write_zip(folder, part)
        with mapped(part) as data:
            signature = key.sign(data)
        write_atomically(archive_signature(output), signature)
        part.rename(output)
    finally:
        part.unlink(missing_ok=True)


def timestamp_roots(records: Sequence[LogRecord], configured: Sequence[x509.Certificate]) -> bytes:
    """Return as PEM what the records' timestamps lead to: the configured roots, else the ends of
    the chains that lie in the timestamps themselves. Empty when there are no timestamps.
    """
    stamped = [record for record in records if record.timestamp]
    if not stamped:
        return b""
    if configured:
        return b"".join(root.public_bytes(Encoding.PEM) for root in configured)
    ends: dict[str, None] = {}
    for record in stamped:
        found = check_timestamp(record.timestamp, record.note.encode())
        ends[found.chain[-1]] = None
    return "".join(ends).encode()
