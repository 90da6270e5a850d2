"""`FakeGcp`: Cloud Asset Inventory over an estate, on loopback ports."""

from __future__ import annotations

import datetime
import json
import shutil
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

import grpc
import trustme

from auditpack.demo.errors import DemoError
from auditpack.demo.gcp.building import load_gcp_estate
from auditpack.demo.gcp.estate import Bulk, GcpEstate
from auditpack.demo.gcp.knobs import Call, Denial, Failure, Knobs, Quota, failing
from auditpack.demo.gcp.service import AssetService, Handlers
from auditpack.demo.gcp.statuses import exhausted
from auditpack.demo.gcp.tokens import Tokens
from auditpack.demo.gcp.web import TokenServer

HOST = "127.0.0.1"
WORKERS = 16


class FakeGcp:
    """The fake for the length of a `with` block: its addresses, what was called, and knobs.

    `address` answers in the clear and wants no token; `tls_address`, for which `ca_file` is the
    authority, wants one. What was called is in `calls`; `others` are the calls of methods that
    auditpack has no business with.
    """

    def __init__(
        self,
        estate: GcpEstate | None = None,
        clock: Callable[[], datetime.datetime] | None = None,
    ) -> None:
        now = clock or _now
        self.estate = estate if estate is not None else load_gcp_estate(now=now())
        self.knobs = Knobs()
        self.tokens = Tokens(self.estate)
        self._service = AssetService(self.estate, self.knobs, self.tokens, now)
        self._servers: list[grpc.Server] = []
        self._web: TokenServer | None = None
        self._folder: Path | None = None
        self._address = self._tls_address = ""

    # -- where it is

    @property
    def address(self) -> str:
        """Host and port in the clear."""
        return self._running(self._address)

    @property
    def tls_address(self) -> str:
        """Host and port with TLS."""
        return self._running(self._tls_address)

    @property
    def ca_file(self) -> Path:
        """The certificate authority that clients of the TLS port have to trust."""
        return self._file("ca.pem")

    @property
    def token_url(self) -> str:
        """Where the endpoints for signing in are."""
        if self._web is None:
            raise _not_running()
        return self._web.origin

    @property
    def metadata_host(self) -> str:
        """The same as a machine's metadata server, for GCE_METADATA_HOST."""
        return self.token_url.removeprefix("http://")

    @property
    def service_account_file(self) -> Path:
        """A key file of the collector's service account."""
        return self._write("service-account.json", self.tokens.service_account_info(self.token_url))

    @property
    def external_account_file(self) -> Path:
        """A configuration of workload identity federation, without a service account."""
        return self._external("external-account.json", impersonate=False)

    @property
    def impersonating_file(self) -> Path:
        """The same, which becomes the collector's service account by impersonation."""
        return self._external("external-account-impersonating.json", impersonate=True)

    # -- what is in it

    @property
    def organization(self) -> str:
        """The organisation, as a parent."""
        return self.estate.places["organization"].relative

    @property
    def folders(self) -> dict[str, str]:
        """The folders by our names, as parents."""
        company = self.estate.company
        return {key: f"folders/{folder.id}" for key, folder in company.folders.items()}

    @property
    def projects(self) -> dict[str, str]:
        """The projects by our names, as parents with their ids."""
        company = self.estate.company
        return {key: f"projects/{project.id}" for key, project in company.projects.items()}

    @property
    def calls(self) -> list[Call]:
        """What was called, in order."""
        return self._service.calls

    @property
    def others(self) -> list[str]:
        """The names of methods that were called and are not among those that auditpack needs."""
        return [
            call.method for call in list(self.calls) if call.method not in self._service.methods
        ]

    # -- running

    def __enter__(self) -> FakeGcp:
        self._folder = Path(tempfile.mkdtemp(prefix="auditpack-demo-gcp-"))
        try:
            authority = trustme.CA(organization_name="auditpack demo")
            authority.cert_pem.write_to_path(str(self.ca_file))
            leaf = authority.issue_cert(HOST, "localhost")
            chain = b"".join(part.bytes() for part in leaf.cert_chain_pems)
            secret = grpc.ssl_server_credentials([(leaf.private_key_pem.bytes(), chain)])
            self._address = self._serve(None)
            self._tls_address = self._serve(secret)
            self._web = TokenServer(HOST, self.tokens)
            threading.Thread(target=self._web.serve_forever, args=(0.05,), daemon=True).start()
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

    def _serve(self, secret: grpc.ServerCredentials | None) -> str:
        server = grpc.server(
            ThreadPoolExecutor(WORKERS, thread_name_prefix="fake-gcp"),
            handlers=(Handlers(self._service, secure=secret is not None),),
            options=(("grpc.so_reuseport", 0),),
        )
        where = f"{HOST}:0"
        port = (
            server.add_insecure_port(where)
            if secret is None
            else server.add_secure_port(where, secret)
        )
        server.start()
        self._servers.append(server)
        return f"{HOST}:{port}"

    def _stop(self) -> None:
        web, self._web = self._web, None
        if web is not None:
            web.shutdown()
            web.server_close()
        stopping = [server.stop(grace=0.2) for server in self._servers]
        for stopped in stopping:
            stopped.wait(5)
        self._servers.clear()
        self._address = self._tls_address = ""
        folder, self._folder = self._folder, None
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    def _running(self, address: str) -> str:
        if not address:
            raise _not_running()
        return address

    def _file(self, name: str) -> Path:
        if self._folder is None:
            raise _not_running()
        return self._folder / name

    def _write(self, name: str, said: object) -> Path:
        file = self._file(name)
        file.write_text(json.dumps(said), encoding="utf-8")
        return file

    def _external(self, name: str, *, impersonate: bool) -> Path:
        token_file = self._file("subject-token")
        token_file.write_text(self.tokens.subject_token, encoding="utf-8")
        info = self.tokens.external_account_info(self.token_url, str(token_file), impersonate)
        return self._write(name, info)

    # -- knobs

    def fail(
        self,
        code: str,
        *,
        method: str = "",
        content: str = "",
        parent: str = "",
        every: int = 1,
        after: int = 0,
        times: int | None = None,
        retry_after: float | None = None,
        message: str = "",
    ) -> None:
        """Answer calls that fit with a status, such as UNAVAILABLE.

        Of the calls that fit, after the first `after`, every `every`th fails, `times` times or from
        now on. `content` is resource, iam_policy, org_policy or access_policy; `retry_after` gives
        RetryInfo.
        """
        if code not in grpc.StatusCode.__members__ or code == "OK":
            raise DemoError(f"{code!r} is no status of gRPC", mend="such as RESOURCE_EXHAUSTED")
        refusal = failing(code, message, retry_after)
        if code == "RESOURCE_EXHAUSTED" and not message:
            refusal = exhausted(
                method or "ListAssets", parent or self.organization, 100, retry_after
            )
        failure = Failure(refusal, method, content, self._names(parent), every, after, times)
        with self.knobs.lock:
            self.knobs.failures.append(failure)

    def deny(
        self, parent: str = "", *, content: str = "", method: str = "", principal: str = ""
    ) -> None:
        """Answer calls that fit with PERMISSION_DENIED and the name of the missing permission."""
        denial = Denial(method, content, self._names(parent), principal)
        with self.knobs.lock:
            self.knobs.denials.append(denial)

    def disable_api(self, project: str = "") -> None:
        """Answer every call as if Cloud Asset API were not enabled in a project."""
        self.knobs.disabled = project or self.tokens.host.number

    def delay(self, seconds: float) -> None:
        """Answer every call later by so much."""
        self.knobs.delay = seconds

    def limit(self, calls: int, seconds: float = 60.0, method: str = "ListAssets") -> None:
        """Allow so many calls of a method in so many seconds; over it is RESOURCE_EXHAUSTED."""
        with self.knobs.lock:
            self.knobs.quotas[method] = Quota(calls, seconds)

    def require_token(self) -> None:
        """Want a token on the port in the clear, too."""
        self.knobs.require_token = True

    def forget_pages(self) -> None:
        """Make page tokens that were given out invalid."""
        self._service.pages.forget()

    def multiply(self, name: str, number: int) -> None:
        """Add so many copies of an asset to its listings, whose names end in -000001 and so on.

        They are made while they are listed: none is kept, however many there are.
        """
        self.estate.bulks.append(Bulk(self.estate.find(name), number))

    def reset(self) -> None:
        """Forget what was called and put every knob back."""
        self.calls.clear()
        self.knobs.reset()
        self.estate.bulks.clear()
        self.tokens.asked.clear()
        self.tokens.refusal = None

    def _names(self, parent: str) -> tuple[str, ...]:
        """Return both names of a project, by number and by id; a test may give either."""
        place = self.estate.place(parent) if parent else None
        if parent and place is None:
            raise DemoError(f"the estate has no {parent!r}", mend="such as projects/ID")
        if place is None:
            return ()
        return tuple(
            {place.relative, f"projects/{place.project}" if place.project else place.relative}
        )


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _not_running() -> DemoError:
    return DemoError("the demo's Google Cloud is not running", mend="use it as `with FakeGcp()`")
