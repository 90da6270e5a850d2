"""What came of a call to a cloud, and who makes calls: the same for every provider."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from evidence.outcome import Outcome
from evidence.storable import whole_text


@dataclass(frozen=True)
class Answer:
    """What came of a call. `data` is plain JSON data, redacted; `lines` the captures, as bytes.

    `detail` is the cloud's error code and message where the outcome is not ok. `shared` says that
    several resource types may use this answer, `reused` that it was made for another one before.
    `references` name captures that another unit holds already. `alike` says that every resource of
    the unit gets this answer: where it is none, one gap tells it for all.
    """

    operation: str
    outcome: Outcome
    data: Any = None
    detail: str = ""
    lines: tuple[bytes, ...] = ()
    redactions: int = 0
    shared: bool = False
    reused: bool = False
    references: tuple[str, ...] = ()
    alike: bool = False


@dataclass(frozen=True)
class Page:
    """One page of an answer: plain data (None where there was no answer), and its captures."""

    data: Any
    lines: tuple[bytes, ...] = ()
    redactions: int = 0


@dataclass(frozen=True)
class Handled:
    """What a handler found: the items, and every answer that they rest on.

    The last answer decides whether the listing was observed; there is at least one.
    """

    items: list[dict[str, Any]]
    answers: list[Answer]


_LONGEST_DETAIL = 300


def shortened(line: str) -> str:
    """Return an error's text, cut short: some give a page for people instead of an answer."""
    line = whole_text(line)
    return line if len(line) <= _LONGEST_DETAIL else f"{line[:_LONGEST_DETAIL]} ..."


class Caller(Protocol):
    """Makes the calls of one account or subscription. Safe to use from many threads.

    `call` is a `CallSpec` of the caller's own provider.
    """

    def pages(
        self, call: Any, service: str, region: str, params: dict[str, Any]
    ) -> Iterator[Answer]:
        """Yield an answer a page; an answer that is not ok ends it."""

    def ask(self, call: Any, service: str, region: str, params: dict[str, Any]) -> Answer:
        """Return one answer, the lists of its pages joined."""


Handler = Callable[[str], Handled]
"""Lists by code what a resource type's file cannot say; takes the region of the calls."""
