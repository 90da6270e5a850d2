"""`auditpack bundle`: everything that an auditor needs for one pack, to be checked without us."""

from __future__ import annotations

from pathlib import Path

import click

from auditpack.options import Context, common_options


@click.command()
@click.option("--assessment", default="", help="Bundle the newest pack of this assessment.")
@click.option("--pack", default="", help="Pack to bundle [default: the newest].")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="New folder, or zip file (NAME.zip; its signature is then NAME.zip.sig).",
)
@common_options
def bundle(context: Context, *, assessment: str, pack: str, output: Path) -> None:
    """Copy a pack, what it rests on and the log into one folder or zip file, signed.

    It holds a VERIFY.md whose commands need openssl, jq, pdfsig, coreutils and Python's standard
    library only. `auditpack verify PATH` checks it as well.
    """
    from auditpack.signing import timestamp_roots
    from evidence.errors import UsageError
    from reports.bundle.making import make_bundle

    if assessment and pack:
        raise UsageError("name either --assessment or --pack, not both", where="auditpack bundle")
    with context.output.progress("Bundling") as bar:
        task = bar.add_task("Bundling", detail="") if bar is not None else None

        def advance(done: int, total: int, detail: str) -> None:
            if bar is not None and task is not None:
                bar.update(task, completed=done, total=total, detail=detail)

        made = make_bundle(
            context.store(),
            context.signing_key(),
            output,
            pack=pack,
            assessment=assessment,
            tsa_roots=timestamp_roots(context.config.signing.tsa_certificates),
            progress=advance,
        )
    out = context.output.results()
    out.print(f"[bold]Bundle[/bold] of pack {made.pack}: {made.path}", soft_wrap=True)
    if made.signature is not None:
        out.print(f"Its signature, to be handed over with it: {made.signature}", soft_wrap=True)
    out.print("How to check it without auditpack: VERIFY.md in it")
    context.output.json(
        {
            "bundle": str(made.path),
            "signature": str(made.signature or ""),
            "pack": made.pack,
            "assessment": made.assessment,
            "snapshot": made.snapshot,
            "sealed_files": made.files,
            "checkpoint": made.checkpoint,
        }
    )
