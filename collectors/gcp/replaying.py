"""Making the rows of a Google Cloud unit again from the captured pages: with nobody to ask."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from collectors.answers import Page
from collectors.captured import Recorded
from collectors.gcp.asking import Asker
from collectors.gcp.assets import NotCollected, ScopeAssets
from collectors.gcp.bulk import RESOURCES, BulkQuery, bulk_key, bulk_name, collect_bulk
from collectors.gcp.caller import Told, UnitCaller
from collectors.gcp.exchange import Reply, Request
from collectors.gcp.index import AssetIndex, Clean
from collectors.gcp.outcomes import NOT_COLLECTED
from collectors.gcp.place import place_of
from collectors.gcp.planning import projects_in
from collectors.gcp.reading import Reading, queries_of
from collectors.gcp.redacting import SERVICE, AssetRedactor
from collectors.gcp.spec import ANY_ASSET, GcpResourceType
from collectors.replaying import (
    CapturedAnswers,
    Inline,
    ReplayedUnit,
    RowsOnly,
    no_pause,
    unit_captures,
    with_marks,
)
from collectors.unit import UnitCollector
from evidence.errors import VerificationError
from evidence.redaction import Redactor
from evidence.snapshot import Snapshot
from evidence.units import GLOBAL_REGION, UnitKey, UnitRecord


class CapturedSource(CapturedAnswers):
    """Answers requests from captures."""

    def ask(self, operation: str, request: Request) -> Reply:
        """Return the recorded reply; one that says so where there is none."""
        parameters = dict(request.parameters)
        capture = self._take(SERVICE, GLOBAL_REGION, operation, parameters, operation)
        if capture is None:
            return Reply(code=NOT_COLLECTED)
        body = orjson.loads(capture["body"]) if capture["body"] else {}
        if capture["error"]:
            details = tuple(body.get("details", ()))
            return Reply(None, capture["error"], capture["error_detail"], details)
        return Reply(body)

    def page(self, exchanges: Sequence[Recorded], reply: Reply, content: str) -> Page:
        """Return an answer; its captures are named by their references."""
        return self._answered(exchanges, reply.data, content)


class GcpReplayer:
    """Replays the units of one snapshot, shaped by `types`.

    `recorded_types` are those that the snapshot was collected with: they say what was asked.
    `scratch` is a folder for the indexes of the assets.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        types: Mapping[str, GcpResourceType],
        recorded_types: Mapping[str, GcpResourceType],
        redactor: Redactor | None,
        scratch: Path,
    ) -> None:
        self._snapshot, self._types, self._recorded = snapshot, types, recorded_types
        self._clean = None if redactor is None else AssetRedactor(redactor)
        self._stored = snapshot.predicate["intent"].get("scope", {}).get("gcp", {})
        self._units = {unit.key: unit for unit in snapshot.units}
        self._scopes: dict[str, ScopeAssets] = {}
        self._scratch = scratch

    def replay(self, key: UnitKey, rows: Path) -> ReplayedUnit:
        """Write the rows of a unit as JSON lines to `rows` and return what came of it.

        Raises VerificationError when its captures cannot be read; what else is raised, the unit's
        captures or types are not fit for.
        """
        spec = self._types[key.resource_type]
        caller = UnitCaller(spec, key.account, self._assets_with(spec, key.account))
        with rows.open("wb") as file:
            writer = RowsOnly(key, 0, file)
            place, told = place_of(key.account), Told(spec)
            collector = UnitCollector(spec, place, caller, Inline(), writer, second_look=told)
            return ReplayedUnit(collector.collect(), tuple(caller.missing), ())

    def close(self) -> None:
        """Close the indexes."""
        for assets in self._scopes.values():
            assets.close()

    def _assets_with(self, spec: GcpResourceType, account: str) -> ScopeAssets:
        """Return what was read of the scope that an account is of.

        One that nobody planned for is of the first scope that holds assets of it.
        """
        scopes = self._stored.get("scopes", [])
        for scope in scopes:
            if account in {scope["account"], *(project["id"] for project in scope["projects"])}:
                return self._assets(scope)
        kind = "" if spec.native_type == ANY_ASSET else spec.native_type
        name = bulk_name(spec.listing, spec.type)
        for assets in map(self._assets, scopes):
            if account in assets.accounts(name, kind) | assets.accounts(RESOURCES):
                return assets
        raise VerificationError(
            f"the snapshot does not say to which scope {account} belongs",
            where=str(self._snapshot.folder),
        )

    def _assets(self, scope: Mapping[str, Any]) -> ScopeAssets:
        name, own = str(scope["id"]), str(scope["account"])
        if name not in self._scopes:
            queries = queries_of(name, self._recorded, Reading.from_dict(self._stored))

            def open_index(bulk: str) -> AssetIndex | NotCollected:
                key = bulk_key(own, bulk)
                if bulk not in queries or key not in self._units:
                    return NotCollected("not collected")
                return self._index(key, queries[bulk], assets)

            assets = ScopeAssets(own, open_index, projects_in(self._stored, name))
            self._scopes[name] = assets
        return self._scopes[name]

    def _index(self, key: UnitKey, query: BulkQuery, assets: ScopeAssets) -> AssetIndex:
        """Return the pages of a bulk unit, replayed: whether they are all is for them to say."""
        return AssetIndex(
            self._replayed(key, query),
            query,
            self._snapshot.segment(key.path),
            self._scratch,
            self._cleaner(query.content),
            assets.place_named,
        )

    def _replayed(self, key: UnitKey, query: BulkQuery) -> UnitRecord:
        if not self._units[key].records:
            return self._units[key]  # sealed as a gap: nothing shows why
        declared = frozenset({(SERVICE, query.operation)})
        with tempfile.TemporaryFile() as scratch:
            captures = unit_captures(self._snapshot, key, declared, scratch)
            source = CapturedSource(captures)
            writer = RowsOnly(key, captures.records, scratch)
            record = collect_bulk(Asker(source, pause=no_pause), query, writer)
        if source.missing:
            raise VerificationError(
                f"the captures hold no answer to {source.missing[0]}", where=key.path
            )
        return record

    def _cleaner(self, content: str) -> Clean | None:
        """Return what takes newly declared secrets out of assets that were kept before."""
        redactor = self._clean
        if redactor is None:
            return None

        def clean(asset: dict[str, Any]) -> dict[str, Any]:
            redacted, _ = redactor.asset(content, asset)
            cleaned: dict[str, Any] = with_marks(redacted, asset)
            return cleaned

        return clean
