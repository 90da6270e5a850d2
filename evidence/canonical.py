"""Canonical JSON: one text for one value, so that digests mean something.

The form is RFC 8785 (JSON Canonicalization Scheme). `orjson` writes exactly that form for text,
booleans, null and integers below 2**53, once members are in UTF-16 order; its own sorting is by
code points, which is the same within the basic plane. A property test holds it against the
`rfc8785` library. Floats are refused because the two differ, and so is what is not JSON.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import orjson

LARGEST_INTEGER = 2**53 - 1
"""Beyond it others round."""

_LAST_BASIC = "\uffff"


def canonical_json(value: Any) -> bytes:
    """Return the RFC 8785 bytes of `value` (no trailing newline).

    Raises TypeError for floats, for integers that others would round, and for what is not JSON.
    """
    if _has_plain_keys(value):
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return orjson.dumps(_sorted(value))


def canonical_text(value: Any) -> str:
    """Return `canonical_json` as text."""
    return canonical_json(value).decode()


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of `data` as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def digest_of(value: Any) -> str:
    """Return the SHA-256 of the canonical form of `value`."""
    return sha256_hex(canonical_json(value))


def _has_plain_keys(value: Any) -> bool:
    """Whether orjson sorts the members of `value` as RFC 8785 does. Raises TypeError.

    Every capture goes through here, so texts, of which it mostly consists, cost no call.
    """
    if isinstance(value, dict):
        plain = all(map(_is_plain_key, value))
        items: Iterable[Any] = value.values()
    elif isinstance(value, list | tuple):
        plain, items = True, value
    else:
        _check_scalar(value)
        return True
    for item in items:
        if type(item) is not str and not _has_plain_keys(item):
            plain = False  # and go on: what is not JSON must be found
    return plain


def _is_plain_key(key: Any) -> bool:
    """Whether a key has no character beyond the basic plane; orjson refuses what is not text."""
    return not isinstance(key, str) or key.isascii() or max(key) <= _LAST_BASIC


def _check_scalar(value: Any) -> None:
    """Raise TypeError for what has no place in canonical JSON."""
    if value is None or isinstance(value, str | bool):
        return
    if isinstance(value, float):
        raise TypeError("a float has no place in canonical evidence: write it as text")
    if not isinstance(value, int):
        raise TypeError(f"{type(value).__name__} is not JSON")
    if abs(value) > LARGEST_INTEGER:
        raise TypeError("an integer beyond 2**53 is rounded by others: write it as text")


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        return {key: _sorted(value[key]) for key in keys}
    if isinstance(value, list | tuple):
        return [_sorted(item) for item in value]
    return value
