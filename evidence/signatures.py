"""One form of an ECDSA signature: of (r, s) and (r, n - s), which both verify, the one with low s.

Without this, anybody could turn a signature into another one that verifies as well: a changed byte
that no check would see. Source: SEC 1, 4.1.4; the rule is that of BIP 146 ("LOW_S").
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from securesystemslib.signer import CryptoSigner, Signature  # type: ignore[attr-defined]

_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Order of the group of P-256 (SEC 2, 2.4.2)."""


def with_low_s(signature: bytes) -> bytes:
    """Return the canonical form of a DER signature. Raises ValueError when it is not DER."""
    r, s = decode_dss_signature(signature)
    return encode_dss_signature(r, min(s, _ORDER - s))


def is_canonical(signature: bytes) -> bool:
    """Whether a signature is DER, whole, and the one of its two forms that we write."""
    try:
        return with_low_s(signature) == signature
    except ValueError:
        return False


class FileSigner(CryptoSigner):
    """Signs with a private key in memory, in canonical form."""

    def sign(self, payload: bytes) -> Signature:
        """Sign `payload` with ECDSA SHA-256."""
        signature = super().sign(payload)
        return Signature(signature.keyid, with_low_s(bytes.fromhex(signature.signature)).hex())
