"""Private keys in files: PKCS#8 PEM (`.pem`), and PKCS#12 (`.p12`, `.pfx`) with its certificate.

Sources: RFC 5958 (PKCS#8), RFC 7292 (PKCS#12).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs12
from securesystemslib.signer import (  # type: ignore[attr-defined]
    SecretsHandler,
    SSlibKey,
)

from evidence.certificates import Certificate, p256_public_key
from evidence.errors import KeyFileError
from evidence.key_uri import FileKey
from evidence.signatures import FileSigner

PASSPHRASE = "passphrase"
"""What a secrets handler is asked for when a key file is protected."""

_PASSPHRASE_MEND = "Set AUDITPACK_KEY_PASSPHRASE, or run the command in a terminal and type it."
_OWN_KEY_MEND = (
    "Ask for an ECDSA P-256 certificate instead: `auditpack init` makes such a key and `auditpack"
    " keys csr` the request for your certificate authority."
)


@dataclass(frozen=True)
class OpenedKey:
    """A private key from a file, and the certificate that lay in the file with it, if any."""

    private_key: ec.EllipticCurvePrivateKey
    certificate: Certificate | None = None

    def signer(self, keyid: str | None = None) -> FileSigner:
        """Return the key's signer; `keyid` names it in DSSE envelopes."""
        public_key = SSlibKey.from_crypto(self.private_key.public_key(), keyid=keyid)
        return FileSigner(self.private_key, public_key)


def read_key_file(path: Path) -> bytes:
    """Return a key or certificate file's bytes. Raises KeyFileError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise KeyFileError(
            f"the file could not be read: {error.strerror}",
            where=str(path),
            mend="Run `auditpack init` to make a key, or correct signing: in auditpack.yaml.",
        ) from error


def open_key_file(source: FileKey, secrets: SecretsHandler) -> OpenedKey:
    """Read a private key; `secrets` is asked for its passphrase only when it is protected.

    Raises KeyFileError when it is missing, locked, damaged, or not ECDSA P-256.
    """
    path = source.path
    data = read_key_file(path)
    if source.is_pkcs12:
        return _from_pkcs12(path, data, secrets)
    return OpenedKey(_checked(_from_pem(path, data, secrets), path))


def _from_pem(path: Path, data: bytes, secrets: SecretsHandler) -> Any:
    try:
        try:
            return serialization.load_pem_private_key(data, None)
        except TypeError:  # how the library says that a passphrase is needed
            passphrase = secrets(PASSPHRASE)
            if not passphrase:
                raise _locked(path) from None
            return serialization.load_pem_private_key(data, passphrase.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyFileError(
            "the signing key could not be read: wrong passphrase, or not a PEM private key",
            where=str(path),
            mend=_PASSPHRASE_MEND,
        ) from error


def _from_pkcs12(path: Path, data: bytes, secrets: SecretsHandler) -> OpenedKey:
    try:
        found = pkcs12.load_pkcs12(data, None)
    except ValueError:
        passphrase = secrets(PASSPHRASE)
        if not passphrase:
            raise _locked(path) from None
        found = _unlocked_pkcs12(path, data, passphrase)
    if found.key is None:
        raise KeyFileError(
            "this PKCS#12 file holds no private key",
            where=str(path),
            mend="Export it again together with the private key.",
        )
    private_key = _checked(found.key, path)
    certificate = Certificate(found.cert.certificate) if found.cert is not None else None
    return OpenedKey(private_key, certificate)


def _unlocked_pkcs12(path: Path, data: bytes, passphrase: str) -> pkcs12.PKCS12KeyAndCertificates:
    try:
        return pkcs12.load_pkcs12(data, passphrase.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyFileError(
            "the signing key could not be read: wrong passphrase, or not a PKCS#12 file",
            where=str(path),
            mend=f"{_PASSPHRASE_MEND} A file in an old encryption (RC2) is converted with"
            " `openssl pkcs12 -legacy`.",
        ) from error


def _locked(path: Path) -> KeyFileError:
    return KeyFileError(
        "the signing key is protected by a passphrase and none was given",
        where=str(path),
        mend=_PASSPHRASE_MEND,
    )


def _checked(private_key: Any, path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        p256_public_key(private_key.public_key(), where=str(path))
    except KeyFileError as error:
        raise KeyFileError(error.what, where=error.where, mend=_OWN_KEY_MEND) from error
    found: ec.EllipticCurvePrivateKey = private_key
    return found
