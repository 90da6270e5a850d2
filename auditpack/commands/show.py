"""`auditpack show`: one capture, as it was kept."""

from __future__ import annotations

import sys

import click

from auditpack.options import Context, common_options


@click.command()
@click.argument("reference")
@click.option("--snapshot", default="", help="Snapshot to look in [default: the newest].")
@common_options
def show(context: Context, *, reference: str, snapshot: str) -> None:
    """Print the capture that REFERENCE (like aws/111122223333/global/aws_s3_bucket#12) names."""
    import orjson

    from evidence.errors import UsageError
    from evidence.segments import read_line
    from evidence.snapshot import Snapshot

    unit, _, number = reference.rpartition("#")
    opened = Snapshot.open(context.store(), snapshot)
    if not unit or not number.isdigit() or ".." in unit or not opened.segment(unit).is_file():
        raise UsageError(
            f"{reference!r} names no capture of snapshot {opened.id}",
            where="REFERENCE",
            mend="References look like aws/ACCOUNT/REGION/TYPE#LINE; findings list theirs.",
        )
    line = read_line(opened.segment(unit), int(number))
    sys.stdout.write(orjson.dumps(orjson.loads(line), option=orjson.OPT_INDENT_2).decode() + "\n")
