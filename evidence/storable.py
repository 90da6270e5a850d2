"""Values that evidence can hold: what JSON allows and our files do not is made into what they can.

A number beyond 64 bits becomes a float, one that is none (NaN, Infinity) its name, and half a
character a question mark. So a column of whole numbers refuses what it cannot hold, and the rest
of an answer is read.
"""

from __future__ import annotations

import json
import math
from typing import Any

import orjson

_LEAST, _MOST = -(2**63), 2**64 - 1


def whole_text(text: str) -> str:
    """Return `text` with a question mark for each half of a character."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def storable(value: Any) -> Any:
    """Return parsed JSON with nothing in it that cannot be written down again."""
    if isinstance(value, dict):
        return {storable(name): storable(item) for name, item in value.items()}
    if isinstance(value, list):
        return [storable(item) for item in value]
    return storable_scalar(value)


def storable_scalar(value: Any) -> Any:
    """Return what stands for one value that is neither a list nor an object."""
    if isinstance(value, str):
        return whole_text(value)
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and not _LEAST <= value <= _MOST:
        value = _as_float(value)
    if isinstance(value, float) and not math.isfinite(value):
        return json.dumps(value)
    return value


def _as_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def is_storable(value: Any) -> bool:
    """Whether `value` can be written down as it is."""
    try:
        orjson.dumps(value)
    except TypeError:
        return False
    return True
