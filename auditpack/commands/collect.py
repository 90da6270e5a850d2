"""`auditpack collect`: read the clouds and seal a snapshot."""

from __future__ import annotations

import sys

import click

from auditpack.config import AwsAccountConfig, AzureConfig, AzureTenantConfig, Config
from auditpack.options import Context, common_options

DONE_WITH_GAPS = 4
_PROVIDERS = ("aws", "azure")


@click.command()
@click.option(
    "--provider",
    type=click.Choice([*_PROVIDERS, "all"]),
    default=None,
    help="Cloud to read [default: every one that the configuration names, else aws].",
)
@click.option(
    "--region",
    "regions",
    multiple=True,
    help="AWS region to read; may be repeated [default: from the configuration, else all enabled].",
)
@click.option("--account", "account", default="", help="Expected AWS account of the credentials.")
@click.option("--tenant", default="", help="Entra tenant to read.")
@click.option(
    "--subscription",
    "subscriptions",
    multiple=True,
    help="Azure subscription to read; may be repeated [default: all that are visible].",
)
@click.option("--type", "types", multiple=True, help="Resource type to read; may be repeated.")
@click.option("--resume", is_flag=True, help="Go on with the newest run that was not sealed.")
@click.option("--strict", is_flag=True, help="Exit with 4 when anything could not be read.")
@common_options
def collect(
    context: Context,
    *,
    provider: str | None,
    regions: tuple[str, ...],
    account: str,
    tenant: str,
    subscriptions: tuple[str, ...],
    types: tuple[str, ...],
    resume: bool,
    strict: bool,
) -> None:
    """Read the clouds and seal what they answered as one snapshot. Nothing is ever changed there.

    Credentials and endpoints are the SDKs' own: AWS_PROFILE, AWS_ENDPOINT_URL, AZURE_CLIENT_ID and
    the rest. What could not be read is a gap of the snapshot, with the reason.
    """
    from auditpack.collecting import collect_snapshot

    providers = _providers(context.config, provider, types)
    config = _with_aws(context.config, regions, account, _of("aws", types))
    if "azure" in providers:
        config = _with_azure(config, tenant, subscriptions, _of("azure", types))
    changed = Context(config, context.config_file, context.output)
    summary = collect_snapshot(changed, resume=resume, providers=providers)
    out = context.output.results()
    out.print(f"[bold]Snapshot {summary.snapshot}[/bold]  {summary.folder}")
    places = f"{len(summary.accounts)} accounts"
    if summary.regions:
        places += f" and {len(summary.regions)} regions"
    out.print(
        f"{summary.resources} resources in {places}; {summary.calls} calls,"
        f" {summary.records} exchanges kept, {summary.seconds:.1f} s"
    )
    if summary.redactions:
        out.print(f"{summary.redactions} secrets were redacted before anything was written")
    if summary.gaps:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(summary.gaps.items()))
        out.print(f"[yellow]{sum(summary.gaps.values())} gaps[/yellow]: {reasons}")
    else:
        out.print("No gaps: everything in scope was read")
    context.output.json(summary.as_dict())
    if strict and summary.gaps:
        sys.exit(DONE_WITH_GAPS)


def _of(provider: str, types: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of `types` that are a provider's; a name that is nobody's is AWS's to refuse."""
    is_azure = [name.startswith(("azure_", "entra_")) for name in types]
    wanted = provider == "azure"
    return tuple(name for name, azure in zip(types, is_azure, strict=True) if azure is wanted)


def _providers(config: Config, given: str | None, types: tuple[str, ...]) -> tuple[str, ...]:
    """Return the clouds to read: those given or configured, and of these those of the types."""
    chosen = config.providers() if given is None else (given,)
    if given == "all":
        chosen = _PROVIDERS
    named = tuple(name for name in _PROVIDERS if _of(name, types))
    if not named:
        return chosen
    if given is None:
        return named
    both = tuple(name for name in chosen if name in named)
    return both or chosen


def _with_aws(
    config: Config, regions: tuple[str, ...], account: str, types: tuple[str, ...]
) -> Config:
    changes: dict[str, object] = {}
    if regions:
        changes["regions"] = regions
    if types:
        changes["types"] = types
    if account:
        changes["accounts"] = (AwsAccountConfig(id=account),)
    return config.model_copy(update={"aws": config.aws.model_copy(update=changes)})


def _with_azure(
    config: Config, tenant: str, subscriptions: tuple[str, ...], types: tuple[str, ...]
) -> Config:
    azure = config.azure or AzureConfig()
    changes: dict[str, object] = {}
    if types:
        changes["types"] = types
    tenants = azure.tenants
    if tenant:
        known = [item for item in tenants if item.id.lower() == tenant.lower()]
        tenants = tuple(known) or (AzureTenantConfig(id=tenant),)
    if subscriptions:
        tenants = tuple(
            item.model_copy(update={"subscriptions": subscriptions}) for item in tenants
        )
    changes["tenants"] = tenants
    return config.model_copy(update={"azure": azure.model_copy(update=changes)})
