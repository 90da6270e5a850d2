"""A signing key in AWS KMS, through boto3 with the environment's credentials.

Permissions: `kms:GetPublicKey` when it is opened, `kms:Sign` at each signature. Only SHA-256
digests are sent. `AWS_ENDPOINT_URL_KMS` (or `AWS_ENDPOINT_URL`) points it elsewhere.

Source: docs.aws.amazon.com/kms/latest/APIReference (GetPublicKey, Sign).
"""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from evidence.certificates import p256_public_key
from evidence.key_remote import KeyServiceError
from evidence.key_uri import AwsKey

_ALGORITHM = "ECDSA_SHA_256"


class AwsDevice:
    """A key of AWS KMS. Opening asks for the public key once.

    An alias is followed once: later signatures name the key that it led to, so that an alias
    which is moved meanwhile does not change the key. Raises KeyServiceError, and KeyFileError when
    the key is not ECDSA P-256.
    """

    where: str
    public_key: ec.EllipticCurvePublicKey

    def __init__(self, source: AwsKey) -> None:
        self.where = str(source)
        self._region = source.region
        self._client: Any = None
        answer = self._call("get_public_key", KeyId=source.key_id)
        self._key_id = answer["KeyId"]
        found = serialization.load_der_public_key(answer["PublicKey"])
        self.public_key = p256_public_key(found, where=self.where)

    def sign_digest(self, digest: bytes) -> bytes:
        """Return the DER signature over a SHA-256 digest. Raises KeyServiceError."""
        answer = self._call(
            "sign",
            KeyId=self._key_id,
            Message=digest,
            MessageType="DIGEST",
            SigningAlgorithm=_ALGORITHM,
        )
        return bytes(answer["Signature"])

    def _call(self, operation: str, **parameters: Any) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            if self._client is None:
                self._client = _client(self._region)
            return getattr(self._client, operation)(**parameters)
        except (BotoCoreError, ClientError) as error:
            raise KeyServiceError(
                f"AWS KMS did not do {operation}: {error}",
                where=self.where,
                mend="Check the key, its region, the credentials (AWS_PROFILE or AWS_* variables)"
                " and the permissions kms:GetPublicKey and kms:Sign.",
            ) from error


def _client(region: str) -> Any:
    import boto3
    from botocore.config import Config

    settings = Config(
        connect_timeout=10, read_timeout=30, retries={"mode": "standard", "max_attempts": 4}
    )
    return boto3.Session().client("kms", region_name=region or None, config=settings)
