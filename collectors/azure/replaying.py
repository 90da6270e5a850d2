"""Making the rows of an Azure unit again from its captures: the same code, with nobody to ask."""

from __future__ import annotations

import base64
import functools
import tempfile
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from collectors.answers import Page
from collectors.azure.actions import needs_of
from collectors.azure.asking import NOT_COLLECTED, Asker
from collectors.azure.bulk import BulkRows, bulk_key, collect_bulk
from collectors.azure.caller import UnitCaller
from collectors.azure.catalogue import shared_calls
from collectors.azure.exchange import RESOURCE_GRAPH_API, Reply, Request, reply_of
from collectors.azure.outcomes import is_throttle
from collectors.azure.place import place_of
from collectors.azure.rereading import REREAD_CALL, Rereader
from collectors.azure.spec import RESOURCE_GRAPH, AzureResourceType
from collectors.azure.versions import ApiVersions
from collectors.captured import Recorded, UnitCaptures
from collectors.replaying import (
    CapturedAnswers,
    Inline,
    ReplayedUnit,
    RowsOnly,
    no_pause,
    unit_captures,
)
from collectors.unit import UnitCollector
from evidence.canonical import digest_of
from evidence.capture import parameters_text
from evidence.errors import VerificationError
from evidence.redaction import Redactor
from evidence.segments import read_lines
from evidence.snapshot import Snapshot
from evidence.units import GLOBAL_REGION, UnitKey

_VERSION = "api-version"


class CapturedSource(CapturedAnswers):
    """Answers requests from captures. Where another api version had answered, it answers again."""

    def __init__(
        self,
        captures: UnitCaptures,
        redactor: Redactor | None,
        other_versions: OtherVersions,
    ) -> None:
        super().__init__(captures, redactor)
        self._others = other_versions
        self._versions = ApiVersions(of_each_request=True)
        self._throttled: set[Recorded] = set()

    def ask(self, service: str, operation: str, request: Request) -> Reply:
        """Return the recorded reply; one that says so where there is none."""
        return self._versions.asked(request, lambda one: self._recorded(service, operation, one))

    def _recorded(self, service: str, operation: str, request: Request) -> Reply:
        question = (service, GLOBAL_REGION, operation)
        found = self._captures.take(*question, request.parameters)
        if found is None or found[0][-1] in self._throttled:  # it went on in another version
            other = self._others.version(service, operation, request)
            if other != request.version:
                found = self._captures.take(*question, request.with_version(other).parameters)
        if found is None:
            self.missing.append(f"{operation} ({request.path})")
            return Reply(0, None, (NOT_COLLECTED,))
        exchanges, capture = found
        self._current.extend(exchanges)
        if capture["error"]:
            return Reply(0, None, (capture["error"],), capture["error_detail"])
        reply = reply_of(capture["status"], capture["headers"], _body(capture))
        if is_throttle(reply):
            self._throttled.add(exchanges[-1])
        return reply

    def page(
        self,
        service: str,  # noqa: ARG002
        exchanges: Sequence[Recorded],
        answer: Any,
        declared_for: Hashable,
    ) -> Page:
        """Return an answer; its captures are named by their references."""
        return self._answered(exchanges, answer, declared_for)


class OtherVersions:
    """The api versions that answered in a segment instead of those that the types had declared.

    `declared` are (service, operation, version) of the types that the snapshot was collected with.
    """

    def __init__(self, segment: Path, declared: frozenset[tuple[str, str, str]]) -> None:
        self._segment, self._declared = segment, declared

    def version(self, service: str, operation: str, request: Request) -> str:
        """Return the version that a request was answered with; its own where no other was."""
        if (service, operation, request.version) not in self._declared:
            return request.version
        key = _without_version(service, operation, request.parameters)
        return self._recorded.get(key, request.version)

    @functools.cached_property
    def _recorded(self) -> dict[str, str]:
        found = {}
        for line in read_lines(self._segment):
            record = orjson.loads(line)
            service, operation = record["service"], record["operation"]
            parameters = orjson.loads(record["parameters"])
            version = _version_in(parameters)
            if version and (service, operation, version) not in self._declared:
                found[_without_version(service, operation, parameters)] = version
        return found


def _version_in(parameters: Mapping[str, Any]) -> str:
    return str({**parameters, **parameters.get("query", {})}.get(_VERSION, ""))


def _without_version(service: str, operation: str, parameters: Mapping[str, Any]) -> str:
    """Return what names a question but for its version, which a query of rows has beside it."""
    query = parameters.get("query")
    if isinstance(query, Mapping):
        query = {name: text for name, text in query.items() if name != _VERSION}
    rest = {**parameters, "query": query}
    rest.pop(_VERSION, None)
    return digest_of([service, operation, parameters_text(rest)])


def _body(capture: Mapping[str, Any]) -> bytes:
    body: str = capture["body"]
    return base64.b64decode(body) if capture["body_is"].endswith("base64") else body.encode()


def _versions_of(types: Iterable[AzureResourceType]) -> Iterator[tuple[str, str, str]]:
    """Yield the api versions that types ask for, with service and operation."""
    for spec in types:
        yield from ((call.service, call.operation, call.api) for call in spec.calls())
        if spec.listing is not None and spec.listing.resource_graph:
            yield (RESOURCE_GRAPH, spec.listing.operation, RESOURCE_GRAPH_API)
        if spec.reread is not None:
            yield (*REREAD_CALL, spec.reread.api)


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
        self._declared_versions = frozenset(_versions_of(recorded_types.values()))
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
            source = CapturedSource(captures, self._redactor, self._other_versions(key))
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

    def _other_versions(self, key: UnitKey) -> OtherVersions:
        return OtherVersions(self._snapshot.segment(key.path), self._declared_versions)

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
                source = CapturedSource(captures, None, self._other_versions(bulk))
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
