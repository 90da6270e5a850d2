"""The gate: what every check and fact must pass before it may judge anything.

Expressions compile and bind against empty typed tables in a locked DuckDB; literals fit the
columns that they are compared with; the examples get the statuses that they expect; taking a facet
away (knock-out) may only keep a status or make it not_evidenced; with every facet taken away
(vacuous) nothing passes or fails. The same for facts, with tables taken away.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import duckdb

from controls.catalogue import Catalogue
from controls.database import create_empty_table, lock, open_database
from controls.facts import materialise
from controls.gate_checks import check_problems
from controls.gate_facts import fact_problems
from controls.problems import Problem
from evidence.errors import DataError
from evidence.files import write_atomically
from evidence.schema import TableSchema
from evidence.tables import schemas_as_json

_AS_OF = "2026-01-01T00:00:00Z"
"""The time that examples are judged at."""


def check_catalogue(catalogue: Catalogue, schemas: Mapping[str, TableSchema]) -> list[Problem]:
    """Return every problem of the catalogue's facts and checks; none means that it may judge."""
    problems: list[Problem] = []
    with open_database(_AS_OF) as database:
        database.execute("PRAGMA disable_optimizer")  # a few rows: planning would cost the most
        for schema in schemas.values():
            create_empty_table(database, schema)
        lock(database)
        for fact in catalogue.facts.values():
            problems.extend(fact_problems(catalogue, fact, schemas, database))
        if problems:
            return problems
        for fact in catalogue.facts.values():
            materialise(database, fact)
        for check in catalogue.checks.values():
            problems.extend(check_problems(catalogue, check, schemas, database))
    return problems


def require_sound(
    catalogue: Catalogue, schemas: Mapping[str, TableSchema], *, passed: Path | None = None
) -> None:
    """Raise DataError with the first problem of the catalogue, if there is one.

    `passed` is a folder that remembers which catalogues have passed: the same files under the same
    gate need not pass it again before every evaluation.
    """
    mark = passed / _gate_digest(catalogue, schemas) if passed is not None else None
    if mark is not None and mark.exists():
        return
    problems = check_catalogue(catalogue, schemas)
    if problems:
        more = f" (and {len(problems) - 1} more: run `auditpack lint`)" if len(problems) > 1 else ""
        raise DataError(problems[0].what + more, where=problems[0].where, mend=problems[0].mend)
    if mark is not None:
        write_atomically(mark, b"")


def _gate_digest(catalogue: Catalogue, schemas: Mapping[str, TableSchema]) -> str:
    """What the gate's answer depends on: the files, the shapes, and the rooms' own code."""
    digest = hashlib.sha256(catalogue.digest.encode())
    digest.update(schemas_as_json(list(schemas.values())))
    digest.update(duckdb.__version__.encode())
    for file in sorted(Path(__file__).parent.glob("*.*")):
        digest.update(file.read_bytes())
    return digest.hexdigest()
