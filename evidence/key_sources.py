"""Opening the signing key that a configuration names, whatever holds it.

Every kind ends as a `Signer` of securesystemslib, which is all that sealing, the log and the PDF
signature know. Libraries of clouds and tokens are imported only when a key of theirs is opened.
"""

from __future__ import annotations

import datetime
from pathlib import Path

from securesystemslib.signer import SecretsHandler, Signer  # type: ignore[attr-defined]

from evidence.certificates import Certificate, self_signed
from evidence.key_files import open_key_file
from evidence.key_remote import KeyDevice, RemoteSigner
from evidence.key_uri import AwsKey, AzureKey, FileKey, GoogleKey, KeySource, TokenKey
from evidence.keys import SigningKey, load_certificate

__all__ = ["certificate_for", "load_key", "open_signer"]


def open_signer(source: KeySource, secrets: SecretsHandler, keyid: str | None = None) -> Signer:
    """Open a key and return its signer; `keyid` names it in DSSE envelopes.

    `secrets` is asked for a "passphrase" or a "PIN" where one is needed, and returns "" when there
    is none. Raises KeyFileError when the key is missing, locked or not ECDSA P-256, and
    KeyServiceError when its device or service does not answer.
    """
    if isinstance(source, FileKey):
        return open_key_file(source, secrets).signer(keyid)
    return RemoteSigner(_device(source, secrets), keyid)


def load_key(source: KeySource, certificate_file: Path, secrets: SecretsHandler) -> SigningKey:
    """Open a key with its certificate, which has to be of that key.

    A PKCS#12 file brings its certificate along: it is taken where `certificate_file` is missing.
    Raises as `open_signer`, and KeyFileError when the certificate is missing or another key's.
    """
    if isinstance(source, FileKey) and source.is_pkcs12 and not certificate_file.exists():
        opened = open_key_file(source, secrets)
        if opened.certificate is not None:
            inside = opened.signer(opened.certificate.fingerprint)
            return SigningKey.of(opened.certificate, inside, where=str(source))
    certificate = load_certificate(certificate_file)
    signer = open_signer(source, secrets, certificate.fingerprint)
    return SigningKey.of(certificate, signer, where=f"{source}, {certificate_file}")


def certificate_for(
    source: KeySource, organisation: str, secrets: SecretsHandler, now: datetime.datetime
) -> Certificate:
    """Return a certificate for a key: the one in its PKCS#12 file, else a new self-signed one.

    Raises as `open_signer`.
    """
    if isinstance(source, FileKey):
        opened = open_key_file(source, secrets)
        return opened.certificate or self_signed(organisation, opened.signer(), now)
    return self_signed(organisation, open_signer(source, secrets), now)


def _device(source: AwsKey | AzureKey | GoogleKey | TokenKey, secrets: SecretsHandler) -> KeyDevice:
    if isinstance(source, AwsKey):
        from evidence.key_aws import AwsDevice

        return AwsDevice(source)
    if isinstance(source, AzureKey):
        from evidence.key_azure import AzureDevice

        return AzureDevice(source)
    if isinstance(source, GoogleKey):
        from evidence.key_google import GoogleDevice

        return GoogleDevice(source)
    from evidence.key_pkcs11 import TokenDevice

    return TokenDevice(source, secrets)
