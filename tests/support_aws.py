"""A moto server in this process, behind a gate that can deny, throttle, slow down and count.

The gate speaks the error format of the caller's protocol, so the real SDK sees what AWS would send.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

_CREDENTIAL = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/aws4_request")


@dataclass(frozen=True)
class Request:
    """What the gate knows of a request before it is answered."""

    service: str
    region: str
    access_key: str
    operation: str
    body: bytes

    @property
    def name(self) -> str:
        """Service and operation; for REST services the method and the shape of the path."""
        return f"{self.service}:{self.operation}"


Refusal = tuple[int, str, str]
"""Status, error code, message."""


@dataclass
class Gate:
    """Decides about requests. `refuse` returns a refusal or None; `delay` is in seconds."""

    refuse: Callable[[Request], Refusal | None] = lambda _: None
    delay: float = 0.0
    requests: list[Request] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def reset(self) -> None:
        """Let everything through again and forget what was counted."""
        self.refuse, self.delay = lambda _: None, 0.0
        self.requests.clear()

    def counts(self) -> Counter[str]:
        """How many requests of each operation came in."""
        return Counter(request.name for request in self.requests)


def every(number: int, refusal: Refusal) -> Callable[[Request], Refusal | None]:
    """Refuse every `number`-th request."""
    lock, count = threading.Lock(), [0]

    def decide(_: Request) -> Refusal | None:
        with lock:
            count[0] += 1
            return refusal if count[0] % number == 0 else None

    return decide


def _request(environ: dict[str, Any], body: bytes) -> Request:
    found = _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
    key, region, service = found.groups() if found else ("", "us-east-1", "s3")
    operation = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
    if not operation and b"Action=" in body:
        operation = parse_qs(body.decode(errors="replace")).get("Action", [""])[0]
    if not operation:
        path = re.sub(r"[^/]*\d[^/]*|[^/]{12,}", "*", environ.get("PATH_INFO", ""))
        query = "&".join(sorted(parse_qs(environ.get("QUERY_STRING", ""), True)))
        operation = f"{environ['REQUEST_METHOD']} {path}?{query}"
    return Request(service, region, key, operation, body)


def _refuse(request: Request, environ: dict[str, Any], refusal: Refusal, start: Any) -> list[bytes]:
    status, code, message = refusal
    error = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    headers = [("Content-Type", "text/xml"), ("x-amzn-requestid", "refused")]
    form = str(environ.get("CONTENT_TYPE", "")).startswith("application/x-www-form-urlencoded")
    if request.service in ("s3", "route53", "cloudfront"):
        text = error
    elif request.service == "ec2":
        text = f"<Response><Errors>{error}</Errors><RequestID>refused</RequestID></Response>"
    elif form:
        text = f"<ErrorResponse>{error}<RequestId>refused</RequestId></ErrorResponse>"
    else:
        headers = [
            ("Content-Type", "application/json"),
            ("x-amzn-errortype", code),
            ("x-amzn-requestid", "refused"),
        ]
        text = json.dumps({"__type": code, "message": message})
    start(f"{status} Refused", headers)
    return [text.encode()]


def gated(app: Any, gate: Gate) -> Any:
    """Return the WSGI application behind the gate."""

    def call(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        import io

        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length) if length else b""
        environ["wsgi.input"] = io.BytesIO(body)
        request = _request(environ, body)
        with gate.lock:
            gate.requests.append(request)
        if gate.delay:
            time.sleep(gate.delay)
        refusal = gate.refuse(request)
        if refusal is not None:
            return _refuse(request, environ, refusal, start)
        return app(environ, start)

    return call


@contextmanager
def gated_moto() -> Iterator[tuple[str, Gate]]:
    """Serve moto behind a gate on a free loopback port; yield its URL and the gate."""
    import logging

    from moto.moto_server.werkzeug_app import (
        DomainDispatcherApplication,
        create_backend_app,
    )
    from werkzeug.serving import make_server

    from auditpack.demo.fakecloud import plainly_refusing

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    gate = Gate()
    app = gated(plainly_refusing(DomainDispatcherApplication(create_backend_app)), gate)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}", gate
    finally:
        server.shutdown()
        thread.join(5)
