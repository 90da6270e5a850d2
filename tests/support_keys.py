"""Keys that are elsewhere: moto's KMS, a SoftHSM token, and vaults of Azure and Google on loopback.

The official SDKs and the PKCS#11 driver are the real ones; only the far end is ours. `Elsewhere` is
what a test gets: a way to open the signer, and a record of what was asked.
"""

from __future__ import annotations

import base64
import datetime
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest import mock

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.serialization import pkcs12
from securesystemslib.signer import Signer
from support_store import new_key

DIGEST = ec.ECDSA(Prehashed(hashes.SHA256()))
SOFTHSM = Path("/usr/lib/softhsm/libsofthsm2.so")
TOKEN, PIN = "audit", "1234"


def no_secret(name: str) -> str:
    """A secrets handler for keys that need none."""
    raise AssertionError(f"nobody should ask for a {name}")


@dataclass
class Elsewhere:
    """A key held elsewhere. `open` returns its signer; `calls` are those that were made."""

    open: Callable[[str | None], Signer]
    calls: Callable[[], list[str]]


def rsa_certificate(
    name: x509.Name, begins: datetime.datetime, ends: datetime.datetime
) -> tuple[rsa.RSAPrivateKey, x509.Certificate]:
    """Return a key of the wrong kind for us, with its self-signed certificate."""
    key = rsa.generate_private_key(65537, 2048)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begins)
        .not_valid_after(ends)
        .sign(key, hashes.SHA256())
    )
    return key, certificate


def pkcs12_file(passphrase: str, private_key: Any = None) -> bytes:
    """Return a PKCS#12 file with a certificate of ours (or with another key and none)."""
    key = new_key("Company Ltd")
    protection: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        protection = serialization.BestAvailableEncryption(passphrase.encode())
    own = serialization.load_pem_private_key(key.signer.private_bytes, None)
    certificate = None if private_key else key.certificate.x509
    return pkcs12.serialize_key_and_certificates(
        b"audit", private_key or own, certificate, None, protection
    )


# ------------------------------------------------------------------------------ AWS, by moto


@contextmanager
def moto_kms() -> Iterator[tuple[str, Any]]:
    """Serve moto behind a gate, with a KMS that signs digests; yield its URL and the gate.

    moto takes a digest for a message and hashes it once more: its key is taught to sign it as is.
    """
    from moto.kms.utils import ECDSAPrivateKey
    from support_aws import gated_moto

    def sign(self: Any, message: bytes, signing_algorithm: str) -> bytes:
        assert (len(message), signing_algorithm) == (32, "ECDSA_SHA_256")
        return bytes(self.private_key.sign(message, DIGEST))

    with mock.patch.object(ECDSAPrivateKey, "sign", sign), gated_moto() as (url, gate):
        yield url, gate


def make_kms_key(url: str, spec: str = "ECC_NIST_P256", region: str = "us-east-1") -> str:
    """Make a signing key in moto; return its ARN."""
    import boto3

    session = boto3.Session(
        aws_access_key_id="test", aws_secret_access_key="test", region_name=region
    )
    client = session.client("kms", endpoint_url=url)
    made = client.create_key(KeySpec=spec, KeyUsage="SIGN_VERIFY")
    return str(made["KeyMetadata"]["Arn"])


# ---------------------------------------------------------------------------- PKCS#11 (SoftHSM)


def have_softhsm() -> bool:
    """Whether SoftHSM is installed (Debian: softhsm2)."""
    return SOFTHSM.exists() and shutil.which("softhsm2-util") is not None


def make_token(folder: Path) -> None:
    """Make a SoftHSM token with keys of several kinds; from now on SOFTHSM2_CONF points to it.

    The driver reads SOFTHSM2_CONF once a process, so one token serves all tests of a process.
    """
    (folder / "tokens").mkdir(parents=True)
    settings = f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\n"
    (folder / "softhsm2.conf").write_text(settings)
    os.environ["SOFTHSM2_CONF"] = str(folder / "softhsm2.conf")
    command = ["softhsm2-util", "--init-token", "--free", "--label", TOKEN]
    subprocess.run([*command, "--pin", PIN, "--so-pin", "5678"], check=True, capture_output=True)
    import pkcs11

    token = pkcs11.lib(str(SOFTHSM)).get_token(token_label=TOKEN)
    with token.open(user_pin=PIN, rw=True) as session:
        _make_ec_key(session, "evidence", b"\x01")
        _make_ec_key(session, "piv", b"\x02", always_authenticate=True)
        _make_ec_key(session, "p384", b"\x03", curve="secp384r1")
        session.generate_keypair(pkcs11.KeyType.RSA, 2048, store=True, label="rsa", id=b"\x04")
        _make_ec_key(session, "alone", b"\x05")
        wanted = {
            pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PUBLIC_KEY,
            pkcs11.Attribute.LABEL: "alone",
        }
        next(iter(session.get_objects(wanted))).destroy()


def _make_ec_key(
    session: Any,
    label: str,
    object_id: bytes,
    *,
    curve: str = "secp256r1",
    always_authenticate: bool = False,
) -> None:
    import pkcs11
    from pkcs11.util.ec import encode_named_curve_parameters

    attribute = pkcs11.Attribute
    parameters = session.create_domain_parameters(
        pkcs11.KeyType.EC, {attribute.EC_PARAMS: encode_named_curve_parameters(curve)}, local=True
    )
    parameters.generate_keypair(
        mechanism=pkcs11.Mechanism.EC_KEY_PAIR_GEN,
        store=True,
        label=label,
        id=object_id,
        private_template={attribute.ALWAYS_AUTHENTICATE: always_authenticate},
    )


def put_certificate_on_token(certificate: bytes, object_id: bytes) -> None:
    """Put a DER certificate onto the token, beside the key of that id."""
    import pkcs11

    token = pkcs11.lib(str(SOFTHSM)).get_token(token_label=TOKEN)
    attribute = pkcs11.Attribute
    with token.open(rw=True) as session:
        session.create_object(
            {
                attribute.CLASS: pkcs11.ObjectClass.CERTIFICATE,
                attribute.CERTIFICATE_TYPE: pkcs11.CertificateType.X_509,
                attribute.TOKEN: True,
                attribute.ID: object_id,
                attribute.SUBJECT: b"",
                attribute.VALUE: certificate,
            }
        )


def token_uri(label: str) -> str:
    """The PKCS#11 URI of a key of the token."""
    return f"pkcs11:token={TOKEN};object={label};type=private?module-path={SOFTHSM}"


# ------------------------------------------------------------------ services of our own on loopback


Answer = tuple[int, dict[str, str], dict[str, Any]]
"""Status, headers, JSON body."""


@dataclass
class FakeService:
    """A key service: holds `key`, answers with `answer`, and notes what it was asked."""

    key: ec.EllipticCurvePrivateKey
    public_key: Any = None
    """What it gives out as its public key; other than that of `key`, its signatures are wrong."""
    failing: bool = False
    requests: list[str] = field(default_factory=list)
    url: str = ""

    def __post_init__(self) -> None:
        if self.public_key is None:
            self.public_key = self.key.public_key()

    def answer(self, method: str, path: str, token: str, body: dict[str, Any]) -> Answer:
        """Answer one request."""
        raise NotImplementedError


@contextmanager
def served(service: FakeService) -> Iterator[FakeService]:
    """Serve on a free loopback port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or "{}")
            path = self.path.partition("?")[0]
            token = self.headers.get("Authorization", "")
            service.requests.append(f"{self.command} {path.rpartition('/')[2]}")
            status, headers, answer = service.answer(self.command, path, token, body)
            data = json.dumps(answer).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Type": "application/json"}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_GET  # noqa: N815 - the name is what the server looks for

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    service.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


# ----------------------------------------------------------------------------------------- Azure

AZURE_HOST = "audit.vault.azure.net"
AZURE_KEY = f"azurekms://{AZURE_HOST}/keys/evidence/0123456789abcdef0123456789abcdef"


def b64url(data: bytes) -> str:
    """Base 64 for URLs without padding, as JSON Web Keys have it (RFC 7515)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_b64url(text: str) -> bytes:
    """The bytes of `b64url`."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class FakeVault(FakeService):
    """Azure Key Vault's Get Key and Sign, with the challenge that says where to log in."""

    def answer(self, method: str, path: str, token: str, body: dict[str, Any]) -> Answer:
        """Answer as learn.microsoft.com/rest/api/keyvault/keys says."""
        if token != "Bearer of-the-vault":
            where = 'Bearer authorization="https://login.windows.net/t", resource="{}"'
            challenge = {"WWW-Authenticate": where.format("https://vault.azure.net")}
            return 401, challenge, {"error": {"code": "Unauthorized", "message": "no token"}}
        if self.failing:
            return 403, {}, {"error": {"code": "Forbidden", "message": "keys/sign is not allowed"}}
        kid = f"https://{AZURE_HOST}{path.removesuffix('/sign')}"
        if method == "POST":
            assert body["alg"] == "ES256"
            numbers = decode_dss_signature(self.key.sign(from_b64url(body["value"]), DIGEST))
            halves = b"".join(number.to_bytes(32, "big") for number in numbers)
            return 200, {}, {"kid": kid, "value": b64url(halves)}
        return 200, {}, {"key": {"kid": kid, **self._jwk()}, "attributes": {"enabled": True}}

    def _jwk(self) -> dict[str, Any]:
        numbers = self.public_key.public_numbers()
        if not isinstance(self.public_key, ec.EllipticCurvePublicKey):
            modulus = b64url(numbers.n.to_bytes(256, "big"))
            return {"kty": "RSA", "key_ops": ["sign"], "n": modulus, "e": "AQAB"}
        length = (self.public_key.key_size + 7) // 8
        x, y = (b64url(number.to_bytes(length, "big")) for number in (numbers.x, numbers.y))
        curve = f"P-{self.public_key.key_size}"
        return {"kty": "EC", "key_ops": ["sign", "verify"], "crv": curve, "x": x, "y": y}


class FakeCredential:
    """A credential that was logged in for Azure's vaults."""

    def get_token(self, *scopes: str, **_: Any) -> Any:
        """Return an access token."""
        from azure.core.credentials import AccessToken

        assert scopes == ("https://vault.azure.net/.default",)
        return AccessToken("of-the-vault", int(time.time()) + 3600)


def vault_transport(url: str) -> Any:
    """A transport of Azure's SDK that connects to `url`, whatever host the SDK speaks to.

    The SDK believes that it speaks https to the vault, so it checks the challenge as always.
    """
    import requests
    from azure.core.pipeline.transport import RequestsTransport
    from requests.adapters import HTTPAdapter

    class ToLoopback(HTTPAdapter):
        def send(self, request: Any, *arguments: Any, **options: Any) -> Any:
            assert request.url.startswith(f"https://{AZURE_HOST}/")
            request.url = request.url.replace(f"https://{AZURE_HOST}", url)
            return super().send(request, *arguments, **options)

    session = requests.Session()
    session.mount("https://", ToLoopback())
    return RequestsTransport(session=session, session_owner=False)


# ---------------------------------------------------------------------------------------- Google

GOOGLE_KEY = "gcpkms:projects/p/locations/global/keyRings/r/cryptoKeys/evidence/cryptoKeyVersions/1"


class FakeGoogleKms(FakeService):
    """Google Cloud KMS's getPublicKey and asymmetricSign over REST."""

    def answer(self, method: str, path: str, token: str, body: dict[str, Any]) -> Answer:
        """Answer as cloud.google.com/kms/docs/reference/rest says."""
        name = GOOGLE_KEY.removeprefix("gcpkms:")
        if self.failing:
            error = {"code": 403, "message": "denied on resource", "status": "PERMISSION_DENIED"}
            return 403, {}, {"error": error}
        if method == "GET" and path == f"/v1/{name}/publicKey":
            pem = self.public_key.public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            algorithm = "EC_SIGN_P256_SHA256"
            return 200, {}, {"name": name, "pem": pem.decode(), "algorithm": algorithm}
        if method == "POST" and path == f"/v1/{name}:asymmetricSign":
            signature = self.key.sign(base64.b64decode(body["digest"]["sha256"]), DIGEST)
            return 200, {}, {"name": name, "signature": base64.b64encode(signature).decode()}
        return 404, {}, {"error": {"code": 404, "message": path, "status": "NOT_FOUND"}}
