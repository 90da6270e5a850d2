"""From what a cloud answered to typed facets: policies, tags, times, and what is not guessed."""

from __future__ import annotations

import datetime
import json
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from collectors.fields import FacetSpec, FieldSpec, TagsSpec, check_facet_names
from collectors.policies import PolicyFormatError, policy_statements
from collectors.shape import absent_facet, observed_facet, plain, search, tags_of
from evidence.schema import POLICY_STATEMENT, TableSchema
from evidence.typing_rows import RowValidator


def facet_of(**fields: Any) -> FacetSpec:
    return FacetSpec.model_validate({"from": "get_it", **fields})


def shaped(field: dict[str, Any], value: Any) -> Any:
    """The field's value in the facet of the answer `{"V": value}`."""
    return observed_facet(facet_of(v={"path": "V", **field}), {"V": value})["v"]


def accepted(field: dict[str, Any], value: Any) -> bool:
    """Whether strict typing lets the facet of the answer `{"V": value}` through."""
    facet = facet_of(v={"path": "V", **field})
    schema = TableSchema("aws_x", "aws", "region", (facet.schema_facet("f", ("get_it",)),))
    row = {"id": "x", "errors": {}, "f": observed_facet(facet, {"V": value})}
    refused = RowValidator(schema).clean(row)
    assert (row["f"] is None) == bool(refused)
    return not refused


# ------------------------------------------------------------------------------------ policies

STATEMENT = {
    "Sid": "One",
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::111111111111:root"},
    "Action": "s3:GetObject",
    "Resource": "arn:aws:s3:::b/*",
}
DOCUMENT = {"Version": "2012-10-17", "Statement": [STATEMENT]}


def statement(**changes: Any) -> dict[str, Any]:
    """The row of a statement, with parts replaced (None takes one away)."""
    merged = {k: v for k, v in {**STATEMENT, **changes}.items() if v is not None}
    (found,) = policy_statements({"Statement": merged})
    return found


def test_a_statement_becomes_a_row_with_every_list_explicit() -> None:
    assert policy_statements(DOCUMENT) == [
        {
            "sid": "One",
            "effect": "Allow",
            "principals": ["AWS:arn:aws:iam::111111111111:root"],
            "not_principals": [],
            "actions": ["s3:getobject"],
            "not_actions": [],
            "resources": ["arn:aws:s3:::b/*"],
            "not_resources": [],
            "conditions": [],
        }
    ]


@pytest.mark.parametrize(
    "document",
    [
        json.dumps(DOCUMENT),
        json.dumps(DOCUMENT, indent=4),
        "\n  " + json.dumps(DOCUMENT),
        quote(json.dumps(DOCUMENT)),
        quote(json.dumps(DOCUMENT), safe=""),
        {**DOCUMENT, "Statement": STATEMENT},
    ],
)
def test_a_document_may_be_json_text_url_encoded_or_parsed(document: Any) -> None:
    assert policy_statements(document) == policy_statements(DOCUMENT)


def test_a_plus_or_percent_inside_plain_json_stays_as_it_is() -> None:
    name = "arn:aws:s3:::a+b%20c/*"
    document = json.dumps({"Statement": [{**STATEMENT, "Resource": name}]})
    assert policy_statements(document)[0]["resources"] == [name]
    assert policy_statements(quote(document))[0]["resources"] == [name]


@pytest.mark.parametrize(
    ("principal", "names"),
    [
        ("*", ["*"]),
        ({"AWS": "*"}, ["AWS:*"]),
        ({"AWS": ["111111111111", "arn:x"]}, ["AWS:111111111111", "AWS:arn:x"]),
        ({"Service": "sns.amazonaws.com"}, ["Service:sns.amazonaws.com"]),
        (
            {"Federated": "cognito", "CanonicalUser": ["a", "b"]},
            ["Federated:cognito", "CanonicalUser:a", "CanonicalUser:b"],
        ),
        ("111111111111", ["AWS:111111111111"]),
        (["*", "arn:x"], ["*", "AWS:arn:x"]),
        (None, []),
    ],
)
def test_principals_are_named_with_their_kind(principal: Any, names: list[str]) -> None:
    assert statement(Principal=principal)["principals"] == names
    turned = statement(Principal=None, NotPrincipal=principal)
    assert (turned["principals"], turned["not_principals"]) == ([], names)


def test_what_is_excepted_is_kept_apart_from_what_is_named() -> None:
    found = statement(
        Action=None, NotAction=["IAM:*", "sts:*"], Resource=None, NotResource="arn:aws:s3:::b"
    )
    assert found["actions"] == []
    assert found["not_actions"] == ["iam:*", "sts:*"]
    assert found["resources"] == []
    assert found["not_resources"] == ["arn:aws:s3:::b"]


def test_actions_are_lower_case_and_resources_as_written() -> None:
    found = statement(Action=["S3:Get*", "KMS:Decrypt"], Resource="arn:aws:s3:::Bucket/Key")
    assert found["actions"] == ["s3:get*", "kms:decrypt"]
    assert found["resources"] == ["arn:aws:s3:::Bucket/Key"]


def test_each_condition_key_becomes_an_element_with_its_values_as_text() -> None:
    found = statement(
        Condition={
            "Bool": {"aws:SecureTransport": False, "aws:MultiFactorAuthPresent": "true"},
            "NumericLessThan": {"s3:max-keys": [10, 2.5]},
            "ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": ["o-1/*"]},
        }
    )
    assert found["conditions"] == [
        {"operator": "bool", "key": "aws:securetransport", "values": ["false"]},
        {"operator": "bool", "key": "aws:multifactorauthpresent", "values": ["true"]},
        {"operator": "numericlessthan", "key": "s3:max-keys", "values": ["10", "2.5"]},
        {
            "operator": "foranyvalue:stringlike",
            "key": "aws:principalorgpaths",
            "values": ["o-1/*"],
        },
    ]


MALFORMED = [
    "",
    "not json",
    "{",
    "[]",
    '"text"',
    "null",
    "%7B%7B",
    42,
    [],
    True,
    {"Statement": "text"},
    {"Statement": [None]},
    {"Statement": [[STATEMENT]]},
    {"Statement": [{**STATEMENT, "Action": {"a": 1}}]},
    {"Statement": [{**STATEMENT, "Action": [["s3:*"]]}]},
    {"Statement": [{**STATEMENT, "Action": [None]}]},
    {"Statement": [{**STATEMENT, "Principal": {"AWS": {"a": "b"}}}]},
    {"Statement": [{**STATEMENT, "Condition": "x"}]},
    {"Statement": [{**STATEMENT, "Condition": {"Bool": "x"}}]},
    {"Statement": [{**STATEMENT, "Condition": {"Bool": {"k": {"a": 1}}}}]},
    {"Statement": [{**STATEMENT, "Effect": ["Allow"]}]},
    '{"a":' * 100_000,
    '{"Version": ' + "1" * 5000 + "}",
]


@pytest.mark.parametrize("document", MALFORMED, ids=lambda value: repr(value)[:40])
def test_what_is_not_a_policy_is_refused(document: Any) -> None:
    with pytest.raises(PolicyFormatError):
        policy_statements(document)


@pytest.mark.parametrize(
    "document", [item for item in MALFORMED if item != ""], ids=lambda value: repr(value)[:40]
)
def test_a_malformed_policy_costs_its_facet_and_is_no_crash(document: Any) -> None:
    policy = {"type": "policy", "absent": []}
    assert not accepted(policy, document)
    assert accepted(policy, DOCUMENT)


@pytest.mark.parametrize("nothing", [None, "", {}])
def test_no_policy_at_all_is_absent(nothing: Any) -> None:
    assert shaped({"type": "policy", "absent": []}, nothing) == []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*STATEMENT, "NotAction", "Condition", "AWS", "Bool", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
_STATEMENT_TYPE = msgspec.defstruct(
    "Statement",
    [(field.name, str if field.type == "text" else list) for field in POLICY_STATEMENT],
    forbid_unknown_fields=True,
)


@settings(max_examples=150, deadline=None)
@given(value=json_values)
def test_any_json_is_either_typed_statements_or_refused(value: Any) -> None:
    for document in (value, {"Statement": value}, json.dumps(value)):
        try:
            rows = policy_statements(document)
        except PolicyFormatError:
            continue
        assert msgspec.convert(rows, list[_STATEMENT_TYPE], strict=True) is not None
        assert accepted({"type": "policy"}, document or None)


# ---------------------------------------------------------------------------------------- tags


@pytest.mark.parametrize(
    "tags",
    [
        [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}],
        [{"key": "a", "value": "1"}, {"key": "b", "value": ""}],
        [{"TagKey": "a", "TagValue": "1"}, {"TagKey": "b", "TagValue": ""}],
        [{"tagKey": "a", "tagValue": "1"}, {"tagKey": "b", "tagValue": ""}],
        [{"Key": "a", "Value": "1", "PropagateAtLaunch": True}, {"Key": "b"}],
        [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": None}],
        {"a": "1", "b": ""},
        {"a": "1", "b": None},
    ],
)
def test_tags_in_every_form_that_clouds_use_become_a_map(tags: Any) -> None:
    assert tags_of(tags) == {"a": "1", "b": ""}
    assert accepted({"type": "tags"}, tags)


def test_no_tags_are_an_empty_map() -> None:
    assert tags_of([]) == tags_of({}) == {}


@pytest.mark.parametrize("value", ["a=1", 7, ["a", "b"], [["a", "1"]], [{"Name": "a"}]])
def test_what_are_no_tags_is_left_for_strict_typing_to_refuse(value: Any) -> None:
    assert tags_of(value) == value
    assert not accepted({"type": "tags"}, value)


# --------------------------------------------------------------------------------------- times


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05"),
        ("2026-01-02T03:04:05+00:00", "2026-01-02T03:04:05"),
        ("2026-01-02T03:04:05+02:00", "2026-01-02T01:04:05"),
        ("2026-01-02T03:04:05-05:30", "2026-01-02T08:34:05"),
        ("2026-01-02T03:04:05.250Z", "2026-01-02T03:04:05.250000"),
        ("2026-01-02 03:04:05", "2026-01-02T03:04:05"),
        ("2026-01-02", "2026-01-02T00:00:00"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00"),
    ],
)
def test_times_are_stored_as_utc_whatever_their_zone(value: str, stored: str) -> None:
    assert shaped({"type": "timestamp"}, value) == stored
    assert accepted({"type": "timestamp"}, value)


def test_times_of_the_sdk_keep_their_moment() -> None:
    east = datetime.timezone(datetime.timedelta(hours=2))
    moment = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=east)
    assert plain({"At": [moment]}) == {"At": ["2026-01-02T01:04:05"]}


@pytest.mark.parametrize(
    "value", ["yesterday", "N/A", "no_information", "2026-13-01", True, [], {}]
)
def test_what_is_no_time_is_left_for_strict_typing_to_refuse(value: Any) -> None:
    assert shaped({"type": "timestamp"}, value) == value
    assert not accepted({"type": "timestamp"}, value)


@pytest.mark.parametrize(
    ("decode", "value"),
    [
        ("epoch", 1_767_323_045_000_000),  # microseconds, where seconds were announced
        ("epoch", -1e300),
        ("epoch_ms", 10**30),
        (None, "9999-12-31T23:59:59-01:00"),
        ("timestamp", "0001-01-01T00:00:00+14:00"),
    ],
)
def test_a_time_beyond_the_calendar_is_left_as_it_is_and_is_no_crash(
    decode: str | None, value: Any
) -> None:
    field = {"type": "timestamp", "decode": decode}
    assert shaped(field, value) == value
    assert isinstance(value, str) or not accepted(field, value)


# -------------------------------------------------------------------------------------- decode


@pytest.mark.parametrize(
    ("kind", "decode", "value", "stored"),
    [
        ("boolean", "boolean", "true", True),
        ("boolean", "boolean", "False", False),
        ("boolean", "boolean", True, True),
        ("integer", "integer", "42", 42),
        ("integer", "integer", "-7", -7),
        ("integer", "integer", 42, 42),
        ("number", "number", "1.5", 1.5),
        ("number", "number", "3", 3.0),
        ("number", "seconds", "7776000s", 7_776_000.0),
        ("number", "seconds", "3.5s", 3.5),
        ("number", "seconds", "1440m", 86_400.0),
        ("number", "seconds", "24h", 86_400.0),
        ("number", "seconds", "7d", 604_800.0),
        ("text", "lower", "AES256", "aes256"),
        ("timestamp", "timestamp", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05"),
        ("timestamp", "epoch", 1_767_323_045, "2026-01-02T03:04:05"),
        ("timestamp", "epoch", 1_767_323_045.5, "2026-01-02T03:04:05.500000"),
        ("timestamp", "epoch_ms", 1_767_323_045_250, "2026-01-02T03:04:05.250000"),
        ("timestamp", "epoch", 0, "1970-01-01T00:00:00"),
        ("number", None, 3, 3.0),
    ],
)
def test_text_is_decoded_into_what_it_stands_for(
    kind: str, decode: str | None, value: Any, stored: Any
) -> None:
    found = shaped({"type": kind, "decode": decode}, value)
    assert found == stored
    assert type(found) is type(stored)
    assert accepted({"type": kind, "decode": decode}, value)


@pytest.mark.parametrize(
    ("kind", "decode", "value"),
    [
        ("boolean", "boolean", "yes"),
        ("boolean", "boolean", 1),
        ("integer", "integer", "many"),
        ("integer", "integer", "1.5"),
        ("integer", "integer", 1.5),
        ("integer", "integer", True),
        ("number", "number", "x"),
        ("number", "seconds", "yearly"),
        ("number", "seconds", "1h30m"),
        ("timestamp", "epoch", "soon"),
        ("timestamp", "epoch", True),
        ("text", "lower", 7),
        ("text", None, 7),
        ("text", None, {"a": "b"}),
        ("text", None, ["a"]),
        ("boolean", None, "true"),
        ("boolean", None, 1),
        ("integer", None, "5"),
        ("integer", None, True),
        ("integer", None, 2**63),
        ("number", None, "5"),
        ("number", None, True),
    ],
)
def test_a_value_of_the_wrong_type_is_not_guessed_at_and_costs_its_facet(
    kind: str, decode: str | None, value: Any
) -> None:
    field = {"type": kind, "decode": decode}
    assert shaped(field, value) == value
    assert not accepted(field, value)


# -------------------------------------------------------------------------------------- facets


def test_an_absent_value_stands_for_there_is_none_and_only_for_that() -> None:
    facet = facet_of(
        algorithm={"type": "text", "path": "Rule.Algorithm", "absent": "NONE"},
        enabled={"type": "boolean", "path": "Enabled", "absent": True},
        days={"type": "integer", "path": "Days"},
    )
    assert absent_facet(facet) == {"algorithm": "NONE", "enabled": True, "days": None}
    assert observed_facet(facet, {}) == absent_facet(facet)
    seen = observed_facet(facet, {"Rule": {"Algorithm": ""}, "Enabled": False, "Days": 0})
    assert seen == {"algorithm": "", "enabled": False, "days": 0}


def test_lists_of_texts_and_of_structs_are_shaped_element_by_element() -> None:
    facet = facet_of(
        names={"type": "list", "of": "text", "path": "Names[].Name", "absent": []},
        sizes={"type": "list", "of": "integer", "path": "Sizes", "decode": "integer"},
        rules={
            "type": "list",
            "path": "Rules",
            "fields": {
                "port": {"type": "integer", "path": "FromPort"},
                "peers": {"type": "list", "of": "text", "path": "Ranges[].Cidr", "absent": []},
            },
        },
    )
    answer = {
        "Names": [{"Name": "a"}, {"Other": "b"}],
        "Sizes": ["1", "2"],
        "Rules": [{"FromPort": 22, "Ranges": [{"Cidr": "::/0"}]}, {}],
    }
    assert observed_facet(facet, answer) == {
        "names": ["a"],
        "sizes": [1, 2],
        "rules": [{"port": 22, "peers": ["::/0"]}, {"port": None, "peers": []}],
    }


@pytest.mark.parametrize("value", ["a", {"a": 1}, [1], ["a", None], [["a"]]])
def test_a_list_of_something_else_costs_its_facet(value: Any) -> None:
    assert not accepted({"type": "list", "of": "text"}, value)


@pytest.mark.parametrize("value", ["a", {"Port": 1}, ["a"], [{"Port": "22"}], [None], [[]]])
def test_a_list_of_wrong_structs_is_never_half_believed(value: Any) -> None:
    """Else an element of another form would count as one that has nothing."""
    fields = {"port": {"type": "integer", "path": "Port", "absent": 0}}
    field = {"type": "list", "fields": fields}
    assert accepted(field, [{"Port": 22}, {}])
    assert not accepted(field, value)


def test_an_answer_of_the_sdk_becomes_plain_json() -> None:
    answer = {
        "ResponseMetadata": {"RequestId": "r"},
        "Blob": b"\x00\xff",
        "Nested": [{"At": datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)}],
        "Pair": (1, "a"),
        "None": None,
    }
    found = plain(answer)
    assert found == {
        "Blob": "AP8=",
        "Nested": [{"At": "2026-01-02T00:00:00"}],
        "Pair": [1, "a"],
        "None": None,
    }
    assert json.loads(json.dumps(found)) == found


def test_paths_are_jmespath() -> None:
    assert search("Items[?On].Name", {"Items": [{"On": True, "Name": "a"}, {"Name": "b"}]}) == ["a"]
    assert search("Nothing.Here", {}) is None


# --------------------------------------------------------------------------- what YAML declares


def test_the_schema_of_a_facet_says_what_its_yaml_says() -> None:
    facet = facet_of(
        about="what is kept",
        days={"type": "integer", "path": "Days", "absent": 0, "about": "how long"},
        rules={"type": "list", "path": "R", "fields": {"port": {"type": "integer"}}},
    )
    schema = facet.schema_facet("retention", ("get_it",))
    assert schema.about == "what is kept"
    assert schema.operations == ("get_it",)
    assert [(field.name, field.absent, field.about) for field in schema.fields] == [
        ("days", 0, "how long"),
        ("rules", None, ""),
    ]
    assert schema.sql_type == 'STRUCT("days" BIGINT, "rules" STRUCT("port" BIGINT)[])'


def test_a_facet_comes_from_the_listing_unless_it_says_otherwise() -> None:
    field = {"days": {"type": "integer"}}
    assert FacetSpec.model_validate(field).sources == ("list",)
    assert FacetSpec.model_validate({"from": "get_it", **field}).sources == ("get_it",)
    assert FacetSpec.model_validate({"from": ["a", "b"], **field}).sources == ("a", "b")


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ({"type": "words"}, "Input should be 'text'"),
        ({"type": "text", "path": "a[", "about": ""}, "not a JMESPath expression"),
        ({"type": "list"}, "either `of` (a scalar type) or `fields`"),
        ({"type": "list", "of": "text", "fields": {"a": {"type": "text"}}}, "either `of`"),
        ({"type": "text", "of": "text"}, "only a list has"),
        ({"type": "text", "abset": ""}, "Extra inputs"),
        ({"type": "text", "decode": "upper"}, "Input should be 'boolean'"),
        ({"type": "list", "fields": {"Port": {"type": "integer"}}}, "'Port' is not a name"),
    ],
)
def test_a_field_that_cannot_work_is_refused(field: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        FieldSpec.model_validate(field)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("facet", "said"),
    [
        ({"from": "get_it"}, "a facet has at least one field"),
        ({"Days": {"type": "integer"}}, "'Days' is not a name"),
        ({"days'; --": {"type": "integer"}}, "is not a name"),
    ],
)
def test_a_facet_that_cannot_be_a_column_is_refused(facet: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        FacetSpec.model_validate(facet)
    assert said in str(caught.value)


@pytest.mark.parametrize("name", ["account", "tags", "errors", "captures", "fact", "param", "id"])
def test_a_facet_cannot_take_the_name_of_another_column(name: str) -> None:
    with pytest.raises(ValueError, match=f"'{name}' is the name of an identity column"):
        check_facet_names({name: facet_of(days={"type": "integer"})})
    assert check_facet_names({"days": facet_of(days={"type": "integer"})})


def test_tags_come_from_the_listing_unless_another_call_is_named() -> None:
    assert TagsSpec.model_validate({"path": "Tags"}).source == "list"
    assert TagsSpec.model_validate({"from": "get_tags", "path": "TagSet"}).source == "get_tags"
    with pytest.raises(ValidationError, match="not a JMESPath expression"):
        TagsSpec.model_validate({"path": "Tags["})
