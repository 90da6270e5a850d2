"""Composing bodies: what is usual, what differs, and the `${...}` in it."""

from __future__ import annotations

import datetime
import re
import uuid
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

from auditpack.demo.errors import DemoError

LEAVE_OUT = "$leave-out"
"""A value that takes a member out of what is usual."""

NAMESPACE = uuid.UUID("5b7e1c9a-3f60-4d0b-9c1e-64a1de1ab500")
_WORD = re.compile(r"\$\{([a-z-]+(?:\.[a-z]+)?)(?::([^}]*))?\}")


def merged(usual: Any, different: Any) -> Any:
    """Return a value with another laid over it: mappings are joined, all else is replaced."""
    if not isinstance(usual, dict) or not isinstance(different, dict):
        return deepcopy(different)
    found = deepcopy(usual)
    for name, value in different.items():
        if value == LEAVE_OUT:
            found.pop(name, None)
        else:
            found[name] = merged(found.get(name), value)
    return found


def guid(text: str) -> str:
    """The same GUID for the same text, always."""
    return str(uuid.uuid5(NAMESPACE, text.lower()))


class Words:
    """Fills `${word}` and `${word:argument}` in texts.

    `${days:-30}` is a time thirty days ago, `${day:-30}` its date, `${epoch:-30}` the same in
    seconds since 1970, `${guid:text}` a GUID that belongs to the text; `names` are words of the
    place, such as `${id}`, and functions of an argument, such as `${group:rg-data}`.
    """

    def __init__(
        self, now: datetime.datetime, names: Mapping[str, str | Callable[[str], str]]
    ) -> None:
        self._now = now
        self._names = names

    def with_names(self, names: Mapping[str, str | Callable[[str], str]]) -> Words:
        """The same words and some more."""
        return Words(self._now, {**self._names, **names})

    def fill(self, value: Any) -> Any:
        """Return a value with the words in all its texts replaced."""
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, dict):
            return {
                self._text(str(name)): self.fill(item)
                for name, item in value.items()
                if item != LEAVE_OUT
            }
        if isinstance(value, list):
            return [self.fill(item) for item in value]
        if isinstance(value, datetime.datetime | datetime.date):
            raise DemoError(f"a date stands in the estate as it is: {value}", mend="use ${days:N}")
        return value

    def _text(self, text: str) -> Any:
        whole = _WORD.fullmatch(text)
        if whole and whole[1] == "epoch":
            return int(self._when(whole[2]).timestamp())
        return _WORD.sub(lambda found: self._word(found[1], found[2] or ""), text)

    def _word(self, name: str, argument: str) -> str:
        if name == "days":
            return self._when(argument).strftime("%Y-%m-%dT%H:%M:%SZ")
        if name == "day":
            return self._when(argument).strftime("%Y-%m-%d")
        if name == "guid":
            return guid(argument)
        known = self._names.get(name)
        if known is None:
            raise DemoError(f"the estate has a word that nobody knows: ${{{name}}}")
        return known if isinstance(known, str) else known(argument)

    def _when(self, argument: str) -> datetime.datetime:
        return self._now + datetime.timedelta(days=float(argument))
