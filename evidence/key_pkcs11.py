"""A signing key on a PKCS#11 token (a smart card, a YubiKey, an HSM), through python-pkcs11.

The driver is the shared library that `module-path` names. The session stays open as long as the
process: the PIN is given once. The public key is read from the token's public-key object, or from
the certificate beside the private key.

Source: PKCS#11 v3.0 (OASIS), mechanism CKM_ECDSA; RFC 7512 for the URI.
"""

from __future__ import annotations

from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from securesystemslib.signer import SecretsHandler  # type: ignore[attr-defined]

from evidence.certificates import p256_public_key
from evidence.errors import KeyFileError
from evidence.key_remote import KeyServiceError, der_signature, missing_library
from evidence.key_uri import TokenKey

PIN = "PIN"
"""What a secrets handler is asked for to open a token."""

_CAUSES = {
    "NoSuchToken": "there is no such token",
    "MultipleTokensReturned": "several tokens fit: name it with token= or serial=",
    "NoSuchKey": "the token holds no such key",
    "MultipleObjectsReturned": "several keys fit: name it with object= and id=",
    "PinIncorrect": "the PIN is wrong",
    "PinLocked": "the PIN is locked",
    "PinLenRange": "the PIN is wrong (its length)",
}
_MEND = (
    "Check the URI in signing.key, that the device is there, and AUDITPACK_HSM_PIN; `pkcs11-tool"
    " --module DRIVER --list-objects --login` shows what the token holds."
)


class TokenDevice:
    """A private key on a token, with an open session.

    Raises KeyServiceError, and KeyFileError when the library or the PIN is missing or the key is
    not ECDSA P-256.
    """

    where: str
    public_key: ec.EllipticCurvePublicKey

    def __init__(self, source: TokenKey, secrets: SecretsHandler) -> None:
        self.where = str(source)
        try:
            import pkcs11
        except ImportError as error:
            raise missing_library("a PKCS#11 token", "pkcs11", error) from error
        self._pkcs11: Any = pkcs11
        token = self._ask(lambda: self._token(source))
        pin = secrets(PIN)
        if not pin:
            raise KeyFileError(
                "the token is protected by a PIN and none was given",
                where=self.where,
                mend="Set AUDITPACK_HSM_PIN, or run the command in a terminal and type it.",
            )
        # The session has to live as long as the key that was found in it.
        self._session = self._ask(lambda: self._logged_in(token, pin))
        self._key = self._ask(lambda: self._private_key(source))
        self._options = self._ask(lambda: self._signing_options(pin))
        found = self._ask(lambda: self._public_key(source))
        self.public_key = p256_public_key(found, where=self.where)

    def sign_digest(self, digest: bytes) -> bytes:
        """Return the DER signature over a SHA-256 digest. Raises KeyServiceError."""
        halves = self._ask(lambda: self._key.sign(digest, **self._options))
        return der_signature(halves, where=self.where)

    def _token(self, source: TokenKey) -> Any:
        wanted: dict[str, Any] = {"token_flags": self._pkcs11.TokenFlag.TOKEN_INITIALIZED}
        if source.token:
            wanted["token_label"] = source.token
        if source.serial:
            wanted["token_serial"] = source.serial.encode()
        return self._pkcs11.lib(str(source.module)).get_token(**wanted)

    def _logged_in(self, token: Any, pin: str) -> Any:
        """Open a session; the login of another one of this process holds for it as well."""
        try:
            return token.open(user_pin=pin)
        except self._pkcs11.UserAlreadyLoggedIn:
            return token.open()

    def _private_key(self, source: TokenKey) -> Any:
        kind = self._pkcs11.ObjectClass.PRIVATE_KEY
        return self._session.get_key(object_class=kind, **_wanted(source))

    def _signing_options(self, pin: str) -> dict[str, Any]:
        """Keys like those of a PIV card's signature slot want the PIN again each time."""
        options: dict[str, Any] = {"mechanism": self._pkcs11.Mechanism.ECDSA}
        attribute = self._pkcs11.Attribute.ALWAYS_AUTHENTICATE
        try:
            again = bool(self._key[attribute])
        except self._pkcs11.AttributeTypeInvalid:
            again = False
        return {**options, "pin": pin} if again else options

    def _public_key(self, source: TokenKey) -> Any:
        wanted = _wanted(source)
        kind = self._pkcs11.ObjectClass.PUBLIC_KEY
        try:
            found = self._session.get_key(object_class=kind, **wanted)
        except self._pkcs11.NoSuchKey:
            return self._public_key_of_certificate()
        if found.key_type != self._pkcs11.KeyType.EC:
            raise KeyFileError(
                f"this is not an elliptic-curve key of P-256 but {found.key_type.name}",
                where=self.where,
                mend="Make an EC key on the curve secp256r1 on the token.",
            )
        return serialization.load_der_public_key(self._pkcs11.util.ec.encode_ec_public_key(found))

    def _public_key_of_certificate(self) -> Any:
        attribute, kind = self._pkcs11.Attribute, self._pkcs11.ObjectClass.CERTIFICATE
        wanted = {attribute.CLASS: kind, attribute.ID: self._key.id}
        for found in self._session.get_objects(wanted):
            return x509.load_der_x509_certificate(found[attribute.VALUE]).public_key()
        raise KeyFileError(
            "the token holds neither the public key nor a certificate of this key",
            where=self.where,
            mend="Put one of them beside the private key, under the same id.",
        )

    def _ask(self, call: Any) -> Any:
        try:
            return call()
        except self._pkcs11.PKCS11Error as error:
            name = type(error).__name__
            raise KeyServiceError(
                f"the PKCS#11 token did not answer: {_CAUSES.get(name) or f'{name} {error}'}",
                where=self.where,
                mend=_MEND,
            ) from error


def _wanted(source: TokenKey) -> dict[str, Any]:
    wanted: dict[str, Any] = {}
    if source.label:
        wanted["label"] = source.label
    if source.object_id:
        wanted["id"] = source.object_id
    return wanted
