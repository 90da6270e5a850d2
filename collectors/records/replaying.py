"""Making the rows of a unit of records again from its captures: the files need not be there."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from collectors.records.importing import Importer
from collectors.records.redacting import RowRedactor
from collectors.records.source import FileHead
from collectors.records.spec import RecordType
from collectors.replaying import ReplayedUnit, RowsOnly
from evidence.errors import VerificationError
from evidence.redaction import Redactor
from evidence.segments import read_lines
from evidence.snapshot import Snapshot
from evidence.units import UnitKey


class RecordReplayer:
    """Replays the units of one snapshot, shaped by `types`."""

    def __init__(
        self, snapshot: Snapshot, types: Mapping[str, RecordType], redactor: Redactor | None
    ) -> None:
        self._snapshot, self._types, self._redactor = snapshot, types, redactor
        self._records = {unit.key: unit.records for unit in snapshot.units}

    def replay(self, key: UnitKey, rows: Path) -> ReplayedUnit:
        """Write the rows of a unit as JSON lines to `rows` and return what came of it.

        Raises VerificationError when its captures cannot be read.
        """
        spec, segment = self._types[key.resource_type], self._snapshot.segment(key.path)
        if not segment.is_file():
            raise VerificationError("the captures of this unit are missing", where=str(segment))
        cleaner = None if self._redactor is None else RowRedactor(self._redactor, spec)
        head, number = FileHead(""), 0
        with rows.open("wb") as file:
            importer = Importer(spec, RowsOnly(key, self._records[key], file))
            for number, line in enumerate(read_lines(segment), start=1):
                capture = orjson.loads(line)
                parameters, text = orjson.loads(capture["parameters"]), _text(capture)
                reference = f"{key.path}#{number}"
                if "row" not in parameters:
                    head = FileHead.from_text(text)
                    importer.file(head, reference)
                    continue
                if cleaner is not None:
                    text, _ = cleaner.row(head, text)
                importer.row(parameters["row"], text, capture["error_detail"], reference)
            record = importer.finish()
        missing = () if number else ("import",)
        return ReplayedUnit(record, missing, ())


def _text(capture: Mapping[str, Any]) -> str:
    body = str(capture["body"])
    if capture["body_is"] == "as received, base64":
        return base64.b64decode(body).decode(errors="replace")
    return body
