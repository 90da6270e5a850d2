"""`auditpack pack`: the signed PDF audit pack."""

from __future__ import annotations

from pathlib import Path

import click

from auditpack.options import Context, common_options


@click.command()
@click.option("--assessment", default="", help="Assessment to bind [default: the newest].")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Copy the PDF there as well.",
)
@common_options
def pack(context: Context, *, assessment: str, output: Path | None) -> None:
    """Bind an assessment into a signed PDF/A pack with its evidence attached."""
    result = write_pack(context, assessment)
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_bytes(result.read_bytes())
    shown = output or result
    context.output.results().print(f"[bold]Pack[/bold] {shown}", soft_wrap=True)
    context.output.json({"pack": str(shown), "stored": str(result)})


def write_pack(context: Context, assessment_id: str = "") -> Path:
    """Render, sign and seal the pack; return the PDF's path in the store."""
    from auditpack.reporting import view_of
    from reports.pack import make_pack

    view = view_of(context, assessment_id)
    context.output.remark("Rendering and signing the pack ...")
    return make_pack(view, context.store(), context.sealer())
