"""SearchAllIamPolicies and SearchAllResources: what there is now, by a query (see `query`).

Policies are searched by `policy`, `policy.role.permissions`, `roles`, `memberTypes`, `resource`,
`project`, `folders`, `organization` and words alone. A query is held against each binding, and a
result has the bindings that match. Resources are searched by `name`, `displayName`, `description`,
`location`, `labels` and `labels.KEY`, `networkTags`, `kmsKeys`, `state`, `createTime`,
`updateTime`, `project`, `folders`, `organization`, `parentFullResourceName`, `parentAssetType` and
words alone.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from google.protobuf import field_mask_pb2

from auditpack.demo.gcp.estate import Body, GcpEstate, Record, Version
from auditpack.demo.gcp.listing import find_place, matching_types
from auditpack.demo.gcp.messages import (
    RESOURCE_RESULT,
    SEARCH_POLICIES_RESPONSE,
    SEARCH_RESOURCES_RESPONSE,
)
from auditpack.demo.gcp.paging import Pages, bound_to
from auditpack.demo.gcp.query import Fields, Query
from auditpack.demo.gcp.roles import Roles
from auditpack.demo.gcp.statuses import invalid

DEFAULT_PAGE, LARGEST_PAGE = 100, 500
PERMISSIONS = "policy.role.permissions"
PLACE_FIELDS = ("project", "folders", "organization")
POLICY_FIELDS = ("policy", PERMISSIONS, "roles", "memberTypes", "resource", *PLACE_FIELDS)
RESOURCE_FIELDS = (
    "name", "displayName", "description", "location", "labels", "labels.*", "networkTags",
    "kmsKeys", "state", "createTime", "updateTime", "parentFullResourceName", "parentAssetType",
    *PLACE_FIELDS,
)  # fmt: skip
POLICY_ORDER = {"resource": "resource", "assetType": "asset_type", "project": "project"}
RESOURCE_ORDER = {
    "name": "name",
    "assetType": "asset_type",
    "project": "project",
    "displayName": "display_name",
    "location": "location",
    "state": "state",
}
CREATED = ("createTime", "creationTimestamp", "timeCreated", "creationTime")
STATES = ("state", "status", "lifecycleState")
PARENTS = {
    "projects": "cloudresourcemanager.googleapis.com/Project",
    "folders": "cloudresourcemanager.googleapis.com/Folder",
    "organizations": "cloudresourcemanager.googleapis.com/Organization",
}


class Searcher:
    """Answers the search methods."""

    def __init__(
        self,
        estate: GcpEstate,
        pages: Pages,
        roles: Roles,
        clock: Callable[[], datetime.datetime],
    ) -> None:
        self._estate = estate
        self._pages = pages
        self._roles = roles
        self._clock = clock

    def policies(self, request: Any) -> Any:
        """Return one page of policies."""
        exact = set(POLICY_FIELDS) - {"policy"}
        query = Query(request.query, POLICY_FIELDS, exact)
        response = SEARCH_POLICIES_RESPONSE()
        results = []
        for record, version in self._found(request):
            if "iam_policy" in version.messages:
                result = self._policy(record, version.messages["iam_policy"], query)
                if result is not None:
                    results.append(result)
        ordered = _ordered(results, request.order_by, POLICY_ORDER)
        self._page("SearchAllIamPolicies", request, ordered, response)
        return response

    def resources(self, request: Any) -> Any:
        """Return one page of resources."""
        query = Query(request.query, RESOURCE_FIELDS, set(RESOURCE_FIELDS))
        mask = _mask(request)
        results = []
        for record, version in self._found(request):
            if "resource" in version.messages:
                result = _resource(record, version)
                if query.matches(_resource_fields(result)):
                    results.append(_masked(result, mask))
        response = SEARCH_RESOURCES_RESPONSE()
        ordered = _ordered(results, request.order_by, RESOURCE_ORDER)
        self._page("SearchAllResources", request, ordered, response)
        return response

    def _found(self, request: Any) -> Iterator[tuple[Record, Version]]:
        place = find_place(self._estate, request.scope)
        wanted = matching_types(self._estate, request.asset_types)
        now = self._clock()
        for record in self._estate.records:
            version = record.at(now)
            if version is None or place.relative not in record.place.ancestors:
                continue
            if wanted is None or record.type in wanted:
                yield record, version

    def _page(self, method: str, request: Any, results: Sequence[Any], response: Any) -> None:
        bound = bound_to(method, request)
        offset = self._pages.open(request.page_token, bound)[0] if request.page_token else 0
        size = min(request.page_size if request.page_size > 0 else DEFAULT_PAGE, LARGEST_PAGE)
        response.results.extend(results[offset : offset + size])
        if offset + size < len(results):
            response.next_page_token = self._pages.token(bound, offset + size)

    def _policy(self, record: Record, message: Any, query: Query) -> Any:
        around = _place_fields(record)
        around["resource"] = [record.name]
        found = [
            binding
            for binding in message.iam_policy.bindings
            if query.matches({**around, **self._binding_fields(binding)})
        ]
        if not found:
            return None
        result = SEARCH_POLICIES_RESPONSE().results.add()
        result.resource, result.asset_type = record.name, record.type
        _place(result, record)
        result.policy.bindings.extend(found)
        if PERMISSIONS in query.uses:
            self._explain(result, query, around)
        return result

    def _explain(self, result: Any, query: Query, around: Fields) -> None:
        for binding in result.policy.bindings:
            fields = {**around, **self._binding_fields(binding)}
            matched = [
                name
                for name in fields[PERMISSIONS]
                if query.matches({**fields, PERMISSIONS: [name]})
            ]
            permissions = result.explanation.matched_permissions[binding.role].permissions
            permissions.extend(name for name in matched if name not in permissions)

    def _binding_fields(self, binding: Any) -> dict[str, list[str]]:
        condition = binding.condition
        said = [condition.title, condition.description, condition.expression]
        return {
            "policy": [binding.role, *binding.members, *(text for text in said if text)],
            "roles": [binding.role],
            "memberTypes": [member.partition(":")[0] for member in binding.members],
            PERMISSIONS: self._roles.permissions(binding.role),
        }


def _place_fields(record: Record) -> dict[str, list[str]]:
    above = record.place.ancestors
    return {
        "project": [name for name in above if name.startswith("projects/")],
        "folders": [name for name in above if name.startswith("folders/")],
        "organization": [name for name in above if name.startswith("organizations/")],
    }


def _place(result: Any, record: Record) -> None:
    fields = _place_fields(record)
    result.project = "".join(fields["project"])
    result.folders.extend(fields["folders"])
    result.organization = "".join(fields["organization"])


def _resource(record: Record, version: Version) -> Any:
    message, data = version.messages["resource"], version.data
    result = RESOURCE_RESULT(name=record.name, asset_type=record.type)
    _place(result, record)
    result.display_name = str(data.get("displayName") or record.name.rpartition("/")[2])
    result.description = str(data.get("description") or "")
    result.location = message.resource.location
    result.labels.update(_labels(record, data))
    tags = data.get("tags")
    if isinstance(tags, dict):
        result.network_tags.extend(tags.get("items", []))
    result.kms_keys.extend(sorted(set(_keys(data))))
    result.state = str(next((data[name] for name in STATES if name in data), ""))
    result.update_time.CopyFrom(message.update_time)
    created = next((data[name] for name in CREATED if name in data), None)
    if isinstance(created, str) and "T" in created:
        result.create_time.FromJsonString(created)
    result.parent_full_resource_name = message.resource.parent
    kind = message.resource.parent.split("/")[3] if message.resource.parent else ""
    result.parent_asset_type = PARENTS.get(kind, "")
    return result


def _labels(record: Record, data: Body) -> dict[str, str]:
    found: Any = data
    for step in record.labels.split("."):
        found = found.get(step, {}) if step and isinstance(found, dict) else {}
    return {str(key): str(value) for key, value in found.items()}


def _keys(value: Any) -> Iterator[str]:
    """Yield the names of keys of Cloud KMS that stand in what another service has."""
    if isinstance(value, str) and "/cryptoKeys/" in value and "/keyRings/" in value:
        yield value.partition("/cryptoKeyVersions/")[0]
    for item in (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    ):
        yield from _keys(item)


def _resource_fields(result: Any) -> dict[str, list[str]]:
    labels = dict(result.labels)
    fields = {
        "name": [result.name],
        "displayName": [result.display_name],
        "description": [result.description],
        "location": [result.location],
        "labels": [*labels, *labels.values()],
        "networkTags": list(result.network_tags),
        "kmsKeys": list(result.kms_keys),
        "state": [result.state],
        "updateTime": [str(result.update_time.ToSeconds())],
        "createTime": [],
        "project": [result.project],
        "folders": list(result.folders),
        "organization": [result.organization],
        "parentFullResourceName": [result.parent_full_resource_name],
        "parentAssetType": [result.parent_asset_type],
        **{f"labels.{key}": [value] for key, value in labels.items()},
    }
    if result.HasField("create_time"):
        fields["createTime"] = [str(result.create_time.ToSeconds())]
    return fields


def _mask(request: Any) -> field_mask_pb2.FieldMask | None:
    mask = field_mask_pb2.FieldMask(paths=request.read_mask.paths)
    if not mask.paths or list(mask.paths) == ["*"]:
        return None
    if not mask.IsValidForDescriptor(RESOURCE_RESULT.DESCRIPTOR):
        raise invalid(f"'{','.join(mask.paths)}' is not a valid mask.", "read_mask")
    return mask


def _masked(result: Any, mask: field_mask_pb2.FieldMask | None) -> Any:
    if mask is None:
        return result
    kept = RESOURCE_RESULT()
    mask.MergeMessage(result, kept)
    return kept


def _ordered(results: list[Any], order_by: str, known: dict[str, str]) -> list[Any]:
    for said in reversed([part.split() for part in order_by.split(",") if part.strip()]):
        name, *direction = said
        if name not in known or direction not in ([], ["DESC"], ["ASC"]):
            raise invalid(f"Results cannot be ordered by '{' '.join(said)}'.", "order_by")
        field = known[name]
        results = sorted(
            results,
            key=lambda result, field=field: getattr(result, field),  # type: ignore[misc]
            reverse=direction == ["DESC"],
        )
    return results
