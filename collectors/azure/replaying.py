"""Making the rows of an Azure unit again from its captures: the same code, with nobody to ask."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

from collectors.answers import Page
from collectors.azure.actions import needs_of
from collectors.azure.asking import NOT_COLLECTED, Asker
from collectors.azure.bulk import BulkRows, bulk_key, collect_bulk
from collectors.azure.caller import UnitCaller
from collectors.azure.catalogue import shared_calls
from collectors.azure.exchange import Reply, Request, reply_of
from collectors.azure.place import place_of
from collectors.azure.rereading import REREAD_CALL, Rereader
from collectors.azure.spec import AzureResourceType
from collectors.captured import Recorded
from collectors.replaying import (
    CapturedAnswers,
    Inline,
    ReplayedUnit,
    RowsOnly,
    no_pause,
    unit_captures,
)
from collectors.unit import UnitCollector
from evidence.errors import VerificationError
from evidence.redaction import Redactor
from evidence.snapshot import Snapshot
from evidence.units import GLOBAL_REGION, UnitKey


class CapturedSource(CapturedAnswers):
    """Answers requests from captures."""

    def ask(self, service: str, operation: str, request: Request) -> Reply:
        """Return the recorded reply; one that says so where there is none."""
        called = f"{operation} ({request.path})"
        capture = self._take(service, GLOBAL_REGION, operation, request.parameters, called)
        if capture is None:
            return Reply(0, None, (NOT_COLLECTED,))
        if capture["error"]:
            return Reply(0, None, (capture["error"],), capture["error_detail"])
        return reply_of(capture["status"], capture["headers"], _body(capture))

    def page(
        self,
        service: str,  # noqa: ARG002
        exchanges: Sequence[Recorded],
        answer: Any,
        declared_for: Hashable,
    ) -> Page:
        """Return an answer; its captures are named by their references."""
        return self._answered(exchanges, answer, declared_for)


def _body(capture: Mapping[str, Any]) -> bytes:
    body: str = capture["body"]
    return base64.b64decode(body) if capture["body_is"].endswith("base64") else body.encode()


class AzureReplayer:
    """Replays the units of one snapshot, shaped by `types`.

    `recorded_types` are those that the snapshot was collected with: they say what was asked.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        types: Mapping[str, AzureResourceType],
        recorded_types: Mapping[str, AzureResourceType],
        redactor: Redactor | None = None,
    ) -> None:
        self._snapshot, self._types, self._redactor = snapshot, types, redactor
        self._shared = shared_calls(types.values())
        calls = [call for spec in recorded_types.values() for call in spec.calls()]
        pairs = {(call.service, call.operation) for call in calls}
        self._declared = frozenset({*pairs, REREAD_CALL})
        self._scope = snapshot.predicate["intent"].get("scope", {}).get("azure", {})
        self._rows: dict[UnitKey, BulkRows] = {}

    def replay(self, key: UnitKey, rows: Path) -> ReplayedUnit:
        """Write the rows of a unit as JSON lines to `rows` and return what came of it.

        Raises VerificationError when its captures cannot be read; what else is raised, the unit's
        captures or types are not fit for.
        """
        spec = self._types[key.resource_type]
        place = place_of(key.account, str(self._scope.get("cloud", "")))
        with tempfile.TemporaryFile() as scratch, rows.open("wb") as file:
            captures = unit_captures(self._snapshot, key, self._declared, scratch)
            source = CapturedSource(captures, self._redactor)
            asker = Asker(source, self._shared, pause=no_pause)
            subscription = key.account if spec.scope == "subscription" else None
            caller = UnitCaller(spec, asker, subscription, lambda: self._bulk(spec, key))
            inline = Inline()
            again = None
            if spec.reread is not None and self._scope.get("reread"):
                again = Rereader(spec, place, caller, inline)
            writer = RowsOnly(key, captures.records, file)
            collector = UnitCollector(spec, place, caller, inline, writer, second_look=again)
            record = collector.collect()
            return ReplayedUnit(record, tuple(source.missing), tuple(captures.unused))

    def _bulk(self, spec: AzureResourceType, key: UnitKey) -> BulkRows:
        """Return the pages that a unit's rows lie in: they are replayed once, like units."""
        tenant = self._tenant_of(key.account)
        bulk = bulk_key(str(tenant["id"]), spec.type)
        if bulk not in self._rows:
            asked: list[str] = []
            if spec.scope == "subscription":
                asked = [item["id"] for item in tenant["subscriptions"] if not item["unread"]]
            with tempfile.TemporaryFile() as scratch:
                captures = unit_captures(self._snapshot, bulk, self._declared, scratch)
                source = CapturedSource(captures, None)
                writer = RowsOnly(bulk, captures.records, scratch)
                asker = Asker(source, pause=no_pause)
                needs = needs_of(spec)[id(spec.listing)]
                record = collect_bulk(asker, spec, asked, needs, writer)
            if source.missing:
                raise VerificationError(
                    f"the captures hold no answer to {source.missing[0]}", where=bulk.path
                )
            segment = self._snapshot.segment(bulk.path)
            self._rows[bulk] = BulkRows(record, segment, self._redactor, (spec.type, "list"))
        return self._rows[bulk]

    def _tenant_of(self, account: str) -> Mapping[str, Any]:
        for tenant in self._scope.get("tenants", []):
            names = {tenant["id"], *(item["id"] for item in tenant["subscriptions"])}
            if account in names:
                found: Mapping[str, Any] = tenant
                return found
        raise VerificationError(
            f"the snapshot does not say to which tenant {account} belongs",
            where=str(self._snapshot.folder),
        )
