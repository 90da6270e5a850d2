"""The HTTP side of the fake: a small server for the endpoints of `tokens`."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from auditpack.demo.gcp.tokens import Tokens


class TokenServer(ThreadingHTTPServer):
    """Answers at a loopback port, in the clear: no secret of value goes over it."""

    daemon_threads = True

    def __init__(self, host: str, tokens: Tokens) -> None:
        super().__init__((host, 0), _Handler)
        self.tokens = tokens
        self.origin = f"http://{host}:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that hang up."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16
    timeout = 60

    def handle_any(self) -> None:
        server = self.server
        assert isinstance(server, TokenServer)  # noqa: S101 (for the type checker)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.title(): value for name, value in self.headers.items()}
        reply = server.tokens.answer(self.command, self.path, headers, body, server.origin)
        plain = isinstance(reply.body, str)
        raw = reply.body.encode() if plain else json.dumps(reply.body).encode()
        self.send_response(reply.status)
        self.send_header("Content-Type", "text/plain" if plain else "application/json")
        self.send_header("Content-Length", str(len(raw)))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_POST = handle_any  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (its name in the library)
        """Write nothing."""
