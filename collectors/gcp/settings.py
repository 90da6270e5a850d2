"""How Google Cloud is asked: where, as whom, how fast. Plain data, without any secret."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

ENDPOINT = "cloudasset.googleapis.com:443"
"""Where Cloud Asset Inventory is. Source: cloud.google.com/asset-inventory/docs/reference/rpc."""

LARGEST_PAGE = 1000
LARGEST_SEARCH_PAGE = 500
"""The most results a page. Source: the `page_size` of ListAssets and of SearchAllIamPolicies."""


@dataclass(frozen=True)
class CredentialTarget:
    """Whose credentials: those that Google's libraries find, or those of a file.

    `file` is a service account's key, or what `gcloud iam workload-identity-pools
    create-cred-config` wrote. `impersonate` is a service account to act as. An `anonymous` caller
    sends no token at all: for an emulator.
    """

    file: str = ""
    impersonate: str = ""
    anonymous: bool = False


@dataclass(frozen=True)
class GcpSettings:
    """Where to ask and how.

    An endpoint that begins with `http://` is asked in the clear and without credentials; that is
    for emulators. `first_wait` is how many seconds the library's first retry waits at most,
    `first_pause` about how many we wait when it has given up.
    """

    endpoint: str = ENDPOINT
    ca_file: str = ""
    credential: CredentialTarget = CredentialTarget()
    quota_project: str = ""
    page_size: int = LARGEST_PAGE
    max_attempts: int = 5
    requests_per_minute: float = 90.0
    timeout: float = 120.0
    first_wait: float = 1.0
    first_pause: float = 15.0

    @property
    def is_plain(self) -> bool:
        """Whether the endpoint is asked without TLS."""
        return self.endpoint.startswith("http://")

    @property
    def address(self) -> str:
        """Host and port, as gRPC takes them."""
        if "://" not in self.endpoint:
            return self.endpoint if ":" in self.endpoint else f"{self.endpoint}:443"
        parts = urlsplit(self.endpoint)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        return f"{host}:{parts.port or (80 if self.is_plain else 443)}"

    @property
    def url(self) -> str:
        """The beginning of the URLs that captures show: gRPC is HTTP/2, and its methods paths."""
        scheme = "http" if self.is_plain else "https"
        return f"{scheme}://{self.address.removesuffix(':443')}"
