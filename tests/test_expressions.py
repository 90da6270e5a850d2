"""Check expressions: what is refused and how it is said, and that what is compiled is sound."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support_controls import STARTED, VAULT, Unit, full_row, vault

from controls.database import create_empty_table, insert_rows, lock, open_database, quoted
from controls.expressions import FUNCTIONS, Compiled, ExpressionError, compile_expression
from controls.models import Parameter

PARAMETERS = {
    "days": Parameter(default=90, about="how old"),
    "word": Parameter(default="it's; --", about="a word"),
}


def compiled(text: str, *, verdict: bool = True) -> Compiled:
    return compile_expression(text, VAULT, ["has_trail"], PARAMETERS, verdict=verdict)


def refusal(text: str, *, verdict: bool = True) -> str:
    with pytest.raises(ExpressionError) as caught:
        compiled(text, verdict=verdict)
    return str(caught.value)


# ------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("(select 1) = 1", "a subquery (put joins in a fact)"),
        ("encryption.bits in (select 1)", "a subquery (put joins in a fact)"),
        ("select true", "a query (put joins in a fact)"),
        ("from aws_vault", "a query (put joins in a fact)"),
        ("exists (select 1 from units)", "EXISTS (put joins in a fact)"),
        ("max(encryption.bits) > 1", "an aggregate (put set-wise logic in a fact)"),
        ("count(*) > 0", "an aggregate (put set-wise logic in a fact)"),
        ("list(encryption.bits) = [1]", "an aggregate"),
        ("row_number() over () = 1", "a window function"),
        ("sum(encryption.bits) over () > 1", "a window function"),
        ("case when encryption.rotated then true else false end", "CASE: its ELSE turns"),
        ("if(encryption.rotated, true, false)", "IF: it turns"),
        ("iif(encryption.rotated, true, false)", "IF: it turns"),
        ("coalesce(encryption.rotated, false)", "coalesce: it turns what is not known"),
        ("ifnull(encryption.rotated, false)", "coalesce: it turns what is not known"),
        ("encryption.rotated is true", "IS TRUE turns what is not known into a verdict"),
        ("encryption.rotated is not true", "IS TRUE turns what is not known into a verdict"),
        ("encryption.rotated is false", "IS FALSE turns what is not known into a verdict"),
        ("encryption.bits is not distinct from 1", "IS NOT DISTINCT FROM: it turns"),
        ("encryption.bits is distinct from 1", "IS DISTINCT FROM: it turns"),
        ("encryption.bits <=> 1", "IS NOT DISTINCT FROM: it turns"),
        ("try_cast(encryption.algorithm as integer) = 1", "TRY_CAST: it hides values"),
        ("encryption.bits = ?", "a placeholder"),
        ("encryption.bits = $1", "a placeholder"),
        ("true; drop table units", "an expression is one expression, without ;"),
        ("true) from units; drop table units", "syntax error:"),
        ("encryption.rotated and", "at column 22"),
        ("", "an expression is one expression"),
        ("encryption", "encryption is a facet: name one of its fields"),
        ("encryption is null", "encryption is a facet: name one of its fields"),
        ("encryption['bits'] = 1", "encryption is a facet: name one of its fields"),
        ("fact is null", "there is no fact."),
        ("param = 1", "there is no param."),
        ("fact.has_trail is null", "a fact that is NULL is not known"),
        ("errors['encryption'] = 'x'", "aws_vault has no 'errors'"),
        ("captures is null", "aws_vault has no 'captures'"),
        ("rowid = 1", "aws_vault has no 'rowid'"),
    ],
)
def test_what_could_turn_not_known_into_a_verdict_is_refused(text: str, said: str) -> None:
    assert said in refusal(text)


@pytest.mark.parametrize(
    "call",
    [
        "read_csv('secrets.csv')",
        "read_text('/etc/passwd')",
        "glob('/*')",
        "getenv('HOME')",
        "current_setting('threads')",
        "getvariable('x')",
        "now()",
        "today()",
        "current_timestamp",
        "current_date",
        "current_user",
        "random()",
        "uuid()",
        "unnest(encryption.keys)",
        "nullif(encryption.algorithm, 'x')",
        "try(encryption.algorithm)",
        "error('x')",
        "concat(encryption.algorithm, 'x')",
    ],
)
def test_functions_that_read_files_settings_or_clocks_or_hide_null_are_refused(call: str) -> None:
    assert "is not on the allow-list" in refusal(f"{call} = 'x'")
    assert "is not on the allow-list" in refusal(call, verdict=False), "in a reason too"


@pytest.mark.parametrize(
    "statement",
    [
        "drop table units",
        "create table x (a int)",
        "insert into units values (1)",
        "copy units to 'x.csv'",
        "attach 'x.db'",
        "install httpfs",
        "pragma database_list",
        "set threads = 1",
        "values (true)",
    ],
)
def test_a_statement_is_not_an_expression(statement: str) -> None:
    refusal(statement)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("lowr(encryption.algorithm) = 'x'", "did you mean lower()?"),
        ("any2(encryption.keys, lambda k: k = 'x')", "did you mean any3()?"),
        ("encryption.algoritm = 'x'", "did you mean 'encryption.algorithm'?"),
        ("encrypton.algorithm = 'x'", "did you mean 'encryption.algorithm'?"),
        ("ENCRYPTION.algorithm = 'x'", "did you mean 'encryption.algorithm'?"),
        ("algorithm = 'x'", "did you mean 'encryption.algorithm'?"),
        ("fact.has_trial", "did you mean fact.has_trail?"),
        ("param.dys > 1", "did you mean param.days?"),
        ("regon = 'x'", "did you mean 'region'?"),
    ],
)
def test_a_name_that_does_not_exist_is_refused_with_the_nearest_one(text: str, hint: str) -> None:
    assert hint in refusal(text)


@pytest.mark.parametrize(
    "text",
    [
        "list_filter(encryption.keys, lambda k: k = 'a') = []",
        "list_transform(encryption.keys, lambda k: k = 'a') = []",
        "array_to_string(encryption.keys, ',') = 'a'",
        "flatten([encryption.keys]) = ['a']",
        "greatest(encryption.bits, network.limit) > 1",
        "least(encryption.bits, network.limit) > 1",
        "has3(list_concat(encryption.keys, map_keys(network.labels)), 'a')",
    ],
)
def test_lists_are_judged_only_through_helpers_that_keep_what_is_not_known(text: str) -> None:
    assert "use any3, all3, has3 or count3" in refusal(text)


def test_a_reason_may_fill_in_and_list_what_a_verdict_may_not() -> None:
    text = "coalesce(encryption.algorithm, 'none') || array_to_string(encryption.keys, ', ')"
    assert compiled(text, verdict=False).facets == ("encryption",)
    refusal(text)
    assert "CASE" in refusal("case when true then 'x' end", verdict=False)


def test_membership_in_a_list_column_goes_through_has3() -> None:
    """`2 in [1, NULL]` is false in DuckDB, not NULL."""
    for text in ("'a' in encryption.keys", "list_contains(encryption.keys, 'a')"):
        refusal(text)


@pytest.mark.parametrize(
    "text",
    [
        "any3(encryption.keys, lambda network: network = 'a') and network.public",
        "any3([1], lambda errors: true) and errors['network'] = 'x'",
        "any3(encryption.keys, lambda encryption: encryption = 'a')",
        "any3([1], lambda fact_missing: true) and fact_missing = 'x'",
    ],
)
def test_a_variable_of_a_lambda_cannot_hide_a_column(text: str) -> None:
    """Else the facet is read without being guarded, knocked out or cited."""
    refusal(text)


def test_a_column_cannot_be_read_by_its_position() -> None:
    refusal("#1 = 'aws'")


def test_what_is_read_is_known_by_facet_and_by_fact() -> None:
    found = compiled(
        "any3(policy.statements, lambda s: s.effect = 'Deny')"
        " or (encryption.rotated and fact.has_trail and tags['Owner'] = 'x' and region <> 'y')"
    )
    assert found.facets == ("encryption", "policy", "tags"), "in the order of the table"
    assert found.facts == ("has_trail",)


# ------------------------------------------------------------------- the database that rows are in


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with open_database(STARTED) as opened:
        create_empty_table(opened, VAULT)
        insert_rows(opened, VAULT, random_rows(300, random.Random(7)))
        lock(opened)
        yield opened


def random_rows(number: int, rng: random.Random) -> list[dict[str, Any]]:
    """Rows in which facets, leaves, fields of list elements and tags are missing now and then."""

    def some(*values: Any) -> Any:
        return rng.choice([None, *values])

    def some_list(make: Any) -> Any:
        return some([], *([make() for _ in range(size)] for size in (1, 1, 2, 3)))

    def rule() -> dict[str, Any]:
        cidr = some("0.0.0.0/0", "::/0", "10.0.0.0/8")
        return {"cidr": cidr, "from_port": some(0, 22), "to_port": some(22, 80)}

    def condition() -> dict[str, Any]:
        key = some("aws:principalorgid", "aws:securetransport")
        return {"operator": some("stringequals", "stringnotlike"), "key": key, "values": ["o-1"]}

    def statement() -> dict[str, Any]:
        return {
            "effect": some("Allow", "Allow", "Deny"),
            "principals": rng.choice([["*"], ["AWS:*"], ["AWS:111111111111"], []]),
            "not_principals": [],
            "actions": rng.choice([["*"], ["s3:*"]]),
            "resources": ["*"],
            "conditions": [condition() for _ in range(rng.randint(0, 1))],
        }

    def row(index: int) -> dict[str, Any]:
        encryption = {
            "algorithm": some("NONE", "AES256", "aes_128", "it's", "", " AES256 ", "x,y"),
            "bits": some(-7, 0, 1, 7, 8, 128, 256),
            "ratio": some(-1.25, 0.0, 0.05, 1.55, 3.0),
            "rotated": some(True, False),
            "made": some("2025-12-31 23:59:59", "2025-01-01 00:00:00", "2026-02-01 00:00:00"),
            "keys": some([], ["a"], ["b"], ["a", "b", "a"]),
        }
        network = {
            "public": some(True, False),
            "limit": some(0, 7, 300),
            "rules": some_list(rule),
            "labels": some({"a": "1"}, {"b": "2", "c": "3"}),
        }
        facets = {
            "encryption": encryption,
            "network": network,
            "policy": {"statements": some_list(statement)},
        }
        seen = {name: value for name, value in facets.items() if rng.random() > 0.2}
        return vault(str(index), some({"Owner": "a"}, {"Team": "b"}), **seen)

    return [full_row(VAULT, row(index), Unit()) for index in range(number)]


def values_of(database: duckdb.DuckDBPyConnection, sql: str) -> list[Any]:
    return [found[0] for found in database.execute(f"SELECT {sql} FROM aws_vault").fetchall()]


FAITHFUL = [
    "encryption.algorithm = 'AES256'",
    "encryption.algorithm <> 'it''s' and encryption.algorithm != ''",
    "encryption.algorithm in ('NONE', 'AES256')",
    "encryption.algorithm not in ('NONE', 'AES256')",
    "encryption.bits in (1, null)",
    "encryption.bits = any([1, null])",
    "encryption.bits between 1 and 128",
    "encryption.bits not between 1 and network.limit",
    "encryption.bits = 7 or network.public and not encryption.rotated",
    "(encryption.bits = 7 or network.public) and not encryption.rotated",
    "not encryption.rotated = network.public",
    "encryption.rotated <> (network.limit > 5)",
    "encryption.bits // 7 = 1",
    "encryption.bits % 7 = 1",
    "encryption.bits / 2 > 3.5",
    "-encryption.bits - 1 < 0 - (encryption.bits - 1)",
    "encryption.bits - (network.limit - 1) > 1",
    "encryption.bits * 2 + 1 > network.limit",
    "encryption.bits & 1 = 1",
    "encryption.bits::double / 3 > encryption.ratio",
    "cast(encryption.bits as varchar) = '7'",
    "round(encryption.ratio, 1) = 1.6",
    "abs(encryption.ratio) > 1",
    "encryption.algorithm like 'AES%'",
    "encryption.algorithm like 'aes!_%' escape '!'",
    "encryption.algorithm ilike 'aes%'",
    "encryption.algorithm not like '%S2%'",
    "encryption.algorithm ~ '[A-Z]+[0-9]+'",
    "encryption.algorithm similar to '(AES|aes).*'",
    "regexp_matches(encryption.algorithm, '^aes', 'i')",
    "contains(encryption.algorithm, 'ES')",
    "starts_with(lower(encryption.algorithm), 'aes')",
    "ends_with(upper(encryption.algorithm), '8')",
    "encryption.algorithm || '-' || encryption.bits = 'NONE-7'",
    "substr(encryption.algorithm, 2, 2) = 'ES'",
    "split_part(encryption.algorithm, ',', 2) = 'y'",
    "string_split(encryption.algorithm, ',')[1] = 'x'",
    "replace(trim(encryption.algorithm), 'AES', '') = '256'",
    "length(encryption.algorithm) > 4",
    "encryption.made > timestamp '2025-06-01'",
    "encryption.made < timestamp '2026-01-01' - interval 30 day",
    "date_diff('day', encryption.made, timestamp '2026-01-01') > 1",
    "days_since(encryption.made) > 90",
    "days_until(encryption.made) >= 30",
    "len(encryption.keys) > 1",
    "encryption.keys[1] = 'a'",
    "encryption.keys = ['a']",
    "has3(encryption.keys, 'a')",
    "any3(encryption.keys, lambda k: k = 'a')",
    "any3(network.rules, lambda r: is_world(r.cidr) and covers_port(r.from_port, r.to_port, 22))",
    "all3(network.rules, lambda r: not is_world(r.cidr) or r.to_port < 80)",
    "count3(network.rules, lambda r: r.from_port = 22) >= 1",
    "any3(network.rules, lambda r: any3(encryption.keys, lambda k: k = 'a' and r.to_port = 22))",
    "network.rules[1].from_port = 22",
    "network.labels['a'] = '1'",
    "map_contains(network.labels, 'b')",
    "has3(map_keys(network.labels), 'c')",
    "cardinality(network.labels) = 2",
    "tags['Owner'] = 'a'",
    "any3(policy.statements, lambda s: is_public_statement(s))",
    "any3(policy.statements, lambda s: grants_everything(s) and names_everyone(s.principals))",
]


@pytest.mark.parametrize("text", FAITHFUL)
def test_compiling_does_not_change_what_an_expression_means(
    database: duckdb.DuckDBPyConnection, text: str
) -> None:
    """sqlglot parses and writes it again; DuckDB must find the same in every row."""
    written = values_of(database, text)
    assert values_of(database, compiled(text).sql) == written
    assert None in written, "a row is not known"
    assert len(set(written)) > 1, "and the rest differ"


@pytest.mark.parametrize(
    ("text", "facets"),
    [
        ("encryption.bits is null", ["encryption"]),
        ("encryption.bits is not null", ["encryption"]),
        ("encryption.bits isnull", ["encryption"]),
        ("encryption.bits notnull", ["encryption"]),
        ("not encryption.bits is null", ["encryption"]),
        ("encryption.keys[1] is null", ["encryption"]),
        ("lower(encryption.algorithm) is null", ["encryption"]),
        ("network.labels['a'] is null", ["network"]),
        ("tags['Owner'] is null", ["tags"]),
        ("tags['Owner'] is not null", ["tags"]),
        ("(encryption.bits + network.limit) is null", ["encryption", "network"]),
        ("(encryption.bits = 1 and network.limit is null) is null", ["encryption", "network"]),
        (
            "any3(encryption.keys, lambda k: k = network.labels['a']) is null",
            ["encryption", "network"],
        ),
    ],
)
def test_a_null_test_says_nothing_about_a_facet_that_was_not_observed(
    database: duckdb.DuckDBPyConnection, text: str, facets: list[str]
) -> None:
    unseen = values_of(database, " or ".join(f"{facet} is null" for facet in facets))
    plain = values_of(database, text)
    wanted = [None if gone else value for gone, value in zip(unseen, plain, strict=True)]
    assert values_of(database, compiled(text).sql) == wanted
    assert {True, False} <= set(wanted), "where it was observed the test decides"
    assert None not in plain, "without the guard every row would get a verdict"


def test_a_null_test_inside_a_lambda_is_guarded_too(database: duckdb.DuckDBPyConnection) -> None:
    text = "all3([1, 2], lambda n: encryption.bits + n is null)"
    for gone, value in zip(
        values_of(database, "encryption is null"),
        values_of(database, compiled(text).sql),
        strict=True,
    ):
        assert (value is None) == gone
    mixed = "any3(encryption.keys, lambda k: (k || network.labels['a']) is null)"
    blind = values_of(database, f"CASE WHEN network IS NULL THEN ({compiled(mixed).sql}) END")
    assert True not in blind


def test_parameters_are_put_in_as_values_whatever_they_hold(
    database: duckdb.DuckDBPyConnection,
) -> None:
    found = compiled("encryption.bits > param.days or encryption.algorithm = param.word")
    plain = "encryption.bits > 90 or encryption.algorithm = 'it''s; --'"
    assert values_of(database, found.sql) == values_of(database, plain)


NOTHING = {
    "any3": "any3({texts}, lambda x: x = 'a')",
    "all3": "all3({texts}, lambda x: x = 'a')",
    "has3": "has3({texts}, 'a')",
    "count3": "count3({texts}, lambda x: x = 'a')",
    "is_world": "is_world({text})",
    "covers_port": "covers_port({number}, {number}, 22)",
    "names_everyone": "names_everyone({texts})",
    "narrows": "narrows({statements}[1].conditions[1])",
    "is_public_statement": "is_public_statement({statements}[1])",
    "grants_everything": "grants_everything({statements}[1])",
    "allows_everything": "allows_everything({statements})",
    "allows_whole_service": "allows_whole_service({statements}, 'kms')",
    "allows_everywhere": "allows_everywhere({statements}, 'kms:decrypt')",
    "escalation_routes": "escalation_routes({statements})",
    "days_since": "days_since({time})",
    "days_until": "days_until({time})",
    "abs": "abs({number})",
    "cardinality": "cardinality({tags})",
    "contains": "contains({text}, 'a')",
    "date_diff": "date_diff('day', {time}, timestamp '2025-01-01')",
    "ends_with": "ends_with({text}, 'a')",
    "len": "len({texts})",
    "length": "length({text})",
    "lower": "lower({text})",
    "map_contains": "map_contains({tags}, 'a')",
    "map_keys": "map_keys({tags})",
    "map_values": "map_values({tags})",
    "regexp_matches": "regexp_matches({text}, 'a')",
    "replace": "replace({text}, 'a', 'b')",
    "round": "round({decimal}, 1)",
    "split_part": "split_part({text}, 'a', 1)",
    "starts_with": "starts_with({text}, 'a')",
    "string_split": "string_split({text}, 'a')",
    "substr": "substr({text}, 1, 1)",
    "trim": "trim({text})",
    "upper": "upper({text})",
}
"""A call of each function that a verdict may use, over fields of a facet that is NULL."""

FIELDS = {
    "text": "encryption.algorithm",
    "texts": "encryption.keys",
    "number": "encryption.bits",
    "decimal": "encryption.ratio",
    "time": "encryption.made",
    "tags": "network.labels",
    "statements": "policy.statements",
}


def test_every_function_is_either_shown_to_be_sound_or_refused_in_a_verdict() -> None:
    """A function that is new on the allow-list belongs into one of the two."""
    calls = {
        "array_to_string": "array_to_string(encryption.keys, ',')",
        "list_filter": "list_filter(encryption.keys, lambda k: true)",
        "list_transform": "list_transform(encryption.keys, lambda k: true)",
        "allowed_everywhere": "allowed_everywhere(policy.statements)",
    }
    for name in sorted(FUNCTIONS - set(NOTHING)):
        refusal(calls.get(name, f"{name}(encryption.keys)"))


@pytest.mark.parametrize("name", sorted(NOTHING))
def test_every_function_of_a_verdict_gives_null_for_what_was_not_observed(
    database: duckdb.DuckDBPyConnection, name: str
) -> None:
    sql = compiled(NOTHING[name].format(**FIELDS)).sql
    unseen = "encryption IS NULL AND network IS NULL AND policy IS NULL"
    found = database.execute(f"SELECT {sql} FROM aws_vault WHERE {unseen}").fetchall()
    assert found
    assert {value for (value,) in found} == {None}


# ------------------------------------------------------- helpers: what is not known stays so


def one(database: duckdb.DuckDBPyConnection, sql: str) -> Any:
    found = database.execute(f"SELECT {sql}").fetchone()
    assert found is not None
    return found[0]


def sql_list(items: list[bool | None] | None) -> str:
    words = {True: "true", False: "false", None: "NULL"}
    inner = "NULL" if items is None else f"[{', '.join(words[item] for item in items)}]"
    return f"CAST({inner} AS BOOLEAN[])"


truths = st.none() | st.lists(st.sampled_from([True, False, None]), max_size=4)


@settings(max_examples=60, deadline=None)
@given(items=truths)
def test_any3_all3_has3_and_count3_are_kleene_logic(
    database: duckdb.DuckDBPyConnection, items: list[bool | None] | None
) -> None:
    listed = sql_list(items)
    found = one(
        database,
        f"[any3({listed}, lambda x: x), all3({listed}, lambda x: x), has3({listed}, true),"
        f" count3({listed}, lambda x: x) = {(items or []).count(True)}]",
    )
    if items is None:
        assert found == [None] * 4
        return
    unknown = None in items
    exists = True if True in items else None if unknown else False
    every = False if False in items else None if unknown else True
    assert found == [exists, every, exists, None if unknown else True]


@pytest.mark.parametrize(
    ("call", "wanted"),
    [
        ("any3([], lambda x: x = 1)", False),
        ("all3([], lambda x: x = 1)", True),
        ("has3([], 1)", False),
        ("count3([], lambda x: x = 1)", 0),
        ("has3([1, NULL], 1)", True),
        ("has3([1, NULL], 2)", None),
        ("has3([1, 2], NULL)", None),
        ("any3([{'p': 1}, {'p': NULL}], lambda x: x.p = 1)", True),
        ("any3([{'p': 2}, {'p': NULL}], lambda x: x.p = 1)", None),
        ("all3([{'p': 2}, {'p': NULL}], lambda x: x.p = 1)", False),
        ("is_world('0.0.0.0/0')", True),
        ("is_world('::/0')", True),
        ("is_world('10.0.0.0/8')", False),
        ("is_world(NULL)", None),
        ("covers_port(22, 22, 22)", True),
        ("covers_port(0, 65535, 22)", True),
        ("covers_port(23, 80, 22)", False),
        ("covers_port(0, 21, 22)", False),
        ("covers_port(NULL, 21, 22)", False),
        ("covers_port(NULL, 80, 22)", None),
        ("covers_port(23, NULL, 22)", False),
        ("any3([{'f': NULL, 't': NULL}], lambda r: covers_port(r.f, r.t, 22))", True),
        ("names_everyone(['*'])", True),
        ("names_everyone(['AWS:1', 'AWS:*'])", True),
        ("names_everyone(['AWS:111111111111', 'Service:sns.amazonaws.com'])", False),
        ("names_everyone([])", False),
        ("names_everyone(NULL)", None),
        ("names_everyone(['AWS:1', NULL])", None),
        ("days_since(TIMESTAMP '2025-12-31 00:00:00')", 1),
        ("days_since(TIMESTAMP '2025-12-31 00:00:01')", 0),
        ("days_until(TIMESTAMP '2026-01-31 00:00:00')", 30),
        ("days_until(TIMESTAMP '2026-01-30 23:59:59')", 29),
    ],
)
def test_helpers_answer_yes_no_or_not_known(
    database: duckdb.DuckDBPyConnection, call: str, wanted: Any
) -> None:
    assert one(database, call) is wanted or one(database, call) == wanted


def test_what_expired_an_hour_ago_has_less_than_no_days_left(
    database: duckdb.DuckDBPyConnection,
) -> None:
    """Else `days_until(not_after) >= 0` passes a certificate that has expired today."""
    assert one(database, "days_until(TIMESTAMP '2025-12-31 23:00:00')") < 0


# ---------------------------------------------------------- policies: what opens to everyone


def statement_sql(
    *conditions: tuple[str, str, list[str]],
    effect: str = "Allow",
    principals: tuple[str, ...] = ("*",),
    not_principals: tuple[str, ...] = (),
) -> str:
    def texts(items: Any) -> str:
        return f"CAST([{', '.join(quoted(item) for item in items)}] AS VARCHAR[])"

    inner = ", ".join(
        f"{{'operator': {quoted(operator)}, 'key': {quoted(key)}, 'values': {texts(values)}}}"
        for operator, key, values in conditions
    )
    kind = "STRUCT(operator VARCHAR, key VARCHAR, values VARCHAR[])[]"
    return (
        f"{{'effect': {quoted(effect)}, 'principals': {texts(principals)},"
        f" 'not_principals': {texts(not_principals)}, 'actions': ['s3:getobject'],"
        f" 'resources': ['*'], 'conditions': CAST([{inner}] AS {kind})}}"
    )


ORGANISATION = ("stringequals", "aws:principalorgid", ["o-1"])


@pytest.mark.parametrize(
    "statement",
    [
        statement_sql(ORGANISATION),
        statement_sql(("arnlike", "aws:sourcearn", ["arn:aws:sns:us-east-1:111111111111:x"])),
        statement_sql(("ipaddress", "aws:sourceip", ["10.0.0.0/8"])),
        statement_sql(("foranyvalue:stringlike", "aws:principalorgpaths", ["o-1/r-1/ou-1/*"])),
        statement_sql(("stringlike", "aws:principalarn", ["arn:aws:iam::111111111111:role/*"])),
        statement_sql(("bool", "aws:securetransport", ["true"]), ORGANISATION),
        statement_sql(principals=("AWS:111111111111",)),
        statement_sql(effect="Deny"),
        statement_sql(effect="Deny", principals=(), not_principals=("AWS:111111111111",)),
    ],
)
def test_a_statement_for_named_principals_or_known_sources_is_not_public(
    database: duckdb.DuckDBPyConnection, statement: str
) -> None:
    assert one(database, f"is_public_statement({statement})") is False


@pytest.mark.parametrize(
    "statement",
    [
        statement_sql(),
        statement_sql(principals=("AWS:111111111111", "AWS:*")),
        statement_sql(("bool", "aws:securetransport", ["true"])),
        statement_sql(("stringnotequals", "aws:principalorgid", ["o-1"])),
        statement_sql(("arnnotlike", "aws:sourcearn", ["arn:aws:sns:*:*:x"])),
        statement_sql(("notipaddress", "aws:sourceip", ["10.0.0.0/8"])),
        statement_sql(("stringequalsifexists", "aws:principalorgid", ["o-1"])),
        statement_sql(("ipaddress", "aws:sourceip", ["10.0.0.0/8", "0.0.0.0/0"])),
        statement_sql(("stringlike", "aws:principalarn", ["*"])),
    ],
)
def test_a_statement_for_everyone_is_public_when_no_condition_names_who_is_meant(
    database: duckdb.DuckDBPyConnection, statement: str
) -> None:
    assert one(database, f"is_public_statement({statement})") is True


def test_allowing_everyone_but_somebody_is_allowing_everyone(
    database: duckdb.DuckDBPyConnection,
) -> None:
    """IAM User Guide: Allow with NotPrincipal grants all others, anonymous users too."""
    statement = statement_sql(principals=(), not_principals=("AWS:111111111111",))
    assert one(database, f"is_public_statement({statement})") is True


@pytest.mark.parametrize(
    "condition",
    [
        ("forallvalues:stringequals", "aws:principalorgid", ["o-1"]),  # true without the key
        ("foranyvalue:stringnotequals", "aws:principalorgid", ["o-1"]),
        ("forallvalues:stringnotlike", "aws:principalarn", ["arn:aws:iam::111111111111:*"]),
        ("null", "aws:principalorgid", ["false"]),  # any organisation at all
        ("stringlike", "aws:principalorgid", ["o-*"]),
        ("stringlike", "aws:principalarn", ["arn:aws:iam::*:role/admin"]),
        ("stringequals", "aws:resourceaccount", ["111111111111"]),  # always the owner's own
        ("stringequals", "aws:resourceorgid", ["o-1"]),
        ("stringequals", "aws:username", ["ann"]),  # any account may have an ann
        ("ipaddress", "aws:vpcsourceip", ["10.0.0.0/8"]),  # and a network like that
        ("stringequals", "kms:viaservice", ["s3.us-east-1.amazonaws.com"]),
    ],
)
def test_a_condition_that_outsiders_can_meet_does_not_narrow(
    database: duckdb.DuckDBPyConnection, condition: tuple[str, str, list[str]]
) -> None:
    assert one(database, f"is_public_statement({statement_sql(condition)})") is True


def test_a_statement_that_is_only_half_known_is_not_judged(
    database: duckdb.DuckDBPyConnection,
) -> None:
    unknown = statement_sql(("stringequals", "aws:principalorgid", ["o-1"])).replace(
        "'stringequals'", "CAST(NULL AS VARCHAR)"
    )
    assert one(database, f"is_public_statement({unknown})") is None


# --------------------------------------------------------------------- a locked database


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('{outside}/secret.csv')",
        "SELECT * FROM read_text('{outside}/secret.csv')",
        "SELECT * FROM '{outside}/secret.csv'",
        "SELECT * FROM glob('{outside}/*')",
        "COPY (SELECT 1) TO '{outside}/stolen.csv'",
        "COPY (SELECT 1) TO '{inside}/../outside/stolen.csv'",
        "ATTACH '{outside}/other.db'",
        "EXPORT DATABASE '{outside}/all'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SELECT * FROM read_csv('https://example.com/x.csv')",
        "SET threads = 1",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "SET allowed_directories = ['/']",
        "RESET enable_external_access",
        "PRAGMA memory_limit = '1GB'",
    ],
)
def test_a_locked_database_reads_and_writes_nothing_outside_its_folders(
    tmp_path: Path, sql: str
) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (outside / "secret.csv").write_text("a\nsecret\n")
    with open_database(STARTED) as opened:
        lock(opened, [inside])
        with pytest.raises(duckdb.Error):
            opened.execute(sql.format(inside=inside, outside=outside))
        with pytest.raises(duckdb.Error):
            opened.cursor().execute(sql.format(inside=inside, outside=outside))
    assert [path.name for path in outside.iterdir()] == ["secret.csv"]


def test_a_locked_database_still_writes_where_findings_go(tmp_path: Path) -> None:
    with open_database(STARTED) as opened:
        lock(opened, [tmp_path])
        opened.execute(f"COPY (SELECT 1 AS a) TO '{tmp_path}/x.parquet' (FORMAT parquet)")
        assert one(opened, f"count(*) FROM read_parquet('{tmp_path}/x.parquet')") == 1
