"""Answers of another form than is documented: what a path cannot be read from.

A path that finds nothing usually means that there is none. Not so where a member that it goes
through is there and cannot hold what is looked for: then nothing is known, and nothing may be taken
for absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Node = Mapping[str, Any]
"""A part of a path, as JMESPath parsed it."""

_OF_LISTS = frozenset({"flatten", "filter_projection", "index_expression"})
_READ_ON = frozenset({"subexpression", "projection", "pipe"})


class FormError(ValueError):
    """A path does not fit the form of what it is read from."""


def check_parents(path: Node, value: Any) -> None:
    """Check that what `path` goes through, up to its first list, can hold what it looks for.

    A path of alternatives (`||`) or with functions says itself what else there may be. Raises
    FormError.
    """
    _found(path, value)


def _found(node: Node, value: Any) -> tuple[bool, Any]:
    """Return whether it is simple to say what a part of a path finds, and if so, what."""
    kind, children = node["type"], node["children"]
    if kind == "field":
        return True, _member(node["value"], value)
    if kind == "identity":
        return True, value
    if kind in _OF_LISTS:
        known, outer = _found(children[0], value)
        if known and not isinstance(outer, list | None):
            raise FormError("there is no list where one belongs")
    elif kind in _READ_ON:
        known, outer = _found(children[0], value)
        for child in children[1:] if kind == "subexpression" else ():
            if not known:
                break
            known, outer = _found(child, outer)
        return known and kind == "subexpression", outer
    return False, None


def _member(name: str, value: Any) -> Any:
    if not isinstance(value, dict | None):
        raise FormError(f"what should hold `{name}` is no object")
    return None if value is None else value.get(name)
