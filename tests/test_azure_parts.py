"""The parts of the Azure engine, each by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from collectors.azure.actions import action_of_path
from collectors.azure.bulk import query_text, subscription_of
from collectors.azure.clouds import AzureSettings
from collectors.azure.errors import NotReadOnlyError
from collectors.azure.exchange import Reply, Request, reply_of
from collectors.azure.outcomes import classify, detail_of
from collectors.azure.quota import READS_LEFT, REMAINING, RESETS_AFTER, QueryQuota, ReadQuota
from collectors.azure.spec import AzureResourceType, ListCall
from collectors.seen import SeenRows
from evidence.outcome import Outcome


@pytest.mark.parametrize(
    ("path", "base", "action"),
    [
        ("/subscriptions/{account}", "", "Microsoft.Resources/subscriptions/read"),
        (
            "/subscriptions/{account}/resourceGroups",
            "",
            "Microsoft.Resources/subscriptions/resourceGroups/read",
        ),
        (
            "/subscriptions/{account}/providers/Microsoft.Security/pricings",
            "",
            "Microsoft.Security/pricings/read",
        ),
        (
            "{id}/blobServices/default",
            "Microsoft.Storage/storageAccounts",
            "Microsoft.Storage/storageAccounts/blobServices/read",
        ),
        (
            "{id}/providers/Microsoft.Insights/diagnosticSettings",
            "Microsoft.KeyVault/vaults",
            "Microsoft.Insights/diagnosticSettings/read",
        ),
        ("{id}", "Microsoft.Sql/servers", "Microsoft.Sql/servers/read"),
        (
            "/providers/Microsoft.Management/managementGroups/{name}/settings/default",
            "",
            "Microsoft.Management/managementGroups/settings/read",
        ),
        ("{steps.found.id}/databases", "Microsoft.Sql/servers", ""),
        ("{id}/{each.kind}", "Microsoft.Sql/servers", ""),
    ],
)
def test_the_action_is_read_off_the_path(path: str, base: str, action: str) -> None:
    assert action_of_path(path, base) == action


@pytest.mark.parametrize(
    ("status", "code", "message", "outcome"),
    [
        (401, "InvalidAuthenticationToken", "", Outcome.DENIED),
        (403, "AuthorizationFailed", "", Outcome.DENIED),
        (403, "Authorization_RequestDenied", "Insufficient privileges", Outcome.DENIED),
        (403, "HTTP 403", "", Outcome.DENIED),
        (403, "Authentication_MSGraphPermissionMissing", "", Outcome.DENIED),
        (403, "AuthorizationFailed", "no right over '/vaults/premium-licences'", Outcome.DENIED),
        (409, "MissingSubscriptionRegistration", "", Outcome.NOT_ENABLED),
        (400, "SubscriptionNotRegistered", "", Outcome.NOT_ENABLED),
        (404, "ResourceProviderNotRegistered", "", Outcome.NOT_ENABLED),
        (404, "InvalidResourceNamespace", "", Outcome.NOT_ENABLED),
        (403, "Forbidden", "Your tenant is not licensed for this feature.", Outcome.NOT_ENABLED),
        (400, "AadPremiumLicenseRequired", "", Outcome.NOT_ENABLED),
        (429, "HTTP 429", "", Outcome.THROTTLED),
        (503, "ServerBusy", "", Outcome.ERROR),
        (404, "ResourceNotFound", "", Outcome.ERROR),
        (0, "ServiceRequestError", "refused", Outcome.ERROR),
        (0, "CredentialUnavailableError", "none", Outcome.DENIED),
    ],
)
def test_outcomes(status: int, code: str, message: str, outcome: Outcome) -> None:
    assert classify(Reply(status, None, (code,), message)) is outcome


def test_declared_codes_come_first_in_any_case_and_at_any_depth() -> None:
    body = b'{"error": {"code": "BadRequest", "message": "no", "details": [{"code": "NotHere"}]}}'
    reply = reply_of(400, {}, body)
    assert reply.codes == ("BadRequest", "NotHere")
    assert classify(reply, ("nothere",)) is Outcome.ABSENT
    assert classify(reply, ("BadRequest: something else",)) is Outcome.ERROR
    assert classify(reply, (), ("badrequest: No",)) is Outcome.NOT_ENABLED


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (b'{"code": "A", "message": "b"}', "A", "b"),
        (b'{"odata.error": {}}', "HTTP 500", '{"odata.error": {}}'),
        (b'{"error": {"code": "A", "message": {"lang": "en", "value": "b"}}}', "A", "b"),
        (b'{"error": "invalid_grant", "error_description": "b"}', "invalid_grant", "b"),
        (b'{"odata.error": {"code": "A", "message": {"lang": "en", "value": "b"}}}', "A", "b"),
        (b'{"Code": "A", "Message": "b", "Target": null}', "A", "b"),
        (b'{"Error": {"Code": "A", "Message": "b"}}', "A", "b"),
        (b'{"errorCode": "A", "message": "b"}', "A", "b"),
        (b'{"error": {"code": 4031, "message": "b"}}', "4031", "b"),
        (b'{"error": {"code": "", "message": "b"}}', "HTTP 500", "b"),
        (b'{"error": "It went wrong."}', "HTTP 500", "It went wrong."),
        (b'{"statusCode": 500, "message": "b"}', "HTTP 500", "b"),
        (b'{"error": ["a"]}', "HTTP 500", '{"error": ["a"]}'),
        (b"<html>gone</html>", "HTTP 500", "a web page: gone"),
        (
            b"<!DOCTYPE html><html><head><title>403 &ndash; No\n way</title></head>"
            b"<style>p {}</style><body><p>long</p></body></html>",
            "HTTP 500",
            "a web page: 403 \N{EN DASH} No way",
        ),
        (b"", "HTTP 500", "the answer is empty"),
        (b"[]", "HTTP 500", "[]"),
        (b"\xff\xfe", "HTTP 500", "\ufffd\ufffd"),
    ],
)
def test_errors_of_every_form_are_read(body: bytes, code: str, message: str) -> None:
    reply = reply_of(500, {"retry-after": "soon"}, body)
    assert (reply.code, reply.message, reply.retry_after, reply.ok) == (code, message, 0.0, False)


@pytest.mark.parametrize(
    ("status", "code", "message", "needs"),
    [
        (
            409,
            "MissingSubscriptionRegistration",
            "The subscription is not registered to use namespace 'Microsoft.Cdn'.",
            "the resource provider Microsoft.Cdn, which is not registered",
        ),
        (
            404,
            "Subscription Not Registered",
            "Please register in order to view your security status.",
            "the resource provider Microsoft.Security, which is not registered",
        ),
        (403, "Forbidden", "The tenant is not licensed.", "a licence that the tenant has not"),
        (403, "Authorization_RequestDenied", "Insufficient privileges", "Microsoft.Security/x"),
        (403, "HTTP 403", "the answer is empty", "Microsoft.Security/x"),
    ],
)
def test_what_is_missing_is_named(status: int, code: str, message: str, needs: str) -> None:
    reply = Reply(status, None, (code,), message)
    said = detail_of(reply, classify(reply), "Microsoft.Security/x/read")
    assert said.startswith(f"{code}: {message} (needs {needs}")


@pytest.mark.parametrize(
    ("body", "data"),
    [
        (b'{"a": 9223372036854775807}', {"a": 9223372036854775807}),
        (b'{"a": 1000000000000000000000000000000}', {"a": 1e30}),
        (b'{"a": -9223372036854775809, "b": "\\ud800"}', {"a": -9223372036854775808.0, "b": "?"}),
        (b'{"a": "x\\ud83dy", "\\ud800": 1}', {"a": "x?y", "?": 1}),
        (b'{"a": "\\ud83d\\ude00"}', {"a": "\N{GRINNING FACE}"}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'{"a": NaN}', {"a": "NaN"}),
    ],
)
def test_what_tables_cannot_hold_is_made_into_what_they_can(body: bytes, data: Any) -> None:
    import orjson

    reply = reply_of(200, {}, body)
    assert reply.data == data
    assert type(reply.data["a"]) is type(data["a"])
    orjson.dumps(reply.data)


@pytest.mark.parametrize("body", [b"\xff", b'{"a"', b"[" * 100_000, b"null", b""])
def test_what_is_no_answer_is_none(body: bytes) -> None:
    assert reply_of(200, {}, body).code == "InvalidAnswer"


def test_a_success_that_is_no_json_is_an_error() -> None:
    reply = reply_of(200, {}, b"<html>login</html>")
    assert classify(reply) is Outcome.ERROR
    assert detail_of(reply, Outcome.ERROR, "x") == "InvalidAnswer: a web page: login"


def test_links_are_followed_as_written_and_never_to_another_host() -> None:
    link = "https://elsewhere.example/a%20b?api-version=1&$skiptoken=x%2By%3D"
    following = Request("/a b", {"api-version": "1"}).following(link)
    assert following.url == "/a%20b?api-version=1&$skiptoken=x%2By%3D"
    assert following.parameters == {
        "path": "/a b",
        "query": {"api-version": "1", "$skiptoken": "x+y="},
    }


def test_paths_and_options_are_encoded() -> None:
    request = Request("/providers/x/a b#c", {"$filter": "a eq 'b c'"})
    assert request.url == "/providers/x/a%20b%23c?%24filter=a%20eq%20%27b%20c%27"


def test_the_quota_is_shared_and_waited_for() -> None:
    now, slept = [0.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    quota = QueryQuota(clock=lambda: now[0], sleep=sleep)
    quota.acquire()
    quota.answered({REMAINING: "1", RESETS_AFTER: "00:00:05"})
    quota.acquire()
    quota.acquire()
    assert slept == [5.0]
    quota.answered({REMAINING: "1", RESETS_AFTER: "00:00:02"})
    quota.acquire()
    assert slept == [5.0, 2.0], "one query that is under way is not in what is left"


def test_a_quota_that_is_not_said_is_none() -> None:
    quota = QueryQuota(sleep=lambda _: pytest.fail("nothing said to wait"))
    for headers in ({}, {REMAINING: "many", RESETS_AFTER: "later"}):
        quota.acquire()
        quota.answered(headers)


def test_reads_are_waited_for_before_they_are_refused() -> None:
    now, slept = [100.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    quota = ReadQuota(clock=lambda: now[0], sleep=sleep)
    for _ in range(3):
        quota.acquire()
    assert slept == [], "nothing is said yet"
    quota.answered({READS_LEFT[0]: "7"})  # two are under way: five are left
    quota.acquire()
    quota.acquire()
    assert slept == []
    quota.acquire()
    assert slept == [pytest.approx(1 / 25)], "three stay in the bucket, and 25 a second come back"
    now[0] += 10
    for _ in range(100):
        quota.acquire()
    assert len(slept) == 1


def test_the_least_of_what_is_left_counts_and_nonsense_does_not() -> None:
    slept: list[float] = []
    now = [0.0]

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    quota = ReadQuota(clock=lambda: now[0], sleep=sleep)
    for headers in ({}, {READS_LEFT[0]: "many"}, {READS_LEFT[2]: "-1"}):
        quota.acquire()
        quota.answered(headers)
    quota.acquire()
    quota.answered({READS_LEFT[0]: "11999", READS_LEFT[1]: "3"})
    quota.acquire()
    assert slept == [pytest.approx(1 / 25)]


def test_the_query_is_ordered() -> None:
    call = ListCall(resource_graph="resources")
    assert query_text(call, "Microsoft.Web/sites") == (
        "resources | where type =~ 'microsoft.web/sites' | order by id asc"
    )
    call = ListCall(resource_graph="resources", where="a", extend="b = 1", project="id, b")
    assert query_text(call, "") == (
        "resources | where a | extend b = 1 | project id, b | order by id asc"
    )


def test_a_row_belongs_to_the_subscription_that_it_names_or_whose_id_it_has() -> None:
    assert subscription_of({"subscriptionId": "AB-1"}) == "ab-1"
    assert subscription_of({"subscriptionId": "", "id": "/SUBSCRIPTIONS/Ab-1/x"}) == "ab-1"
    assert subscription_of({"id": "/providers/Microsoft.Management/managementGroups/m"}) == ""
    assert subscription_of({"id": None, "subscriptionId": None}) == ""


def test_rows_are_remembered_without_their_text() -> None:
    seen = SeenRows()
    assert [seen.seen(f"r{number}", b"a") for number in range(5000)] == [None] * 5000
    assert {seen.seen(f"r{number}", b"a") for number in range(5000)} == {True}
    assert {seen.seen(f"r{number}", b"b") for number in range(5000)} == {False}


@pytest.mark.parametrize(
    ("cloud", "arm", "graph"),
    [
        ("public", "https://management.azure.com", "https://graph.microsoft.com"),
        ("us-government", "https://management.usgovcloudapi.net", "https://graph.microsoft.us"),
        (
            "china",
            "https://management.chinacloudapi.cn",
            "https://microsoftgraph.chinacloudapi.cn",
        ),
    ],
)
def test_clouds(cloud: str, arm: str, graph: str) -> None:
    found = AzureSettings(cloud=cloud).endpoints()
    assert (found.arm, found.graph, found.arm_audience) == (arm, graph, f"{arm}/.default")
    assert found.authority_is_known


def test_endpoints_may_be_configured_and_the_audience_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", "login.example/")
    found = AzureSettings(arm_endpoint="arm.example:8443").endpoints()
    assert (found.authority, found.arm) == ("https://login.example", "https://arm.example:8443")
    assert found.arm_audience == "https://management.azure.com/.default"
    assert not found.authority_is_known


class SentError(Exception):
    """Something would have been sent."""


@pytest.mark.parametrize(
    ("method", "url", "refused"),
    [
        ("GET", "https://arm.example/subscriptions?api-version=1", False),
        ("POST", "https://arm.example/providers/Microsoft.ResourceGraph/resources?a=1", False),
        ("POST", "https://arm.example/subscriptions/s/providers/Microsoft.Web/register", True),
        ("POST", "https://arm.example/x/storageAccounts/y/listKeys?api-version=1", True),
        ("PUT", "https://arm.example/providers/Microsoft.ResourceGraph/resources", True),
        ("DELETE", "https://arm.example/subscriptions/s", True),
        ("PATCH", "https://arm.example/subscriptions/s", True),
        ("GET", "https://elsewhere.example/subscriptions", True),
        ("GET", "http://arm.example/subscriptions", True),
    ],
)
def test_nothing_but_reading_reaches_the_credential_or_the_wire(
    method: str, url: str, refused: bool
) -> None:
    from azure.core import PipelineClient
    from azure.core.rest import HttpRequest

    from collectors.azure.readonly import ReadOnlyPolicy

    class Wire:
        """A policy that stands where the token is fetched."""

        def send(self, request: Any) -> Any:
            raise SentError

    policy = ReadOnlyPolicy("https://arm.example")
    policy.next = Wire()  # type: ignore[assignment]
    client = PipelineClient("https://arm.example", policies=[policy])
    policy.next = Wire()  # type: ignore[assignment]
    with pytest.raises(NotReadOnlyError if refused else SentError):
        client.send_request(HttpRequest(method, url))


def test_no_pipeline_has_a_policy_that_writes_or_follows_redirects(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from collectors.azure.session import TenantSession, TenantTarget

    monkeypatch.setenv("AZURE_CLIENT_ID", "c")
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "s")
    session = TenantSession(
        TenantTarget(id="aaaaaaaa-0000-4000-8000-000000000001"), AzureSettings()
    )
    for client in (session._arm._client, session._graph):
        policies = [type(policy).__name__ for policy in client._pipeline._impl_policies]
        policies = [name.removeprefix("_SansIOHTTPPolicyRunner") or name for name in policies]
        assert "ARMAutoResourceProviderRegistrationPolicy" not in policies
        assert "RedirectPolicy" not in policies
        wanted = ["ReadOnlyPolicy", "BearerTokenCredentialPolicy", "RecordingPolicy"]
        assert [name for name in policies if name in wanted] == wanted
    session.close()


def test_a_write_is_refused_before_it_is_sent_and_recorded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from collectors.azure.session import TenantSession, TenantTarget

    monkeypatch.setenv("AZURE_CLIENT_ID", "c")
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "s")
    settings = AzureSettings(authority="https://127.0.0.1:9", arm_endpoint="https://127.0.0.1:9")
    session = TenantSession(TenantTarget(id="aaaaaaaa-0000-4000-8000-000000000001"), settings)
    request = Request("/subscriptions/s/providers/Microsoft.Web/register", body={})
    with session.recorder.recording() as exchanges:
        reply = session.send("arm", "POST register", request)
    assert reply.code == "NotReadOnlyError"
    assert classify(reply) is Outcome.ERROR
    assert [exchange.error for exchange in exchanges] == ["NotReadOnlyError"]
    session.close()


@pytest.mark.parametrize(
    ("kind", "variables", "expected"),
    [
        ("default", {"AZURE_CLIENT_SECRET": "s"}, "ClientSecretCredential"),
        ("environment", {"AZURE_CLIENT_SECRET": "s"}, "ClientSecretCredential"),
        ("client_secret", {"AZURE_CLIENT_SECRET": "s"}, "ClientSecretCredential"),
        ("default", {"AZURE_FEDERATED_TOKEN_FILE": __file__}, "WorkloadIdentityCredential"),
        (
            "workload_identity",
            {"AZURE_FEDERATED_TOKEN_FILE": __file__},
            "WorkloadIdentityCredential",
        ),
        ("managed_identity", {}, "ManagedIdentityCredential"),
        ("cli", {}, "AzureCliCredential"),
        ("default", {}, "ChainedTokenCredential"),
    ],
)
def test_credentials_by_configuration(
    monkeypatch: pytest.MonkeyPatch, kind: str, variables: dict[str, str], expected: str
) -> None:
    from collectors.azure.credentials import CredentialTarget, credential_for

    for name, value in {"AZURE_CLIENT_ID": "c", **variables}.items():
        monkeypatch.setenv(name, value)
    tenant = "aaaaaaaa-0000-4000-8000-000000000001"
    found = credential_for(CredentialTarget(kind), tenant, AzureSettings())
    assert type(found).__name__ == expected


def test_a_credential_that_lacks_something_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from collectors.azure.credentials import CredentialTarget, credential_for
    from collectors.azure.errors import AzureCredentialsError

    monkeypatch.setenv("OTHER_SECRET", "")
    target = CredentialTarget("client_secret", "c", "OTHER_SECRET")
    with pytest.raises(AzureCredentialsError, match="client_secret"):
        credential_for(target, "tenant", AzureSettings())


def test_a_ca_file_is_trusted_besides_the_usual_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import certifi

    from collectors.azure.trust import bundle_with
    from evidence.errors import UsageError

    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    own = tmp_path / "own.pem"
    own.write_text("-----BEGIN CERTIFICATE-----\nown\n-----END CERTIFICATE-----\n")
    found = Path(str(bundle_with(str(own)))).read_text()
    assert found.endswith(own.read_text())
    assert found.startswith(Path(certifi.where()).read_text())
    with pytest.raises(UsageError, match="cannot be read"):
        bundle_with(str(tmp_path / "missing.pem"))


@pytest.mark.parametrize(
    "body",
    [
        "[]",
        "{}",
        '{"value": null}',
        '{"value": 7}',
        '{"value": {"a": 1}}',
        '{"value": [], "nextLink": 7}',
        '{"value": [], "nextLink": "https://["}',
        '{"value": [], "nextLink": "https://x/subscriptions?api-version=2022-12-01"}',
    ],
)
def test_subscriptions_that_are_no_whole_list_open_nothing(
    monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    from collectors.azure.errors import AzureUnreachableError

    opened = opened_with(monkeypatch, body.encode())
    assert isinstance(opened.failure, AzureUnreachableError)
    assert "not a whole list" in opened.failure.what


def test_subscriptions_of_another_form_are_still_known(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b"""{"value": [null, 7, {}, {"id": null}, {"id": "/subscriptions/AB-1", "new": {}},
        {"subscriptionId": "AB-2", "state": "WARNED", "displayName": 7, "tenantId": null},
        {"subscriptionId": "ab-3", "state": "Deleted"}], "nextLink": ""}"""
    opened = opened_with(monkeypatch, body)
    assert opened.failure is None
    assert [item.id for item in opened.subscriptions] == ["ab-1", "ab-2", "ab-3"]
    assert opened.readable == ("ab-1", "ab-2")


def opened_with(monkeypatch: pytest.MonkeyPatch, body: bytes) -> Any:
    """What comes of a tenant whose subscriptions are answered so."""
    from collectors.azure import opening
    from collectors.azure.session import TenantSession, TenantTarget

    monkeypatch.setenv("AZURE_CLIENT_ID", "c")
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "s")
    monkeypatch.setattr(TenantSession, "send", lambda *_: reply_of(200, {}, body))
    target = TenantTarget(id="aaaaaaaa-0000-4000-8000-000000000001")
    return opening.open_tenant(target, AzureSettings())


def test_missing_libraries_name_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from collectors.azure.session import TenantSession, TenantTarget
    from evidence.errors import UsageError

    monkeypatch.setitem(sys.modules, "azure.mgmt.resource.resources", None)
    monkeypatch.setenv("AZURE_CLIENT_ID", "c")
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "s")
    with pytest.raises(UsageError) as error:
        TenantSession(TenantTarget(id="t"), AzureSettings())
    assert "pip install 'auditpack[azure]'" in error.value.mend


def test_redactions_of_two_types_with_one_path_do_not_meet() -> None:
    from collectors.azure.catalogue import redactor_for

    def spec(name: str, path: str) -> AzureResourceType:
        return AzureResourceType.model_validate(
            {
                "type": name,
                "title": "t",
                "native_type": "A.B/c",
                "service": "s",
                "scope": "subscription",
                "list": {"arm": "/subscriptions/{account}/x", "api": "2020-01-01"},
                "facets": {"one": {"field": {"type": "text", "path": "a"}}},
                "redact": [{"path": path}],
            }
        )

    redactor = redactor_for([spec("azure_one", "a.b"), spec("azure_two", "a.c")], b"k" * 32)
    answer = {"value": [{"a": {"b": "bee", "c": "sea"}}]}
    one, _ = redactor.redact(("azure_one", "list"), answer)
    assert one["value"][0]["a"]["c"] == "sea"
    assert one["value"][0]["a"]["b"].startswith("[redacted ")
    two, _ = redactor.redact(("azure_two", "list"), answer["value"][0])
    assert two["a"]["b"] == "bee"
    assert two["a"]["c"].startswith("[redacted ")
