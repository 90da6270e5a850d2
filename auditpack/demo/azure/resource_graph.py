"""Resource Graph: rows made of the documents of Azure Resource Manager, and queries over them."""

from __future__ import annotations

import base64
import datetime
import json
import threading
import uuid
from collections.abc import Iterator
from typing import Any

from auditpack.demo.azure import kql
from auditpack.demo.azure.compose import merged
from auditpack.demo.azure.estate import SUBSCRIPTION_TYPE, AzureEstate, Document
from auditpack.demo.azure.knobs import Knobs
from auditpack.demo.azure.replies import Json, Reply, Request, arm_error

PATH = "/providers/microsoft.resourcegraph/resources"
MOST_ROWS = 1000
COLUMNS = (
    *("id", "name", "type", "tenantId", "kind", "location", "resourceGroup", "subscriptionId"),
    *("managedBy", "sku", "plan", "properties", "tags", "identity", "zones", "extendedLocation"),
)
TABLES = (
    *("resources", "resourcecontainers", "authorizationresources", "policyresources"),
    *("securityresources", "advisorresources", "patchassessmentresources", "networkresources"),
    *("guestconfigurationresources", "appserviceresources", "recoveryservicesresources"),
    *("healthresources", "insightsresources", "computeresources", "servicehealthresources"),
    *("kubernetesconfigurationresources", "resourcechanges", "maintenanceresources"),
)
_OBJECTS_BY_DEFAULT = "2020-04-01"
"""From this api-version on rows come as objects unless a table is asked for."""


class ResourceGraph:
    """Answers queries over an estate."""

    def __init__(self, estate: AzureEstate, knobs: Knobs) -> None:
        self._estate = estate
        self._knobs = knobs
        self._lock = threading.Lock()
        self._last: tuple[Any, list[Json]] | None = None
        self._asked: list[float] = []

    def answer(self, request: Request, now: float) -> Reply:
        """Answer a query."""
        limit = self._over_quota(now)
        if limit is not None:
            return limit
        try:
            body = json.loads(request.body or b"{}")
            query = kql.parse(str(body["query"]), COLUMNS, TABLES)
            reply = self._page(request, body, query)
        except (ValueError, KeyError, TypeError) as error:
            return self._bad("InvalidRequestBody", f"the body is not understood: {error}")
        except kql.QueryError as error:
            return self._bad(error.code, error.message)
        return Reply(reply.status, reply.body, {**reply.headers, **self._quota_headers(now)})

    def _page(self, request: Request, body: Json, query: kql.Query) -> Reply:
        scope = self._scope(body)
        if isinstance(scope, Reply):
            return scope
        options = {key.lower(): value for key, value in (body.get("options") or {}).items()}
        key = [body["query"], sorted(scope), self._knobs.generation]
        rows = self._rows(key, query, scope)
        top = int(options.get("$top") or MOST_ROWS)
        if not 1 <= top <= MOST_ROWS:
            return self._bad("InvalidQueryOptions", f"$top is from 1 to {MOST_ROWS}")
        start = int(options.get("$skip") or 0)
        if options.get("$skiptoken"):
            start = _offset(options["$skiptoken"], key[0])
        size = min(top, self._knobs.page_size)
        page = rows[start : start + size]
        more = start + size < len(rows)
        paged = query.columns is None or "id" in query.columns
        answer: Json = {
            "totalRecords": len(rows),
            "count": len(page),
            "resultTruncated": "true" if more and not paged else "false",
        }
        if more and paged:
            answer["$skipToken"] = _token(start + size, key[0])
        default = "objectArray" if _version(request) >= _OBJECTS_BY_DEFAULT else "table"
        as_objects = str(options.get("resultformat") or default).lower() == "objectarray"
        answer["data"] = page if as_objects else _table(page, query)
        answer["facets"] = []
        return Reply(200, answer)

    def _rows(self, key: list[Any], query: kql.Query, scope: set[str]) -> list[Json]:
        with self._lock:
            if self._last is not None and self._last[0] == key:
                return self._last[1]
        rows = query.run(self._table_rows(query.table, scope))
        with self._lock:
            self._last = (key, rows)
        return rows

    def _table_rows(self, table: str, scope: set[str]) -> Iterator[Json]:
        for key, document in self._estate.documents.items():
            if document.table != table or key in self._knobs.hidden:
                continue
            if document.subscription and document.subscription.lower() not in scope:
                continue
            row = row_of(document, self._estate)
            older = self._knobs.behind.get(key)
            yield merged(row, older) if older else row

    def _scope(self, body: Json) -> set[str] | Reply:
        ours = {subscription.lower() for subscription in self._estate.subscriptions}
        wanted = {str(name).lower() for name in body.get("subscriptions") or ()}
        groups = {str(name).lower() for name in body.get("managementGroups") or ()}
        if wanted and groups:
            return self._bad("InvalidScope", "either subscriptions or managementGroups")
        for subscription in self._estate.subscriptions:
            above = {name.lower() for name in self._estate.ancestors(subscription)}
            if groups & above:
                wanted.add(subscription.lower())
        if not body.get("subscriptions") and not groups:
            return ours
        if not wanted & ours:
            return self._bad(
                "NoValidSubscriptionsInQueryRequest",
                "the query names no subscription that can be read",
            )
        return wanted & ours

    def _over_quota(self, now: float) -> Reply | None:
        quota = self._knobs.quota
        if quota is None:
            return None
        with self._lock:
            window = self._knobs.quota_window
            self._asked = [then for then in self._asked if now - then < window]
            if len(self._asked) < quota:
                self._asked.append(now)
                return None
            wait = max(1, round(self._asked[0] + window - now + 0.5))
        reply = arm_error(
            429,
            "RateLimiting",
            "Too many queries; please try again later.",
            {"Retry-After": str(wait)},
            [{"code": "RateLimiting", "message": f"Wait {wait} s."}],
        )
        return Reply(reply.status, reply.body, {**reply.headers, **self._quota_headers(now)})

    def _quota_headers(self, now: float) -> dict[str, str]:
        remaining, wait = 14, 5
        if self._knobs.quota is not None:
            with self._lock:
                remaining = max(0, self._knobs.quota - len(self._asked))
                oldest = self._asked[0] if self._asked else now
            wait = max(0, round(oldest + self._knobs.quota_window - now + 0.5))
        return {
            "x-ms-user-quota-remaining": str(remaining),
            "x-ms-user-quota-resets-after": str(datetime.timedelta(seconds=wait)).zfill(8),
            "x-ms-resource-unit-remaining": "14",
        }

    @staticmethod
    def _bad(code: str, message: str) -> Reply:
        about = (
            f"Please provide below info when asking for support: correlationId = {uuid.uuid4()}."
        )
        details = [
            {"code": "InvalidQuery", "message": "Query is invalid: fix it before trying again."},
            {"code": code, "message": message},
        ]
        return arm_error(400, "BadRequest", about, details=details)


def row_of(document: Document, estate: AzureEstate) -> Json:
    """The row that Resource Graph has of a document."""
    body = document.body
    properties: Any = body.get("properties")
    kind = document.type.lower()
    if kind == SUBSCRIPTION_TYPE.lower():
        properties = {
            "managedByTenants": [],
            "managementGroupAncestorsChain": [
                {"name": name, "displayName": estate.company.management_groups[name].title}
                for name in estate.ancestors(document.subscription)
            ],
            "state": body["state"],
            "subscriptionPolicies": body["subscriptionPolicies"],
        }
    if kind == "microsoft.resources/resourcegroups":
        kind = "microsoft.resources/subscriptions/resourcegroups"
    if kind == "microsoft.authorization/roleassignments":
        properties = {**properties, "roleDefinitionId": _role(properties, estate)}
    return {
        "id": body["id"],
        "name": body.get("displayName") or body["name"],
        "type": kind,
        "tenantId": estate.tenant_id,
        "kind": body.get("kind") or "",
        "location": body.get("location") or "",
        "resourceGroup": document.group.lower(),
        "subscriptionId": document.subscription,
        "managedBy": body.get("managedBy") or "",
        "sku": body.get("sku"),
        "plan": body.get("plan"),
        "properties": properties,
        "tags": body.get("tags"),
        "identity": body.get("identity"),
        "zones": body.get("zones"),
        "extendedLocation": body.get("extendedLocation"),
    }


def _role(properties: Json, estate: AzureEstate) -> str:
    """The id of a role; of one that Azure brings along, without a subscription."""
    written = str(properties["roleDefinitionId"])
    name = written[written.lower().rindex("/providers/") :]
    return name if name.lower() in estate.documents else written


def _version(request: Request) -> str:
    return request.query.get("api-version", "")


def _token(offset: int, query: str) -> str:
    return base64.b64encode(json.dumps([offset, query]).encode()).decode()


def _offset(token: str, query: str) -> int:
    try:
        offset, of = json.loads(base64.b64decode(token))
    except (ValueError, TypeError) as error:
        raise kql.QueryError("InvalidSkipToken", "the $skipToken is not one of ours") from error
    if of != query:
        raise kql.QueryError("InvalidSkipToken", "the $skipToken belongs to another query")
    return int(offset)


def _table(page: list[Json], query: kql.Query) -> Json:
    names = list(page[0]) if page else sorted(query.columns or COLUMNS)
    kinds = {"properties": "object", "tags": "object", "sku": "object", "identity": "object"}
    return {
        "columns": [{"name": name, "type": kinds.get(name, "string")} for name in names],
        "rows": [[row.get(name) for name in names] for row in page],
    }
