"""Access tokens and where they come from: what Google's libraries ask when they sign in.

`answer` is the token endpoint of service accounts (a signed assertion), the Security Token Service
of workload identity federation, the impersonation of a service account, and a machine's metadata
server. A token is good where it was given out here, or where the service account's own key signed
it, as Google's libraries do when they need no endpoint.
"""

from __future__ import annotations

import datetime
import json
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import parse_qs

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import exceptions, jwt

from auditpack.demo.gcp.estate import GcpEstate

LIFETIME = 3600
ASSERTION = "urn:ietf:params:oauth:grant-type:jwt-bearer"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
METADATA = "/computeMetadata/v1/"
TOKEN_PATH, STS_PATH = "/token", "/v1/token"
GOOGLES = "https://oauth2.googleapis.com/token"
"""The audience of every assertion that Google's libraries sign, whatever the endpoint."""

WORKLOAD = "github-portal"
"""The subject of the federated workload."""


@dataclass(frozen=True)
class WebReply:
    """An answer of the endpoints: a status, a body (JSON, or text) and headers."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)


class Tokens:
    """The tokens that were given out, and to whom."""

    def __init__(self, estate: GcpEstate) -> None:
        company = estate.company
        self.collector = company.collector
        self.pool = company.pool
        self.host = next(p for p in company.projects.values() if p.id in company.collector)
        self.subject_token = secrets.token_urlsafe(24)
        self.asked: list[str] = []
        self.refusal: tuple[int, str, str] | None = None
        self._given: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()

    # -- what they are good for

    def give(self, principal: str = "", lifetime: float = LIFETIME) -> str:
        """Make a token, as a test without a login needs it."""
        token = "ya29.demo-" + secrets.token_urlsafe(24)
        with self._lock:
            self._given[token] = (principal or self.collector, time.time() + lifetime)
        return token

    def expire(self) -> None:
        """Make all tokens that were given out invalid."""
        with self._lock:
            self._given.clear()

    def principal_of(self, token: str) -> str | None:
        """Return whose token it is, or None for one that is not good."""
        with self._lock:
            principal, until = self._given.get(token, ("", 0.0))
        if until > time.time():
            return principal
        claims = (
            self._claims(token) if token.count(".") == 2 and "private_key" in vars(self) else {}
        )
        return claims.get("iss")

    def _claims(self, token: str) -> Mapping[str, Any]:
        try:
            claims: Mapping[str, Any] = jwt.decode(token, certs=self.public_key)  # type: ignore[no-untyped-call]
        except (ValueError, exceptions.GoogleAuthError):
            return {}
        return claims if claims.get("iss") == self.collector else {}

    # -- the service account's key

    @cached_property
    def private_key(self) -> rsa.RSAPrivateKey:
        """The key of the collector's service account, made when it is first needed."""
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @property
    def public_key(self) -> bytes:
        """What its signatures are checked with."""
        return self.private_key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def service_account_info(self, origin: str) -> dict[str, str]:
        """Return what a key file of the collector's service account says."""
        pem = self.private_key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return {
            "type": "service_account",
            "project_id": self.host.id,
            "private_key_id": "demo",
            "private_key": pem.decode(),
            "client_email": self.collector,
            "client_id": "100000000000000000001",
            "token_uri": origin + TOKEN_PATH,
        }

    def external_account_info(self, origin: str, token_file: str, impersonate: bool) -> Any:
        """Return what a configuration of workload identity federation says."""
        info: dict[str, Any] = {
            "type": "external_account",
            "audience": f"//iam.googleapis.com/{self.pool}",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": origin + STS_PATH,
            "credential_source": {"file": token_file},
        }
        if impersonate:
            info["service_account_impersonation_url"] = origin + self.impersonation_path
        return info

    @property
    def impersonation_path(self) -> str:
        """Where a token of the collector's service account is asked for."""
        return f"/v1/projects/-/serviceAccounts/{self.collector}:generateAccessToken"

    @property
    def federated(self) -> str:
        """The principal of the federated workload."""
        pool = self.pool.partition("/providers/")[0]
        return f"principal://iam.googleapis.com/{pool}/subject/{WORKLOAD}"

    # -- answering

    def answer(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, origin: str
    ) -> WebReply:
        """Answer a request."""
        self.asked.append(path)
        if self.refusal is not None:
            status, error, about = self.refusal
            return WebReply(status, {"error": error, "error_description": about})
        if method == "GET" and (path == "/" or path.startswith(METADATA)):
            return self._metadata(path.removeprefix(METADATA), headers)
        if method == "POST" and path == TOKEN_PATH:
            return self._assertion(_form(body), (GOOGLES, origin + TOKEN_PATH))
        if method == "POST" and path == STS_PATH:
            return self._exchange(_form(body))
        if method == "POST" and path.endswith(":generateAccessToken"):
            return self._impersonate(path, headers)
        return WebReply(
            404, {"error": {"code": 404, "message": "Not Found", "status": "NOT_FOUND"}}
        )

    def _token(self, principal: str) -> dict[str, Any]:
        return {
            "access_token": self.give(principal),
            "expires_in": LIFETIME - 1,
            "token_type": "Bearer",
        }

    def _assertion(self, form: Mapping[str, str], audiences: tuple[str, ...]) -> WebReply:
        if form.get("grant_type") != ASSERTION:
            return _oauth_error("unsupported_grant_type", "Invalid grant_type")
        claims = self._claims(form.get("assertion", ""))
        if not claims or claims.get("aud") not in audiences:
            return _oauth_error("invalid_grant", "Invalid JWT Signature.")
        return WebReply(200, self._token(self.collector))

    def _exchange(self, form: Mapping[str, str]) -> WebReply:
        if form.get("grant_type") != EXCHANGE:
            return _oauth_error("invalid_request", "Invalid grant_type")
        if form.get("audience") != f"//iam.googleapis.com/{self.pool}":
            return _oauth_error("invalid_target", "The target service does not exist.")
        if form.get("subject_token") != self.subject_token:
            return _oauth_error("invalid_grant", "The subject token is not valid.")
        issued = {"issued_token_type": "urn:ietf:params:oauth:token-type:access_token"}
        return WebReply(200, {**self._token(self.federated), **issued})

    def _impersonate(self, path: str, headers: Mapping[str, str]) -> WebReply:
        caller = self.principal_of(bearer(headers.get("Authorization", "")))
        if caller is None:
            return _api_error(401, "UNAUTHENTICATED", "Request had invalid credentials.")
        if path != self.impersonation_path:
            message = "Permission 'iam.serviceAccounts.getAccessToken' denied on resource."
            return _api_error(403, "PERMISSION_DENIED", message)
        until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=LIFETIME)
        expiry = until.strftime("%Y-%m-%dT%H:%M:%SZ")
        return WebReply(200, {"accessToken": self.give(self.collector), "expireTime": expiry})

    def _metadata(self, path: str, headers: Mapping[str, str]) -> WebReply:
        flavour = {"Metadata-Flavor": "Google"}
        account = "instance/service-accounts/default/"
        known: dict[str, Any] = {
            "/": "computeMetadata/",
            "project/project-id": self.host.id,
            "project/numeric-project-id": self.host.number,
            "universe/universe-domain": "googleapis.com",
            f"{account}email": self.collector,
            account: {"email": self.collector, "aliases": ["default"], "scopes": []},
        }
        if path != "/" and headers.get("Metadata-Flavor") != "Google":
            return WebReply(403, "Missing Metadata-Flavor:Google header.")
        wanted = path.partition("?")[0]
        if wanted == f"{account}token":
            return WebReply(200, self._token(self.collector), flavour)
        if wanted not in known:
            return WebReply(404, "Not Found", flavour)
        return WebReply(200, known[wanted], flavour)


def bearer(header: str) -> str:
    """Return the token of an Authorization header, or nothing."""
    scheme, _, token = header.partition(" ")
    return token if scheme.lower() == "bearer" else ""


def _form(body: bytes) -> dict[str, str]:
    text = body.decode()
    if text.startswith("{"):
        return {str(key): str(value) for key, value in json.loads(text).items()}
    return {key: values[0] for key, values in parse_qs(text).items()}


def _oauth_error(error: str, about: str) -> WebReply:
    return WebReply(400, {"error": error, "error_description": about})


def _api_error(code: int, status: str, message: str) -> WebReply:
    return WebReply(code, {"error": {"code": code, "message": message, "status": status}})
