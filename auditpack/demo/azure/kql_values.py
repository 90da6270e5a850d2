"""Values of queries: how Kusto reaches into them, compares them, orders them, and its functions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

Row = dict[str, Any]
Value = Callable[[Row], Any]


def reach(row: Any, steps: Sequence[str | int]) -> Any:
    """Follow a path into a value; whatever is not there is None."""
    for step in steps:
        if isinstance(step, int):
            inside = isinstance(row, list) and -len(row) <= step < len(row)
            row = row[step] if inside else None
        else:
            row = row.get(step) if isinstance(row, dict) else None
    return row


def compare(operator: str, left: Any, right: Any) -> bool:
    """Compare two values as Kusto does, texts and truth values with each other as texts."""
    if operator in ("!=", "!~") or operator.startswith("!"):
        return not compare({"!=": "==", "!~": "=~"}.get(operator, operator[1:]), left, right)
    if left is None or right is None:
        return False
    if operator in ("<", "<=", ">", ">="):
        return _ordered(operator, left, right)
    if operator == "==":
        return bool(left == right) if type(left) is type(right) else text_of(left) == text_of(right)
    one, other = text_of(left).lower(), text_of(right).lower()
    if operator == "has":
        return re.search(rf"(?<![a-z0-9]){re.escape(other)}(?![a-z0-9])", one) is not None
    return {
        "=~": one == other,
        "contains": other in one,
        "startswith": one.startswith(other),
        "endswith": one.endswith(other),
    }[operator]


def _ordered(operator: str, left: Any, right: Any) -> bool:
    try:
        return {
            "<": lambda: left < right,
            "<=": lambda: left <= right,
            ">": lambda: left > right,
            ">=": lambda: left >= right,
        }[operator]() is True
    except TypeError:
        return False


def member(operator: str, left: Value, items: Sequence[Value]) -> Value:
    """Whether a value is one of a list, as `in` and its relatives ask."""
    same = "=~" if operator.endswith("~") else "=="
    wanted = not operator.startswith("!")

    def found(row: Row) -> bool:
        value = left(row)
        return any(compare(same, value, item(row)) for item in items) is wanted

    return found


def text_of(value: Any) -> str:
    """What tostring() gives."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"))


def _number(value: Any) -> int | None:
    try:
        return int(float(value))
    except (TypeError, ValueError):
        return None


def _truth(value: Any) -> bool | None:
    return {"true": True, "false": False, "1": True, "0": False}.get(text_of(value).lower())


def _empty(value: Any) -> bool:
    return value is None or value == ""


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "tostring": text_of,
    "tolower": lambda value: text_of(value).lower(),
    "toupper": lambda value: text_of(value).upper(),
    "toint": _number,
    "tolong": _number,
    "tobool": _truth,
    "isempty": _empty,
    "isnotempty": lambda value: not _empty(value),
    "isnull": lambda value: value is None,
    "isnotnull": lambda value: value is not None,
    "not": lambda value: None if value is None else value is not True,
    "array_length": lambda value: len(value) if isinstance(value, list) else None,
    "coalesce": lambda *values: next((v for v in values if not _empty(v)), None),
    "strcat": lambda *values: "".join(text_of(value) for value in values),
    "iff": lambda test, yes, no: yes if test is True else no,
    "bag_keys": lambda value: list(value) if isinstance(value, dict) else None,
}


def unquoted(text: str) -> str:
    """The text that a literal stands for."""
    if text.startswith("@"):
        return text[2:-1]
    return re.sub(r"\\(.)", r"\1", text[1:-1])


def sort_key(value: Any) -> tuple[int, Any]:
    """By what a value is ordered: nothing first, texts without regard to case."""
    if value is None:
        return (0, 0)
    if isinstance(value, bool | int | float):
        return (1, value)
    return (2, text_of(value).lower())
