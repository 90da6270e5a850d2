"""The exact permissions that collecting needs, derived from the resource types.

What is not asked for is not granted: a custom role with a permission for each content and method,
given where it is read, and the use of one project's quota. All of them read.

Source: cloud.google.com/asset-inventory/docs/roles-permissions.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from collectors.gcp.needs import BESIDES, GROUPS, PERMISSIONS, USES_QUOTA
from collectors.gcp.outcomes import API
from collectors.gcp.spec import ANALYZE, GcpResourceType

ROLE_ID = "auditpackReader"
QUOTA_ROLE_ID = "auditpackQuota"
TITLE = "auditpack read-only"
_ABOUT = "Reads the configuration that auditpack keeps as evidence. It can change nothing."
_QUOTA_ABOUT = "Lets auditpack's calls count against this project's quota."
_FOLDER_ORGANIZATION = "ORGANIZATION_NUMBER"
"""A folder has no roles of its own: they are made in its organisation, whose number we lack."""


@dataclass(frozen=True)
class Grants:
    """What is to be granted, on which scopes, and in which project calls are counted."""

    permissions: tuple[str, ...]
    scopes: tuple[str, ...]
    quota_project: str

    @property
    def follows_groups(self) -> bool:
        """Whether it is asked who is in the groups that roles are granted to."""
        return PERMISSIONS[ANALYZE] in self.permissions

    @property
    def holders(self) -> tuple[str, ...]:
        """Where the role has to be made: custom roles are an organisation's or a project's."""
        return tuple(dict.fromkeys(_holder(scope) for scope in self.scopes))


def _holder(scope: str) -> str:
    is_folder = scope.startswith("folders/")
    return f"organizations/{_FOLDER_ORGANIZATION}" if is_folder else scope


def required_permissions(specs: Iterable[GcpResourceType]) -> tuple[str, ...]:
    """Return what collecting `specs` needs on what is read, sorted. Resources are always read."""
    found = {PERMISSIONS["resource"]}
    for spec in specs:
        methods = spec.contents() or (spec.listing.method,)
        for name in methods:
            found |= {PERMISSIONS[name], *BESIDES.get(name, ())}
    return tuple(sorted(found))


def grants_for(
    specs: Iterable[GcpResourceType], scopes: Sequence[str], quota_project: str
) -> Grants:
    """Return what is to be granted; words in capitals stand for what is not configured."""
    return Grants(
        required_permissions(specs),
        tuple(scopes) or ("organizations/ORGANIZATION_NUMBER",),
        quota_project or "QUOTA_PROJECT",
    )


def _role(title: str, about: str, permissions: Sequence[str]) -> dict[str, Any]:
    return {
        "title": title,
        "description": about,
        "stage": "GA",
        "includedPermissions": list(permissions),
    }


def as_document(grants: Grants) -> dict[str, Any]:
    """Return roles, places and APIs as one JSON document."""
    quota_role = _role(f"{TITLE}: quota", _QUOTA_ABOUT, (USES_QUOTA,))
    return {
        "apis": {"project": grants.quota_project, "services": [API]},
        "role": {"id": ROLE_ID, **_role(TITLE, _ABOUT, grants.permissions)},
        "made_in": list(grants.holders),
        "granted_on": list(grants.scopes),
        "besides": [GROUPS] if grants.follows_groups else [],
        "quota_role": {"id": QUOTA_ROLE_ID, **quota_role},
        "quota_role_made_in": f"projects/{grants.quota_project}",
    }


def as_role_file(grants: Grants) -> str:
    """Return the role as `gcloud iam roles create --file` takes it, which is YAML."""
    lines = [f"title: {TITLE}", f"description: {_ABOUT}", "stage: GA", "includedPermissions:"]
    return "\n".join([*lines, *(f"- {name}" for name in grants.permissions)]) + "\n"


_KINDS = {"organizations": "organization", "folders": "folder", "projects": "project"}


def as_commands(grants: Grants) -> str:
    """Return the commands of `gcloud` that grant the same, as a shell script."""
    lines = [
        "#!/bin/sh",
        "# Grants what auditpack reads with, and nothing more. Run as an administrator of roles",
        "# and of IAM on the scopes, and as an owner of the quota project.",
        *_about_groups(grants),
        "set -eu",
        ': "${MEMBER:?set MEMBER to who collects, such as serviceAccount:NAME@PROJECT'
        '.iam.gserviceaccount.com}"',
        "",
        f"gcloud services enable {API} --project={grants.quota_project}",
        "",
        "cat > auditpack-role.yaml <<'ROLE'",
        as_role_file(grants) + "ROLE",
        *(
            f"gcloud iam roles create {ROLE_ID} {_flag(holder)} --file=auditpack-role.yaml"
            for holder in grants.holders
        ),
        *(
            f'{_bind(scope)} --member="$MEMBER" --role={_full_role(scope)} --condition=None'
            for scope in grants.scopes
        ),
        "",
        f"gcloud iam roles create {QUOTA_ROLE_ID} --project={grants.quota_project}"
        f" --title='{TITLE}: quota' --stage=GA --permissions={USES_QUOTA}",
        f"gcloud projects add-iam-policy-binding {grants.quota_project}"
        f' --member="$MEMBER" --role=projects/{grants.quota_project}/roles/{QUOTA_ROLE_ID}'
        " --condition=None",
    ]
    return "\n".join(lines) + "\n"


def _about_groups(grants: Grants) -> list[str]:
    return [f"# Besides, and not granted here: {GROUPS}."] if grants.follows_groups else []


def _flag(holder: str) -> str:
    kind, _, name = holder.partition("/")
    return f"--{_KINDS[kind]}={name}"


def _full_role(scope: str) -> str:
    return f"{_holder(scope)}/roles/{ROLE_ID}"


def _bind(scope: str) -> str:
    kind, _, name = scope.partition("/")
    group = "resource-manager folders" if kind == "folders" else kind
    return f"gcloud {group} add-iam-policy-binding {name}"


def as_terraform(grants: Grants) -> str:
    """Return the same as Terraform: provider google."""
    blocks = [
        *(f"{line}\n" for line in _about_groups(grants)),
        'variable "auditpack_member" {\n'
        '  description = "Who collects, such as serviceAccount:NAME@PROJECT'
        '.iam.gserviceaccount.com"\n'
        "  type        = string\n}\n",
        'resource "google_project_service" "auditpack" {\n'
        f'  project            = "{grants.quota_project}"\n'
        f'  service            = "{API}"\n'
        "  disable_on_destroy = false\n}\n",
    ]
    names = {holder: f"auditpack_{n}" for n, holder in enumerate(grants.holders, start=1)}
    blocks += [_terraform_role(names[h], h, grants.permissions) for h in grants.holders]
    blocks += [
        _terraform_member(number, scope, names[_holder(scope)])
        for number, scope in enumerate(grants.scopes, start=1)
    ]
    quota = f"projects/{grants.quota_project}"
    blocks += [
        _terraform_role("auditpack_quota", quota, (USES_QUOTA,), QUOTA_ROLE_ID),
        _terraform_member("quota", quota, "auditpack_quota"),
    ]
    return "\n".join(blocks)


def _terraform_role(
    name: str, holder: str, permissions: Sequence[str], role_id: str = ROLE_ID
) -> str:
    kind, _, owner = holder.partition("/")
    is_project = kind == "projects"
    resource = f"google_{'project' if is_project else 'organization'}_iam_custom_role"
    title = TITLE if role_id == ROLE_ID else f"{TITLE}: quota"
    about = _ABOUT if role_id == ROLE_ID else _QUOTA_ABOUT
    listed = "\n".join(f'    "{permission}",' for permission in permissions)
    return (
        f'resource "{resource}" "{name}" {{\n'
        f'  {"project" if is_project else "org_id "}     = "{owner}"\n'
        f'  role_id     = "{role_id}"\n'
        f'  title       = "{title}"\n'
        f'  description = "{about}"\n'
        f"  permissions = [\n{listed}\n  ]\n}}\n"
    )


def _terraform_member(number: int | str, scope: str, role: str) -> str:
    kind, _, name = scope.partition("/")
    of_project = kind == "projects"
    made = f"google_{'project' if of_project else 'organization'}_iam_custom_role.{role}"
    place = {
        "organizations": ("org_id", name),
        "folders": ("folder", scope),
        "projects": ("project", name),
    }[kind]
    return (
        f'resource "google_{_KINDS[kind]}_iam_member" "auditpack_{number}" {{\n'
        f'  {place[0]:7} = "{place[1]}"\n'
        f"  role    = {made}.name\n"
        "  member  = var.auditpack_member\n}\n"
    )


def as_json(grants: Grants) -> str:
    """Return the document as text."""
    return json.dumps(as_document(grants), indent=2) + "\n"
