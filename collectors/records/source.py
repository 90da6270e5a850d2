"""What reading a file of records gives: the file as a whole, and its rows as the file has them.

Both are made from what is captured, so that reading a file and reading its captures is the same.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import orjson

from evidence.canonical import canonical_text

Format = Literal["csv", "json", "json lines", "xlsx", ""]


@dataclass(frozen=True)
class FileHead:
    """A file as a whole. `name` is its base name, `header_row` where its header is.

    `error` is an outcome (`denied`, `error`) where the file, or a part of it, could not be read;
    `detail` says why. JSON has no header: each object names its members.
    """

    name: str
    format: Format = ""
    length: int = 0
    sha256: str = ""
    sheet: str = ""
    delimiter: str = ""
    header: tuple[str, ...] = ()
    header_row: int = 0
    error: str = ""
    detail: str = ""

    @property
    def has_header(self) -> bool:
        """Whether the columns are named once, above the rows."""
        return self.format in ("csv", "xlsx")

    def as_text(self) -> str:
        """Return the head as the text that its capture holds."""
        return canonical_text({**asdict(self), "header": list(self.header)})

    @classmethod
    def from_text(cls, text: str) -> FileHead:
        """Return the head that `as_text` wrote."""
        value: dict[str, Any] = orjson.loads(text)
        return cls(**{**value, "header": tuple(value["header"])})

    def parameters(self) -> dict[str, Any]:
        """Return what was asked for: the file, and the sheet where there is one."""
        return {"file": self.name, **({"sheet": self.sheet} if self.sheet else {})}

    def at(self, row: int) -> str:
        """Return a row's place as people name it."""
        if self.format == "xlsx":
            return f"{self.name} sheet {self.sheet} row {row}"
        return f"{self.name} {'item' if self.format == 'json' else 'line'} {row}"


@dataclass(frozen=True)
class RawRow:
    """A row as the file has it. `number` is its line, its row in a sheet, or its place in a list.

    `problem` says why it cannot be read at all.
    """

    number: int
    body: bytes
    problem: str = ""


class RowError(Exception):
    """A row, or a part of a file, that is not what its format says. The text says why."""
