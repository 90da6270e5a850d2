"""The demo's Azure answers Azure's own SDK clients as Azure does."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
import requests
from azure.core.rest import HttpRequest
from support_azure import Clients

from auditpack.demo.azure import kql
from auditpack.demo.azure.building import load_azure_estate
from auditpack.demo.azure.resource_graph import COLUMNS, TABLES
from auditpack.demo.azure.server import FakeAzure
from auditpack.demo.estate import load_estate
from evidence.errors import AuditpackError

STORAGE = "Microsoft.Storage/storageAccounts"
VAULT = "/resourceGroups/rg-data/providers/Microsoft.KeyVault/vaults/kv-halden-data"


@pytest.fixture(scope="module")
def serving() -> Iterator[FakeAzure]:
    with FakeAzure() as server:
        yield server


@pytest.fixture(scope="module")
def shared_clients(serving: FakeAzure) -> Clients:
    return Clients(serving)


@pytest.fixture
def fake(serving: FakeAzure) -> FakeAzure:
    serving.reset()
    return serving


@pytest.fixture
def clients(fake: FakeAzure, shared_clients: Clients) -> Clients:
    return shared_clients


@pytest.fixture
def production(fake: FakeAzure) -> str:
    return f"/subscriptions/{fake.subscriptions[0]}"


def code_of(answer) -> str:
    return answer.json()["error"]["code"]


class TestSigningIn:
    def test_the_sdk_signs_in_and_reads(self, clients: Clients, fake: FakeAzure) -> None:
        found = [row["subscriptionId"] for row in clients.all_of("/subscriptions")]
        assert sorted(found) == sorted(fake.subscriptions)

    def test_without_a_token_nothing_is_said(self, fake: FakeAzure) -> None:
        for path, code in (
            ("/subscriptions?api-version=2022-12-01", "AuthenticationFailed"),
            ("/v1.0/users", "InvalidAuthenticationToken"),
        ):
            answer = anonymous(fake).get(fake.url + path)
            assert (answer.status_code, code_of(answer)) == (401, code)
        assert (
            "authorization_uri"
            in anonymous(fake).get(fake.url + "/subscriptions").headers["WWW-Authenticate"]
        )

    def test_a_token_is_good_for_one_service(self, fake: FakeAzure) -> None:
        token = fake.tokens.give("https://graph.microsoft.com")
        answer = anonymous(fake).get(
            fake.url + "/subscriptions?api-version=2022-12-01",
            headers={"Authorization": f"Bearer {token}"},
        )
        assert answer.status_code == 401

    def test_another_tenant_is_refused(self, fake: FakeAzure) -> None:
        answer = anonymous(fake).post(
            f"{fake.url}/{'0' * 8}-0000-4000-8000-{'0' * 12}/oauth2/v2.0/token",
            data={"client_secret": "x", "scope": "https://management.azure.com/.default"},
        )
        assert answer.status_code == 400
        assert "AADSTS90002" in answer.json()["error_description"]


class TestResourceManager:
    def test_ids_and_paths_are_known_in_any_case(self, clients: Clients, production: str) -> None:
        path = f"{production}/resourceGroups/RG-DATA/providers/microsoft.STORAGE/storageaccounts"
        whole = clients.get(f"{path}/HALDENPRODRESULTS/blobservices/DEFAULT")
        assert whole.json()["properties"]["isVersioningEnabled"] is True

    def test_a_version_is_needed_and_is_a_date(self, clients: Clients) -> None:
        without = clients.arm.send_request(HttpRequest("GET", "/subscriptions"))
        assert (without.status_code, code_of(without)) == (400, "MissingApiVersionParameter")
        wrong = clients.get("/subscriptions", api="latest")
        assert (wrong.status_code, code_of(wrong)) == (400, "InvalidApiVersionParameter")

    @pytest.mark.parametrize(
        ("path", "code"),
        [
            ("/subscriptions/00000000-0000-0000-0000-000000000000", "SubscriptionNotFound"),
            ("{0}/resourceGroups/nowhere/providers/{1}/x", "ResourceGroupNotFound"),
            ("{0}/resourceGroups/rg-data/providers/{1}/nowhere", "ResourceNotFound"),
            (
                "{0}/resourceGroups/rg-data/providers/{1}/nowhere/blobServices/default",
                "ResourceNotFound",
            ),
            ("{0}/providers/Microsoft.Storage/nothings", "InvalidResourceType"),
        ],
    )
    def test_what_is_missing_is_named(
        self, clients: Clients, production: str, path: str, code: str
    ) -> None:
        answer = clients.get(path.format(production, STORAGE))
        assert (answer.status_code, code_of(answer)) == (404, code)

    def test_pages_follow_each_other_on_the_same_host(
        self, clients: Clients, fake: FakeAzure, production: str
    ) -> None:
        path = f"{production}/providers/{STORAGE}"
        whole = clients.all_of(path)
        fake.page_size = 2
        first = clients.get(path).json()
        assert len(first["value"]) == 2
        assert first["nextLink"].startswith(fake.url)
        assert clients.all_of(path) == whole

    def test_a_type_that_the_company_has_none_of_is_an_empty_list(
        self, clients: Clients, production: str
    ) -> None:
        assert clients.all_of(f"{production}/providers/Microsoft.Network/frontDoors") == []

    def test_rights_are_listed_with_those_above_and_below(
        self, clients: Clients, production: str
    ) -> None:
        path = f"{production}/providers/Microsoft.Authorization/roleAssignments"
        scopes = {row["properties"]["scope"] for row in clients.all_of(path)}
        assert {"/", "/providers/Microsoft.Management/managementGroups/halden"} < scopes
        assert not any("c47d9e08" in scope for scope in scopes)

    def test_roles_that_azure_brings_are_seen_from_the_subscription(
        self, clients: Clients, production: str
    ) -> None:
        kind = "/providers/Microsoft.Authorization/roleDefinitions"
        known = {role["id"] for role in clients.all_of(production + kind)}
        rights = clients.all_of(f"{production}/providers/Microsoft.Authorization/roleAssignments")
        given = {row["properties"]["roleDefinitionId"] for row in rights}
        assert {role for role in given if role.startswith("/subscriptions/")} <= known
        owner = f"{production}{kind}/8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
        assert clients.get(owner, "2022-04-01").json()["id"] == owner
        rows = clients.rows("authorizationresources | order by id asc")
        brought = {row["id"].lower() for row in rows if row["type"].endswith("/roledefinitions")}
        assert {
            row["properties"]["roleDefinitionId"].lower()
            for row in rows
            if row["type"].endswith("/roleassignments")
        } <= brought

    def test_locks_of_groups_are_listed_at_the_subscription(
        self, clients: Clients, production: str
    ) -> None:
        locks = clients.all_of(f"{production}/providers/Microsoft.Authorization/locks")
        assert {lock["name"] for lock in locks} == {"keep-data", "keep-logs"}

    def test_diagnostic_settings_are_those_of_one_thing(
        self, clients: Clients, production: str
    ) -> None:
        settings = "/providers/Microsoft.Insights/diagnosticSettings"
        vault = production + VAULT
        assert [s["name"] for s in clients.all_of(production + settings)] == ["activity-log"]
        assert [s["name"] for s in clients.all_of(vault + settings)] == ["to-logs"]

    def test_a_list_says_less_than_a_get(self, clients: Clients, production: str) -> None:
        vault = production + VAULT
        listed = {key["name"]: key for key in clients.all_of(f"{vault}/keys")}
        assert "rotationPolicy" not in listed["storage"]["properties"]
        assert "rotationPolicy" in clients.get(f"{vault}/keys/storage").json()["properties"]
        assert "exp" not in listed["lims-legacy"]["properties"]["attributes"]

    def test_an_older_version_is_another_shape(self, clients: Clients, production: str) -> None:
        path = f"{production}/providers/Microsoft.Security/securityContacts"
        new = clients.get(path, api="2023-12-01-preview").json()["value"][0]["properties"]
        old = clients.get(path, api="2020-01-01-preview").json()["value"][0]["properties"]
        assert "notificationsSources" in new
        assert "alertNotifications" in old

    def test_secrets_are_refused_to_a_reader(self, clients: Clients, production: str) -> None:
        site = (
            f"{production}/resourceGroups/rg-portal/providers/Microsoft.Web/sites/app-halden-portal"
        )
        answer = clients.arm.send_request(
            HttpRequest("POST", f"{site}/config/appsettings/list?api-version=2023-12-01")
        )
        assert (answer.status_code, code_of(answer)) == (403, "AuthorizationFailed")
        assert "Microsoft.Web/sites/config/list/action" in answer.json()["error"]["message"]

    @pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "POST"])
    def test_nothing_can_be_changed_and_trying_is_seen(
        self, clients: Clients, fake: FakeAzure, production: str, method: str
    ) -> None:
        path = f"{production}/providers/Microsoft.Storage/register?api-version=2021-04-01"
        answer = clients.arm.send_request(HttpRequest(method, path))
        assert answer.status_code == 405
        assert fake.writes == [(method, path.partition("?")[0])]


class TestResourceGraph:
    def test_a_query_of_both_subscriptions_and_of_one(
        self, clients: Clients, fake: FakeAzure
    ) -> None:
        text = f"resources | where type =~ '{STORAGE}' | project id, name | order by id asc"
        both = [row["name"] for row in clients.rows(text)]
        one = [row["name"] for row in clients.rows(text, subscriptions=[fake.subscriptions[1]])]
        assert set(one) == {"haldendevlogs", "haldendevscratch"} < set(both)
        group = clients.rows(text, managementGroups=["halden-sandboxes"])
        assert [row["name"] for row in group] == one

    def test_pages_are_whole(self, clients: Clients, fake: FakeAzure) -> None:
        text = "Resources | order by id asc"
        whole = clients.rows(text)
        fake.page_size = 7
        assert clients.rows(text) == whole
        assert len(fake.queries) > len(whole) / 7

    def test_without_an_id_there_is_no_next_page(self, clients: Clients, fake: FakeAzure) -> None:
        fake.page_size = 2
        answer = clients.query("resources | project name | order by name asc").json()
        assert (answer["resultTruncated"], "$skipToken" in answer) == ("true", False)

    def test_rows_are_as_resource_graph_has_them(self, clients: Clients) -> None:
        row = clients.rows("resources | where name == 'vm-lims'")[0]
        assert set(row) == set(COLUMNS)
        assert (row["type"], row["resourceGroup"]) == (
            "microsoft.compute/virtualmachines",
            "rg-machines",
        )
        assert row["properties"]["extended"]["instanceView"]["powerState"]["code"]
        assert "extended" not in clients.get(row["id"], "2024-07-01").json()["properties"]
        groups = clients.rows("resourcecontainers | where type endswith '/resourcegroups'")
        assert len(groups) > 5

    def test_an_older_row_and_a_missing_one(self, clients: Clients, fake: FakeAzure) -> None:
        text = "resources | where name startswith 'haldenprod' | order by id asc"
        rows = {row["name"]: row for row in clients.rows(text)}
        fake.behind(
            rows["haldenprodresults"]["id"], {"properties": {"minimumTlsVersion": "TLS1_0"}}
        )
        fake.hide(rows["haldenprodleaflets"]["id"].upper())
        fake.remove(rows["haldenprodconsents"]["id"])
        now = {row["name"]: row for row in clients.rows(text)}
        assert now["haldenprodresults"]["properties"]["minimumTlsVersion"] == "TLS1_0"
        read = clients.get(rows["haldenprodresults"]["id"]).json()
        assert read["properties"]["minimumTlsVersion"] == "TLS1_2"
        assert "haldenprodleaflets" not in now
        assert clients.get(rows["haldenprodconsents"]["id"]).status_code == 404

    def test_a_table_when_objects_are_not_asked_for(self, clients: Clients) -> None:
        text = "resources | where name == 'vm-lims' | project id, name"
        answer = clients.query(text, options={"resultFormat": "table"}).json()["data"]
        assert [column["name"] for column in answer["columns"]] == ["id", "name"]
        assert answer["rows"][0][1] == "vm-lims"

    def test_its_quota(self, clients: Clients, fake: FakeAzure) -> None:
        fake.limit_queries(2, seconds=1)
        answers = [clients.query("resources | count") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 200]
        waited = [path for method, path, _ in fake.requests if method == "POST"]
        assert len(waited) == 4  # one was answered 429 and, by the SDK, asked again
        assert answers[0].headers["x-ms-user-quota-remaining"] == "1"

    @pytest.mark.parametrize(
        ("text", "code"),
        [
            ("resources | summarize count() by type", "DisallowedLogicalOperator"),
            ("resources | join kind=inner (resourcecontainers) on id", "DisallowedLogicalOperator"),
            ("nothings | take 1", "InvalidQuery"),
            ("resources | where nothing == 1", "InvalidQuery"),
            ("resources | where hash(name) == 1", "UnknownFunction"),
            ("resources | where name ==", "ParserFailure"),
            ("resources | where name ~~ 'x'", "ParserFailure"),
        ],
    )
    def test_a_query_that_would_not_run_does_not_run(
        self, clients: Clients, text: str, code: str
    ) -> None:
        answer = clients.query(text)
        assert (answer.status_code, code_of(answer)) == (400, "BadRequest")
        assert [d["code"] for d in answer.json()["error"]["details"]] == ["InvalidQuery", code]


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("type =~ 'A/B'", "12"),
        ("type == 'A/B'", ""),
        ("type == 'a/b' and properties.on == true", "1"),
        ("properties.on == 'true'", "1"),
        ("properties.on != true", "23"),
        ("properties.deep.list[0] == 'x'", "1"),
        ("properties['deep'].number > 4", "2"),
        ("name in~ ('ONE', 'two')", "12"),
        ("name !in ('one')", "23"),
        ("name has 'thr' or name contains 'hre'", "3"),
        ("tags.team has 'lab'", "1"),
        ("isnotempty(kind)", "2"),
        ("isempty(kind) and not(name startswith 'o')", "3"),
        ("tolower(tostring(properties.on)) =~ 'FALSE'", "2"),
        ("array_length(properties.deep.list) == 2", "1"),
        ("(name == 'one' or name == 'two') and type endswith '/b'", "12"),
        ("name == 'it\\'s'", ""),
        ("kind !contains 'x' and name !startswith 't'", "1"),
    ],
)
def test_conditions(condition: str, found: str) -> None:
    rows = [
        {"id": "1", "name": "one", "type": "a/b", "kind": "", "tags": {"team": "the lab team"},
         "properties": {"on": True, "deep": {"list": ["x", "y"], "number": 3}}},
        {"id": "2", "name": "two", "type": "a/b", "kind": "x", "tags": {"team": "labour"},
         "properties": {"on": False, "deep": {"number": 5}}},
        {"id": "3", "name": "three", "type": "c", "kind": "", "tags": None, "properties": None},
    ]  # fmt: skip
    query = kql.parse(f"resources | where {condition} | order by id asc", COLUMNS, TABLES)
    assert "".join(row["id"] for row in query.run(rows)) == found


def test_extended_and_projected_rows() -> None:
    rows = [{"id": "1", "properties": {"rules": [{"port": 22}, {"port": 80}]}}]
    text = (
        "resources | mv-expand rule = properties.rules | extend port = toint(rule.port)"
        " | where port < 50 | project id, port, again = strcat('p', port)"
    )
    assert kql.parse(text, COLUMNS, TABLES).run(rows) == [{"id": "1", "port": 22, "again": "p22"}]


class TestMicrosoftGraph:
    def test_pages(self, clients: Clients, fake: FakeAzure) -> None:
        whole = clients.graph_all("/v1.0/users")
        fake.page_size = 3
        assert clients.graph_all("/v1.0/users?$select=id,displayName&$top=999") == [
            {"id": user["id"], "displayName": user["displayName"]} for user in whole
        ]
        assert "accountEnabled" not in whole[0]

    def test_filters(self, clients: Clients) -> None:
        path = "/v1.0/users?$filter=userType eq 'Guest'&$select=id,userType,signInActivity"
        guests = clients.graph_all(path)
        assert {user["userType"] for user in guests} == {"Guest"}
        answer = clients.graph_get("/v1.0/users?$filter=nonsense")
        assert (answer.status_code, code_of(answer)) == (400, "Request_UnsupportedQuery")

    def test_members_and_what_is_expanded(self, clients: Clients) -> None:
        roles = clients.graph_all("/v1.0/directoryRoles")
        role = next(role for role in roles if role["displayName"] == "Global Administrator")
        members = clients.graph_all(f"/v1.0/directoryRoles/{role['id']}/members")
        assert len(members) == 5
        assert "@members" not in role
        assert "members" not in role
        expanded = clients.graph_all("/v1.0/directoryRoles?$expand=members")
        assert any(len(row["members"]) == 5 for row in expanded)

    def test_a_single_object(self, clients: Clients) -> None:
        policy = clients.graph_get("/v1.0/policies/authorizationPolicy").json()
        assert policy["defaultUserRolePermissions"]["allowedToCreateApps"] is True

    def test_what_is_not_there(self, clients: Clients) -> None:
        missing = clients.graph_get("/v1.0/users/00000000-0000-0000-0000-000000000000")
        assert (missing.status_code, code_of(missing)) == (404, "Request_ResourceNotFound")
        assert code_of(clients.graph_get("/v1.0/nothings")) == "BadRequest"

    def test_consent_and_licence(self, clients: Clients, fake: FakeAzure) -> None:
        fake.withhold("Policy.Read.All")
        refused = clients.graph_get("/v1.0/policies/authorizationPolicy")
        assert (refused.status_code, code_of(refused)) == (403, "Authorization_RequestDenied")
        fake.unlicense()
        premium = clients.graph_get("/v1.0/users?$select=id,signInActivity")
        assert code_of(premium) == "Authentication_RequestFromNonPremiumTenantOrB2CTenant"
        eligible = "/v1.0/roleManagement/directory/roleEligibilitySchedules"
        assert code_of(clients.graph_get(eligible)) == "AadPremiumLicenseRequired"
        assert clients.graph_get("/v1.0/users?$select=id").status_code == 200


class TestKnobs:
    def test_throttled_twice_and_then_answered(
        self, clients: Clients, fake: FakeAzure, production: str
    ) -> None:
        fake.fail("/resourcegroups", 429, "TooManyRequests", times=2, retry_after=0)
        assert clients.get(f"{production}/resourcegroups").status_code == 200
        assert len(fake.requests) == 3

    def test_errors_are_in_the_form_of_the_service(
        self, clients: Clients, fake: FakeAzure, production: str
    ) -> None:
        fake.fail("/users", 403, "Authorization_RequestDenied", message="no")
        assert clients.graph_get("/v1.0/users").json()["error"]["innerError"]["request-id"]
        fake.deny("/providers/Microsoft.KeyVault/")
        answer = clients.get(f"{production}/providers/Microsoft.KeyVault/vaults")
        assert (answer.status_code, code_of(answer)) == (403, "AuthorizationFailed")
        assert "Microsoft.KeyVault/vaults/read" in answer.json()["error"]["message"]

    def test_delay(self, clients: Clients, fake: FakeAzure) -> None:
        clients.get("/subscriptions")
        fake.delay(0.2)
        start = time.monotonic()
        clients.get("/subscriptions")
        assert time.monotonic() - start >= 0.2

    def test_answers_are_evidence(self, clients: Clients) -> None:
        headers = clients.get("/subscriptions").headers
        assert re.fullmatch(r"[0-9a-f-]{36}", headers["x-ms-request-id"])
        assert headers["Date"].endswith("GMT")


class TestEstate:
    def test_it_is_the_same_company(self) -> None:
        company = load_estate()
        owners = {team.contact for team in company.teams.values()}
        found = {
            document.body["tags"]["Owner"]
            for document in load_azure_estate().documents.values()
            if "Owner" in (document.body.get("tags") or {})
        }
        assert found <= owners
        assert len(found) >= 4

    def test_nothing_of_our_own_words_is_left(self) -> None:
        estate = load_azure_estate()
        text = json.dumps([d.body for d in estate.documents.values()]) + json.dumps(
            estate.directory
        )
        assert "$leave-out" not in text
        assert not re.search(r"\$\{[a-z-]+", text)
        assert not re.search(r'"(?:note|age|owner|parts)":', text)

    def test_what_is_referred_to_exists(self) -> None:
        """References inside the estate lead to something, except to what Azure would make."""
        estate = load_azure_estate()
        missing = set()
        for document in estate.documents.values():
            for path in re.findall(
                r'"(/subscriptions/[^"]+/providers/[^"]+)"', json.dumps(document.body)
            ):
                low = path.lower()
                if low not in estate.documents and not _is_inside(low, estate.documents):
                    missing.add(re.sub(r"/subscriptions/[^/]+", "", path))
        strange = {path for path in missing if not KNOWN_MISSING.search(path)}
        assert not strange

    def test_a_mistake_is_named(self, tmp_path) -> None:
        (tmp_path / "entra").mkdir()
        (tmp_path / "company.yaml").write_text("tenant: x\n")
        with pytest.raises(AuditpackError, match="not understood"):
            load_azure_estate(tmp_path)


KNOWN_MISSING = re.compile(
    r"/roleDefinitions/|Schedules/|/publicMaintenanceConfigurations/|/Publishers/"
)
"""What Azure itself has, or shows under another id."""


def _is_inside(path: str, documents) -> bool:
    """Whether a path is a part that only stands inside its parent's body."""
    return any(path.startswith(key + "/") for key in documents if key.count("/") > 6)


def anonymous(fake: FakeAzure) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.verify = str(fake.ca_file)
    return session


@pytest.mark.slow
def test_it_serves_in_a_process_of_its_own() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "auditpack.demo.azure", "--with-parent"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        about = json.loads(process.stdout.readline())
        session = requests.Session()
        session.trust_env = False
        answer = session.get(about["url"] + "/subscriptions", verify=about["ca_file"])
        assert answer.status_code == 401
        process.stdin.close()
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
