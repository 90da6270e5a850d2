"""Redaction: secrets are taken out of what a cloud answered before the first byte is written.

Two ways: paths that a resource type declares (`Functions[].Environment.Variables.*`), and secrets
that are recognised, by their form or by the name that they are given (`secret_text`,
`secret_names`). JSON inside a text is judged as what it says, and stays JSON; a text in base64
that holds a secret goes as a whole. A redacted value becomes `[redacted DIGEST]`, where DIGEST is
the beginning of its HMAC-SHA256 under the store's key: equal secrets stay recognisably equal, and
nobody without the key can test a guess, however short the secret is.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evidence.capture import Redaction
from evidence.secret_names import Strength, names_a_secret, strength_of
from evidence.secret_text import DEEPEST, SHORTEST, may_hold_secrets, secrets_in
from evidence.storable import whole_text

Step = str
"""One step of a declared path: a key, `[]` for every element, `[key!=a|b]` for every element whose
`key` is none of these, `*` for every value, `**` for any number of steps."""

_EXCEPT = re.compile(r"\[(\w+)!=([^\]]+)\]$")
"""The end of a path's part that leaves elements out: those whose member has one of the values."""

_MARK_LENGTH = 12
_LONG = 500
"""Texts that are longer are asked first whether they may hold a secret at all."""

_SHORTEST_KEY = 20
_PAIRS = {
    "Name": ("Value", "Values"),
    "name": ("value", "values", "defaultValue"),
    "Key": ("Value", "Values"),
    "key": ("value", "values"),
    "TagKey": ("TagValue",),
    "ParameterKey": ("ParameterValue", "ResolvedValue"),
    "ParameterName": ("ParameterValue",),
    "OutputKey": ("OutputValue",),
    "OptionName": ("Value",),
    "HeaderName": ("HeaderValue",),
    "AttributeName": ("AttributeValue",),
}
"""Members that name what other members of the same object hold."""

_INHERITING = frozenset(("Default", "default", "Value", "value", "Values", "values", "StringValue"))
"""Members that hold the value of what the object around them is called."""

_PRIVATE_JWK = frozenset(("d", "p", "q", "dp", "dq", "qi", "k"))
"""Members of a JSON Web Key (RFC 7518, sections 6.2.2, 6.3.2, 6.4.1) that are secret."""


def parse_path(path: str) -> tuple[Step, ...]:
    """Split `A[].B.*` into its steps. Raises ValueError when a step is empty."""
    steps: list[Step] = []
    for part in path.split("."):
        left_out = _EXCEPT.search(part)
        element = left_out.group() if left_out else "[]" if part.endswith("[]") else ""
        name = part.removesuffix(element) if element else part
        if not name and not element:
            raise ValueError(f"an empty step in the path {path!r}")
        steps.extend(step for step in (name, element) if step)
    return tuple(steps)


@dataclass(frozen=True)
class Redactor:
    """Redacts parsed answers. `declared` maps an operation to the paths to take out of it.

    An operation is whatever the collector calls it by, as long as no two share it.
    """

    key: bytes
    declared: Mapping[Hashable, Sequence[tuple[Step, ...]]]

    def redact(self, operation: Hashable, value: Any) -> tuple[Any, list[Redaction]]:
        """Return `value` without its secrets, and what was taken out.

        `value` itself is returned, unchanged, when there was nothing to take out.
        """
        found: list[Redaction] = []
        for steps in self.declared.get(operation, ()):
            value = self._declared(value, steps, "", found)
        if _may_hold_secrets(value):
            value = self._detected(value, "", "", found)
        return value, found

    def redact_text(self, text: str, path: str = "") -> tuple[str, list[Redaction]]:
        """Return `text` without the secrets that are recognised in it; JSON stays JSON."""
        found: list[Redaction] = []
        if len(text) > _LONG and not _may_hold_secrets(text):
            return text, found
        return self._text(text, path, 0, found), found

    def _mark(self, secret: str, path: str, reason: str, found: list[Redaction]) -> str:
        digest = hmac.new(self.key, secret.encode("utf-8", "surrogatepass"), hashlib.sha256)
        found.append(Redaction(path or "(whole)", reason, digest.hexdigest()))
        return f"[redacted {digest.hexdigest()[:_MARK_LENGTH]}]"

    # Declared paths

    def _declared(
        self, value: Any, steps: Sequence[Step], path: str, found: list[Redaction]
    ) -> Any:
        if value is None:
            return None
        if not steps:
            text = value if isinstance(value, str) else repr(value)
            return self._mark(text, path, "declared", found)
        step, rest = steps[0], steps[1:]
        if step == "**":
            return self._declared_anywhere(value, rest, path, found)
        if isinstance(value, list):
            if not step.startswith("["):
                return value
            return [
                item
                if _is_left_out(step, item)
                else self._declared(item, rest, f"{path}[{index}]", found)
                for index, item in enumerate(value)
            ]
        if isinstance(value, dict):
            return {
                key: self._declared(item, rest, _joined(path, key), found)
                if step in ("*", key)
                else item
                for key, item in value.items()
            }
        return value

    def _declared_anywhere(
        self, value: Any, rest: Sequence[Step], path: str, found: list[Redaction]
    ) -> Any:
        """Take out what `rest` leads to from here, or from anywhere below."""
        value = self._declared(value, rest, path, found)
        if isinstance(value, dict):
            return {
                key: self._declared_anywhere(item, rest, _joined(path, key), found)
                for key, item in value.items()
            }
        if isinstance(value, list):
            return [
                self._declared_anywhere(item, rest, f"{path}[{index}]", found)
                for index, item in enumerate(value)
            ]
        return value

    # Detection

    def _detected(
        self, value: Any, path: str, name: str, found: list[Redaction], depth: int = 0
    ) -> Any:
        """Return `value` without secrets. `name` is what it is called, where that may matter."""
        if isinstance(value, str):
            if name and names_a_secret(name, value):
                return self._mark(value, path, "named as a secret", found)
            return self._text(value, path, depth, found)
        count = len(found)
        redacted: Any = value
        if isinstance(value, dict):
            redacted = {
                self._key(key, path, found): self._detected(
                    item, _joined(path, key), child, found, depth
                )
                for key, item, child in _members(value, name)
            }
        elif isinstance(value, list):
            redacted = [
                self._detected(item, f"{path}[{index}]", child, found, depth)
                for index, (item, child) in enumerate(_elements(value, name))
            ]
        elif name and _is_number(value) and names_a_secret(name, str(value)):
            return self._mark(str(value), path, "named as a secret", found)
        return redacted if len(found) > count else value

    def _key(self, key: Any, path: str, found: list[Redaction]) -> Any:
        """Return a member's name; names that a cloud's user chose may hold a secret as well."""
        if not isinstance(key, str) or len(key) < _SHORTEST_KEY:
            return key
        return self._spans(key, _joined(path, "(name)"), found)

    def _text(self, text: str, path: str, depth: int, found: list[Redaction]) -> str:
        if len(text) < SHORTEST:
            return text
        parsed = _json_in(text) if depth < DEEPEST else None
        if parsed is None:
            return self._spans(text, path, found)
        count = len(found)
        try:
            redacted = self._detected(parsed, path, "", found, depth + 1)
        except RecursionError:
            del found[count:]
            return self._mark(text, path, "nested too deeply to be judged", found)
        return _json_like(text, redacted) if len(found) > count else text

    def _spans(self, text: str, path: str, found: list[Redaction]) -> str:
        parts: list[str] = []
        position = 0
        for span in secrets_in(text):
            mark = self._mark(text[span.start : span.end], path, span.reason, found)
            parts.extend((text[position : span.start], mark))
            position = span.end
        return "".join(parts) + text[position:] if parts else text


def _is_left_out(step: Step, item: Any) -> bool:
    """Whether a step for elements leaves `item` out. What cannot be told from it is not."""
    parts = _EXCEPT.search(step)
    if parts is None or not isinstance(item, dict):
        return False
    return item.get(parts.group(1)) in parts.group(2).split("|")


def _joined(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _json_in(text: str) -> Any:
    """Return the object or list that `text` is the JSON of, or None."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _json_like(text: str, value: Any) -> str:
    """Return `value` as JSON, spaced as `text` is."""
    separators = (", ", ": ") if '": ' in text else (",", ":")
    begin, end = len(text) - len(text.lstrip()), len(text.rstrip())
    written = json.dumps(value, ensure_ascii=False, separators=separators)
    return f"{text[:begin]}{whole_text(written)}{text[end:]}"


_harmless: set[str] = set()
"""Names that say nothing: the same few hundred in all answers, so looking them up is quicker."""

_MOST_HARMLESS, _LONGEST_HARMLESS = 10_000, 64
_LABELS = frozenset((*_PAIRS, "kty"))
_JSON_BEGINS = frozenset("{[ \t\r\n")


def _members(value: dict[Any, Any], name: str) -> Iterable[tuple[Any, Any, str]]:
    """Return key, item, and what the item is called where that name may say it is a secret."""
    if not name and value.keys() <= _harmless and _LABELS.isdisjoint(value):
        return ((key, item, "") for key, item in value.items())
    return _named_members(value, name)


def _named_members(value: dict[Any, Any], name: str) -> Iterator[tuple[Any, Any, str]]:
    named: dict[Any, str] = {}
    for label, holders in _PAIRS.items():
        called = value.get(label)
        if isinstance(called, str) and _may_name(called):
            named.update(dict.fromkeys(holders, called))
    if "kty" in value:
        named.update(dict.fromkeys(_PRIVATE_JWK, "private_key"))
    for key, item in value.items():
        if key in named:
            yield key, item, named[key]
        elif isinstance(key, str) and _may_name(key):
            yield key, item, key
        else:
            yield key, item, name if name and key in _INHERITING else ""


def _may_name(name: str) -> bool:
    if name in _harmless:
        return False
    if strength_of(name) is not Strength.NONE:
        return True
    if len(_harmless) < _MOST_HARMLESS and len(name) < _LONGEST_HARMLESS:
        _harmless.add(name)
    return False


def _elements(value: list[Any], name: str) -> Iterable[tuple[Any, str]]:
    """Return items, and what each is called: as the list is, or by the option before it."""
    if value and isinstance(value[0], dict):
        return zip(value, itertools.repeat(name), strict=False)
    return _after_options(value, name)


def _after_options(value: list[Any], name: str) -> Iterator[tuple[Any, str]]:
    option = ""
    for item in value:
        yield item, option or name
        option = ""
        if isinstance(item, str) and item[:1] == "-" and "=" not in item and _may_name(item):
            option = item


def _may_hold_secrets(value: Any) -> bool:
    """Whether there may be a secret anywhere in an answer: most end here, quickly."""
    texts: dict[str, None] = {}
    try:
        return _look(value, "", texts, 0) or may_hold_secrets(texts)
    except RecursionError:
        return True


def _look(value: Any, name: str, texts: dict[str, None], depth: int) -> bool:
    """Gather the texts of `value`, each once; return True when one is a secret by its name."""
    if isinstance(value, str):
        return _look_at_text(value, name, texts, depth)
    if isinstance(value, dict):
        for key, item, child in _members(value, name):
            if len(key) >= _SHORTEST_KEY:
                texts[key] = None
            if _look(item, child, texts, depth):
                return True
        return False
    if isinstance(value, list):
        return any(_look(item, child, texts, depth) for item, child in _elements(value, name))
    return bool(name) and _is_number(value) and names_a_secret(name, str(value))


def _look_at_text(text: str, name: str, texts: dict[str, None], depth: int) -> bool:
    if name and names_a_secret(name, text):
        return True
    if len(text) < SHORTEST or text in texts:
        return False
    parsed = _json_in(text) if text[0] in _JSON_BEGINS and depth < DEEPEST else None
    if parsed is not None:
        return _look(parsed, "", texts, depth + 1)
    texts[text] = None
    return False
