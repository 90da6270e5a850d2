"""`auditpack verify`: is every byte of the store still what was sealed?"""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auditpack.options import Context, common_options

if TYPE_CHECKING:
    from evidence.faults import VerificationReport
    from evidence.store import Store
    from evidence.verify import Trust

VERIFICATION_FAILED = 5

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command()
@click.argument("path", required=False, type=click.Path(path_type=Path, exists=True))
@click.option(
    "--certificate", type=_FILE, help="Believe only this certificate (the one you pinned)."
)
@click.option(
    "--since",
    type=_FILE,
    help="A checkpoint that you kept: prove that nothing before it was removed or rewritten.",
)
@click.option(
    "--tsa-certificates",
    type=_FILE,
    help="PEM file with the roots of the timestamp authorities that you trust.",
)
@common_options
def verify(
    context: Context,
    *,
    path: Path | None,
    certificate: Path | None,
    since: Path | None,
    tsa_certificates: Path | None,
) -> None:
    """Check every signature, file and record of the store, and its log; name what is wrong.

    With PATH a bundle or a disclosure is checked instead: a folder, or a zip file.

    Without --certificate the certificates in the store are believed: that shows that the store is
    consistent, not who signed it. Without --since a checkpoint of your own, whoever holds the
    signing key could have made the whole store anew. Exits with 5 when anything is wrong.
    """
    from evidence.bundle_verify import verify_bundle
    from evidence.verify import verify_store

    trust = _trust(context, certificate, since, tsa_certificates)
    if path is not None:
        report = verify_bundle(path, trust)
    else:
        report = verify_store(_opened(context), trust=trust)
    show_report(context, report)
    if not report.ok:
        if context.output.quiet and not context.output.as_json:
            sys.stderr.writelines(f"{fault.path}: {fault.what}\n" for fault in report.faults)
        sys.exit(VERIFICATION_FAILED)


def _trust(
    context: Context, certificate: Path | None, since: Path | None, roots: Path | None
) -> Trust:
    from auditpack.signing import timestamp_roots
    from evidence.errors import UsageError
    from evidence.keys import Certificate
    from evidence.verify import Trust

    pinned = None
    if certificate is not None:
        pinned = Certificate.from_pem(certificate.read_bytes(), where=str(certificate))
    try:
        note = since.read_text(encoding="utf-8") if since is not None else ""
    except UnicodeDecodeError as error:
        raise UsageError(
            "this is not a checkpoint",
            where=str(since),
            mend="Give a file that `auditpack log checkpoint` wrote.",
        ) from error
    chosen = timestamp_roots(roots or context.config.signing.tsa_certificates)
    return Trust(pinned, note, str(since or ""), chosen)


def show_report(context: Context, report: VerificationReport) -> None:
    """Print what verification found, for a person or as JSON."""
    out = context.output.results()
    counts = ", ".join(
        f"{count} {kind}{'' if count == 1 else 's'}"
        for kind, count in report.sealed.items()
        if count
    )
    out.print(
        f"Sealed: {counts or 'nothing'}; {report.files} files, {report.records} records intact"
    )
    if report.log is not None:
        out.print(f"Log: {report.log.size} entries, root {report.log.root}", soft_wrap=True)
        if report.log.timestamped:
            out.print(f"Timestamps: {report.log.timestamped}, newest {report.log.latest_timestamp}")
    for fingerprint, subject in sorted(report.signers.items()):
        out.print(f"Signed by {subject}\n  fingerprint {fingerprint}")
    if not report.pinned:
        out.print("[dim]No certificate was pinned: compare the fingerprint with the one you know.")
    if report.since:
        out.print(f"Nothing that your checkpoint covers was removed or rewritten: {report.since}")
    else:
        out.print(
            "[dim]No checkpoint of your own was given (--since): keep one from"
            " `auditpack log checkpoint`; it is what proves the log against its producer."
        )
    for name in report.incomplete:
        goes_on = (
            "collect --resume goes on" if name[:1].isdigit() else "will be finished or made again"
        )
        out.print(f"[yellow]incomplete[/yellow], not evidence: {name} ({goes_on})")
    for remark in report.remarks:
        out.print(f"[yellow]note[/yellow] {remark.path}: {remark.what}", soft_wrap=True)
    for fault in report.faults:
        out.print(f"[red]FAULT[/red] {fault.path}: {fault.what}", soft_wrap=True)
    if report.ok:
        out.print("[green]Verified[/green]: nothing was changed, removed or added")
    context.output.json({"ok": report.ok, **asdict(report)})


def _opened(context: Context) -> Store:
    """Open the store; one whose mark was damaged is checked all the same, and the mark named."""
    from evidence.errors import StoreError
    from evidence.store import STORE_MARK

    try:
        return context.store()
    except StoreError:
        store = context.store(checked=False)
        if not any(info.name == STORE_MARK for info in store.objects.list(STORE_MARK)):
            raise
        return store
