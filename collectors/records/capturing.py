"""The captures of records: a file as what it is as a whole, and each of its rows."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from collectors.capturing import CaptureMaker
from collectors.records.redacting import RowRedactor
from collectors.records.source import FileHead, RawRow
from collectors.records.spec import OPERATION, PROVIDER, RecordType
from evidence.capture import Exchange
from evidence.redaction import Redactor
from evidence.units import GLOBAL_REGION

UNREADABLE = "unreadable"
"""The error of a row whose text cannot be read."""


@dataclass(frozen=True)
class Captured:
    """A capture, as bytes, and what it says once secrets are taken out."""

    line: bytes
    text: str
    redactions: int


class RecordCaptures:
    """Makes the captures of one unit. Secrets are taken out before anything is handed on."""

    def __init__(self, spec: RecordType, account: str, redactor: Redactor) -> None:
        self._maker = CaptureMaker(PROVIDER, account, redactor)
        self._rows = RowRedactor(redactor, spec)
        self._asked = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")

    def file(self, head: FileHead) -> Captured:
        """Return the capture of a file; its text is the head's."""
        written = head.as_text()
        text, found = self._maker.redactor.redact_text(written)
        exchange = self._exchange(head.parameters(), written.encode(), head.error, head.detail)
        body = text if found else None
        line, beside = self._maker.line(PROVIDER, exchange, body, found)
        return Captured(line, text, len(found) + beside)

    def row(self, head: FileHead, row: RawRow) -> Captured:
        """Return the capture of a row; `head` is the file's, as its own capture has it."""
        parameters = {**head.parameters(), "row": row.number}
        written = row.body.decode(errors="replace")
        text, found = self._rows.row(head, written)
        error = UNREADABLE if row.problem else ""
        exchange = self._exchange(parameters, row.body, error, row.problem)
        line, beside = self._maker.line(PROVIDER, exchange, text if found else None, found)
        return Captured(line, text, len(found) + beside)

    def _exchange(
        self, parameters: Mapping[str, Any], body: bytes, error: str, detail: str
    ) -> Exchange:
        return Exchange(
            operation=OPERATION,
            parameters=parameters,
            region=GLOBAL_REGION,
            url="",
            attempt=1,
            started=self._asked,
            status=0,
            request_id="",
            cloud_date="",
            body=body,
            error=error,
            error_detail=detail,
        )
