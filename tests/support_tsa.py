"""A timestamp authority of our own on loopback, whose answers are made by `openssl ts -reply`.

`loopback_tsa(folder)` makes a root, an intermediate and a TSA certificate in `folder` and serves
RFC 3161 over HTTP. As public authorities do, it puts its own certificate and the intermediate into
a token, not the root. `mode` is how it behaves; `next_modes` are used up first, one a request.
"""

from __future__ import annotations

import datetime
import enum
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from asn1crypto import tsp
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Issued = tuple[x509.Certificate, CertificateIssuerPrivateKeyTypes]
"""A certificate and its private key."""

TIMESTAMPING = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
"""What a TSA's certificate is for."""


class Mode(enum.Enum):
    """What the authority does with a request."""

    ANSWERS = "answers"
    REFUSES = "refuses with status 2"
    UNAVAILABLE = "answers HTTP 503"
    HANGS_UP = "closes the connection without an answer"
    TRICKLES = "sends a byte now and then, for ever"
    FLOODS = "sends bytes without end"
    OTHER_DATA = "stamps other data"
    WRONG_NONCE = "answers another request"
    OTHER_CA = "answers with a chain of another CA"
    REDIRECTS = "sends the client elsewhere"
    WEB_PAGE = "answers with a page for people"


@dataclass
class LoopbackTsa:
    """The authority. `requests` counts what came in."""

    url: str
    root_certificate: Path
    other_root_certificate: Path
    mode: Mode = Mode.ANSWERS
    next_modes: list[Mode] = field(default_factory=list)
    requests: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def root(self) -> x509.Certificate:
        """The root that a reader would pin."""
        return x509.load_pem_x509_certificate(self.root_certificate.read_bytes())


def issue(
    name: str,
    issuer: Issued | None = None,
    *,
    key: CertificateIssuerPrivateKeyTypes | None = None,
    usage: x509.ExtendedKeyUsage | None = None,
    critical: bool = True,
    valid: tuple[datetime.datetime, datetime.datetime] | None = None,
) -> Issued:
    """Issue a CA certificate or, with an extended key `usage`, one of a TSA. Valid ten years."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    since, until = valid or (
        now - datetime.timedelta(days=1),
        now + datetime.timedelta(days=3650),
    )
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Loopback"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=usage is None, path_length=None), critical=True)
    )
    if usage is not None:
        builder = builder.add_extension(usage, critical=critical)
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256()), key


@contextmanager
def loopback_tsa(folder: Path) -> Iterator[LoopbackTsa]:
    """Serve timestamps on a free loopback port, with keys made in `folder`."""
    root = _make_authority(folder / "ours", ["sha256"])
    other_root = _make_authority(folder / "other", ["sha256"])
    _make_authority(folder / "refusing", ["sha512"])
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    url = f"http://127.0.0.1:{server.server_address[1]}/tsr"
    server.tsa = tsa = LoopbackTsa(url, root, other_root)  # type: ignore[attr-defined]
    server.folder = folder  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield tsa
    finally:
        tsa.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()


def reply(folder: Path, query: bytes) -> bytes:
    """Return what `openssl ts -reply` says to a query, with the authority in `folder`."""
    (folder / "query.tsq").write_bytes(query)
    subprocess.run(
        ["openssl", "ts", "-reply", "-config", "tsa.cnf", "-section", "tsa",
         "-queryfile", "query.tsq", "-out", "reply.tsr"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    return (folder / "reply.tsr").read_bytes()


def _make_authority(folder: Path, digests: list[str]) -> Path:
    """Make the certificates and configuration of an authority; return its root's PEM file."""
    folder.mkdir(parents=True)
    root = issue("Root")
    intermediate = issue("Intermediate", root)
    signer, key = issue("Timestamps", intermediate, usage=TIMESTAMPING)
    pem = Encoding.PEM
    (folder / "root.pem").write_bytes(root[0].public_bytes(pem))
    (folder / "chain.pem").write_bytes(intermediate[0].public_bytes(pem))
    (folder / "tsa.pem").write_bytes(signer.public_bytes(pem))
    (folder / "tsa.key").write_bytes(key.private_bytes(pem, PrivateFormat.PKCS8, NoEncryption()))
    (folder / "serial").write_text("01\n")
    (folder / "tsa.cnf").write_text(
        "[tsa]\n"
        "serial = serial\n"
        "signer_cert = tsa.pem\n"
        "certs = chain.pem\n"
        "signer_key = tsa.key\n"
        "signer_digest = sha256\n"
        "default_policy = 1.3.6.1.4.1.32473.1\n"  # the arc that is reserved for examples
        f"digests = {', '.join(digests)}\n"
        "ess_cert_id_alg = sha256\n"
        "clock_precision_digits = 3\n"
        "tsa_name = yes\n"
    )
    return folder / "root.pem"


class _Handler(BaseHTTPRequestHandler):
    """One request, in the mode that is set when it comes in."""

    server: Any

    def do_POST(self) -> None:
        tsa: LoopbackTsa = self.server.tsa
        query = self.rfile.read(int(self.headers["Content-Length"]))
        with tsa.lock:  # openssl counts serial numbers in a file
            tsa.requests += 1
            mode = tsa.next_modes.pop(0) if tsa.next_modes else tsa.mode
            if mode in _PLAIN:
                _PLAIN[mode](self)
            elif mode in _SENDING:
                body = b""
            else:
                body = self._answer(mode, query)
        if mode in _SENDING:
            _SENDING[mode](self, tsa.stopping)
        elif mode not in _PLAIN:
            self._send(body)

    def _answer(self, mode: Mode, query: bytes) -> bytes:
        asked = tsp.TimeStampReq.load(query)
        if self.headers["Content-Type"] != "application/timestamp-query":
            raise AssertionError("not the content type of RFC 3161, 3.4")
        if mode is Mode.OTHER_DATA:
            asked["message_imprint"]["hashed_message"] = bytes(32)
        elif mode is Mode.WRONG_NONCE:
            asked["nonce"] = asked["nonce"].native ^ 1
        names = {Mode.OTHER_CA: "other", Mode.REFUSES: "refusing"}
        return reply(self.server.folder / names.get(mode, "ours"), asked.dump(force=True))

    def _send(self, body: bytes, kind: str = "application/timestamp-reply") -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _redirect(self) -> None:
        self.send_response(302)
        self.send_header("Location", "http://127.0.0.1:9/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send_for_ever(self, piece: bytes, pause: float, stopping: threading.Event) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            while not stopping.wait(pause):
                self.wfile.write(piece)
        except OSError:
            return  # the client had enough, which is what it should do

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


_PLAIN: dict[Mode, Any] = {
    Mode.UNAVAILABLE: lambda handler: handler.send_error(503),
    Mode.HANGS_UP: lambda handler: handler.connection.close(),
    Mode.REDIRECTS: lambda handler: handler._redirect(),
    Mode.WEB_PAGE: lambda handler: handler._send(b"<html>Welcome</html>", "text/html"),
}
_SENDING: dict[Mode, Any] = {
    Mode.TRICKLES: lambda handler, stop: handler._send_for_ever(b"0", 0.02, stop),
    Mode.FLOODS: lambda handler, stop: handler._send_for_ever(bytes(1 << 16), 0.0, stop),
}
