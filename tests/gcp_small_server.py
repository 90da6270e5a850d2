"""A Cloud Asset Inventory of a few lines, over real gRPC: it answers what a test says.

Assets are given as JSON, as exports have them. What `auditpack.demo.gcp` refuses to be, this can
be: of another time, without data, cut short.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.cloud import asset_v1
from google.protobuf import any_pb2, json_format
from google.rpc import error_details_pb2, status_pb2

from auditpack.collecting import CollectSummary
from auditpack.config import Config, GcpConfig, SigningConfig
from auditpack.console import Output
from auditpack.options import Context
from collectors.gcp.engine import GcpScope
from evidence.snapshot import Snapshot

SERVICE = "google.cloud.asset.v1.AssetService"
ORGANIZATION = "organizations/9"
BUCKET = "storage.googleapis.com/Bucket"
PROJECT = "cloudresourcemanager.googleapis.com/Project"
FOLDER = "cloudresourcemanager.googleapis.com/Folder"

BUCKET_TYPE = """\
type: gcp_small_bucket
title: Bucket
native_type: storage.googleapis.com/Bucket
service: storage
scope: project
tags: {from: list, path: data.labels}
facets:
  access:
    about: how access is decided
    uniform: {type: boolean, path: data.uniform, absent: false, about: whether IAM alone decides}
    days: {type: integer, path: data.days, absent: 0, about: a number}
  policy:
    from: iam_policy
    about: who has access
    roles: {type: list, of: text, path: "bindings[].role", absent: [], about: roles}
redact:
  - {path: data.hidden}
"""

POLICY_TYPE = """\
type: gcp_small_policy
title: IAM policy
native_type: "*"
service: iam
scope: any
list: {content: iam_policy}
facets:
  policy:
    about: the policy
    roles: {type: list, of: text, path: "policy.bindings[].role", absent: [], about: roles}
"""

FOLDER_TYPE = """\
type: gcp_small_folder
title: Folder
native_type: cloudresourcemanager.googleapis.com/Folder
service: resourcemanager
scope: organization
name: data.displayName
facets:
  identity:
    about: what it is
    display_name: {type: text, path: data.displayName, about: its name}
    made: {type: timestamp, path: data.createTime, about: since when it is there}
"""

RULE_TYPE = """\
type: gcp_small_rule
title: Lifecycle rule
native_type: storage.googleapis.com/Bucket
service: storage
scope: project
list: {each: data.rules}
id: "{name}/rules/{each.id}"
facets:
  rule:
    about: the rule
    age: {type: integer, path: each.age, about: days}
"""

ACTOR_TYPE = """\
type: gcp_small_actor
title: Who may act as a service account
service: iam
scope: any
list: {permissions: [iam.serviceAccounts.actAs]}
id: "{attachedResourceFullName}|{iamBinding.role}"
name: attachedResourceFullName
facets:
  binding:
    about: the binding
    role: {type: text, path: iamBinding.role, about: the role}
"""

PUBLIC_TYPE = """\
type: gcp_small_public
title: What everybody may use
service: iam
scope: any
list: {search: "policy:allUsers"}
id: $resource
name: resource
facets:
  policy:
    about: the policy
    roles: {type: list, of: text, path: "policy.bindings[].role", absent: [], about: roles}
"""

TYPES = {
    "gcp_small_bucket": BUCKET_TYPE,
    "gcp_small_policy": POLICY_TYPE,
    "gcp_small_folder": FOLDER_TYPE,
    "gcp_small_rule": RULE_TYPE,
    "gcp_small_actor": ACTOR_TYPE,
    "gcp_small_public": PUBLIC_TYPE,
}
BASIC = ("gcp_small_bucket", "gcp_small_folder", "gcp_small_policy")

_HOLDS = {
    "RESOURCE": ("resource",),
    "IAM_POLICY": ("iamPolicy",),
    "ORG_POLICY": ("orgPolicy",),
    "ACCESS_POLICY": ("accessPolicy", "accessLevel", "servicePerimeter"),
}
_ALWAYS = ("name", "assetType", "ancestors", "updateTime")


def project(number: int, name: str, *above: str) -> dict[str, Any]:
    """A project's own asset."""
    return {
        "name": f"//cloudresourcemanager.googleapis.com/projects/{number}",
        "assetType": PROJECT,
        "ancestors": [f"projects/{number}", *above],
        "resource": {"data": {"projectId": name, "projectNumber": str(number), "name": name}},
    }


def folder(number: int, *above: str) -> dict[str, Any]:
    """A folder's own asset."""
    return {
        "name": f"//cloudresourcemanager.googleapis.com/folders/{number}",
        "assetType": FOLDER,
        "ancestors": [f"folders/{number}", *above],
        "resource": {"data": {"displayName": f"Folder {number}"}},
    }


def bucket(name: str, number: int, *above: str, **data: Any) -> dict[str, Any]:
    """A bucket of a project."""
    return {
        "name": f"//storage.googleapis.com/{name}",
        "assetType": BUCKET,
        "ancestors": [f"projects/{number}", *above],
        "updateTime": "2026-11-01T00:00:00Z",
        "resource": {
            "version": "v1",
            "parent": f"//cloudresourcemanager.googleapis.com/projects/{number}",
            "location": "europe-north1",
            "data": {"name": name, **data},
        },
    }


def with_policy(asset: dict[str, Any], *roles: str) -> dict[str, Any]:
    """The same asset with an IAM policy."""
    bindings = [{"role": role, "members": ["allUsers"]} for role in roles]
    return {**asset, "iamPolicy": {"version": 1, "bindings": bindings}}


def small_estate() -> list[dict[str, Any]]:
    """An organisation with a folder, two projects and three buckets."""
    above = ("folders/8", ORGANIZATION)
    return [
        folder(8, ORGANIZATION),
        project(1, "shop", *above),
        project(2, "lab", *above),
        with_policy(bucket("one", 1, *above, uniform=True, days=3, hidden="hide me"), "roles/a"),
        with_policy(bucket("two", 1, *above, labels={"Owner": "data"}), "roles/b", "roles/c"),
        bucket("three", 2, *above, rules=[{"id": "x", "age": 7}, {"id": "y", "age": 9}]),
        {**project(3, "unseen", *above), "assetType": "example.googleapis.com/Widget"},
    ]


class SmallGcp:
    """Serves assets while a `with` block runs. What is set on it counts from the next call on.

    `refuse` may answer a call with (code, message, details), `change` changes a listing's page,
    a protobuf message, before it is sent; `results` and `analysis` are answers of the two methods
    that answer of now.
    """

    def __init__(self, assets: Iterable[dict[str, Any]] | None = None) -> None:
        self.assets: Iterable[dict[str, Any]] = small_estate() if assets is None else assets
        self.page_size = 1000
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.refuse: Callable[[str, dict[str, Any]], tuple[str, str, list[Any]] | None]
        self.refuse = lambda method, request: None
        self.change: Callable[[Any], None] = lambda page: None
        self.results: list[dict[str, Any]] = []
        self.analysis: dict[str, Any] = {"fullyExplored": True, "mainAnalysis": {}}
        self.address = ""

    @property
    def endpoint(self) -> str:
        """Where it is, for a configuration."""
        return f"http://{self.address}"

    def asked(self, method: str = "ListAssets") -> list[dict[str, Any]]:
        """The requests of a method, in order."""
        return [request for name, request in self.calls if name == method]

    def contents(self) -> list[str]:
        """The contents that were listed, page by page, without the handshakes."""
        return [
            request["contentType"]
            for request in self.asked()
            if PROJECT not in request.get("assetTypes", [])
        ]

    def __enter__(self) -> SmallGcp:
        answers = {
            "ListAssets": (asset_v1.ListAssetsRequest, self._list),
            "SearchAllIamPolicies": (asset_v1.SearchAllIamPoliciesRequest, self._search),
            "AnalyzeIamPolicy": (asset_v1.AnalyzeIamPolicyRequest, self._analyze),
        }
        handlers = {
            name: grpc.unary_unary_rpc_method_handler(self._served(name, kind.pb(), answer))
            for name, (kind, answer) in answers.items()
        }
        self._server = grpc.server(ThreadPoolExecutor(8))
        handler = grpc.method_handlers_generic_handler(SERVICE, handlers)
        self._server.add_generic_rpc_handlers((handler,))
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.stop(0).wait(5)

    def _served(self, name: str, kind: Any, answer: Callable[[dict[str, Any]], Any]) -> Any:
        def serve(data: bytes, context: grpc.ServicerContext) -> bytes:
            request = json_format.MessageToDict(kind.FromString(data))
            self.calls.append((name, request))
            refusal = self.refuse(name, request)
            if refusal is not None:
                code, message, details = refusal
                context.set_trailing_metadata(_trailers(code, message, details))
                context.abort(grpc.StatusCode[code], message)
            context.send_initial_metadata((("date", "Tue, 24 Nov 2026 11:00:00 GMT"),))
            page = answer(request)
            self.change(page)
            found: bytes = page.SerializeToString()
            return found

        return serve

    def _list(self, request: dict[str, Any]) -> Any:
        holds = _HOLDS[request["contentType"]]
        chosen: Iterator[dict[str, Any]] = (
            asset
            for asset in self.assets
            if _is_below(asset, request["parent"])
            and (not request.get("assetTypes") or asset.get("assetType") in request["assetTypes"])
            and (holds == ("resource",) or any(name in asset for name in holds))
        )
        start = int(request.get("pageToken") or "0")
        size = min(request.get("pageSize", 100), self.page_size)
        found = list(islice(chosen, start, start + size + 1))
        page = asset_v1.ListAssetsResponse.pb()(read_time=None)
        for asset in found[:size]:
            shown = {k: v for k, v in asset.items() if k in (*_ALWAYS, *holds)}
            json_format.ParseDict(shown, page.assets.add())
        if len(found) > size:
            page.next_page_token = str(start + size)
        page.read_time.FromJsonString(request["readTime"])
        return page

    def _search(self, request: dict[str, Any]) -> Any:
        start = int(request.get("pageToken") or "0")
        found = self.results[start : start + self.page_size]
        page: dict[str, Any] = {"results": found}
        if start + self.page_size < len(self.results):
            page["nextPageToken"] = str(start + self.page_size)
        return json_format.ParseDict(page, asset_v1.SearchAllIamPoliciesResponse.pb()())

    def _analyze(self, request: dict[str, Any]) -> Any:
        return json_format.ParseDict(self.analysis, asset_v1.AnalyzeIamPolicyResponse.pb()())


def _is_below(asset: dict[str, Any], parent: str) -> bool:
    if parent.startswith("organizations/"):
        return True
    names = asset.get("ancestors", [])
    known = {"projects/shop": "projects/1", "projects/lab": "projects/2"}
    return known.get(parent, parent) in names


def _trailers(code: str, message: str, details: list[Any]) -> tuple[tuple[str, bytes], ...]:
    if not details:
        return ()
    status = status_pb2.Status(code=grpc.StatusCode[code].value[0], message=message)
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return (("grpc-status-details-bin", status.SerializeToString()),)


def error_info(reason: str, **metadata: str) -> Any:
    """The machine's reason of a refusal."""
    return error_details_pb2.ErrorInfo(reason=reason, domain="googleapis.com", metadata=metadata)


def context_in(folder: Path, server: Any, **gcp: Any) -> Context:
    """A context whose store, keys and resource types lie in `folder`, over a server."""
    types = folder / "auditpack.d" / "resources"
    if not types.is_dir():
        types.mkdir(parents=True)
        for name, text in TYPES.items():
            (types / f"{name}.yaml").write_text(text)
    settings: dict[str, Any] = {
        "scopes": (ORGANIZATION,),
        "types": BASIC,
        "endpoint": f"http://{server.address}",
        "max_attempts": 2,
        "requests_per_minute": 60_000,
        **gcp,
    }
    config = Config(
        organisation="Small",
        store=str(folder / "store"),
        gcp=GcpConfig(**settings),
        signing=SigningConfig(key=folder / "keys/k.pem", certificate=folder / "keys/c.pem"),
    )
    Context(config, None, Output(quiet=True)).signing_key()  # makes the first one
    return Context(config, folder / "auditpack.yaml", Output(quiet=True))


def only_small_and_quick(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """There are no resource types but our own, and retries wait a moment only."""
    monkeypatch.setattr("collectors.gcp.catalogue.BUILT_IN", folder / "none")
    slow = Config.gcp_scope

    def quick(config: Config, *args: Any, **more: Any) -> GcpScope:
        scope = slow(config, *args, **more)
        settings = replace(scope.settings, first_wait=0.01, first_pause=0.05)
        return replace(scope, settings=settings)

    monkeypatch.setattr(Config, "gcp_scope", quick)


def snapshot_of(context: Context, summary: CollectSummary) -> Snapshot:
    """The snapshot that a run sealed."""
    return Snapshot.open(context.store(), summary.snapshot)
