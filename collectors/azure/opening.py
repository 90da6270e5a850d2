"""The first handshake with a tenant: whose the credentials are, and which subscriptions there are.

Resource Graph leaves out what a credential may not see, without a word. So subscriptions are listed
by Azure Resource Manager first, and one that is in scope and not there, or switched off, is known
to be unread.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from collectors.azure.clouds import AzureSettings
from collectors.azure.errors import AzureCredentialsError, AzureUnreachableError
from collectors.azure.exchange import Reply, Request
from collectors.azure.outcomes import classify, detail_of
from collectors.azure.session import TenantSession, TenantTarget
from collectors.azure.spec import ARM
from evidence.errors import AuditpackError, UsageError
from evidence.outcome import Outcome

_API = "2022-12-01"
_NOTHING_FOUND = "ChainedTokenCredential failed to retrieve a token"
_READABLE = ("enabled", "warned", "pastdue")
"""States in which a subscription's resources are there and can be read.

Source: learn.microsoft.com/azure/cost-management-billing/manage/subscription-states.
"""


@dataclass(frozen=True)
class OpenedSubscription:
    """A subscription in scope. `unread` says why it cannot be read; empty where it can."""

    id: str
    name: str = ""
    unread: str = ""
    outcome: Outcome = Outcome.OK


@dataclass(frozen=True)
class OpenedTenant:
    """A tenant after the first handshake: its id, its subscriptions, and why not, if not."""

    target: TenantTarget
    id: str
    subscriptions: tuple[OpenedSubscription, ...] = ()
    remarks: tuple[str, ...] = ()
    failure: AuditpackError | None = None

    @property
    def readable(self) -> tuple[str, ...]:
        """The ids of the subscriptions that can be read."""
        return tuple(item.id for item in self.subscriptions if not item.unread)


def open_tenants(
    targets: Sequence[TenantTarget], settings: AzureSettings, *, required: bool = True
) -> list[OpenedTenant]:
    """Open every tenant.

    With `required`, raises the first failure when none can be opened; raises UsageError always.
    """
    with ThreadPoolExecutor(min(16, len(targets))) as threads:
        opened = list(threads.map(lambda target: open_tenant(target, settings), targets))
    failures = [tenant.failure for tenant in opened if tenant.failure is not None]
    wrong = [failure for failure in failures if isinstance(failure, UsageError)]
    if wrong or (required and failures and len(failures) == len(opened)):
        raise [*wrong, *failures][0]
    return _each_once(opened)


def _each_once(opened: Sequence[OpenedTenant]) -> list[OpenedTenant]:
    """Return the tenants with each subscription in one of them. Raises UsageError.

    A subscription that is delegated to a second tenant is seen from both.
    """
    tenants: set[str] = set()
    seen: set[str] = set()
    found = []
    for tenant in opened:
        if tenant.id in tenants:
            raise UsageError(
                f"tenant {tenant.id} is there twice",
                where="azure.tenants",
                mend="Name each tenant once, with all its subscriptions.",
            )
        tenants.add(tenant.id)
        mine = tuple(item for item in tenant.subscriptions if item.id not in seen)
        seen |= {item.id for item in mine}
        found.append(replace(tenant, subscriptions=mine))
    return found


def open_tenant(target: TenantTarget, settings: AzureSettings) -> OpenedTenant:
    """Find out which tenant this is and which subscriptions are visible.

    A tenant that cannot be opened is returned with its failure, not raised.
    """
    name = (target.id or target.name or "unknown").lower()
    configured = tuple(OpenedSubscription(item.lower()) for item in target.subscriptions)
    try:
        session = TenantSession(target, settings)
        try:
            visible = _listed(session, "/subscriptions", target)
            tenant_id = target.id or _tenant_of(session, visible, target)
        finally:
            session.close()
    except AuditpackError as error:
        return OpenedTenant(target, name, configured, failure=error)
    subscriptions, remarks = _in_scope(target, visible)
    return OpenedTenant(target, tenant_id.lower(), subscriptions, remarks)


def _listed(session: TenantSession, path: str, target: TenantTarget) -> list[dict[str, Any]]:
    """Return all items of a list. Raises AzureCredentialsError or AzureUnreachableError."""
    found: list[dict[str, Any]] = []
    request: Request | None = Request(path, {"api-version": _API})
    seen: set[str] = set()
    while request is not None:
        seen.add(request.url)
        reply = session.send(ARM, f"GET {path}", request)
        page = reply.data if isinstance(reply.data, dict) else {}
        if not reply.ok or not isinstance(page.get("value"), list):
            raise _failure(reply, target)
        found.extend(item for item in page["value"] if isinstance(item, dict))
        try:
            request = request.following(str(page["nextLink"])) if page.get("nextLink") else None
        except ValueError:
            raise _failure(reply, target) from None
        if request is not None and request.url in seen:
            raise _failure(reply, target)
    return found


def _failure(reply: Reply, target: TenantTarget) -> AuditpackError:
    outcome = classify(reply)
    detail = detail_of(reply, outcome, "")
    where = f"azure.tenants {target.name} {target.id}".strip()
    if outcome is Outcome.DENIED:
        what = f"Azure does not accept the credentials: {detail}"
        if _NOTHING_FOUND in reply.message:
            what = (
                "there are no credentials for Azure: the environment names none, and neither a"
                " managed identity nor a login of `az` gave a token"
            )
        return AzureCredentialsError(
            what,
            where=where,
            mend="Set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, run on a machine"
            " with a managed identity, or log in with `az login`.",
        )
    return AzureUnreachableError(
        f"Azure could not be reached: {detail or 'the answer is not a whole list'}",
        where=where,
        mend="Check the network, the proxy, and azure.cloud, azure.authority, azure.arm_endpoint"
        " and azure.ca_file.",
    )


def _tenant_of(
    session: TenantSession, visible: Sequence[dict[str, Any]], target: TenantTarget
) -> str:
    """Return the tenant of the credentials, as the subscriptions or the tenants say."""
    import os

    if os.environ.get("AZURE_TENANT_ID"):
        return os.environ["AZURE_TENANT_ID"]
    found = {str(item.get("tenantId") or "") for item in visible} - {""}
    if len(found) != 1:
        tenants = _listed(session, "/tenants", target)
        found = {str(item.get("tenantId") or "") for item in tenants} - {""}
    if len(found) != 1:
        raise AzureCredentialsError(
            f"the credentials belong to {len(found)} tenants",
            where="azure.tenants",
            mend="Name the tenant's id in auditpack.yaml, or set AZURE_TENANT_ID.",
        )
    return found.pop()


def _in_scope(
    target: TenantTarget, visible: Sequence[dict[str, Any]]
) -> tuple[tuple[OpenedSubscription, ...], tuple[str, ...]]:
    """Return the subscriptions in scope, and remarks on those that cannot be read."""
    known = {_id_of(item): item for item in visible}
    known.pop("", None)
    wanted = [item.lower() for item in target.subscriptions] or sorted(known)
    found = tuple(_subscription(item, known.get(item)) for item in dict.fromkeys(wanted))
    remarks = [f"subscription {item.id}: {item.unread}" for item in found if item.unread]
    if not found:
        remarks.append("the credentials see no subscription; only the tenant is read")
    return found, tuple(remarks)


def _id_of(seen: dict[str, Any]) -> str:
    """Return the id of a subscription, which its path says too; in lower case."""
    given = seen.get("subscriptionId") or str(seen.get("id") or "").rpartition("/")[2]
    return str(given).lower()


def _subscription(identifier: str, seen: dict[str, Any] | None) -> OpenedSubscription:
    if seen is None:
        why = "it is not visible to the credentials (needs the role of `auditpack permissions`)"
        return OpenedSubscription(identifier, "", why, Outcome.DENIED)
    name, state = str(seen.get("displayName") or ""), str(seen.get("state") or "Enabled")
    if state.lower() not in _READABLE:
        return OpenedSubscription(
            identifier, name, f"it is not enabled: its state is {state}", Outcome.NOT_ENABLED
        )
    return OpenedSubscription(identifier, name)
