"""Signing keys: ECDSA P-256 with an X.509 certificate, the pair that openssl, PAdES and DSSE share.

A key signs through a `Signer` of securesystemslib, wherever its private part is: in a file, on a
PKCS#11 token or in a cloud's key service (see `evidence.key_sources`). The certificate is
self-signed by default and names the organisation; its SHA-256 fingerprint is what an auditor pins.
"""

from __future__ import annotations

import datetime
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from securesystemslib.signer import CryptoSigner, Signer  # type: ignore[attr-defined]

from evidence.certificates import Certificate, public_key_of, self_signed
from evidence.errors import KeyFileError
from evidence.files import write_atomically
from evidence.key_files import OpenedKey, open_key_file, read_key_file
from evidence.key_uri import FileKey

__all__ = [
    "Certificate",
    "SigningKey",
    "load_certificate",
    "load_or_make_redaction_key",
    "load_signing_key",
    "make_signing_key",
    "refuse_to_overwrite",
    "save_signing_key",
]

_REDACTION_KEY_LENGTH = 32


@dataclass(frozen=True)
class SigningKey:
    """A certificate and the signer of its private key, wherever that is.

    The signer's signatures are named after the certificate: DSSE envelopes show its fingerprint.
    """

    certificate: Certificate
    signer: Signer

    def sign(self, data: bytes) -> bytes:
        """Return the ECDSA SHA-256 signature of `data` in DER, as openssl verifies it.

        Raises KeyServiceError when a key outside of this machine did not sign.
        """
        return bytes.fromhex(self.signer.sign(data).signature)

    @classmethod
    def of(cls, certificate: Certificate, signer: Signer, *, where: str) -> SigningKey:
        """Put a certificate and a signer together. Raises KeyFileError when they do not fit."""
        if public_key_of(signer) != certificate.public_key():
            raise KeyFileError(
                "the signing key and the certificate do not belong together",
                where=where,
                mend="Give the certificate that was made with this key.",
            )
        return cls(certificate, signer)


def make_signing_key(organisation: str, now: datetime.datetime) -> SigningKey:
    """Make a new ECDSA P-256 key and a self-signed certificate valid for five years."""
    opened = OpenedKey(ec.generate_private_key(ec.SECP256R1()))
    certificate = self_signed(organisation, opened.signer(), now)
    return SigningKey(certificate, opened.signer(certificate.fingerprint))


def save_signing_key(
    key: SigningKey, key_file: Path, certificate_file: Path, passphrase: str
) -> None:
    """Write the key (mode 0600) and the certificate; an empty passphrase leaves it unencrypted.

    Raises KeyFileError when one of the files exists already or the key is not in this machine's
    memory, StoreError when it cannot be written.
    """
    for file in (key_file, certificate_file):
        refuse_to_overwrite(file)
    if not isinstance(key.signer, CryptoSigner):
        raise KeyFileError(
            "this key never leaves its device and cannot be written to a file",
            where=key.certificate.subject,
            mend="Name it in signing: of auditpack.yaml instead.",
        )
    protection: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        protection = serialization.BestAvailableEncryption(passphrase.encode())
    pem = serialization.load_pem_private_key(key.signer.private_bytes, None).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection
    )
    key_file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(key_file, pem, mode=0o600)
    write_atomically(certificate_file, key.certificate.pem)


def refuse_to_overwrite(file: Path) -> None:
    """Raise KeyFileError when `file` exists: no key or certificate is ever replaced."""
    if file.exists():
        raise KeyFileError(
            "this file exists already and a key is never overwritten",
            where=str(file),
            mend="Move it away first, or go on using it.",
        )


def load_certificate(file: Path) -> Certificate:
    """Read a certificate from a PEM file. Raises KeyFileError."""
    if not file.exists():
        raise KeyFileError(
            "the signing key's certificate is not there",
            where=str(file),
            mend="Run `auditpack init` to make a key with its certificate. For a key that is there"
            " already, `auditpack keys certificate` makes one, and `auditpack keys csr` asks your"
            " certificate authority for one.",
        )
    return Certificate.from_pem(read_key_file(file), where=str(file))


def load_signing_key(key_file: Path, certificate_file: Path, passphrase: str) -> SigningKey:
    """Read a key file and its certificate. Raises KeyFileError with what is missing or wrong."""
    certificate = load_certificate(certificate_file)
    opened = open_key_file(FileKey(key_file), lambda _: passphrase)
    signer = opened.signer(certificate.fingerprint)
    return SigningKey.of(certificate, signer, where=f"{key_file}, {certificate_file}")


def load_or_make_redaction_key(path: Path) -> bytes:
    """Return the 32 secret bytes that key the digests of redacted values; make them if missing.

    Raises KeyFileError when the file holds fewer: digests under such a key could be guessed.
    """
    if path.exists():
        found = read_key_file(path)
        if len(found) < _REDACTION_KEY_LENGTH:
            raise KeyFileError(
                f"the redaction key is damaged: {len(found)} bytes, not {_REDACTION_KEY_LENGTH}",
                where=str(path),
                mend="Restore it from a copy, or remove it: later digests then compare no more.",
            )
        return found
    path.parent.mkdir(parents=True, exist_ok=True)
    secret = os.urandom(_REDACTION_KEY_LENGTH)
    write_atomically(path, secret, mode=0o600)
    return secret
