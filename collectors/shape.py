"""Shaping: from what a cloud answered to the typed facets of a row.

Pure functions over parsed answers. A value of the wrong form is left as it is, so that strict
typing refuses the facet; nothing is guessed.
"""

from __future__ import annotations

import base64
import datetime
import functools
import re
from collections.abc import Mapping
from typing import Any

import jmespath
import jmespath.functions
from jmespath.exceptions import JMESPathError
from jmespath.parser import ParsedResult

from collectors.fields import FacetSpec, FieldSpec
from collectors.forms import FormError, check_parents
from collectors.policies import PolicyFormatError, policy_statements
from evidence.storable import storable_scalar, whole_text


class _Functions(jmespath.functions.Functions):
    """Functions that resource types may use besides JMESPath's own."""

    @jmespath.functions.signature({"types": ["string", "null"]}, {"types": ["string"]})
    def _func_after_last(self, text: str | None, separator: str) -> str | None:
        """after_last(text, separator): what follows the last separator, or the whole text."""
        return None if text is None else text.rpartition(separator)[2]

    @jmespath.functions.signature({"types": ["string", "null"]})
    def _func_lower(self, text: str | None) -> str | None:
        """lower(text): in lower case, for ids that a cloud writes in any."""
        return None if text is None else text.lower()


_NO_FIT = "a path does not fit the answer's form"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_LENGTH_OF_TIME = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
_OPTIONS = jmespath.Options(custom_functions=_Functions())


@functools.lru_cache(maxsize=4096)
def _compiled(expression: str) -> ParsedResult:
    return jmespath.compile(expression)


def search(expression: str, value: Any) -> Any:
    """Evaluate JMESPath `expression` over `value`; `after_last` and `lower` are ours.

    Raises FormError where a function cannot take what is there.
    """
    try:
        return _compiled(expression).search(value, options=_OPTIONS)
    except (JMESPathError, TypeError, OverflowError) as error:
        raise FormError(_NO_FIT) from error


def look_up(expression: str, value: Any) -> Any:
    """Return what a path finds in an answer; None where there is none.

    Raises FormError where the answer has another form, so that nobody knows.
    """
    found = search(expression, value)
    if found is None:
        check_parents(_compiled(expression).parsed, value)
    return found


def plain(value: Any) -> Any:
    """Return an SDK's value as JSON data: times as ISO 8601 UTC, bytes as base64 text.

    What evidence cannot hold is made into what it can (`evidence.storable`).
    """
    if isinstance(value, Mapping):
        members = ((key, plain(item)) for key, item in value.items() if key != "ResponseMetadata")
        return {whole_text(key): item for key, item in members}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, datetime.datetime):
        return _iso(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return storable_scalar(value)


def absent_facet(facet: FacetSpec) -> dict[str, Any]:
    """Return the facet of a call whose answer was "there is none"."""
    return {name: field.absent for name, field in facet.fields.items()}


def observed_facet(facet: FacetSpec, answer: Any) -> dict[str, Any]:
    """Return the facet of `answer` (plain JSON data). Raises FormError."""
    return _struct(facet.fields, answer)


def _struct(fields: Mapping[str, FieldSpec], value: Any) -> dict[str, Any]:
    return {name: _field(field, value) for name, field in fields.items()}


def _field(field: FieldSpec, value: Any) -> Any:
    found = look_up(field.path, value)
    if found is None:
        return field.absent
    if field.type == "list":
        return _list(field, found)
    if field.type == "policy":
        return _policy(found, field)
    if field.type == "tags":
        return tags_of(found)
    return _scalar(field.type, field.decode, found)


def _policy(found: Any, field: FieldSpec) -> Any:
    if found in ("", {}):
        return field.absent
    try:
        return policy_statements(found)
    except PolicyFormatError as error:
        return f"refused: {error}"


def _list(field: FieldSpec, found: Any) -> Any:
    if not isinstance(found, list):
        return found
    if field.fields:
        if not all(isinstance(item, dict) for item in found):
            return found
        return [_struct(field.fields, item) for item in found]
    return [_scalar(field.of or "text", field.decode, item) for item in found]


def _scalar(kind: str, decode: str | None, value: Any) -> Any:
    if decode is not None:
        value = _decoded(decode, value)
    if kind == "number" and isinstance(value, int) and not isinstance(value, bool):
        held = storable_scalar(value)
        return float(held) if isinstance(held, int) else held
    if kind == "timestamp" and isinstance(value, str):
        return _timestamp_text(value)
    return value


def _decoded(decode: str, value: Any) -> Any:
    if decode in ("epoch", "epoch_ms"):
        return _from_epoch(value, 1000 if decode == "epoch_ms" else 1)
    if not isinstance(value, str):
        return value
    if decode == "boolean":
        return {"true": True, "false": False}.get(value.lower(), value)
    if decode == "lower":
        return value.lower()
    if decode == "timestamp":
        return _timestamp_text(value)
    if decode == "seconds":
        return _seconds(value)
    try:
        return int(value) if decode == "integer" else float(value)
    except ValueError:
        return value


def _seconds(value: str) -> Any:
    """Return a length of time in seconds; other text stays as it is.

    Source: google.protobuf.Duration as JSON (`3.5s`), and Google's settings that take m, h and d.
    """
    found = _LENGTH_OF_TIME.fullmatch(value)
    return float(found.group(1)) * _UNITS[found.group(2)] if found else value


def _from_epoch(value: Any, per_second: int) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    try:
        return _iso(datetime.datetime.fromtimestamp(value / per_second, datetime.UTC))
    except (ValueError, OverflowError, OSError):
        return value


def _timestamp_text(value: str) -> str:
    """Return a time as naive UTC text, the form that tables take; other text stays as it is."""
    try:
        return _iso(datetime.datetime.fromisoformat(value))
    except (ValueError, OverflowError):
        return value


def _iso(moment: datetime.datetime) -> str:
    if moment.tzinfo is not None:
        moment = moment.astimezone(datetime.UTC).replace(tzinfo=None)
    return moment.isoformat(sep="T")


def tags_of(value: Any) -> Any:
    """Return tags as a map of text, from a list of key/value pairs or from a map.

    Anything else is returned as it is, and refused by strict typing.
    """
    if isinstance(value, dict):
        return {str(key): _tag_text(item) for key, item in value.items()}
    if not isinstance(value, list):
        return value
    found = {}
    for pair in value:
        if not isinstance(pair, dict):
            return value
        key = _first(pair, "Key", "key", "TagKey", "tagKey")
        if key is None:
            return value
        found[str(key)] = _tag_text(_first(pair, "Value", "value", "TagValue", "tagValue"))
    return found


def _first(pair: dict[str, Any], *names: str) -> Any:
    return next((pair[name] for name in names if name in pair), None)


def _tag_text(value: Any) -> str:
    return "" if value is None else str(value)
