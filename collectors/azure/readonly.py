"""What the Azure collector may send: GET, and queries of Resource Graph. Nothing else, ever.

The guard is a policy of both pipelines and stands before the one that fetches a token, so a request
that is refused has neither a token nor a connection. The pipelines are made without
ARMAutoResourceProviderRegistrationPolicy, which answers some errors with a write.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from azure.core.pipeline.policies import HTTPPolicy

from collectors.azure.errors import NotReadOnlyError
from collectors.azure.exchange import RESOURCE_GRAPH_PATH


class ReadOnlyPolicy(HTTPPolicy[Any, Any]):
    """Refuses every request that is not a reading one at the one endpoint, before it is sent."""

    def __init__(self, endpoint: str) -> None:
        self._host = urlsplit(endpoint).netloc.lower()

    def send(self, request: Any) -> Any:
        """Hand the request on, or raise NotReadOnlyError."""
        method, url = request.http_request.method, urlsplit(request.http_request.url)
        reason = ""
        if url.scheme != "https" or url.netloc.lower() != self._host:
            reason = f"{url.scheme}://{url.netloc} is not the endpoint {self._host}"
        elif method != "GET" and (method != "POST" or url.path != RESOURCE_GRAPH_PATH):
            reason = f"{method} {url.path} is not a reading request"
        if reason:
            raise NotReadOnlyError(
                f"refused before it was sent: {reason}",
                where=f"{method} {url.path}",
                mend="Collecting is read-only. Correct the resource type.",
            )
        return self.next.send(request)
