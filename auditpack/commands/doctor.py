"""`auditpack doctor`: will a run work, and will its evidence be kept?"""

from __future__ import annotations

import datetime
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auditpack.options import Context, common_options

if TYPE_CHECKING:
    from auditpack.doctor.finding import Finding

_COLOURS = {"ok": "green", "warning": "yellow", "problem": "red"}


@click.command()
@common_options
def doctor(context: Context) -> None:
    """Check the store, the signing key, the timestamp authority and this machine.

    Nothing is written but one small probe below incomplete/ of the store, which is removed again.
    Exits with 1 when there is a problem; warnings are for you to judge.
    """
    findings = []
    for finding in _findings(context):
        findings.append(finding)
        _say(context, finding)
    problems = [finding for finding in findings if finding.state == "problem"]
    warnings = sum(finding.state == "warning" for finding in findings)
    context.output.results().print(
        f"{len(problems)} problem{'' if len(problems) == 1 else 's'},"
        f" {warnings} warning{'' if warnings == 1 else 's'}"
    )
    context.output.json({"ok": not problems, "findings": [asdict(finding) for finding in findings]})
    if problems:
        if context.output.quiet and not context.output.as_json:
            sys.stderr.writelines(f"{found.subject}: {found.what}\n" for found in problems)
        sys.exit(1)


def _findings(context: Context) -> Iterator[Finding]:
    from auditpack.doctor.machine import check_extras, check_pdf
    from auditpack.doctor.signing import check_key, check_timestamps

    signing = context.config.signing
    now = datetime.datetime.now(datetime.UTC)
    configured = context.config_file is not None
    yield from _store(context)
    yield from check_key(signing, context.signing_key, now, configured=configured)
    yield from check_timestamps(signing)
    yield from check_pdf()
    yield from check_extras()


def _store(context: Context) -> Iterator[Finding]:
    from auditpack.config import store_work_folder
    from auditpack.doctor.cloud import check_cloud
    from auditpack.doctor.finding import failed
    from auditpack.doctor.folder import check_folder, check_space
    from evidence.errors import AuditpackError
    from evidence.store_location import StoreOptions, is_remote, open_objects

    location = context.config.store
    if not is_remote(location):
        yield from check_folder(Path(location))
        return
    try:
        options = StoreOptions(**context.config.store_options.model_dump())
        yield from check_cloud(open_objects(location, options))
    except AuditpackError as error:
        yield failed("store", error)
    yield from check_space(store_work_folder(location))


def _say(context: Context, finding: Finding) -> None:
    from rich.markup import escape

    colour = _COLOURS[finding.state]
    out = context.output.results()
    out.print(
        f"[{colour}]{finding.state:8}[/{colour}] {finding.subject:14} {escape(finding.what)}",
        soft_wrap=True,
    )
    if finding.mend:
        out.print(f"{'':8} {'':14} [dim]{escape(finding.mend)}[/dim]", soft_wrap=True)
