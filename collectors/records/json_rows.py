"""JSON: a list of objects, or one object a line; each object's text as the file has it."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from collectors.records.source import RawRow, RowError

_NO_OBJECT = "not an object with a member a column"
_TOO_DEEP = "nested too deeply"


def object_of(text: str, *, exact: bool = False) -> dict[str, Any]:
    """Return the one object that `text` is the JSON of; `exact` leaves numbers as they are written.

    Raises RowError, also where a member is there twice: nobody knows which of the two counts.
    """
    number: dict[str, Any] = {"parse_float": str, "parse_int": str} if exact else {}
    try:
        found = json.loads(text, object_pairs_hook=_members, parse_constant=_no_number, **number)
    except RecursionError as error:
        raise RowError(_TOO_DEEP) from error
    except ValueError as error:
        raise RowError(f"not JSON: {error}") from error
    if not isinstance(found, dict):
        raise RowError(_NO_OBJECT)
    return found


def text_of(value: dict[str, Any]) -> str:
    """Return an object as JSON, its members in their order."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def is_one_object(text: str) -> bool:
    """Whether a text of several lines is one object."""
    if "\n" not in text.strip():
        return False
    try:
        object_of(text)
    except RowError:
        return False
    return True


def read_json_lines(text: str) -> list[RawRow]:
    """Return the lines that are not empty. One that is no JSON is found to be so as a row."""
    lines = enumerate(text.split("\n"), start=1)
    return [RawRow(number, line.strip().encode()) for number, line in lines if line.strip()]


def read_json_list(text: str) -> tuple[list[RawRow], str]:
    """Return the items of a list, and why it could not be read to its end, if it could not."""
    rows: list[RawRow] = []
    decoder, position = json.JSONDecoder(), _next(text, text.index("[") + 1)
    while text[position : position + 1] not in ("]", ""):
        try:
            _, end = decoder.raw_decode(text, position)
        except (ValueError, RecursionError) as error:
            why = _TOO_DEEP if isinstance(error, RecursionError) else f"not JSON: {error}"
            return rows, _stopped(text, position, len(rows) + 1, why)
        rows.append(RawRow(len(rows) + 1, text[position:end].encode()))
        position = _next(text, end)
        if text[position : position + 1] == ",":
            position = _next(text, position + 1)
        elif text[position : position + 1] != "]":
            return rows, _stopped(text, position, len(rows), "no comma follows it")
    if text[position:].strip() != "]":
        return rows, _stopped(text, position, len(rows), "the list does not end there")
    return rows, ""


def _next(text: str, position: int) -> int:
    while text[position : position + 1] in (" ", "\t", "\r", "\n"):
        position += 1
    return position


def _stopped(text: str, position: int, item: int, why: str) -> str:
    line = text.count("\n", 0, position) + 1
    return f"item {item} (line {line}): {why}; nothing after it was read"


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a member is there twice")
    return found


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")
