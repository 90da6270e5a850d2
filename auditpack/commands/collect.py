"""`auditpack collect`: read the clouds and seal a snapshot."""

from __future__ import annotations

import sys

import click

from auditpack.options import Context, common_options

DONE_WITH_GAPS = 4


@click.command()
@click.option("--provider", type=click.Choice(["aws"]), default="aws", show_default=True)
@click.option(
    "--region",
    "regions",
    multiple=True,
    help="Region to read; may be repeated [default: from the configuration, else all enabled].",
)
@click.option("--account", "account", default="", help="Expected account id of the credentials.")
@click.option("--type", "types", multiple=True, help="Resource type to read; may be repeated.")
@click.option("--resume", is_flag=True, help="Go on with the newest run that was not sealed.")
@click.option("--strict", is_flag=True, help="Exit with 4 when anything could not be read.")
@common_options
def collect(
    context: Context,
    *,
    provider: str,  # noqa: ARG001  (one provider so far: the choice checks it)
    regions: tuple[str, ...],
    account: str,
    types: tuple[str, ...],
    resume: bool,
    strict: bool,
) -> None:
    """Read the cloud and seal what it answered as a snapshot. Nothing is ever changed there.

    Credentials and endpoints are the SDK's own: AWS_PROFILE, AWS_ENDPOINT_URL and the rest.
    What could not be read is a gap of the snapshot, with the reason.
    """
    from auditpack.collecting import collect_snapshot

    summary = collect_snapshot(_with_flags(context, regions, account, types), resume=resume)
    out = context.output.results()
    out.print(f"[bold]Snapshot {summary.snapshot}[/bold]  {summary.folder}")
    out.print(
        f"{summary.resources} resources in {len(summary.accounts)} accounts and"
        f" {len(summary.regions)} regions; {summary.calls} calls,"
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


def _with_flags(
    context: Context, regions: tuple[str, ...], account: str, types: tuple[str, ...]
) -> Context:
    from auditpack.config import AwsAccountConfig

    changes: dict[str, object] = {}
    if regions:
        changes["regions"] = regions
    if types:
        changes["types"] = types
    if account:
        changes["accounts"] = (AwsAccountConfig(id=account),)
    aws = context.config.aws.model_copy(update=changes)
    config = context.config.model_copy(update={"aws": aws})
    return Context(config, context.config_file, context.output)
