"""The Google Cloud part of the catalogue: complete against its sources, and true to real assets."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from collectors.gcp.catalogue import load_resource_types, redactor_for
from collectors.gcp.items import item_of, said_of
from collectors.gcp.redacting import AssetRedactor
from collectors.gcp.spec import ANY_ASSET, LIST_ASSETS, GcpResourceType
from collectors.place import identifier
from collectors.shape import absent_facet, observed_facet, search
from controls.catalogue import Catalogue, load_catalogue
from controls.models import Check

REFERENCE = Path(__file__).parent.parent.parent / "shared" / "data"
BENCHMARK = "cis_gcp_5.0"

BEYOND_ASSET_INVENTORY = {
    "iam_service_account_unused": "when an account was last used is in Cloud Monitoring alone",
    "iam_sa_user_managed_key_unused": "when a key was last used is in Cloud Monitoring alone",
    "compute_public_address_shodan": "what a search engine of others saw is no evidence of a cloud",
}
"""Checks of the peer that this API cannot decide, and why."""


@cache
def specs() -> dict[str, GcpResourceType]:
    """The built-in resource types of Google Cloud."""
    return load_resource_types()


@cache
def catalogue() -> Catalogue:
    """The built-in catalogue."""
    return load_catalogue()


@cache
def google_checks() -> tuple[Check, ...]:
    """The checks of Google Cloud's types."""
    return tuple(check for check in catalogue().checks.values() if check.resource in specs())


def reference(name: str) -> Path:
    """Return a file of reference data; skip where it is not beside this checkout."""
    file = REFERENCE / name
    if not file.exists():
        pytest.skip("the reference data is not beside this checkout")
    return file


# What there is


def test_there_is_as_much_as_was_promised() -> None:
    assert len(specs()) >= 50
    assert len(google_checks()) >= 90


def test_the_benchmark_has_all_its_sections() -> None:
    framework = catalogue().frameworks[BENCHMARK]
    sections = Counter(item.id.split(".")[0] for item in framework.requirements)
    assert sections == {"1": 21, "2": 17, "3": 12, "4": 12, "5": 2, "6": 24, "7": 4, "8": 1}


def test_the_benchmark_has_every_requirement_of_the_newest_version_known() -> None:
    known = json.loads(reference("peer_requirement_checks.json").read_text())
    versions = [name for name in known if name.startswith("cis_") and name.endswith("_gcp")]
    newest = max(versions, key=lambda name: float(name.split("_")[1]))
    framework = catalogue().frameworks[BENCHMARK]
    assert newest == f"cis_{framework.version.removesuffix('.0')}_gcp"
    assert {item.id for item in framework.requirements} == set(known[newest])


def test_checks_decide_every_requirement_that_is_automated() -> None:
    framework = catalogue().frameworks[BENCHMARK]
    left = {
        item.id
        for item in framework.requirements
        if not catalogue().checks_of_requirement(framework, item.id)
    }
    assert not [item.id for item in framework.requirements if item.automated and item.id in left]
    assert left == {"1.1.1", "1.1.2", "1.1.3", "1.3", "1.4", "1.18", "2.2", "2.15", "6.1.1"}


def test_what_no_check_decides_says_what_people_must_bring() -> None:
    framework = catalogue().frameworks[BENCHMARK]
    for item in framework.requirements:
        if not catalogue().checks_of_requirement(framework, item.id):
            assert item.manual_evidence, item.id


def test_every_check_of_the_peer_is_covered_or_out_of_reach() -> None:
    with reference("peer_checks.csv").open() as file:
        known = {row["peer_check_id"] for row in csv.DictReader(file) if row["provider"] == "gcp"}
    claimed = {name for check in google_checks() for name in check.equivalent_ids("prowler")}
    assert known - claimed == set(BEYOND_ASSET_INVENTORY)


@pytest.mark.parametrize("criterion", ["CC5.2", "CC6.1", "CC6.3", "CC6.6", "CC7.1", "CC7.2"])
def test_soc2_gets_its_google_checks_through_the_controls(criterion: str) -> None:
    framework = catalogue().frameworks["soc2"]
    found = catalogue().checks_of_requirement(framework, criterion)
    assert sum(check.resource in specs() for check in found) >= 10


def test_no_two_types_read_the_same_assets() -> None:
    plain = [
        spec.native_type
        for spec in specs().values()
        if spec.listing.method == LIST_ASSETS
        and spec.listing.each is None
        and spec.native_type != ANY_ASSET
    ]
    assert [name for name, number in Counter(plain).items() if number > 1] == []


@pytest.mark.parametrize(
    ("asset_type", "data"),
    [
        ("apikeys.googleapis.com/Key", {"keyString": "AIza-planted"}),
        ("iam.googleapis.com/ServiceAccountKey", {"privateKeyData": "planted"}),
        (
            "monitoring.googleapis.com/NotificationChannel",
            {"sensitiveLabels": {"service_key": "planted"}},
        ),
    ],
)
def test_secrets_of_known_places_are_taken_out(asset_type: str, data: dict[str, Any]) -> None:
    redactor = AssetRedactor(redactor_for(specs().values(), b"k" * 32))
    asset = {"assetType": asset_type, "resource": {"data": data}}
    clean, taken = redactor.asset("resource", asset)
    assert "planted" not in json.dumps(clean)
    assert [redaction.reason for redaction in taken] == ["declared"]


# What real assets become


def rows(name: str, asset: dict[str, Any], **contents: Any) -> list[dict[str, Any]]:
    """Return what a type makes of an asset; `contents` are the same asset under other contents."""
    spec = specs()[name]
    item = item_of(spec.listing.content, asset)
    each = spec.listing.each
    scopes = [item] if each is None else [{**item, "each": one} for one in search(each, item)]
    found = []
    for scope in scopes:
        row: dict[str, Any] = {"id": identifier(spec.id, {**scope, "ctx": {}})}
        for facet_name, facet in spec.facets.items():
            source = facet.sources[0]
            if source == "list":
                row[facet_name] = observed_facet(facet, scope)
            elif source in contents:
                row[facet_name] = observed_facet(facet, said_of(source, contents[source]))
            else:
                row[facet_name] = absent_facet(facet)
        found.append(row)
    return found


def asset_of(name: str, data: Mapping[str, Any], *ancestors: str) -> dict[str, Any]:
    """A resource as Cloud Asset Inventory lists it."""
    return {"name": name, "ancestors": list(ancestors), "resource": {"version": "v1", "data": data}}


PROJECT = "//cloudresourcemanager.googleapis.com/projects/730145520011"
ORGANIZATION = "//cloudresourcemanager.googleapis.com/organizations/418220075613"


@pytest.mark.parametrize(
    "data",
    [
        {"projectId": "shop", "projectNumber": "730145520011", "lifecycleState": "ACTIVE"},
        {"projectId": "shop", "name": "projects/730145520011", "state": "ACTIVE"},
    ],
    ids=["first version of the API", "third version"],
)
def test_a_project_of_either_version(data: dict[str, Any]) -> None:
    ancestors = ("projects/730145520011", "folders/600112233441", "organizations/418220075613")
    (row,) = rows("gcp_project", asset_of(PROJECT, data, *ancestors))
    assert (row["id"], row["identity"]["state"]) == (PROJECT, "active")
    assert row["identity"]["number"] == "730145520011"
    assert row["hierarchy"]["ancestors"] == list(ancestors)
    assert row["iam"]["bindings"] == []


def test_a_policy_with_a_condition_and_what_it_logs() -> None:
    policy = {
        "bindings": [
            {
                "role": "roles/viewer",
                "members": ["user:a@example.com"],
                "condition": {"title": "soon over", "expression": "request.time < timestamp('x')"},
            }
        ],
        "auditConfigs": [
            {
                "service": "allServices",
                "auditLogConfigs": [
                    {"logType": "ADMIN_READ"},
                    {"logType": "DATA_READ", "exemptedMembers": ["user:b@example.com"]},
                ],
            }
        ],
    }
    (row,) = rows("gcp_project", asset_of(PROJECT, {}), iam_policy={"iamPolicy": policy})
    assert row["iam"]["bindings"][0]["condition"] == "request.time < timestamp('x')"
    logs = row["audit"]["configs"][0]["logs"]
    assert [log["exempted"] for log in logs] == [[], ["user:b@example.com"]]


def test_organisation_policies_of_the_first_version() -> None:
    said = [
        {"constraint": "constraints/iam.disableServiceAccountKeyCreation", "booleanPolicy": {}},
        {"constraint": "constraints/gcp.resourceLocations", "listPolicy": {"allValues": "DENY"}},
        {"constraint": "constraints/compute.requireOsLogin", "restoreDefault": {}},
    ]
    (row,) = rows("gcp_folder", asset_of("//x/folders/4", {}), org_policy={"orgPolicy": said})
    off, denied, default = row["org_policy"]["policies"]
    assert (off["constraint_name"], off["is_boolean"], off["enforced"]) == (
        "iam.disableServiceAccountKeyCreation",
        True,
        False,
    )
    assert (denied["is_boolean"], denied["all_values"]) == (False, "deny")
    assert default["restores_default"]


def test_an_organisation_policy_of_the_second_version_and_a_dry_run() -> None:
    name = "folders/600112233441/policies/iam.disableServiceAccountKeyCreation"
    full, folder = f"//orgpolicy.googleapis.com/{name}", "folders/600112233441"
    spec = {"rules": [{"enforce": False}], "updateTime": "2022-06-11T15:13:44.429701Z"}
    (row,) = rows("gcp_organization_policy", asset_of(full, {"name": name, "spec": spec}, folder))
    assert row["policy"]["resource_name"] == folder
    assert row["policy"]["constraint_name"] == "iam.disableServiceAccountKeyCreation"
    assert row["policy"]["in_force"]
    assert not row["policy"]["rules"][0]["enforced"]
    tried = {"name": name, "dryRunSpec": {"rules": [{"enforce": True}]}}
    (row,) = rows("gcp_organization_policy", asset_of(full, tried, folder))
    assert not row["policy"]["in_force"]


def test_access_policies_share_the_name_of_their_organisation() -> None:
    perimeter = {
        "name": "accessPolicies/1/servicePerimeters/data",
        "status": {"resources": ["projects/730145520011"]},
        "spec": {"restrictedServices": ["storage.googleapis.com"]},
    }
    level = {
        "name": "accessPolicies/1/accessLevels/office",
        "basic": {"conditions": [{"ipSubnetworks": ["198.51.100.0/24"]}]},
    }
    inside = {"name": ORGANIZATION, "servicePerimeter": perimeter}
    (row,) = rows("gcp_access_context_manager_service_perimeter", inside)
    assert row["id"] == perimeter["name"]
    assert row["enforced"]["resources"] == ["projects/730145520011"]
    assert row["enforced"]["services"] == []  # what is only tried out does not count
    assert rows("gcp_access_context_manager_access_level", inside) == []
    (row,) = rows(
        "gcp_access_context_manager_access_level", {"name": ORGANIZATION, "accessLevel": level}
    )
    assert row["level"]["conditions"][0]["networks"] == ["198.51.100.0/24"]


def test_an_alert_has_the_filters_of_all_kinds_of_conditions() -> None:
    conditions = [
        {"conditionThreshold": {"filter": "a"}},
        {"conditionMatchedLog": {"filter": "b"}},
        {"conditionMonitoringQueryLanguage": {"query": "c"}},
        {"conditionPrometheusQueryLanguage": {"query": "d"}},
    ]
    data = {"displayName": "routes", "enabled": True, "conditions": conditions}
    (row,) = rows("gcp_monitoring_alert_policy", asset_of("//x/alertPolicies/1", data))
    assert row["alert"]["filters"] == ["a", "b", "c", "d"]


def test_a_key_without_an_end_and_with_nanoseconds() -> None:
    data = {
        "name": "projects/p/serviceAccounts/a@p.iam.gserviceaccount.com/keys/k",
        "keyType": "USER_MANAGED",
        "validAfterTime": "2022-05-26T17:35:07.123456789Z",
        "validBeforeTime": "9999-12-31T23:59:59Z",
    }
    name = "//iam.googleapis.com/projects/p/serviceAccounts/1/keys/k"
    (row,) = rows("gcp_service_account_key", asset_of(name, data))
    assert row["validity"] == {
        "valid_after": "2022-05-26T17:35:07.123456",
        "valid_before": "9999-12-31T23:59:59",
    }


def test_exclusions_that_are_switched_off_leave_nothing_out() -> None:
    exclusions = [{"filter": "noise"}, {"filter": "spared", "disabled": True}]
    data = {"name": "all", "destination": "storage.googleapis.com/logs", "exclusions": exclusions}
    (row,) = rows("gcp_logging_sink", asset_of("//logging.googleapis.com/projects/p/sinks/s", data))
    assert row["sink"]["exclusions"] == ["noise"]
    assert row["sink"]["entry_filter"] == ""


def test_an_analysis_that_was_cut_short_is_not_complete() -> None:
    result = {
        "attachedResourceFullName": PROJECT,
        "iamBinding": {"role": "roles/owner", "members": ["group:ops@example.com"]},
        "accessControlLists": [{"accesses": [{"permission": "iam.roles.update"}]}],
        "identityList": {"identities": [{"name": "group:ops@example.com"}]},
    }
    (row,) = rows("gcp_effective_access", result)
    assert row["access"]["complete"] is None
    assert row["access"]["permissions"] == ["iam.roles.update"]
    (row,) = rows("gcp_effective_access", {**result, "fullyExplored": True})
    assert row["access"]["complete"] is True
