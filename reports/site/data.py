"""The site's data: script files that hand rows to the lists, because `file://` cannot fetch JSON.

Rows are arrays of numbers and indices into a table of texts, one table a file, so that fifty
thousand findings are a few megabytes. Each file names its columns; `static/lists.js` reads them.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from controls.assessment import Finding
from reports.site.captures import CaptureIndex, CaptureReference
from reports.site.folder import SiteFolder
from reports.site.resources import ResourceIndex, anchor_of, key_of
from reports.view import SEVERITY_ORDER

FINDING_STATUSES = ("fail", "not_evidenced", "excepted", "pass", "not_applicable")
"""Statuses of findings in the order in which the site lists them: what needs a person first."""

FINDING_COLUMNS = (
    *("status:n", "severity:n", "check", "reason", "account", "region", "type", "id", "name"),
    *("owner", "page:n", "anchor:n", "captures:n"),
)
"""Columns of the list of findings. Those marked `:n` are values, the others texts of the table."""

GAP_COLUMNS = (
    *("reason", "type", "account", "region", "operation", "id", "facet", "detail"),
    *("page:n", "anchor:n", "captures:n"),
)
RESOURCE_COLUMNS = (*("type", "account", "region", "id", "name", "page:n", "anchor:n", "counts:n"),)
UNIT_COLUMNS = (
    *("listed", "provider", "account", "region", "type", "detail"),
    *("resources:n", "records:n", "redactions:n", "file", "sha256:n", "pages:n"),
)

_SHOWN_CAPTURES = 3


def script(kind: str, number: int, value: Any) -> bytes:
    """Return a script that hands `value` to the site's code.

    `<` is escaped, so no text in it can end a script element wherever the file's content lands.
    """
    text = orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).replace(b"<", b"\\u003c")
    text = text.replace("\u2028".encode(), b"\\u2028").replace("\u2029".encode(), b"\\u2029")
    return b'auditpack.add("%s",%d,%s);\n' % (kind.encode(), number, text)


@dataclass
class Chunks:
    """Writes rows of one kind into files of limited size. `count` is how many files there are."""

    folder: SiteFolder
    kind: str
    columns: tuple[str, ...]
    per_chunk: int = 5_000
    count: int = 0
    rows: int = 0
    _texts: dict[str, int] = field(default_factory=dict)
    _rows: list[list[Any]] = field(default_factory=list)

    def text(self, value: str) -> int:
        """Return the index of a text in the current file's table."""
        return self._texts.setdefault(value, len(self._texts))

    def add(self, *values: Any) -> int:
        """Add a row, one value a column; return the number (from 1) of the file that holds it."""
        pairs = zip(self.columns, values, strict=True)
        row = [value if name.endswith(":n") else self.text(value or "") for name, value in pairs]
        self._rows.append(row)
        self.rows += 1
        number = self.count + 1
        if len(self._rows) == self.per_chunk:
            self.finish()
        return number

    def captures(self, references: Sequence[str], index: CaptureIndex) -> list[int]:
        """Return [how many, then (unit, line, page) of the first few] of capture references."""
        cell = [len(references)]
        for text in references[:_SHOWN_CAPTURES]:
            reference = CaptureReference.parse(text)
            cell += [self.text(reference.unit), reference.line, index.page(reference)]
        return cell

    def finish(self) -> None:
        """Write what is left."""
        if self._rows:
            self.count += 1
            value = {"columns": self.columns, "texts": list(self._texts), "rows": self._rows}
            name = f"data/{self.kind}-{self.count}.js"
            self.folder.write(name, script(self.kind, self.count, value))
            self._texts, self._rows = {}, []


def add_finding(
    chunks: Chunks,
    finding: Finding,
    captures: CaptureIndex,
    resources: ResourceIndex,
    unlisted: Container[tuple[str, str, str]],
) -> int:
    """Add a finding; return the number of its file. `page` is -1 where the listing is a gap."""
    key = key_of(finding)
    page = resources.pages.get(key, 0)
    if not page and key[:3] in unlisted:
        page = -1
    return chunks.add(
        FINDING_STATUSES.index(finding.status),
        SEVERITY_ORDER.index(finding.severity),
        finding.check_id,
        finding.reason,
        finding.account,
        finding.region,
        finding.resource_type,
        finding.resource_id,
        finding.resource_name,
        finding.owner,
        page,
        anchor_of(key) if page > 0 else "",
        chunks.captures(finding.captures, captures),
    )
