"""`auditpack crosswalk`: what one framework already gives of another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from auditpack.options import Context, common_options

if TYPE_CHECKING:
    from controls.crosswalk import Crosswalk

_COLOURS = {"covered": "green", "partly": "yellow", "new": "red"}


@click.command()
@click.argument("having")
@click.argument("wanted")
@common_options
def crosswalk(context: Context, *, having: str, wanted: str) -> None:
    """Show what a company that is held to HAVING already has of WANTED.

    Two requirements meet in the common controls that both name. A framework may be narrowed to a
    profile: `auditpack crosswalk soc2 nist_800_53:moderate`.
    """
    from controls.crosswalk import crosswalk as walk

    first, second = _named(having), _named(wanted)
    found = walk(context.catalogue(), first[0], second[0], (first[1], second[1]))
    _print(context, found)
    context.output.json(found.as_dict())


def _named(text: str) -> tuple[str, str]:
    """Split `framework:profile`."""
    name, _, profile = text.partition(":")
    return name, profile


def _few(ids: tuple[str, ...], most: int = 3) -> str:
    return ", ".join(ids[:most]) + ", ..." * (len(ids) > most)


def _print(context: Context, found: Crosswalk) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in (
        found.wanted,
        "Topic",
        "Coverage",
        f"Controls that {found.having} asks for",
        "New",
    ):
        table.add_column(name, overflow="fold")
    for row in found.rows:
        colour = _COLOURS[row.coverage]
        shared = (f"{name} ({_few(ids)})" for name, ids in row.shared.items())
        table.add_row(
            row.requirement,
            escape(row.title),
            f"[{colour}]{row.coverage}[/{colour}]",
            ", ".join(shared),
            ", ".join(row.new),
        )
    out = context.output.results()
    out.print(table)
    counts = ", ".join(f"{number} {name}" for name, number in found.counts.items())
    out.print(f"{len(found.rows)} requirements of {found.wanted}: {counts}")
    if found.new_controls:
        out.print(f"Controls to add: {', '.join(found.new_controls)}")
