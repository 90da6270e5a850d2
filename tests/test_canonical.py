"""Canonical JSON is RFC 8785: one text for one value, and refusal of what has no such text."""

from __future__ import annotations

import datetime
import hashlib
import uuid
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence.canonical import canonical_json, canonical_text, digest_of

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
KEYS = st.text(st.characters(exclude_categories=["Cs"], max_codepoint=0xFFFF), max_size=8)
SAFE_INTEGERS = st.integers(-(2**53) + 1, 2**53 - 1)
VALUES = st.recursive(
    st.none() | st.booleans() | SAFE_INTEGERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=200, deadline=None)
@given(VALUES)
def test_canonical_json_is_what_the_rfc8785_library_writes(value: Any) -> None:
    assert canonical_json(value) == rfc8785.dumps(value)


def test_members_are_sorted_as_in_the_example_of_rfc_8785() -> None:
    """RFC 8785, 3.2.3: by UTF-16 code units, so the emoji comes before U+FB33."""
    example = {
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\U0001f600": "Emoji: Grinning Face",
        "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis",
    }
    assert canonical_json(example) == rfc8785.dumps(example)
    assert canonical_json({"inside": [example]}) == rfc8785.dumps({"inside": [example]})


def test_the_same_value_has_one_text_however_it_was_put_together() -> None:
    one = {"b": [1, {"y": None, "x": True}], "a": "\u00e9\n"}
    other = {"a": "\u00e9\n", "b": [1, {"x": True, "y": None}]}
    assert canonical_text(one) == '{"a":"\u00e9\\n","b":[1,{"x":true,"y":null}]}'
    assert digest_of(one) == digest_of(other)


def test_a_digest_is_the_sha256_of_the_canonical_bytes() -> None:
    assert digest_of({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert digest_of({"b": 1, "a": 2}) == hashlib.sha256(b'{"a":2,"b":1}').hexdigest()


@pytest.mark.parametrize(
    "value",
    [1.0, -0.0, float("nan"), float("inf"), [1, 2.5], (1.0,), {"a": {"b": [{"c": 0.1}]}}],
    ids=repr,
)
def test_a_float_is_refused_wherever_it_is(value: Any) -> None:
    with pytest.raises(TypeError, match="float"):
        canonical_json(value)


@pytest.mark.parametrize(
    "value",
    [
        b"bytes",
        {1, 2},
        datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC),
        datetime.date(2026, 3, 1),
        uuid.UUID(int=1),
        {1: "a key that is not text"},
        "\ud800",
        {"\ud800": 1},
        object(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_json_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        canonical_json({"deep": [value]})


@pytest.mark.parametrize("value", [2**53, -(2**53), 2**63, 2**64, 10**30])
def test_an_integer_that_other_readers_would_round_is_refused(value: int) -> None:
    """RFC 8785 numbers are IEEE doubles: beyond 2**53 two readers can see two values."""
    with pytest.raises(TypeError):
        canonical_json({"size": value})
