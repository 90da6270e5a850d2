"""`auditpack permissions`: exactly what collecting needs to be allowed."""

from __future__ import annotations

import json

import click

from auditpack.options import Context, common_options


@click.group()
def permissions() -> None:
    """Print the exact, read-only permissions that collecting needs."""


@permissions.command()
@click.option(
    "--format", "kind", type=click.Choice(["json", "terraform"]), default="json", show_default=True
)
@click.option("--split", is_flag=True, help="As JSON: a list of policies that AWS's limit allows.")
@common_options
def aws(context: Context, *, kind: str, split: bool) -> None:
    """Print the IAM policy for AWS, derived from the resource types in scope.

    One policy is printed whole: it fits as an inline policy of a role. A managed policy may have
    6,144 characters; --split and Terraform keep to that.
    """
    from collectors.aws.permissions import (
        LONGEST_MANAGED_POLICY,
        policy_as_terraform,
        policy_document,
        policy_documents,
        policy_length,
    )

    specs = list(context.config.aws_scope(context.type_folders).chosen_types().values())
    if kind == "terraform":
        click.echo(policy_as_terraform(specs))
        return
    document = policy_document(specs)
    click.echo(json.dumps(policy_documents(specs) if split else document, indent=2))
    length = policy_length(document)
    if length > LONGEST_MANAGED_POLICY and not split:
        context.output.remark(
            f"{length} characters: too long for one managed policy ({LONGEST_MANAGED_POLICY})."
            " Attach it to the role as an inline policy, or use --split."
        )


@permissions.command()
@click.option(
    "--format",
    "kind",
    type=click.Choice(["json", "az", "terraform"]),
    default="json",
    show_default=True,
)
@common_options
def azure(context: Context, *, kind: str) -> None:
    """Print the custom role and the Microsoft Graph permissions, derived from the types in scope.

    As JSON, as commands of `az`, or as Terraform. The role is for the configured subscriptions;
    where none is configured, for the root management group of the tenant.
    """
    from collectors.azure.permissions import (
        as_commands,
        as_document,
        as_terraform,
        required_permissions,
    )

    scope = context.config.azure_scope(context.type_folders)
    needed = required_permissions(scope.chosen_types().values())
    scopes = _scopes(context)
    if kind == "json":
        click.echo(json.dumps(as_document(needed, scopes), indent=2))
        return
    click.echo((as_commands if kind == "az" else as_terraform)(needed, scopes), nl=False)


@permissions.command()
@click.option(
    "--format",
    "kind",
    type=click.Choice(["json", "yaml", "gcloud", "terraform"]),
    default="json",
    show_default=True,
)
@common_options
def gcp(context: Context, *, kind: str) -> None:
    """Print the custom role, where it is granted, and the APIs, derived from the types in scope.

    As JSON, as the role file that `gcloud iam roles create` takes, as commands of `gcloud`, or as
    Terraform. It is for the configured scopes; where none is, for the organisation.
    """
    from collectors.gcp import permissions as found

    scope = context.config.gcp_scope(context.type_folders)
    types = scope.chosen_types().values()
    grants = found.grants_for(types, scope.scopes, _quota_project(scope.settings.quota_project))
    formats = {
        "json": found.as_json,
        "yaml": found.as_role_file,
        "gcloud": found.as_commands,
        "terraform": found.as_terraform,
    }
    click.echo(formats[kind](grants), nl=False)


def _quota_project(configured: str) -> str:
    """Return the project whose quota pays: as configured, or as Google's libraries find it."""
    import os

    return configured or os.environ.get("GOOGLE_CLOUD_QUOTA_PROJECT", "")


def _scopes(context: Context) -> list[str]:
    """Return where the role is to be assigned."""
    from auditpack.config import AzureConfig

    found = []
    for tenant in (context.config.azure or AzureConfig()).tenants:
        named = [f"/subscriptions/{item}" for item in tenant.subscriptions]
        root = tenant.id or "TENANT_ID"
        found += named or [f"/providers/Microsoft.Management/managementGroups/{root}"]
    return found
