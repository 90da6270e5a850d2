"""A capture: one API exchange as the cloud answered it, redacted, ready to be kept.

A capture is one line of canonical JSON. Its reference, `provider/account/region/type#line`, names
the segment and the line in it, so a person finds it with `zstd -dc FILE | sed -n LINEp`.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from evidence.canonical import LARGEST_INTEGER, canonical_json, canonical_text, sha256_hex
from evidence.storable import whole_text

PROTOBUF = "JSON of a protobuf message"
"""How `body_is` begins where the body is not what came over the wire, but says the same in JSON."""


@dataclass(frozen=True)
class Redaction:
    """One value taken out of a body before it was written.

    `digest` is an HMAC-SHA256 under the store's redaction key: equal secrets have equal digests,
    and nobody without the key can test a guess.
    """

    path: str
    reason: str
    digest: str


@dataclass(frozen=True)
class Exchange:
    """What went over the wire in one attempt, as the SDK saw it. `body` is as received.

    `headers` are those of the answer that the SDK reads data or an error code from, and no others.
    `error` names what went wrong where there was no answer, or none that the SDK could read, and
    `error_detail` is the SDK's own text of it.
    """

    operation: str
    parameters: Mapping[str, Any]
    region: str
    url: str
    attempt: int
    started: str
    status: int
    request_id: str
    cloud_date: str
    body: bytes
    error: str = ""
    error_detail: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


def capture_line(
    exchange: Exchange,
    *,
    provider: str,
    account: str,
    service: str,
    redacted_body: str | None,
    redactions: Sequence[Redaction],
    parameters: str,
    body_is: str = "",
) -> bytes:
    """Return the canonical JSON line (without newline) that records `exchange`.

    `redacted_body` replaces the body where something had to be taken out; None keeps the body as
    received. `parameters` is the request's parameters as redacted canonical JSON text; headers and
    the error's text are redacted already. `body_is` says what the body is where it is neither.
    """
    body, encoding = _body(exchange.body, redacted_body)
    return canonical_json(
        {
            "provider": provider,
            "account": account,
            "region": exchange.region,
            "service": service,
            "operation": exchange.operation,
            "parameters": parameters,
            "url": exchange.url,
            "attempt": exchange.attempt,
            "asked": exchange.started,
            "cloud_date": exchange.cloud_date,
            "status": exchange.status,
            "request_id": exchange.request_id,
            "error": exchange.error,
            "error_detail": exchange.error_detail,
            "headers": dict(exchange.headers),
            "received_sha256": sha256_hex(exchange.body),
            "received_length": len(exchange.body),
            "body": body,
            "body_is": body_is or encoding,
            "redactions": [
                {"path": item.path, "reason": item.reason, "digest": item.digest}
                for item in redactions
            ],
        }
    )


def _body(received: bytes, redacted: str | None) -> tuple[str, str]:
    if redacted is not None:
        return redacted, "redacted"
    try:
        return received.decode(), "as received"
    except UnicodeDecodeError:
        return base64.b64encode(received).decode(), "as received, base64"


def parameters_text(parameters: Mapping[str, Any]) -> str:
    """Return request parameters as canonical JSON text; other values become their text.

    So do whole numbers that canonical JSON refuses.
    """
    return canonical_text(_plain(parameters))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {whole_text(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        return whole_text(value)
    if value is None or isinstance(value, bool):
        return value
    is_exact = isinstance(value, int) and abs(value) <= LARGEST_INTEGER
    return value if is_exact else str(value)
