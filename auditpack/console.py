"""What the terminal shows: text for people on stderr, results on stdout, JSON where asked.

Progress is shown only where a person looks at it; output to a file or a pipe stays quiet.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


@dataclass(frozen=True)
class Output:
    """How to speak: `as_json` writes one JSON document to stdout and nothing for people."""

    as_json: bool = False
    quiet: bool = False
    verbose: bool = False

    def people(self) -> Console:
        """The console for remarks and progress: stderr."""
        from rich.console import Console

        return Console(stderr=True, quiet=self.quiet or self.as_json, highlight=False)

    def results(self) -> Console:
        """The console for results: stdout."""
        from rich.console import Console

        width = None if sys.stdout.isatty() else 120
        return Console(quiet=self.quiet or self.as_json, highlight=False, width=width)

    def json(self, value: Any) -> None:
        """Write `value` as JSON to stdout when JSON was asked for."""
        if self.as_json:
            sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")

    def remark(self, text: str) -> None:
        """Say something that a person should know."""
        from rich.markup import escape

        self.people().print(f"[dim]{escape(text)}[/dim]", soft_wrap=True)

    def warn(self, text: str) -> None:
        """Say something that a person should not overlook."""
        from rich.markup import escape

        self.people().print(f"[yellow]warning:[/yellow] {escape(text)}", soft_wrap=True)

    @contextmanager
    def progress(self, title: str) -> Iterator[Progress | None]:
        """Show a progress bar with counts and rate; None where nobody looks."""
        console = self.people()
        if not console.is_terminal or self.quiet or self.as_json:
            self.remark(f"{title} ...")
            yield None
            return
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
        )

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[detail]}"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=console, transient=True) as bar:
            yield bar
