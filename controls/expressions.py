"""Check expressions: parsed, held against an allow-list, and compiled to sound three-valued SQL.

An expression is a scalar boolean (or text, for reasons) over one row: facets, `fact.*`, `param.*`,
identity columns. What could turn "not known" into a verdict is refused: subqueries, aggregates,
CASE, COALESCE, IS TRUE, IS DISTINCT FROM. `facet.x IS NULL` is rewritten so that it stays NULL when
the facet was not observed (NOTES-EVALUATING, 4b).
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from controls.models import Parameter
from evidence.schema import IDENTITY_COLUMNS, RESERVED_NAMES, TableSchema

FUNCTIONS = frozenset(
    {
        # three-valued helpers (controls/macros.sql)
        "any3",
        "all3",
        "has3",
        "count3",
        "is_world",
        "covers_port",
        "names_everyone",
        "narrows",
        "is_public_statement",
        "grants_everything",
        "days_since",
        "days_until",
        "allows_everything",
        "allows_whole_service",
        "allows_everywhere",
        "allowed_everywhere",
        "escalation_routes",
        # plain functions that give NULL for NULL
        "abs",
        "array_to_string",
        "cardinality",
        "contains",
        "date_diff",
        "ends_with",
        "flatten",
        "greatest",
        "least",
        "len",
        "length",
        "list_concat",
        "list_distinct",
        "list_sort",
        "list_transform",
        "list_filter",
        "lower",
        "map_contains",
        "map_keys",
        "map_values",
        "regexp_matches",
        "replace",
        "round",
        "split_part",
        "starts_with",
        "string_split",
        "substr",
        "trim",
        "upper",
    }
)
"""Functions that an expression may call."""

_SQLGLOT_NAMES = {
    "array_size": "len",
    "array_length": "len",
    "str_position": "contains",
    "regexp_like": "regexp_matches",
    "startswith": "starts_with",
    "endswith": "ends_with",
    "datediff": "date_diff",
    "substring": "substr",
    "split": "string_split",
    "transform": "list_transform",
    "filter": "list_filter",
    "array_filter": "list_filter",
    "array_contains": "list_contains",
    "array_concat": "list_concat",
    "array_distinct": "list_distinct",
    "sort_array": "list_sort",
    "array_sort": "list_sort",
}
_REASON_ONLY = frozenset(
    {
        "allowed_everywhere",
        "array_to_string",
        "flatten",
        "greatest",
        "least",
        "list_concat",
        "list_distinct",
        "list_filter",
        "list_sort",
        "list_transform",
    }
)
"""Functions that pass over what is NULL: fine in a reason text, never in a verdict."""

_FORBIDDEN: dict[Any, str] = {
    exp.Subquery: "a subquery (put joins in a fact)",
    exp.Select: "a query (put joins in a fact)",
    exp.Exists: "EXISTS (put joins in a fact)",
    exp.Window: "a window function",
    exp.AggFunc: "an aggregate (put set-wise logic in a fact)",
    exp.Coalesce: "coalesce: it turns what is not known into a verdict",
    exp.Case: "CASE: its ELSE turns what is not known into a verdict",
    exp.If: "IF: it turns what is not known into a verdict",
    exp.NullSafeEQ: "IS NOT DISTINCT FROM: it turns what is not known into a verdict",
    exp.NullSafeNEQ: "IS DISTINCT FROM: it turns what is not known into a verdict",
    exp.Parameter: "a parameter marker",
    exp.Placeholder: "a placeholder",
    exp.Star: "*",
    exp.PositionalColumn: "a column by its position",
    exp.Command: "a command",
    exp.TryCast: "TRY_CAST: it hides values of the wrong type",
}


@dataclass(frozen=True)
class Compiled:
    """An expression as SQL, and which facets (and whether facts) it reads."""

    sql: str
    facets: tuple[str, ...]
    facts: tuple[str, ...]


class ExpressionError(ValueError):
    """An expression that is refused; the text says what and why, and what was probably meant."""


def compile_expression(
    text: str,
    schema: TableSchema,
    facts: Iterable[str],
    parameters: Mapping[str, Parameter],
    *,
    verdict: bool = True,
) -> Compiled:
    """Compile `text` for rows of `schema`. Raises ExpressionError.

    `verdict` is false for a reason, which is text for people and may use a few more functions.
    """
    tree = _parse(text)
    names = frozenset(facts)
    roots = _check_columns(tree, schema, names, parameters)
    _check_nodes(tree, verdict)
    tree = tree.transform(functools.partial(_put_parameter, parameters=parameters), copy=False)
    if verdict:
        tree = tree.transform(
            functools.partial(_guard_null_test, facets=schema.facet_names), copy=False
        )
    known_facets = (*schema.facet_names, "tags")
    return Compiled(
        tree.sql("duckdb", comments=False),
        tuple(name for name in known_facets if name in roots),
        tuple(sorted(name for name in names if f"fact.{name}" in roots)),
    )


def _parse(text: str) -> Any:
    try:
        statements = sqlglot.parse(text, read="duckdb")
    except SqlglotError as error:
        raise ExpressionError(f"syntax error: {_first_line(error)}") from error
    if len(statements) != 1 or statements[0] is None:
        raise ExpressionError("an expression is one expression, without ;")
    return statements[0]


def _first_line(error: SqlglotError) -> str:
    details = getattr(error, "errors", None)
    if details:
        found = details[0]
        return f"{found.get('description')} at column {found.get('col')}"
    return str(error).splitlines()[0]


def _check_nodes(tree: exp.Expression, verdict: bool) -> None:
    for node in tree.walk():
        for kind, why in _FORBIDDEN.items():
            if isinstance(node, kind) and (verdict or kind is not exp.Coalesce):
                raise ExpressionError(f"not allowed here: {why}: {node.sql('duckdb')[:60]}")
        if isinstance(node, exp.Is) and not isinstance(node.expression, exp.Null):
            raise ExpressionError(
                f"IS {node.expression.sql()} turns what is not known into a verdict: "
                "write the condition itself"
            )
        if isinstance(node, exp.In) and node.args.get("field") is not None:
            raise ExpressionError("IN over a list passes over what is not known: use has3")
        if isinstance(node, exp.Func) and not isinstance(node, exp.Connector | exp.Cast):
            _check_function(node, verdict)
    if not isinstance(tree, exp.Condition):
        raise ExpressionError("a statement is not an expression")


def _check_function(node: exp.Func, verdict: bool) -> None:
    name = node.name.lower() if isinstance(node, exp.Anonymous) else node.sql_name().lower()
    name = _SQLGLOT_NAMES.get(name, name)
    if name in ("array", "coalesce"):
        return
    if name not in FUNCTIONS:
        near = difflib.get_close_matches(name, FUNCTIONS, 1)
        hint = f"; did you mean {near[0]}()?" if near else ""
        raise ExpressionError(f"the function {name}() is not on the allow-list{hint}")
    if verdict and name in _REASON_ONLY:
        raise ExpressionError(
            f"{name}() drops elements that are not known: use any3, all3, has3 or count3"
        )


def _check_columns(
    tree: exp.Expression,
    schema: TableSchema,
    facts: frozenset[str],
    parameters: Mapping[str, Parameter],
) -> set[str]:
    """Check that every root name exists; return the roots, facts as `fact.name`."""
    for variable in _lambda_variables(tree):
        if variable in _COLUMNS or variable in schema.facet_names:
            raise ExpressionError(f"{variable} is a column: give the variable another name")
    roots = set()
    for column in tree.find_all(exp.Column):
        parts = [part.name for part in column.parts]
        root = parts[0]
        if root == "fact":
            roots.add(_check_member(parts, "fact", facts))
        elif root == "param":
            _check_member(parts, "param", parameters)
        elif root in schema.facet_names:
            _check_field(parts, schema)
            roots.add(root)
        elif root in IDENTITY_COLUMNS:
            roots.add(root)
        else:
            raise _unknown(".".join(parts), schema, facts)
    return roots


_COLUMNS = frozenset({*RESERVED_NAMES, "fact_captures", "fact_missing", "row"})
"""Names that a lambda's variable may not take: it would hide the column."""


def _lambda_variables(tree: exp.Expression) -> set[str]:
    return {variable.name for found in tree.find_all(exp.Lambda) for variable in found.expressions}


def _check_member(parts: list[str], kind: str, known: Iterable[str]) -> str:
    names = list(known)
    member = parts[1] if len(parts) > 1 else ""
    if member not in names:
        near = difflib.get_close_matches(member, names, 1)
        hint = f"; did you mean {kind}.{near[0]}?" if near else ""
        raise ExpressionError(f"there is no {kind}.{member} for this resource{hint}")
    return f"{kind}.{member}"


def _check_field(parts: list[str], schema: TableSchema) -> None:
    facet = next(facet for facet in schema.facets if facet.name == parts[0])
    if len(parts) == 1:
        raise ExpressionError(f"{parts[0]} is a facet: name one of its fields, or nothing")
    if parts[1] not in {field.name for field in facet.fields}:
        raise _unknown(".".join(parts[:2]), schema, frozenset())


def _unknown(path: str, schema: TableSchema, facts: frozenset[str]) -> ExpressionError:
    options = [*schema.paths(), *(f"fact.{name}" for name in sorted(facts))]
    near = difflib.get_close_matches(path, options, 1, 0.6)
    if not near:
        leaf = path.rsplit(".", 1)[-1]
        near = [option for option in options if option.rsplit(".", 1)[-1] == leaf][:1]
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return ExpressionError(f"{schema.resource_type} has no {path!r}{hint}")


def _put_parameter(node: Any, parameters: Mapping[str, Parameter]) -> Any:
    if isinstance(node, exp.Column) and node.parts[0].name == "param":
        return exp.convert(parameters[node.parts[1].name].default)
    return node


def _guard_null_test(node: Any, facets: tuple[str, ...]) -> Any:
    if not isinstance(node, exp.Is) and not _tests_for_null(node):
        return node
    roots = {column.parts[0].name for column in node.find_all(exp.Column)}
    if "fact" in roots and isinstance(node, exp.Is):
        raise ExpressionError("a fact that is NULL is not known: IS NULL says nothing about it")
    read = [name for name in (*facets, "tags") if name in roots]
    if not read:
        return node
    unseen = exp.or_(*(exp.column(name).is_(exp.null()) for name in read))
    return exp.Case().when(unseen, exp.null()).else_(node.copy())


def _tests_for_null(node: Any) -> bool:
    """Whether the node is a macro that takes NULL for an answer: covers_port, for every port."""
    return isinstance(node, exp.Anonymous) and node.name.lower() == "covers_port"
