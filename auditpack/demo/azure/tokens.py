"""The token endpoint: whoever asks gets a token for what they ask for, if the tenant fits."""

from __future__ import annotations

import base64
import json
import re
import threading
import time
import uuid
from urllib.parse import parse_qs

from auditpack.demo.azure.replies import Json, Reply, Request, arm_error, graph_error, is_graph

LIFETIME = 3599


class Tokens:
    """The tokens that were given out, and what they are good for."""

    def __init__(self, tenant: str, client: str, *, domain: str = "") -> None:
        self._tenant = tenant
        self._client = client
        self._names = {tenant.lower(), "organizations", domain.lower()}
        self._given: dict[str, str] = {}
        self._lock = threading.Lock()
        self.refusal: tuple[str, str] | None = None

    def answer(self, request: Request) -> Reply | None:
        """Answer what belongs to signing in, or None for any other path."""
        if request.low == "/common/discovery/instance":
            return self._discovery(request)
        found = re.fullmatch(r"/([^/]+)/(?:oauth2/)?v2\.0/(.+)", request.low)
        if request.low == "/msi/token":
            return Reply(200, self._token(request.query.get("resource", ""), int(time.time())))
        if found is None:
            return None
        if found[1] not in self._names:
            return self._refuse(
                400, "invalid_request", f"AADSTS90002: Tenant '{found[1]}' not found."
            )
        if found[2] == ".well-known/openid-configuration":
            return self._openid(request)
        if found[2] == "token" and request.method == "POST":
            return self._give(request)
        return None

    def give(self, audience: str = "https://management.azure.com") -> str:
        """Make a token, as a test without a login needs it."""
        claims = {
            "aud": audience,
            "iss": f"https://sts.windows.net/{self._tenant}/",
            "tid": self._tenant,
            "appid": self._client,
            "oid": self._client,
            "exp": int(time.time()) + LIFETIME,
            "uti": uuid.uuid4().hex,
        }
        token = ".".join((_part({"typ": "JWT", "alg": "none"}), _part(claims), "demo"))
        with self._lock:
            self._given[token] = audience
        return token

    def expire(self) -> None:
        """Make all tokens that were given out invalid."""
        with self._lock:
            self._given.clear()

    def refusal_of(self, request: Request) -> Reply | None:
        """The 401 of a request whose token is missing or not good for this service."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        graph = is_graph(request.path)
        with self._lock:
            audience = self._given.get(token) if scheme.lower() == "bearer" else None
        if audience is not None and ("graph" in audience) is graph:
            return None
        if audience is not None and "management" not in audience and "graph" not in audience:
            return None  # an authority of a test's own, whose scope names neither service
        if graph:
            return graph_error(
                401, "InvalidAuthenticationToken", "Access token is empty or invalid."
            )
        code = "AuthenticationFailed" if not token else "InvalidAuthenticationToken"
        challenge = (
            f'Bearer authorization_uri="{request.origin}/{self._tenant}", '
            'error="invalid_token", error_description="The access token is missing or invalid."'
        )
        message = (
            "Authentication failed. The access token is missing, invalid or for another audience."
        )
        return arm_error(401, code, message, {"WWW-Authenticate": challenge})

    def _give(self, request: Request) -> Reply:
        form = {key: values[0] for key, values in parse_qs(request.body.decode()).items()}
        if self.refusal is not None:
            return self._refuse(401, *self.refusal)
        if not (form.get("client_secret") or form.get("client_assertion")):
            return self._refuse(
                401,
                "invalid_client",
                "AADSTS7000218: client_assertion or client_secret is missing.",
            )
        scope = form.get("scope", "").split()
        audience = next((s.removesuffix("/.default").rstrip("/") for s in scope if ":" in s), "")
        answer = self._token(audience)
        return Reply(200, answer, {"Cache-Control": "no-store, no-cache"})

    def _token(self, audience: str, now: int | None = None) -> Json:
        answer: Json = {
            "token_type": "Bearer",
            "expires_in": LIFETIME,
            "ext_expires_in": LIFETIME,
            "access_token": self.give(audience),
        }
        if now is not None:
            answer |= {"expires_on": str(now + LIFETIME), "resource": audience}
        return answer

    def _refuse(self, status: int, error: str, description: str) -> Reply:
        codes = [int(code) for code in re.findall(r"AADSTS(\d+)", description)]
        body = {
            "error": error,
            "error_description": description,
            "error_codes": codes,
            "trace_id": str(uuid.uuid4()),
            "correlation_id": str(uuid.uuid4()),
        }
        return Reply(status, body)

    def _openid(self, request: Request) -> Reply:
        base = f"{request.origin}/{self._tenant}"
        return Reply(
            200,
            {
                "issuer": f"{base}/v2.0",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
                "jwks_uri": f"{request.origin}/common/discovery/v2.0/keys",
                "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
                "response_types_supported": ["code", "id_token"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
            },
        )

    def _discovery(self, request: Request) -> Reply:
        host = request.origin.removeprefix("https://")
        tenant = f"{request.origin}/{self._tenant}/v2.0/.well-known/openid-configuration"
        known = {"preferred_network": host, "preferred_cache": host, "aliases": [host]}
        body = {"tenant_discovery_endpoint": tenant, "api-version": "1.1", "metadata": [known]}
        return Reply(200, body)


def _part(value: Json) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
