"""`auditpack log`: the append-only log of everything that was sealed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from auditpack.options import Context, common_options

if TYPE_CHECKING:
    from evidence.log import LogRecord

_OUTPUT = click.Path(path_type=Path, dir_okay=False)


@click.group()
def log() -> None:
    """Show the log of everything that was sealed, its checkpoints, and proofs from it."""


@log.command()
@common_options
def show(context: Context) -> None:
    """List the log's entries: when what was sealed, signed by whom, and whether it is timestamped.

    This reads; `auditpack verify` checks.
    """
    from rich.markup import escape

    records = context.store().log.records()
    out = context.output.results()
    for record in records:
        kind = f"{record.index:>5}  {record.time}  {record.kind:<11}"
        out.print(f"{kind} {escape(_about(record))}", soft_wrap=True)
        signers = ", ".join(name[:16] for name in record.envelope.signatures)
        said = f"{'':7}signed by {signers}; timestamp {_timestamp(record)}"
        out.print(f"[dim]{escape(said)}[/dim]", soft_wrap=True)
    if records:
        last = records[-1].checkpoint
        out.print(f"{last.origin}: {last.size} entries, root {last.root.hex()}", soft_wrap=True)
    else:
        out.print("The log is empty: nothing was sealed yet")
    context.output.json([_as_dict(record) for record in records])


@log.command()
@click.option("--size", type=click.IntRange(min=1), help="Number of entries [default: all].")
@click.option("--output", type=_OUTPUT, help="File [default: stdout].")
@common_options
def checkpoint(context: Context, *, size: int | None, output: Path | None) -> None:
    """Print a checkpoint: the log's size and root, signed (C2SP tlog-checkpoint).

    Whoever keeps it can later prove with `auditpack verify --since FILE` that nothing that was in
    the log then was removed or rewritten.
    """
    from evidence.errors import UsageError

    records = context.store().log.records()
    if not records or (size or 1) > len(records):
        raise UsageError(
            f"the log has {len(records)} entries",
            where="--size" if records else "auditpack log checkpoint",
            mend="Name a smaller --size." if records else "Run `auditpack collect` first.",
        )
    record = records[(size or len(records)) - 1]
    found = record.checkpoint
    document = {
        "origin": found.origin,
        "size": found.size,
        "root": found.root.hex(),
        "checkpoint": record.note,
        "timestamped": bool(record.timestamp),
    }
    _write(context, record.note, output, document)


@log.command()
@click.argument("kind")
@click.argument("identifier", metavar="ID")
@click.option("--output", type=_OUTPUT, help="File [default: stdout].")
@common_options
def prove(context: Context, *, kind: str, identifier: str, output: Path | None) -> None:
    """Print the proof that the log holds one thing (C2SP tlog-proof), like `snapshot ID`.

    The leaf that it proves is the entry's text, which --json shows as `entry`.
    """
    from evidence.errors import UsageError
    from evidence.proof import LogProof

    opened = context.store().log
    records = opened.records()
    record = opened.find(kind, identifier)
    if record is None:
        known = [found.id for found in records if found.kind == kind]
        kinds = ", ".join(sorted({found.kind for found in records}))
        raise UsageError(
            f"the log has no {kind} {identifier!r}",
            where="auditpack log prove",
            mend=f"The newest are: {', '.join(known[-5:])}." if known else f"It has: {kinds}.",
        )
    path = tuple(opened.tree().audit_path(record.index, len(records)))
    text = LogProof(record.index, path, records[-1].note).render()
    document = {"index": record.index, "entry": record.text, "proof": text}
    _write(context, text, output, document)


def _write(context: Context, text: str, output: Path | None, document: dict[str, Any]) -> None:
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, encoding="utf-8")
        context.output.results().print(f"Written to {output}", soft_wrap=True)
        document = {**document, "output": str(output)}
    elif not context.output.as_json:
        sys.stdout.write(text)
    context.output.json(document)


def _about(record: LogRecord) -> str:
    if "replaces" in record.entry:
        return f"{record.id} (replaces {str(record.entry['replaces'])[:16]})"
    if "revoked_from" in record.entry:
        return f"{record.id} (from {record.entry['revoked_from']})"
    return record.id


def _timestamp(record: LogRecord) -> str:
    if record.timestamp:
        from evidence.timestamp_check import read_response

        return f"{read_response(record.timestamp).info['gen_time']:%Y-%m-%dT%H:%M:%SZ}"
    missing = record.timestamp_missing
    return f"missing: {missing}" if missing else "none was asked for"


def _as_dict(record: LogRecord) -> dict[str, Any]:
    return {
        "index": record.index,
        **record.entry,
        "signed_by": list(record.envelope.signatures),
        "root": record.checkpoint.root.hex(),
        "timestamp": _timestamp(record) if record.timestamp else "",
        "timestamp_missing": record.timestamp_missing,
    }
