"""A signing key in Google Cloud KMS, through Google's google-cloud-kms.

Credentials are the application default ones (`gcloud auth application-default login`,
GOOGLE_APPLICATION_CREDENTIALS, or the machine's own). Permissions: roles/cloudkms.publicKeyViewer
when it is opened, roles/cloudkms.signer at each signature. Only SHA-256 digests are sent, over
REST: a command that signs a few times gains nothing from gRPC's channels.

Source: cloud.google.com/kms/docs/reference/rest (getPublicKey, asymmetricSign).
"""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from evidence.certificates import p256_public_key
from evidence.key_remote import KeyServiceError, missing_library
from evidence.key_uri import GoogleKey

_TIMEOUT = 30.0
"""Seconds that a call may take, with its retries."""


class GoogleDevice:
    """One version of a key of Google Cloud KMS. Opening asks for the public key once.

    `credentials` and `endpoint` (a URL) replace the default ones. Raises KeyServiceError, and
    KeyFileError when the library is missing or the key is not ECDSA P-256.
    """

    where: str
    public_key: ec.EllipticCurvePublicKey

    def __init__(self, source: GoogleKey, *, credentials: Any = None, endpoint: str = "") -> None:
        self.where = str(source)
        self._name = source.name
        try:
            from google.cloud import kms
        except ImportError as error:
            raise missing_library("Google Cloud KMS", "google", error) from error
        options = {"api_endpoint": endpoint} if endpoint else None
        self._client: Any = self._ask(
            "give access",
            lambda: kms.KeyManagementServiceClient(
                credentials=credentials, transport="rest", client_options=options
            ),
        )
        found = self._ask(
            "give the public key",
            lambda: self._client.get_public_key({"name": self._name}, timeout=_TIMEOUT),
        )
        public_key = serialization.load_pem_public_key(found.pem.encode())
        self.public_key = p256_public_key(public_key, where=self.where)

    def sign_digest(self, digest: bytes) -> bytes:
        """Return the DER signature over a SHA-256 digest. Raises KeyServiceError."""
        request = {"name": self._name, "digest": {"sha256": digest}}
        answer = self._ask("sign", lambda: self._client.asymmetric_sign(request, timeout=_TIMEOUT))
        return bytes(answer.signature)

    def _ask(self, doing: str, call: Any) -> Any:
        from google.api_core.exceptions import GoogleAPIError
        from google.auth.exceptions import GoogleAuthError
        from requests.exceptions import RequestException

        try:
            return call()
        except (GoogleAPIError, GoogleAuthError, RequestException) as error:
            raise KeyServiceError(
                f"Google Cloud KMS did not {doing}: {error}",
                where=self.where,
                mend="Check the key's version, the credentials (`gcloud auth application-default"
                " login`) and the roles cloudkms.publicKeyViewer and cloudkms.signer.",
            ) from error
