"""The record types there are: derived from the folder, never listed by hand."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from pathlib import Path

from collectors.catalogue import load_folder
from collectors.records.spec import PROVIDER, RecordType
from evidence.redaction import Redactor

BUILT_IN = Path(__file__).parent / "types"


def load_record_types(folders: Iterable[Path] = ()) -> dict[str, RecordType]:
    """Load every record type of the built-in folder, then of `folders`, which may override.

    Raises DataError with file, line and field for the first file that is wrong.
    """
    return load_folder(RecordType, (BUILT_IN, *folders), ("record_*.yaml",))


def redactor_for(specs: Iterable[RecordType], key: bytes) -> Redactor:
    """Return the redactor that takes out what `specs` declare; `key` is the store's."""
    declared: dict[Hashable, list[tuple[str, ...]]] = {
        declared_for(spec): [(column,) for column in spec.redact] for spec in specs if spec.redact
    }
    return Redactor(key, declared)


def declared_for(spec: RecordType) -> Hashable:
    """Return what a type's redactions are declared for."""
    return (PROVIDER, spec.type)
