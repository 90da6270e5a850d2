"""A small Azure estate, and resource types of our own to read it with.

Small enough to say of each request why it is made, and independent of the built-in types.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from auditpack.collecting import CollectSummary
from auditpack.config import AzureConfig, AzureTenantConfig, Config, SigningConfig
from auditpack.console import Output
from auditpack.demo.azure.estate import (
    AzureEstate,
    Company,
    Document,
    ManagementGroup,
    SubscriptionEntry,
)
from auditpack.demo.azure.server import FakeAzure
from auditpack.options import Context
from evidence.snapshot import Snapshot

TENANT = "aaaaaaaa-0000-4000-8000-000000000001"
PRODUCTION = "BBBBBBBB-0000-4000-8000-00000000000A"
SANDBOX = "cccccccc-0000-4000-8000-00000000000b"
SECRET = "not-a-real-client-secret-8d2f"
STORAGE = "Microsoft.Storage/storageAccounts"

STORAGE_TYPE = """\
type: azure_small_storage
title: Storage account
native_type: Microsoft.Storage/storageAccounts
service: storage
scope: subscription
list: {resource_graph: resources}
reread: {api: 2023-05-01}
enrich:
  - into: blob_service
    arm: "{id}/blobServices/default"
    api: 2023-05-01
    absent: [ResourceNotFound]
tags: {path: tags}
facets:
  transport:
    about: how it may be reached
    https_only: {type: boolean, path: properties.supportsHttpsTrafficOnly, about: only by https}
    minimum_tls: {type: text, path: properties.minimumTlsVersion, decode: lower, about: least TLS}
  recovery:
    from: blob_service
    about: what can be got back
    versioning: {type: boolean, path: properties.isVersioningEnabled, absent: false, about: kept}
redact:
  - {path: properties.connectionText}
"""

LOCK_TYPE = """\
type: azure_small_lock
title: Lock
native_type: Microsoft.Authorization/locks
service: authorization
scope: subscription
list:
  arm: /subscriptions/{account}/providers/Microsoft.Authorization/locks
  api: 2020-05-01
region: null
facets:
  lock:
    about: the lock
    level: {type: text, path: properties.level, decode: lower, about: what it forbids}
"""

USER_TYPE = """\
type: entra_small_user
title: User
service: entra
scope: tenant
list:
  graph: /v1.0/users
  query: {$select: "id,displayName", $top: "999"}
  needs_permission: User.Read.All
name: displayName
region: null
facets:
  identity:
    about: who it is
    display_name: {type: text, path: displayName, about: the name that people see}
"""

TYPES = {
    "azure_small_storage": STORAGE_TYPE,
    "azure_small_lock": LOCK_TYPE,
    "entra_small_user": USER_TYPE,
}


def account_path(subscription: str, name: str) -> str:
    """The id of a storage account, in the mixed case in which Azure writes ids."""
    return f"/subscriptions/{subscription}/resourceGroups/RG-Data/providers/{STORAGE}/{name}"


def small_estate(accounts: int = 3) -> AzureEstate:
    """Two subscriptions with so many storage accounts each, locks, and five users."""
    entries = tuple(
        SubscriptionEntry(id=i, name=n, title=n, management_group=TENANT, location="norwayeast")
        for i, n in ((PRODUCTION, "production"), (SANDBOX, "sandbox"))
    )
    company = Company(
        tenant=TENANT,
        domain="small.example",
        collector="collector",
        subscriptions=entries,
        management_groups={TENANT: ManagementGroup(title="root")},
    )
    documents: list[Document] = []
    for entry in entries:
        root = f"/subscriptions/{entry.id}"
        body = {
            "id": root,
            "subscriptionId": entry.id,
            "tenantId": TENANT,
            "displayName": entry.name,
            "state": "Enabled",
            "subscriptionPolicies": {},
        }
        documents.append(Document(body, root, "Microsoft.Resources/subscriptions", "", entry.id))
        group = f"{root}/resourceGroups/RG-Data"
        kind = "Microsoft.Resources/resourceGroups"
        body = {"id": group, "name": "RG-Data", "type": kind, "location": "norwayeast"}
        documents.append(
            Document(body, group, kind, root.lower(), entry.id, "", "resourcecontainers")
        )
        for number in range(accounts):
            documents += _account(entry.id, f"Store{number}", group)
        lock = f"{root}/providers/Microsoft.Authorization/locks/Keep"
        kind = "Microsoft.Authorization/locks"
        body = {"id": lock, "name": "Keep", "type": kind, "properties": {"level": "CanNotDelete"}}
        documents.append(Document(body, lock, kind, root.lower(), entry.id))
    by_id = {document.path.lower(): document for document in documents}
    types = {document.type.lower(): document.type for document in documents}
    users = [{"id": f"u{number}", "displayName": f"Person {number}"} for number in range(5)]
    return AzureEstate(company, dict(sorted(by_id.items())), {}, {"/users": users}, types)


def _account(subscription: str, name: str, group: str) -> list[Document]:
    path = account_path(subscription, name)
    body = {
        "id": path,
        "name": name,
        "type": STORAGE,
        "location": "norwayeast",
        "kind": "StorageV2",
        "tags": {"Owner": "data"},
        "properties": {
            "supportsHttpsTrafficOnly": name != "Store1",
            "minimumTlsVersion": "TLS1_2",
            "somethingNew": {"that": ["nobody", "knows"]},
            "connectionText": f"private-text-of-{name}",
        },
    }
    service = f"{path}/blobServices/default"
    kind = f"{STORAGE}/blobServices"
    blobs = {"id": service, "name": "default", "type": kind, "properties": {}}
    if name == "Store0":
        blobs["properties"] = {"isVersioningEnabled": True}
    return [
        Document(body, path, STORAGE, group.lower(), subscription, "RG-Data", "resources"),
        Document(blobs, service, kind, path.lower(), subscription, "RG-Data"),
    ]


def context_in(folder: Path, fake: FakeAzure, **azure: Any) -> Context:
    """A context whose store, keys and resource types lie in `folder`, over the fake."""
    types = folder / "auditpack.d" / "resources"
    if not types.is_dir():
        types.mkdir(parents=True)
        for name, text in TYPES.items():
            (types / f"{name}.yaml").write_text(text)
    settings: dict[str, Any] = {
        "tenants": (AzureTenantConfig(id=TENANT, name="Small"),),
        "types": tuple(TYPES),
        "authority": fake.url,
        "arm_endpoint": fake.url,
        "graph_endpoint": fake.url,
        "ca_file": str(fake.ca_file),
        "max_attempts": 2,
        **azure,
    }
    config = Config(
        organisation="Small",
        store=str(folder / "store"),
        azure=AzureConfig(**settings),
        signing=SigningConfig(key=folder / "keys/k.pem", certificate=folder / "keys/c.pem"),
    )
    Context(config, None, Output(quiet=True)).signing_key()  # makes the first one
    return Context(config, folder / "auditpack.yaml", Output(quiet=True))


def snapshot_of(context: Context, summary: CollectSummary) -> Snapshot:
    """The snapshot that a run sealed."""
    return Snapshot.open(context.store(), summary.snapshot)
