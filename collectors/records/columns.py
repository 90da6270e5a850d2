"""Which header stands for which column of a record type."""

from __future__ import annotations

from collections.abc import Sequence

from collectors.records.source import RowError
from collectors.records.spec import RecordType, spelling


def columns_in(spec: RecordType, headers: Sequence[str]) -> dict[str, int]:
    """Return the place of each column that there is among `headers`.

    A column's own name goes before its aliases, and these go in their order. Raises RowError where
    the header that counts is there twice.
    """
    places: dict[str, list[int]] = {}
    for index, header in enumerate(headers):
        places.setdefault(spelling(header), []).append(index)
    found: dict[str, int] = {}
    for name, column in spec.columns.items():
        known = (spelling(header) for header in (name, *column.aliases))
        at = next((places[header] for header in known if header in places), [])
        if len(at) > 1:
            raise RowError(f"the header {headers[at[0]]!r} is there twice")
        if at:
            found[name] = at[0]
    return found


def missing_columns(spec: RecordType, found: dict[str, int]) -> list[str]:
    """Return the required columns that no header stands for."""
    return [name for name, one in spec.columns.items() if one.required and name not in found]
