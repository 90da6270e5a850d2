"""Azure's answers as they may be: the demo's estate in process, each answer changed on its way.

Everything but the wire is real: pages and captures are kept, redacted and read again.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import parse_qsl, unquote, urlsplit

import orjson

from auditpack.demo.azure.replies import Request as Received
from auditpack.demo.azure.server import FakeAzure
from collectors.azure.actions import needs_of
from collectors.azure.asking import Asker, LiveSource
from collectors.azure.bulk import BulkRows, bulk_key, bulk_listing, collect_bulk
from collectors.azure.caller import UnitCaller
from collectors.azure.catalogue import load_resource_types, redactor_for, shared_calls
from collectors.azure.exchange import Reply, Request, reply_of
from collectors.azure.place import place_of
from collectors.azure.recorder import keep_response
from collectors.azure.replaying import AzureReplayer
from collectors.azure.rereading import Rereader
from collectors.capturing import CaptureMaker
from collectors.recording import Recorder
from collectors.replaying import Inline
from collectors.unit import UnitCollector
from evidence.segments import segment_path
from evidence.snapshot import Snapshot
from evidence.units import GLOBAL_REGION, SEALED, UnitKey, UnitRecord, UnitWriter

TYPES = load_resource_types()
FAKE = FakeAzure()
SUBSCRIPTION = FAKE.subscriptions[0].lower()
HOST = "https://management.azure.com"

_REDACTOR = redactor_for(TYPES.values(), b"k" * 32)
_SHARED = shared_calls(TYPES.values())
_HEADERS = {"x-ms-request-id": "an-id", "date": "a date"}

Change = Callable[[str, int, Any], Any]
"""Takes the operation, the number of the answer and its data; gives what is answered instead.

That is data, the very bytes of a body, or a status with either.
"""


def unchanged(_operation: str, _number: int, data: Any) -> Any:
    """Answer what the estate answers."""
    return data


class ChangedCloud:
    """A session with the demo's estate, without a wire."""

    def __init__(self, change: Change) -> None:
        self.recorder, self._change = Recorder(), change
        self.asked: list[tuple[str, str]] = []
        self._tokens = {
            "arm": FAKE.tokens.give("https://management.azure.com"),
            "graph": FAKE.tokens.give("https://graph.microsoft.com"),
        }

    def send(self, service: str, operation: str, request: Request) -> Reply:
        """Answer as a session does: captured, and with what it means."""
        status, body = self._answered(service, operation, request)
        response = SimpleNamespace(status_code=status, headers=_HEADERS, content=body)
        with self.recorder.call(operation, request.parameters):
            keep_response(self.recorder, HOST + request.url, "2026-01-01T00:00:00Z", response)
        return reply_of(status, _HEADERS, body)

    def _answered(self, service: str, operation: str, request: Request) -> tuple[int, bytes]:
        parts = urlsplit(HOST + request.url)
        names = {"api-version", "$skiptoken"}
        query = {
            name.lower() if name.lower() in names else name: text
            for name, text in parse_qsl(parts.query, keep_blank_values=True)
        }
        token = self._tokens["graph" if service == "graph" else "arm"]
        body = b"" if request.body is None else json.dumps(request.body).encode()
        headers = {"Authorization": f"Bearer {token}"}
        path = unquote(parts.path)
        reply = FAKE.answer(Received(request.method, path, query, headers, body, HOST))
        self.asked.append((request.method, path))
        changed = self._change(operation, len(self.asked) - 1, copy.deepcopy(reply.body))
        status, data = changed if isinstance(changed, tuple) else (reply.status, changed)
        return status, data if isinstance(data, bytes) else json.dumps(data).encode()


@dataclass
class Collected:
    """What came of one type: its units, its rows by id, and who asked what."""

    units: list[UnitRecord]
    rows: dict[str, dict[str, Any]]
    asked: list[tuple[str, str]] = field(default_factory=list)

    @property
    def gaps(self) -> list[Any]:
        """The gaps of all units."""
        return [gap for unit in self.units for gap in unit.gaps]


def collected(name: str, folder: Path, change: Change = unchanged) -> Collected:
    """Collect a built-in type from answers that `change` has changed."""
    spec, cloud, tenant = TYPES[name], ChangedCloud(change), FAKE.tenant_id
    in_tenant = spec.scope == "tenant"

    def asker(account: str) -> Asker:
        source = LiveSource(cloud, CaptureMaker("azure", account, _REDACTOR))  # type: ignore[arg-type]
        return Asker(source, _SHARED, pause=lambda _: None)

    pages: BulkRows | None = None
    if bulk_listing(spec) is not None:
        key = bulk_key(tenant, name)
        needs = needs_of(spec)[id(spec.listing)]
        asked = () if in_tenant else (SUBSCRIPTION,)
        record = collect_bulk(asker(tenant), spec, asked, needs, UnitWriter(folder, key))
        pages = BulkRows(record, folder / SEALED / segment_path(key.path))
    account = tenant if in_tenant else SUBSCRIPTION
    place, key = place_of(account, "public"), UnitKey("azure", account, GLOBAL_REGION, name)
    subscription = None if in_tenant else account
    caller = UnitCaller(spec, asker(account), subscription, lambda: pages)  # type: ignore[arg-type,return-value]
    again = Rereader(spec, place, caller, Inline()) if spec.reread is not None else None
    writer = UnitWriter(folder, key)
    unit = UnitCollector(spec, place, caller, Inline(), writer, second_look=again).collect()
    rows = _rows_in(folder / "work" / "rows" / f"{key.path}.jsonl")
    return Collected([unit], rows, cloud.asked)


def replayed(name: str, folder: Path, unit: UnitRecord) -> dict[str, dict[str, Any]]:
    """The rows of a unit made again from the captures that collecting left in `folder`."""
    item = {"id": SUBSCRIPTION, "unread": ""}
    scope = {"reread": True, "tenants": [{"id": FAKE.tenant_id, "subscriptions": [item]}]}
    snapshot = SimpleNamespace(
        segment=lambda path: folder / SEALED / segment_path(path),
        predicate={"intent": {"scope": {"azure": scope}}},
        folder=folder,
    )
    replayer = AzureReplayer(cast("Snapshot", snapshot), TYPES, TYPES)
    file = folder / "again.jsonl"
    again = replayer.replay(unit.key, file)
    assert (again.missing, again.unused) == ((), ())
    assert again.record.listed is unit.listed
    return _rows_in(file)


def _rows_in(file: Path) -> dict[str, dict[str, Any]]:
    rows = [orjson.loads(line) for line in file.read_bytes().splitlines()]
    found = {row["id"]: row for row in rows}
    assert len(found) == len(rows), "an id came twice"
    return found


def facets_of(name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """The facets of a row."""
    return {facet: row[facet] for facet in TYPES[name].facets}
