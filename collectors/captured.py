"""The captures of one unit, found by what was asked.

A segment is read once. Its lines go to a scratch file, and what stays in memory is, for each
question, where the answers to it lie: so a unit of any size can be asked again in any order.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from evidence.capture import parameters_text
from evidence.secret_text import MARK
from evidence.segments import read_lines

Question = tuple[str, str, str]
"""Service, region and operation."""


@dataclass(frozen=True)
class Recorded:
    """One exchange: the reference of its capture, and the URL that its call asked."""

    reference: str
    url: str


@dataclass(slots=True)
class _RecordedCall:
    """One call of the SDK: the lines of all its attempts, and where the last one's capture lies.

    The last attempt is what the SDK went by.
    """

    first: int
    last: int
    start: int = 0
    length: int = 0
    used: bool = False


class UnitCaptures:
    """Answers from the captures of one unit.

    `declared` are the (service, operation) pairs that the unit's types may ask for: what else was
    recorded is a question of the SDK's own, and belongs to the call that it stands beside.
    """

    def __init__(
        self, segment: Path, unit_path: str, declared: frozenset[tuple[str, str]], scratch: BinaryIO
    ) -> None:
        self._unit, self._declared, self._scratch = unit_path, declared, scratch
        self._calls: dict[bytes, list[_RecordedCall]] = {}
        self._next: dict[bytes, int] = {}
        self._marked: dict[Question, list[tuple[re.Pattern[str], bytes]]] = defaultdict(list)
        self.records = 0
        self._read(segment)

    def _read(self, segment: Path) -> None:
        """Note the calls, in the order in which they were kept."""
        call, known, start = _RecordedCall(0, 0), b"", 0
        for number, line in enumerate(read_lines(segment), start=1):
            self.records = number
            record = orjson.loads(line)
            self._scratch.write(line)
            if self._is_declared(record) or not known:
                key = self._key_of(record)
                if record["attempt"] == 1 or key != known:
                    call, known = _RecordedCall(number, number), key
                    self._calls.setdefault(key, []).append(call)
                call.start, call.length = start, len(line)
            call.last = number
            start += len(line)

    def _is_declared(self, record: dict[str, Any]) -> bool:
        return (record["service"], record["operation"]) in self._declared

    def _key_of(self, record: dict[str, Any]) -> bytes:
        question = (record["service"], record["region"], record["operation"])
        key = _digest(question, record["parameters"])
        if MARK.search(record["parameters"]) and key not in self._calls:
            parts = MARK.split(record["parameters"])
            self._marked[question].append((re.compile(".+".join(map(re.escape, parts))), key))
        return key

    def take(
        self, service: str, region: str, operation: str, params: dict[str, Any]
    ) -> tuple[list[Recorded], dict[str, Any]] | None:
        """Return the exchanges of the next recorded call, and its last capture; None if none.

        Where a question was asked more often than it was recorded, the last answer stands.
        """
        question, text = (service, region, operation), parameters_text(params)
        key = _digest(question, text)
        if key not in self._calls:
            key = self._marked_key(question, text)
        calls = self._calls.get(key)
        if not calls:
            return None
        number = self._next.get(key, 0)
        self._next[key] = number + 1
        call = calls[min(number, len(calls) - 1)]
        call.used = True
        self._scratch.seek(call.start)
        capture = orjson.loads(self._scratch.read(call.length))
        lines = range(call.first, call.last + 1)
        return [Recorded(self._reference(line), capture["url"]) for line in lines], capture

    def _reference(self, line: int) -> str:
        return f"{self._unit}#{line}"

    def _marked_key(self, question: Question, text: str) -> bytes:
        """Return the one call whose parameters are these but for a secret that was taken out."""
        keys = {key for pattern, key in self._marked[question] if pattern.fullmatch(text)}
        return keys.pop() if len(keys) == 1 else b""

    @property
    def unused(self) -> list[str]:
        """The references of captures that nothing was made from."""
        return [
            self._reference(line)
            for calls in self._calls.values()
            for call in calls
            if not call.used
            for line in range(call.first, call.last + 1)
        ]


def _digest(question: Question, parameters: str) -> bytes:
    return hashlib.sha256("\0".join((*question, parameters)).encode()).digest()
