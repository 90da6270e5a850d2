"""Microsoft Graph: collections and single objects, with the query options that a reader uses."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from auditpack.demo.azure.compose import guid
from auditpack.demo.azure.estate import AzureEstate
from auditpack.demo.azure.knobs import Knobs
from auditpack.demo.azure.replies import Json, Reply, Request, graph_error

MOST_ROWS = 999
DEFAULT_ROWS = 100
USER_BY_DEFAULT = (
    *("businessPhones", "displayName", "givenName", "jobTitle", "mail", "mobilePhone"),
    *("officeLocation", "preferredLanguage", "surname", "userPrincipalName", "id"),
)
"""What Graph says of a user who is not asked about with $select."""

PERMISSIONS = (
    (r"/reports/", "AuditLog.Read.All"),
    (r"/auditlogs/", "AuditLog.Read.All"),
    (r"/identity/conditionalaccess/", "Policy.Read.All"),
    (r"/policies/(?:rolemanagement)", "RoleManagementPolicy.Read.Directory"),
    (r"/policies/", "Policy.Read.All"),
    (r"/rolemanagement/directory/roleeligib", "RoleEligibilitySchedule.Read.Directory"),
    (r"/rolemanagement/directory/roleassignmentsched", "RoleAssignmentSchedule.Read.Directory"),
    (r"/rolemanagement/", "RoleManagement.Read.Directory"),
    (r"/directoryroles", "RoleManagement.Read.Directory"),
    (r"/users/[^/]+/authentication/", "UserAuthenticationMethod.Read.All"),
    (r"/users", "User.Read.All"),
    (r"/groups", "Group.Read.All"),
    (r"/applications", "Application.Read.All"),
    (r"/serviceprincipals", "Application.Read.All"),
    (r"/identityprotection/", "IdentityRiskyUser.Read.All"),
    (r"/identitygovernance/", "AccessReview.Read.All"),
    (r"/", "Directory.Read.All"),
)
"""Which application permission a path needs; the first that fits."""

NOT_LICENSED = "Your tenant is not licensed for this feature."
NO_PREMIUM = "Neither tenant is B2C or tenant doesn't have premium license"
PREMIUM = (
    (
        r"/(?:reports/authenticationmethods|auditlogs/signins)",
        (403, "Authentication_RequestFromNonPremiumTenantOrB2CTenant", NO_PREMIUM),
    ),
    (
        r"/(?:rolemanagement/directory/role(?:eligib|assignmentsched)|policies/rolemanagement)",
        (400, "AadPremiumLicenseRequired", "The tenant needs Microsoft Entra ID P2."),
    ),
    (r"/identity/conditionalaccess/", (403, "AccessDenied", NOT_LICENSED)),
    (r"/identity(?:protection|governance)/", (403, "Forbidden", NOT_LICENSED)),
)
"""What only a tenant with a premium licence may ask for, and what the others are told."""


class Directory:
    """Answers GETs of v1.0 and beta, which have the same objects here."""

    def __init__(self, estate: AzureEstate, knobs: Knobs) -> None:
        self._knobs = knobs
        self._data = {key.lower(): value for key, value in estate.directory.items()}
        self._objects: dict[str, Json] = {}
        for path, value in self._data.items():
            if isinstance(value, list):
                self._keep(path, value)

    def _keep(self, path: str, rows: list[Json]) -> None:
        """Make the rows of a collection, and what stands inside them, objects at their own path."""
        for row in rows:
            if not isinstance(row, dict):
                continue
            row.setdefault("id", guid(f"{path}/{row.get('displayName', '')}"))
            self._objects[f"{path}/{row['id']}".lower()] = row
            for key in ("userPrincipalName", "appId"):
                if path in ("/users", "/serviceprincipals") and row.get(key):
                    self._objects[f"{path}/{row[key]}".lower()] = row

    def answer(self, request: Request) -> Reply:
        """Answer a request, which has a good token."""
        path = "/" + request.low.split("/", 2)[2]
        refused = self._refused(path, request)
        if refused is not None:
            return refused
        path = re.sub(r"^/serviceprincipals\(appid='([^']+)'\)", r"/serviceprincipals/\1", path)
        context = f"{request.origin}/{request.path.split('/')[1]}/$metadata#{path[1:]}"
        if path in self._data:
            value = self._data[path]
            if isinstance(value, list):
                return self._list(request, value, path, context)
            return Reply(200, {"@odata.context": context, **value})
        if path in self._objects:
            row = self._shown([self._objects[path]], path.rpartition("/")[0], request)[0]
            return Reply(200, {"@odata.context": context + "/$entity", **row})
        return self._inside(request, path, context)

    def _inside(self, request: Request, path: str, context: str) -> Reply:
        """What hangs on an object: its members or owners, or what was written of it."""
        parent, _, name = path.rpartition("/")
        if name == "$count" and isinstance(self._data.get(parent), list):
            return Reply(200, len(self._data[parent]))
        owner = self._objects.get(parent)
        if owner is None and path.endswith("/authentication/methods"):
            owner = self._objects.get(path.removesuffix("/authentication/methods"))
        if owner is None:
            return self._unknown(path)
        rows = next((v for k, v in owner.items() if k.lower() == f"@{name}"), None)
        if rows is None and name not in ("members", "owners", "memberof", "approleassignments"):
            rows = next((v for k, v in owner.items() if k.lower() == name), None)
        return self._list(request, rows if isinstance(rows, list) else [], path, context)

    def _unknown(self, path: str) -> Reply:
        collection = path.rpartition("/")[0]
        if collection in self._data or re.search(r"/[0-9a-f-]{36}(/|$)", path):
            missing = path.rpartition("/")[2]
            return graph_error(
                404,
                "Request_ResourceNotFound",
                f"Resource '{missing}' does not exist or one of its queried reference-property "
                "objects are not present.",
            )
        segment = path.split("/")[1]
        return graph_error(400, "BadRequest", f"Resource not found for the segment '{segment}'.")

    def _refused(self, path: str, request: Request) -> Reply | None:
        asked = request.query.get("$select", "").lower() + request.query.get("$filter", "").lower()
        sign_ins = "signinactivity" in asked
        if self._knobs.unlicensed:
            told = next((told for pattern, told in PREMIUM if re.match(pattern, path)), None)
            if told is None and sign_ins:
                told = PREMIUM[0][1]
            if told is not None:
                return graph_error(*told)
        needed = {next(name for pattern, name in PERMISSIONS if re.match(pattern, path))}
        if sign_ins:
            needed.add("AuditLog.Read.All")
        if needed & self._knobs.withheld:
            return graph_error(
                403,
                "Authorization_RequestDenied",
                "Insufficient privileges to complete the operation.",
            )
        return None

    def _list(self, request: Request, rows: list[Json], path: str, context: str) -> Reply:
        try:
            keep = condition(request.query.get("$filter", ""))
        except ValueError as error:
            return graph_error(400, "Request_UnsupportedQuery", str(error))
        found = [row for row in rows if not isinstance(row, dict) or keep(row)]
        top = request.query.get("$top", "")
        if top and not (top.isdigit() and 1 <= int(top) <= MOST_ROWS):
            return graph_error(400, "Request_UnsupportedQuery", f"Invalid page size: {top}.")
        size = min(int(top) if top else DEFAULT_ROWS, self._knobs.page_size)
        token = request.query.get("$skiptoken", "")
        start = int(token) if token.isdigit() else 0
        page = self._shown(found[start : start + size], path, request)
        body: Json = {"@odata.context": context}
        if request.query.get("$count", "").lower() == "true":
            body["@odata.count"] = len(found)
        if start + size < len(found):
            body["@odata.nextLink"] = request.link(**{"$skiptoken": str(start + size)})
        return Reply(200, {**body, "value": page})

    @staticmethod
    def _shown(rows: list[Json], path: str, request: Request) -> list[Json]:
        """The rows with the members that were asked for; related things (`@name`) on $expand."""
        select = {name.strip() for name in request.query.get("$select", "").split(",") if name}
        expand = {
            name.split("(")[0].strip() for name in request.query.get("$expand", "").split(",")
        }
        if not select and path == "/users":
            select = set(USER_BY_DEFAULT)
        shown = []
        for row in rows:
            if not isinstance(row, dict):
                shown.append(row)
                continue
            plain = {k: v for k, v in row.items() if not _is_related(k)}
            if select:
                plain = {k: v for k, v in plain.items() if k in select or k == "id" or "@" in k}
            for name in expand - {""}:
                if f"@{name}" in row:
                    plain[name] = row[f"@{name}"]
            shown.append(plain)
        return shown


def _is_related(name: str) -> bool:
    return name.startswith("@") and not name.startswith("@odata")


def condition(text: str) -> Callable[[Json], bool]:
    """Understand a $filter: comparisons and startswith, joined by `and` or by `or`."""
    if not text.strip():
        return lambda _: True
    if " or " in text:
        return _joined(any, text.split(" or "))
    if " and " in text:
        return _joined(all, text.split(" and "))
    start = re.fullmatch(r"\s*startswith\(\s*([\w/]+)\s*,\s*'([^']*)'\s*\)\s*", text)
    if start:
        return lambda row: str(_reach(row, start[1]) or "").lower().startswith(start[2].lower())
    found = re.fullmatch(r"\s*\(?([\w/]+)\s+(eq|ne|ge|le|gt|lt)\s+('[^']*'|[\w:.+-]+)\)?\s*", text)
    if found is None:
        raise ValueError(f"Unsupported or invalid query filter clause: {text}")
    path, operator, literal = found.groups()
    wanted: Any = {"true": True, "false": False, "null": None}.get(literal, literal.strip("'"))
    return lambda row: _holds(operator, _reach(row, path), wanted)


def _joined(join: Callable[[Iterable[bool]], bool], texts: list[str]) -> Callable[[Json], bool]:
    parts = [condition(text) for text in texts]
    return lambda row: join(part(row) for part in parts)


def _reach(row: Any, path: str) -> Any:
    for name in path.split("/"):
        row = row.get(name) if isinstance(row, dict) else None
    return row


def _holds(operator: str, value: Any, wanted: Any) -> bool:
    if isinstance(value, str) and isinstance(wanted, str):
        value, wanted = value.lower(), wanted.lower()
    if operator == "eq":
        return bool(value == wanted)
    if operator == "ne":
        return bool(value != wanted)
    one, other = str(value or ""), str(wanted)
    return {"ge": one >= other, "le": one <= other, "gt": one > other, "lt": one < other}[operator]
