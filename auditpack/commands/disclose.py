"""`auditpack disclose`: single captures with proofs, and nothing of the rest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from auditpack.options import Context, common_options

if TYPE_CHECKING:
    from reports.bundle.disclosing import Disclosure


@click.command()
@click.argument("snapshot")
@click.option("--resource", default="", help="Resource: ID, TYPE:ID or TYPE:ACCOUNT/REGION/ID.")
@click.option("--finding", default="", help="Finding: CHECK:ID or CHECK:ACCOUNT/REGION/ID.")
@click.option("--assessment", default="", help="Where --finding is [default: the newest].")
@click.option(
    "--shared",
    type=click.Choice(["auto", "include", "withhold"]),
    default="auto",
    show_default=True,
    help="Captures that tell of other resources, too: auto withholds them if others are left.",
)
@click.option(
    "--output", type=click.Path(path_type=Path), required=True, help="New folder, or NAME.zip."
)
@common_options
def disclose(
    context: Context,
    *,
    snapshot: str,
    resource: str,
    finding: str,
    assessment: str,
    shared: str,
    output: Path,
) -> None:
    """Disclose what one resource or finding of SNAPSHOT rests on, to be verified without the rest.

    The captures come with proofs that they are under the snapshot's signed root, and that the
    snapshot is in the log. A listing of all resources of a type tells of others: it is withheld,
    unless there is nothing else.
    """
    from auditpack.signing import timestamp_roots
    from evidence.errors import UsageError
    from evidence.snapshot import Snapshot
    from reports.bundle.disclosing import Shared, make_disclosure
    from reports.bundle.subjects import assessment_of, find_finding, find_resource

    if bool(resource) == bool(finding):
        raise UsageError("name either --resource or --finding", where="auditpack disclose")
    store = context.store()
    opened = Snapshot.open(store, snapshot)
    if resource:
        subject = find_resource(opened, resource)
    else:
        subject = find_finding(assessment_of(store, opened, assessment), finding)
    roots = timestamp_roots(context.config.signing.tsa_certificates)
    made = make_disclosure(
        store,
        context.signing_key(),
        opened,
        subject,
        output,
        shared=Shared(shared),
        tsa_roots=roots,
    )
    _show(context, made)


def _show(context: Context, made: Disclosure) -> None:
    out = context.output.results()
    count = len(made.disclosed)
    captures = f"{count} capture{'' if count == 1 else 's'}"
    out.print(f"[bold]Disclosure[/bold] of {captures}: {made.path}", soft_wrap=True)
    if made.withheld:
        context.output.remark(
            f"{len(made.withheld)} more tell of other resources and are withheld; --shared include"
            " adds them."
        )
    for item in made.also_tells:
        context.output.warn(
            f"{item.reference} tells of {item.tells_of} resources, not only of this one: look at"
            " it before you hand it over"
        )
    context.output.json(
        {
            "disclosure": str(made.path),
            "snapshot": made.snapshot,
            "about": made.subject,
            "captures": [item.reference for item in made.disclosed],
            "withheld": [item.reference for item in made.withheld],
            "tell_of_others": [item.reference for item in made.also_tells],
        }
    )
