"""From exchanges to captures: what a cloud answered, redacted, as lines to be kept."""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from collectors.answers import Page
from evidence.capture import Exchange, Redaction, capture_line, parameters_text
from evidence.redaction import Redactor
from evidence.storable import whole_text


@dataclass(frozen=True)
class CaptureMaker:
    """Makes the captures of one account. Secrets are taken out before anything is handed on."""

    provider: str
    account: str
    redactor: Redactor

    def clean(self, text: str) -> str:
        """Return an error's text without secrets."""
        return whole_text(self.redactor.redact_text(text)[0])

    def page(
        self, service: str, exchanges: Sequence[Exchange], answer: Any, declared_for: Hashable
    ) -> Page:
        """Redact an answer (None where there was none) and make the lines of its exchanges.

        The last exchange is the answer; `declared_for` is what its redactions are declared for.
        """
        data: Any = None
        redacted: list[Redaction] = []
        if answer is not None:
            data, redacted = self.redactor.redact(declared_for, answer)
        lines, redactions = [], 0
        for index, exchange in enumerate(exchanges):
            is_answer = answer is not None and index == len(exchanges) - 1
            body, found = self._body(exchange, data if is_answer else None, redacted)
            line, beside = self.line(service, exchange, body, found)
            redactions += len(found) + beside
            lines.append(line)
        return Page(data, tuple(lines), redactions)

    def _body(
        self, exchange: Exchange, data: Any, redacted: list[Redaction]
    ) -> tuple[str | None, list[Redaction]]:
        """Return the replacement of the body where a secret was in it, and what was taken out."""
        if data is not None and redacted:
            return _as_text(data), redacted
        text, found = self.redactor.redact_text(exchange.body.decode(errors="replace"))
        if not found:
            return None, []
        # An answer may hold members that this SDK does not know yet: then what it knows is kept.
        return (text if data is None else _as_text(data)), found

    def line(
        self,
        service: str,
        exchange: Exchange,
        body: str | None,
        found: list[Redaction],
        body_is: str = "",
    ) -> tuple[bytes, int]:
        """Return the capture line, and how many secrets stood in the answer's headers."""
        parameters, _ = self.redactor.redact_text(parameters_text(exchange.parameters))
        headers, beside = {}, []
        for name, value in exchange.headers.items():
            headers[name], here = self.redactor.redact_text(value, f"header {name}")
            beside.extend(here)
        line = capture_line(
            replace(
                exchange,
                headers=headers,
                url=self.clean(exchange.url),
                error_detail=self.clean(exchange.error_detail),
            ),
            provider=self.provider,
            account=self.account,
            service=service,
            redacted_body=body,
            redactions=[*found, *beside],
            parameters=parameters,
            body_is=body_is,
        )
        return line, len(beside)


def _as_text(data: Any) -> str:
    """Return a parsed answer as JSON with its members in the cloud's order.

    That order is part of the answer: maps in the tables keep it.
    """
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))
