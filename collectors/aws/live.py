"""Asking the cloud itself: an opened account's answers, redacted and made into captures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from collectors.answers import Page
from collectors.aws.session import AccountSession
from collectors.shape import plain
from evidence.capture import Exchange, Redaction, capture_line, parameters_text
from evidence.redaction import Redactor


class LiveSource:
    """What an account answers. Secrets are taken out before anything is handed on."""

    def __init__(self, session: AccountSession, redactor: Redactor) -> None:
        self.session, self._redactor = session, redactor

    @property
    def partition(self) -> str:
        """The partition of the account."""
        return self.session.partition

    def recording(self) -> AbstractContextManager[list[Exchange]]:
        """Collect the exchanges of this thread while the block runs."""
        return self.session.recorder.recording()

    def ask(self, service: str, region: str, operation: str, params: dict[str, Any]) -> Any:
        """Make one call and return the SDK's answer; raises whatever the SDK raises."""
        return self.session.ask(service, region, operation, params)

    def clean(self, text: str) -> str:
        """Return an error's text without secrets."""
        return self._redactor.redact_text(text)[0]

    def page(self, service: str, exchanges: Sequence[Exchange], response: Any) -> Page:
        """Redact an answer and turn its exchanges into capture lines; the last is the answer."""
        data: Any = None
        redacted: list[Redaction] = []
        if response is not None:
            operation = exchanges[-1].operation if exchanges else ""
            data, redacted = self._redactor.redact(operation, plain(response))
        lines, redactions = [], 0
        for index, exchange in enumerate(exchanges):
            is_answer = response is not None and index == len(exchanges) - 1
            body, found = self._body(exchange, data if is_answer else None, redacted)
            line, beside = self._line(service, exchange, body, found)
            redactions += len(found) + beside
            lines.append(line)
        return Page(data, tuple(lines), redactions)

    def _body(
        self, exchange: Exchange, data: Any, redacted: list[Redaction]
    ) -> tuple[str | None, list[Redaction]]:
        """Return the replacement of the body where a secret was in it, and what was taken out."""
        if data is not None and redacted:
            return _as_text(data), redacted
        if data is not None:
            return None, []
        text, found = self._redactor.redact_text(exchange.body.decode(errors="replace"))
        return (text, found) if found else (None, [])

    def _line(
        self, service: str, exchange: Exchange, body: str | None, found: list[Redaction]
    ) -> tuple[bytes, int]:
        """Return the capture line, and how many secrets stood in the answer's headers."""
        parameters, _ = self._redactor.redact_text(parameters_text(exchange.parameters))
        headers, beside = {}, []
        for name, value in exchange.headers.items():
            headers[name], here = self._redactor.redact_text(value, f"header {name}")
            beside.extend(here)
        line = capture_line(
            replace(exchange, headers=headers, error_detail=self.clean(exchange.error_detail)),
            provider="aws",
            account=self.session.account,
            service=service,
            redacted_body=body,
            redactions=[*found, *beside],
            parameters=parameters,
        )
        return line, len(beside)


def _as_text(data: Any) -> str:
    """Return a parsed answer as JSON with its members in the cloud's order.

    That order is part of the answer: maps in the tables keep it.
    """
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))
