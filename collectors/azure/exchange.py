"""A request to Azure and the reply to it, as plain values: live and from captures alike."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

RESOURCE_GRAPH_PATH = "/providers/Microsoft.ResourceGraph/resources"
"""The one path that takes a POST: it queries, and changes nothing."""

_RESOURCE_GRAPH_API = "2022-10-01"
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
    def parameters(self) -> dict[str, Any]:
        """What captures show of it."""
        if self.body is not None:
            return dict(self.body)
        return {"path": self.path, "query": dict(self.query)}

    def following(self, link: str) -> Request:
        """Return the request for the next page, as the cloud's own link says.

        The link's host is left out: a token is never sent anywhere but to the endpoint.
        """
        parts = urlsplit(link)
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
    return Request(RESOURCE_GRAPH_PATH, {"api-version": _RESOURCE_GRAPH_API}, body=body)


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


def reply_of(status: int, headers: Mapping[str, str], body: bytes) -> Reply:
    """Return what an HTTP response means."""
    try:
        parsed = json.loads(body) if body else None
    except ValueError:
        parsed = None
    if 200 <= status < 300 and parsed is not None:
        return Reply(status, parsed)
    codes, message = _error_in(parsed)
    if not codes:
        codes = ("InvalidAnswer" if status < 300 else f"HTTP {status}",)
        message = message or body[:300].decode(errors="replace")
    return Reply(status, None, codes, message, _seconds(headers.get("retry-after", "")))


def _error_in(parsed: Any) -> tuple[tuple[str, ...], str]:
    """Return the codes and the message of an error body, in any of the forms in use."""
    if not isinstance(parsed, dict):
        return (), ""
    error = parsed.get("error", parsed)
    if isinstance(error, str):
        return (error,), str(parsed.get("error_description") or parsed.get("message") or "")
    if not isinstance(error, dict):
        return (), ""
    codes = list(_codes_in(error))
    return tuple(dict.fromkeys(codes)), _text(error.get("message"))


def _codes_in(error: Any) -> list[str]:
    if not isinstance(error, dict):
        return []
    found = [str(error["code"])] if error.get("code") else []
    for name in ("details", "innererror", "innerError"):
        inner = error.get(name)
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
