"""The demo's Google Cloud answers Google's own client as Cloud Asset Inventory does."""

from __future__ import annotations

import datetime
import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import requests
from google.api_core import exceptions
from google.api_core.retry import Retry, if_exception_type
from google.auth import compute_engine, identity_pool, impersonated_credentials
from google.auth import exceptions as auth_exceptions
from google.auth.transport.grpc import secure_authorized_channel
from google.auth.transport.requests import Request
from google.cloud import asset_v1
from google.cloud.asset_v1.services.asset_service.transports import AssetServiceGrpcTransport
from google.oauth2 import service_account
from google.protobuf.json_format import MessageToDict

from auditpack.demo.gcp import building
from auditpack.demo.gcp.query import Query
from auditpack.demo.gcp.server import FakeGcp
from auditpack.demo.gcp.statuses import Refused
from evidence.errors import AuditpackError

ORG = "organizations/418220075613"
PROD_NUMBER = "projects/730145520011"
PROD = "//cloudresourcemanager.googleapis.com/" + PROD_NUMBER
BUCKET = "storage.googleapis.com/Bucket"
RESULTS = "//storage.googleapis.com/halden-prod-trial-results"
SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]
READ = Retry(
    predicate=if_exception_type(exceptions.ResourceExhausted, exceptions.ServiceUnavailable),
    initial=0.01,
    maximum=0.05,
    timeout=20,
)


def client_of(channel: grpc.Channel) -> asset_v1.AssetServiceClient:
    return asset_v1.AssetServiceClient(transport=AssetServiceGrpcTransport(channel=channel))


@pytest.fixture(scope="module")
def serving() -> Iterator[FakeGcp]:
    with FakeGcp() as server:
        yield server


@pytest.fixture(scope="module")
def shared_client(serving: FakeGcp) -> Iterator[asset_v1.AssetServiceClient]:
    with grpc.insecure_channel(serving.address) as channel:
        yield client_of(channel)


@pytest.fixture
def fake(serving: FakeGcp) -> FakeGcp:
    serving.reset()
    return serving


@pytest.fixture
def client(fake: FakeGcp, shared_client) -> asset_v1.AssetServiceClient:
    return shared_client


def assets(client, parent: str = ORG, content: str = "RESOURCE", **more) -> list:
    request = {"parent": parent, "content_type": content, "page_size": 1000, **more}
    return list(client.list_assets(request=request, retry=None))


def names(client, parent: str = ORG, content: str = "RESOURCE", **more) -> list[str]:
    return [asset.name for asset in assets(client, parent, content, **more)]


def page(client, **request):
    pager = client.list_assets(
        request={"parent": ORG, "content_type": "RESOURCE", **request}, retry=None
    )
    return next(iter(pager.pages))


def data_of(asset) -> dict:
    return MessageToDict(type(asset).pb(asset))["resource"]["data"]


def ago(days: float) -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=days)


class TestListing:
    def test_the_organisation_has_its_projects_and_folders(self, client) -> None:
        found = assets(client, asset_types=["cloudresourcemanager.googleapis.com/Project"])
        ids = {data_of(asset)["projectId"]: list(asset.ancestors) for asset in found}
        assert len(ids) == 4
        assert ids["halden-production"] == [PROD_NUMBER, "folders/600112233441", ORG]
        assert ids["halden-shared-logging"] == ["projects/730145520033", ORG]

    def test_a_parent_is_named_by_id_or_by_number(self, client, fake: FakeGcp) -> None:
        by_id = names(client, fake.projects["production"])
        assert by_id == names(client, PROD_NUMBER)
        assert set(by_id) < set(names(client, fake.folders["workloads"])) < set(names(client))

    @pytest.mark.parametrize("parent", ["halden-production", "projects/", "folders/workloads"])
    def test_a_parent_of_another_form_is_refused(self, client, parent: str) -> None:
        with pytest.raises(exceptions.InvalidArgument):
            assets(client, parent)

    def test_a_parent_that_does_not_exist_looks_like_one_that_is_forbidden(self, client) -> None:
        with pytest.raises(exceptions.PermissionDenied, match="or it may not exist"):
            assets(client, "projects/somebody-elses")

    def test_each_content_has_what_belongs_to_it(self, client) -> None:
        nothing = assets(client, content="CONTENT_TYPE_UNSPECIFIED")
        assert {a.name for a in nothing} == set(names(client))
        assert not any("resource" in a or "iam_policy" in a for a in nothing)
        policies = {a.name: a for a in assets(client, content="IAM_POLICY")}
        assert not any("resource" in a for a in policies.values())
        production = policies[PROD].iam_policy
        assert production.audit_configs[0].service == "allServices"
        assert any(b.condition.title == "trials only" for b in production.bindings)
        assert production.etag
        org_policies = {a.name: a.org_policy for a in assets(client, content="ORG_POLICY")}
        there = {
            p.constraint: p for p in org_policies[f"//cloudresourcemanager.googleapis.com/{ORG}"]
        }
        assert there["constraints/sql.restrictPublicIp"].boolean_policy.enforced
        assert not assets(client, content="OS_INVENTORY")
        with pytest.raises(exceptions.InvalidArgument):
            assets(client, content="RELATIONSHIP")

    def test_access_policies_are_assets_of_the_organisation(self, client, fake: FakeGcp) -> None:
        found = assets(client, content="ACCESS_POLICY")
        assert {a.name for a in found} == {f"//cloudresourcemanager.googleapis.com/{ORG}"}
        assert [asset_v1.Asset.pb(a).WhichOneof("access_context_policy") for a in found].count(
            "access_level"
        ) == 2
        assert not assets(client, fake.projects["production"], "ACCESS_POLICY")

    def test_types_fit_whole_as_text_or_as_expression(self, client) -> None:
        def types(*patterns: str) -> set[str]:
            return {asset.asset_type for asset in assets(client, asset_types=patterns)}

        assert types(BUCKET) == {BUCKET}
        assert types(".*Bucket") == {BUCKET, "logging.googleapis.com/LogBucket"}
        assert all(name.startswith("cloudkms") for name in types("cloudkms.googleapis.com.*"))
        assert types(BUCKET, "cloudkms.*Ring") == {BUCKET, "cloudkms.googleapis.com/KeyRing"}
        assert not types("tpu.googleapis.com/Node")

    @pytest.mark.parametrize(
        "pattern", ["compute.googleapis.com", "storage.googleapis.com/bucket", "(", "(?!x).*"]
    )
    def test_types_that_nothing_fits_are_refused(self, client, pattern: str) -> None:
        with pytest.raises(exceptions.InvalidArgument) as caught:
            assets(client, asset_types=[BUCKET, pattern])
        assert caught.value.details[0].field_violations[0].field == "asset_types"

    def test_numbers_come_as_doubles_and_large_ones_as_text(self, client) -> None:
        thing = next(a for a in assets(client) if a.asset_type == "example.googleapis.com/Thing")
        data = data_of(thing)
        assert isinstance(data["shelves"], float)
        assert data["parts"][0]["weight"] == "9007199254740993"
        assert data["nested"]["deep"]["deeper"] == {"flag": True, "nothing": None}

    def test_what_an_asset_says_of_its_api(self, client) -> None:
        found = {a.name: a.resource for a in assets(client, asset_types=["sqladmin.*Instance"])}
        trials = found["//cloudsql.googleapis.com/projects/halden-production/instances/trials"]
        assert (trials.version, trials.discovery_name) == ("v1beta4", "DatabaseInstance")
        assert trials.parent == PROD
        assert trials.location == "europe-west4"


class TestPages:
    def test_a_page_has_a_hundred_unless_asked_and_a_thousand_at_most(self, client, fake) -> None:
        fake.multiply(RESULTS, 2000)
        assert len(page(client).assets) == 100
        assert len(page(client, page_size=7).assets) == 7
        assert len(page(client, page_size=5000).assets) == 1000
        with pytest.raises(exceptions.InvalidArgument):
            page(client, page_size=-1)

    def test_pages_together_are_the_whole_whatever_their_size(self, client, fake) -> None:
        fake.multiply(RESULTS, 40)
        whole = names(client)
        for size in (1, 7, 50):
            walked = [a.name for p in pages(client, size) for a in p.assets]
            assert walked == whole
        assert len(set(whole)) == len(whole)

    def test_the_last_page_has_no_token(self, client) -> None:
        count = len(names(client))
        assert not page(client, page_size=count).next_page_token
        assert page(client, page_size=count - 1).next_page_token

    def test_a_token_is_good_for_its_request_alone(self, client) -> None:
        token = page(client, page_size=5).next_page_token
        assert len(page(client, page_size=9, page_token=token).assets) == 9
        for other in (
            {"parent": PROD_NUMBER},
            {"content_type": "IAM_POLICY"},
            {"asset_types": [BUCKET]},
            {"read_time": ago(1)},
        ):
            with pytest.raises(exceptions.InvalidArgument):
                page(client, page_token=token, **other)
        with pytest.raises(exceptions.InvalidArgument):
            client.search_all_resources(request={"scope": ORG, "page_token": token})

    @pytest.mark.parametrize(
        "change", [lambda t: t[:-4] + "AAAA", lambda t: "5", lambda t: "%" + t]
    )
    def test_a_token_that_nobody_gave_out_is_refused(self, client, change) -> None:
        token = page(client, page_size=5).next_page_token
        with pytest.raises(exceptions.InvalidArgument):
            page(client, page_token=change(token))

    def test_tokens_can_be_forgotten(self, client, fake: FakeGcp) -> None:
        token = page(client, page_size=5).next_page_token
        fake.forget_pages()
        with pytest.raises(exceptions.InvalidArgument):
            page(client, page_token=token)

    @pytest.mark.slow
    def test_many_assets_are_made_as_they_are_listed(self, client, fake: FakeGcp) -> None:
        kept = len(fake.estate.records)
        fake.multiply(RESULTS, 100_000)
        counted, at_first = 0, 0
        for number, part in enumerate(pages(client, 1000)):
            counted += len(part.assets)
            if number == 5:
                at_first = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - at_first
        assert counted > 100_000
        assert len(fake.estate.records) == kept
        assert grown < 60_000  # kilobytes; 100,000 buckets are some hundred megabytes
        assert part.assets[-1].name == RESULTS + "-100000"
        assert data_of(part.assets[-1])["name"] == "halden-prod-trial-results-100000"


def pages(client, size: int) -> Iterator:
    request = {"parent": ORG, "content_type": "RESOURCE", "page_size": size}
    return iter(client.list_assets(request=request, retry=None).pages)


class TestTime:
    def test_without_a_time_it_is_now_and_stays_so(self) -> None:
        now = [datetime.datetime.now(datetime.UTC)]
        with (
            FakeGcp(clock=lambda: now[0]) as fake,
            grpc.insecure_channel(fake.address) as channel,
        ):
            client = client_of(channel)
            first = page(client, page_size=50)
            assert first.read_time == now[0]
            began, now[0] = now[0], now[0] + datetime.timedelta(minutes=5)
            after = page(client, page_size=50, page_token=first.next_page_token)
            assert after.read_time == began
            assert page(client, page_size=50).read_time == now[0]

    def test_a_time_is_answered_as_it_was_asked(self, client) -> None:
        when = ago(2).replace(microsecond=123000)
        first = page(client, page_size=5, read_time=when)
        assert first.read_time == when
        assert page(client, page_size=5, read_time=when, page_token=first.next_page_token).assets

    def test_thirty_five_days_back_and_no_further(self, client) -> None:
        assert page(client, read_time=ago(34.999)).assets
        for wrong in (ago(35.001), ago(-0.01)):
            with pytest.raises(exceptions.InvalidArgument) as caught:
                page(client, read_time=wrong)
            assert caught.value.details[0].field_violations[0].field == "read_time"

    def test_an_earlier_time_shows_the_earlier_state(self, client) -> None:
        def prevention(days: float) -> str:
            found = assets(client, read_time=ago(days), asset_types=[BUCKET])
            bucket = next(a for a in found if a.name == RESULTS)
            return data_of(bucket)["iamConfiguration"]["publicAccessPrevention"]

        def members(days: float) -> set[str]:
            found = assets(client, content="IAM_POLICY", read_time=ago(days), asset_types=[BUCKET])
            policy = next(a.iam_policy for a in found if a.name == RESULTS)
            return {member for binding in policy.bindings for member in binding.members}

        assert (prevention(8), prevention(10)) == ("enforced", "inherited")
        assert "allUsers" in members(10)
        assert "allUsers" not in members(8)

    def test_what_was_made_or_taken_away_meanwhile(self, client) -> None:
        runner = "/instances/migration-runner"
        vendor = "/firewalls/allow-ssh-for-vendor"
        for days, there, missing in ((1, vendor, runner), (20, runner, vendor)):
            found = " ".join(names(client, read_time=ago(days)))
            assert there in found
            assert missing not in found

    def test_policies_have_a_past_as_well(self, client) -> None:
        def constraints(days: float) -> int:
            found = assets(client, content="ORG_POLICY", read_time=ago(days))
            return next(len(a.org_policy) for a in found if a.name.endswith(ORG))

        assert (constraints(1), constraints(30)) == (5, 2)
        assert len(assets(client, content="ACCESS_POLICY", read_time=ago(20))) == 4
        assert len(assets(client, content="ACCESS_POLICY")) == 5

    def test_an_asset_changed_when_its_version_began(self, client, fake: FakeGcp) -> None:
        bucket = next(a for a in assets(client, asset_types=[BUCKET]) if a.name == RESULTS)
        old = assets(client, asset_types=[BUCKET], read_time=ago(20))
        before = next(a for a in old if a.name == RESULTS)
        assert abs(bucket.update_time - ago(9)) < datetime.timedelta(hours=1)
        assert before.update_time < bucket.update_time


class TestSearchingPolicies:
    @staticmethod
    def search(client, query: str, **more) -> dict[str, list]:
        request = {"scope": ORG, "query": query, **more}
        found = client.search_all_iam_policies(request=request, retry=None)
        return {result.resource: list(result.policy.bindings) for result in found}

    def test_a_member_finds_the_bindings_that_name_it(self, client) -> None:
        found = self.search(client, "policy:allUsers")
        assert "//storage.googleapis.com/halden-prod-leaflets" in found
        assert all("allUsers" in b.members for bs in found.values() for b in bs)
        assert not found.keys() & self.search(client, "policy:allAuthenticatedUsers").keys()

    def test_a_role_in_quotes(self, client) -> None:
        owners = self.search(client, 'policy:"roles/owner"')
        assert {b.role for bs in owners.values() for b in bs} == {"roles/owner"}
        assert owners == self.search(client, "roles:roles/owner")
        assert owners == self.search(client, "roles=roles/owner")

    def test_without_a_query_there_is_every_policy(self, client) -> None:
        listed = {a.name: a.iam_policy for a in assets(client, content="IAM_POLICY")}
        found = self.search(client, "")
        assert found.keys() == listed.keys()
        assert all(len(found[name]) == len(listed[name].bindings) for name in listed)

    def test_terms_narrow_and_join(self, client) -> None:
        both = self.search(
            client, "resource:(halden-prod-leaflets OR partner-drop) policy:allUsers"
        )
        assert len(both) == 2
        assert self.search(client, "policy:(allUsers OR nobody) AND resource:partner-drop")
        assert not self.search(client, "resource:partner-drop NOT policy:allUsers")
        assert set(self.search(client, f"resource={PROD}")) == {PROD}
        assert self.search(client, "policy:owen.baptiste@haldenlabs")
        assert not self.search(client, "policy:baptiste.owen")
        assert self.search(client, "policy:bapt*")
        assert self.search(client, "memberTypes:domain") == self.search(
            client, "memberTypes=domain"
        )
        assert self.search(client, "contractor") == self.search(client, '"contractor-rb"')

    def test_conditions_are_searched_too(self, client) -> None:
        found = self.search(client, 'policy:"trials only"')
        assert [b.role for b in found[PROD]] == ["roles/secretmanager.secretAccessor"]

    def test_permissions_are_explained(self, client) -> None:
        request = {"scope": ORG, "query": "policy.role.permissions:iam.serviceAccounts.actAs"}
        found = list(client.search_all_iam_policies(request=request))
        sandbox = next(r for r in found if r.resource.endswith("/projects/730145520044"))
        explained = sandbox.explanation.matched_permissions
        assert list(explained["roles/owner"].permissions) == ["iam.serviceAccounts.actAs"]
        assert "roles/viewer" not in explained
        assert sandbox.project == "projects/730145520044"
        assert list(sandbox.folders) == ["folders/600112233452"]
        assert sandbox.organization == ORG

    def test_what_is_not_understood_is_refused(self, client) -> None:
        for query in (
            "owner:me",
            "policy=allUsers",
            "a OR b AND c",
            "policy:",
            "(policy:x",
            "policy:x)",
            'policy:"',
            "resource<5",
            "policy:--",
        ):
            with pytest.raises(exceptions.InvalidArgument):
                self.search(client, query)

    def test_types_scopes_and_order(self, client, fake: FakeGcp) -> None:
        found = self.search(client, "policy:allUsers", asset_types=["cloudkms.*"])
        assert len(found) == 1
        below = self.search(client, "policy:allUsers", scope=fake.projects["sandbox"])
        assert list(below) == ["//storage.googleapis.com/halden-sandbox-sample-export"]
        down = list(self.search(client, "policy:allUsers", order_by="resource DESC"))
        assert down == sorted(down, reverse=True)
        with pytest.raises(exceptions.InvalidArgument):
            self.search(client, "", order_by="policy")

    def test_pages_belong_to_a_request_with_its_size(self, client) -> None:
        request = {"scope": ORG, "query": "", "page_size": 4}
        pager = client.search_all_iam_policies(request=request)
        walked = [r.resource for p in pager.pages for r in p.results]
        assert walked == list(self.search(client, ""))
        first = client.search_all_iam_policies(request=request)
        wrong = {**request, "page_token": first.next_page_token, "page_size": 5}
        with pytest.raises(exceptions.InvalidArgument):
            client.search_all_iam_policies(request=wrong)


class TestQueries:
    @pytest.mark.parametrize(
        ("query", "matches"),
        [
            ("name:amy", True),
            ("name:AMY", True),
            ("name:am", False),
            ("name:am*", True),
            ("name:2020@gmail", True),
            ("name:gmail.2020", False),
            ("name=amy-2020@GMAIL.com", True),
            ("name=amy", False),
            ("name:*", True),
            ("other:*", False),
            ("NOT name:bob", True),
            ("name:(bob OR amy)", True),
            ("name:(bob AND amy)", False),
            ("gmail", True),
            ("(name:amy OR other:x) AND gmail", True),
            ("updateTime>10", True),
            ("updateTime<=10", False),
        ],
    )
    def test_words(self, query: str, matches: bool) -> None:
        fields = {"name": ["amy-2020@GMAIL.com"], "other": [], "updateTime": ["11"]}
        assert Query(query, fields, fields).matches(fields) is matches

    def test_times_are_numbers(self) -> None:
        with pytest.raises(Refused, match="not a number"):
            Query("updateTime>yesterday", ["updateTime"], [])


class TestSearchingResources:
    @staticmethod
    def search(client, query: str, **more) -> list:
        return list(client.search_all_resources(request={"scope": ORG, "query": query, **more}))

    def test_by_its_fields(self, client) -> None:
        assert len(self.search(client, "labels.data-class:restricted")) > 5
        assert len(self.search(client, "labels.owner=security location:europe-west4")) > 1
        web = self.search(client, "networkTags:web")
        assert [r.display_name for r in web] == ["legacy-reports"]
        keyed = self.search(client, "kmsKeys:warehouse", asset_types=["bigquery.*"])
        assert {r.asset_type.rpartition("/")[2] for r in keyed} == {"Dataset", "Table"}
        recent = self.search(client, f"createTime>{int(ago(4).timestamp())}")
        assert "box-2" in {r.display_name for r in recent}

    def test_what_a_result_says(self, client) -> None:
        portal = self.search(client, "name:portal-1 state:RUNNING")[0]
        assert portal.parent_full_resource_name == PROD
        assert portal.parent_asset_type == "cloudresourcemanager.googleapis.com/Project"
        assert dict(portal.labels) == {"owner": "clinical", "cost-centre": "cc-2200"}
        assert portal.project == PROD_NUMBER

    def test_a_mask_leaves_the_rest_out(self, client) -> None:
        bare = self.search(client, "name:portal-1", read_mask={"paths": ["name", "location"]})[0]
        assert bare.name
        assert bare.location == "europe-west4-a"
        assert not bare.state
        with pytest.raises(exceptions.InvalidArgument):
            self.search(client, "", read_mask={"paths": ["colour"]})


class TestAnalyzing:
    @staticmethod
    def analyze(client, scope: str = ORG, **query):
        request = {"analysis_query": {"scope": scope, **query}}
        return client.analyze_iam_policy(request=request, retry=None)

    @staticmethod
    def by_role(analysis, name: str) -> dict:
        return {
            result.iam_binding.role: result
            for result in analysis.main_analysis.analysis_results
            if result.attached_resource_full_name == name
        }

    def test_who_has_a_permission(self, client) -> None:
        permission = "iam.serviceAccounts.actAs"
        analysis = self.analyze(client, access_selector={"permissions": [permission]})
        there = self.by_role(analysis, PROD)
        assert there.keys() == {"roles/owner", "roles/iam.serviceAccountUser"}
        result = there["roles/owner"]
        assert [a.permission for a in result.access_control_lists[0].accesses] == [permission]
        assert [i.name for i in result.identity_list.identities] == [
            "group:cloud-admins@haldenlabs.example"
        ]
        assert analysis.fully_explored
        assert analysis.main_analysis.fully_explored

    def test_groups_are_opened_on_demand(self, client) -> None:
        analysis = self.analyze(
            client,
            access_selector={"roles": ["roles/viewer"]},
            options={"expand_groups": True, "output_group_edges": True},
        )
        result = self.by_role(analysis, PROD)["roles/viewer"]
        people = {i.name for i in result.identity_list.identities}
        assert "user:tomas.vela@haldenlabs.example" in people  # in a group that is in a group
        edges = {(e.source_node, e.target_node) for e in result.identity_list.group_edges}
        assert (
            "group:engineers@haldenlabs.example",
            "group:cloud-admins@haldenlabs.example",
        ) in edges

    def test_a_strangers_group_is_not_fully_explored(self, client) -> None:
        query = {"access_selector": {"roles": ["roles/viewer"]}}
        shallow = self.analyze(client, **query)
        assert shallow.fully_explored
        deep = self.analyze(client, **query, options={"expand_groups": True})
        assert not deep.fully_explored
        assert not deep.main_analysis.fully_explored
        assert "auditors@kestrel-audit" in deep.main_analysis.non_critical_errors[0].cause
        explored = [r.fully_explored for r in deep.main_analysis.analysis_results]
        assert set(explored) == {True, False}

    def test_what_an_identity_reaches_also_by_its_groups(self, client) -> None:
        person = "user:tomas.vela@haldenlabs.example"
        analysis = self.analyze(client, identity_selector={"identity": person})
        roles = self.by_role(analysis, PROD)
        assert roles.keys() == {"roles/owner", "roles/viewer"}
        names_ = [i.name for i in roles["roles/owner"].identity_list.identities]
        assert names_ == [person]
        assert roles["roles/owner"].access_control_lists[0].accesses[0].role == "roles/owner"

    def test_a_resource_inherits_from_above(self, client) -> None:
        bucket = "//storage.googleapis.com/halden-sandbox-sample-export"
        analysis = self.analyze(
            client,
            resource_selector={"full_resource_name": bucket},
            access_selector={"permissions": ["storage.buckets.delete"]},
        )
        places = {
            result.attached_resource_full_name.rpartition("/")[2]
            for result in analysis.main_analysis.analysis_results
        }
        assert places == {"600112233452", "730145520044"}
        for result in analysis.main_analysis.analysis_results:
            shown = result.access_control_lists[0].resources
            assert [r.full_resource_name for r in shown] == [bucket]

    def test_resources_below_on_demand(self, client) -> None:
        query = {"access_selector": {"roles": ["roles/owner"]}}
        wide = self.analyze(client, **query, options={"expand_resources": True})
        shown = self.by_role(wide, PROD)["roles/owner"].access_control_lists[0].resources
        assert len(shown) > 100
        narrow = self.by_role(self.analyze(client, **query), PROD)["roles/owner"]
        assert len(narrow.access_control_lists[0].resources) == 1

    def test_roles_of_our_own_are_known(self, client) -> None:
        found = self.analyze(client, access_selector={"permissions": ["bigquery.tables.getData"]})
        assert "projects/halden-production/roles/resultReader" in self.by_role(found, PROD)

    def test_conditions_are_evaluated_where_they_can_be(self, client) -> None:
        role = "roles/compute.instanceAdmin.v1"
        query = {"access_selector": {"roles": [role]}}

        def value(**more) -> str:
            result = self.by_role(self.analyze(client, **query, **more), PROD)[role]
            return result.access_control_lists[0].condition_evaluation.evaluation_value.name

        assert value() == "CONDITIONAL"
        soon, late = ago(-1), datetime.datetime(2032, 1, 1, tzinfo=datetime.UTC)
        assert value(condition_context={"access_time": soon}) == "TRUE"
        assert value(condition_context={"access_time": late}) == "FALSE"

    @pytest.mark.parametrize(
        "query",
        [
            {},
            {"access_selector": {"permissions": [f"x.y.z{n}" for n in range(11)]}},
            {"access_selector": {"roles": ["roles/owner"]}, "options": {"expand_roles": True}},
            {"identity_selector": {"identity": "user:a@b"}, "options": {"expand_groups": True}},
            {"identity_selector": {"identity": "user:*"}},
            {"resource_selector": {"full_resource_name": "//storage.googleapis.com/not-there"}},
            {
                "access_selector": {"roles": ["roles/owner"]},
                "condition_context": {"access_time": "2020-01-01T00:00:00Z"},
            },
        ],
    )
    def test_what_the_documentation_forbids_is_refused(self, client, query) -> None:
        with pytest.raises(exceptions.InvalidArgument):
            self.analyze(client, **query)


class TestFailures:
    def test_every_third_call_fails_and_the_librarys_own_retry_does_not_help(
        self, client, fake: FakeGcp
    ) -> None:
        fake.fail("RESOURCE_EXHAUSTED", every=3, retry_after=1.5)
        with pytest.raises(exceptions.ResourceExhausted) as caught:
            list(client.list_assets(request={"parent": ORG, "page_size": 50}))
        reasons = {type(detail).__name__: detail for detail in caught.value.details}
        assert reasons["ErrorInfo"].reason == "RATE_LIMIT_EXCEEDED"
        assert reasons["RetryInfo"].retry_delay.ToTimedelta().total_seconds() == 1.5
        assert [call.code for call in fake.calls] == ["OK", "OK", "RESOURCE_EXHAUSTED"]
        pager = client.list_assets(request={"parent": ORG, "page_size": 50}, retry=READ)
        walked = [asset.name for asset in pager]
        fake.reset()
        assert walked == names(client)

    def test_a_failure_is_for_the_calls_that_fit(self, client, fake: FakeGcp) -> None:
        fake.fail("UNAVAILABLE", content="iam_policy", parent=fake.projects["staging"], times=1)
        assert assets(client, PROD_NUMBER, "IAM_POLICY")
        assert assets(client, "projects/halden-staging", "RESOURCE")
        with pytest.raises(exceptions.ServiceUnavailable):
            assets(client, "projects/730145520022", "IAM_POLICY")  # the same project by its number
        assert assets(client, "projects/halden-staging", "IAM_POLICY")

    def test_a_failure_in_the_middle(self, client, fake: FakeGcp) -> None:
        fake.fail("DEADLINE_EXCEEDED", method="ListAssets", after=2)
        walking = pages(client, 20)
        assert len(next(walking).assets) == len(next(walking).assets) == 20
        with pytest.raises(exceptions.DeadlineExceeded):
            next(walking)

    @pytest.mark.parametrize("code", ["OK", "NOPE"])
    def test_a_failure_has_a_status_of_grpc(self, fake: FakeGcp, code: str) -> None:
        with pytest.raises(AuditpackError, match="no status"):
            fake.fail(code)
        with pytest.raises(AuditpackError, match="the estate has no"):
            fake.fail("UNAVAILABLE", parent="projects/elsewhere")

    @pytest.mark.parametrize(
        ("content", "permission"),
        [
            ("RESOURCE", "cloudasset.assets.listResource"),
            ("IAM_POLICY", "cloudasset.assets.listIamPolicy"),
            ("ORG_POLICY", "cloudasset.assets.listOrgPolicy"),
            ("ACCESS_POLICY", "cloudasset.assets.listAccessPolicy"),
        ],
    )
    def test_a_denial_names_the_permission(self, client, fake, content, permission) -> None:
        fake.deny(ORG, content=content.lower())
        with pytest.raises(exceptions.PermissionDenied) as caught:
            assets(client, content=content)
        info = caught.value.details[0]
        assert (info.reason, info.metadata["permission"]) == ("IAM_PERMISSION_DENIED", permission)
        assert isinstance(assets(client, PROD_NUMBER, content), list)
        other = "RESOURCE" if content != "RESOURCE" else "IAM_POLICY"
        assert assets(client, content=other)

    def test_methods_can_be_denied(self, client, fake: FakeGcp) -> None:
        fake.deny(method="SearchAllIamPolicies")
        with pytest.raises(exceptions.PermissionDenied, match="searchAllIamPolicies"):
            client.search_all_iam_policies(request={"scope": ORG})
        assert assets(client)

    def test_a_disabled_api(self, client, fake: FakeGcp) -> None:
        fake.disable_api()
        with pytest.raises(exceptions.PermissionDenied, match="has not been used") as caught:
            assets(client)
        info = next(d for d in caught.value.details if hasattr(d, "reason"))
        assert info.reason == "SERVICE_DISABLED"
        assert info.metadata["consumer"] == "projects/730145520033"

    def test_a_quota(self, client, fake: FakeGcp) -> None:
        fake.limit(3, seconds=0.5)
        for _ in range(3):
            page(client, page_size=1)
        with pytest.raises(exceptions.ResourceExhausted) as caught:
            page(client, page_size=1)
        assert 0 < caught.value.details[1].retry_delay.ToTimedelta().total_seconds() <= 0.5
        assert client.search_all_resources(request={"scope": ORG, "page_size": 1}).results
        assert next(iter(client.list_assets(request={"parent": ORG}, retry=READ).pages))

    def test_slowness_meets_the_callers_deadline(self, client, fake: FakeGcp) -> None:
        fake.delay(0.5)
        with pytest.raises(exceptions.DeadlineExceeded):
            client.list_assets(request={"parent": ORG}, timeout=0.1, retry=None)

    def test_methods_that_are_not_served_are_seen(self, client, fake: FakeGcp) -> None:
        with pytest.raises(exceptions.MethodNotImplemented):
            client.delete_feed(request={"name": f"{ORG}/feeds/x"})
        with pytest.raises(exceptions.MethodNotImplemented):
            client.export_assets(request={"parent": ORG})
        assets(client)
        assert fake.others == ["DeleteFeed", "ExportAssets"]
        listing = fake.calls[-1]
        assert (listing.method, listing.parent, listing.content) == ("ListAssets", ORG, "resource")
        assert "x-goog-request-params" in listing.metadata


class TestSigningIn:
    @staticmethod
    def connect(fake: FakeGcp, credentials) -> asset_v1.AssetServiceClient:
        trusted = grpc.ssl_channel_credentials(fake.ca_file.read_bytes())
        channel = secure_authorized_channel(
            credentials, Request(), fake.tls_address, ssl_credentials=trusted
        )
        return client_of(channel)

    def test_tls_wants_a_token(self, fake: FakeGcp) -> None:
        trusted = grpc.ssl_channel_credentials(fake.ca_file.read_bytes())
        with grpc.secure_channel(fake.tls_address, trusted) as channel:
            client = client_of(channel)
            for metadata, reason in (
                ((), "CREDENTIALS_MISSING"),
                ((("authorization", "Bearer nonsense"),), "ACCESS_TOKEN_INVALID"),
            ):
                with pytest.raises(exceptions.Unauthenticated) as caught:
                    client.list_assets(request={"parent": ORG}, metadata=metadata, retry=None)
                assert caught.value.details[0].reason == reason
            given = (("authorization", f"Bearer {fake.tokens.give()}"),)
            assert client.list_assets(request={"parent": ORG}, metadata=given).assets
            fake.tokens.expire()
            with pytest.raises(exceptions.Unauthenticated):
                client.list_assets(request={"parent": ORG}, metadata=given)

    def test_the_port_in_the_clear_may_want_one_too(self, client, fake: FakeGcp) -> None:
        fake.require_token()
        with pytest.raises(exceptions.Unauthenticated):
            assets(client)

    def test_a_service_account_by_the_token_endpoint(self, fake: FakeGcp) -> None:
        credentials = service_account.Credentials.from_service_account_file(
            str(fake.service_account_file), scopes=SCOPES
        )
        assert assets(self.connect(fake, credentials))
        assert fake.tokens.asked == ["/token"]
        assert fake.calls[-1].principal == fake.estate.company.collector

    def test_a_service_account_that_signs_for_itself(self, fake: FakeGcp) -> None:
        credentials = service_account.Credentials.from_service_account_file(
            str(fake.service_account_file), scopes=SCOPES
        ).with_always_use_jwt_access(True)
        assert assets(self.connect(fake, credentials))
        assert fake.tokens.asked == []

    def test_a_key_that_was_replaced_is_refused(self, fake: FakeGcp) -> None:
        with FakeGcp(fake.estate) as another:
            info = another.tokens.service_account_info(fake.token_url)
        credentials = service_account.Credentials.from_service_account_info(info, scopes=SCOPES)
        with pytest.raises(auth_exceptions.RefreshError, match="invalid_grant"):
            credentials.refresh(Request())

    def test_federation(self, fake: FakeGcp) -> None:
        info = json.loads(fake.external_account_file.read_text())
        credentials = identity_pool.Credentials.from_info(info, scopes=SCOPES)
        assert assets(self.connect(fake, credentials))
        assert fake.calls[-1].principal.startswith("principal://iam.googleapis.com/")
        fake.deny(principal=fake.calls[-1].principal)
        with pytest.raises(exceptions.PermissionDenied):
            assets(self.connect(fake, credentials))

    def test_federation_that_becomes_a_service_account(self, fake: FakeGcp) -> None:
        info = json.loads(fake.impersonating_file.read_text())
        credentials = identity_pool.Credentials.from_info(info, scopes=SCOPES)
        assert assets(self.connect(fake, credentials))
        assert fake.calls[-1].principal == fake.estate.company.collector
        assert fake.tokens.asked[0] == "/v1/token"
        assert fake.tokens.asked[1].endswith(":generateAccessToken")

    def test_a_stranger_is_not_federated(self, fake: FakeGcp) -> None:
        info = json.loads(fake.external_account_file.read_text())
        Path(info["credential_source"]["file"]).write_text("somebody-elses-token")
        credentials = identity_pool.Credentials.from_info(info, scopes=SCOPES)
        with pytest.raises(auth_exceptions.OAuthError, match="invalid_grant"):
            credentials.refresh(Request())

    def test_impersonation_is_for_the_collectors_account(self, fake: FakeGcp) -> None:
        source = service_account.Credentials.from_service_account_file(
            str(fake.service_account_file), scopes=SCOPES
        )
        origin = fake.token_url + "/v1/projects/-/serviceAccounts/"
        for account, allowed in ((fake.tokens.collector, True), ("root@x.example", False)):
            credentials = impersonated_credentials.Credentials(
                source,
                account,
                SCOPES,
                iam_endpoint_override=f"{origin}{account}:generateAccessToken",
            )
            if allowed:
                assert assets(self.connect(fake, credentials))
            else:
                with pytest.raises(auth_exceptions.RefreshError):
                    credentials.refresh(Request())

    def test_a_machines_own_account(self, fake: FakeGcp, monkeypatch) -> None:
        metadata = compute_engine._metadata
        monkeypatch.setattr(metadata, "_GCE_METADATA_HOST", fake.metadata_host)
        credentials = compute_engine.Credentials()
        assert assets(self.connect(fake, credentials))
        assert credentials.service_account_email == fake.tokens.collector
        bare = requests.get(f"{fake.token_url}/computeMetadata/v1/project/project-id", timeout=5)
        assert bare.status_code == 403

    def test_the_endpoint_can_refuse(self, fake: FakeGcp) -> None:
        fake.tokens.refusal = (400, "invalid_grant", "Account has been disabled.")
        credentials = service_account.Credentials.from_service_account_file(
            str(fake.service_account_file), scopes=SCOPES
        )
        with pytest.raises(auth_exceptions.RefreshError, match="disabled"):
            credentials.refresh(Request())

    def test_a_client_that_does_not_trust_it_gets_nothing(self, fake: FakeGcp) -> None:
        with (
            grpc.secure_channel(fake.tls_address, grpc.ssl_channel_credentials()) as channel,
            pytest.raises(exceptions.ServiceUnavailable),
        ):
            client_of(channel).list_assets(request={"parent": ORG}, retry=None, timeout=3)
        assert not fake.calls


class TestEstate:
    def test_it_is_a_company_with_variety(self, client) -> None:
        found = assets(client)
        assert len(found) >= 120
        assert len({asset.asset_type for asset in found}) >= 60
        known = "cloudresourcemanager.googleapis.com/"
        assert {"Organization", "Folder", "Project"} <= {
            a.asset_type.removeprefix(known) for a in found
        }
        unknown = {a.asset_type for a in found if "example" in a.asset_type}
        assert unknown == {"example.googleapis.com/Thing", "quantum.example.com/Gadget"}

    def test_every_asset_hangs_below_the_organisation(self, client) -> None:
        for asset in assets(client):
            assert asset.ancestors[-1] == ORG
            assert asset.name.startswith("//")
            assert "${" not in str(data_of(asset))
            assert "leave-out" not in str(data_of(asset))

    def test_every_group_of_ours_in_a_policy_has_members(self, fake: FakeGcp, client) -> None:
        ours = {
            member
            for asset in assets(client, content="IAM_POLICY")
            for binding in asset.iam_policy.bindings
            for member in binding.members
            if member.startswith("group:") and member.endswith("@haldenlabs.example")
        }
        assert ours <= fake.estate.company.groups.keys()

    def test_every_key_in_use_is_in_cloud_kms(self, client) -> None:
        keys = set(names(client, asset_types=["cloudkms.*CryptoKey"]))
        found = TestSearchingResources.search(client, "kmsKeys:*")
        used = {f"//cloudkms.googleapis.com/{key}" for result in found for key in result.kms_keys}
        assert used - keys == set()
        assert len(used) > 5

    @pytest.mark.parametrize(
        ("said", "complaint"),
        [
            ({"nowhere": {}}, "there is no 'nowhere'"),
            ({"production": {"x.example.com/Y": [{"name": "a"}]}}, "nothing is known of x.example"),
            ({"production": {BUCKET: [{"name": "a"}, {"name": "a"}]}}, "two of"),
            ({"production": {BUCKET: [{"name": "a", "colour": "red"}]}}, "not understood"),
            ({"production": {BUCKET: [{"name": "a", "data": {"x": "${what}"}}]}}, "nobody knows"),
            ({}, "organization is not described"),
            (
                {"production": {BUCKET: [{"name": "a", "org_policies": [{"nonsense": 1}]}]}},
                "ParseError",
            ),
        ],
    )
    def test_mistakes_are_named(self, tmp_path: Path, said, complaint: str) -> None:
        source = Path(building.__file__).parent / "estate" / "company.yaml"
        (tmp_path / "company.yaml").write_text(source.read_text())
        (tmp_path / "topic.yaml").write_text(json.dumps(said))
        with pytest.raises(AuditpackError, match=complaint):
            building.load_gcp_estate(tmp_path)


class TestAlone:
    def test_it_runs_by_itself_until_its_input_ends(self) -> None:
        command = [sys.executable, "-m", "auditpack.demo.gcp", "--with-parent"]
        command += ["--multiply", RESULTS, "150"]
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            about = json.loads(process.stdout.readline())
            with grpc.insecure_channel(about["address"]) as channel:
                found = names(client_of(channel), about["organization"], asset_types=[BUCKET])
            assert len(found) > 150
            assert Path(about["ca_file"]).exists()
            _, err = process.communicate(timeout=20)
        assert process.returncode == 0
        assert "AUDITPACK_GCP_ENDPOINT=http://" in err
        assert not Path(about["ca_file"]).exists()

    def test_outside_of_its_block_it_has_no_address(self, fake: FakeGcp) -> None:
        stopped = FakeGcp(fake.estate)
        for name in ("address", "tls_address", "ca_file", "token_url", "service_account_file"):
            with pytest.raises(AuditpackError, match="not running"):
                getattr(stopped, name)
