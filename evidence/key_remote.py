"""Keys outside of this machine's files: a signer over a device or service that signs digests.

securesystemslib has signers for the same devices and services. Ours are over the same official
libraries but differ where it matters to evidence: the key is opened once and not at each signature,
the region of an ARN is honoured, a PKCS#11 key is found by RFC 7512 attributes, endpoints and
credentials can be given, and every signature is checked before anyone writes it down.
"""

from __future__ import annotations

import hashlib
import threading
from typing import Any, NoReturn, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    Prehashed,
    encode_dss_signature,
)
from securesystemslib.signer import (  # type: ignore[attr-defined]
    Signature,
    Signer,
    SSlibKey,
)

from evidence.errors import AuditpackError, KeyFileError
from evidence.signatures import with_low_s

_COORDINATE = 32
"""Bytes of each half of a P-256 signature in the form that tokens and Azure give (r, then s)."""


class KeyServiceError(AuditpackError):
    """The device or service that holds the signing key did not sign, or not with that key."""


class KeyDevice(Protocol):
    """What holds a private ECDSA P-256 key and signs digests with it."""

    where: str
    public_key: ec.EllipticCurvePublicKey

    def sign_digest(self, digest: bytes) -> bytes:
        """Return the DER signature over a SHA-256 digest. Raises KeyServiceError."""


class RemoteSigner(Signer):
    """Signs through a device: hashes here, has the digest signed there, checks what came back."""

    def __init__(self, device: KeyDevice, keyid: str | None = None) -> None:
        self._device = device
        self._public_key = SSlibKey.from_crypto(device.public_key, keyid=keyid)
        # Sessions of tokens and of the clouds' clients are not all made for several threads.
        self._one_at_a_time = threading.Lock()

    @property
    def public_key(self) -> SSlibKey:
        """The public key in the form that DSSE verification takes."""
        return self._public_key

    @classmethod
    def from_priv_key_uri(cls, *arguments: Any, **options: Any) -> NoReturn:
        """Refuse: `evidence.key_sources.open_signer` is the way in."""
        raise NotImplementedError("use evidence.key_sources.open_signer")

    def sign(self, payload: bytes) -> Signature:
        """Sign `payload` with ECDSA SHA-256. Raises KeyServiceError."""
        digest = hashlib.sha256(payload).digest()
        with self._one_at_a_time:
            given = self._device.sign_digest(digest)
        signature = self._check(digest, given)
        return Signature(self._public_key.keyid, signature.hex())

    def _check(self, digest: bytes, given: bytes) -> bytes:
        """Return the signature in canonical form, once it is known to be one."""
        try:
            signature = with_low_s(given)
            algorithm = ec.ECDSA(Prehashed(hashes.SHA256()))
            self._device.public_key.verify(signature, digest, algorithm)
        except (ValueError, InvalidSignature) as error:
            raise KeyServiceError(
                "the key's device or service returned a signature that is not valid under its own"
                " public key",
                where=self._device.where,
                mend="Nothing was written. Check that signing.key still names the same key.",
            ) from error
        return signature


def der_signature(halves: bytes, *, where: str) -> bytes:
    """Return the DER form of a signature given as r and s side by side (32 bytes each).

    Raises KeyServiceError when it is not that long.
    """
    if len(halves) != 2 * _COORDINATE:
        raise KeyServiceError(f"the signature has {len(halves)} bytes and not 64", where=where)
    return encode_dss_signature(
        int.from_bytes(halves[:_COORDINATE], "big"), int.from_bytes(halves[_COORDINATE:], "big")
    )


def missing_library(kind: str, extra: str, error: ImportError) -> KeyFileError:
    """Return the error for a kind of key whose optional library is not installed."""
    return KeyFileError(
        f"signing with a key of {kind} needs a library that is not installed: {error.name}",
        mend=f"Run `pip install 'auditpack[{extra}]'`.",
    )
