"""`auditpack site`: the HTML report."""

from __future__ import annotations

from pathlib import Path

import click

from auditpack.options import Context, common_options


@click.command()
@click.option("--assessment", default="", help="Assessment to show [default: the newest].")
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("site"),
    show_default=True,
    help="Folder to write; it must be new, empty, or an earlier site.",
)
@common_options
def site(context: Context, *, assessment: str, output: Path) -> None:
    """Write the report as a static site that opens from its files, down to the raw captures."""
    index = write_site(context, output, assessment)
    context.output.results().print(f"[bold]Site[/bold] {index}", soft_wrap=True)
    context.output.json({"site": str(index)})


def write_site(context: Context, target: Path, assessment_id: str = "") -> Path:
    """Write the site; return its index page."""
    from auditpack.reporting import view_of
    from reports.site import make_site

    view = view_of(context, assessment_id)
    context.output.remark("Writing the site ...")
    return make_site(view, context.store(), target)
