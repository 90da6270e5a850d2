"""Canonical JSON: one text for one value, so that digests mean something.

The form is RFC 8785 (JSON Canonicalization Scheme). `orjson` with sorted keys yields exactly that
form for the values that we write: ASCII keys, text, booleans, null and integers below 2**53. A
property test holds it against the `rfc8785` library; floats are refused because the two differ.
"""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

_OPTIONS = orjson.OPT_SORT_KEYS


def canonical_json(value: Any) -> bytes:
    """Return the RFC 8785 bytes of `value` (no trailing newline).

    Raises TypeError for floats and for anything that is not JSON.
    """
    _refuse_floats(value)
    return orjson.dumps(value, option=_OPTIONS)


def canonical_text(value: Any) -> str:
    """Return `canonical_json` as text."""
    return canonical_json(value).decode()


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of `data` as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def digest_of(value: Any) -> str:
    """Return the SHA-256 of the canonical form of `value`."""
    return sha256_hex(canonical_json(value))


def _refuse_floats(value: Any) -> None:
    if isinstance(value, float):
        raise TypeError("a float has no place in canonical evidence: write it as text")
    if isinstance(value, dict):
        for item in value.values():
            _refuse_floats(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _refuse_floats(item)
