"""A small Google Cloud Storage on loopback: as much of its JSON API as a store needs.

Objects are kept in memory and decided about under one lock, so `ifGenerationMatch=0` holds here as
it does at Google. Listings come in pages of three, so that paging is always seen.
Source: Google, "Cloud Storage JSON API": objects, uploads (multipart and resumable), errors.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

PAGE = 3
_OBJECT = re.compile(r"^(?:/upload|/download)?/storage/v1/b/([^/]+)(?:/o(?:/(.+))?)?$")


@dataclass
class Blob:
    """An object: its bytes and what its uploader said about it."""

    data: bytes
    resource: dict[str, Any]


@dataclass
class FakeGcs:
    """The state of the server.

    `lose_answers` loses that many answers to finished uploads; `damage` changes a byte of each
    download; `settings` are what every bucket says of itself.
    """

    buckets: dict[str, dict[str, Blob]] = field(default_factory=dict)
    sessions: dict[str, dict[str, Any]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    lose_answers: int = 0
    damage: bool = False
    settings: dict[str, Any] = field(default_factory=dict)

    def put(self, bucket: str, said: dict[str, Any], data: bytes, condition: str) -> Answer:
        """Keep an object if the condition allows it and its checksum is right."""
        checksum = crc32c(data)
        if said.get("crc32c", checksum) != checksum:
            return error(400, "Provided CRC32C does not match the uploaded bytes.")
        with self.lock:
            if bucket not in self.buckets:
                return error(404, "The specified bucket does not exist.")
            if condition == "0" and said["name"] in self.buckets[bucket]:
                return error(412, "At least one of the pre-conditions you specified did not hold.")
            resource = {
                "kind": "storage#object",
                "name": said["name"],
                "bucket": bucket,
                "generation": str(next(self.numbers)),
                "metageneration": "1",
                "size": str(len(data)),
                "metadata": said.get("metadata", {}),
                "crc32c": checksum,
                "md5Hash": base64.b64encode(hashlib.md5(data).digest()).decode(),
            }
            self.buckets[bucket][said["name"]] = Blob(data, resource)
            if self.lose_answers:
                self.lose_answers -= 1
                return error(503, "The answer got lost.")
        return Answer(200, json.dumps(resource).encode())


@dataclass(frozen=True)
class Answer:
    """A status, a body and headers."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


def error(status: int, message: str) -> Answer:
    """An error as Google writes it."""
    return Answer(status, json.dumps({"error": {"code": status, "message": message}}).encode())


def crc32c(data: bytes) -> str:
    """CRC32C in the base64 form that Google uses."""
    import google_crc32c

    return base64.b64encode(google_crc32c.Checksum(data).digest()).decode()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    gcs: FakeGcs

    def _handle(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        found = _OBJECT.match(url.path)
        if found is None:
            answer = error(404, f"no such path: {url.path}")
        else:
            bucket, name = unquote(found[1]), unquote(found[2] or "")
            answer = self._answer(url.path, bucket, name, query, body)
        self.send_response(answer.status)
        for key, value in (("Content-Length", str(len(answer.body))), *answer.headers):
            self.send_header(key, value)
        if answer.body and answer.body[:1] == b"{" and "alt" not in query:
            self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(answer.body)

    do_GET = do_POST = do_PUT = do_DELETE = _handle  # noqa: N815 (the names of http.server)

    def _answer(
        self, path: str, bucket: str, name: str, query: dict[str, str], body: bytes
    ) -> Answer:
        if path.startswith("/upload"):
            if "upload_id" in query:
                return self._piece(query["upload_id"], body)
            if query["uploadType"] == "resumable":
                return self._begin(bucket, json.loads(body), query)
            said, data = _parts(body, self.headers["Content-Type"])
            return self.gcs.put(bucket, said, data, query.get("ifGenerationMatch", ""))
        with self.gcs.lock:
            blobs = self.gcs.buckets.get(bucket)
            if blobs is None:
                return error(404, "The specified bucket does not exist.")
            if not path.partition("/b/")[2].partition("/")[2]:
                return Answer(200, json.dumps({"name": bucket, **self.gcs.settings}).encode())
            if not name:
                return _listed(blobs, query)
            if name not in blobs:
                return error(404, f"No such object: {bucket}/{name}")
            if self.command == "DELETE":
                del blobs[name]
                return Answer(204)
            return self._got(blobs[name], query)

    def _got(self, blob: Blob, query: dict[str, str]) -> Answer:
        if query.get("alt") != "media":
            return Answer(200, json.dumps(blob.resource).encode())
        data = blob.data[:-1] + b"!" if self.gcs.damage else blob.data
        sums = f"crc32c={blob.resource['crc32c']},md5={blob.resource['md5Hash']}"
        return Answer(
            200, data, (("X-Goog-Hash", sums), ("Content-Type", "application/octet-stream"))
        )

    def _begin(self, bucket: str, said: dict[str, Any], query: dict[str, str]) -> Answer:
        with self.gcs.lock:
            key = str(next(self.gcs.numbers))
            self.gcs.sessions[key] = {
                "bucket": bucket,
                "said": said,
                "condition": query.get("ifGenerationMatch", ""),
                "data": bytearray(),
            }
        there = f"http://{self.headers['Host']}/upload/storage/v1/b/{bucket}/o"
        location = f"{there}?uploadType=resumable&upload_id={key}"
        return Answer(200, b"", (("Location", location),))

    def _piece(self, key: str, body: bytes) -> Answer:
        session = self.gcs.sessions[key]
        session["data"] += body
        total = self.headers["Content-Range"].rpartition("/")[2]
        if total == "*" or len(session["data"]) < int(total):
            return Answer(308, b"", (("Range", f"bytes=0-{len(session['data']) - 1}"),))
        return self.gcs.put(
            session["bucket"], session["said"], bytes(session["data"]), session["condition"]
        )

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    request_queue_size = 128  # with the usual 5, a crowd of clients waits for its own retries


def _parts(body: bytes, content_type: str) -> tuple[dict[str, Any], bytes]:
    boundary = b"--" + content_type.partition("boundary=")[2].strip('"').encode()
    first, second = (part for part in body.split(boundary)[1:3])
    said = json.loads(first.partition(b"\r\n\r\n")[2])
    return said, second.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")


def _listed(blobs: dict[str, Blob], query: dict[str, str]) -> Answer:
    start = query.get("pageToken", "")
    names = sorted(n for n in blobs if n.startswith(query.get("prefix", "")) and n > start)
    page: dict[str, Any] = {"items": [blobs[name].resource for name in names[:PAGE]]}
    if len(names) > PAGE:
        page["nextPageToken"] = names[PAGE - 1]
    return Answer(200, json.dumps(page).encode())


@contextmanager
def fake_gcs() -> Iterator[tuple[str, FakeGcs]]:
    """Serve on a free loopback port; yield the URL and the server's state."""
    gcs = FakeGcs()
    handler = type("Handler", (_Handler,), {"gcs": gcs})
    server = _Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", gcs
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
