"""Manifests: an in-toto Statement that names every file of a sealed folder, in a DSSE envelope.

The statement's subjects are the files with their SHA-256; its predicate says what the folder is,
and the size and root of the log before it, so that a manifest vouches for what was sealed earlier.

Sources: in-toto Attestation Framework, Statement v1; DSSE v1 (github.com/secure-systems-lab/dsse).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError as SignatureError

from evidence.canonical import canonical_json, sha256_hex
from evidence.errors import VerificationError
from evidence.files import sha256_of_file, write_atomically
from evidence.keys import Certificate, SigningKey
from evidence.signatures import is_canonical

MANIFEST_NAME = "manifest.dsse.json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_PREFIX = "urn:auditpack:predicate:"


@dataclass(frozen=True)
class Manifest:
    """A manifest that was read and whose form was checked. `digest` is that of the whole file."""

    kind: str
    files: dict[str, tuple[str, int]]
    """Path in the folder -> (SHA-256, length in bytes)."""
    predicate: dict[str, Any]
    digest: str
    signed_by: str
    envelope: Envelope


def seal_folder(folder: Path, kind: str, predicate: dict[str, Any], key: SigningKey) -> str:
    """Write the signed manifest over every file in `folder`; return the manifest's SHA-256.

    The manifest is the last file written: a folder without one is not sealed.
    """
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": [_subject(folder, path) for path in files_below(folder)],
        "predicateType": f"{PREDICATE_PREFIX}{kind}:v1",
        "predicate": predicate,
    }
    envelope = Envelope(canonical_json(statement), PAYLOAD_TYPE, {})
    envelope.sign(key.signer)
    data = canonical_json(envelope.to_dict())
    write_atomically(folder / MANIFEST_NAME, data)
    return sha256_hex(data)


def files_below(folder: Path) -> list[str]:
    """Return the paths of all files below `folder` but its manifest, sorted, with `/`."""
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if _is_file(path))
    return sorted(path for path in found if path != MANIFEST_NAME)


def _is_file(path: Path) -> bool:
    return path.is_symlink() or not path.is_dir()


def _subject(folder: Path, path: str) -> dict[str, Any]:
    return {
        "name": path,
        "digest": {"sha256": sha256_of_file(folder / path)},
        "annotations": {"length": (folder / path).stat().st_size},
    }


def read_manifest(folder: Path, *, data: bytes | None = None, where: str = "") -> Manifest:
    """Read the manifest of `folder`, or its bytes `data`, and check its form, not its signature.

    Raises VerificationError when it is missing, is not byte for byte what we write, or is not a
    statement of ours.
    """
    path = folder / MANIFEST_NAME
    where = where or str(path)
    if data is None:
        if path.is_symlink():
            raise VerificationError("the manifest was replaced by a link", where=where)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise VerificationError("the manifest is missing", where=where) from error
    try:
        envelope = Envelope.from_dict(orjson.loads(data))
        same = canonical_json(envelope.to_dict()) == data
        same &= envelope.payload_type == PAYLOAD_TYPE
        statement = orjson.loads(envelope.payload)
        files = {
            subject["name"]: (subject["digest"]["sha256"], subject["annotations"]["length"])
            for subject in statement["subject"]
        }
        kind = statement["predicateType"].removeprefix(PREDICATE_PREFIX).removesuffix(":v1")
        signed_by = ",".join(envelope.signatures)
        same &= statement["_type"] == STATEMENT_TYPE
        predicate = dict(statement["predicate"])
        same &= len(files) == len(statement["subject"])
        same &= all(isinstance(d, str) and type(n) is int for d, n in files.values())
    except Exception as error:  # any malformed byte ends here: the library raises many kinds
        raise VerificationError(
            f"the manifest is not a DSSE envelope over an in-toto statement: {error}",
            where=where,
        ) from error
    if not same:
        raise VerificationError("the manifest's bytes were changed", where=where)
    return Manifest(kind, files, predicate, sha256_hex(data), signed_by, envelope)


def check_files(folder: Path, manifest: Manifest) -> None:
    """Check that `folder` holds exactly the files of its manifest. Raises VerificationError."""
    present = set(files_below(folder))
    for path, (digest, length) in sorted(manifest.files.items()):
        file = folder / path
        if path not in present or file.is_symlink() or file.stat().st_size != length:
            raise VerificationError(
                "a sealed file is missing or has another length", where=str(file)
            )
        if sha256_of_file(file) != digest:
            raise VerificationError("a sealed file has changed bytes", where=str(file))
    for path in sorted(present - set(manifest.files)):
        raise VerificationError("a file was added after sealing", where=str(folder / path))


def check_canonical(envelope: Envelope) -> None:
    """Check that every signature has the one form that we write. Raises SignatureError."""
    for signature in envelope.signatures.values():
        if not is_canonical(bytes.fromhex(signature.signature)):
            raise SignatureError("a signature is not in canonical form")


def check_signature(manifest: Manifest, certificate: Certificate, *, where: str) -> None:
    """Check the manifest's signature against `certificate`. Raises VerificationError."""
    try:
        manifest.envelope.verify([certificate.verification_key()], 1)
        check_canonical(manifest.envelope)
    except SignatureError as error:
        raise VerificationError(
            f"the manifest's signature is not valid under {certificate.fingerprint[:16]}",
            where=where,
            mend="The manifest was changed after signing, or signed with another key.",
        ) from error
    if len(manifest.envelope.signatures) != 1:
        raise VerificationError("the manifest has signatures that nobody made here", where=where)
