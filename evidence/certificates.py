"""X.509 certificates of signing keys: read, checked against, and made for keys of every kind.

A certificate or a request is signed by the key that it is for, through its signer, so that a key
which never leaves its device gets one too. The shape is given by the `cryptography` builders; they
take private keys only, so they sign the shape with a key that is thrown away, and the signature of
the real key is put in its place.

Sources: RFC 5280 (certificates), RFC 2986 (requests), RFC 5480 (ECDSA keys in certificates).
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from securesystemslib.signer import Signer, SSlibKey  # type: ignore[attr-defined]

from evidence.errors import KeyFileError, VerificationError
from evidence.signatures import is_canonical

VALID_FOR = datetime.timedelta(days=5 * 365)
"""How long a certificate that we make is valid."""

_P256_MEND = (
    "Use an ECDSA key on the curve P-256 (secp256r1): it is what openssl, PDF readers and DSSE"
    " tools all verify. `auditpack init` makes one."
)
_SIGNED_WITH = {"algorithm": "sha256_ecdsa"}


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

    def valid_at(self, moment: datetime.datetime) -> bool:
        """Whether `moment` (with a time zone) lies in the validity, both ends included."""
        return self.x509.not_valid_before_utc <= moment <= self.x509.not_valid_after_utc

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """Return the public key. Raises KeyFileError when it is not ECDSA P-256."""
        return p256_public_key(self.x509.public_key(), where=self.subject)

    def verification_key(self) -> SSlibKey:
        """Return the public key in the form that DSSE verification takes."""
        return SSlibKey.from_crypto(self.public_key(), keyid=self.fingerprint)

    def check(self, data: bytes, signature: bytes, *, where: str = "") -> None:
        """Check an ECDSA SHA-256 signature (DER, as openssl makes it). Raises VerificationError.

        A signature with bytes added, or in another encoding, is refused.
        """
        try:
            if not is_canonical(signature):
                raise InvalidSignature
            self.public_key().verify(signature, data, ec.ECDSA(hashes.SHA256()))
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


def p256_public_key(public_key: Any, *, where: str) -> ec.EllipticCurvePublicKey:
    """Return `public_key` when it is ECDSA P-256. Raises KeyFileError that says what it is."""
    if not isinstance(public_key, ec.EllipticCurvePublicKey):
        found = type(public_key).__name__.lstrip("_").removesuffix("PublicKey") or "another"
        if isinstance(public_key, rsa.RSAPublicKey):
            found = f"RSA ({public_key.key_size} bits)"
        raise KeyFileError(
            f"this is not an elliptic-curve key of P-256 but {found}", where=where, mend=_P256_MEND
        )
    if not isinstance(public_key.curve, ec.SECP256R1):
        raise KeyFileError(
            f"this is an elliptic-curve key of {public_key.curve.name}, not of P-256",
            where=where,
            mend=_P256_MEND,
        )
    return public_key


def public_key_of(signer: Signer) -> ec.EllipticCurvePublicKey:
    """Return the public key that belongs to a signer's private key. Raises KeyFileError."""
    pem = str(signer.public_key.keyval["public"])
    return p256_public_key(serialization.load_pem_public_key(pem.encode()), where="signer")


def self_signed(organisation: str, signer: Signer, now: datetime.datetime) -> Certificate:
    """Make a certificate for a signer's key, signed by that key, valid for five years.

    Raises what the signer raises when it cannot sign.
    """
    from asn1crypto import x509 as asn1_x509

    public_key, name = public_key_of(signer), _name(organisation)
    shape = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + VALID_FOR)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    )
    to_be_signed = shape.tbs_certificate_bytes
    made = asn1_x509.Certificate(
        {
            "tbs_certificate": asn1_x509.TbsCertificate.load(to_be_signed),
            "signature_algorithm": _SIGNED_WITH,
            "signature_value": _signature(signer, to_be_signed),
        }
    )
    return Certificate(x509.load_der_x509_certificate(made.dump()))


def signing_request(organisation: str, signer: Signer) -> bytes:
    """Return a PKCS#10 request in PEM for a certificate of a signer's key.

    Raises what the signer raises when it cannot sign.
    """
    from asn1crypto import csr as asn1_csr
    from asn1crypto import keys as asn1_keys

    shape = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(_name(organisation))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(), critical=True)
        .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    )
    key_info = public_key_of(signer).public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    information = asn1_csr.CertificationRequestInfo.load(shape.tbs_certrequest_bytes)
    information["subject_pk_info"] = asn1_keys.PublicKeyInfo.load(key_info)
    made = asn1_csr.CertificationRequest(
        {
            "certification_request_info": information,
            "signature_algorithm": _SIGNED_WITH,
            "signature": _signature(signer, information.dump()),
        }
    )
    request = x509.load_der_x509_csr(made.dump())
    return request.public_bytes(serialization.Encoding.PEM)


def _signature(signer: Signer, data: bytes) -> bytes:
    return bytes.fromhex(signer.sign(data).signature)


def _name(organisation: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{organisation} audit evidence"),
        ]
    )


def _usage() -> x509.KeyUsage:
    """Signatures that stand for a person's or an organisation's commitment, and nothing else."""
    return x509.KeyUsage(
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
