"""Files of records as company systems export them, and a context that reads them."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import orjson

from auditpack.collecting import CollectSummary, collect_snapshot
from auditpack.config import Config, RecordsConfig, SigningConfig
from auditpack.console import Output
from auditpack.options import Context
from evidence.segments import read_lines
from evidence.snapshot import Snapshot

INCIDENTS = """\
ID;Title;Affected service;Severity;Kind;Started;Detected At;Resolved;Postmortem;Hue
INC-1;Down;login;Critical;availability;2026-01-05T10:00Z;2026-01-05 10:04;2026-01-05 13:00+01;yes;0
INC-2;"Slow, and ""odd""
for hours";shop;low;performance;2026-02-01;;;no;
"""
"""Two good incidents, one of them on two lines, as a German Excel would write them."""


def context_in(folder: Path, *files: dict[str, Any], **more: Any) -> Context:
    """A context whose store, keys and records lie in `folder`."""
    config = Config(
        organisation="Small",
        store=str(folder / "store"),
        records=tuple(RecordsConfig(**{**item, "file": folder / item["file"]}) for item in files),
        signing=SigningConfig(key=folder / "keys/k.pem", certificate=folder / "keys/c.pem"),
        **more,
    )
    Context(config, None, Output(quiet=True)).signing_key()  # makes the first one
    return Context(config, folder / "auditpack.yaml", Output(quiet=True))


def collected(folder: Path, *files: dict[str, Any]) -> tuple[Context, Snapshot, CollectSummary]:
    """Collect records alone."""
    context = context_in(folder, *files)
    summary = collect_snapshot(context, providers=("records",))
    return context, Snapshot.open(context.store(), summary.snapshot), summary


def imported(folder: Path, name: str, content: bytes | str, **more: Any) -> Snapshot:
    """Collect one file of incidents, or of another `type`."""
    data = content.encode() if isinstance(content, str) else content
    (folder / name).write_bytes(data)
    item = {"type": "record_incident", "file": name, **more}
    return collected(folder, item)[1]


def rows(snapshot: Snapshot, columns: str, table: str = "record_incident") -> list[Any]:
    """Columns of a table, by id."""
    file = snapshot.table(table)
    return duckdb.sql(f"SELECT {columns} FROM '{file}' ORDER BY account, id").fetchall()


def captures(snapshot: Snapshot, table: str = "record_incident") -> list[dict[str, Any]]:
    """The captures of the only unit of a table."""
    unit = next(unit for unit in snapshot.units if unit.key.resource_type == table)
    return [orjson.loads(line) for line in read_lines(snapshot.segment(unit.key.path))]


def details(snapshot: Snapshot) -> list[str]:
    """What the gaps say."""
    return [gap.detail for gap in snapshot.gaps]


def workbook(file: Path, rows_of: Sequence[Sequence[Any]], title: str = "Tickets") -> None:
    """Write a workbook whose first sheet is hidden and empty."""
    from openpyxl import Workbook

    book = Workbook()
    book.active.sheet_state = "hidden"
    sheet = book.create_sheet(title)
    for row in rows_of:
        sheet.append(list(row))
    book.save(file)


def at(text: str) -> datetime.datetime:
    """A time as tables have it."""
    return datetime.datetime.fromisoformat(text)
