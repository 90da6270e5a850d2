"""The part of Kusto's query language that is understood here, and no more than that.

    TABLE | where CONDITION | extend name = EXPR, ... | project name[ = EXPR], ...
          | order by column [asc|desc], ... | take N | limit N | count | mv-expand [name =] EXPR

Anything else is refused with the code that Resource Graph gives for it, so that a query which would
not run there does not run here. Known differences: a comparison with a missing value is false
(`!=` with one is true), and times are compared as the texts that they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from auditpack.demo.azure.kql_values import (
    FUNCTIONS,
    Row,
    Value,
    compare,
    member,
    reach,
    sort_key,
    unquoted,
)

Stage = Callable[[list[Row]], list[Row]]

TOKEN = re.compile(
    r"""\s*(?:
        (?P<text>@?'(?:[^'\\]|\\.)*'|@?"(?:[^"\\]|\\.)*")
      | (?P<number>\d+(?:\.\d+)?)
      | (?P<op>!(?:in~?|has|contains|startswith|endswith)(?![A-Za-z_])|in~|=~|!~|==|!=|<=|>=|<|>|=
              |[|()\[\],.*-])
      | (?P<word>[A-Za-z_$][A-Za-z0-9_$]*)
    )""",
    re.VERBOSE,
)

COMPARISONS = frozenset(
    (
        *("==", "!=", "=~", "!~", "<", "<=", ">", ">=", "in", "in~", "!in", "!in~"),
        *("has", "!has", "contains", "!contains"),
        *("startswith", "!startswith", "endswith", "!endswith"),
    )
)


class QueryError(Exception):
    """A query that is not understood. `code` is Resource Graph's word for why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True)
class Token:
    """A piece of a query, and where it stands."""

    kind: str
    text: str
    at: int


@dataclass
class Query:
    """A parsed query. `columns` are those of the result, or None for all that the table has."""

    table: str
    stages: list[Stage] = field(default_factory=list)
    columns: set[str] | None = None
    ordered: bool = False

    def run(self, rows: Iterable[Row]) -> list[Row]:
        """Return what the query makes of a table's rows."""
        found = list(rows)
        for stage in self.stages:
            found = stage(found)
        return found


def tokens_of(text: str) -> list[Token]:
    """Cut a query into pieces."""
    text = re.sub(r"//[^\n'\"]*$", "", text, flags=re.MULTILINE)
    found, position = [], 0
    while text[position:].strip():
        match = TOKEN.match(text, position)
        if match is None:
            wrong = text[position:].strip()[:20]
            raise QueryError("ParserFailure", f"the query cannot be read at: {wrong}")
        kind = str(match.lastgroup)
        found.append(Token(kind, match.group(kind), match.start(kind)))
        position = match.end()
    return found


def parse(text: str, columns: Iterable[str], tables: Iterable[str]) -> Query:
    """Understand a query over tables whose rows have `columns`."""
    return _Parser(tokens_of(text), set(columns), {name.lower() for name in tables}).query()


class _Parser:
    """Reads tokens from left to right; each method reads one thing and leaves the rest."""

    def __init__(self, tokens: Sequence[Token], columns: set[str], tables: set[str]) -> None:
        self._tokens = tokens
        self._next = 0
        self._columns = columns
        self._tables = tables

    def query(self) -> Query:
        """Read all of it."""
        name = self._word("a table").lower()
        if name not in self._tables:
            raise QueryError("InvalidQuery", f"table '{name}' is invalid, undefined or unavailable")
        query = Query(name)
        while self._peek() is not None:
            self._expect("|")
            self._stage(query)
        return query

    def _stage(self, query: Query) -> None:
        name = self._word("an operator")
        while (self._peek() or Token("", "", 0)).text == "-":  # project-away, mv-expand
            self._take()
            name += "-" + self._word("an operator")
        readers: dict[str, Callable[[Query], None]] = {
            "where": self._where,
            "extend": self._extend,
            "project": self._project,
            "order": self._order,
            "sort": self._order,
            "take": self._limit,
            "limit": self._limit,
            "count": self._count,
            "mv-expand": self._expand,
        }
        if name not in readers:
            raise QueryError("DisallowedLogicalOperator", f"'{name}' is not an operator known here")
        readers[name](query)

    def _where(self, query: Query) -> None:
        condition = self._condition()
        query.stages.append(lambda rows: [row for row in rows if condition(row) is True])

    def _named(self) -> tuple[str, Value]:
        ahead = self._tokens[self._next : self._next + 2]
        if len(ahead) == 2 and ahead[0].kind == "word" and ahead[1].text == "=":
            name = self._word("a name")
            self._take()
            return name, self._condition()
        start = self._peek()
        value = self._condition()
        last = self._tokens[self._next - 1]
        if start is None or last.kind != "word":
            raise QueryError("InvalidQuery", "an expression needs a name: name = expression")
        simple = self._tokens[self._next - 2].text != "." if self._next > 1 else True
        return (last.text if simple else self._path_name(start)), value

    def _path_name(self, start: Token) -> str:
        """What a path is called that has no name given: its parts, joined."""
        first = self._tokens.index(start)
        words = [t.text for t in self._tokens[first : self._next] if t.kind == "word"]
        return "_".join(words)

    def _all_named(self) -> list[tuple[str, Value]]:
        found = [self._named()]
        while self._skip(","):
            found.append(self._named())
        return found

    def _extend(self, query: Query) -> None:
        named = self._all_named()
        self._columns |= {name for name, _ in named}

        def stage(rows: list[Row]) -> list[Row]:
            return [{**row, **{name: value(row) for name, value in named}} for row in rows]

        query.stages.append(stage)

    def _project(self, query: Query) -> None:
        named = self._all_named()
        self._columns = query.columns = {name for name, _ in named}
        query.stages.append(
            lambda rows: [{name: value(row) for name, value in named} for row in rows]
        )

    def _order(self, query: Query) -> None:
        self._expect("by")
        keys = []
        while True:
            value, descending = self._condition(), True  # Kusto's default is descending
            word = self._peek()
            if word is not None and word.text in ("asc", "desc"):
                descending = self._take().text == "desc"
            keys.append((value, descending))
            if not self._skip(","):
                break

        def stage(rows: list[Row]) -> list[Row]:
            for value, descending in reversed(keys):
                rows = sorted(rows, key=lambda row: sort_key(value(row)), reverse=descending)
            return rows

        query.ordered = True
        query.stages.append(stage)

    def _limit(self, query: Query) -> None:
        number = int(float(self._take().text))
        query.stages.append(lambda rows: rows[:number])

    def _count(self, query: Query) -> None:
        self._columns = query.columns = {"Count"}
        query.stages.append(lambda rows: [{"Count": len(rows)}])

    def _expand(self, query: Query) -> None:
        name, value = self._named()
        self._columns.add(name)

        def stage(rows: list[Row]) -> list[Row]:
            found = []
            for row in rows:
                items = value(row)
                each = items if isinstance(items, list) and items else [None]
                found += [{**row, name: item} for item in each]
            return found

        query.stages.append(stage)

    # -- conditions, weakest binding first

    def _condition(self) -> Value:
        parts = [self._both()]
        while self._skip("or"):
            parts.append(self._both())
        if len(parts) == 1:
            return parts[0]
        return lambda row: any(part(row) is True for part in parts)

    def _both(self) -> Value:
        parts = [self._comparison()]
        while self._skip("and"):
            parts.append(self._comparison())
        if len(parts) == 1:
            return parts[0]
        return lambda row: all(part(row) is True for part in parts)

    def _comparison(self) -> Value:
        left = self._value()
        token = self._peek()
        if token is None or token.text not in COMPARISONS or token.kind == "text":
            return left
        operator = self._take().text
        if operator.lstrip("!").rstrip("~") == "in":
            return member(operator, left, self._list())
        right = self._value()
        return lambda row: compare(operator, left(row), right(row))

    def _list(self) -> list[Value]:
        self._expect("(")
        found = [self._value()]
        while self._skip(","):
            found.append(self._value())
        self._expect(")")
        return found

    def _value(self) -> Value:
        token = self._take()
        if token.kind == "text":
            text = unquoted(token.text)
            return lambda _: text
        if token.kind == "number":
            number = json.loads(token.text)
            return lambda _: number
        if token.text == "(":
            inner = self._condition()
            self._expect(")")
            return inner
        if token.kind != "word":
            raise QueryError("ParserFailure", f"unexpected '{token.text}' at {token.at}")
        return self._named_value(token)

    def _named_value(self, token: Token) -> Value:
        if token.text in ("true", "false"):
            answer = token.text == "true"
            return lambda _: answer
        if self._skip("("):
            return self._call(token.text)
        if token.text not in self._columns:
            raise QueryError(
                "InvalidQuery", f"failed to resolve column or scalar expression '{token.text}'"
            )
        return self._path(token.text)

    def _path(self, column: str) -> Value:
        steps: list[str | int] = [column]
        while True:
            if self._skip("."):
                steps.append(self._word("a name"))
            elif self._skip("["):
                step = self._take()
                steps.append(unquoted(step.text) if step.kind == "text" else int(step.text))
                self._expect("]")
            else:
                break
        return lambda row: reach(row, steps)

    def _call(self, name: str) -> Value:
        arguments: list[Value] = []
        if not self._skip(")"):
            arguments.append(self._condition())
            while self._skip(","):
                arguments.append(self._condition())
            self._expect(")")
        function = FUNCTIONS.get(name)
        if function is None:
            raise QueryError("UnknownFunction", f"'{name}' is not a function known here")
        return lambda row: function(*(argument(row) for argument in arguments))

    # -- tokens

    def _peek(self) -> Token | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def _take(self) -> Token:
        token = self._peek()
        if token is None:
            raise QueryError("ParserFailure", "the query ends too early")
        self._next += 1
        return token

    def _skip(self, text: str) -> bool:
        token = self._peek()
        if token is None or token.kind == "text" or token.text != text:
            return False
        self._next += 1
        return True

    def _expect(self, text: str) -> None:
        token = self._take()
        if token.text != text:
            raise QueryError("ParserFailure", f"'{text}' expected, '{token.text}' found")

    def _word(self, what: str) -> str:
        token = self._take()
        if token.kind != "word":
            raise QueryError("ParserFailure", f"{what} expected, '{token.text}' found")
        return token.text
