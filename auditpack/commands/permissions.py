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
@common_options
def aws(context: Context, *, kind: str) -> None:
    """Print the IAM policy for AWS, derived from the resource types in scope."""
    from collectors.aws.permissions import policy_as_terraform, policy_document

    specs = list(context.config.aws_scope(context.type_folders).chosen_types().values())
    if kind == "terraform":
        click.echo(policy_as_terraform(specs))
    else:
        click.echo(json.dumps(policy_document(specs), indent=2))
