"""Text for people: bodies indented without changing a token, and characters that hide made visible.

The pretty printers change white space between tokens and nothing else, so what a reader sees is
what the cloud sent: numbers keep their digits, keys their order, duplicates stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import orjson

_HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]"
)
"""Control characters, and those that change the direction of text or take no room."""

_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)
_XML_ENDS = (("<!--", "-->"), ("<![CDATA[", "]]>"), ("<", ">"))
_DEEPEST = 40
"""Levels of indent: a body that nests deeper, by mistake or malice, must not swell."""


def visible(text: str) -> str:
    """Return `text` with hidden characters written as their code points."""
    return _HIDDEN.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", text)


def pretty(body: str) -> tuple[str, str]:
    """Return (text, form): the body indented where it is JSON or XML, else as it is."""
    start = body.lstrip()[:1]
    if start and start in "{[" and _is_json(body):
        indented, form = pretty_json(body), "JSON, indented for reading"
    elif start == "<":
        indented, form = pretty_xml(body), "XML, indented for reading"
    else:
        return body, "as it is"
    if _without_space(indented) != _without_space(body):
        return body, "as it is"
    return indented, form


def _is_json(body: str) -> bool:
    """Whether a body is JSON: only then does every quote have its pair, and the tokens are sure."""
    try:
        orjson.loads(body)
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        return False
    return True


def _without_space(text: str) -> str:
    return "".join(text.split())


def pretty_json(body: str) -> str:
    """Return JSON text with line breaks and indents between its tokens."""
    out: list[str] = []
    depth, before = 0, ""
    for token in _JSON_TOKEN.findall(body):
        if token in "}]":
            depth = max(depth - 1, 0)
            if before not in ("{", "["):
                out.append("\n" + _indent(depth))
        elif before in ("{", "[", ","):
            out.append("\n" + _indent(depth))
        out.append(": " if token == ":" else token)
        if token in "{[":
            depth += 1
        before = token
    return "".join(out)


def pretty_xml(body: str) -> str:
    """Return XML with one element a line; an element that holds only text stays on its line."""
    tokens = [token for token in _xml_tokens(body) if token.strip()]
    lines: list[str] = []
    depth = 0
    index = 0
    while index < len(tokens):
        token = tokens[index]
        if token.startswith("</"):
            depth = max(depth - 1, 0)
            lines.append(_indent(depth) + token)
        elif _opens(token):
            taken = _whole_element(tokens, index)
            lines.append(_indent(depth) + "".join(tokens[index : index + taken]))
            index += taken - 1
            depth += 1 if taken == 1 else 0
        else:
            lines.append(_indent(depth) + token.strip("\n"))
        index += 1
    return "\n".join(lines)


def _indent(depth: int) -> str:
    return "  " * min(depth, _DEEPEST)


def _xml_tokens(body: str) -> Iterator[str]:
    """Yield tags, comments and texts; what follows a tag that never ends is one text."""
    at = 0
    while at < len(body):
        end = body.find("<", at)
        if body[at] == "<":
            close = next(close for start, close in _XML_ENDS if body.startswith(start, at))
            found = body.find(close, at)
            end = found + len(close) if found >= 0 else -1
        if end < 0:
            yield body[at:]
            return
        yield body[at:end]
        at = end


def _opens(token: str) -> bool:
    return token.startswith("<") and token[1:2] not in ("?", "!", "/") and token[-2:] != "/>"


def _whole_element(tokens: list[str], index: int) -> int:
    """How many tokens an opening tag takes together with its text and its closing tag, or 1."""
    following = tokens[index + 1 : index + 3]
    if following and following[0].startswith("</"):
        return 2
    if len(following) == 2 and following[1].startswith("</") and not following[0].startswith("<"):
        return 3
    return 1


def shortened(text: str, limit: int) -> tuple[str, int]:
    """Return `text` cut to `limit` characters, and how many were cut off."""
    return text[:limit], max(len(text) - limit, 0)
