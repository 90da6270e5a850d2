"""`auditpack schema`: the JSON Schema of a file that people write."""

from __future__ import annotations

import json

import click

KINDS = [
    "check",
    "fact",
    "control",
    "framework",
    "profile",
    "kpi",
    "resource",
    "azure-resource",
    "gcp-resource",
    "record-type",
    "config",
]


@click.command()
@click.argument("kind", type=click.Choice(KINDS))
def schema(kind: str) -> None:
    """Print the JSON Schema of a KIND of file, for completion and checking in an editor."""
    click.echo(schema_text(kind), nl=False)


def schema_text(kind: str) -> str:
    """Return the JSON Schema of a kind as text, as docs/schemas holds it."""
    from pydantic import BaseModel

    from auditpack.config import Config
    from collectors.aws.spec import AwsResourceType
    from collectors.azure.spec import AzureResourceType
    from collectors.gcp.spec import GcpResourceType
    from collectors.records.spec import RecordType
    from controls.kpi_models import Kpi
    from controls.models import Check, Control, Fact, Framework
    from controls.profiles import OwnProfile

    models: dict[str, type[BaseModel]] = {
        "check": Check,
        "fact": Fact,
        "control": Control,
        "framework": Framework,
        "profile": OwnProfile,
        "kpi": Kpi,
        "resource": AwsResourceType,
        "azure-resource": AzureResourceType,
        "gcp-resource": GcpResourceType,
        "record-type": RecordType,
        "config": Config,
    }
    document = models[kind].model_json_schema(by_alias=True)
    return json.dumps(document, indent=2, sort_keys=True) + "\n"
