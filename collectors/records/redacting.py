"""Taking secrets out of rows: what a record type declares, and what is recognised.

A cell is judged by what it is called, as a member of a cloud's answer is. What was redacted keeps
the form of its file, so that it is read as the row that it stands for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from collectors.records import json_rows
from collectors.records.catalogue import declared_for
from collectors.records.cells import text_of, values_of
from collectors.records.columns import columns_in
from collectors.records.source import FileHead, RowError
from collectors.records.spec import RecordType
from collectors.replaying import with_marks
from evidence.capture import Redaction
from evidence.redaction import Redactor


class RowRedactor:
    """Takes the secrets out of the rows of one record type."""

    def __init__(self, redactor: Redactor, spec: RecordType) -> None:
        self._redactor, self._spec = redactor, spec

    def row(self, head: FileHead, text: str) -> tuple[str, list[Redaction]]:
        """Return a row's text without secrets, and what was taken out."""
        try:
            headers, values = _named_values(head, text)
        except RowError:
            return self._redactor.redact_text(text)
        names = self._names(headers)
        before = dict(zip(names, values, strict=True))
        data, found = self._redactor.redact(declared_for(self._spec), before)
        if found and len(data) == len(headers):
            kept = with_marks(dict(zip(names, data.values(), strict=True)), before)
            members = [
                header if new == old else new
                for header, old, new in zip(headers, names, data, strict=True)
            ]
            text = text_of(head, members, list(kept.values()))
        # Half a secret in each of two cells, or in what is no cell, is found in the whole line.
        text, beside = self._redactor.redact_text(text)
        return text, [*found, *beside]

    def _names(self, headers: Sequence[str]) -> list[str]:
        """Return what each cell is called: its column, else its header, each name once."""
        try:
            columns = {index: name for name, index in columns_in(self._spec, headers).items()}
        except RowError:
            columns = {}
        names: list[str] = []
        for index, header in enumerate(headers):
            name = columns.get(index, header)
            names.append(f"{name} ({index + 1})" if name in names else name)
        return names


def _named_values(head: FileHead, text: str) -> tuple[list[str], list[Any]]:
    if not head.has_header:
        members = json_rows.object_of(text)
        return list(members), list(members.values())
    values = values_of(head, text)
    headers = list(head.header[: len(values)])
    headers += [f"column {index + 1}" for index in range(len(headers), len(values))]
    return headers, list(values)
