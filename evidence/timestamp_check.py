"""Checking RFC 3161 timestamps offline, today or in ten years.

A stored response is checked with nothing but its own bytes, the data it is about and, where the
reader has them, the roots that he trusts. Certificates are judged at the time that the token
names, so a token outlives the certificate that signed it.

asn1crypto decodes; pyHanko checks the CMS signature; its certificate validator checks the path
(RFC 5280), to any trusted certificate, self-signed or not: most tokens do not hold their root.
What RFC 3161 asks beyond that is checked here: status, imprint, the signer named in a signed
attribute, and an extended key usage that is critical and for timestamps alone.

Covered are the time, the imprint, every signed attribute, the signature, and the signer's
certificate; with roots also the chain. Nobody signs the status's text and the list of algorithms
before the content: another text there is still the same timestamp.

Sources: RFC 3161 sections 2.3 and 2.4.2, RFC 5816 (signing certificate, version 2), RFC 5652.
"""

from __future__ import annotations

import asyncio
import datetime
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from asn1crypto import cms, core, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from evidence.errors import VerificationError

_DIGESTS = frozenset({"sha256", "sha384", "sha512"})
"""What a TSA may sign with; weaker ones were broken before this format was written."""

_SIGNER_NAMED = frozenset({"signing_certificate", "signing_certificate_v2"})
"""The signed attributes that hold the digest of the signer's certificate: one must be there."""

_MEND = "It was changed, or belongs to something else. Get the original from whoever keeps it."


@dataclass(frozen=True)
class Timestamp:
    """A timestamp that was checked: at `time`, `authority` saw the data."""

    time: datetime.datetime
    """UTC, as the token says."""
    authority: str
    """Subject of the TSA's certificate, RFC 4514."""
    pinned: bool
    """Whether the chain ends in one of the roots that the reader gave; else it is only believed."""
    chain: tuple[str, ...]
    """The certificates from the TSA's up to the one that was trusted, PEM."""


@dataclass(frozen=True)
class Token:
    """The parts of a granted response that are looked at; nothing is checked yet but the form."""

    signed_data: cms.SignedData
    info: dict[str, Any]
    """The TSTInfo: `message_imprint`, `gen_time`, `nonce` and so on."""
    certificates: tuple[x509.Certificate, ...]

    @property
    def imprint(self) -> tuple[str, bytes]:
        """The name of the hash and the digest that was stamped."""
        imprint = self.info["message_imprint"]
        return imprint["hash_algorithm"]["algorithm"], imprint["hashed_message"]

    @property
    def time(self) -> datetime.datetime:
        """When the token says that it was made, UTC."""
        found: datetime.datetime = self.info["gen_time"]
        return found.astimezone(datetime.UTC)


class _Response(core.Sequence):  # type: ignore[misc]
    """TimeStampResp with the token OPTIONAL, as in RFC 3161: a refusal has none.

    asn1crypto's own declares it as required, and so cannot read why a request was refused.
    """

    _fields: ClassVar = [
        ("status", tsp.PKIStatusInfo),
        ("time_stamp_token", cms.ContentInfo, {"optional": True}),
    ]


def check_timestamp(
    response: bytes, data: bytes, *, roots: Sequence[x509.Certificate] = (), where: str = ""
) -> Timestamp:
    """Check a DER TimeStampResp over `data`; return what it says. No network, no clock.

    With `roots` the chain must end in one of them. Without, the chain inside the token is
    believed: that shows that nothing was changed, not who made it. Not to be called inside a
    running event loop. Raises VerificationError.
    """
    return check_digest_timestamp(response, hashlib.sha256(data).digest(), roots=roots, where=where)


def check_digest_timestamp(
    response: bytes, digest: bytes, *, roots: Sequence[x509.Certificate] = (), where: str = ""
) -> Timestamp:
    """Do the same where only the data's SHA-256 is at hand. Raises VerificationError."""
    token = read_response(response, where=where)
    if token.imprint != ("sha256", digest):
        raise VerificationError("the timestamp is about other data", where=where, mend=_MEND)
    try:
        signer = _check_signature(token)
        _require_timestamping(signer)
        chain = _path(signer, token, roots)
    except VerificationError as error:
        raise VerificationError(error.what, where=where, mend=_MEND) from error
    return Timestamp(
        time=token.time,
        authority=signer.subject.rfc4514_string(),
        pinned=bool(roots),
        chain=tuple(found.public_bytes(Encoding.PEM).decode() for found in chain),
    )


def read_response(response: bytes, *, where: str = "") -> Token:
    """Decode a granted response. Raises VerificationError when it is refused or malformed.

    Bytes added or missing anywhere make it malformed.
    """
    try:
        decoded = _Response.load(response, strict=True)
        status = decoded["status"].native
        if status["status"] != "granted":
            raise VerificationError(f"the authority refused: {_reason(status)}")
        signed_data = decoded["time_stamp_token"]["content"]
        content = signed_data["encap_content_info"]
        layers = (decoded, decoded["time_stamp_token"], signed_data, content)
        if not all(map(_is_whole, (*layers, *signed_data["signer_infos"]))):
            raise VerificationError("the timestamp response has parts that RFC 3161 does not know")
        info = content["content"].parsed
        if not isinstance(info, tsp.TSTInfo):
            raise VerificationError("the signed content is not a timestamp")
        certificates = tuple(
            x509.load_der_x509_certificate(found.chosen.dump())
            for found in signed_data["certificates"]
            if found.name == "certificate"
        )
        return Token(signed_data, info.native, certificates)
    except VerificationError as error:
        raise VerificationError(error.what, where=where, mend=_MEND) from error
    except Exception as error:  # any malformed byte ends here: the decoder raises many kinds
        raise VerificationError(
            "not an RFC 3161 timestamp response", where=where, mend=_MEND
        ) from error


def _is_whole(layer: core.Sequence) -> bool:
    """Whether the fields are all there is: asn1crypto reads over what follows them."""
    return bool(b"".join(layer[name].dump() for name in layer) == layer.contents)


def _reason(status: dict[str, Any]) -> str:
    """Return what a PKIStatusInfo says, in words."""
    texts = [*(status["status_string"] or ()), *sorted(status["fail_info"] or ())]
    return ": ".join([str(status["status"]), *texts])


def _check_signature(token: Token) -> x509.Certificate:
    """Check that the token is signed by the certificate that it names; return that certificate."""
    from pyhanko.sign.general import extract_signer_info
    from pyhanko.sign.validation.generic_cms import (
        extract_certs_for_validation,
        validate_sig_integrity,
    )

    try:
        signer_info = extract_signer_info(token.signed_data)
        algorithm = signer_info["digest_algorithm"]["algorithm"].native
        if algorithm not in _DIGESTS:
            raise VerificationError(f"the timestamp is signed over {algorithm}, which is too weak")
        if not _SIGNER_NAMED & {found["type"].native for found in signer_info["signed_attrs"]}:
            raise VerificationError("the timestamp does not name its signer")
        # Picks the certificate and holds it against the digest in the signed attribute.
        signer = extract_certs_for_validation(token.signed_data).signer_cert
        content = bytes(token.signed_data["encap_content_info"]["content"])
        intact, valid = validate_sig_integrity(
            signer_info, signer, "tst_info", hashlib.new(algorithm, content).digest()
        )
        found = x509.load_der_x509_certificate(signer.dump())
    except VerificationError:
        raise
    except Exception as error:  # pyHanko raises many kinds on hostile bytes
        raise VerificationError(f"the timestamp's signature is invalid: {_line(error)}") from error
    if not (intact and valid):
        raise VerificationError("the timestamp's signature is not valid")
    return found


def _require_timestamping(signer: x509.Certificate) -> None:
    """RFC 3161, 2.3: one extended key usage, timeStamping, and critical."""
    try:
        usage = signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
        only = usage.critical and list(usage.value) == [ExtendedKeyUsageOID.TIME_STAMPING]
    except (x509.ExtensionNotFound, ValueError):
        only = False
    if not only:
        raise VerificationError(
            "the signer's certificate is not for timestamps alone (critical extended key usage)"
        )


def _path(
    signer: x509.Certificate, token: Token, roots: Sequence[x509.Certificate]
) -> tuple[x509.Certificate, ...]:
    """Return the path from the signer to a trusted certificate, valid when the token was made."""
    from pyhanko_certvalidator import CertificateValidator, ValidationContext

    try:
        # Where the signer itself is trusted, the validator would not ask for its dates.
        if not signer.not_valid_before_utc <= token.time <= signer.not_valid_after_utc:
            raise VerificationError("the signer's certificate was not valid when it signed")
        anchors = roots or _tops(token.certificates)
        context = ValidationContext(
            trust_roots=[_asn1(found) for found in anchors],
            other_certs=[_asn1(found) for found in token.certificates],
            moment=token.time,
            time_tolerance=datetime.timedelta(0),
            allow_fetching=False,
        )
        validator = CertificateValidator(_asn1(signer), validation_context=context)
        path = list(asyncio.run(validator.async_validate_path()))
        return tuple(x509.load_der_x509_certificate(step.dump()) for step in reversed(path))
    except VerificationError:
        raise
    except Exception as error:  # one kind a cause, and more on hostile bytes
        raise VerificationError(f"the timestamp's chain is not valid: {_line(error)}") from error


def _tops(certificates: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """Return the certificates that no other one in the token issued."""
    return [
        found
        for found in certificates
        if not any(other.subject == found.issuer for other in certificates if other != found)
    ]


def _line(error: Exception) -> str:
    """Return an error's text in one line: it is recorded where a timestamp is missing."""
    return " ".join(str(error).split()) or type(error).__name__


def _asn1(certificate: x509.Certificate) -> asn1_x509.Certificate:
    """Return the certificate as pyHanko's validator takes it."""
    return asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER))
