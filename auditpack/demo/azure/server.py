"""`FakeAzure`: Azure's interfaces over an estate, with TLS, on a loopback port."""

from __future__ import annotations

import datetime
import importlib.util
import json
import re
import shutil
import ssl
import tempfile
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from auditpack.demo.azure import resource_graph
from auditpack.demo.azure.arm import ResourceManager, reads_by_post
from auditpack.demo.azure.building import load_azure_estate
from auditpack.demo.azure.compose import guid
from auditpack.demo.azure.directory import Directory
from auditpack.demo.azure.estate import AzureEstate
from auditpack.demo.azure.knobs import Failure, Knobs, Offer, Reads
from auditpack.demo.azure.replies import (
    Reply,
    Request,
    arm_error,
    graph_error,
    is_graph,
)
from auditpack.demo.azure.resource_graph import ResourceGraph
from auditpack.demo.azure.tokens import Tokens
from auditpack.demo.errors import DemoError

HOST = "127.0.0.1"


class FakeAzure:
    """The fake for the length of a `with` block: `url`, `ca_file`, what was asked, and knobs.

    Any client id signs in with any secret. What was asked is in `requests` (method, path, query),
    without the signing in; `writes` is the part of it that would have changed something. `sign_ins`
    are the requests for tokens, and `hosts` the names by which each service was called.

    Its certificate is good for the names in `also_called` too.
    """

    def __init__(
        self, estate: AzureEstate | None = None, *, also_called: Sequence[str] = ()
    ) -> None:
        self._names = (HOST, "localhost", *also_called)
        self.sign_ins: list[Request] = []
        self.hosts: set[tuple[str, str]] = set()
        self.estate = estate if estate is not None else load_azure_estate()
        self.knobs = Knobs()
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.queries: list[str] = []
        company = self.estate.company
        self.client_id = guid(company.collector)
        self.tokens = Tokens(company.tenant, self.client_id, domain=company.domain)
        self._arm = ResourceManager(self.estate, self.knobs)
        self._rows = ResourceGraph(self.estate, self.knobs)
        self._directory = Directory(self.estate, self.knobs)
        self._server: ThreadingHTTPServer | None = None
        self._folder: Path | None = None

    # -- where it is

    @property
    def url(self) -> str:
        """Where it answers, for ARM, for Graph and as the login authority."""
        if self._server is None:
            raise DemoError("the demo's Azure is not running", mend="use it as `with FakeAzure()`")
        return f"https://{HOST}:{self._server.server_port}"

    @property
    def authority(self) -> str:
        """The same as an authority host, which azure-identity wants without the scheme."""
        return self.url.removeprefix("https://")

    @property
    def ca_file(self) -> Path:
        """The certificate authority that clients have to trust."""
        if self._folder is None:
            raise DemoError("the demo's Azure is not running", mend="use it as `with FakeAzure()`")
        return self._folder / "ca.pem"

    @property
    def tenant_id(self) -> str:
        """The company's tenant."""
        return self.estate.tenant_id

    @property
    def subscriptions(self) -> tuple[str, ...]:
        """The ids of the company's subscriptions."""
        return self.estate.subscriptions

    @property
    def writes(self) -> list[tuple[str, str]]:
        """Requests that would have changed something, had they not been refused."""
        return [(m, p) for m, p, _ in list(self.requests) if is_write(m, p)]

    def __enter__(self) -> FakeAzure:
        require_trustme()
        import trustme

        self._folder = Path(tempfile.mkdtemp(prefix="auditpack-demo-azure-"))
        try:
            authority = trustme.CA(organization_name="auditpack demo")
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            authority.issue_cert(*self._names).configure_cert(context)
            authority.cert_pem.write_to_path(str(self.ca_file))
            self._server = _Server((HOST, 0), self, context)
            threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
        folder, self._folder = self._folder, None
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    # -- knobs

    @property
    def page_size(self) -> int:
        """The most rows that any page has."""
        return self.knobs.page_size

    @page_size.setter
    def page_size(self, rows: int) -> None:
        self.knobs.page_size = rows

    def fail(
        self,
        path_regex: str,
        status: int,
        code: str,
        times: int | None = None,
        retry_after: int | None = None,
        message: str = "",
    ) -> None:
        """Answer requests whose `METHOD /path` fits with an error, `times` times or from now on.

        A 429 of Resource Graph is `fail("resourcegraph/resources", 429, "RateLimiting", 1, 2)`.
        """
        pattern = re.compile(path_regex, re.IGNORECASE)
        with self.knobs.lock:
            self.knobs.failures.append(Failure(pattern, status, code, times, retry_after, message))

    def deny(self, path_regex: str) -> None:
        """Answer requests of ARM whose path fits as if the caller lacked the action: 403."""
        self.knobs.denied.append(re.compile(path_regex, re.IGNORECASE))

    def withhold(self, *permissions: str) -> None:
        """Take consent for application permissions of Graph away, such as Policy.Read.All."""
        self.knobs.withheld.update(permissions)

    def unlicense(self) -> None:
        """Make it a tenant without a premium licence."""
        self.knobs.unlicensed = True

    def delay(self, seconds: float) -> None:
        """Answer every request later by so much."""
        self.knobs.delay = seconds

    def limit_queries(self, number: int, seconds: float = 5.0) -> None:
        """Allow so many queries of Resource Graph in so many seconds, and 429 what is over."""
        self.knobs.quota, self.knobs.quota_window = number, seconds

    def limit_reads(self, number: int, a_second: float = 25.0) -> None:
        """Let so many reads of a subscription through at once and so many a second after; 429."""
        self.knobs.reads = Reads(number, a_second)

    def offer_versions(
        self, kind: str, *versions: str, code: str = "NoRegisteredProviderFound"
    ) -> None:
        """Have no api versions of a resource type but these; other codes word it in their way."""
        self.knobs.offers[kind.lower()] = Offer(versions, code)

    def hide(self, resource_id: str) -> None:
        """Make Resource Graph not know a resource yet."""
        self.knobs.hidden.add(resource_id.lower())
        self.knobs.generation += 1

    def behind(self, resource_id: str, row: Mapping[str, Any]) -> None:
        """Make Resource Graph's row of a resource an older one: `row` is laid over it."""
        self.knobs.behind[resource_id.lower()] = dict(row)
        self.knobs.generation += 1

    def remove(self, resource_id: str) -> None:
        """Make ARM answer 404 for what Resource Graph still lists."""
        self.knobs.gone.add(resource_id.lower())

    def multiply(self, resource_id: str, times: int) -> None:
        """Add so many copies of a resource, for measuring; ids end in -000001 and so on."""
        self.estate.multiply(resource_id, times)
        self.knobs.generation += 1

    def reset(self) -> None:
        """Forget what was asked and put every knob back."""
        for kept in (self.requests, self.queries, self.sign_ins, self.hosts):
            kept.clear()
        self.knobs.reset()
        self.tokens.refusal = None

    # -- answering

    def answer(self, request: Request) -> Reply:
        """Answer a request, as the service would that its path belongs to."""
        signing_in = self.tokens.answer(request)
        host = request.origin.removeprefix("https://")
        if signing_in is not None:
            self.hosts.add(("login", host))
            if request.method == "POST" or request.low.endswith("/msi/token"):
                self.sign_ins.append(request)
            return signing_in
        self.hosts.add(("graph" if is_graph(request.path) else "arm", host))
        with self.knobs.lock:
            self.requests.append((request.method, request.path, dict(request.query)))
        if self.knobs.delay:
            time.sleep(self.knobs.delay)
        refused = self.knobs.failing(request) or self.tokens.refusal_of(request)
        if refused is not None:
            return refused
        if is_write(request.method, request.path):
            return self._not_allowed(request)
        if is_graph(request.path):
            return self._directory.answer(request)
        reads = self.knobs.reads
        if reads is None or request.method != "GET":
            return self._resources_answer(request)
        return reads.limited(request, self._resources_answer)

    def _resources_answer(self, request: Request) -> Reply:
        if request.low == resource_graph.PATH and request.method == "POST":
            return self._query(request)
        return self._arm.answer(request)

    def _query(self, request: Request) -> Reply:
        wrong = self._arm.wrong_version(request)
        if wrong is not None:
            return wrong
        with self.knobs.lock:
            self.queries.append(request.body.decode(errors="replace"))
        return self._rows.answer(request, time.monotonic())

    @staticmethod
    def _not_allowed(request: Request) -> Reply:
        message = f"{request.method} is not allowed: this only reads."
        if is_graph(request.path):
            return graph_error(405, "MethodNotAllowed", message)
        return arm_error(405, "MethodNotAllowed", message)


def is_write(method: str, path: str) -> bool:
    """Whether a request would change something."""
    if method in ("GET", "HEAD", "OPTIONS"):
        return False
    low = path.lower().rstrip("/")
    return method != "POST" or not (low == resource_graph.PATH or reads_by_post(low))


def require_trustme() -> None:
    """Say how to install what makes the fake's certificate, if it is missing."""
    if importlib.util.find_spec("trustme") is None:
        raise DemoError(
            "the demo needs a certificate for its stand-in of Azure: trustme is not installed",
            mend="pip install 'auditpack[demo]'",
        )


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, at: tuple[str, int], fake: FakeAzure, context: ssl.SSLContext) -> None:
        super().__init__(at, _Handler)
        self.fake = fake
        # The handshake is made by the thread of the connection, so that no client holds up others.
        self.socket = context.wrap_socket(
            self.socket, server_side=True, do_handshake_on_connect=False
        )

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that hang up, as they do when they distrust the certificate."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "Microsoft-HTTPAPI/2.0"
    wbufsize = 1 << 16  # a response is one packet; two would wait for each other 40 ms
    timeout = 60

    def handle_any(self) -> None:
        server = self.server
        assert isinstance(server, _Server)  # noqa: S101 (for the type checker)
        parts = urlsplit(self.path)
        query = {_option(k): v for k, v in parse_qsl(parts.query, keep_blank_values=True)}
        length = int(self.headers.get("Content-Length") or 0)
        request = Request(
            method=self.command,
            path=parts.path,
            query=query,
            headers=dict(self.headers.items()),
            body=self.rfile.read(length),
            origin=f"https://{self.headers.get('Host') or server.fake.authority}",
        )
        try:
            reply = server.fake.answer(request)
        except Exception as error:  # noqa: BLE001 (a mistake of the fake is answered, not hidden)
            reply = arm_error(500, "FakeAzureMistake", f"{type(error).__name__}: {error}")
        self._send(reply, is_graph(parts.path))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = handle_any  # noqa: N815

    def _send(self, reply: Reply, graph: bool) -> None:
        raw = b"" if reply.body is None else json.dumps(reply.body).encode()
        name = str(uuid.uuid4())
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Content-Length": str(len(raw)),
            "Cache-Control": "no-cache",
            "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
        }
        if graph:
            headers |= {"request-id": name, "client-request-id": name, "OData-Version": "4.0"}
        else:
            now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
            headers |= {
                "x-ms-request-id": name,
                "x-ms-correlation-request-id": name,
                "x-ms-routing-request-id": f"DEMO:{now}:{name}",
                "x-ms-ratelimit-remaining-subscription-reads": "11999",
            }
        self.send_response(reply.status)
        for key, value in (headers | dict(reply.headers)).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (its name in the library)
        """Print nothing."""


def _option(name: str) -> str:
    """Query options of Azure are known by their name in any case; `$skipToken` by one spelling."""
    return name.lower() if name.startswith("$") or name.lower() == "api-version" else name
