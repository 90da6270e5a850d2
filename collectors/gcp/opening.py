"""The first handshake with a scope: whether it can be read, and which projects lie in it.

The projects are listed at the run's own time, so that they are those which the pages will tell of.
A scope that may not be listed is opened all the same: each content takes a permission of its own,
and says itself which one is missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from collectors.gcp.bulk import BulkQuery
from collectors.gcp.errors import GcpCredentialsError, GcpUnreachableError, missing_libraries
from collectors.gcp.exchange import Reply
from collectors.gcp.items import HIERARCHY, name_of, project_of
from collectors.gcp.needs import PERMISSIONS
from collectors.gcp.outcomes import classify, detail_of, is_throttle, lacks_token
from collectors.gcp.settings import GcpSettings
from evidence.errors import AuditpackError, UsageError
from evidence.outcome import Outcome

if TYPE_CHECKING:
    from collectors.gcp.session import Session

_STOPS = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "NOT_FOUND", "UNIMPLEMENTED", "UNAUTHENTICATED")
"""Codes that no content could be read with either."""


UNKNOWN = "unknown"
"""Stands for the scope where none is named and the credentials have no project."""


@dataclass(frozen=True)
class OpenedProject:
    """A project in scope."""

    id: str
    number: str = ""
    name: str = ""


@dataclass(frozen=True)
class OpenedScope:
    """A scope after the first handshake.

    `account` is its own account, `name` what people call it, `ancestors` what lies above it,
    nearest first; None where that is not known. Where its projects could not be `listed`, a remark
    says why. `failure` says why nothing of it can be read.
    """

    id: str
    account: str
    projects: tuple[OpenedProject, ...] = ()
    ancestors: tuple[str, ...] | None = None
    remarks: tuple[str, ...] = ()
    failure: AuditpackError | None = None
    listed: bool = True
    name: str = ""

    @property
    def is_project(self) -> bool:
        """Whether it is one project."""
        return self.id.startswith("projects/")

    @property
    def organization(self) -> str:
        """The organisation above it; empty where there is none, or it is not known."""
        above = self.ancestors or ()
        return next((name for name in reversed(above) if name.startswith("organizations/")), "")


@dataclass
class _Found:
    """What a handshake found."""

    projects: list[OpenedProject] = field(default_factory=list)
    ancestors: tuple[str, ...] | None = None
    name: str = ""


def open_scopes(
    scopes: Sequence[str], settings: GcpSettings, read_time: str, *, required: bool = True
) -> list[OpenedScope]:
    """Open every scope; without any, the project of the credentials.

    With `required`, raises the first failure when none can be opened; without, that becomes gaps.
    """
    try:
        from collectors.gcp.session import Session
    except ImportError as error:
        raise missing_libraries(error) from error
    try:
        session = Session(settings)
    except GcpCredentialsError as error:
        if required:
            raise
        return [OpenedScope(n, _account_of(n), failure=error) for n in scopes or (UNKNOWN,)]
    try:
        wanted = list(dict.fromkeys(scopes)) or _own_project(session)
        opened = _opened(session, wanted, read_time)
    except UsageError as error:
        if required:
            raise
        return [OpenedScope(UNKNOWN, UNKNOWN, failure=error)]
    finally:
        session.close()
    failures = [scope.failure for scope in opened if scope.failure is not None]
    if required and failures and len(failures) == len(opened):
        raise failures[0]
    return _each_once(opened)


def _own_project(session: Session) -> list[str]:
    if session.project:
        return [f"projects/{session.project}"]
    raise UsageError(
        "no scope is named",
        where="gcp.scopes",
        mend="Name organizations/NUMBER, folders/NUMBER or projects/ID there, with --gcp-scope or"
        " --project, or set GOOGLE_CLOUD_PROJECT.",
    )


def _opened(session: Session, scopes: Sequence[str], read_time: str) -> list[OpenedScope]:
    try:
        session.check()
    except GcpCredentialsError as error:
        return [OpenedScope(name, _account_of(name), failure=error) for name in scopes]
    return [_open(session, name, read_time) for name in scopes]


def _open(session: Session, name: str, read_time: str) -> OpenedScope:
    """List the projects of a scope. What stops everything is its failure, the rest a remark."""
    found = _Found()
    page_size = session.settings.page_size
    query = BulkQuery.of_assets(name, "resource", read_time, HIERARCHY, page_size)
    request, seen = query.request, {""}
    while True:
        reply = session.send(query.operation, request)
        if not reply.ok:
            return _unlisted(name, found, reply)
        for asset in query.results(reply.data or {}):
            _note(found, name, asset)
        token = str((reply.data or {}).get("nextPageToken") or "")
        if token in seen:
            break
        seen.add(token)
        request = query.request.following(token)
    return _scope(name, found)


def _scope(name: str, found: _Found, **more: Any) -> OpenedScope:
    """Return the scope; a project's account is its id, however it was named."""
    if not name.startswith("projects/"):
        projects = tuple(found.projects)
        return OpenedScope(name, name, projects, found.ancestors, name=found.name, **more)
    given = _account_of(name)
    mine = next((p for p in found.projects if given in (p.id, p.number)), OpenedProject(given))
    return OpenedScope(name, mine.id, (mine,), found.ancestors, name=mine.name, **more)


def _unlisted(name: str, found: _Found, reply: Reply) -> OpenedScope:
    outcome = classify(reply)
    detail = detail_of(reply, outcome, PERMISSIONS["resource"])
    if lacks_token(reply) or reply.code == "UNAUTHENTICATED":
        failure: AuditpackError = GcpCredentialsError(
            f"Google does not accept the credentials: {detail}",
            where=name,
            mend="Set GOOGLE_APPLICATION_CREDENTIALS or gcp.credentials_file, or log in with"
            " `gcloud auth application-default login`.",
        )
        return OpenedScope(name, _account_of(name), failure=failure)
    if reply.code in _STOPS and not is_throttle(reply):
        failure = GcpUnreachableError(
            f"{name} could not be read: {detail}",
            where=f"gcp.scopes {name}",
            mend="Check the scope's number or id, the network, and gcp.endpoint and gcp.ca_file.",
        )
        return OpenedScope(name, _account_of(name), failure=failure)
    what = f"its projects could not be listed beforehand: {outcome.value}: {detail}"
    return _scope(name, found, remarks=(what,), listed=False)


def _account_of(scope: str) -> str:
    return scope.removeprefix("projects/")


def _note(found: _Found, scope: str, asset: Mapping[str, Any]) -> None:
    """Note a project, what the scope is called, and what lies above it."""
    found.name = found.name or name_of(asset, scope)
    project = project_of(asset)
    if project is not None:
        number, known, name = project
        found.projects.append(OpenedProject(known, number, name))
    names = asset.get("ancestors")
    above = [str(name) for name in names] if isinstance(names, list) else []
    if found.ancestors is None and above:
        found.ancestors = _above(scope, above, project)


def _above(
    scope: str, ancestors: Sequence[str], project: tuple[str, str, str] | None
) -> tuple[str, ...] | None:
    """Return the ancestors that lie above the scope; None where it is not among them."""
    names = {scope}
    if project is not None and scope == f"projects/{project[1]}":
        names.add(f"projects/{project[0]}")
    at = next((index for index, name in enumerate(ancestors) if name in names), None)
    return None if at is None else tuple(ancestors[at + 1 :])


def _each_once(opened: Sequence[OpenedScope]) -> list[OpenedScope]:
    """Return the scopes without those that lie within another: nothing is read twice.

    What holds is noted on the scope that stays, so that nobody misses the other.
    """
    readable = {scope.account for scope in opened if scope.failure is None and scope.listed}
    kept: dict[str, OpenedScope] = {}
    for scope in opened:
        within = [name for name in scope.ancestors or () if name in readable]
        if not within and scope.account not in kept:
            kept[scope.account] = scope
    for scope in opened:
        holder = next((n for n in (scope.account, *(scope.ancestors or ())) if n in kept), "")
        if holder and kept[holder] is not scope:
            remark = f"{scope.id} lies within it and is not read a second time"
            kept[holder] = replace(kept[holder], remarks=(*kept[holder].remarks, remark))
    return list(kept.values())


def outcome_of(failure: AuditpackError) -> Outcome:
    """Return the outcome of what could not be read because of a failure."""
    return Outcome.DENIED if isinstance(failure, GcpCredentialsError) else Outcome.ERROR
