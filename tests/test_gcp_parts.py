"""The parts of the Google Cloud engine, each by itself."""

from __future__ import annotations

import datetime
import json
import math
from pathlib import Path
from typing import Any

import pytest

from collectors.gcp.assets import ScopeAssets
from collectors.gcp.bulk import asset_types_of
from collectors.gcp.catalogue import redactor_for
from collectors.gcp.exchange import Reply, Request
from collectors.gcp.items import (
    item_of,
    place_of_asset,
    place_of_result,
    project_of,
    said_of,
    tells,
)
from collectors.gcp.moments import read_time_of, same_moment
from collectors.gcp.outcomes import classify, detail_of
from collectors.gcp.redacting import AssetRedactor
from collectors.gcp.settings import CredentialTarget, GcpSettings
from collectors.gcp.spec import GcpResourceType
from evidence.errors import UsageError
from evidence.outcome import Outcome

NOW = datetime.datetime(2026, 11, 24, 12, tzinfo=datetime.UTC)


def spec_of(**more: Any) -> GcpResourceType:
    """A resource type of a few lines."""
    return GcpResourceType.model_validate(
        {
            "type": "gcp_x",
            "title": "t",
            "native_type": "a.b/C",
            "service": "s",
            "scope": "project",
            "facets": {"one": {"field": {"type": "text", "path": "data.a"}}},
            **more,
        }
    )


# What is said in JSON


def test_a_struct_becomes_json_as_the_resource_had_it() -> None:
    from google.cloud import asset_v1

    from collectors.gcp.rendering import as_json, as_text

    page = asset_v1.ListAssetsResponse.pb()()
    asset = page.assets.add(name="n", asset_type="t", ancestors=["projects/1"])
    asset.resource.location = "x"
    told = {
        "i": 3,
        "f": 0.5,
        "big": 2.0**60,
        "no": None,
        "yes": True,
        "l": [1, {"k": "v"}],
        "m": {},
    }
    asset.resource.data.update(told)
    for name, number in (("nan", math.nan), ("up", math.inf), ("down", -math.inf)):
        asset.resource.data.fields[name].number_value = number
    found = as_json(page)["assets"][0]
    assert found["resource"]["location"] == "x"
    data = found["resource"]["data"]
    assert {key: data[key] for key in told} == told
    assert [type(data[key]) for key in ("i", "f", "big")] == [int, float, float]
    assert (data["nan"], data["up"], data["down"]) == ("NaN", "Infinity", "-Infinity")
    assert json.loads(as_text(found)) == found
    assert as_text({"b": 1, "a": {"d": 1, "c": 2}}) == '{"a":{"c":2,"d":1},"b":1}'


def test_other_messages_are_protos_own_json() -> None:
    from google.cloud import asset_v1

    from collectors.gcp.rendering import as_json

    page = asset_v1.SearchAllIamPoliciesResponse.pb()(next_page_token="t")
    page.results.add(resource="r", asset_type="x").policy.etag = b"\x01\x02"
    assert as_json(page) == {
        "results": [{"resource": "r", "assetType": "x", "policy": {"etag": "AQI="}}],
        "nextPageToken": "t",
    }


def test_details_of_a_status_are_read_and_unknown_ones_kept() -> None:
    from google.protobuf import any_pb2
    from google.rpc import error_details_pb2, status_pb2

    from collectors.gcp.rendering import status_as_json

    packed = any_pb2.Any()
    packed.Pack(error_details_pb2.RetryInfo())
    odd = any_pb2.Any(type_url="type.googleapis.com/x.Y", value=b"ab")
    status = status_pb2.Status(code=8, message="slow", details=[packed, odd])
    told = status_as_json(status.SerializeToString())
    assert (told["code"], told["message"]) == (8, "slow")
    assert told["details"][0]["@type"].endswith("google.rpc.RetryInfo")
    assert told["details"][1] == {"@type": "type.googleapis.com/x.Y", "value": "YWI="}
    assert status_as_json(b"") == {}
    assert status_as_json(b"\xff\xff") == {}


# What an error means


def info(reason: str, **metadata: str) -> dict[str, Any]:
    """ErrorInfo in JSON."""
    kind = "type.googleapis.com/google.rpc.ErrorInfo"
    return {"@type": kind, "reason": reason, "metadata": metadata}


@pytest.mark.parametrize(
    ("code", "message", "details", "outcome"),
    [
        ("PERMISSION_DENIED", "no", (), Outcome.DENIED),
        ("PERMISSION_DENIED", "no", (info("SERVICE_DISABLED"),), Outcome.NOT_ENABLED),
        ("PERMISSION_DENIED", "is disabled", (info("IAM_PERMISSION_DENIED"),), Outcome.DENIED),
        ("PERMISSION_DENIED", "has not been used in project 1", (), Outcome.NOT_ENABLED),
        ("FAILED_PRECONDITION", "it has not been enabled", (), Outcome.NOT_ENABLED),
        ("FAILED_PRECONDITION", "something", (), Outcome.ERROR),
        ("PERMISSION_DENIED", "", (info("BILLING_DISABLED"),), Outcome.NOT_ENABLED),
        ("UNAUTHENTICATED", "no", (), Outcome.DENIED),
        ("UNAVAILABLE", "Getting metadata from plugin failed with error: x", (), Outcome.DENIED),
        ("RefreshError", "x", (), Outcome.DENIED),
        ("RESOURCE_EXHAUSTED", "slow", (), Outcome.THROTTLED),
        ("UNAVAILABLE", "down", (), Outcome.ERROR),
        ("INVALID_ARGUMENT", "no", (), Outcome.ERROR),
        ("NotCollected", "", (), Outcome.SKIPPED),
    ],
)
def test_outcomes(code: str, message: str, details: Any, outcome: Outcome) -> None:
    assert classify(Reply(None, code, message, details)) is outcome


def test_an_error_says_what_is_missing_on_one_line() -> None:
    reply = Reply(None, "PERMISSION_DENIED", "not\n  for you")
    assert detail_of(reply, Outcome.DENIED, "a.b.c") == (
        "PERMISSION_DENIED: not for you (needs a.b.c, as in roles/cloudasset.viewer)"
    )
    reply = Reply(
        None, "PERMISSION_DENIED", "x", (info("BILLING_DISABLED", consumer="projects/1"),)
    )
    assert detail_of(reply, Outcome.NOT_ENABLED, "").endswith(
        "(needs billing enabled in projects/1)"
    )
    assert detail_of(Reply(None, "INTERNAL", "x"), Outcome.ERROR, "a.b.c") == "INTERNAL: x"


@pytest.mark.parametrize(
    ("delay", "seconds"), [("3s", 3.0), ("0.250s", 0.25), ("", 0.0), ("soon", 0.0)]
)
def test_the_wait_that_the_cloud_asks_for(delay: str, seconds: float) -> None:
    kind = "type.googleapis.com/google.rpc.RetryInfo"
    reply = Reply(None, "RESOURCE_EXHAUSTED", "", ({"@type": kind, "retryDelay": delay},))
    assert reply.retry_after == seconds


def test_throttling_is_waited_out_as_long_as_the_cloud_asks() -> None:
    from contextlib import contextmanager

    from collectors.answers import Page
    from collectors.gcp.asking import Asker, Question

    kind = "type.googleapis.com/google.rpc.RetryInfo"
    slow = Reply(None, "RESOURCE_EXHAUSTED", "", ({"@type": kind, "retryDelay": "40s"},))
    replies, slept = [slow, Reply(None, "RESOURCE_EXHAUSTED", ""), Reply({"a": 1})], []

    class Source:
        @contextmanager
        def recording(self) -> Any:
            yield []

        def ask(self, operation: str, request: Request) -> Reply:
            return replies.pop(0)

        def clean(self, text: str) -> str:
            return text

        def page(self, exchanges: Any, reply: Reply, content: str) -> Page:
            return Page(reply.data)

    asker = Asker(Source(), first_pause=10, pause=slept.append)
    answer, data = asker.once(Question("x", Request("ListAssets", {})))
    assert (answer.outcome, data) == (Outcome.OK, {"a": 1})
    assert slept[0] == 40
    assert 16 <= slept[1] <= 24


# When


def test_a_run_reads_a_little_before_its_start() -> None:
    assert read_time_of(None, NOW) == "2026-11-24T11:50:00Z"


@pytest.mark.parametrize(
    ("moment", "word"),
    [
        (NOW + datetime.timedelta(seconds=1), "has not come yet"),
        (NOW - datetime.timedelta(days=35, seconds=1), "reaches back 35 days"),
        (NOW.replace(tzinfo=None), "time zone"),
    ],
)
def test_times_that_cannot_be_read(moment: datetime.datetime, word: str) -> None:
    with pytest.raises(UsageError, match=word):
        read_time_of(moment, NOW)


def test_any_time_in_between_is_read_in_utc() -> None:
    moment = datetime.datetime.fromisoformat("2026-11-01T02:00:00+02:00")
    assert read_time_of(moment, NOW) == "2026-11-01T00:00:00Z"
    assert same_moment("2026-11-01T00:00:00Z", "2026-11-01T00:00:00.000Z")
    assert not same_moment("2026-11-01T00:00:00Z", "2026-11-01T00:00:01Z")
    assert not same_moment("2026-11-01T00:00:00Z", "")


# Whose and what


@pytest.mark.parametrize(
    ("asset", "place"),
    [
        ({"ancestors": ["projects/1", "folders/2", "organizations/3"]}, "1"),
        ({"ancestors": ["folders/2", "organizations/3"]}, ""),
        ({"ancestors": ["projects/..", "organizations/3"]}, ""),
        ({"ancestors": "projects/1"}, ""),
        ({"ancestors": [7, "projects/example.com:old"]}, "example.com:old"),
        ({"name": "//compute.googleapis.com/projects/p-1/zones/z/instances/i"}, "p-1"),
        ({"name": "//storage.googleapis.com/projects/_/buckets/b"}, ""),
        (
            {"ancestors": [], "resource": {"parent": "//x/projects/9"}, "name": "//y/projects/8"},
            "9",
        ),
        ({"resource": "odd"}, ""),
        ({}, ""),
    ],
)
def test_the_place_of_an_asset(asset: dict[str, Any], place: str) -> None:
    assert place_of_asset(asset) == place


def test_the_place_of_a_result() -> None:
    assert place_of_result({"project": "projects/1", "resource": "//x/projects/2"}) == "1"
    assert place_of_result({"attachedResourceFullName": "//x/projects/2/y"}) == "2"
    assert place_of_result({"resource": "//storage.googleapis.com/b"}) == ""


def test_a_project_tells_its_number_and_id() -> None:
    kind = "cloudresourcemanager.googleapis.com/Project"
    asset = {"assetType": kind, "ancestors": ["projects/1"]}
    newer = {"projectId": "p", "displayName": "P", "name": "projects/1"}
    assert project_of({**asset, "resource": {"data": newer}}) == ("1", "p", "P")
    older = {"projectId": "p", "projectNumber": 1, "name": "P"}
    assert project_of({"assetType": kind, "resource": {"data": older}}) == ("1", "p", "P")
    assert project_of({**asset, "resource": {"data": {"projectId": "../p"}}}) is None
    assert project_of({**asset, "assetType": "x", "resource": {"data": newer}}) is None
    assert project_of(asset) is None


class FewProjects(ScopeAssets):
    """What was read of a scope in which one project tells its id."""

    def _read_projects(self) -> dict[str, str]:
        self._numbers = {"shop": ["1"]}
        return {"1": "shop"}


def test_accounts_and_places_are_each_others_reverse() -> None:
    assets = FewProjects("organizations/9", lambda _: pytest.fail("nothing is opened"), {})
    places = {"": "organizations/9", "1": "shop", "2": "2", "p": "p", "shop": "shop"}
    assert {place: assets.account_of(place) for place in places} == places
    for place, account in places.items():
        assert place in assets.places_of(account)
    assert assets.places_of("1") == []


def test_items_are_what_their_content_says() -> None:
    asset = {"name": "n", "ancestors": [], "resource": {"data": {"a": 1}, "location": "x"}}
    item = item_of("resource", asset)
    assert item == {"name": "n", "ancestors": [], "data": {"a": 1}, "location": "x"}
    assert tells("resource", item)
    assert not tells("resource", item_of("resource", {"name": "n"}))
    policy = {"name": "n", "iamPolicy": {"bindings": []}}
    assert item_of("iam_policy", policy) == {"name": "n", "policy": {"bindings": []}}
    assert said_of("iam_policy", policy) == {"bindings": []}
    policies = {"name": "n", "orgPolicy": [{"constraint": "c"}]}
    assert item_of("org_policy", policies)["policies"] == [{"constraint": "c"}]
    assert said_of("org_policy", policies) == {"policies": [{"constraint": "c"}]}
    level = {"name": "n", "accessLevel": {"title": "t"}}
    assert said_of("access_policy", level) == {"accessLevel": {"title": "t"}}
    assert tells("access_policy", item_of("access_policy", level))
    assert not tells("access_policy", {"name": "n"})


# What is asked


def test_only_few_types_of_a_restricted_run_are_named() -> None:
    one = spec_of()
    policy = spec_of(type="gcp_y", native_type="d.e/F", list={"content": "iam_policy"})
    assert asset_types_of("resource", [one], restricted=False) == ()
    assert "a.b/C" in asset_types_of("resource", [one], restricted=True)
    assert asset_types_of("iam_policy", [one, policy], restricted=True) == ("d.e/F",)
    everything = spec_of(native_type="*", list={"content": "iam_policy"})
    assert asset_types_of("iam_policy", [policy, everything], restricted=True) == ()
    many = [spec_of(native_type=f"a.b/C{number}") for number in range(40)]
    assert asset_types_of("resource", many, restricted=True) == ()


def test_what_is_declared_is_taken_out_of_the_assets_of_its_type() -> None:
    redact = [
        {"path": "data.items[].value"},
        {"of": "iam_policy", "path": "bindings[].members"},
        {"path": "location"},
    ]
    listed = spec_of(type="gcp_y", native_type="d.e/F", list={"content": "iam_policy"})
    listed = listed.model_copy(
        update={"redact": spec_of(redact=[{"of": "iam_policy", "path": "policy.etag"}]).redact}
    )
    redactor = AssetRedactor(redactor_for([spec_of(redact=redact), listed], b"k" * 32))
    asset = {
        "name": "n",
        "assetType": "a.b/C",
        "resource": {"location": "x", "data": {"items": [{"key": "k", "value": "v"}]}},
        "iamPolicy": {"bindings": [{"members": ["m"]}], "etag": "e"},
    }
    (clean,), found = redactor.assets("resource", [asset])
    assert [item.path for item in found] == [
        "assets[0].resource.data.items[0].value",
        "assets[0].resource.location",
    ]
    assert clean["iamPolicy"] == asset["iamPolicy"]
    (clean,), found = redactor.assets("iam_policy", [asset])
    assert [item.path for item in found] == ["assets[0].iamPolicy.bindings[0].members"]
    (clean,), found = redactor.assets("iam_policy", [{**asset, "assetType": "d.e/F"}])
    assert [item.path for item in found] == ["assets[0].iamPolicy.etag"]
    assert redactor.assets("resource", [{**asset, "assetType": "other"}, 7]) == (
        [{**asset, "assetType": "other"}, 7],
        [],
    )


# Where and as whom


@pytest.mark.parametrize(
    ("endpoint", "address", "url"),
    [
        ("", "cloudasset.googleapis.com:443", "https://cloudasset.googleapis.com"),
        ("asset.example", "asset.example:443", "https://asset.example"),
        ("asset.example:8443", "asset.example:8443", "https://asset.example:8443"),
        ("https://asset.example/", "asset.example:443", "https://asset.example"),
        ("http://127.0.0.1:99", "127.0.0.1:99", "http://127.0.0.1:99"),
        ("http://[::1]:99", "[::1]:99", "http://[::1]:99"),
    ],
)
def test_endpoints(endpoint: str, address: str, url: str) -> None:
    settings = GcpSettings(endpoint=endpoint) if endpoint else GcpSettings()
    assert (settings.address, settings.url) == (address, url)
    assert settings.is_plain is endpoint.startswith("http:")


def test_no_credentials_are_sent_in_the_clear_or_by_an_anonymous_caller() -> None:
    from collectors.gcp.credentials import find_credentials

    assert find_credentials(GcpSettings(endpoint="http://127.0.0.1:9")) == (None, "")
    anonymous = GcpSettings(credential=CredentialTarget(anonymous=True))
    assert find_credentials(anonymous) == (None, "")


@pytest.mark.parametrize("text", [None, "{}", '{"type": "nonsense"}', "not JSON"])
def test_a_credentials_file_that_is_none_says_so(tmp_path: Path, text: str | None) -> None:
    from collectors.gcp.credentials import find_credentials
    from collectors.gcp.errors import GcpCredentialsError

    file = tmp_path / "key.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(GcpCredentialsError) as error:
        find_credentials(GcpSettings(credential=CredentialTarget(file=str(file))))
    assert str(file) in error.value.where
    assert "GOOGLE_APPLICATION_CREDENTIALS" in error.value.mend


def test_a_ca_file_is_trusted_besides_the_usual_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import certifi

    from collectors.gcp.trust import bundle_with, root_certificates

    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    own = tmp_path / "own.pem"
    own.write_text("-----BEGIN CERTIFICATE-----\nown\n-----END CERTIFICATE-----\n")
    roots = root_certificates(str(own))
    assert roots is not None
    assert roots.endswith(own.read_bytes())
    assert roots.startswith(Path(certifi.where()).read_bytes())
    assert Path(str(bundle_with(str(own)))).read_bytes() == roots
    assert (root_certificates(""), bundle_with("")) == (None, True)
    with pytest.raises(UsageError, match="cannot be read"):
        root_certificates(str(tmp_path / "missing.pem"))


def test_missing_libraries_name_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from collectors.gcp.opening import open_scopes

    monkeypatch.setitem(sys.modules, "collectors.gcp.session", None)
    with pytest.raises(UsageError) as error:
        open_scopes(("organizations/9",), GcpSettings(), "2026-11-01T00:00:00Z")
    assert "pip install 'auditpack[gcp]'" in error.value.mend


# Only reading


class Wire:
    """Stands where the channel would be; what gets here would be sent."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def unary_unary(self, method: str, *_args: Any, **_more: Any) -> Any:
        self.made.append(method)
        return lambda *args, **more: pytest.fail("nothing is to be sent")


def _methods() -> list[str]:
    from google.cloud.asset_v1.services.asset_service.transports import (
        AssetServiceGrpcTransport,
    )

    from collectors.gcp.readonly import ReadOnlyChannel

    wire = Wire()
    transport = AssetServiceGrpcTransport(channel=ReadOnlyChannel(wire))
    kinds = {name: getattr(type(transport), name, None) for name in dir(transport)}
    names = [name for name, kind in kinds.items() if isinstance(kind, property)]
    return [name for name in names if name not in ("grpc_channel", "kind", "operations_client")]


def test_no_method_but_those_that_read_gets_to_the_wire() -> None:
    from google.cloud import asset_v1
    from google.cloud.asset_v1.services.asset_service.transports import (
        AssetServiceGrpcTransport,
    )

    from collectors.gcp.errors import NotReadOnlyError
    from collectors.gcp.readonly import METHODS, ReadOnlyChannel

    wire = Wire()
    transport = AssetServiceGrpcTransport(channel=ReadOnlyChannel(wire))
    client = asset_v1.AssetServiceClient(transport=transport)
    refused = []
    for name in _methods():
        reading = "".join(part.capitalize() for part in name.split("_"))
        if reading in METHODS or not hasattr(client, name):
            continue
        with pytest.raises(NotReadOnlyError, match="refused before it was sent"):
            getattr(transport, name)(object())
        refused.append(reading)
    assert {"CreateFeed", "DeleteFeed", "ExportAssets", "UpdateSavedQuery"} <= set(refused)
    assert {path.rpartition("/")[2] for path in wire.made} <= METHODS
    with pytest.raises(NotReadOnlyError):
        client.create_feed(request={"parent": "projects/x", "feed_id": "f"})


def test_streams_and_other_services_are_refused_too() -> None:
    from collectors.gcp.errors import NotReadOnlyError
    from collectors.gcp.readonly import SERVICE, ReadOnlyChannel

    channel = ReadOnlyChannel(Wire())
    for make in (channel.unary_stream, channel.stream_unary, channel.stream_stream):
        with pytest.raises(NotReadOnlyError):
            make(f"/{SERVICE}/ListAssets")(object())
    call = channel.unary_unary("/google.iam.admin.v1.IAM/ListAssets")
    for use in (call, call.with_call, call.future):
        with pytest.raises(NotReadOnlyError):
            use(object())


def test_what_cannot_be_sent_is_recorded_all_the_same() -> None:
    from collectors.gcp import session as sessions

    session = sessions.Session(GcpSettings(endpoint="http://127.0.0.1:9"))
    request = Request("ListAssets", {"parent": "organizations/9", "nonsense": 1})
    with session.recorder.recording() as exchanges:
        reply = session.send("ListAssets resource", request)
    assert reply.code == "ParseError"
    assert classify(reply) is Outcome.ERROR
    assert [(exchange.error, exchange.url) for exchange in exchanges] == [("ParseError", "")]
    session.close()


def test_rows_that_are_no_assets_need_an_id_of_their_own() -> None:
    from collectors.gcp.linting import rows_of_one_id

    each = {"each": "data.a"}
    search = {"list": {"search": "policy:allUsers"}, "native_type": ""}
    wrong = [spec_of(type="gcp_a", list=each), spec_of(type="gcp_b", **search)]
    right = [spec_of(), spec_of(list=each, id="{name}/{each}"), spec_of(**search, id="$resource")]
    assert rows_of_one_id([*wrong, *right]) == ["gcp_a", "gcp_b"]
