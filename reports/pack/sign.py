"""Signing a PDF: PAdES baseline, a certification signature after which nothing may be changed.

pyHanko's writer and session take the time from the clock; both are pinned here, so that a signed
pack says when it was signed and nothing else that depends on the moment.
"""

from __future__ import annotations

import datetime
from io import BytesIO
from typing import Any

from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives import serialization
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.misc import PdfError
from pyhanko.sign.fields import MDPPerm, SigFieldSpec, SigSeedSubFilter
from pyhanko.sign.general import SigningError
from pyhanko.sign.signers import PdfSignatureMetadata, PdfSigner, Signer
from pyhanko.sign.signers.constants import ESIC_EXTENSION_1
from pyhanko.sign.timestamps import TimeStamper

from evidence.keys import SigningKey
from reports.pack.errors import PackError

FIELD = "AuditpackSignature"
"""Name of the signature's form field."""

_DIGEST = "sha256"
_LONGEST_SIGNATURE = 72
"""Bytes of a DER signature of P-256 at most: two integers of 33 bytes, each with its header."""


class _Writer(IncrementalPdfFileWriter):
    """Leaves title, dates and producer as rendered: they agree with each other and with XMP."""

    def _update_meta(self) -> None:
        pass


class _Signer(PdfSigner):
    """Signs at a given time instead of the clock's, and keeps the PDF at version 1.7."""

    def __init__(self, *args: Any, signed_at: datetime.datetime, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._signed_at = signed_at

    def init_signing_session(self, *args: Any, **kwargs: Any) -> Any:
        """Return pyHanko's session, with the given time as its time."""
        session = super().init_signing_session(*args, **kwargs)
        session.system_time = self._signed_at
        return session

    def register_extensions(self, pdf_out: Any, *, md_algorithm: str) -> None:
        """Declare PAdES only: for ECDSA pyHanko would raise the version to 2.0, past PDF/A-3."""
        del md_algorithm
        pdf_out.register_extension(ESIC_EXTENSION_1)


class _KeySigner(Signer):
    """Makes the CMS signature with our key, wherever its private part is."""

    def __init__(self, key: SigningKey) -> None:
        der = key.certificate.x509.public_bytes(serialization.Encoding.DER)
        super().__init__(signing_cert=asn1_x509.Certificate.load(der))
        self._key = key

    async def async_sign_raw(
        self, data: bytes, digest_algorithm: str, dry_run: bool = False
    ) -> bytes:
        """Return the DER signature of `data`; of a dry run, as many bytes as it can have."""
        if digest_algorithm != _DIGEST:
            raise SigningError(f"the key signs SHA-256 digests, not {digest_algorithm}")
        return bytes(_LONGEST_SIGNATURE) if dry_run else self._key.sign(data)


def sign_pdf(
    pdf: bytes,
    key: SigningKey,
    *,
    organisation: str,
    reason: str,
    signed_at: datetime.datetime,
    timestamper: TimeStamper | None = None,
) -> bytes:
    """Return `pdf` with the signature of `key` appended.

    With a `timestamper` the signature holds an RFC 3161 timestamp of itself (PAdES B-T). What the
    timestamper raises goes through, so that the caller can sign again without one. Raises
    PackError, and KeyServiceError when a key outside of this machine did not sign.
    """
    metadata = PdfSignatureMetadata(
        field_name=FIELD,
        md_algorithm=_DIGEST,
        name=organisation,
        reason=reason,
        location=organisation,
        contact_info=f"certificate SHA-256 {key.certificate.fingerprint}",
        certify=True,
        docmdp_permissions=MDPPerm.NO_CHANGES,
        subfilter=SigSeedSubFilter.PADES,
    )
    try:
        signer = _Signer(
            metadata,
            _KeySigner(key),
            timestamper=timestamper,
            new_field_spec=SigFieldSpec(FIELD),
            signed_at=signed_at,
        )
        signed: BytesIO = signer.sign_pdf(_Writer(BytesIO(pdf)))
    except (SigningError, PdfError, ValueError) as error:
        raise PackError(
            f"the pack could not be signed: {error}",
            where=key.certificate.subject,
            mend="Check the signing key and its certificate with `auditpack keys`.",
        ) from error
    return signed.getvalue()
