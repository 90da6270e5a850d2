"""The gate: what every check and fact must pass before it may judge anything.

Expressions compile and bind against empty typed tables in a locked DuckDB; literals fit the
columns that they are compared with; the examples get the statuses that they expect; taking a facet
away (knock-out) may only keep a status or make it not_evidenced; with every facet taken away
(vacuous) nothing passes or fails. The same for facts, with tables taken away.
"""

from __future__ import annotations

from collections.abc import Mapping

from controls.catalogue import Catalogue
from controls.database import create_empty_table, lock, open_database
from controls.facts import materialise
from controls.gate_checks import check_problems
from controls.gate_facts import fact_problems
from controls.gate_memory import Examined, GateMemory
from controls.problems import Problem
from evidence.errors import DataError
from evidence.schema import TableSchema

_AS_OF = "2026-01-01T00:00:00Z"
"""The time that examples are judged at."""


def check_catalogue(
    catalogue: Catalogue,
    schemas: Mapping[str, TableSchema],
    *,
    memory: GateMemory | None = None,
) -> list[Problem]:
    """Return every problem of the catalogue's facts and checks; none means that it may judge.

    What `memory` knows to have passed is not looked at again.
    """
    examined = Examined(catalogue, schemas)
    passed = memory.passed() if memory is not None else frozenset[str]()
    facts = [(f, examined.fact(f)) for f in catalogue.facts.values()]
    checks = [(c, examined.check(c)) for c in catalogue.checks.values()]
    new_facts = [(fact, digest) for fact, digest in facts if digest not in passed]
    new_checks = [(check, digest) for check, digest in checks if digest not in passed]
    if not new_facts and not new_checks:
        return []
    problems: list[Problem] = []
    sound: list[str] = []
    with open_database(_AS_OF) as database:
        database.execute("PRAGMA disable_optimizer")  # a few rows: planning would cost the most
        for schema in schemas.values():
            create_empty_table(database, schema)
        lock(database)
        for fact, digest in new_facts:
            found = [*fact_problems(catalogue, fact, schemas, database)]
            problems.extend(found)
            sound.extend([] if found else [digest])
        if not problems:
            judged = {check.resource for check, _ in new_checks}
            for fact in catalogue.facts.values():
                if fact.subject in judged:
                    materialise(database, fact)
            for check, digest in new_checks:
                found = [*check_problems(catalogue, check, schemas, database)]
                problems.extend(found)
                sound.extend([] if found else [digest])
    if memory is not None:
        memory.remember(sound)
    return problems


def require_sound(
    catalogue: Catalogue, schemas: Mapping[str, TableSchema], *, memory: GateMemory | None = None
) -> None:
    """Raise DataError with the first problem of the catalogue, if there is one.

    What `memory` knows to have passed need not pass again before every evaluation.
    """
    problems = check_catalogue(catalogue, schemas, memory=memory)
    if problems:
        more = f" (and {len(problems) - 1} more: run `auditpack lint`)" if len(problems) > 1 else ""
        raise DataError(problems[0].what + more, where=problems[0].where, mend=problems[0].mend)
