r"""Values that a text gives a name, in whatever notation: which are secrets by their name.

    DB_PASSWORD=...    "apiKey": "..."    \"token\": \"...\"    --client-secret ...
    <password>...</password>    - name: DB_PASSWORD, value: ...    the password is ...

A regular expression finds a word that may name a secret with a sign of assignment after it; the
rest is decided here, because where a value ends depends on where it began.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from evidence.secret_names import (
    Strength,
    is_password_name,
    is_placeholder,
    looks_random,
    names_a_secret,
    strength_of,
)

_WORDS = (
    "pass|pwd|psk|secret|token|key|cred|auth|salt|cookie|hook|seed|pepper|referer|bearer"
    "|pw(?=[^a-z])"
)
_QUOTE = r"""(?:\\*["'`]|&quot;|&\#34;|&\#39;|%22|\\+u0022)"""
_NAMED = re.compile(
    rf"""(?x)(?:{_WORDS}) [\w.-]{{0,40}} (?P<quoted> {_QUOTE} [\])]? )?
    (?: (?P<pair> [ \t]* (?: , \s* {_QUOTE}? | </\w+> \s* < ) \w{{0,20}}value
                  (?: {_QUOTE}? [ \t]*[:=][ \t]* | > )
                | [ \t]*(?:\r?\n|\\+n) [ \t]*-?[ \t]* {_QUOTE}? value {_QUOTE}? :[ \t]* )
      | (?P<sign> [ \t]{{0,4}} (?: => | := | == | = | : ) [ \t]* )
      | (?P<element> > )
      | (?P<told> [ \t]+ (?: (?: is | was | to ) [ \t]+ )? )
    )"""
)
"""Matched against the text in lower case: a third faster than ignoring case."""

_PART_OF_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.$-")
_LONGEST_NAME = 80
_OPENING = re.compile(r"""(\\*)(["'`])|&quot;|&\#34;|&\#39;|%22|\\+u0022""", re.IGNORECASE)
_BARE = re.compile(
    r"""(?x)(?: (?! [;,&]\s*[\w.-]+\s*[=:] )           # the next pair
                (?! \\*["'`](?:[\s,;)}\]|&]|\\n|$) )   # the end of a text that this is inside of
                (?! </ | &quot; | &\#34; )
                \S )+"""
)
_LINE = re.compile(
    r"""(?x)(?: (?! [;,&]\s*[\w.-]+\s*[=:] | [ \t]+[\w.-]+[ \t]*= | [ \t]+\# )
                (?! \\*["'`](?:[\s,;)}\]|&]|\\n|$) ) (?! </ | &quot; | &\#34; )
                [^\r\n] )+"""
)
_CAPITALISED = re.compile(r"[A-Z][a-z]+")
_NEXT_WORD = re.compile(r" [a-z]+(?![\w=:])")
_PROSE = frozenset(
    (
        *("the", "a", "an", "must", "should", "is", "are", "your", "this", "that", "for", "to"),
        *("of", "and", "or", "not", "if", "when", "used", "use", "see", "at", "in", "may", "can"),
        *("please", "needs", "same", "only", "minimum", "between", "contains", "as", "on", "with"),
        *("will", "has", "have", "required", "name", "which", "from", "be", "it", "any", "all"),
        *("each", "policy", "reset", "expired", "rotated", "valid", "invalid"),
    )
)
"""Words that sentences about secrets hold, and passphrases rarely."""


def assigned_secrets(text: str) -> Iterator[tuple[int, int]]:
    """Yield start and end of every value in `text` that its name says is a secret."""
    lowered = text.lower()
    if len(lowered) != len(text):  # a few letters beyond ASCII change their length
        lowered = "".join(c.lower() if c.isascii() else c for c in text)
    position = 0
    while match := _NAMED.search(lowered, position):
        span = _assigned(text, match)
        position = match.start() + 3
        if span is not None:
            yield span
            position = max(span[1], position)


def _assigned(text: str, match: re.Match[str]) -> tuple[int, int] | None:
    """Return the value after the name that `match` found, if it is a secret."""
    start = _start_of_name(text, match.start())
    quoted = match.group("quoted") is not None
    name = text[start : match.start("quoted") if quoted else _sign_at(match)]
    before = text[start - 1 : start]
    query = before in ("?", "&") and name.lower() == "key"
    if strength_of(name) is Strength.NONE and not query:
        return None
    if not _assigns(text, match, start, quoted=quoted):
        return None
    at_line_start = not text[text.rfind("\n", 0, start) + 1 : start].strip(" \t-")
    begin, end = _value(text, match, whole_line=at_line_start and not quoted)
    value, rest = text[begin:end], text[end : end + 20]
    if match.group("told") is not None:
        is_secret = _is_told(name, match.group("told"), value)
    else:
        is_secret = names_a_secret(name, value) or (query and looks_random(value))
    return (begin, end) if is_secret and not _is_prose(value, rest) else None


def _start_of_name(text: str, position: int) -> int:
    earliest = max(0, position - _LONGEST_NAME)
    while position > earliest and text[position - 1] in _PART_OF_NAME:
        position -= 1
    return position


def _sign_at(match: re.Match[str]) -> int:
    return next(match.start(group) for group in ("pair", "sign", "element", "told") if match[group])


def _assigns(text: str, match: re.Match[str], start: int, *, quoted: bool) -> bool:
    """Whether what stands after the name assigns: `secret:prod/db` in an ARN does not."""
    before = text[start - 1 : start]
    if match.group("element") is not None:
        return before == "<" or (before == ":" and "<" in text[max(0, start - 20) : start])
    if match.group("told") is not None:
        name = text[start : match.start("told")]
        return not quoted and (name.startswith("-") or is_password_name(name))
    if match.group("sign") == ":" and not quoted:
        return before not in (":", "/", "@") and "resolve:" not in text[max(0, start - 80) : start]
    return True


def _value(text: str, match: re.Match[str], *, whole_line: bool) -> tuple[int, int]:
    """Return where the value begins and ends: to the quote that closes it, or the pair's end."""
    position = match.end()
    if match.group("element") is not None or (match.group("pair") or "").endswith(">"):
        end = text.find("<", position)
        return position, len(text) if end < 0 else end
    opening = _OPENING.match(text, position)
    if opening is not None:
        return opening.end(), _closing(text, opening)
    pattern = _LINE if whole_line and match.group("told") is None else _BARE
    found = pattern.match(text, position)
    if found is None:
        return position, position
    value = found.group().rstrip(" \t,;")
    for closing, opened in (")", "("), ("]", "["), ("}", "{"):
        while value.endswith(closing) and opened not in value:
            value = value[:-1]
    return position, position + len(value)


def _closing(text: str, opening: re.Match[str]) -> int:
    """Return where the quote closes that `opening` opened; the end of the text if it does not.

    Inside a text that is itself quoted, quotes come with backslashes: as many close as opened.
    """
    if opening.group(2) is None:
        end = text.lower().find(opening.group().lower(), opening.end())
        return len(text) if end < 0 else end
    depth, position = len(opening.group(1)), opening.end()
    while (position := text.find(opening.group(2), position)) >= 0:
        slashes = 0
        while text[position - slashes - 1] == "\\" and position - slashes > opening.end():
            slashes += 1
        if slashes <= depth or (depth == 0 and slashes % 2 == 0):
            return position - min(slashes, depth)
        position += 1
    return len(text)


def _is_told(name: str, told: str, value: str) -> bool:
    """Whether a word after a name and a blank is its value: an option's, or a password told."""
    if name.startswith("-") and told.strip() == "":
        return not value.startswith("-") and names_a_secret(name, value)
    word = value.strip("\"'`.,:;()")
    if len(word) < 6 or is_placeholder(word):
        return False
    digits = sum(character.isdigit() for character in word)
    symbols = any(character in "!@#$%^&*+=~?" for character in word[:-1])
    letters = any(character.isalpha() for character in word)
    if told.strip():
        return letters and bool(digits or symbols)
    mixed = any(c.isupper() for c in word) and any(c.islower() for c in word)
    return letters and digits > 0 and (symbols or mixed) and looks_random(word + "0a1b2c3d")


def _is_prose(value: str, rest: str) -> bool:
    """Whether a value is the begin of a sentence about the secret, which goes on in `rest`."""
    words = value.lower().split()
    if len(words) > 1:
        return words[0] in _PROSE or (len(words) > 3 and not _PROSE.isdisjoint(words))
    return _CAPITALISED.fullmatch(value) is not None and _NEXT_WORD.match(rest) is not None
