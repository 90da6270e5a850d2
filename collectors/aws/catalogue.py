"""The AWS resource types there are: derived from the folder, never listed by hand."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path

from collectors.aws.models import operation_model, paginator_config
from collectors.aws.spec import AwsResourceType
from collectors.catalogue import load_folder
from evidence.redaction import Redactor

BUILT_IN = Path(__file__).parent / "resources"


def load_resource_types(folders: Iterable[Path] = ()) -> dict[str, AwsResourceType]:
    """Load every resource type of the built-in folder, then of `folders`, which may override.

    Raises DataError with file, line and field for the first file that is wrong.
    """
    return load_folder(AwsResourceType, (BUILT_IN, *folders), ("aws_*.yaml",))


def shared_calls(specs: Iterable[AwsResourceType]) -> frozenset[tuple[str, str]]:
    """Return the (service, method) pairs that may be asked more than once with the same parameters.

    These are calls of several types, calls whose parameters do not depend on the item, and calls
    that an item makes in another region than its unit's.
    """
    seen: set[tuple[str, str]] = set()
    shared: set[tuple[str, str]] = set()
    for spec in specs:
        calls = set(spec.calls())
        shared |= (seen & calls) | spec.repeated_calls()
        seen |= calls
    return frozenset(shared)


def redactor_for(specs: Iterable[AwsResourceType], key: bytes) -> Redactor:
    """Return the redactor that takes out what `specs` declare; `key` is the store's."""
    declared: dict[Hashable, list[tuple[str, ...]]] = {}
    for spec in specs:
        for call, paths in spec.redacted_paths().items():
            declared.setdefault(call, []).extend(paths)
    return Redactor(key, declared)


def operations_of(specs: Iterable[AwsResourceType]) -> list[tuple[str, str]]:
    """Return every (service, API operation name) that `specs` may call, sorted."""
    pairs = {pair for spec in specs for pair in spec.calls()}
    return sorted((service, operation_model(service, method).name) for service, method in pairs)


_TOKENS = (
    "NextToken",
    "nextToken",
    "next_token",
    "Marker",
    "NextMarker",
    "nextMarker",
    "ContinuationToken",
    "NextContinuationToken",
    "PaginationToken",
    "NextPageToken",
    "position",
)


def truncating_calls(specs: Sequence[AwsResourceType]) -> list[str]:
    """Return the calls whose answers could be cut short without anybody noticing.

    A call is safe when botocore has a paginator for it, when the type declares the token pair, or
    when its answer has no token at all.
    """
    unsafe = []
    for spec in specs:
        declared = spec.declared_pages()
        for service, method in spec.calls():
            if (service, method) in declared or paginator_config(service, method):
                continue
            shape = operation_model(service, method).output_shape
            tokens = [name for name in _TOKENS if shape is not None and name in shape.members]
            if tokens:
                unsafe.append(f"{spec.type}: {service}.{method} ({tokens[0]})")
    return unsafe
