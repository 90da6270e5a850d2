"""The resource types of a run as one document: what its tables are shaped by, sealed beside them.

A run keeps the types that it was started with, of all its providers, so that it goes on with them
when it is resumed, and a snapshot keeps the types that it was made with, so that its tables can be
made again from its captures whatever the types of today say (`auditpack rebuild`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from collectors.aws.spec import AwsResourceType
from collectors.azure.spec import AzureResourceType
from collectors.gcp.spec import GcpResourceType
from collectors.records.spec import RecordType
from evidence.errors import DataError
from evidence.files import write_atomically
from evidence.snapshot import SPECS_FILE
from evidence.units import WORK

AnyResourceType = AwsResourceType | AzureResourceType | GcpResourceType | RecordType

_SHAPING = ("botocore", "jmespath", "duckdb")
"""The libraries between a captured answer and a table: their versions explain a difference."""

_MODELS: dict[str, type[AnyResourceType]] = {
    "aws": AwsResourceType,
    "azure": AzureResourceType,
    "entra": AzureResourceType,
    "gcp": GcpResourceType,
    "record": RecordType,
}
"""The model of a resource type, by the first word of its name."""


def keep_types(run_folder: Path, specs: Iterable[AnyResourceType]) -> None:
    """Keep the resource types of an open run; those kept first stay. Raises StoreError."""
    file = run_folder / WORK / SPECS_FILE
    if not file.exists():
        write_atomically(file, specs_as_json(specs))


def kept_types(run_folder: Path) -> dict[str, AnyResourceType]:
    """Return the resource types that an open run was started with; none where none were kept."""
    file = run_folder / WORK / SPECS_FILE
    return specs_from_json(file.read_bytes(), where=str(file)) if file.exists() else {}


def only_aws(specs: Mapping[str, AnyResourceType]) -> dict[str, AwsResourceType]:
    """Return those of `specs` that are of AWS."""
    return {name: spec for name, spec in specs.items() if isinstance(spec, AwsResourceType)}


def only_azure(specs: Mapping[str, AnyResourceType]) -> dict[str, AzureResourceType]:
    """Return those of `specs` that are of Azure or Entra."""
    return {name: spec for name, spec in specs.items() if isinstance(spec, AzureResourceType)}


def only_gcp(specs: Mapping[str, AnyResourceType]) -> dict[str, GcpResourceType]:
    """Return those of `specs` that are of Google Cloud."""
    return {name: spec for name, spec in specs.items() if isinstance(spec, GcpResourceType)}


def only_records(specs: Mapping[str, AnyResourceType]) -> dict[str, RecordType]:
    """Return those of `specs` that are record types."""
    return {name: spec for name, spec in specs.items() if isinstance(spec, RecordType)}


def specs_as_json(specs: Iterable[AnyResourceType]) -> bytes:
    """Return resource types as one JSON document, in which facets and fields keep their order."""
    documents = {spec.type: _document(spec) for spec in specs}
    versions = {name: version(name) for name in _SHAPING}
    return orjson.dumps({"versions": versions, "resource_types": documents})


def spec_as_json(spec: AnyResourceType) -> bytes:
    """Return one resource type as JSON: equal types give equal bytes."""
    return orjson.dumps(_document(spec))


def _document(spec: AnyResourceType) -> dict[str, Any]:
    return spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def specs_from_json(data: bytes, *, where: str = "specs.json") -> dict[str, AnyResourceType]:
    """Return the resource types that `specs_as_json` wrote, by name. Raises DataError."""
    try:
        documents: dict[str, Any] = orjson.loads(data)["resource_types"]
        return {name: _model_of(name).model_validate(item) for name, item in documents.items()}
    except (ValueError, KeyError, ValidationError) as error:
        raise DataError(
            f"these are not resource types that this auditpack knows: {error}",
            where=where,
            mend="Use the auditpack version that sealed them (the snapshot's intent names it).",
        ) from error


def _model_of(name: str) -> type[AnyResourceType]:
    return _MODELS[name.split("_", maxsplit=1)[0]]


def versions_in(data: bytes) -> dict[str, str]:
    """Return the versions of the libraries that a document of types was written beside."""
    return dict(orjson.loads(data)["versions"])


def versions_here() -> dict[str, str]:
    """Return the installed versions of the same libraries."""
    return {name: version(name) for name in _SHAPING}
