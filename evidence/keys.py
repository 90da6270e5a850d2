"""Signing keys: ECDSA P-256 with an X.509 certificate, the pair that openssl, PAdES and DSSE share.

The private key is a PKCS#8 PEM file (mode 0600, encrypted when there is a passphrase); the
certificate is self-signed by default and names the organisation. Its SHA-256 fingerprint is what
an auditor pins.
"""

from __future__ import annotations

import datetime
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.x509.oid import NameOID
from securesystemslib.signer import CryptoSigner, SSlibKey  # type: ignore[attr-defined]

from evidence.errors import KeyFileError, VerificationError
from evidence.files import write_atomically

_REDACTION_KEY_LENGTH = 32
_VALID_FOR = datetime.timedelta(days=5 * 365)
_PASSPHRASE_MEND = "Set AUDITPACK_KEY_PASSPHRASE, or run the command in a terminal and type it."


@dataclass(frozen=True)
class Certificate:
    """An X.509 certificate and the fingerprint that names it."""

    x509: x509.Certificate

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the DER certificate, as `openssl x509 -fingerprint -sha256` computes it."""
        return self.x509.fingerprint(hashes.SHA256()).hex()

    @property
    def pem(self) -> bytes:
        """The certificate as PEM."""
        return self.x509.public_bytes(serialization.Encoding.PEM)

    @property
    def subject(self) -> str:
        """The subject as an RFC 4514 string."""
        return self.x509.subject.rfc4514_string()

    def verification_key(self) -> SSlibKey:
        """Return the public key in the form that DSSE verification takes."""
        return SSlibKey.from_crypto(_ec_public_key(self.x509), keyid=self.fingerprint)

    def check(self, data: bytes, signature: bytes, *, where: str = "") -> None:
        """Check an ECDSA SHA-256 signature (DER, as openssl makes it). Raises VerificationError.

        A signature with bytes added, or in another encoding, is refused.
        """
        try:
            if encode_dss_signature(*decode_dss_signature(signature)) != signature:
                raise InvalidSignature
            _ec_public_key(self.x509).verify(signature, data, ec.ECDSA(hashes.SHA256()))
        except (ValueError, InvalidSignature) as error:
            raise VerificationError(
                f"the signature is not valid under {self.fingerprint[:16]}",
                where=where,
                mend="It was changed after signing, or made with another key.",
            ) from error

    @classmethod
    def from_pem(cls, data: bytes, *, where: str = "") -> Certificate:
        """Read a PEM certificate. Raises KeyFileError."""
        try:
            return cls(x509.load_pem_x509_certificate(data))
        except ValueError as error:
            raise KeyFileError(
                f"not an X.509 certificate in PEM: {error}",
                where=where,
                mend="Give the certificate that `auditpack init` made, or your own as PEM.",
            ) from error


@dataclass(frozen=True)
class SigningKey:
    """A private key with its certificate, able to sign."""

    private_key: ec.EllipticCurvePrivateKey
    certificate: Certificate

    def signer(self) -> CryptoSigner:
        """Return the DSSE signer of this key."""
        return CryptoSigner(self.private_key, self.certificate.verification_key())

    def sign(self, data: bytes) -> bytes:
        """Return the ECDSA SHA-256 signature of `data` in DER, as openssl verifies it."""
        return bytes.fromhex(self.signer().sign(data).signature)


def make_signing_key(organisation: str, now: datetime.datetime) -> SigningKey:
    """Make a new ECDSA P-256 key and a self-signed certificate valid for five years."""
    private_key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{organisation} audit evidence"),
        ]
    )
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    identifier = x509.SubjectKeyIdentifier.from_public_key(private_key.public_key())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + _VALID_FOR)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(identifier, critical=False)
        .sign(private_key, hashes.SHA256())
    )
    return SigningKey(private_key, Certificate(certificate))


def save_signing_key(
    key: SigningKey, key_file: Path, certificate_file: Path, passphrase: str
) -> None:
    """Write the key (mode 0600) and the certificate; an empty passphrase leaves it unencrypted.

    Raises KeyFileError when one of the files exists already, StoreError when it cannot be written.
    """
    for file in (key_file, certificate_file):
        if file.exists():
            raise KeyFileError(
                "this file exists already and a key is never overwritten",
                where=str(file),
                mend="Move it away first, or go on using it.",
            )
    protection: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        protection = serialization.BestAvailableEncryption(passphrase.encode())
    pem = key.private_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection
    )
    key_file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(key_file, pem, mode=0o600)
    write_atomically(certificate_file, key.certificate.pem)


def load_certificate(file: Path) -> Certificate:
    """Read a certificate from a PEM file. Raises KeyFileError."""
    return Certificate.from_pem(_read(file), where=str(file))


def load_signing_key(key_file: Path, certificate_file: Path, passphrase: str) -> SigningKey:
    """Read a key and its certificate. Raises KeyFileError with what is missing or wrong."""
    certificate = load_certificate(certificate_file)
    data = _read(key_file)
    try:
        private_key = serialization.load_pem_private_key(
            data, passphrase.encode() if passphrase else None
        )
    except TypeError as error:
        if not passphrase:
            raise KeyFileError(
                "the signing key is protected by a passphrase and none was given",
                where=str(key_file),
                mend=_PASSPHRASE_MEND,
            ) from error
        private_key = serialization.load_pem_private_key(data, None)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyFileError(
            "the signing key could not be read: wrong passphrase, or not a PEM private key",
            where=str(key_file),
            mend=_PASSPHRASE_MEND,
        ) from error
    if not isinstance(private_key, ec.EllipticCurvePrivateKey):
        raise KeyFileError(
            "the signing key is not an elliptic-curve key",
            where=str(key_file),
            mend="Use an ECDSA P-256 key, as `auditpack init` makes it.",
        )
    if private_key.public_key() != certificate.x509.public_key():
        raise KeyFileError(
            "the signing key and the certificate do not belong together",
            where=f"{key_file}, {certificate_file}",
            mend="Give the certificate that was made with this key.",
        )
    return SigningKey(private_key, certificate)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise KeyFileError(
            f"the file could not be read: {error.strerror}",
            where=str(path),
            mend="Run `auditpack init` to make a key, or correct signing: in auditpack.yaml.",
        ) from error


def _ec_public_key(certificate: x509.Certificate) -> ec.EllipticCurvePublicKey:
    public_key = certificate.public_key()
    if not isinstance(public_key, ec.EllipticCurvePublicKey):
        raise KeyFileError(
            "the certificate's key is not an elliptic-curve key",
            where=certificate.subject.rfc4514_string(),
            mend="Use an ECDSA P-256 certificate.",
        )
    return public_key


def load_or_make_redaction_key(path: Path) -> bytes:
    """Return the 32 secret bytes that key the digests of redacted values; make them if missing.

    Raises KeyFileError when the file holds fewer: digests under such a key could be guessed.
    """
    if path.exists():
        found = _read(path)
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
