"""Every credential in every cloud, over the wire: who is asked for a token, what for, and where.

The names of Microsoft's clouds lead to the fake here, so nothing but the cloud is configured.
"""

from __future__ import annotations

import base64
import datetime
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import urllib3.util.connection
from azure_small_estate import TENANT, small_estate

from auditpack.demo.azure.replies import Request as Received
from auditpack.demo.azure.server import FakeAzure
from collectors.azure.clouds import CLOUDS, AzureSettings
from collectors.azure.credentials import CredentialTarget
from collectors.azure.errors import AzureCredentialsError
from collectors.azure.exchange import Request
from collectors.azure.opening import open_tenant
from collectors.azure.session import TenantSession, TenantTarget

CLIENT = "11111111-1111-4111-8111-111111111111"
HOSTS = {
    "public": ("login.microsoftonline.com", "management.azure.com", "graph.microsoft.com"),
    "us-government": (
        "login.microsoftonline.us",
        "management.usgovcloudapi.net",
        "graph.microsoft.us",
    ),
    "china": (
        "login.chinacloudapi.cn",
        "management.chinacloudapi.cn",
        "microsoftgraph.chinacloudapi.cn",
    ),
}
EVERY_CLOUD = pytest.mark.parametrize("cloud", list(HOSTS))


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the machine's own logins, and no proxy."""
    import os

    for name in list(os.environ):
        if name.startswith(("AZURE_", "IDENTITY_", "MSI_", "IMDS_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("PATH", "/nowhere")


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAzure]:
    """The fake, at the names of every cloud; no other machine can be reached."""
    names = [name for names in HOSTS.values() for name in names]
    connect = urllib3.util.connection.create_connection
    with FakeAzure(small_estate(), also_called=names) as server:
        here = ("127.0.0.1", int(server.url.rpartition(":")[2]))

        def connected(address: tuple[str, int], *arguments: Any, **options: Any) -> Any:
            if address[0] in names:
                address = here
            if address[0] != "127.0.0.1":
                raise OSError(f"nothing leads to {address[0]}")
            return connect(address, *arguments, **options)

        monkeypatch.setattr(urllib3.util.connection, "create_connection", connected)
        yield server


@dataclass
class Identity:
    """What a machine of Azure has beside it, and what it was asked."""

    fake: FakeAzure
    url: str
    asked: list[tuple[str, dict[str, str], dict[str, str]]] = field(default_factory=list)
    refusal: tuple[int, dict[str, str]] | None = None

    def answer(self, path: str, query: dict[str, str], headers: dict[str, str]) -> tuple[int, Any]:
        self.asked.append((path, query, headers))
        if self.refusal is not None:
            return self.refusal
        until = int(datetime.datetime.now(datetime.UTC).timestamp()) + 3600
        return 200, {
            "access_token": self.fake.tokens.give(query["resource"]),
            "expires_in": "3600",
            "expires_on": str(until),
            "resource": query["resource"],
            "token_type": "Bearer",
        }


@pytest.fixture
def identity(fake: FakeAzure) -> Iterator[Identity]:
    """An endpoint for managed identities, over plain HTTP as Azure's are."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            headers = {name.lower(): text for name, text in self.headers.items()}
            status, body = found.answer(parts.path, query, headers)
            raw = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Identity(fake, f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield found
    server.shutdown()
    server.server_close()


def read_both(fake: FakeAzure, credential: CredentialTarget, cloud: str) -> None:
    """Open the tenant and ask Microsoft Graph, as collecting does."""
    target = TenantTarget(id=TENANT, credential=credential)
    settings = AzureSettings(cloud=cloud, ca_file=str(fake.ca_file), max_attempts=1)
    opened = open_tenant(target, settings)
    assert opened.failure is None, opened.failure
    assert len(opened.subscriptions) == 2
    session = TenantSession(target, settings)
    reply = session.send("graph", "GET /v1.0/users", Request("/v1.0/users"))
    session.close()
    assert reply.ok, (reply.code, reply.message)


def failure_of(fake: FakeAzure, kind: str, **more: str) -> AzureCredentialsError:
    """What is said of a tenant that cannot be opened with this credential."""
    target = TenantTarget(id=TENANT, credential=CredentialTarget(kind, **more))
    settings = AzureSettings(ca_file=str(fake.ca_file), max_attempts=1)
    failure = open_tenant(target, settings).failure
    assert isinstance(failure, AzureCredentialsError)
    assert TENANT in failure.where
    return failure


def form_of(received: Received) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(received.body.decode()).items()}


def assert_signed_in_at(fake: FakeAzure, cloud: str) -> list[dict[str, str]]:
    """Check that the cloud's own hosts were called, for its own audiences; return the forms."""
    authority, arm, graph = HOSTS[cloud]
    assert fake.hosts == {("login", authority), ("arm", arm), ("graph", graph)}
    assert {received.low for received in fake.sign_ins} == {f"/{TENANT}/oauth2/v2.0/token"}
    forms = [form_of(received) for received in fake.sign_ins]
    audiences = {form["scope"].split()[0] for form in forms}
    assert audiences == {f"https://{arm}/.default", f"https://{graph}/.default"}
    assert {form["grant_type"] for form in forms} == {"client_credentials"}
    assert {form["client_id"] for form in forms} == {CLIENT}
    return forms


def claims_of(token: str, part: int = 1) -> dict[str, Any]:
    text = token.split(".")[part]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return found


def test_the_clouds_are_those_that_are_tested() -> None:
    assert set(CLOUDS) == set(HOSTS)


@EVERY_CLOUD
@pytest.mark.parametrize("kind", ["default", "environment", "client_secret"])
def test_a_client_secret(
    fake: FakeAzure, monkeypatch: pytest.MonkeyPatch, kind: str, cloud: str
) -> None:
    monkeypatch.setenv("AZURE_CLIENT_ID", CLIENT)
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "a-secret-of-the-test")
    read_both(fake, CredentialTarget(kind), cloud)
    forms = assert_signed_in_at(fake, cloud)
    assert {form["client_secret"] for form in forms} == {"a-secret-of-the-test"}


@EVERY_CLOUD
def test_a_secret_of_each_tenant(
    fake: FakeAzure, monkeypatch: pytest.MonkeyPatch, cloud: str
) -> None:
    monkeypatch.setenv("AZURE_CLIENT_ID", "another")
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "of-another-tenant")
    monkeypatch.setenv("OTHER_SECRET", "of-this-tenant")
    read_both(fake, CredentialTarget("client_secret", CLIENT, "OTHER_SECRET"), cloud)
    forms = assert_signed_in_at(fake, cloud)
    assert {form["client_secret"] for form in forms} == {"of-this-tenant"}


@EVERY_CLOUD
@pytest.mark.parametrize("kind", ["default", "environment", "certificate"])
def test_a_certificate(
    fake: FakeAzure, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str, cloud: str
) -> None:
    file, thumbprints = certificate_in(tmp_path)
    monkeypatch.setenv("AZURE_CLIENT_ID", CLIENT)
    monkeypatch.setenv("AZURE_CLIENT_CERTIFICATE_PATH", str(file))
    read_both(fake, CredentialTarget(kind), cloud)
    for form in assert_signed_in_at(fake, cloud):
        claims = claims_of(form["client_assertion"])
        assert (claims["iss"], claims["sub"]) == (CLIENT, CLIENT)
        assert claims["aud"] == f"https://{HOSTS[cloud][0]}/{TENANT}/oauth2/v2.0/token"
        header = claims_of(form["client_assertion"], 0)
        named = header.get("x5t") or header["x5t#S256"]
        assert named.rstrip("=") in thumbprints


@EVERY_CLOUD
@pytest.mark.parametrize("kind", ["default", "workload_identity"])
def test_a_federated_workload(
    fake: FakeAzure, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str, cloud: str
) -> None:
    token = tmp_path / "token"
    token.write_text("the.cluster's.token")
    monkeypatch.setenv("AZURE_CLIENT_ID", CLIENT)
    monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", str(token))
    read_both(fake, CredentialTarget(kind), cloud)
    for form in assert_signed_in_at(fake, cloud):
        assert form["client_assertion"] == "the.cluster's.token"
        assert form["client_assertion_type"].endswith(":jwt-bearer")
        assert "client_secret" not in form


@EVERY_CLOUD
@pytest.mark.parametrize("client_id", ["", CLIENT])
@pytest.mark.parametrize("kind", ["default", "managed_identity"])
def test_a_managed_identity_of_app_service(
    identity: Identity, monkeypatch: pytest.MonkeyPatch, kind: str, client_id: str, cloud: str
) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{identity.url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "what-the-platform-gives")
    read_both(identity.fake, CredentialTarget(kind, client_id), cloud)
    _, arm, graph = HOSTS[cloud]
    assert identity.fake.hosts == {("arm", arm), ("graph", graph)}
    resources = {query["resource"].rstrip("/") for _, query, _ in identity.asked}
    assert resources == {f"https://{arm}", f"https://{graph}"}
    assert {query.get("client_id", "") for _, query, _ in identity.asked} == {client_id}
    headers = {headers["x-identity-header"] for _, _, headers in identity.asked}
    assert headers == {"what-the-platform-gives"}


@EVERY_CLOUD
@pytest.mark.parametrize("client_id", ["", CLIENT])
@pytest.mark.parametrize("kind", ["default", "managed_identity"])
def test_a_managed_identity_of_a_machine(
    identity: Identity, monkeypatch: pytest.MonkeyPatch, kind: str, client_id: str, cloud: str
) -> None:
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", identity.url)
    read_both(identity.fake, CredentialTarget(kind, client_id), cloud)
    _, arm, graph = HOSTS[cloud]
    assert identity.fake.hosts == {("arm", arm), ("graph", graph)}
    tokens = [entry for entry in identity.asked if entry[2].get("metadata") == "true"]
    assert {path for path, _, _ in tokens} == {"/metadata/identity/oauth2/token"}
    resources = {query["resource"].rstrip("/") for _, query, _ in tokens}
    assert resources == {f"https://{arm}", f"https://{graph}"}
    assert {query.get("client_id", "") for _, query, _ in tokens} == {client_id}


def az_in(folder: Path, fake: FakeAzure, cloud: str, *, ending: str = "") -> Path:
    """Put an `az` on the path that gives tokens, and notes what it was asked."""
    _, arm, graph = HOSTS[cloud]
    answers = {
        name: json.dumps(
            {
                "accessToken": fake.tokens.give(f"https://{name}"),
                "expiresOn": "2099-01-01 00:00:00.000000",
                "expires_on": 4070908800,
                "tenant": TENANT,
                "tokenType": "Bearer",
            }
        )
        for name in (arm, graph)
    }
    script = folder / "az"
    script.write_text(
        f'#!/bin/sh\necho "$@" >> {folder}/asked\n{ending}\ncase "$*" in\n'
        + "".join(f"  *{name}*) echo '{answer}' ;;\n" for name, answer in answers.items())
        + '  *) echo "ERROR: not known: $*" >&2; exit 1 ;;\nesac\n'
    )
    script.chmod(0o755)
    return folder / "asked"


@EVERY_CLOUD
@pytest.mark.parametrize("kind", ["default", "cli"])
def test_the_login_of_the_command_line(
    fake: FakeAzure, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str, cloud: str
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    noted = az_in(tmp_path, fake, cloud)
    read_both(fake, CredentialTarget(kind), cloud)
    _, arm, graph = HOSTS[cloud]
    assert fake.hosts == {("arm", arm), ("graph", graph)}
    asked = noted.read_text().splitlines()
    for line in asked:
        assert line.startswith("account get-access-token --output json --resource https://")
        assert line.endswith(f"--tenant {TENANT}")
    assert {line.split()[5] for line in asked} == {f"https://{arm}", f"https://{graph}"}


def test_what_is_configured_is_taken_before_a_managed_identity(
    identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{identity.url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "h")
    monkeypatch.setenv("AZURE_CLIENT_ID", CLIENT)
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "s")
    read_both(identity.fake, CredentialTarget(), "public")
    assert identity.asked == []


def test_the_authority_of_the_environment_counts(
    fake: FakeAzure, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A cluster gives a workload its authority; only where none is configured does that count."""
    (tmp_path / "token").write_text("t")
    monkeypatch.setenv("AZURE_CLIENT_ID", CLIENT)
    monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.us/")
    read_both(fake, CredentialTarget("workload_identity"), "us-government")
    assert_signed_in_at(fake, "us-government")


def test_a_managed_identity_that_is_not_assigned(
    identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", identity.url)
    identity.refusal = (
        400,
        {"error": "invalid_request", "error_description": "Identity not found"},
    )
    failure = failure_of(identity.fake, "managed_identity", client_id=CLIENT)
    assert "dentity not found" in failure.what or "not been assigned" in failure.what
    assert identity.fake.hosts == set()


def test_a_federation_that_does_not_match(
    fake: FakeAzure, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("t")
    monkeypatch.setenv("AZURE_CLIENT_ID", CLIENT)
    monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", str(tmp_path / "token"))
    why = "AADSTS70021: No matching federated identity record found for presented assertion."
    fake.tokens.refusal = ("invalid_client", why)
    assert "AADSTS70021" in failure_of(fake, "workload_identity").what


def test_a_token_file_that_is_not_there(
    fake: FakeAzure, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AZURE_CLIENT_ID", CLIENT)
    monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", str(tmp_path / "missing"))
    failure = failure_of(fake, "workload_identity")
    assert "missing" in failure.what
    assert fake.sign_ins == []


def test_a_command_line_that_nobody_logged_in_to(
    fake: FakeAzure, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    az_in(tmp_path, fake, "public", ending="echo \"Please run 'az login'\" >&2; exit 1")
    assert "az login" in failure_of(fake, "cli").what


def test_no_command_line(fake: FakeAzure, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "Azure CLI not found" in failure_of(fake, "cli").what


def test_no_credentials_at_all_are_named_as_such(
    fake: FakeAzure, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:9")
    failure = failure_of(fake, "default")
    assert failure.what.startswith("there are no credentials for Azure")
    assert "Chained" not in failure.what


def certificate_in(folder: Path) -> tuple[Path, list[str]]:
    """A client certificate with its key, and its thumbprints as assertions name it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "collector")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    file = folder / "client.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    digests = [made.fingerprint(algorithm) for algorithm in (hashes.SHA1(), hashes.SHA256())]
    return file, [base64.urlsafe_b64encode(one).decode().rstrip("=") for one in digests]
