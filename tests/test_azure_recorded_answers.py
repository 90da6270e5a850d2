"""Answers that have another form than the documented one: nothing raises, nothing is guessed."""

from __future__ import annotations

import copy
import dataclasses
import json
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import jmespath
import pytest
from azure_small_estate import SECRET, context_in, snapshot_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support_azure_answers import (
    FAKE,
    SUBSCRIPTION,
    TYPES,
    Collected,
    collected,
    facets_of,
    replayed,
)

from auditpack.collecting import collect_snapshot
from auditpack.config import AzureTenantConfig
from auditpack.demo.azure.server import FakeAzure
from collectors.fields import FacetSpec
from collectors.rows import sources_needing
from controls.catalogue import load_catalogue
from controls.evaluate import evaluate
from evidence.typing_rows import RowValidator

NAMES = sorted(TYPES)
STORAGE, NSG, LOCK = (
    "azure_storage_account",
    "azure_network_security_group",
    "azure_management_lock",
)

HALF = "a\ud800b"
STRANGE: list[Any] = [
    None,
    "",
    "text",
    HALF,
    "\u202e<b>'\"\\\x00 \U0001f512",
    7,
    -1,
    10**30,
    2**63,
    1.5,
    True,
    [],
    {},
    ["x"],
    [None],
    {"a": 1},
    [{"a": None}],
    "0001-01-01T00:00:00Z",
    "2024-05-01T10:00:00.1234567Z",
    "2024-05-01T10:00:00",
    "0001-01-01T00:00:00+14:00",
]
"""What may stand where something else is expected."""


# Changes: each takes a place in an answer, drawn as a number, and changes what is there.

Place = tuple[Any, Any]
"""A list or an object, and the index or the name in it."""


def places(value: Any) -> Iterator[Place]:
    """Every place in an answer, the outer ones first."""
    members = value.items() if isinstance(value, dict) else enumerate(value)
    for name, item in list(members):
        yield value, name
        if isinstance(item, dict | list):
            yield from places(item)


def another_case(_holder: Any, _name: Any, value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


def as_text(_holder: Any, _name: Any, value: Any) -> Any:
    return json.dumps(value) if not isinstance(value, str) else value


def as_number(_holder: Any, _name: Any, value: Any) -> Any:
    return len(value) if isinstance(value, str | list | dict) else value


def as_object(_holder: Any, _name: Any, value: Any) -> Any:
    whole = copy.deepcopy(value)
    return {str(n): item for n, item in enumerate(whole)} if isinstance(whole, list) else [whole]


def with_unknown(_holder: Any, _name: Any, value: Any) -> Any:
    if isinstance(value, dict):
        return {**value, "somethingNew": {"value": [{"id": 7}]}, "": None}
    return value


def left_out(holder: Any, name: Any, value: Any) -> Any:
    if isinstance(holder, dict):
        del holder[name]
    return None


def twice(holder: Any, name: Any, value: Any) -> Any:
    if isinstance(holder, list):
        holder.append(copy.deepcopy(value))
    return value


def of_another_subscription(_holder: Any, _name: Any, value: Any) -> Any:
    text = json.dumps(value)
    return json.loads(re.sub(rf"(?i){SUBSCRIPTION}", "ffffffff-0000-4000-8000-00000000000f", text))


CHANGES: list[Callable[[Any, Any, Any], Any]] = [
    another_case,
    as_text,
    as_number,
    as_object,
    with_unknown,
    left_out,
    twice,
    of_another_subscription,
    *(lambda _holder, _name, _value, new=new: copy.deepcopy(new) for new in STRANGE),
]

one_change = st.tuples(st.integers(0, 5), st.integers(0, 10_000), st.sampled_from(CHANGES))


def changed_by(changes: list[tuple[int, int, Any]]) -> Callable[[str, int, Any], Any]:
    """Each of `changes` is made to one answer (the sixth stands for all) at one of its places."""

    def change(_operation: str, number: int, data: Any) -> Any:
        for which, where, how in changes:
            found = list(places(data)) if isinstance(data, dict | list) else []
            if found and which in (number % 5, 5):
                holder, name = found[where % len(found)]
                new = how(holder, name, holder[name])
                if how is not left_out:
                    holder[name] = new
        return data

    return change


@settings(
    max_examples=400,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(st.sampled_from(NAMES), st.lists(one_change, min_size=1, max_size=4))
def test_whatever_is_answered(name: str, changes: list[tuple[int, int, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = collected(name, Path(folder), changed_by(changes))
        assert_honest(name, found)
        again = replayed(name, Path(folder), found.units[0])
        assert json.dumps(again) == json.dumps(found.rows), "the captures give other rows"


def assert_honest(name: str, found: Collected) -> None:
    """Check that rows are typed, and that what is not known is said to be so, with a gap."""
    validator = RowValidator(TYPES[name].table_schema())
    gaps = {(gap.resource_id, part) for gap in found.gaps for part in gap.facet.split(",")}
    for row_id, row in found.rows.items():
        assert row_id, "a row without an id"
        assert validator.clean(dict(row)) == []
        assert all(isinstance(row[part], str) for part in ("region", "name", "account"))
        missing = {part for part, value in facets_of(name, row).items() if value is None}
        assert missing <= set(row["errors"]), "a facet is NULL and nothing says why"
        assert {(row_id, part) for part in row["errors"]} <= gaps
    for unit in found.units:
        assert unit.listed.observed or unit.gaps


# What single changes come to


def sources_with_properties(facet: FacetSpec) -> tuple[str, ...]:
    return sources_needing("properties", facet)


@pytest.fixture
def usual(tmp_path: Path) -> Callable[[str], Collected]:
    """What the estate answers as it is."""

    def collect(name: str) -> Collected:
        found = collected(name, tmp_path / "usual" / name)
        assert found.gaps == []
        assert found.rows
        return found

    return collect


def deeply(value: Any, change: Callable[[Any], Any]) -> Any:
    """`change` every member of an answer, the inner ones first."""
    if isinstance(value, dict):
        return change({key: deeply(item, change) for key, item in value.items()})
    if isinstance(value, list):
        return [deeply(item, change) for item in value]
    return change(value)


@pytest.mark.parametrize("name", NAMES)
def test_unknown_members_at_any_depth_change_nothing(
    name: str, usual: Callable[[str], Collected], tmp_path: Path
) -> None:
    new = {"aNewMember": {"id": 7, "properties": None}, "another": [None, [1.5]]}

    def change(_operation: str, _number: int, data: Any) -> Any:
        # The keys of these two maps are data themselves.
        maps = ("tags", "userAssignedIdentities", "parameters")
        return deeply(
            data,
            lambda item: (
                {**item, **new, **{m: _less(item[m], new) for m in maps if m in item}}
                if isinstance(item, dict)
                else item
            ),
        )

    found = collected(name, tmp_path, change)
    before = usual(name)
    assert found.gaps == []
    assert found.rows == before.rows


def _less(value: Any, new: dict[str, Any]) -> Any:
    return {k: v for k, v in value.items() if k not in new} if isinstance(value, dict) else value


@pytest.mark.parametrize("how", ["missing", "null", "text"])
@pytest.mark.parametrize("name", NAMES)
def test_without_properties_nothing_of_them_is_known(
    name: str, how: str, usual: Callable[[str], Collected], tmp_path: Path
) -> None:
    """Azure's "there is none" is a member left out of `properties`, not `properties` left out."""
    other = {"missing": {}, "null": {"properties": None}, "text": {"properties": "none"}}[how]

    def change(_operation: str, _number: int, data: Any) -> Any:
        def without(item: Any) -> Any:
            if isinstance(item, dict) and "id" in item and "properties" in item:
                rest = {key: value for key, value in item.items() if key != "properties"}
                return {**rest, **other}
            return item

        return deeply(data, without)

    found = collected(name, tmp_path, change)
    before = usual(name)
    assert_honest(name, found)
    facets = TYPES[name].facets
    listed = next((facet for facet, spec in facets.items() if spec.sources == ("list",)), "")
    for row_id, row in found.rows.items():
        cited = row["captures"]
        for facet, spec in facets.items():
            was_made = "list" in spec.sources or cited[facet] != cited[listed]
            if sources_with_properties(spec) and was_made:
                assert (facet, row[facet]) == (facet, None)
        assert row["tags"] == before.rows[row_id]["tags"]


def test_the_facets_that_read_properties_are_known() -> None:
    facets = {f"{n}.{f}": s for n, spec in TYPES.items() for f, s in spec.facets.items()}
    reading = {name for name, spec in facets.items() if sources_with_properties(spec)}
    assert {f"{STORAGE}.transport", f"{STORAGE}.blob_protection", f"{NSG}.rules"} <= reading
    assert not {name for name in reading if name.startswith("entra_user")}
    assert sources_with_properties(facets["azure_key_vault_key.vault"]) == ()
    assert sources_with_properties(facets["azure_eventhub_namespace.network"]) == (
        "list",
        "network_rules",
    )


def at(path: str, new: Any) -> Callable[[str, int, Any], Any]:
    """Put `new` into every resource that is answered, at a path of members."""

    def change(_operation: str, _number: int, data: Any) -> Any:
        for item in data.get("data") or data.get("value") or [data]:
            place = item
            *outer, last = path.split(".")
            for member in outer:
                place[member] = place.get(member) or {}
                place = place[member]
            place[last] = new
        return data

    return change


@pytest.mark.parametrize("new", [7, "yes", [True], {"a": 1}, 10**30, HALF])
def test_a_bad_leaf_is_a_gap_of_its_facet_alone(
    new: Any, usual: Callable[[str], Collected], tmp_path: Path
) -> None:
    wanted = next(iter(usual(STORAGE).rows))

    def change(_operation: str, _number: int, data: Any) -> Any:
        for item in data.get("data", [data]):
            if item.get("id", "").lower() == wanted:
                item["properties"]["supportsHttpsTrafficOnly"] = new
        return data

    found, before = collected(STORAGE, tmp_path, change), usual(STORAGE)
    assert [(gap.resource_id, gap.facet) for gap in found.gaps] == [(wanted, "transport")]
    assert found.gaps[0].detail.startswith("bad_type: ")
    assert found.gaps[0].captures
    row = found.rows.pop(wanted)
    usual_row = before.rows.pop(wanted)
    assert row["transport"] is None
    assert row["errors"]["transport"].startswith("bad_type: ")
    assert {**facets_of(STORAGE, row), "transport": 0} == {
        **facets_of(STORAGE, usual_row),
        "transport": 0,
    }
    assert found.rows == before.rows


@pytest.mark.parametrize(
    ("name", "path", "facet"),
    [
        ("azure_role_assignment", "properties.roleDefinitionId", "assignment"),
        ("azure_web_app", "identity.userAssignedIdentities", "managed_identity"),
        ("azure_lb", "properties.probes", "configuration"),
    ],
)
def test_a_path_that_does_not_fit_is_a_gap_of_its_facet_alone(
    name: str, path: str, facet: str, usual: Callable[[str], Collected], tmp_path: Path
) -> None:
    if facet not in TYPES[name].facets:
        facet = next(f for f, s in TYPES[name].facets.items() if path in str(s))
    found, before = collected(name, tmp_path, at(path, 7)), usual(name)
    assert set(found.rows) == set(before.rows)
    assert {gap.facet for gap in found.gaps} == {facet}
    assert {gap.detail for gap in found.gaps} == {"bad_type: a path does not fit the answer's form"}
    for row_id, row in found.rows.items():
        for other in set(TYPES[name].facets) - {facet}:
            assert row[other] == before.rows[row_id][other]


@pytest.mark.parametrize("new", [None, 7, ["x"], {}, "", "LEFT OUT"])
@pytest.mark.parametrize("name", [STORAGE, LOCK, "entra_group"])
def test_a_resource_without_an_id_is_a_gap_and_the_others_stay(
    name: str, new: Any, usual: Callable[[str], Collected], tmp_path: Path
) -> None:
    lost = next(iter(usual(name).rows))

    def change(_operation: str, _number: int, data: Any) -> Any:
        for item in data.get("data") or data.get("value") or []:
            if str(item.get("id")).lower() == lost:
                item["id"] = new
                if new == "LEFT OUT":
                    del item["id"]
        return data

    found, before = collected(name, tmp_path, change), usual(name)
    assert {"the answer holds no id"} == {gap.detail for gap in found.gaps}
    before.rows.pop(lost)
    assert set(found.rows) == set(before.rows)
    for row_id, row in found.rows.items():
        assert facets_of(name, row) == facets_of(name, before.rows[row_id])


def test_a_row_that_names_neither_subscription_nor_id_is_nobodys_and_not_lost(
    usual: Callable[[str], Collected], tmp_path: Path
) -> None:
    def change(_operation: str, _number: int, data: Any) -> Any:
        if "data" in data:
            data["data"] += [{"name": "whose"}, None]
        return data

    found = collected(STORAGE, tmp_path, change)
    assert set(found.rows) == set(usual(STORAGE).rows)
    assert [gap.detail for gap in found.gaps] == ["the answer holds no id"] * 2


def test_an_answer_without_its_id_is_of_the_resource_that_was_asked_for(
    usual: Callable[[str], Collected], tmp_path: Path
) -> None:
    def change(operation: str, _number: int, data: Any) -> Any:
        if operation == "GET {id}":
            data.pop("id")
        return data

    assert collected(STORAGE, tmp_path, change).rows == usual(STORAGE).rows


@pytest.mark.parametrize(
    "new", ["LEFT OUT", None, 7, "text", {"a": 1}], ids=["left out", "null", "7", "text", "object"]
)
@pytest.mark.parametrize("name", [LOCK, STORAGE, "azure_backup_policy", "entra_group"])
def test_what_is_no_list_is_never_a_list_of_nothing(name: str, new: Any, tmp_path: Path) -> None:
    listed = ("data", "value")

    def change(_operation: str, _number: int, data: Any) -> Any:
        for member in listed:
            if member in data:
                data[member] = new
                if new == "LEFT OUT":
                    del data[member]
        return data

    found = collected(name, tmp_path, change)
    assert found.rows == {}
    assert {unit.listed.value for unit in found.units} == {"error"}


@pytest.mark.parametrize(("link", "whole"), [("", True), (None, True), (7, False), ({}, True)])
@pytest.mark.parametrize("name", [LOCK, "entra_group"])
def test_the_address_of_the_next_page(name: str, link: Any, whole: bool, tmp_path: Path) -> None:
    member = "@odata.nextLink" if name.startswith("entra") else "nextLink"

    def change(_operation: str, _number: int, data: Any) -> Any:
        return {**data, member: link} if "value" in data else data

    found = collected(name, tmp_path, change)
    assert found.rows
    assert [unit.listed.observed for unit in found.units] == [whole]
    if not whole:
        assert [gap.detail for gap in found.gaps] == ["the address of the next page is none"]


def test_the_same_row_twice_is_one_and_another_of_the_same_id_is_a_gap(
    usual: Callable[[str], Collected], tmp_path: Path
) -> None:
    def again(_operation: str, _number: int, data: Any) -> Any:
        return {**data, "value": [*data["value"], data["value"][0]]}

    def otherwise(_operation: str, _number: int, data: Any) -> Any:
        other = json.loads(json.dumps(data["value"][0]))
        other["properties"]["level"] = "ReadOnly"
        other["id"] = other["id"].upper()
        return {**data, "value": [*data["value"], other]}

    assert collected(LOCK, tmp_path / "again", again).rows == usual(LOCK).rows
    found = collected(LOCK, tmp_path / "otherwise", otherwise)
    assert found.rows == usual(LOCK).rows
    assert [gap.detail for gap in found.gaps] == ["listed twice, differently"]


def test_rows_of_a_subscription_that_was_not_asked_are_not_taken(
    usual: Callable[[str], Collected], tmp_path: Path
) -> None:
    other = "ffffffff-0000-4000-8000-00000000000f"

    def change(_operation: str, _number: int, data: Any) -> Any:
        if "data" not in data:
            return data
        first = json.loads(re.sub(rf"(?i){SUBSCRIPTION}", other, json.dumps(data["data"][0])))
        return {**data, "data": [first, *data["data"]]}

    found = collected(STORAGE, tmp_path, change)
    assert found.rows == usual(STORAGE).rows
    assert found.gaps == []


@pytest.mark.parametrize(
    ("tags", "kept"),
    [
        (None, {}),
        ({}, {}),
        (
            {"A b/c\u00e9\U0001f512": "\u202e'\"", "": None},
            {"A b/c\u00e9\U0001f512": "\u202e'\"", "": ""},
        ),
        ({"hidden-link:/app": 7, "half": HALF}, {"hidden-link:/app": "7", "half": "a?b"}),
        ("text", None),
        (7, None),
        (["x"], None),
    ],
)
def test_tags(tags: Any, kept: Any, tmp_path: Path) -> None:
    def change(_operation: str, _number: int, data: Any) -> Any:
        for item in data.get("data", [data]):
            item["tags"] = tags
        return data

    found = collected(STORAGE, tmp_path, change)
    assert_honest(STORAGE, found)
    assert [row["tags"] for row in found.rows.values()] == [kept] * len(found.rows)
    refused = {gap.facet for gap in found.gaps}
    assert refused == (set() if kept is not None else {"tags"})


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("2024-05-01T10:00:00.1234567Z", "2024-05-01T10:00:00.123456"),
        ("2024-05-01T10:00:00", "2024-05-01T10:00:00"),
        ("2024-05-01T10:00:00+02:00", "2024-05-01T08:00:00"),
        ("2024-05-01", "2024-05-01T00:00:00"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00"),
        ("0001-01-01T00:00:00+14:00", None),
        ("yesterday", None),
        (1714557600, None),
    ],
)
def test_times(said: Any, kept: str | None, tmp_path: Path) -> None:
    def change(_operation: str, _number: int, data: Any) -> Any:
        for item in data.get("data", [data]):
            if "creationTime" in item.get("properties", {}):
                item["properties"]["creationTime"] = said
        return data

    found = collected(STORAGE, tmp_path, change)
    assert_honest(STORAGE, found)
    identities = [row["identity"] for row in found.rows.values()]
    assert {identity and identity["created"] for identity in identities} == {kept}
    assert all(row["transport"] for row in found.rows.values())


# Texts in another case: what is compared is still found, and what joins by an id still joins


def _texts_up(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


def _ids_up(value: Any) -> Any:
    is_id = isinstance(value, str) and re.match(r"(?i)/(subscriptions|providers)/", value)
    return value.upper() if is_id else value


@pytest.mark.parametrize("name", NAMES)
def test_texts_in_another_case_give_the_same_facets(
    name: str, usual: Callable[[str], Collected], tmp_path: Path
) -> None:
    found = collected(name, tmp_path, lambda _operation, _number, data: deeply(data, _texts_up))
    assert found.gaps == []
    assert _low(found.rows) == _low(usual(name).rows)


@pytest.mark.parametrize("name", NAMES)
def test_no_comparison_rests_on_the_case_of_a_text(name: str) -> None:
    """Also those that the estate has nothing for: a storage account of files, a database's plan."""
    spec = TYPES[name].model_dump(mode="json", exclude={"redact"})
    for text in _texts_at(spec, {"path", "when", "each", "pick", "items", "name", "region"}):
        for left, right in _compared(jmespath.compile(text).parsed):
            for literal, other in ((left, right), (right, left)):
                if literal["type"] == "literal" and isinstance(literal["value"], str):
                    is_same = not literal["value"] or other.get("value") in ("lower", "type")
                    assert is_same, text
                    assert literal["value"] == literal["value"].lower(), text
    for text in _texts_at(spec, {"where", "extend"}):
        assert not re.search(r"[=!]= *'", text), f"{text}: =~ and !~ take any case"


def _texts_at(value: Any, names: set[str]) -> Iterator[str]:
    for holder, name in places(value):
        if name in names and isinstance(holder[name], str):
            yield holder[name]


def _compared(node: Any) -> Iterator[tuple[Any, Any]]:
    if node["type"] == "comparator":
        yield node["children"]
    for child in node["children"]:
        yield from _compared(child)


def _low(rows: dict[str, dict[str, Any]]) -> Any:
    return json.loads(json.dumps(rows).lower())


@pytest.mark.slow
@pytest.mark.parametrize("up", [_ids_up, _texts_up])
def test_texts_in_another_case_judge_alike(
    up: Callable[[Any], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All facts and checks: attached groups, flow logs, locks, diagnostic settings, roles."""
    monkeypatch.setenv("AZURE_CLIENT_ID", "11111111-1111-4111-8111-111111111111")
    monkeypatch.setenv("AZURE_CLIENT_SECRET", SECRET)
    whole = load_catalogue()
    checks = {n: c for n, c in whole.checks.items() if c.resource in TYPES}
    catalogue = dataclasses.replace(whole, checks=checks)

    def judged(folder: Path, fake: FakeAzure) -> dict[tuple[str, ...], str]:
        context = context_in(
            folder,
            fake,
            tenants=(AzureTenantConfig(id=fake.tenant_id),),
            types=tuple(TYPES),
            requests_per_second=5000,
        )
        snapshot = snapshot_of(context, collect_snapshot(context))
        assert snapshot.gaps == ()
        file = evaluate(snapshot, catalogue, snapshot.schemas, folder / "judged").path
        found = duckdb.sql(f"SELECT check_id, account, lower(resource_id), status FROM '{file}'")
        return {row[:3]: row[3] for row in found.fetchall()}

    with FakeAzure() as fake:
        usual = judged(tmp_path / "usual", fake)
    with FakeAzure() as fake:
        for document in fake.estate.documents.values():
            document.body.update(deeply(document.body, up))
            if document.body.get("type"):
                document.body["type"] = document.body["type"].upper()
        assert judged(tmp_path / "other", fake) == usual
    assert {"pass", "fail"} <= set(usual.values())


# Errors of every form, through a whole unit


@pytest.mark.parametrize(
    ("status", "body", "reason", "detail"),
    [
        (403, {"error": {"code": "A", "message": "b"}}, "denied", "A: b (needs {needs})"),
        (403, {"code": "A", "message": "b"}, "denied", "A: b (needs {needs})"),
        (403, b"", "denied", "HTTP 403: the answer is empty (needs {needs})"),
        (
            403,
            b"<html><head><title>Forbidden</title></head></html>",
            "denied",
            "HTTP 403: a web page: Forbidden (needs {needs})",
        ),
        (404, {"odata.error": {"code": "A", "message": {"value": "b"}}}, "error", "A: b"),
        (404, b"", "error", "HTTP 404: the answer is empty"),
        (409, {"error": "Something is in the way"}, "error", "HTTP 409: Something is in the way"),
        (409, b"", "error", "HTTP 409: the answer is empty"),
        (500, b"<h1>Oh</h1>", "error", "HTTP 500: a web page: Oh"),
        (500, b"", "error", "HTTP 500: the answer is empty"),
        (200, b"", "error", "InvalidAnswer: the answer is empty"),
        (
            409,
            {
                "error": {
                    "code": "MissingSubscriptionRegistration",
                    "message": "The subscription is not registered to use namespace"
                    " 'Microsoft.Authorization'.",
                }
            },
            "not_enabled",
            "MissingSubscriptionRegistration: The subscription is not registered to use namespace"
            " 'Microsoft.Authorization'. (needs the resource provider Microsoft.Authorization,"
            " which is not registered)",
        ),
        (
            404,
            {"code": "ResourceProviderNotRegistered", "message": "Register it."},
            "not_enabled",
            "ResourceProviderNotRegistered: Register it. (needs the resource provider"
            " Microsoft.Authorization, which is not registered)",
        ),
        (
            400,
            {"error": {"code": "SubscriptionNotRegistered", "message": ""}},
            "not_enabled",
            "SubscriptionNotRegistered (needs the resource provider Microsoft.Authorization,"
            " which is not registered)",
        ),
    ],
)
def test_a_gap_names_code_message_and_what_is_missing(
    status: int, body: Any, reason: str, detail: str, tmp_path: Path
) -> None:
    found = collected(LOCK, tmp_path, lambda *_: (status, body))
    needs = "Microsoft.Authorization/locks/read"
    assert [(gap.reason, gap.detail) for gap in found.gaps] == [
        (reason, detail.format(needs=needs))
    ]
    assert found.gaps[0].captures
    assert {method for method, _ in found.asked} == {"GET"}, "nothing is registered"


@pytest.mark.parametrize(
    ("status", "code", "message", "reason", "needs"),
    [
        (
            403,
            "Authentication_RequestFromNonPremiumTenantOrB2CTenant",
            "Neither tenant is B2C or tenant doesn't have premium license",
            "not_enabled",
            "a licence that the tenant has not: Microsoft Entra ID P1 or P2",
        ),
        (
            403,
            "Forbidden",
            "Your tenant is not licensed for this feature.",
            "not_enabled",
            "a licence that the tenant has not: Microsoft Entra ID P1 or P2",
        ),
        (
            403,
            "Authorization_RequestDenied",
            "Insufficient privileges to complete the operation.",
            "denied",
            "AuditLog.Read.All",
        ),
        (
            403,
            "Authentication_MSGraphPermissionMissing",
            "Calling principal does not have required MSGraph permissions",
            "denied",
            "AuditLog.Read.All",
        ),
        (401, "InvalidAuthenticationToken", "", "denied", "AuditLog.Read.All"),
    ],
)
def test_what_microsoft_graph_misses_is_named(
    status: int, code: str, message: str, reason: str, needs: str, tmp_path: Path
) -> None:
    body = {"error": {"code": code, "message": message, "innerError": {"date": "x"}}}
    found = collected("entra_user_registration", tmp_path, lambda *_: (status, body))
    assert [gap.reason for gap in found.gaps] == [reason]
    assert found.gaps[0].detail.startswith(code)
    assert needs in found.gaps[0].detail


def test_nothing_was_asked_that_could_change_anything() -> None:
    assert FAKE.writes == []
