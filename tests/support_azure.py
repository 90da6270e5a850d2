"""Azure's own SDK clients, pointed at the demo's fake of Azure."""

from __future__ import annotations

from typing import Any

from azure.core import PipelineClient
from azure.core.pipeline import policies
from azure.core.rest import HttpRequest
from azure.identity import ClientSecretCredential
from azure.mgmt.resource.resources import ResourceManagementClient

from auditpack.demo.azure.server import FakeAzure

ARM_SCOPE = "https://management.azure.com/.default"
GRAPH_SCOPE = "https://graph.microsoft.com/.default"
ARG = "/providers/Microsoft.ResourceGraph/resources?api-version=2022-10-01"


class Clients:
    """What a program of a customer would make, with the fake's address and certificate."""

    def __init__(self, fake: FakeAzure) -> None:
        self.fake = fake
        trusting = {"connection_verify": str(fake.ca_file)}
        self.credential = ClientSecretCredential(
            fake.tenant_id,
            "client",
            "secret",
            authority=fake.authority,
            disable_instance_discovery=True,
            **trusting,
        )
        self.arm = ResourceManagementClient(
            self.credential,
            fake.subscriptions[0],
            base_url=fake.url,
            credential_scopes=[ARM_SCOPE],
            retry_backoff_factor=0.01,
            **trusting,
        )
        self.graph: PipelineClient[Any, Any] = PipelineClient(
            fake.url,
            policies=[
                policies.RetryPolicy(retry_backoff_factor=0.01),
                policies.BearerTokenCredentialPolicy(self.credential, GRAPH_SCOPE),
            ],
            **trusting,
        )

    def get(self, path: str, api: str = "2023-05-01") -> Any:
        """GET a path of ARM; the answer, whatever its status."""
        join = "&" if "?" in path else "?"
        return self.arm.send_request(HttpRequest("GET", f"{path}{join}api-version={api}"))

    def all_of(self, path: str, api: str = "2023-05-01") -> list[Any]:
        """Every item of a list of ARM, page by page."""
        found, link = [], f"{path}{'&' if '?' in path else '?'}api-version={api}"
        while link:
            answer = self.arm.send_request(HttpRequest("GET", link))
            answer.raise_for_status()
            found += answer.json()["value"]
            link = answer.json().get("nextLink")
        return found

    def query(self, text: str, **body: Any) -> Any:
        """Ask Resource Graph; the answer, whatever its status."""
        return self.arm.send_request(HttpRequest("POST", ARG, json={"query": text, **body}))

    def rows(self, text: str, **body: Any) -> list[Any]:
        """Every row of a query of Resource Graph, page by page."""
        found: list[Any] = []
        options: dict[str, Any] = {"resultFormat": "objectArray"}
        while True:
            answer = self.query(text, options=options, **body)
            answer.raise_for_status()
            found += answer.json()["data"]
            token = answer.json().get("$skipToken")
            if not token:
                return found
            options["$skipToken"] = token

    def graph_get(self, path: str) -> Any:
        """GET a path of Microsoft Graph; the answer, whatever its status."""
        request = HttpRequest("GET", self.fake.url + path if path.startswith("/") else path)
        return self.graph.send_request(request)

    def graph_all(self, path: str) -> list[Any]:
        """Every item of a collection of Graph, page by page."""
        found, link = [], path
        while link:
            answer = self.graph_get(link)
            answer.raise_for_status()
            found += answer.json()["value"]
            link = answer.json().get("@odata.nextLink")
        return found
