"""Answers of another form than is documented, for a provider of no name: what every engine shares.

What is wrong costs its own facet, with a gap, and nothing else.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pytest

from collectors.answers import Answer
from collectors.capturing import CaptureMaker
from collectors.fields import FacetSpec, TagsSpec
from collectors.forms import FormError
from collectors.place import Place, filled
from collectors.policies import policy_statements
from collectors.replaying import Inline, RowsOnly
from collectors.shape import look_up, plain, search
from collectors.spec import steps_named_in
from collectors.unit import UnitCollector
from evidence.capture import Exchange, parameters_text
from evidence.outcome import Outcome
from evidence.redaction import Redactor
from evidence.schema import TableSchema
from evidence.storable import storable
from evidence.tables import write_table
from evidence.typing_rows import RowValidator
from evidence.units import UnitKey, UnitRecord

HALF = "a\ud800b"
BEYOND = 10**30


@dataclass(frozen=True)
class Listing:
    """A call that lists."""

    operation: str = "list_things"
    service: str | None = None
    items: str = "things"
    then: Listing | None = None
    batch: int | None = None
    params: Mapping[str, str] = field(default_factory=dict)

    def parameters(self, scope: dict[str, Any]) -> dict[str, Any]:
        return dict(filled(dict(self.params), scope))


@dataclass(frozen=True)
class Step:
    """A call that enriches."""

    name: str
    pick: str | None = None
    when: str | None = None
    each: str | None = None
    region: str | None = None
    service: str | None = None
    params: Mapping[str, str] = field(default_factory=dict)

    @property
    def operation(self) -> str:
        return f"get_{self.name}"

    def parameters(self, scope: dict[str, Any]) -> dict[str, Any]:
        return dict(filled(dict(self.params), scope))

    def needs(self) -> set[str]:
        return steps_named_in([self.when or "", self.each or "", *self.params.values()])


@dataclass(frozen=True)
class Spec:
    """A resource type of no provider."""

    listing: Listing | None = field(default_factory=Listing)
    id: str = "thing/{key}"
    name: str | None = "label"
    region: str | None = "zone"
    enrich: tuple[Step, ...] = (Step("more"),)
    essential_member: str | None = None
    service: str = "things"
    handler: str | None = None
    tags: TagsSpec | None = field(default_factory=lambda: TagsSpec.model_validate({"path": "tags"}))
    facets: Mapping[str, FacetSpec] = field(
        default_factory=lambda: {
            name: FacetSpec.model_validate(facet) for name, facet in FACETS.items()
        }
    )

    def table_schema(self) -> TableSchema:
        facets = tuple(facet.schema_facet(name, ()) for name, facet in self.facets.items())
        return TableSchema("x_thing", "x", "region", facets)


FACETS: dict[str, Any] = {
    "state": {
        "size": {"type": "integer", "path": "state.size", "absent": 0},
        "text": {"type": "text", "path": "state.text", "absent": ""},
        "ratio": {"type": "number", "path": "state.ratio", "absent": 0.0},
        "when": {"type": "timestamp", "path": "state.when"},
        "parts": {"type": "list", "of": "text", "path": "state.parts[].name", "absent": []},
    },
    "counted": {
        "rules": {"type": "integer", "path": "length(keys(rules || `{}`))"},
        "policy": {"type": "policy", "path": "policy", "absent": []},
        "digits": {"type": "integer", "path": "digits", "decode": "integer", "absent": 0},
        "share": {"type": "number", "path": "share", "decode": "number", "absent": 0.0},
    },
    "more": {"from": "more", "on": {"type": "boolean", "path": "on", "absent": False}},
}

GOOD: dict[str, Any] = {
    "key": "one",
    "label": "One",
    "zone": "here",
    "tags": {"a": "1"},
    "state": {"size": 1, "text": "x", "ratio": 0.5, "parts": [{"name": "p"}]},
    "rules": {"r": 1},
}
OTHER: dict[str, Any] = {**GOOD, "key": "two", "label": "Two"}
MORE = {"on": True}


class Cloud:
    """Answers what it is told to."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self.answers, self.asked = answers, list[tuple[str, str, dict[str, Any]]]()

    def pages(
        self, call: Any, service: str, region: str, params: dict[str, Any]
    ) -> Iterator[Answer]:
        yield self.ask(call, service, region, params)

    def ask(self, call: Any, service: str, region: str, params: dict[str, Any]) -> Answer:
        self.asked.append((call.operation, region, params))
        answer = self.answers[call.operation]
        data = answer(params) if callable(answer) else answer
        return Answer(call.operation, Outcome.OK, data, lines=(f"capture-{call.operation}",))  # type: ignore[arg-type]


@dataclass
class Found:
    """What came of a unit."""

    record: UnitRecord
    rows: dict[str, dict[str, Any]]
    asked: list[tuple[str, str, dict[str, Any]]]

    @property
    def gaps(self) -> list[tuple[str, str, str]]:
        """Resource, facet and detail of each gap."""
        return [(gap.resource_id, gap.facet, gap.detail) for gap in self.record.gaps]


def collected(spec: Spec, things: Any, more: Any = MORE, **others: Any) -> Found:
    cloud = Cloud({"list_things": {"things": things}, "get_more": more, **others})
    key, file = UnitKey("x", "account", "here", "x_thing"), io.BytesIO()
    writer = Rows(key, file)
    place = Place("account", "p", "here", "here")
    record = UnitCollector(spec, place, cloud, Inline(), writer).collect()
    rows = [orjson.loads(line) for line in file.getvalue().splitlines()]
    return Found(record, {row["id"]: row for row in rows}, cloud.asked)


class Rows(RowsOnly):
    """Keeps rows; a capture is its own reference."""

    def __init__(self, key: UnitKey, file: io.BytesIO) -> None:
        super().__init__(key, 0, file)

    def keep_capture(self, line: Any) -> str:
        return str(line)


def at(path: str, new: Any) -> dict[str, Any]:
    """A good thing with another value at a path."""
    thing = json.loads(json.dumps(GOOD))
    *outer, last = path.split(".")
    holder = thing
    for member in outer:
        holder = holder[member]
    holder[last] = new
    return dict(thing)


def test_good_answers_give_whole_rows() -> None:
    found = collected(Spec(), [GOOD, OTHER])
    assert found.gaps == []
    assert list(found.rows) == ["thing/one", "thing/two"]
    row = found.rows["thing/one"]
    assert row["state"] == {
        "size": 1,
        "text": "x",
        "ratio": 0.5,
        "when": None,
        "parts": ["p"],
    }
    assert (row["tags"], row["name"], row["more"]) == ({"a": "1"}, "One", {"on": True})
    assert row["errors"] == {}


@pytest.mark.parametrize(
    ("path", "new", "facet"),
    [
        ("state.size", BEYOND, "state"),
        ("state.size", 2**63, "state"),
        ("state.size", 2**64, "state"),
        ("state.text", BEYOND, "state"),
        ("state.text", HALF, "state"),
        ("state.ratio", 10**400, "state"),
        ("state.ratio", math.inf, "state"),
        ("state.ratio", math.nan, "state"),
        ("state.when", "0001-01-01T00:00:00+14:00", "state"),
        ("state.parts", [{"name": HALF}], "state"),
        ("state.parts", "no list", "state"),
        ("state.parts", {"name": "p"}, "state"),
        ("state", "text", "state"),
        ("state", 7, "state"),
        ("state", [{"size": 1}], "state"),
        ("rules", "text", "counted"),
        ("rules", [1], "counted"),
        ("digits", "9" * 30, "counted"),
        ("digits", "9" * 5000, "counted"),
        ("share", "nan", "counted"),
        ("share", "1e999", "counted"),
        ("policy", [HALF], "counted"),
        ("tags", "text", "tags"),
        ("tags", 7, "tags"),
        ("tags", ["a"], "tags"),
        ("tags", {"a": HALF}, "tags"),
        ("tags", {HALF: "1"}, "tags"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_what_has_another_form_costs_its_facet_alone(path: str, new: Any, facet: str) -> None:
    found, usual = collected(Spec(), [at(path, new), OTHER]), collected(Spec(), [GOOD, OTHER])
    assert [gap[:2] for gap in found.gaps] == [("thing/one", facet)]
    assert found.gaps[0][2].startswith("bad_type: ")
    row, good = found.rows["thing/one"], usual.rows["thing/one"]
    assert row[facet] is None
    assert row["errors"] == {facet: found.gaps[0][2]}
    assert {**row, facet: 0, "errors": 0} == {**good, facet: 0, "errors": 0}
    assert found.rows["thing/two"] == usual.rows["thing/two"]
    gap = found.record.gaps[0]
    assert gap.captures == tuple(row["captures"][facet]) == ("capture-list_things",)
    assert found.record.listed is Outcome.OK


def test_what_is_not_there_is_still_absent() -> None:
    bare = collected(Spec(), [{"key": "one"}]).rows["thing/one"]
    assert bare["state"] == {"size": 0, "text": "", "ratio": 0.0, "when": None, "parts": []}
    assert bare["tags"] == {}
    nulls = dict.fromkeys(("state", "tags", "rules", "policy", "label", "zone"))
    found = collected(Spec(), [{"key": "one", **nulls}])
    assert (found.rows["thing/one"], found.gaps) == (bare, [])


@pytest.mark.parametrize("new", [None, "none", 7, [], "LEFT OUT"])
def test_without_its_essential_member_an_answer_tells_nothing(new: Any) -> None:
    spec = Spec(essential_member="state")
    thing = at("state", new)
    if new == "LEFT OUT":
        del thing["state"]
    found = collected(spec, [thing, OTHER])
    assert found.gaps == [("thing/one", "state", "bad_type: the answer holds no `state`")]
    row = found.rows["thing/one"]
    assert row["state"] is None
    assert row["counted"]["rules"] == 1
    assert found.rows["thing/two"]["state"]["size"] == 1


@pytest.mark.parametrize("new", [None, ["x"], {"a": 1}, True, 1.5, HALF, ""])
def test_what_names_nothing_is_no_id(new: Any) -> None:
    found = collected(Spec(), [at("key", new), OTHER])
    assert list(found.rows) == ["thing/two"]
    assert [gap[2] for gap in found.gaps] == ["the answer holds no id"]


@pytest.mark.parametrize("template", ["$lower(key)", "$key", "thing/{key}/{state.text}"])
def test_an_id_that_cannot_be_made_is_none(template: str) -> None:
    found = collected(Spec(id=template), [{"key": ["x"]}, OTHER])
    assert len(found.rows) == 1
    assert [gap[2] for gap in found.gaps] == ["the answer holds no id"]


@pytest.mark.parametrize("new", [["x"], {"a": 1}, True, HALF])
def test_a_name_or_region_that_is_no_text_is_that_of_the_id_or_the_unit(new: Any) -> None:
    named = collected(Spec(), [at("label", new)]).rows["thing/one"]
    assert (named["name"], named["region"]) == ("thing/one", "here")
    placed = collected(Spec(region="lower(zone)"), [at("zone", new)]).rows["thing/one"]
    assert (placed["name"], placed["region"]) == ("One", "here")


@pytest.mark.parametrize(
    ("step", "why"),
    [
        (Step("more", when="length(key) > `0` && length(size) > `0`"), "a path does not fit"),
        (Step("more", each="state"), "there is no list to ask for"),
        (Step("more", each="size.parts[]"), "a path does not fit"),
        (Step("more", params={"key": "$lower(size)"}), "a path does not fit"),
        (Step("more", region="size"), "a path does not fit"),
        (Step("more", each="[key]", params={"key": "$lower(size)"}), "a path does not fit"),
    ],
    ids=["when", "each", "each of", "parameters", "region", "parameters of each"],
)
def test_a_call_that_cannot_be_decided_on_is_not_made_and_not_observed(
    step: Step, why: str
) -> None:
    found = collected(Spec(enrich=(step,)), [{**GOOD, "size": 7}])
    assert [operation for operation, _, _ in found.asked] == ["list_things"]
    assert [gap[:2] for gap in found.gaps] == [("thing/one", "more")]
    assert found.gaps[0][2].startswith(f"not asked: {why}")
    row = found.rows["thing/one"]
    assert row["more"] is None
    assert row["state"]["size"] == 1


@pytest.mark.parametrize("pick", ["lower(inner)", "inner.on"])
def test_an_answer_whose_part_cannot_be_picked_is_kept_and_not_observed(pick: str) -> None:
    found = collected(Spec(enrich=(Step("more", pick=pick),)), [GOOD], more={"inner": ["x"]})
    gap = found.record.gaps[0]
    assert (gap.facet, gap.reason) == ("more", "error")
    assert gap.captures == ("capture-get_more",)
    assert found.rows["thing/one"]["more"] is None
    assert found.record.calls["get_more"] == 1


@pytest.mark.parametrize("things", ["text", 7, {"a": 1}, True])
def test_what_is_no_list_is_never_a_list_of_nothing(things: Any) -> None:
    found = collected(Spec(), things)
    assert (found.rows, found.record.listed) == ({}, Outcome.ERROR)
    assert [(gap.detail, gap.captures) for gap in found.record.gaps] == [
        ("the answer holds no list of them", ("capture-list_things",))
    ]


def test_a_list_that_was_left_out_is_one_of_nothing() -> None:
    found = collected(Spec(), None)
    assert (found.rows, found.record.listed, found.gaps) == ({}, Outcome.OK, [])


def test_a_nested_listing_loses_only_what_it_cannot_ask_for() -> None:
    inner = Listing("list_parts", items="parts", params={"of": "$lower(key)"})
    spec = Spec(listing=Listing(then=inner), enrich=(), facets={"state": Spec().facets["state"]})

    def parts(params: dict[str, Any]) -> Any:
        return {"parts": [{"key": f"part-{params['of']}"}]}

    found = collected(spec, [{"key": 7}, {"key": "Two"}], list_parts=parts)
    assert list(found.rows) == ["thing/part-two"]
    assert found.record.listed is Outcome.ERROR
    assert "does not fit" in found.record.gaps[0].detail


def test_rows_of_any_answer_make_a_table(tmp_path: Path) -> None:
    spec = Spec()
    found = collected(spec, [at("state.size", BEYOND), {**OTHER, "tags": {"a": HALF}}])
    file = tmp_path / "rows.jsonl"
    file.write_bytes(b"\n".join(orjson.dumps(row) for row in found.rows.values()))
    assert write_table(spec.table_schema(), [file], tmp_path / "t.parquet") == 2
    table = duckdb.sql(f"SELECT state, tags, counted.rules FROM '{tmp_path}/t.parquet' ORDER BY id")
    assert table is not None
    (state, tags, rules), (_, other_tags, _) = table.fetchall()
    assert (state, tags, rules, other_tags) == (None, {"a": "1"}, 1, None)


# What evidence cannot hold


@pytest.mark.parametrize(
    ("value", "held"),
    [
        (2**64 - 1, 2**64 - 1),
        (-(2**63), -(2**63)),
        (2**64, 2.0**64),
        (-BEYOND, -1e30),
        (10**400, "Infinity"),
        (-(10**400), "-Infinity"),
        (math.nan, "NaN"),
        (-math.inf, "-Infinity"),
        (True, True),
        (None, None),
        (0.5, 0.5),
        (HALF, "a?b"),
        ("\U0001f512 \u00e9", "\U0001f512 \u00e9"),
        ({HALF: [HALF, {"x": BEYOND}]}, {"a?b": ["a?b", {"x": 1e30}]}),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_what_evidence_cannot_hold_is_made_into_what_it_can(value: Any, held: Any) -> None:
    for made in (storable(value), plain(value)):
        assert (made, type(made)) == (held, type(held))
        assert orjson.loads(orjson.dumps(made)) == held


def test_an_answer_of_an_sdk_is_kept_although_it_holds_half_a_character_and_a_secret() -> None:
    answer = plain({"Text": HALF, "Password": "hunter2-and-more", "Inner": json.dumps({"k": HALF})})
    body = json.dumps(answer).encode()
    exchange = Exchange("op", {"n": BEYOND, "t": HALF}, "r", "u", 1, "", 200, "", "", body)
    exchange = replace(exchange, error_detail=HALF)
    maker = CaptureMaker("x", "account", Redactor(b"k" * 32, {}))
    page = maker.page("things", [exchange], answer, "op")
    capture = orjson.loads(page.lines[0])
    assert "hunter2" not in page.lines[0].decode()
    assert json.loads(capture["body"])["Text"] == "a?b"
    assert capture["error_detail"] == "a?b"
    assert json.loads(capture["parameters"]) == {"n": str(BEYOND), "t": "a?b"}


def test_a_text_that_is_json_with_half_a_character_and_a_secret_is_kept() -> None:
    text = json.dumps({"password": "hunter2-and-more", "k": HALF})
    redacted, found = Redactor(b"k" * 32, {}).redact_text(text)
    assert found
    orjson.dumps(redacted)


def test_parameters_stay_as_they_are_where_they_can() -> None:
    assert parameters_text({"a": 2**53 - 1, "b": True, "c": [None, "x"]}) == (
        '{"a":9007199254740991,"b":true,"c":[null,"x"]}'
    )
    assert parameters_text({"a": 2**53}) == '{"a":"9007199254740992"}'


def test_a_policy_of_half_characters_can_be_written() -> None:
    policy = '{"Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "a\\ud800b"}]}'
    assert policy_statements(policy)[0]["resources"] == ["a?b"]


@pytest.mark.parametrize(
    ("kind", "value"), [("number", math.inf), ("number", math.nan), ("text", HALF)]
)
def test_strict_typing_refuses_what_no_file_holds(kind: str, value: Any) -> None:
    facet = FacetSpec.model_validate({"x": {"type": kind, "path": "x"}}).schema_facet("f", ())
    row = {"id": "i", "errors": {}, "f": {"x": value}}
    refused = RowValidator(TableSchema("t", "x", "region", (facet,))).clean(row)
    assert (row["f"], len(refused)) == (None, 1)


# Paths


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("a.b", {"a": "text"}),
        ("a.b", ["x"]),
        ("a.b.c", {"a": {"b": 7}}),
        ("a[].b", {"a": {"b": 1}}),
        ("a[?b].c", {"a": "text"}),
        ("a.b[0].c", {"a": {"b": {"c": 1}}}),
        ("a.b[?c == 'x'].d | [0]", {"a": {"b": 7}}),
        ("[].b", {"b": 1}),
        ("contains(a, `7`)", {"a": "text"}),
        ("length(a)", {}),
        ("lower(a)", {"a": 7}),
    ],
)
def test_a_path_that_cannot_be_read_says_so(path: str, value: Any) -> None:
    with pytest.raises(FormError):
        look_up(path, value)


@pytest.mark.parametrize(
    "value", [None, {}, {"a": None}, {"a": {}}, {"a": {"b": None}}, {"a": {"b": []}}]
)
@pytest.mark.parametrize("path", ["a.b[0].c", "a.b[?c == 'x'].d | [0]", "a.x", "a.x.y[*].z"])
def test_what_is_not_there_is_nothing(path: str, value: Any) -> None:
    assert look_up(path, value) is None


def test_alternatives_may_be_of_another_form() -> None:
    assert look_up("a.b || c", {"a": "text"}) is None
    assert search("lower(a)", {"a": None}) is None
    assert search("after_last(a, '/')", {}) is None
