"""Api versions that a cloud does not have: its own answer names those that it has.

Sovereign clouds lag behind, and old versions are retired. Azure Resource Manager then refuses a
request and names the versions of that resource type, so the same is asked once more with one of
them.

Source: learn.microsoft.com/azure/azure-resource-manager/troubleshooting, the pages
error-register-resource-provider and error-invalid-resource-type.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Hashable
from dataclasses import replace

from collectors.azure.actions import action_of_path
from collectors.azure.exchange import Reply, Request

_OFFER = re.compile(r"(?i)\bsupported (?:api-?)?versions are:?\s*(?:'([^']*)|([^.]*))")
_VERSION = re.compile(r"\b\d{4}-\d{2}-\d{2}(?:-[a-z]+(?:\.\d+)?)?\b", re.IGNORECASE)
_SHOWN = 6

Ask = Callable[[Request], Reply]


class ApiVersions:
    """The versions that answered where the declared ones did not. Safe to share between threads.

    What is learned counts for a resource type; with `of_each_request`, for that very request alone,
    which is how captures are asked.
    """

    def __init__(self, *, of_each_request: bool = False) -> None:
        self._of_each_request = of_each_request
        self._lock = threading.Lock()
        self._known: dict[Hashable, str] = {}

    def asked(self, request: Request, ask: Ask) -> Reply:
        """Ask with the version that is known to do, else with the declared one and another.

        Where none does, the reply names the version that was asked for and those on offer.
        """
        key = self._key(request)
        with self._lock:
            known = self._known.get(key, request.version)
        reply = ask(request.with_version(known))
        offered = versions_offered(reply)
        if not offered:
            return reply
        other = best_version(request.version, offered)
        if other != known:
            second = ask(request.with_version(other))
            if not versions_offered(second):
                with self._lock:
                    self._known[key] = other
                return second
        return _none_does(reply, request.version, other, offered)

    def _key(self, request: Request) -> Hashable:
        if self._of_each_request:
            return (request.url, request.version)
        return (action_of_path(request.path).lower() or request.path, request.version)


def versions_offered(reply: Reply) -> tuple[str, ...]:
    """Return the versions that a refusal of an api version names, the newest first; else none."""
    if reply.ok or reply.status not in (400, 404):
        return ()
    found = _OFFER.search(reply.message)
    listed = found.group(1) or found.group(2) if found else ""
    names = {name.lower() for name in _VERSION.findall(listed or "")}
    return tuple(sorted(names, key=_age, reverse=True))


def best_version(declared: str, offered: tuple[str, ...]) -> str:
    """Return the newest version that is older than the declared one, else the newest there is.

    A preview counts only where the declared one is a preview, or where there is nothing else.
    """
    final = tuple(name for name in offered if _is_final(name))
    for names in (offered if not _is_final(declared) else final, offered):
        older = [name for name in names if _age(name) < _age(declared)]
        if older or names:
            return (older or names)[0]
    return declared


def _is_final(version: str) -> bool:
    return len(version) == len("2024-01-01")


def _age(version: str) -> tuple[str, bool, str]:
    """Return what sorts by age: a preview of a day is older than the version of that day."""
    return version[:10], _is_final(version), version.lower()


def _none_does(reply: Reply, declared: str, tried: str, offered: tuple[str, ...]) -> Reply:
    more = f" and {len(offered) - _SHOWN} older" if len(offered) > _SHOWN else ""
    what = (
        f"api version {declared} is not there, nor does {tried} answer;"
        f" on offer are {', '.join(offered[:_SHOWN])}{more}"
    )
    return replace(reply, message=what)
