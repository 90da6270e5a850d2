"""Finding secrets in a text: by form, by the name that they are given, and inside encodings.

`secrets_in` returns spans and changes nothing. It looks for forms that are known
(`secret_forms.yaml`), for values whose name says so (`secret_assignments`), for AWS secret access
keys, which have no form but 40 characters of random base64, and into base64, percent-encoding and
HTML entities: where a secret is inside of one of these, the whole encoded text is the secret.
"""

from __future__ import annotations

import html
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_plus

from evidence.secret_assignments import assigned_secrets
from evidence.secret_encodings import decoded_base64
from evidence.secret_names import is_placeholder, transitions
from evidence.secret_patterns import Form, tokens, wider_forms

DEEPEST = 4
"""How many encodings inside one another are decoded."""

SHORTEST = 8
"""Texts that are shorter are not looked at: no form is; values by name are judged elsewhere."""


@dataclass(frozen=True, order=True)
class Span:
    """Where in a text a secret is, and why it was taken for one."""

    start: int
    end: int
    reason: str


MARK = re.compile(r"\[redacted [0-9a-f]{12}\]")
"""What stands where a secret was taken out (`evidence.redaction`)."""

_PUBLIC = re.compile(
    r"-----BEGIN (?:[A-Z0-9 ]*CERTIFICATE(?: REQUEST)?|[A-Z0-9 ]*PUBLIC KEY(?: BLOCK)?)-----"
    r"(?:[A-Za-z0-9+/\s]|\\[nr])*={0,2}(?:\s|\\[nr])*-----END [A-Z0-9 ]+-----"
)
_TOKEN = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
_LINES = re.compile(
    r"(?:[A-Za-z0-9+/]{64}(?:[A-Za-z0-9+/]{12})?(?:\r?\n|\\n))+[A-Za-z0-9+/]+={0,2}"
)
_WORD = re.compile(r"[A-Za-z0-9+/_=.~-]{13,}")
_SIGN = re.compile(r"[\s:=$]")
"""One of these is in everything that has a wider form."""

_WRAPPED = 60
"""Base64 is broken into lines of 64 or 76: what is in a line alone may hold half a secret."""

_AWS_KEY = re.compile(r"[A-Za-z0-9/+]{40}")
_AWS_KEY_LENGTH = 40
_PERCENT = re.compile(r"%[0-9A-Fa-f]{2}")
_UNBROKEN = re.compile(r"[^\s\"'<>]+")
_ENTITIES = ("&quot;", "&#", "&amp;", "&apos;", "&lt;")


def secrets_in(text: str, depth: int = 0) -> list[Span]:
    """Return the secrets in `text`: spans that do not overlap, in order."""
    if len(text) < SHORTEST:
        return []
    found: list[Span] = []
    if _WORD.search(text) is not None:
        found.extend(_by_form(text, tokens()))
    if _SIGN.search(text) is not None:
        found.extend(_by_form(text, wider_forms()))
    found.extend(Span(start, end, "named as a secret") for start, end in assigned_secrets(text))
    found.extend(_in_tokens(text, depth))
    if depth < DEEPEST:
        found.extend(_in_escapes(text, found, depth))
    return _merged(text, found) if found else []


def may_hold_secrets(texts: Collection[str]) -> bool:
    """Whether there may be a secret in any of the texts; quicker by far than looking at each.

    Tokens are looked for among the long words only, each once: answers repeat themselves.
    """
    text = "\n".join(texts)
    words = set(_WORD.findall(text))
    finders = (
        _by_form("\n".join(words), tokens()),
        (word for word in words if _is_key_or_encodes(word)),
        _by_form(text, wider_forms()),
        assigned_secrets(text),
        _in_escapes(text, (), 0),
    )
    return any(next(finder, None) is not None for finder in finders)


def _is_key_or_encodes(word: str) -> bool:
    """Whether one of the tokens in a word is a key, or base64 that may be the begin of a secret."""
    for token in _TOKEN.findall(word):
        if _is_aws_key(token):
            return True
        decoded = decoded_base64(token)
        if decoded is not None and (len(word) >= _WRAPPED or secrets_in(decoded, 1)):
            return True
    return False


def _by_form(text: str, forms: Iterable[Form]) -> Iterator[Span]:
    for form in forms:
        if not form.may_match(text):
            continue
        for match in form.pattern.finditer(text):
            group = 1 if match.re.groups and match.group(1) else 0
            if _holds(form, match.group(group)):
                yield Span(match.start(group), match.end(group), form.name)


def _holds(form: Form, secret: str) -> bool:
    if form.judged == "pair":
        decoded = decoded_base64(secret)
        return decoded is not None and ":" in decoded.strip(":")
    return form.judged == "" or not is_placeholder(secret)


def _in_tokens(text: str, depth: int) -> Iterator[Span]:
    """Look at every long word: whether it is an AWS secret access key, or base64 of a text."""
    lines = _LINES.finditer(text) if "\n" in text or "\\n" in text else ()
    for match in (*lines, *_TOKEN.finditer(text)):
        if _is_aws_key(match.group()):
            yield Span(match.start(), match.end(), "AWS secret access key")
        elif depth < DEEPEST:
            decoded = decoded_base64(match.group())
            if decoded is not None and secrets_in(decoded, depth + 1):
                yield Span(match.start(), match.end(), "secret in base64")


def _is_aws_key(token: str) -> bool:
    return (
        len(token) == _AWS_KEY_LENGTH
        and _AWS_KEY.fullmatch(token) is not None
        and is_scrambled(token)
    )


def is_scrambled(token: str) -> bool:
    """Whether a token is random base64, and not words in CamelCase, a path or a hash in hex."""
    digits = sum(character.isdigit() for character in token)
    upper = sum(character.isupper() for character in token)
    lower = sum(character.islower() for character in token)
    return min(upper, lower) >= 4 and digits >= 1 and transitions(token) >= 0.45


def _in_escapes(text: str, known: Sequence[Span], depth: int) -> Iterator[Span]:
    """Look into what is percent-encoded or full of HTML entities, apart from what is known."""
    percent = "%" in text and _PERCENT.search(text) is not None
    entities = any(entity in text for entity in _ENTITIES)
    if not percent and not entities:
        return
    rest = _blanked(text, known)
    if percent:
        for match in _UNBROKEN.finditer(rest):
            word = match.group()
            if "%" in word and _PERCENT.search(word) and secrets_in(unquote_plus(word), depth + 1):
                yield Span(match.start(), match.end(), "secret in percent-encoding")
    if entities and secrets_in(html.unescape(rest), depth + 1):
        yield Span(0, len(text), "secret in HTML entities")


def _blanked(text: str, spans: Sequence[Span]) -> str:
    """Return `text` with stars over the spans."""
    for span in spans:
        text = text[: span.start] + "*" * (span.end - span.start) + text[span.end :]
    return text


def _merged(text: str, found: list[Span]) -> list[Span]:
    """Return the spans in order, overlapping ones as one; none in public keys, none over marks."""
    kept = [match.span() for match in MARK.finditer(text)]
    if "-----BEGIN" in text:
        kept.extend(match.span() for match in _PUBLIC.finditer(text))
    merged: list[Span] = []
    for span in sorted(found):
        if any(span.start < end and start < span.end for start, end in kept):
            continue
        if merged and span.start < merged[-1].end:
            last = merged[-1]
            merged[-1] = Span(last.start, max(last.end, span.end), last.reason)
        else:
            merged.append(span)
    return merged
