"""The query language of the search methods, as far as the fake understands it.

A query is terms side by side (all must hold), or joined by AND or by OR, with NOT before one,
and parentheses. A term is

- `field:words`: the words stand in the field, one after the other, in any case. What is no letter,
  digit, underscore or ampersand separates words: `policy:amy@halden.example` has three.
- `field:wor*`: each word is the beginning of one in the field. `field:*`: the field has a value.
- `field:"some words"`, `field:(one OR two)`.
- `field=text`: the whole value, in this case.
- `field<number` and >, <=, >= for createTime and updateTime, in seconds since 1970.
- `words` alone: in any field.

Everything else is INVALID_ARGUMENT: fields that a method does not know, `policy=`, and AND beside
OR without parentheses, of which the documentation does not say what binds tighter.

Source: cloud.google.com/asset-inventory/docs/query-syntax.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from auditpack.demo.gcp.statuses import invalid

Fields = Mapping[str, list[str]]
Test = Callable[[Fields], bool]

_LEXER = re.compile(
    r"""\s*(?: (?P<parenthesis>[()])
      | (?P<field>[A-Za-z][A-Za-z0-9_.\-]*)(?P<operator>:|<=|>=|[=<>])
      | "(?P<quoted>(?:[^"\\]|\\.)*)"
      | (?P<word>[^\s()"]+) )""",
    re.VERBOSE,
)
_WORDS = re.compile(r"[a-z0-9_&]+")
_BARE = re.compile(r"[^\s()\"]+")
HIDDEN = frozenset(("policy.role.permissions", "createTime", "updateTime"))
"""Fields that words alone do not look into."""


@dataclass(frozen=True)
class Token:
    """A piece of a query."""

    kind: str
    text: str
    operator: str = ""


class Query:
    """A query that was understood. `uses` are the fields that it names."""

    def __init__(self, text: str, known: Collection[str], exact: Collection[str]) -> None:
        self._tokens = _lex(text)
        self._known = known
        self._exact = exact
        self._at = 0
        self.uses: set[str] = set()
        self._test = self._joined() if self._tokens else _always
        if self._at < len(self._tokens):
            raise invalid(f"Unexpected '{self._tokens[self._at].text}' in query.", "query")

    def matches(self, fields: Fields) -> bool:
        """Whether a thing with these fields is found."""
        return self._test(fields)

    # -- reading

    def _peek(self) -> Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _take(self) -> Token:
        token = self._peek()
        if token is None:
            raise invalid("The query ends too early.", "query")
        self._at += 1
        return token

    def _is_word(self, *words: str) -> bool:
        token = self._peek()
        return token is not None and token.kind == "word" and token.text in words

    def _joined(self, field: Token | None = None) -> Test:
        """Read terms up to a closing parenthesis; of a field, its values."""
        tests, joints = [self._term(field)], set()
        while (token := self._peek()) is not None and token.text != ")":
            joint = self._take().text if self._is_word("AND", "OR") else "AND"
            joints.add(joint)
            tests.append(self._term(field))
        if len(joints) > 1:
            raise invalid("AND and OR side by side need parentheses.", "query")
        together = any if "OR" in joints else all
        return lambda fields: together(test(fields) for test in tests)

    def _term(self, field: Token | None) -> Test:
        token = self._take()
        if token.kind == "word" and token.text == "NOT":
            negated = self._term(field)
            return lambda fields: not negated(fields)
        if token.kind == "parenthesis":
            return self._in_parentheses(token, field)
        if token.kind == "field":
            if field is not None:
                raise invalid(f"'{token.text}' stands inside of another field.", "query")
            self._check(token)
            following = self._peek()
            if following is not None and following.text == "(":
                return self._in_parentheses(self._take(), token)
            return self._value(self._take(), token)
        return self._value(token, field)

    def _in_parentheses(self, token: Token, field: Token | None) -> Test:
        if token.text != "(":
            raise invalid("Unexpected ')' in query.", "query")
        test = self._joined(field)
        if self._take().text != ")":
            raise invalid("A ')' is missing in query.", "query")
        return test

    def _check(self, token: Token) -> None:
        name = token.text
        group = name.partition(".")[0] + ".*"
        if name not in self._known and group not in self._known:
            raise invalid(f"'{name}' is not a field that can be searched for.", "query")
        if token.operator == "=" and not {name, group} & set(self._exact):
            raise invalid(f"'{name}' can only be used with the ':' operator.", "query")
        if token.operator in ("<", ">", "<=", ">=") and not name.endswith("Time"):
            raise invalid(f"'{name}' can not be compared with '{token.operator}'.", "query")
        self.uses.add(name)

    @staticmethod
    def _value(token: Token, field: Token | None) -> Test:
        if token.kind not in ("word", "quoted"):
            raise invalid(f"Unexpected '{token.text}' in query.", "query")
        text = token.text
        if field is None:
            has = _has(text)
            return lambda fields: any(
                has(texts) for key, texts in fields.items() if key not in HIDDEN
            )
        name = field.text
        test = _comparison(field.operator, text) if field.operator != ":" else _has(text)
        return lambda fields: test(fields.get(name, []))


def words_of(text: str) -> list[str]:
    """Return the words of a text, in lower case."""
    return _WORDS.findall(text.casefold())


def _always(_: Fields) -> bool:
    return True


def _lex(text: str) -> list[Token]:
    tokens, at = [], 0
    text = text.rstrip()
    while at < len(text):
        found = _LEXER.match(text, at)
        if found is None:
            raise invalid(f"The query is not understood from '{text[at : at + 20]}' on.", "query")
        at = found.end()
        tokens.extend(_tokens(found))
        value = _BARE.match(text, at) if tokens[-1].kind == "field" else None
        if value is not None:  # of a field, whatever is in it
            tokens.append(Token("word", value[0]))
            at = value.end()
    return tokens


def _tokens(found: re.Match[str]) -> list[Token]:
    kind = str(found.lastgroup)
    if kind == "operator":
        return [Token("field", found["field"], found["operator"])]
    text = found[kind]
    if kind == "quoted":
        text = re.sub(r"\\(.)", r"\1", text)
    return [Token(kind, text)]


def _has(text: str) -> Callable[[list[str]], bool]:
    if text == "*":
        return any
    words = words_of(text)
    if not words:
        raise invalid(f"'{text}' has no word to look for.", "query")
    if "*" in text:
        return lambda texts: any(_has_beginnings(words_of(value), words) for value in texts)
    return lambda texts: any(_has_run(words_of(value), words) for value in texts)


def _has_run(there: list[str], words: list[str]) -> bool:
    size = len(words)
    return any(there[at : at + size] == words for at in range(len(there) - size + 1))


def _has_beginnings(there: list[str], words: list[str]) -> bool:
    return all(any(word.startswith(beginning) for word in there) for beginning in words)


def _comparison(operator: str, text: str) -> Callable[[list[str]], bool]:
    if operator == "=":
        return lambda texts: text in texts
    try:
        limit = float(text)
    except ValueError as error:
        raise invalid(f"'{text}' is not a number of seconds.", "query") from error
    compare: dict[str, Callable[[float], bool]] = {
        "<": lambda value: value < limit,
        ">": lambda value: value > limit,
        "<=": lambda value: value <= limit,
        ">=": lambda value: value >= limit,
    }
    return lambda texts: any(compare[operator](float(value)) for value in texts)
