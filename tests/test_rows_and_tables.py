"""Rows and tables: a wrong type is never half believed, and a table holds what the row said."""

from __future__ import annotations

import datetime
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence.errors import StoreError
from evidence.schema import Facet, Field, TableSchema
from evidence.tables import schemas_as_json, schemas_from_json, write_table
from evidence.typing_rows import RowValidator

THING = TableSchema(
    "aws_thing",
    "aws",
    "region",
    (
        Facet(
            "setting",
            (
                Field("name", "text", absent="NONE", about="what it is called"),
                Field("on", "boolean", absent=False),
                Field("days", "integer"),
                Field("ratio", "number"),
                Field("made", "timestamp"),
                Field("labels", "tags", absent={}),
                Field("words", "list", of="text", absent=[]),
                Field("moments", "list", of="timestamp"),
                Field(
                    "rules",
                    "list",
                    fields=(Field("port", "integer"), Field("peers", "list", of="text")),
                    absent=[],
                ),
            ),
            ("get_thing",),
            "its setting",
        ),
        Facet("policy", (Field("statements", "policy", absent=[]),), ("get_thing_policy",)),
        Facet("class", (Field("global", "text"), Field("order", "text"))),
    ),
    "Thing",
    "AWS::Thing",
    "thing",
)

STATEMENT = {
    "sid": "Public",
    "effect": "Allow",
    "principals": ["*"],
    "not_principals": [],
    "actions": ["s3:getobject"],
    "not_actions": [],
    "resources": ["arn:aws:s3:::b/*"],
    "not_resources": [],
    "conditions": [{"operator": "bool", "key": "aws:securetransport", "values": ["false"]}],
}


def row(number: int = 1, **facets: Any) -> dict[str, Any]:
    return {
        "provider": "aws",
        "account": "111111111111",
        "region": "us-east-1",
        "id": f"thing-{number:05}",
        "name": f"thing {number}",
        "tags": {"Owner": "data"},
        "errors": {},
        "captures": {"setting": ["aws/1/us-east-1/aws_thing#1"]},
        "setting": {"days": 5},
        "policy": {"statements": [STATEMENT]},
        **facets,
    }


def table_of(folder: Path, rows: Iterable[dict[str, Any]], schema: TableSchema = THING) -> Path:
    """Write `rows` as the collectors do, and make the table from them."""
    lines, target = folder / "rows.jsonl", folder / "tables" / "t.parquet"
    lines.write_bytes(b"".join(orjson.dumps(value) + b"\n" for value in rows))
    write_table(schema, [lines], target)
    return target


def select(table: Path, columns: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as database:
        return database.execute(f"SELECT {columns} FROM read_parquet('{table}')").fetchall()


# ------------------------------------------------------------------------------ strict typing

TRAPS = {
    "text for integer": ({"days": "5"}, "$.days"),
    "fraction for integer": ({"days": 1.7}, "$.days"),
    "true for integer": ({"days": True}, "$.days"),
    "integer too large for a column": ({"days": 2**63}, "$.days"),
    "1 for boolean": ({"on": 1}, "$.on"),
    "0 for boolean": ({"on": 0}, "$.on"),
    "text for boolean": ({"on": "true"}, "$.on"),
    "object for text": ({"name": {"a": 1}}, "$.name"),
    "list for text": ({"name": ["a"]}, "$.name"),
    "integer for text": ({"name": 5}, "$.name"),
    "boolean for text": ({"name": False}, "$.name"),
    "text for number": ({"ratio": "0.5"}, "$.ratio"),
    "true for number": ({"ratio": True}, "$.ratio"),
    "a day for a time": ({"made": "2026-03-01"}, "$.made"),
    "words for a time": ({"made": "yesterday"}, "$.made"),
    "seconds for a time": ({"made": 1772323200}, "$.made"),
    "list of pairs for a map": ({"labels": [{"Key": "a", "Value": "b"}]}, "$.labels"),
    "integer in a map of text": ({"labels": {"a": 1}}, "$.labels"),
    "one text for a list": ({"words": "a"}, "$.words"),
    "integer in a list of text": ({"words": ["a", "b", 3]}, "$.words[2]"),
    "null in a list of text": ({"words": ["a", None]}, "$.words[1]"),
    "object for a list": ({"rules": {"port": 22}}, "$.rules"),
    "text for integer, deep": ({"rules": [{"port": 22}, {"port": "22"}]}, "$.rules[1].port"),
    "integer for text, deeper": ({"rules": [{"peers": ["a", 4]}]}, "$.rules[0].peers[1]"),
    "a field that nobody declared": ({"dais": 5}, "dais"),
    "such a field, deep": ({"rules": [{"prot": 22}]}, "$.rules[0]"),
    "text for a facet": ("{}", "object"),
    "list for a facet": ([{"days": 5}], "object"),
}
"""Values that DuckDB's own casts let pass, or half pass (NOTES-EVALUATING, section 3)."""


@pytest.mark.parametrize("trap", TRAPS)
def test_one_bad_leaf_makes_its_facet_null_and_names_the_path(trap: str, tmp_path: Path) -> None:
    value, path = TRAPS[trap]
    bad = row(setting=value)
    (refused,) = RowValidator(THING).clean(bad)
    assert (refused.resource_id, refused.facet) == ("thing-00001", "setting")
    assert path in refused.detail
    assert bad["errors"] == {"setting": refused.detail}
    assert bad["policy"] == {"statements": [STATEMENT]}, "the other facets stay"
    columns = "setting IS NULL, policy.statements[1].effect, errors['setting'], id"
    assert select(table_of(tmp_path, [bad]), columns) == [
        (True, "Allow", refused.detail, "thing-00001")
    ]


@pytest.mark.parametrize(
    "statement",
    [
        "Allow everything",
        {**STATEMENT, "actions": "s3:*"},
        {**STATEMENT, "effect": None, "Effect": "Allow"},
        {**STATEMENT, "conditions": {"Bool": {"aws:SecureTransport": "false"}}},
    ],
    ids=["text", "one action as text", "an unknown element", "conditions as they are written"],
)
def test_a_policy_that_is_not_uniform_is_refused(statement: Any) -> None:
    bad = row(policy={"statements": [STATEMENT, statement]})
    (refused,) = RowValidator(THING).clean(bad)
    assert refused.facet == "policy"
    assert "$.statements[1]" in refused.detail
    assert bad["policy"] is None
    assert bad["setting"] == {"days": 5}


def test_every_bad_facet_is_reported_not_only_the_first() -> None:
    bad = row(setting={"days": "5"}, policy={"statements": "*"})
    assert [item.facet for item in RowValidator(THING).clean(bad)] == ["setting", "policy"]
    assert (bad["setting"], bad["policy"]) == (None, None)


def test_what_was_not_observed_or_has_no_value_is_not_a_wrong_type() -> None:
    good = row(setting={"name": None, "days": None, "rules": [{}]}, policy=None)
    assert RowValidator(THING).clean(good) == []
    assert good["errors"] == {}


RIGHT = {
    "text": st.text(st.characters(exclude_categories=["Cs"])),
    "boolean": st.booleans(),
    "integer": st.integers(-(2**63), 2**63 - 1),
    "number": st.floats(allow_nan=False, allow_infinity=False),
    "timestamp": st.datetimes().map(datetime.datetime.isoformat),
}


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_value_is_taken_exactly_when_it_has_the_declared_type(data: st.DataObject) -> None:
    declared = data.draw(st.sampled_from(sorted(RIGHT)))
    given_type = data.draw(st.sampled_from(sorted(RIGHT)))
    schema = TableSchema("aws_x", "aws", "global", (Facet("f", (Field("v", declared),)),))
    value = data.draw(RIGHT[given_type])
    candidate = {"id": "x", "errors": {}, "f": {"v": value}}
    refused = RowValidator(schema).clean(candidate)
    allowed = {(declared, declared), ("number", "integer"), ("text", "timestamp")}
    if (declared, given_type) == ("timestamp", "text"):
        return  # a text may happen to be a time
    assert (refused == []) is ((declared, given_type) in allowed)
    assert (candidate["f"] is None) is bool(refused)


# ------------------------------------------------------------------------------------- tables


def test_a_table_holds_every_value_with_its_type(tmp_path: Path) -> None:
    setting = {
        "name": 'it\'s "quoted",\n \u00e9 \U0001f600 \x00',
        "on": True,
        "days": 2**63 - 1,
        "ratio": 5,
        "made": "2026-03-01T06:00:00.123456",
        "labels": {"Owner": "a'b", "": "", "\u00e9": "\n"},
        "words": ["null", "5", "", "2026-03-01"],
        "moments": ["2026-03-01T00:00:00", "2026-03-01T00:00:00.5"],
        "rules": [{"port": 22, "peers": ["a"]}, {"port": None, "peers": []}],
    }
    full = row(setting=setting, **{"class": {"global": "g", "order": "o"}})
    assert RowValidator(THING).clean(full) == []
    ((found, policy, keywords),) = select(table_of(tmp_path, [full]), 'setting, policy, "class"')
    assert found == {
        **setting,
        "ratio": 5.0,
        "made": datetime.datetime(2026, 3, 1, 6, 0, 0, 123456),
        "moments": [
            datetime.datetime(2026, 3, 1),
            datetime.datetime(2026, 3, 1, 0, 0, 0, 500000),
        ],
    }
    assert policy == {"statements": [STATEMENT]}
    assert keywords == {"global": "g", "order": "o"}


def test_columns_have_the_types_that_the_schema_declares(tmp_path: Path) -> None:
    table = table_of(tmp_path, [row()])
    with duckdb.connect() as database:
        found = database.execute(f"DESCRIBE FROM read_parquet('{table}')").fetchall()
    kinds = {name: kind for name, kind, *_ in found}
    assert list(kinds) == list(THING.columns())
    assert kinds["tags"] == kinds["errors"] == "MAP(VARCHAR, VARCHAR)"
    assert kinds["captures"] == "MAP(VARCHAR, VARCHAR[])"
    assert (
        kinds["setting"]
        .replace('"', "")
        .startswith(
            "STRUCT(name VARCHAR, on BOOLEAN, days BIGINT, ratio DOUBLE, made TIMESTAMP,"
            " labels MAP(VARCHAR, VARCHAR), words VARCHAR[], moments TIMESTAMP[],"
            " rules STRUCT(port BIGINT, peers VARCHAR[])[]"
        )
    )
    assert "conditions STRUCT(" in kinds["policy"]


def test_identity_and_bookkeeping_columns_come_as_written(tmp_path: Path) -> None:
    value = row(tags=None, setting=None, errors={"setting": "denied: get_thing AccessDenied"})
    columns = "tags, setting, errors, captures, policy IS NOT NULL"
    assert select(table_of(tmp_path, [value]), columns) == [
        (
            None,
            None,
            {"setting": "denied: get_thing AccessDenied"},
            {"setting": ["aws/1/us-east-1/aws_thing#1"]},
            True,
        )
    ]


def test_times_of_every_precision_are_read_alike_in_one_column(tmp_path: Path) -> None:
    forms = {
        "2026-03-01T06:00:00": 0,
        "2026-03-01T06:00:00.000001": 1,
        "2026-03-01T06:00:00.5": 500_000,
        "2026-03-01 06:00:00": 0,
    }
    rows = [row(number, setting={"made": form}) for number, form in enumerate(forms)]
    validator = RowValidator(THING)
    assert [validator.clean(value) for value in rows] == [[]] * len(rows)
    moment = datetime.datetime(2026, 3, 1, 6)
    expected = [(moment + datetime.timedelta(microseconds=extra),) for extra in forms.values()]
    assert select(table_of(tmp_path, rows), "setting.made") == expected


@pytest.mark.parametrize("form", ["2026-03-01T06:00:00Z", "2026-03-01T08:00:00+02:00"])
def test_a_time_with_a_zone_is_the_same_moment_or_refused(tmp_path: Path, form: str) -> None:
    """Tables hold UTC without a zone; DuckDB's own cast would drop the offset."""
    value = row(setting={"made": form})
    refused = RowValidator(THING).clean(value)
    moment = None if refused else datetime.datetime(2026, 3, 1, 6)
    assert select(table_of(tmp_path, [value]), "setting.made") == [(moment,)]


def test_the_same_rows_give_the_same_bytes_in_whatever_order_they_came(tmp_path: Path) -> None:
    rows = [
        {**row(number), "account": str(number % 3), "region": ("eu", "us")[number % 2]}
        for number in range(3000)
    ]
    contents = set()
    for seed in range(3):
        random.Random(seed).shuffle(rows)
        contents.add(table_of(tmp_path, rows).read_bytes())
    assert len(contents) == 1
    keys = select(tmp_path / "tables" / "t.parquet", "account, region, id")
    assert keys == sorted(keys)
    assert len(keys) == 3000


def test_rows_of_several_units_make_one_table(tmp_path: Path) -> None:
    files = []
    for number in (2, 1, 3):
        files.append(tmp_path / f"unit's rows {number}.jsonl")
        files[-1].write_bytes(orjson.dumps(row(number)) + b"\n" if number != 3 else b"")
    target = tmp_path / "the table's.parquet"
    assert write_table(THING, files, target) == 2
    with duckdb.connect() as database:
        found = database.execute("SELECT id FROM read_parquet(?)", [str(target)]).fetchall()
    assert found == [("thing-00001",), ("thing-00002",)]


def test_a_type_of_which_there_is_none_has_an_empty_table_with_all_columns(tmp_path: Path) -> None:
    (tmp_path / "none.jsonl").write_bytes(b"")
    for name, files in (("nothing", []), ("empty", [tmp_path / "none.jsonl"])):
        target = tmp_path / f"{name}.parquet"
        assert write_table(THING, files, target) == 0
        assert select(target, "setting.days, policy.statements[1].effect, tags['Owner']") == []


@pytest.mark.parametrize("line", [b"{not json\n", b'{"setting": {"days": "many"}}\n'])
def test_rows_that_are_no_rows_stop_the_table_with_its_name(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "rows.jsonl").write_bytes(line)
    with pytest.raises(StoreError, match="aws_thing could not be written") as caught:
        write_table(THING, [tmp_path / "rows.jsonl"], tmp_path / "t.parquet")
    assert "t.parquet" in caught.value.where


def test_schemas_are_the_same_after_a_round_through_json() -> None:
    other = TableSchema("aws_other", "aws", "global", (Facet("f", (Field("x", "number"),)),))
    data = schemas_as_json([THING, other])
    assert schemas_from_json(data) == {"aws_thing": THING, "aws_other": other}
    assert schemas_as_json([other, THING]) == data
