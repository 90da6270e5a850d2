"""A check as SQL: the 4-way status, the reason, and the evidence that the verdict rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from controls.database import quoted
from controls.expressions import Compiled, ExpressionError, compile_expression
from controls.facts import fact_columns, row_source
from controls.models import Check, Fact
from evidence.schema import TableSchema


@dataclass(frozen=True)
class CompiledCheck:
    """A check ready to run. `facets` are those that any of its verdict expressions reads."""

    check: Check
    schema: TableSchema
    applies: Compiled
    passes: Compiled
    reason: Compiled
    facts: tuple[Fact, ...]

    @property
    def facets(self) -> tuple[str, ...]:
        """Facets that the verdict rests on, in table order."""
        read = {*self.applies.facets, *self.passes.facets}
        return tuple(name for name in (*self.schema.facet_names, "tags") if name in read)

    @property
    def reads_facts(self) -> bool:
        """Whether the verdict rests on a fact."""
        return bool(self.applies.facts or self.passes.facts)

    def status_sql(self) -> str:
        """SQL of the status: NULL is never a verdict."""
        applies, passes = f"TRY({self.applies.sql})", f"TRY({self.passes.sql})"
        return (
            f"CASE WHEN ({applies}) IS NULL THEN 'not_evidenced'"
            f" WHEN NOT ({applies}) THEN 'not_applicable'"
            f" WHEN ({passes}) THEN 'pass'"
            f" WHEN NOT ({passes}) THEN 'fail'"
            f" ELSE 'not_evidenced' END"
        )

    def findings_sql(self) -> str:
        """SQL that yields one finding a row of the check's resource type."""
        check, name = self.check, self.schema.resource_type
        source = row_source(name, self.facts)
        return (
            f"SELECT {quoted(check.id)} AS check_id, status,"
            f" {quoted(check.severity.value)} AS severity,"
            f" CASE WHEN status = 'not_evidenced' THEN unknown_because"
            f" WHEN status = 'not_applicable' THEN ''"
            f" ELSE coalesce(reason, '') END AS reason,"
            f" provider, account, region, {quoted(name)} AS resource_type, id AS resource_id,"
            f" name AS resource_name, {quoted(check.control)} AS control, evidence AS captures,"
            f" tags"
            f" FROM (SELECT provider, account, region, id, name, tags,"
            f" {self.status_sql()} AS status,"
            f" TRY(CAST({self.reason.sql} AS VARCHAR)) AS reason,"
            f" {self._unknown_sql()} AS unknown_because,"
            f" {self._evidence_sql()} AS evidence"
            f" FROM {source} AS row)"
        )

    def _unknown_sql(self) -> str:
        """SQL that says which facets were not observed, and why."""
        parts = [
            f"CASE WHEN {facet} IS NULL THEN {quoted(facet)} || ' was not observed ('"
            f" || coalesce(errors[{quoted(facet)}], 'no value') || ')' END"
            for facet in self.facets
        ]
        if self.reads_facts:
            parts.append(
                "CASE WHEN fact_missing IS NOT NULL THEN 'not everything could be read: '"
                " || fact_missing END"
            )
        parts.extend(
            f"CASE WHEN fact_missing IS NULL AND fact.{name} IS NULL THEN"
            f" {quoted(name.replace('_', ' '))} || ' is not known: a value it follows from was not"
            f" observed' END"
            for name in sorted({*self.applies.facts, *self.passes.facts})
        )
        if not parts:
            return "'the answer holds no value to judge'"
        joined = f"nullif(concat_ws('; ', {', '.join(parts)}), '')"
        return f"coalesce({joined}, 'the answer holds no value to judge')"

    def _evidence_sql(self) -> str:
        lists = [f"coalesce(captures[{quoted(facet)}], [])" for facet in self.facets]
        if self.reads_facts:
            lists.append("fact_captures")
        if not lists:
            return "CAST([] AS VARCHAR[])"
        return f"list_sort(list_distinct(flatten([{', '.join(lists)}])))"


def compile_check(check: Check, schema: TableSchema, facts: Sequence[Fact]) -> CompiledCheck:
    """Compile a check. Raises ExpressionError whose text begins with the field that is wrong."""
    columns = fact_columns(facts)
    compiled = {}
    texts = {"applies": check.applies, "pass": check.pass_, "reason": check.reason}
    for field, text in texts.items():
        try:
            compiled[field] = compile_expression(
                text, schema, columns, check.parameters, verdict=field != "reason"
            )
        except ExpressionError as error:
            raise FieldError(field, str(error)) from error
    used = {name for item in compiled.values() for name in item.facts}
    needed = tuple(fact for fact in facts if used & set(fact.columns))
    return CompiledCheck(
        check, schema, compiled["applies"], compiled["pass"], compiled["reason"], needed
    )


class FieldError(ExpressionError):
    """An expression error, with the field of the file that it is in."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
