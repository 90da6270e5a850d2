"""`auditpack rebuild`: do the tables follow from the captures?"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from auditpack.options import Context, common_options

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from collectors.rebuilding import Rebuilt
    from collectors.run_types import AnyResourceType
    from evidence.redaction import Redactor
    from evidence.snapshot import Snapshot
    from evidence.store import Store
    from evidence.units import UnitRecord

NOT_IDENTICAL = 5


@click.command()
@click.argument("snapshot", required=False, default="")
@click.option(
    "--current-types",
    is_flag=True,
    help="Use the installed resource types; what comes out different is sealed as a derivation.",
)
@common_options
def rebuild(context: Context, *, snapshot: str, current_types: bool) -> None:
    """Make the tables of a snapshot (the newest) again from its captures alone, and compare them.

    Nobody is asked and nothing is changed: the answers that the cloud gave are read again, with the
    resource types that were sealed with them. A signature shows that the tables are those that
    were sealed; this shows that they say what the cloud said. Exits with 5 when one does not.

    With --current-types, tables that come out different are sealed as a new derivation beside the
    snapshot, which stays as it is. What was not asked then is NULL, as not collected.
    """
    if current_types:
        _derive(context, snapshot)
    else:
        _check(context, snapshot)


def _check(context: Context, name: str) -> None:
    import tempfile
    from pathlib import Path

    from evidence.snapshot import Snapshot

    store = context.store()
    snapshot = Snapshot.open(store, name)
    with tempfile.TemporaryDirectory(prefix="auditpack-") as folder:
        rebuilt = _rebuilt(context, store, snapshot, Path(folder))
    _say(context, rebuilt, "red")
    if rebuilt.ok:
        context.output.results().print(
            f"[green]Made again[/green]: {len(rebuilt.tables)} tables of {snapshot.id} follow from"
            f" {rebuilt.captures} captures"
        )
    context.output.json(rebuilt.as_dict())
    if not rebuilt.ok:
        if context.output.quiet and not context.output.as_json:
            sys.stderr.writelines(f"{line}\n" for line in _lines(rebuilt))
        sys.exit(NOT_IDENTICAL)


def _derive(context: Context, name: str) -> None:
    from pathlib import Path

    from auditpack import __version__
    from auditpack.signing import redaction_key
    from collectors.catalogue import load_types, redactor_for
    from collectors.deriving import derived_tables, seal_derivation
    from evidence.snapshot import Snapshot
    from evidence.workspaces import workspace

    store, sealer = context.store(), context.sealer()
    snapshot = Snapshot.open(store, name)
    types = load_types(Path(folder) for folder in context.type_folders)
    redactor = redactor_for(types, redaction_key(context.config))
    derivation, new = "", False
    with workspace(store.incomplete(), f"derivation-of-{snapshot.id}") as folder:
        rebuilt = _rebuilt(context, store, snapshot, folder, types, redactor)
        if derived_tables(rebuilt):
            tool = f"auditpack {__version__}"
            derivation, new = seal_derivation(store, sealer, rebuilt, types, folder, tool)
    _say(context, rebuilt, "yellow")
    out = context.output.results()
    if derivation:
        what = "sealed" if new else "is there already"
        out.print(f"[bold]Derivation {derivation}[/bold] {what}; the snapshot stays as it is")
    else:
        out.print(f"Nothing to derive: no table of {snapshot.id} comes out different")
    context.output.json({**rebuilt.as_dict(), "derivation": derivation, "derivation_is_new": new})


def _rebuilt(
    context: Context,
    store: Store,
    snapshot: Snapshot,
    work: Path,
    types: Mapping[str, AnyResourceType] | None = None,
    redactor: Redactor | None = None,
) -> Rebuilt:
    """Make the tables again and show how far it is."""
    from collectors.rebuilding import rebuild as rebuild_tables

    title = "Making the tables again"
    with context.output.progress(title) as bar:
        task = bar.add_task(title, total=len(snapshot.units), detail="") if bar else None

        def advance(unit: UnitRecord) -> None:
            if bar is not None and task is not None:
                bar.update(task, advance=1, detail=unit.key.resource_type)

        manifest = store.manifest("snapshot", snapshot.id)
        return rebuild_tables(snapshot, manifest, work, types, redactor, advance)


def _say(context: Context, rebuilt: Rebuilt, colour: str) -> None:
    """Name every table that is not what was sealed, and what else a reader should know."""
    from rich.markup import escape

    out = context.output.results()
    for line in _lines(rebuilt):
        out.print(f"[{colour}]{escape(line)}[/{colour}]", soft_wrap=True)
    same = sum(table.result == "same rows" for table in rebuilt.tables)
    if same:
        out.print(f"{same} tables hold the same rows in other bytes (another DuckDB wrote them)")
    if rebuilt.unread:
        out.print(
            f"{rebuilt.unread} units have no captures: they were sealed as gaps, nothing shows why"
        )
    if rebuilt.unused:
        out.print(f"{len(rebuilt.unused)} captures are in no table, from {rebuilt.unused[0]}")
    for library, versions in sorted(rebuilt.versions.items()):
        context.output.warn(f"{library}: {versions}; a difference may come from that")


def _lines(rebuilt: Rebuilt) -> list[str]:
    tables = [f"{t.resource_type}: {t.result}: {t.why}" for t in rebuilt.tables if not t.ok]
    return [*tables, *rebuilt.units]
