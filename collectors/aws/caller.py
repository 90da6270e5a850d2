"""Calling an operation: all pages, retried while throttled, captured, redacted, classified."""

from __future__ import annotations

import functools
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.paginate import Paginator

from collectors.aws.models import operation_model, paginator_config
from collectors.aws.outcomes import classify, error_code, is_throttle
from collectors.aws.session import AccountSession
from collectors.aws.spec import Call
from collectors.shape import plain, search
from evidence.canonical import canonical_text
from evidence.capture import Exchange, Redaction, capture_line, parameters_text
from evidence.outcome import Outcome
from evidence.redaction import Redactor

_ROUNDS = 6
_FIRST_PAUSE = 1.0
_LONGEST_DETAIL = 300


@dataclass(frozen=True)
class Answer:
    """What came of a call. `data` is plain JSON data, redacted; `lines` the captures, as bytes.

    `detail` is the cloud's error code and message where the outcome is not ok. `shared` says that
    several resource types may use this answer, `reused` that it was made for another one before.
    """

    operation: str
    outcome: Outcome
    data: Any = None
    detail: str = ""
    lines: tuple[bytes, ...] = ()
    redactions: int = 0
    shared: bool = False
    reused: bool = False


@dataclass
class _Page:
    data: Any
    lines: list[bytes] = field(default_factory=list)
    redactions: int = 0


class Caller:
    """Makes the calls of one account. Calls that several types need are made once and shared."""

    def __init__(
        self,
        session: AccountSession,
        redactor: Redactor,
        shared: frozenset[tuple[str, str]] = frozenset(),
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.session = session
        self._redactor = redactor
        self._shared = shared
        self._sleep = sleep
        self._lock = threading.Lock()
        self._made: dict[tuple[str, str, str, str], Future[list[Answer]]] = {}

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
        with self._lock:
            future = self._made.get(key)
            mine = future is None
            if future is None:
                future = self._made[key] = Future()
        if mine:
            try:
                made = self._pages(call, service, region, params)
                future.set_result([replace(answer, shared=True) for answer in made])
            except BaseException as error:
                future.set_exception(error)
                raise
            yield from future.result()
            return
        yield from (replace(answer, reused=True) for answer in future.result())

    def _pages(
        self, call: Call, service: str, region: str, params: dict[str, Any]
    ) -> Iterator[Answer]:
        pages = self._raw_pages(call, service, region, params)
        while True:
            with self.session.recorder.recording() as exchanges:
                try:
                    response = next(pages, None)
                except Exception as error:  # noqa: BLE001  (this call's outcome, never the run's end)
                    page = self._page(service, exchanges, None)
                    yield self._failed(call, service, region, error, page)
                    return
            if response is None:
                return
            page = self._page(service, exchanges, response)
            yield Answer(
                call.operation, Outcome.OK, page.data, "", tuple(page.lines), page.redactions
            )

    def _failed(
        self, call: Call, service: str, region: str, error: Exception, page: _Page
    ) -> Answer:
        outcome = classify(error, call.absent, call.not_enabled)
        detail, _ = self._redactor.redact_text(_detail(error))
        if isinstance(error, EndpointConnectionError) and not self.session.offers(service, region):
            outcome, detail = Outcome.ABSENT, f"{service} is not offered in {region}"
        return Answer(call.operation, outcome, None, detail, tuple(page.lines), page.redactions)

    def _raw_pages(
        self, call: Call, service: str, region: str, params: dict[str, Any]
    ) -> Iterator[dict[str, Any]]:
        method = self._patient(getattr(self.session.client(service, region), call.operation))
        config = paginator_config(service, call.operation)
        if call.page is not None:
            yield from _token_pages(method, params, call.page.input, call.page.output)
        elif config is not None:
            model = operation_model(service, call.operation)
            pager: Any = Paginator
            yield from pager(method, config, model).paginate(**params)
        else:
            yield method(**params)

    def _patient(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """Go on asking for a while when the SDK has used up its retries on throttling.

        The SDK's standard mode gives up once its retry quota is empty (NOTES-COLLECTING).
        """

        def ask(**params: Any) -> Any:
            for attempt in range(_ROUNDS):
                try:
                    return method(**params)
                except ClientError as error:
                    if not is_throttle(error) or attempt == _ROUNDS - 1:
                        raise
                self._sleep(_FIRST_PAUSE * 2**attempt * random.uniform(0.8, 1.2))  # noqa: S311
            raise AssertionError("unreachable: the last round returns or raises")

        return ask

    def _page(self, service: str, exchanges: list[Exchange], response: Any) -> _Page:
        """Redact an answer and turn its exchanges into capture lines; the last is the answer."""
        page = _Page(None)
        redacted: list[Redaction] = []
        if response is not None:
            operation = exchanges[-1].operation if exchanges else ""
            page.data, redacted = self._redactor.redact(operation, plain(response))
        for index, exchange in enumerate(exchanges):
            is_answer = response is not None and index == len(exchanges) - 1
            body, found = self._body(exchange, page.data if is_answer else None, redacted)
            page.redactions += len(found)
            page.lines.append(self._line(service, exchange, body, found))
        return page

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
    ) -> bytes:
        parameters, _ = self._redactor.redact_text(parameters_text(exchange.parameters))
        return capture_line(
            exchange,
            provider="aws",
            account=self.session.account,
            service=service,
            redacted_body=body,
            redactions=found,
            parameters=parameters,
        )


def _as_text(data: Any) -> str:
    import orjson

    try:
        return canonical_text(data)
    except TypeError:  # a float somewhere: the text need not be canonical inside a body
        return orjson.dumps(data, option=orjson.OPT_SORT_KEYS).decode()


def _detail(error: Exception) -> str:
    """Return code and message on one line; a page for people instead of an answer is cut short."""
    message = str(error)
    if isinstance(error, ClientError):
        message = str(error.response.get("Error", {}).get("Message", ""))
    line = " ".join(f"{error_code(error)}: {message}".strip(": ").split())
    return line if len(line) <= _LONGEST_DETAIL else f"{line[:_LONGEST_DETAIL]} ..."


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
