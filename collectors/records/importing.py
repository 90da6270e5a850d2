"""One unit of records: files and rows in, as their captures have them; typed rows and gaps out.

What cannot be believed costs the row that it stands in, and nothing else: the row's facet is NULL
and says why, or there is no row at all where nobody knows which record it is. Either is a gap.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Any

from collectors.answers import shortened
from collectors.records.cells import Cells, cells_of
from collectors.records.columns import columns_in, missing_columns
from collectors.records.source import FileHead, RowError
from collectors.records.spec import FACET, OPERATION, RecordType
from collectors.records.values import typed
from collectors.unit import Writer
from evidence.outcome import Gap, Outcome
from evidence.typing_rows import RowValidator
from evidence.units import UnitRecord


@dataclass
class _File:
    """The file that rows are read from."""

    head: FileHead
    reference: str
    problem: str = ""


@dataclass
class _Tally:
    resources: int = 0
    redactions: int = 0
    outcome: Outcome = Outcome.OK
    detail: str = ""
    files: list[str] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    seen: dict[str, str] = field(default_factory=dict)


class Importer:
    """Imports one unit. `writer` gets the rows."""

    def __init__(self, spec: RecordType, writer: Writer) -> None:
        self._spec, self._writer, self._key = spec, writer, writer.key
        self._validator = RowValidator(spec.table_schema())
        self._tally = _Tally()
        self._file = _File(FileHead(""), "")
        self._columns = functools.lru_cache(maxsize=64)(functools.partial(columns_in, spec))

    def file(self, head: FileHead, reference: str) -> None:
        """Begin a file; `reference` is its capture. Its rows follow."""
        self._file = _File(head, reference)
        self._tally.files.append(reference)
        if head.error:
            self._file_gap(Outcome(head.error), head.detail)
        if head.header_row:
            self._look_at_header()

    def row(self, number: int, text: str, problem: str, reference: str) -> None:
        """Import a row; `problem` says why its text cannot be read, if it cannot."""
        if self._file.problem:
            return
        head = self._file.head
        place = head.at(number)
        captures = (reference, self._file.reference)
        try:
            if problem:
                raise RowError(problem)
            cells = cells_of(head, text)
            columns = self._columns(cells.headers)
        except RowError as error:
            self._gap(f"{place}: {error}", captures)
            return
        found_id = self._id(cells, columns, place, captures)
        if found_id:
            self._write(found_id, self._typed(cells, columns), place, captures)

    def finish(self) -> UnitRecord:
        """Return the unit as it came out."""
        tally = self._tally
        return UnitRecord(
            self._key,
            tally.outcome,
            tally.detail,
            tally.resources,
            self._writer.records,
            tally.redactions,
            captures=tuple(tally.files),
            calls={OPERATION: len(tally.files)},
            gaps=tuple(tally.gaps),
        )

    def count_redactions(self, number: int) -> None:
        """Note how many secrets were taken out of a capture."""
        self._tally.redactions += number

    def _look_at_header(self) -> None:
        """Note why no row of the file can be read, where its header is at fault."""
        head = self._file.head
        try:
            missing = missing_columns(self._spec, self._columns(head.header))
        except RowError as error:
            self._file.problem = str(error)
        else:
            if missing:
                self._file.problem = f"no header stands for {', '.join(missing)}"
        if self._file.problem:
            place = head.at(head.header_row).removeprefix(head.name).strip()
            self._file_gap(Outcome.ERROR, f"{place}: {self._file.problem}")

    def _file_gap(self, outcome: Outcome, why: str) -> None:
        """Note that a file was not read, or not to its end: then the type was not observed."""
        detail = shortened(f"{self._file.head.name}: {why}")
        if self._tally.outcome is Outcome.OK:
            self._tally.outcome, self._tally.detail = outcome, detail
        self._gap(detail, (self._file.reference,), reason=outcome)

    def _id(
        self, cells: Cells, columns: dict[str, int], place: str, captures: tuple[str, ...]
    ) -> str:
        """Return the record's id; empty where it has none, or one that was there before."""
        name, in_sheet = self._spec.id, self._file.head.format == "xlsx"
        try:
            if name not in columns:
                raise RowError("is missing")
            text = cells.texts[columns[name]]
            found = str(typed(self._spec.columns[name], text, in_sheet=in_sheet))
        except RowError as error:
            self._gap(f"{place}, column {self._header(cells, columns, name)}: {error}", captures)
            return ""
        before = self._tally.seen.get(found)
        if before is not None:
            why = f"{place}: the id {found!r} is there already, on {before}"
            self._gap(why, captures, resource_id=found)
            return ""
        self._tally.seen[found] = place
        return found

    def _typed(self, cells: Cells, columns: dict[str, int]) -> tuple[dict[str, Any], list[str]]:
        """Return the values by column, and what is wrong with those that are no such values."""
        values: dict[str, Any] = {}
        wrong: list[str] = []
        in_sheet = self._file.head.format == "xlsx"
        for name, column in self._spec.columns.items():
            text = cells.texts[columns[name]] if name in columns else ""
            try:
                values[name] = typed(column, text, in_sheet=in_sheet)
            except RowError as error:
                values[name] = None
                wrong.append(f"column {self._header(cells, columns, name)}: {error}")
        return values, wrong

    @staticmethod
    def _header(cells: Cells, columns: dict[str, int], name: str) -> str:
        """Return what the file calls a column."""
        return cells.headers[columns[name]] if name in columns else name

    def _write(
        self,
        found_id: str,
        found: tuple[dict[str, Any], list[str]],
        place: str,
        captures: tuple[str, ...],
    ) -> None:
        values, wrong = found
        name = values.get(self._spec.name or self._spec.id)
        row: dict[str, Any] = {
            "provider": self._key.provider,
            "account": self._key.account,
            "region": self._key.region,
            "id": found_id,
            "name": str(name) if name is not None else found_id,
            "tags": None,
            FACET: None if wrong else values,
            "errors": {},
            "captures": {FACET: list(captures)},
        }
        details = [f"bad_type: {place}, {why}" for why in wrong]
        if not wrong:
            refused = self._validator.clean(row)
            details = [f"{item.detail} ({place})" for item in refused]
        if details:
            more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
            row["errors"][FACET] = f"{details[0]}{more}"
        for detail in details:
            self._gap(detail, captures, resource_id=found_id, facet=FACET)
        self._writer.write_row(row)
        self._tally.resources += 1

    def _gap(
        self,
        detail: str,
        captures: tuple[str, ...],
        *,
        resource_id: str = "",
        facet: str = "",
        reason: Outcome = Outcome.ERROR,
    ) -> None:
        key = self._key
        self._tally.gaps.append(
            Gap(
                key.provider,
                key.account,
                key.region,
                key.resource_type,
                OPERATION,
                reason.value,
                shortened(detail),
                resource_id,
                facet,
                captures,
            )
        )
