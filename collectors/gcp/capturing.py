"""From exchanges with Google Cloud to captures.

What comes over the wire is protobuf; a capture has its digest and length, and the same as JSON.
Secrets are taken out asset by asset: what a resource type declares, and what is recognised.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from collectors.answers import Page
from collectors.capturing import CaptureMaker
from collectors.gcp.exchange import Reply
from collectors.gcp.redacting import SERVICE, AssetRedactor
from collectors.gcp.rendering import as_text, status_as_json
from evidence.capture import PROTOBUF, Exchange, Redaction
from evidence.redaction import Redactor


class GcpCaptures:
    """Makes the captures of one scope."""

    def __init__(self, account: str, redactor: Redactor) -> None:
        self._maker = CaptureMaker("gcp", account, redactor)
        self._redactor, self._assets = redactor, AssetRedactor(redactor)

    def clean(self, text: str) -> str:
        """Return an error's text without secrets."""
        return self._maker.clean(text)

    def page(self, exchanges: Sequence[Exchange], reply: Reply, content: str) -> Page:
        """Return an answer without secrets, and the lines of its exchanges; the last is it."""
        lines, redactions = [], 0
        data, taken = self._clean_answer(reply.data, content)
        for index, exchange in enumerate(exchanges):
            is_answer = data is not None and index == len(exchanges) - 1
            text, found = (as_text(data), taken) if is_answer else self._clean_status(exchange)
            what = _what(text, reply.left_out if is_answer else 0, found)
            line, beside = self._maker.line(SERVICE, exchange, text or None, found, what)
            redactions += len(found) + beside
            lines.append(line)
        return Page(data, tuple(lines), redactions)

    def _clean_answer(
        self, data: dict[str, Any] | None, content: str
    ) -> tuple[dict[str, Any] | None, list[Redaction]]:
        if data is None:
            return None, []
        if "assets" not in data:
            clean, found = self._redactor.redact(content, data)
            return dict(clean), found
        assets, found = self._assets.assets(content, data["assets"])
        return {**data, "assets": assets}, found

    def _clean_status(self, exchange: Exchange) -> tuple[str, list[Redaction]]:
        """Return the body of an attempt that failed: the status, where the cloud gave details."""
        status = status_as_json(exchange.body)
        return self._redactor.redact_text(as_text(status)) if status else ("", [])


def _what(text: str, left_out: int, found: Sequence[Redaction]) -> str:
    """Return what the body is."""
    if not text:
        return ""
    unknown = f" without {left_out} bytes of fields unknown to this version" if left_out else ""
    return f"{PROTOBUF}{unknown}{', redacted' if found else ''}"
