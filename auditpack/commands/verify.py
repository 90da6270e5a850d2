"""`auditpack verify`: is every byte of the store still what was sealed?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auditpack.options import Context, common_options

if TYPE_CHECKING:
    from evidence.store import Store

VERIFICATION_FAILED = 5


@click.command()
@click.option(
    "--certificate",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Believe only this certificate (the one you pinned).",
)
@common_options
def verify(context: Context, *, certificate: Path | None) -> None:
    """Check every signature, file, record and chain of the store; name what is wrong.

    Without --certificate the certificates in the store are believed: that shows that the store is
    consistent, not who signed it. Exits with 5 when anything is wrong.
    """
    from evidence.keys import Certificate
    from evidence.verify import verify_store

    pinned = None
    if certificate is not None:
        pinned = Certificate.from_pem(certificate.read_bytes(), where=str(certificate))
    report = verify_store(_opened(context), pinned=pinned)
    out = context.output.results()
    counts = ", ".join(
        f"{count} {kind}{'' if count == 1 else 's'}" for kind, count in report.sealed.items()
    )
    out.print(f"Sealed: {counts}; {report.files} files, {report.records} records intact")
    for fingerprint, subject in sorted(report.signers.items()):
        out.print(f"Signed by {subject}\n  fingerprint {fingerprint}")
    if pinned is None:
        out.print("[dim]No certificate was pinned: compare the fingerprint with the one you know.")
    for name in report.incomplete:
        goes_on = "collect --resume goes on" if name[:1].isdigit() else "will be made again"
        out.print(f"[yellow]incomplete[/yellow], not evidence: {name} ({goes_on})")
    for fault in report.faults:
        out.print(f"[red]FAULT[/red] {fault.path}: {fault.what}", soft_wrap=True)
    if report.ok:
        out.print("[green]Verified[/green]: nothing was changed, removed or added")
    context.output.json(
        {
            "ok": report.ok,
            "sealed": report.sealed,
            "files": report.files,
            "bytes": report.bytes,
            "records": report.records,
            "signers": report.signers,
            "pinned": report.pinned,
            "incomplete": report.incomplete,
            "faults": [{"path": fault.path, "what": fault.what} for fault in report.faults],
        }
    )
    if not report.ok:
        if context.output.quiet and not context.output.as_json:
            sys.stderr.writelines(f"{fault.path}: {fault.what}\n" for fault in report.faults)
        sys.exit(VERIFICATION_FAILED)


def _opened(context: Context) -> Store:
    """Open the store; one whose mark was damaged is checked all the same, and the mark named."""
    from evidence.errors import StoreError
    from evidence.store import STORE_MARK, Store

    try:
        return context.store()
    except StoreError:
        if not (context.config.store / STORE_MARK).is_file():
            raise
        return Store(context.config.store)
