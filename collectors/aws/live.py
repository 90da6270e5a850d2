"""Asking the cloud itself: an opened account's answers, redacted and made into captures."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from collectors.answers import Page
from collectors.aws.session import AccountSession
from collectors.capturing import CaptureMaker
from collectors.shape import plain
from evidence.capture import Exchange
from evidence.redaction import Redactor


class LiveSource:
    """What an account answers. Secrets are taken out before anything is handed on."""

    def __init__(self, session: AccountSession, redactor: Redactor) -> None:
        self.session = session
        self._maker = CaptureMaker("aws", session.account, redactor)

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
        return self._maker.clean(text)

    def page(self, service: str, exchanges: Sequence[Exchange], response: Any) -> Page:
        """Redact an answer and turn its exchanges into capture lines; the last is the answer."""
        operation = exchanges[-1].operation if exchanges else ""
        answer = None if response is None else plain(response)
        return self._maker.page(service, exchanges, answer, (service, operation))
