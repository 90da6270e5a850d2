"""Azure Resource Manager: documents by their id, and lists of them by their type and place."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from auditpack.demo.azure.compose import guid
from auditpack.demo.azure.estate import GROUP_TYPE, SUBSCRIPTION_TYPE, AzureEstate, Document
from auditpack.demo.azure.knobs import Knobs, Offer
from auditpack.demo.azure.replies import Json, Reply, Request, arm_error

API_VERSION = re.compile(r"^\d{4}-\d{2}-\d{2}(?:-[a-z]+(?:\.\d)?)?$", re.IGNORECASE)
INHERITED = frozenset(
    f"microsoft.authorization/{name}"
    for name in (
        *("roleassignments", "roledefinitions", "denyassignments", "policyassignments"),
        *("policydefinitions", "policysetdefinitions", "policyexemptions", "locks"),
        *("roleeligibilityschedules", "roleeligibilityscheduleinstances"),
        *("roleassignmentschedules", "roleassignmentscheduleinstances"),
        *("rolemanagementpolicies", "rolemanagementpolicyassignments"),
    )
)
"""Types that are listed at a place together with what is above and below it."""

COUNTED_BELOW = frozenset(
    ("microsoft.security/assessments", "microsoft.policyinsights/policystates")
)
"""Types that hang on resources and are listed for all resources of a place."""

ROLE_KIND = "microsoft.authorization/roledefinitions"
ROLE_DEFINITIONS = f"/providers/{ROLE_KIND}/"

READING_POSTS = re.compile(r"/policystates/latest/(?:queryresults|summarize)$")
SECRET_POSTS = re.compile(r"/(?:list|listkeys|listsecrets|listconnectionstrings|listaccountsas)$")


class ResourceManager:
    """Answers GETs, and the few POSTs that only read."""

    def __init__(self, estate: AzureEstate, knobs: Knobs) -> None:
        self._estate = estate
        self._knobs = knobs
        self._kinds = {name.lower(): kind for name, kind in estate.kinds.items()}
        self._client = guid(estate.company.collector)

    def answer(self, request: Request) -> Reply:
        """Answer a request, which has a good token."""
        wrong = self.wrong_version(request)
        if wrong is not None:
            return wrong
        if any(pattern.search(request.low) for pattern in self._knobs.denied):
            return self.forbidden(request)
        found = self._missing_container(request)
        if found is not None:
            return found
        for pattern, method in self._special():
            if re.fullmatch(pattern, request.low):
                return method(request)
        if request.method == "POST":
            return self._post(request)
        document = self._document(request.low)
        if document is not None:
            return Reply(200, self._versioned(document, request))
        return self._collection(request)

    def forbidden(self, request: Request) -> Reply:
        """The 403 of somebody who lacks the action that a request needs."""
        scope, action = _action_of(request)
        return arm_error(
            403,
            "AuthorizationFailed",
            f"The client '{self._client}' with object id '{self._client}' does not have "
            f"authorization to perform action '{action}' over scope '{scope}' or the scope is "
            "invalid. If access was recently granted, please refresh your credentials.",
        )

    def _special(self) -> list[tuple[str, Callable[[Request], Reply]]]:
        return [
            (r"/subscriptions", lambda r: self._listed(r, SUBSCRIPTION_TYPE)),
            (r"/tenants", self._tenants),
            (r"/subscriptions/[^/]+/locations", self._locations),
            (r"/subscriptions/[^/]+/resourcegroups", lambda r: self._listed(r, GROUP_TYPE)),
            (r"/subscriptions/[^/]+(?:/resourcegroups/[^/]+)?/resources", self._resources),
            (r"(?:/subscriptions/[^/]+)?/providers(?:/[^/]+)?", self._providers),
            (r".*/policystates/latest/queryresults", self._policy_states),
        ]

    # -- what is wrong with a request

    def wrong_version(self, request: Request) -> Reply | None:
        """The refusal of an api version, if it is to be refused."""
        version = request.query.get("api-version", "")
        if not version:
            return arm_error(
                400,
                "MissingApiVersionParameter",
                "The api-version query parameter (?api-version=) is required for all requests.",
            )
        if not API_VERSION.match(version):
            return arm_error(
                400, "InvalidApiVersionParameter", f"The api-version '{version}' is invalid."
            )
        kind = _kind_of(request)
        offer = self._knobs.offers.get(kind)
        if offer is not None and version.lower() not in offer.versions:
            return _not_offered(kind, version, offer)
        return None

    def _missing_container(self, request: Request) -> Reply | None:
        steps = request.path.strip("/").split("/")
        low = [step.lower() for step in steps]
        if low[0] == "subscriptions" and len(steps) > 1:
            if low[1] not in {name.lower() for name in self._estate.subscriptions}:
                return arm_error(
                    404,
                    "SubscriptionNotFound",
                    f"The subscription '{steps[1]}' could not be found.",
                )
            if len(steps) > 3 and low[2] == "resourcegroups":
                group = "/" + "/".join(low[:4])
                if group not in self._estate.documents:
                    return arm_error(
                        404,
                        "ResourceGroupNotFound",
                        f"Resource group '{steps[3]}' could not be found.",
                    )
        return None

    # -- documents

    def _document(self, key: str) -> Document | None:
        if key in self._knobs.gone:
            return None
        found = self._estate.documents.get(key)
        scope, role, name = key.rpartition(ROLE_DEFINITIONS)
        if found is None and role and scope.startswith("/subscriptions/"):
            brought = self._estate.documents.get(role + name)
            return brought and _seen_from(brought, scope)
        return found

    def _versioned(self, document: Document, request: Request, *, listed: bool = False) -> Json:
        """The body as the asked api-version has it, where the estate knows a difference."""
        body = {key: value for key, value in document.body.items() if key != "$versions"}
        kind = self._kinds.get(document.type.lower())
        without = (*kind.graph_only, *(kind.unlisted if listed else ())) if kind else ()
        if without and "properties" in body:
            shown = {k: v for k, v in body["properties"].items() if k not in without}
            body["properties"] = shown
        for until, older in (document.body.get("$versions") or {}).items():
            if request.query["api-version"].lower() <= until:
                return {**body, **older}
        return body

    def _collection(self, request: Request) -> Reply:
        path = request.low
        scope, _, rest = path.rpartition("/providers/")
        if not rest and not path.startswith("/providers/"):
            return self._child_list(request)
        if path.startswith("/providers/") and not rest:
            scope, rest = "", path.removeprefix("/providers/")
        steps = rest.split("/")
        kind = "/".join((steps[0], *steps[1::2]))
        if len(steps) % 2 == 1:
            return self._not_found(request, kind)
        parent = path.rpartition("/")[0]
        alias = self._alias(parent, steps[-1])
        if len(steps) > 2:
            return self._children(request, parent, alias or kind)
        if scope and scope not in self._estate.documents:
            return self._not_found(request, kind)
        if kind not in self._estate.known_types:
            return self._unknown_type(kind)
        return self._listed(request, kind, scope)

    def _child_list(self, request: Request) -> Reply:
        return arm_error(404, "NotFound", f"There is nothing at '{request.path}'.")

    def _alias(self, parent: str, name: str) -> str:
        document = self._estate.documents.get(parent)
        if document is None:
            return ""
        lists = getattr(self._kinds.get(document.type.lower()), "lists", {})
        wanted = {key.lower(): value for key, value in lists.items()}
        return str(wanted.get(name, "")).lower()

    def _children(self, request: Request, parent: str, kind: str) -> Reply:
        if self._document(parent) is None and parent not in self._virtual_parents():
            return self._not_found(request, kind)
        if kind not in self._estate.known_types:
            return self._unknown_type(kind)
        below = parent + "/"
        return self._page(
            request,
            (d for key, d in self._all() if key.startswith(below) and d.type.lower() == kind),
        )

    def _virtual_parents(self) -> set[str]:
        """Paths that are no resource but have something below them, such as a location."""
        return {
            key.rsplit("/", times * 2)[0]
            for key in self._estate.documents
            if "/locations/" in key or "/policystates/" in key
            for times in (1, 2)
        }

    def _listed(self, request: Request, kind: str, scope: str | None = None) -> Reply:
        if scope is None:
            scope = request.low.rpartition("/")[0]
        kind = kind.lower()
        same = {name for name, other in self._kinds.items() if other.also_as.lower() == kind} | {
            kind
        }
        exact = "atscope()" in request.query.get("$filter", "").lower()

        def belongs(key: str, document: Document) -> bool:
            if document.type.lower() not in same:
                return False
            at = document.scope
            if kind in INHERITED:
                above = at in ("", scope) or self._is_above(at, scope)
                return above or (not exact and _is_below(at, scope))
            counted = kind in COUNTED_BELOW
            whole = counted or (document.table != "" and not _is_extension(key))
            return at == scope or ((whole or _in_groups(at)) and _is_below(at, scope))

        found = (d for key, d in self._all() if belongs(key, d))
        if kind == ROLE_KIND and scope:
            found = (
                d if d.scope else _seen_from(d, request.path.rpartition("/providers")[0])
                for d in found
            )
        return self._page(request, found)

    def _is_above(self, place: str, scope: str) -> bool:
        if scope.startswith(place + "/"):
            return True
        found = re.match(r"/subscriptions/([^/]+)", scope)
        prefix = "/providers/microsoft.management/managementgroups/"
        if found is None or not place.startswith(prefix):
            return False
        chain = {name.lower() for name in self._estate.ancestors(found[1])}
        return place.removeprefix(prefix) in chain

    def _all(self) -> Iterable[tuple[str, Document]]:
        for key, document in self._estate.documents.items():
            if key not in self._knobs.gone:
                yield key, document

    def _page(self, request: Request, documents: Iterable[Document]) -> Reply:
        return self.page(request, [self._versioned(d, request, listed=True) for d in documents])

    def page(self, request: Request, items: list[Any]) -> Reply:
        """One page of a list, with the address of the next."""
        top = request.query.get("$top", "")
        size = min(self._knobs.page_size, int(top) if top.isdigit() else len(items) or 1)
        token = request.query.get("$skiptoken", "")
        start = int(token) if token.isdigit() else 0
        body: Json = {"value": items[start : start + size]}
        if start + size < len(items):
            body["nextLink"] = request.link(**{"$skiptoken": str(start + size)})
        return Reply(200, body)

    # -- errors that name what was asked

    def _not_found(self, request: Request, kind: str) -> Reply:
        steps = request.path.rstrip("/").rpartition("/providers/")[2].split("/")
        shown = self._estate.known_types.get(kind.lower(), kind) + "/" + "/".join(steps[2::2])
        found = re.search(r"/resourcegroups/([^/]+)", request.low)
        where = f" under resource group '{found[1]}'" if found else ""
        return arm_error(404, "ResourceNotFound", f"The Resource '{shown}'{where} was not found.")

    @staticmethod
    def _unknown_type(kind: str) -> Reply:
        namespace, _, rest = kind.partition("/")
        return arm_error(
            404,
            "InvalidResourceType",
            f"The resource type '{rest}' could not be found in the namespace '{namespace}'.",
        )

    # -- lists of their own

    def _tenants(self, request: Request) -> Reply:
        tenant = self._estate.tenant_id
        row = {
            "id": f"/tenants/{tenant}",
            "tenantId": tenant,
            "displayName": "Halden Labs",
            "defaultDomain": self._estate.company.domain,
            "tenantCategory": "Home",
            "domains": [self._estate.company.domain],
            "tenantType": "AAD",
        }
        return self.page(request, [row])

    def _locations(self, request: Request) -> Reply:
        used = {str(d.body["location"]) for _, d in self._all() if d.body.get("location")}
        base = request.path.rstrip("/")
        rows = [
            {"id": f"{base}/{name}", "type": "Region", "name": name, "displayName": name}
            for name in sorted(used - {"global"})
        ]
        return self.page(request, rows)

    def _resources(self, request: Request) -> Reply:
        root = request.low.removesuffix("/resources") + "/"
        wanted = re.search(
            r"resourcetype eq '([^']+)'", request.query.get("$filter", ""), re.IGNORECASE
        )
        rows = []
        for key, document in self._all():
            if document.table != "resources" or not key.startswith(root):
                continue
            if wanted and document.type.lower() != wanted[1].lower():
                continue
            hidden = ("properties", "$versions", "systemData", "etag")
            rows.append({k: v for k, v in document.body.items() if k not in hidden})
        return self.page(request, rows)

    def _providers(self, request: Request) -> Reply:
        types: dict[str, list[str]] = {}
        for name in self._estate.known_types.values():
            namespace, _, rest = name.partition("/")
            types.setdefault(namespace, []).append(rest)
        base = request.path.rstrip("/").partition("/providers")[0]
        rows = [
            {
                "id": f"{base}/providers/{namespace}",
                "namespace": namespace,
                "registrationPolicy": "RegistrationRequired",
                "registrationState": "Registered",
                "resourceTypes": [{"resourceType": rest} for rest in sorted(names)],
            }
            for namespace, names in sorted(types.items())
        ]
        asked = request.low.partition("/providers/")[2]
        if not asked:
            return self.page(request, rows)
        for row in rows:
            if str(row["namespace"]).lower() == asked:
                return Reply(200, row)
        return arm_error(
            404, "InvalidResourceNamespace", f"The resource namespace '{asked}' is invalid."
        )

    def _post(self, request: Request) -> Reply:
        if SECRET_POSTS.search(request.low):
            return self.forbidden(request)
        return arm_error(
            405, "MethodNotAllowed", "The fake only reads; nothing may be changed or started here."
        )

    def _policy_states(self, request: Request) -> Reply:
        root = request.low.partition("/providers/microsoft.policyinsights")[0]
        rows = [
            d.body["properties"]
            for _, d in self._all()
            if d.table == "policyresources"
            and d.type.lower() == "microsoft.policyinsights/policystates"
            and d.path.lower().startswith(root)
        ]
        count = {"@odata.count": len(rows)}
        return Reply(200, {**count, "value": rows})


def reads_by_post(path: str) -> bool:
    """Whether a POST to this path changes nothing."""
    low = path.lower().rstrip("/")
    return bool(READING_POSTS.search(low) or SECRET_POSTS.search(low))


def _seen_from(role: Document, scope: str) -> Document:
    """A role that Azure brings along, whose id is under the scope where somebody asks for it."""
    subscription = "/".join(scope.split("/")[:3])
    return replace(role, body={**role.body, "id": subscription + role.path})


def _is_below(place: str, scope: str) -> bool:
    return place == scope or place.startswith(scope + "/")


def _in_groups(place: str) -> bool:
    return bool(re.fullmatch(r"/subscriptions/[^/]+/resourcegroups/[^/]+", place))


def _is_extension(key: str) -> bool:
    return key.count("/providers/") > 1


def _action_of(request: Request) -> tuple[str, str]:
    path = request.path.rstrip("/")
    scope, _, rest = path.rpartition("/providers/")
    if not rest:
        return path, "Microsoft.Resources/subscriptions/resources/read"
    steps = rest.split("/")
    kind = "/".join((steps[0], *steps[1::2]))
    if request.method != "POST":
        return (path if len(steps) % 2 else scope or "/"), f"{kind}/read"
    return path.rpartition("/")[0], f"{'/'.join((steps[0], *steps[1:-1:2]))}/{steps[-1]}/action"


def _kind_of(request: Request) -> str:
    """The type that a path is of, in lower case."""
    _, provider, rest = request.low.rpartition("/providers/")
    steps = rest.strip("/").split("/")
    return "/".join((steps[0], *steps[1::2]) if provider else ("microsoft.resources", *steps[::2]))


def _not_offered(kind: str, version: str, offer: Offer) -> Reply:
    namespace, _, rest = kind.partition("/")
    listed = ", ".join(offer.versions)
    if offer.code == "InvalidApiVersionParameter":
        text = f"The api-version '{version}' is invalid. The supported versions are '{listed}'."
        return arm_error(400, offer.code, text)
    if offer.code == "InvalidResourceType":
        text = (
            f"The resource type '{rest}' could not be found in the namespace '{namespace}' for api"
            f" version '{version}'. The supported api-versions are '{listed}'."
        )
        return arm_error(404, offer.code, text)
    text = (
        f"No registered resource provider found for location 'norwayeast' and API version"
        f" '{version}' for type '{rest}'. The supported api-versions are '{listed}'. The supported"
        " locations are 'norwayeast, norwaywest'."
    )
    return arm_error(400, offer.code, text)
