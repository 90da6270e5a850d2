"""SHA256SUMS: what lies in a folder that is handed over, in the form that `sha256sum -c` reads.

The list names every other file of the folder; `SHA256SUMS.sig` is a signature over it (ECDSA with
SHA-256, DER) that `openssl dgst -sha256 -verify` checks. With both, a byte that was changed, a file
that is missing and one that was added are all found.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from evidence.errors import StoreError, VerificationError
from evidence.faults import VerificationReport
from evidence.files import sha256_of_file, write_atomically
from evidence.keys import Certificate, SigningKey

SUMS = "SHA256SUMS"
SIGNATURE = "SHA256SUMS.sig"

_LINE = re.compile(r"([0-9a-f]{64})  (\S[^\\\r\n]*)")


def read_member(folder: Path, name: str) -> bytes:
    """Return the bytes of a file of a folder that came from elsewhere.

    Raises VerificationError when it is not a file at all: reading a pipe would never end, and a
    link leads anywhere.
    """
    path = folder / name
    if path.is_symlink() or not path.is_file():
        raise VerificationError("is missing, or was replaced", where=name)
    try:
        return path.read_bytes()
    except OSError as error:
        raise VerificationError(f"cannot be read: {error.strerror}", where=name) from error


def write_sums(folder: Path, key: SigningKey) -> None:
    """List every file of `folder`, and sign the list. Raises StoreError."""
    sums = {name: sha256_of_file(folder / name) for name in sorted(_files(folder))}
    for name in sums:
        if not _LINE.fullmatch(f"{'0' * 64}  {name}"):
            raise StoreError("a file's name cannot stand in a list of sums", where=repr(name))
    data = _render(sums).encode()
    write_atomically(folder / SUMS, data)
    write_atomically(folder / SIGNATURE, key.sign(data))


def read_sums(folder: Path) -> dict[str, str]:
    """Return name -> SHA-256. Raises VerificationError unless it is exactly what we write."""
    data = read_member(folder, SUMS)
    try:
        text = data.decode()
        sums = dict(_parsed(line) for line in text.split("\n")[:-1])
    except ValueError as error:
        raise VerificationError(f"is not a list of SHA-256 sums: {error}", where=SUMS) from error
    if not sums or _render(sums) != text or list(sums) != sorted(sums):
        raise VerificationError("is not as it was written", where=SUMS)
    return sums


def signer_of_sums(folder: Path, certificates: Iterable[Certificate]) -> Certificate:
    """Return which of the certificates signed the list. Raises VerificationError when none did."""
    signature, data = read_member(folder, SIGNATURE), read_member(folder, SUMS)
    for certificate in certificates:
        try:
            certificate.check(data, signature)
        except VerificationError:
            continue
        return certificate
    raise VerificationError(
        f"is not a signature over {SUMS} by a key that the log has in use", where=SIGNATURE
    )


def check_sums(folder: Path, sums: Mapping[str, str], report: VerificationReport) -> None:
    """Name what `folder` has otherwise than the list says, where no fault names it already."""
    named = {fault.path for fault in report.faults}
    found = {
        name: fault for name, digest in sums.items() if (fault := _fault(folder, name, digest))
    }
    for name in sorted(_files(folder) - set(sums)):
        found.setdefault(name, f"was added: {SUMS} does not list it")
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found.setdefault(name, "was replaced by a link, or is an added one")
        elif not path.is_file() and not (path.is_dir() and any(path.iterdir())):
            found.setdefault(name, "was added: an empty folder, or no file at all")
    for name, what in sorted(found.items()):
        if name not in named:
            report.fault(name, what)


def _fault(folder: Path, name: str, digest: str) -> str:
    path = folder / name
    if path.is_symlink():
        return "was replaced by a link"
    if not path.is_file():
        return "is missing"
    return (
        "" if sha256_of_file(path) == digest else f"has changed bytes ({SUMS} has another digest)"
    )


def _files(folder: Path) -> set[str]:
    found = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {path.relative_to(folder).as_posix() for path in found} - {SUMS, SIGNATURE}


def _parsed(line: str) -> tuple[str, str]:
    match = _LINE.fullmatch(line)
    if match is None:
        raise ValueError(f"a line that is not a digest and a name: {line[:80]!r}")
    digest, name = match.groups()
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or path.as_posix() != name:
        raise ValueError(f"a name that leads elsewhere: {name[:80]!r}")
    return name, digest


def _render(sums: Mapping[str, str]) -> str:
    return "".join(f"{digest}  {name}\n" for name, digest in sums.items())
