"""A request to Azure and the reply to it, as plain values: live and from captures alike."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

import orjson

from evidence.storable import storable

RESOURCE_GRAPH_PATH = "/providers/Microsoft.ResourceGraph/resources"
"""The one path that takes a POST: it queries, and changes nothing."""

RESOURCE_GRAPH_API = "2022-10-01"
_LONGEST_PAGE = 20_000
_MOST_DIGITS = 1000  # Python reads some 4300 of a whole number, and then refuses
_TITLE = re.compile(r"(?is)<title[^>]*>(.*?)</title>")
_TAGS = re.compile(r"(?is)<(script|style)\b.*?</\1>|<[^>]*>")
_PATH_SAFE = "/:@!$&'()*+,;=-._~"


@dataclass(frozen=True)
class Request:
    """A request. With a body it is a query of Resource Graph, else a GET.

    `link` is path and query as the cloud itself wrote them, where they came from the page before.
    """

    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    link: str = ""

    @property
    def method(self) -> str:
        """GET, or POST for a query of Resource Graph."""
        return "GET" if self.body is None else "POST"

    @property
    def url(self) -> str:
        """Path and query, encoded, without the host."""
        path = quote(self.path, safe=_PATH_SAFE)
        query = urlencode(self.query, quote_via=quote)
        return self.link or (f"{path}?{query}" if query else path)

    @property
    def version(self) -> str:
        """The api version that is asked for; empty where there is none."""
        return self.query.get("api-version", "")

    def with_version(self, version: str) -> Request:
        """Return the same request for another api version."""
        if version == self.version:
            return self
        return replace(self, query={**self.query, "api-version": version}, link="")

    @property
    def parameters(self) -> dict[str, Any]:
        """What captures show of it. A query is of the one version, or says of which it is."""
        if self.body is None:
            return {"path": self.path, "query": dict(self.query)}
        if self.version == RESOURCE_GRAPH_API:
            return dict(self.body)
        return {"api-version": self.version, **self.body}

    def following(self, link: str) -> Request:
        """Return the request for the next page, as the cloud's own link says.

        The link's host is left out: a token is never sent anywhere but to the endpoint. Raises
        ValueError for a link that leads nowhere.
        """
        parts = urlsplit(link)
        if not parts.path.startswith("/"):
            raise ValueError("no address")
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        raw = urlunsplit(("", "", parts.path, parts.query, ""))
        return Request(unquote(parts.path), query, self.headers, link=raw)


def resource_graph_query(
    query: str, subscriptions: tuple[str, ...], skip_token: str = ""
) -> Request:
    """Return a query of Resource Graph; without subscriptions, of the whole tenant."""
    options: dict[str, Any] = {"$top": 1000, "resultFormat": "objectArray"}
    if skip_token:
        options["$skipToken"] = skip_token
    body: dict[str, Any] = {"query": query, "options": options}
    if subscriptions:
        body["subscriptions"] = list(subscriptions)
    return Request(RESOURCE_GRAPH_PATH, {"api-version": RESOURCE_GRAPH_API}, body=body)


@dataclass(frozen=True)
class Reply:
    """What came back. `data` is the parsed body of a success, None otherwise.

    `codes` are the error codes, the outermost first; `retry_after` the seconds that the cloud asks
    to wait. Where nothing came back, `status` is 0 and the code the name of the SDK's error.
    """

    status: int
    data: Any = None
    codes: tuple[str, ...] = ()
    message: str = ""
    retry_after: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether it is an answer."""
        return self.data is not None

    @property
    def code(self) -> str:
        """The error code; empty where it is an answer."""
        return self.codes[0] if self.codes else ""


def parsed_body(body: bytes) -> Any:
    """Return the JSON of a body. Raises ValueError.

    What evidence cannot hold is made into what it can (`evidence.storable`). A mark of the byte
    order is passed over.
    """
    try:
        return orjson.loads(body)
    except ValueError:
        pass
    try:
        return storable(json.loads(body, parse_int=_number))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _number(digits: str) -> int | float:
    return int(digits) if len(digits) < _MOST_DIGITS else float(digits)


def reply_of(status: int, headers: Mapping[str, str], body: bytes) -> Reply:
    """Return what an HTTP response means."""
    try:
        parsed = parsed_body(body) if body else None
    except ValueError:
        parsed = None
    if 200 <= status < 300 and parsed is not None:
        return Reply(status, parsed)
    codes, message = _error_in(parsed)
    if not codes:
        codes = ("InvalidAnswer" if status < 300 else f"HTTP {status}",)
        message = message or _as_read(body)
    return Reply(status, None, codes, message, _seconds(headers.get("retry-after", "")))


def _as_read(body: bytes) -> str:
    """Return the text of a body that is no error of a known form: a page without its tags."""
    text = body[:_LONGEST_PAGE].decode(errors="replace").strip()
    if text.startswith("<"):
        title = _TITLE.search(text)
        text = _TAGS.sub(" ", title.group(1) if title else text)
        return f"a web page: {' '.join(html.unescape(text).split())}"
    return text[:300] or "the answer is empty"


def _error_in(parsed: Any) -> tuple[tuple[str, ...], str]:
    """Return the codes and the message of an error body, in any of the forms in use."""
    if not isinstance(parsed, dict):
        return (), ""
    error = _member(parsed, "error", "odata.error") or parsed
    if isinstance(error, str):
        message = _text(_member(parsed, "error_description", "message"))
        return ((), error) if " " in error else ((error,), message)
    if not isinstance(error, dict):
        return (), ""
    codes = list(_codes_in(error))
    return tuple(dict.fromkeys(codes)), _text(_member(error, "message"))


def _member(error: Mapping[str, Any], *names: str) -> Any:
    """Return the first member of these names: some services begin them with a capital."""
    low = {str(name).lower(): item for name, item in error.items()}
    return next((low[name] for name in names if low.get(name)), None)


def _codes_in(error: Any) -> list[str]:
    if not isinstance(error, dict):
        return []
    code = _member(error, "code", "errorcode")
    found = [str(code)] if code else []
    for name in ("details", "innererror"):
        inner = _member(error, name)
        for item in inner if isinstance(inner, list) else [inner]:
            found.extend(_codes_in(item))
    return found


def _text(message: Any) -> str:
    if isinstance(message, dict):  # OData: {"lang": ..., "value": ...}
        message = message.get("value")
    return "" if message is None else str(message)


def _seconds(text: str) -> float:
    try:
        return max(0.0, float(text))
    except ValueError:
        return 0.0
