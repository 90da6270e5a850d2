"""A signing key in Azure Key Vault or Managed HSM, through Microsoft's azure-keyvault-keys.

Credentials are those of `azure.identity.DefaultAzureCredential` (environment, managed identity,
`az login`). Permissions: keys/get when it is opened, keys/sign at each signature (the role "Key
Vault Crypto User" has both). Only SHA-256 digests are sent.

Source: learn.microsoft.com/rest/api/keyvault/keys (Get Key, Sign).
"""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from evidence.certificates import p256_public_key
from evidence.errors import KeyFileError
from evidence.key_remote import KeyServiceError, der_signature, missing_library
from evidence.key_uri import AzureKey

_TIMEOUTS = {"connection_timeout": 10, "read_timeout": 30}
_CURVES: dict[str, type[ec.EllipticCurve]] = {
    "P-256": ec.SECP256R1,
    "P-384": ec.SECP384R1,
    "P-521": ec.SECP521R1,
    "P-256K": ec.SECP256K1,
}


class AzureDevice:
    """One version of a key in a vault. Opening asks for its public part once.

    `credential` replaces the default one; `options` go to the clients (a transport, say). Raises
    KeyServiceError, and KeyFileError when the library is missing or the key is not ECDSA P-256.
    """

    where: str
    public_key: ec.EllipticCurvePublicKey

    def __init__(self, source: AzureKey, credential: Any = None, **options: Any) -> None:
        self.where = str(source)
        self._client: Any = None
        try:
            from azure.identity import DefaultAzureCredential
            from azure.keyvault.keys import KeyClient
            from azure.keyvault.keys.crypto import CryptographyClient
        except ImportError as error:
            raise missing_library("Azure Key Vault", "azure", error) from error
        settings = {**_TIMEOUTS, **options}
        if credential is None:
            credential = DefaultAzureCredential()
        vault = KeyClient(f"https://{source.host}", credential, **settings)
        found = self._ask("get the key", vault.get_key, source.name, source.version)
        self.public_key = p256_public_key(_public_key(found.key, self.where), where=self.where)
        # With the whole key, not its name, the client need not ask for it again.
        self._client = CryptographyClient(found, credential, **settings)

    def sign_digest(self, digest: bytes) -> bytes:
        """Return the DER signature over a SHA-256 digest. Raises KeyServiceError."""
        from azure.keyvault.keys.crypto import SignatureAlgorithm

        answer = self._ask("sign", self._client.sign, SignatureAlgorithm.es256, digest)
        return der_signature(answer.signature, where=self.where)

    def _ask(self, doing: str, call: Any, *arguments: Any) -> Any:
        from azure.core.exceptions import AzureError

        try:
            return call(*arguments)
        except AzureError as error:
            raise KeyServiceError(
                f"Azure Key Vault did not {doing}: {error.message}",
                where=self.where,
                mend="Check the vault, the key's version, the credentials (`az login` or AZURE_*"
                " variables) and the role Key Vault Crypto User.",
            ) from error


def _public_key(key: Any, where: str) -> ec.EllipticCurvePublicKey:
    curve = _CURVES.get(str(getattr(key.crv, "value", key.crv)))
    if curve is None or not key.x or not key.y:
        raise KeyFileError(
            f"this is not an elliptic-curve key of P-256 but {getattr(key.kty, 'value', key.kty)}",
            where=where,
            mend="Make a key of type EC (or EC-HSM) with the curve P-256 in the vault.",
        )
    x, y = int.from_bytes(key.x, "big"), int.from_bytes(key.y, "big")
    return ec.EllipticCurvePublicNumbers(x, y, curve()).public_key()
