"""Sessions: the two pipelines of a tenant, with one credential, and what its threads share.

Azure Resource Manager and Resource Graph are asked through azure-mgmt-resource's `send_request`,
Microsoft Graph through azure-core's pipeline. Both have the same policies, which are ours: the
SDK's retries and authentication, a guard that refuses what does not read, and the recorder.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from collectors.azure.clouds import AzureSettings
from collectors.azure.credentials import CredentialTarget, credential_for
from collectors.azure.errors import missing_libraries
from collectors.azure.exchange import Reply, Request, reply_of
from collectors.azure.quota import Lane, QueryQuota, ReadQuota
from collectors.azure.spec import GRAPH
from collectors.azure.trust import bundle_with
from collectors.azure.versions import ApiVersions
from collectors.limiter import Rates, TokenBucket

_SUBSCRIPTION = re.compile(r"^/subscriptions/([^/?]+)", re.IGNORECASE)
_BURST = 250.0
"""Reads that Azure Resource Manager lets through at once, a subscription.

Source: learn.microsoft.com/azure/azure-resource-manager/management/request-limits-and-throttling.
"""

_METHODS = frozenset({"GET", "POST"})
"""Requests that may be sent again: a POST of ours is a query."""


@dataclass(frozen=True)
class TenantTarget:
    """A tenant to read, as configured: plain data, so that it can cross to another process.

    `id` may be empty: then the credential's own tenant is meant. No subscriptions means every one
    that the credential sees.
    """

    id: str = ""
    name: str = ""
    subscriptions: tuple[str, ...] = ()
    credential: CredentialTarget = field(default_factory=CredentialTarget)


class TenantSession:
    """An opened tenant: its pipelines, its rate buckets, its recorder. Shared by threads."""

    def __init__(self, target: TenantTarget, settings: AzureSettings) -> None:
        try:
            from collectors.recording import Recorder

            self.recorder = Recorder()
            self._quota = QueryQuota()
            self.versions = ApiVersions()
            self._lock = threading.Lock()
            self._lanes: dict[str, Lane] = {}
            self.target, self.settings = target, settings
            self._endpoints = settings.endpoints()
            self.credential = credential_for(target.credential, target.id, settings)
            self._arm = self._arm_client()
            self._graph = self._graph_client()
        except ImportError as error:
            raise missing_libraries(error) from error

    def _policies(self, endpoint: str, audience: str) -> list[Any]:
        """The policies of a pipeline, from the call to the wire.

        There is none that registers resource providers, and none that follows a redirect.
        """
        from azure.core.pipeline import policies

        from collectors.azure.readonly import ReadOnlyPolicy
        from collectors.azure.recorder import RecordingPolicy

        retries = self.settings.max_attempts - 1
        return [
            policies.RequestIdPolicy(),
            policies.UserAgentPolicy(base_user_agent="auditpack"),
            policies.ProxyPolicy(),
            policies.RetryPolicy(
                retry_total=retries,
                retry_status=retries,
                retry_connect=min(2, retries),
                retry_read=min(2, retries),
            ),
            ReadOnlyPolicy(endpoint),
            policies.BearerTokenCredentialPolicy(self.credential, audience),
            RecordingPolicy(self.recorder, self._lane_of, self._quota),
        ]

    def _transport(self) -> dict[str, Any]:
        settings = self.settings
        import requests
        from azure.core.pipeline.transport import RequestsTransport
        from requests.adapters import HTTPAdapter

        session = requests.Session()
        session.mount("https://", HTTPAdapter(pool_maxsize=settings.connections))
        transport = RequestsTransport(
            session=session,
            session_owner=True,
            connection_verify=bundle_with(settings.ca_file),
            connection_timeout=settings.connect_timeout,
            read_timeout=settings.read_timeout,
        )
        return {"transport": transport}

    def _arm_client(self) -> Any:
        from azure.mgmt.resource.resources import ResourceManagementClient

        endpoint, audience = self._endpoints.arm, self._endpoints.arm_audience
        return ResourceManagementClient(
            self.credential,
            "00000000-0000-0000-0000-000000000000",  # every request names its own
            base_url=endpoint,
            credential_scopes=[audience],
            policies=self._policies(endpoint, audience),
            **self._transport(),
        )

    def _graph_client(self) -> Any:
        from azure.core import PipelineClient

        endpoint, audience = self._endpoints.graph, self._endpoints.graph_audience
        policies = self._policies(endpoint, audience)
        return PipelineClient(endpoint, policies=policies, **self._transport())

    def _lane_of(self, url: str) -> Lane:
        """Return the lane of a request: Azure counts a subscription's and a tenant's."""
        parts = urlsplit(url)
        found = _SUBSCRIPTION.match(parts.path)
        key = found.group(1).lower() if found else parts.netloc
        with self._lock:
            if key not in self._lanes:
                rate = self.settings.requests_per_second
                bucket = TokenBucket(Rates(start=rate, burst=max(rate, _BURST)))
                self._lanes[key] = Lane(bucket, ReadQuota())
            return self._lanes[key]

    def send(self, service: str, operation: str, request: Request) -> Reply:
        """Send one request, with the SDK's retries, and return what it means; raises nothing.

        Where Azure Resource Manager has not the api version, another of its own is asked for.
        """
        if service == GRAPH:
            return self._send(service, operation, request)
        return self.versions.asked(request, lambda one: self._send(service, operation, one))

    def _send(self, service: str, operation: str, request: Request) -> Reply:
        from azure.core.rest import HttpRequest

        client = self._graph if service == GRAPH else self._arm
        endpoint = self._endpoints.graph if service == GRAPH else self._endpoints.arm
        http = HttpRequest(
            request.method,
            f"{endpoint}{request.url}",
            headers={"Accept": "application/json", **request.headers},
            json=request.body,
        )
        try:
            with self.recorder.call(operation, request.parameters):
                answer = client.send_request(http, retry_on_methods=_METHODS)
        except Exception as error:  # noqa: BLE001  (this call's outcome, never the run's end)
            return Reply(0, None, (type(error).__name__,), str(error))
        headers = {str(name).lower(): str(text) for name, text in answer.headers.items()}
        return reply_of(answer.status_code, headers, answer.content)

    def close(self) -> None:
        """Close the connections."""
        self._arm.close()
        self._graph.close()
