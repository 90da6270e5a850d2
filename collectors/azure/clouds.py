"""Where Azure is: the clouds that Microsoft runs, and their endpoints.

Source: learn.microsoft.com/azure/azure-government/compare-azure-government-global-azure,
learn.microsoft.com/azure/china/resources-developer-guide, learn.microsoft.com/graph/deployments.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

_KNOWN_AUTHORITIES = (
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "login.chinacloudapi.cn",
    "login.partner.microsoftonline.cn",
)


@dataclass(frozen=True)
class Endpoints:
    """Where to log in and where to ask. The audiences are what tokens are asked for."""

    authority: str
    arm: str
    graph: str
    arm_audience: str
    graph_audience: str

    @property
    def authority_is_known(self) -> bool:
        """Whether Microsoft runs the authority: another one is not looked up at Microsoft."""
        return self.authority.removeprefix("https://").strip("/") in _KNOWN_AUTHORITIES


def _endpoints(authority: str, arm: str, graph: str) -> Endpoints:
    return Endpoints(f"https://{authority}", f"https://{arm}", f"https://{graph}", arm, graph)


CLOUDS = {
    "public": _endpoints(
        "login.microsoftonline.com", "management.azure.com", "graph.microsoft.com"
    ),
    "us-government": _endpoints(
        "login.microsoftonline.us", "management.usgovcloudapi.net", "graph.microsoft.us"
    ),
    "china": _endpoints(
        "login.chinacloudapi.cn", "management.chinacloudapi.cn", "microsoftgraph.chinacloudapi.cn"
    ),
}


@dataclass(frozen=True)
class AzureSettings:
    """How Azure is asked: plain data, so that it can cross to another process.

    `authority`, `arm_endpoint` and `graph_endpoint` replace those of the cloud; `ca_file` holds
    certificates to trust besides the usual ones. `max_attempts` bounds the SDK's own retries of one
    request; throttling is outlasted by the caller.
    """

    cloud: str = "public"
    authority: str = ""
    arm_endpoint: str = ""
    graph_endpoint: str = ""
    ca_file: str = ""
    max_attempts: int = 5
    connections: int = 32
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    requests_per_second: float = 100.0
    reread: bool = True

    def endpoints(self) -> Endpoints:
        """Return where to ask. AZURE_AUTHORITY_HOST counts where no authority is configured."""
        known = CLOUDS[self.cloud]
        authority = self.authority or os.environ.get("AZURE_AUTHORITY_HOST", "") or known.authority
        return replace(
            known,
            authority=_https(authority),
            arm=_https(self.arm_endpoint or known.arm),
            graph=_https(self.graph_endpoint or known.graph),
            arm_audience=f"https://{known.arm_audience}/.default",
            graph_audience=f"https://{known.graph_audience}/.default",
        )


def _https(endpoint: str) -> str:
    """Return an endpoint as a URL without a slash at its end; a bare host is asked by https."""
    url = endpoint if "://" in endpoint else f"https://{endpoint}"
    return url.rstrip("/")
