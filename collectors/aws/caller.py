"""Calling an operation: all pages, retried while throttled, shared between types, classified.

What answers is a `Source`: the cloud itself (`collectors.aws.live`), or the captures of a sealed
snapshot (`collectors.aws.replaying`). Everything else is the same for both.
"""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, Protocol

from botocore.exceptions import ClientError
from botocore.paginate import Paginator

from collectors.answers import Answer, Page, shortened
from collectors.aws.models import is_offered, operation_model, paginator_config
from collectors.aws.outcomes import classify, error_code, is_throttle
from collectors.aws.spec import Call
from collectors.shape import search
from collectors.sharing import SharedAnswers
from evidence.capture import parameters_text
from evidence.outcome import Outcome

_ROUNDS = 6
_FIRST_PAUSE = 1.0


class NotCollectedError(Exception):
    """The captures hold no answer to this call: it was not made when they were."""


class Asked(Protocol):
    """One exchange, as far as a caller looks at it."""

    @property
    def url(self) -> str:
        """The URL that was asked."""


class Source(Protocol):
    """What answers calls."""

    @property
    def partition(self) -> str:
        """The partition of the account."""

    def recording(self) -> AbstractContextManager[Sequence[Any]]:
        """Collect the exchanges (`Asked`) of this thread while the block runs."""

    def ask(self, service: str, region: str, operation: str, params: dict[str, Any]) -> Any:
        """Make one call and return the SDK's answer; raises whatever the SDK raises."""

    def clean(self, text: str) -> str:
        """Return an error's text without secrets."""

    def page(self, service: str, exchanges: Sequence[Any], response: Any) -> Page:
        """Return an answer, None where there was none, and the captures of its exchanges."""


class Caller:
    """Makes the calls of one account. Calls that several types need are made once and shared.

    `pause` waits for so many seconds; handlers that poll use it as well.
    """

    def __init__(
        self,
        source: Source,
        shared: frozenset[tuple[str, str]] = frozenset(),
        *,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.pause = pause
        self._source = source
        self._shared = shared
        self._made = SharedAnswers()

    def ask(self, call: Call, service: str, region: str, params: dict[str, Any]) -> Answer:
        """Make a call and return the answer of all its pages merged."""
        pages = list(self.pages(call, service, region, params))
        last = pages[-1]
        if last.outcome is Outcome.OK:
            keys = _result_keys(service, call.operation)
            data = functools.reduce(
                lambda first, second: _merge(first, second, keys), (page.data for page in pages)
            )
            last = replace(last, data=data)
        lines = tuple(line for page in pages for line in page.lines)
        return replace(last, lines=lines, redactions=sum(page.redactions for page in pages))

    def pages(
        self, call: Call, service: str, region: str, params: dict[str, Any]
    ) -> Iterator[Answer]:
        """Yield one answer a page; a page that fails is the last, with its outcome.

        A call that was made before with the same parameters, and may be shared, is not made again:
        its answers and captures are used.
        """
        if (service, call.operation) not in self._shared:
            yield from self._pages(call, service, region, params)
            return
        key = (service, region, call.operation, parameters_text(params))
        yield from self._made.pages(key, lambda: self._pages(call, service, region, params))

    def _pages(
        self, call: Call, service: str, region: str, params: dict[str, Any]
    ) -> Iterator[Answer]:
        pages = self._raw_pages(call, service, region, params)
        while True:
            with self._source.recording() as exchanges:
                try:
                    response = next(pages, None)
                except Exception as error:  # noqa: BLE001  (this call's outcome, never the run's end)
                    yield self._failed(call, service, region, error, exchanges)
                    return
            if response is None:
                return
            page = self._source.page(service, exchanges, response)
            yield Answer(call.operation, Outcome.OK, page.data, "", page.lines, page.redactions)

    def _failed(
        self, call: Call, service: str, region: str, error: Exception, exchanges: Sequence[Asked]
    ) -> Answer:
        page = self._source.page(service, exchanges, None)
        outcome = classify(error, call.absent, call.not_enabled)
        detail = shortened(self._source.clean(_detail(error)))
        if isinstance(error, NotCollectedError):
            outcome, detail = Outcome.SKIPPED, "not collected"
        elif error_code(error) == "EndpointConnectionError":
            url = exchanges[-1].url if exchanges else ""
            if not is_offered(service, region, self._source.partition, url):
                outcome, detail = Outcome.ABSENT, f"{service} is not offered in {region}"
        return Answer(call.operation, outcome, None, detail, page.lines, page.redactions)

    def _raw_pages(
        self, call: Call, service: str, region: str, params: dict[str, Any]
    ) -> Iterator[dict[str, Any]]:
        method = self._patient(service, region, call.operation)
        config = paginator_config(service, call.operation)
        if call.page is not None:
            yield from _token_pages(method, params, call.page.input, call.page.output)
        elif config is not None:
            model = operation_model(service, call.operation)
            pager: Any = Paginator
            yield from pager(method, config, model).paginate(**params)
        else:
            yield method(**params)

    def _patient(self, service: str, region: str, operation: str) -> Callable[..., Any]:
        """Return a call that goes on asking for a while when the SDK has given up on throttling.

        The SDK's standard mode gives up once its retry quota is empty (NOTES-COLLECTING).
        """

        def ask(**params: Any) -> Any:
            for attempt in range(_ROUNDS):
                try:
                    return self._source.ask(service, region, operation, params)
                except ClientError as error:
                    if not is_throttle(error) or attempt == _ROUNDS - 1:
                        raise
                self.pause(_FIRST_PAUSE * 2**attempt * random.uniform(0.8, 1.2))  # noqa: S311
            raise AssertionError("unreachable: the last round returns or raises")

        return ask


def _detail(error: Exception) -> str:
    """Return code and message on one line."""
    message = str(error)
    if isinstance(error, ClientError):
        message = str(error.response.get("Error", {}).get("Message", ""))
    return " ".join(f"{error_code(error)}: {message}".strip(": ").split())


def _token_pages(
    method: Callable[..., Any], params: dict[str, Any], token_in: str, token_out: str
) -> Iterator[dict[str, Any]]:
    response = method(**params)
    yield response
    seen = set()
    while (token := search(token_out, response)) and token not in seen:
        seen.add(token)
        response = method(**{**params, token_in: token})
        yield response


def _result_keys(service: str, operation: str) -> list[str]:
    config = paginator_config(service, operation) or {}
    keys = config.get("result_key", [])
    return [keys] if isinstance(keys, str) else list(keys)


def _merge(first: Any, second: Any, keys: list[str]) -> Any:
    """Append the lists of `second` to those of `first`, at the paginator's result keys.

    Without known keys (a declared token pair) every top-level list is a result.
    """
    names = keys or [name for name, value in second.items() if isinstance(value, list)]
    merged = dict(first)
    for name in names:
        _extend(merged, second, name.split("."))
    return merged


def _extend(target: dict[str, Any], source: dict[str, Any], path: list[str]) -> None:
    name, rest = path[0], path[1:]
    if name not in source:
        return
    if rest:
        target[name] = dict(target.get(name) or {})
        _extend(target[name], source[name] or {}, rest)
    elif isinstance(source[name], list):
        target[name] = [*(target.get(name) or []), *source[name]]
