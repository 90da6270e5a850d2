"""`auditpack collect`: read the clouds and the company's records, and seal a snapshot."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from auditpack.config import (
    GCP_SCOPE,
    AwsAccountConfig,
    AzureConfig,
    AzureTenantConfig,
    Config,
    GcpConfig,
)
from auditpack.options import Context, common_options
from evidence.errors import UsageError

if TYPE_CHECKING:
    from auditpack.collecting import CollectSummary

DONE_WITH_GAPS = 4
_SHOWN_KINDS = 3
_PROVIDERS = ("aws", "azure", "gcp", "records")
_PREFIXES = {"azure": ("azure_", "entra_"), "gcp": ("gcp_",), "records": ("record_",)}


@click.command()
@click.option(
    "--provider",
    type=click.Choice([*_PROVIDERS, "all"]),
    default=None,
    help="What to read: a cloud, or records [default: all that the configuration names, else aws].",
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
@click.option(
    "--gcp-scope",
    "scopes",
    multiple=True,
    help="Google Cloud scope: organizations/N, folders/N or projects/ID; may be repeated.",
)
@click.option(
    "--project",
    "projects",
    multiple=True,
    help="Google Cloud project to read; may be repeated [default: from the configuration, else"
    " GOOGLE_CLOUD_PROJECT].",
)
@click.option(
    "--as-of",
    default="",
    metavar="TIME",
    help="Read Google Cloud as of a time of the last 35 days, such as 2026-11-01T00:00:00Z.",
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
    scopes: tuple[str, ...],
    projects: tuple[str, ...],
    as_of: str,
    types: tuple[str, ...],
    resume: bool,
    strict: bool,
) -> None:
    """Read the clouds and seal what they answered as one snapshot. Nothing is ever changed there.

    Credentials and endpoints are the SDKs' own: AWS_PROFILE, AWS_ENDPOINT_URL, AZURE_CLIENT_ID,
    GOOGLE_APPLICATION_CREDENTIALS and the rest. What could not be read is a gap of the snapshot,
    with the reason.
    """
    from auditpack.collecting import collect_snapshot

    providers = _providers(context.config, provider, types)
    config = _with_aws(context.config, regions, account, _of("aws", types))
    if "azure" in providers:
        config = _with_azure(config, tenant, subscriptions, _of("azure", types))
    if "records" in providers:
        config = _with_records(config, _of("records", types))
    if "gcp" in providers:
        named = (*scopes, *(f"projects/{project}" for project in projects))
        config = _with_gcp(config, named, as_of, _of("gcp", types))
    elif scopes or projects or as_of:
        raise UsageError(
            "this says what to read in Google Cloud, which is not read",
            where="--gcp-scope, --project, --as-of",
            mend="Add --provider gcp.",
        )
    changed = Context(config, context.config_file, context.output)
    summary = collect_snapshot(changed, resume=resume, providers=providers)
    _say(context, summary)
    context.output.json(summary.as_dict())
    if strict and summary.gaps:
        sys.exit(DONE_WITH_GAPS)


def _say(context: Context, summary: CollectSummary) -> None:
    from reports.pack.text import plural

    out = context.output.results()
    out.print(f"[bold]Snapshot {summary.snapshot}[/bold]  {summary.folder}")
    places = plural(len(summary.accounts), "account")
    if summary.regions:
        places += f" and {plural(len(summary.regions), 'region')}"
    out.print(
        f"{plural(summary.resources, 'resource')} in {places}; {plural(summary.calls, 'call')},"
        f" {plural(summary.records, 'exchange')} kept, {summary.seconds:.1f} s"
    )
    if summary.read_time:
        out.print(f"Google Cloud was read as of {summary.read_time}")
    if summary.undescribed:
        out.print(_undescribed(summary.undescribed))
    if summary.redactions:
        hidden = plural(summary.redactions, "secret")
        out.print(f"{hidden} redacted before anything was written")
    if summary.gaps:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(summary.gaps.items()))
        number = plural(sum(summary.gaps.values()), "gap")
        out.print(f"[yellow]{number}[/yellow]: {reasons}")
    else:
        out.print("No gaps: everything in scope was read")


def _of(provider: str, types: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of `types` that are a provider's; a name that is nobody's is AWS's to refuse."""
    others = tuple(prefix for prefixes in _PREFIXES.values() for prefix in prefixes)
    if provider in _PREFIXES:
        return tuple(name for name in types if name.startswith(_PREFIXES[provider]))
    return tuple(name for name in types if not name.startswith(others))


def _providers(config: Config, given: str | None, types: tuple[str, ...]) -> tuple[str, ...]:
    """Return the clouds to read: those given or configured, and of these those of the types."""
    chosen = config.providers() if given is None else (given,)
    if given == "all":  # records lie where the configuration says, or there are none
        chosen = _PROVIDERS if config.records else tuple(n for n in _PROVIDERS if n != "records")
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


def _with_gcp(
    config: Config, scopes: tuple[str, ...], as_of: str, types: tuple[str, ...]
) -> Config:
    from collectors.gcp.moments import parse_moment

    for name in scopes:
        if not GCP_SCOPE.fullmatch(name):
            raise UsageError(
                f"{name!r} is no scope of Google Cloud",
                where="--gcp-scope, --project",
                mend="Write organizations/NUMBER, folders/NUMBER or projects/ID.",
            )
    changes: dict[str, object] = {}
    if types:
        changes["types"] = types
    if scopes:
        changes["scopes"] = scopes
    if as_of:
        changes["as_of"] = parse_moment(as_of)
    gcp = config.gcp or GcpConfig()
    return config.model_copy(update={"gcp": gcp.model_copy(update=changes)})


def _with_records(config: Config, types: tuple[str, ...]) -> Config:
    if not types:
        return config
    chosen = tuple(item for item in config.records if item.type in types)
    missing = sorted(set(types) - {item.type for item in chosen})
    if missing:
        raise UsageError(
            f"the configuration names no file of {missing[0]}",
            where="--type",
            mend="Add it below `records:` in auditpack.yaml, as {type, file}.",
        )
    return config.model_copy(update={"records": chosen})


def _undescribed(counts: dict[str, int]) -> str:
    """Say how many assets are of types that no file describes, and which are the most."""
    most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_SHOWN_KINDS]
    shown = ", ".join(f"{kind} ({number})" for kind, number in most)
    more = ", ..." if len(counts) > len(most) else ""
    return (
        f"{sum(counts.values())} assets are of {len(counts)} types that no resource type describes;"
        f" they are kept as evidence: {shown}{more}"
    )
