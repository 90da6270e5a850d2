"""The exact permissions that collecting needs, derived from the resource types.

What is not called is not asked for: a custom role whose actions follow the calls' paths, and the
application permissions of Microsoft Graph that the types name. All of them read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from collectors.azure.actions import RESOURCE_GRAPH_ACTION, actions_of
from collectors.azure.spec import RESOURCE_GRAPH, AzureResourceType

ROLE_NAME = "auditpack read-only"
_ABOUT = "Reads the configuration that auditpack keeps as evidence. It can change nothing."
_GRAPH_APPLICATION = "00000003-0000-0000-c000-000000000000"
"""Microsoft Graph's application id, the same in every tenant (learn.microsoft.com/graph)."""

_ALWAYS = ("Microsoft.Resources/subscriptions/read",)
_READS = re.compile(r"(?i)/(read|[a-z]+/action)$")


@dataclass(frozen=True)
class Permissions:
    """What is needed: actions of Azure, and application permissions of Microsoft Graph."""

    actions: tuple[str, ...]
    graph: tuple[str, ...]


def required_permissions(specs: Iterable[AzureResourceType]) -> Permissions:
    """Return what collecting `specs` needs, sorted. An action is named once, whatever its case."""
    actions, graph = {name.lower(): name for name in _ALWAYS}, set()
    for spec in specs:
        for action in actions_of(spec):
            _add(actions, action)
        for call in spec.calls():
            if call.service == RESOURCE_GRAPH:
                _add(actions, RESOURCE_GRAPH_ACTION)
            if call.graph:
                graph.update(re.split(r"\s*(?:,|\band\b|\+)\s*", call.needs_permission))
    found = tuple(actions[key] for key in sorted(actions))
    return Permissions(found, tuple(sorted(graph)))


def _add(actions: dict[str, str], action: str) -> None:
    """Add an action; of two ways to write one, the one with more capitals is Azure's own."""
    if not action:
        return
    known = actions.setdefault(action.lower(), action)
    actions[action.lower()] = min(known, action)


def role_definition(permissions: Permissions, scopes: Sequence[str]) -> dict[str, Any]:
    """Return the custom role as `az role definition create` takes it."""
    return {
        "Name": ROLE_NAME,
        "IsCustom": True,
        "Description": _ABOUT,
        "Actions": list(permissions.actions),
        "NotActions": [],
        "DataActions": [],
        "NotDataActions": [],
        "AssignableScopes": list(scopes),
    }


def as_document(permissions: Permissions, scopes: Sequence[str]) -> dict[str, Any]:
    """Return role and Graph permissions as one JSON document."""
    return {
        "role": role_definition(permissions, scopes),
        "microsoft_graph": {
            "resource_app_id": _GRAPH_APPLICATION,
            "application_permissions": list(permissions.graph),
        },
    }


def as_commands(permissions: Permissions, scopes: Sequence[str]) -> str:
    """Return the commands of `az` that grant the same to an application, as a shell script."""
    role = json.dumps(role_definition(permissions, scopes), indent=2)
    assignments = "\n".join(
        f'az role assignment create --assignee "$APP_ID" --role "{ROLE_NAME}" --scope "{scope}"'
        for scope in scopes
    )
    lines = [
        "#!/bin/sh",
        "# Grants what auditpack reads with, and nothing more. Run as an Owner of the scopes, and",
        "# as a Privileged Role Administrator of the tenant.",
        "set -eu",
        ': "${APP_ID:?set APP_ID to the client id of the application that collects}"',
        "",
        "cat > auditpack-role.json <<'ROLE'",
        role,
        "ROLE",
        "az role definition create --role-definition @auditpack-role.json",
        assignments,
    ]
    if permissions.graph:
        names = " ".join(permissions.graph)
        lines += [
            "",
            f"for name in {names}; do",
            f"  id=$(az ad sp show --id {_GRAPH_APPLICATION} --query"
            " \"appRoles[?value=='$name'].id | [0]\" -o tsv)",
            f'  az ad app permission add --id "$APP_ID" --api {_GRAPH_APPLICATION}'
            ' --api-permissions "$id=Role"',
            "done",
            'az ad app permission admin-consent --id "$APP_ID"',
        ]
    return "\n".join(lines) + "\n"


def as_terraform(permissions: Permissions, scopes: Sequence[str]) -> str:
    """Return the same as Terraform: providers azurerm and azuread."""
    actions = "\n".join(f'      "{name}",' for name in permissions.actions)
    listed = ", ".join(f'"{scope}"' for scope in scopes)
    blocks = [
        'variable "auditpack_principal_id" {\n'
        '  description = "Object id of the service principal that collects"\n'
        "  type        = string\n}\n",
        'resource "azurerm_role_definition" "auditpack" {\n'
        f'  name              = "{ROLE_NAME}"\n'
        f'  description       = "{_ABOUT}"\n'
        f'  scope             = "{scopes[0]}"\n'
        f"  assignable_scopes = [{listed}]\n\n"
        f"  permissions {{\n    actions = [\n{actions}\n    ]\n  }}\n}}\n",
    ]
    blocks.extend(
        f'resource "azurerm_role_assignment" "auditpack_{number}" {{\n'
        f'  scope              = "{scope}"\n'
        "  role_definition_id = azurerm_role_definition.auditpack.role_definition_resource_id\n"
        "  principal_id       = var.auditpack_principal_id\n}\n"
        for number, scope in enumerate(scopes, start=1)
    )
    if permissions.graph:
        names = "\n".join(f'    "{name}",' for name in permissions.graph)
        blocks.append(
            'data "azuread_service_principal" "microsoft_graph" {\n'
            f'  client_id = "{_GRAPH_APPLICATION}"\n}}\n'
        )
        blocks.append(
            'resource "azuread_app_role_assignment" "auditpack" {\n'
            f"  for_each = toset([\n{names}\n  ])\n\n"
            "  app_role_id         = data.azuread_service_principal.microsoft_graph"
            ".app_role_ids[each.value]\n"
            "  principal_object_id = var.auditpack_principal_id\n"
            "  resource_object_id  = data.azuread_service_principal.microsoft_graph.object_id\n"
            "}\n"
        )
    return "\n".join(blocks)
