"""What has passed the gate already: only what changed since has to pass it again.

A check's answer at the gate depends on the check, the shape of its resource type, the facts on it,
and the code of the gate; a fact's on the fact and the shapes that it reads. What has passed is kept
as the SHA-256 of just that, in a folder of the user's cache: losing it costs time and nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import orjson

from controls.catalogue import Catalogue
from controls.facts import facts_of
from controls.models import Check, Fact
from evidence.files import write_atomically
from evidence.schema import TableSchema
from evidence.tables import schemas_as_json


@dataclass(frozen=True)
class GateMemory:
    """Remembers in `folder` what has passed."""

    folder: Path

    @property
    def _file(self) -> Path:
        return self.folder / f"passed-{_code_digest()}"

    def passed(self) -> frozenset[str]:
        """Return the digests of what has passed this version of the gate."""
        if not self._file.exists():
            return frozenset()
        return frozenset(self._file.read_text("ascii").split())

    def remember(self, digests: Iterable[str]) -> None:
        """Add what has passed. Raises StoreError when it cannot be written."""
        known = self.passed()
        found = known | set(digests)
        if found != known:
            write_atomically(self._file, "\n".join(sorted(found)).encode("ascii"))


@dataclass(frozen=True)
class Examined:
    """What the gate looks at when it judges the parts of a catalogue, as digests."""

    catalogue: Catalogue
    schemas: Mapping[str, TableSchema]

    def check(self, check: Check) -> str:
        """Return the digest of all that the gate's answer for a check depends on."""
        facts = facts_of(self.catalogue.facts.values(), check.resource)
        told = [check.model_dump(mode="json"), *(fact.model_dump(mode="json") for fact in facts)]
        return self._digest("check", told, [check.resource])

    def fact(self, fact: Fact) -> str:
        """Return the digest of all that the gate's answer for a fact depends on."""
        return self._digest("fact", [fact.model_dump(mode="json")], [fact.subject, *fact.reads])

    def _digest(self, kind: str, told: Sequence[object], types: Iterable[str]) -> str:
        shapes = [self.schemas[name] for name in types if name in self.schemas]
        digest = hashlib.sha256(kind.encode())
        digest.update(orjson.dumps(told, option=orjson.OPT_SORT_KEYS))
        digest.update(schemas_as_json(shapes))
        return digest.hexdigest()


def _code_digest() -> str:
    """Return the digest of the gate itself: this room's code, and the database that it asks."""
    digest = hashlib.sha256(duckdb.__version__.encode())
    for file in sorted(Path(__file__).parent.glob("*.*")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:32]
