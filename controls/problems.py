"""What the gate and the linter find: where, what, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from controls.catalogue import Catalogue
from evidence.schema import TableSchema


@dataclass(frozen=True)
class Problem:
    """Something that the gate found: where (file, line, field), what, and what to do."""

    where: str
    what: str
    mend: str = ""


def no_such_type(
    catalogue: Catalogue,
    kind: str,
    name: str,
    field: str,
    wanted: str,
    schemas: Mapping[str, TableSchema],
) -> Problem:
    """Return the problem of a file that names a resource type which is not there."""
    near = difflib.get_close_matches(wanted, schemas, 1)
    return Problem(
        catalogue.where(kind, name, field),
        f"there is no resource type {wanted!r}",
        f"Did you mean {near[0]!r}?" if near else "",
    )
