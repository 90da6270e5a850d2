"""What is answered: replies, and errors in the form of the service that was asked."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

Json = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """A request. `path` is as it came, `low` in lower case, `query` by lower-case names."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    origin: str

    @property
    def low(self) -> str:
        """The path without a slash at its end, in lower case."""
        return self.path.rstrip("/").lower()

    def link(self, **changes: str) -> str:
        """The address of the same request with other query options, as next pages have it."""
        options = {**self.query, **changes}
        text = "&".join(f"{quote(k, safe='$-')}={quote(v, safe='')}" for k, v in options.items())
        return f"{self.origin}{self.path}?{text}"


@dataclass(frozen=True)
class Reply:
    """What goes back."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


def arm_error(
    status: int,
    code: str,
    message: str,
    headers: Mapping[str, str] | None = None,
    details: list[Json] | None = None,
) -> Reply:
    """An error as Azure Resource Manager writes it."""
    error: Json = {"code": code, "message": message}
    if details:
        error["details"] = details
    return Reply(status, {"error": error}, headers or {})


def graph_error(
    status: int, code: str, message: str, headers: Mapping[str, str] | None = None
) -> Reply:
    """An error as Microsoft Graph writes it."""
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S")
    inner = {
        "date": now,
        "request-id": str(uuid.uuid4()),
        "client-request-id": str(uuid.uuid4()),
    }
    error = {"code": code, "message": message, "innerError": inner}
    return Reply(status, {"error": error}, headers or {})


def is_graph(path: str) -> bool:
    """Whether a path belongs to Microsoft Graph."""
    return path.lower().startswith(("/v1.0/", "/beta/"))
