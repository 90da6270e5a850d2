"""The Azure resource types there are: derived from the folder, never listed by hand."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from pathlib import Path

from collectors.azure.actions import actions_by_call
from collectors.azure.spec import RESOURCE_GRAPH, AzureResourceType
from collectors.catalogue import load_folder
from evidence.redaction import Redactor, parse_path

BUILT_IN = Path(__file__).parent / "resources"


def load_resource_types(folders: Iterable[Path] = ()) -> dict[str, AzureResourceType]:
    """Load every resource type of the built-in folder, then of `folders`, which may override.

    Raises DataError with file, line and field for the first file that is wrong.
    """
    return load_folder(AzureResourceType, (BUILT_IN, *folders), ("azure_*.yaml", "entra_*.yaml"))


def redactor_for(specs: Iterable[AzureResourceType], key: bytes) -> Redactor:
    """Return the redactor that takes out what `specs` declare; `key` is the store's.

    A path `of: list` is one of the listed resource: it is taken out of each item of a page, and of
    the resource when it is read again.
    """
    declared: dict[Hashable, list[tuple[str, ...]]] = {}
    for spec in specs:
        for item in spec.redact:
            steps = parse_path(item.path)
            paths = declared.setdefault((spec.type, item.of), [])
            paths.append(steps)
            if item.of == "list":
                paths.extend((name, "[]", *steps) for name in ("value", "data"))
    return Redactor(key, declared)


def shared_calls(specs: Iterable[AzureResourceType]) -> frozenset[tuple[str, str]]:
    """Return the (service, operation) pairs that may be asked more than once alike.

    These are calls of several types, and steps that do not depend on the item. What a type takes
    secrets out of is its own.
    """
    seen: set[tuple[str, str]] = set()
    shared: set[tuple[str, str]] = set()
    own: set[tuple[str, str]] = set()
    for spec in specs:
        redacted = {item.of for item in spec.redact}
        listed = [] if spec.listing is None else [spec.listing]
        named = [("list", call) for call in listed] + [(step.name, step) for step in spec.enrich]
        calls = {(call.service, call.operation) for _, call in named}
        own |= {(call.service, call.operation) for name, call in named if name in redacted}
        shared |= {pair for pair in calls if pair in seen}
        shared |= {(step.service, step.operation) for step in spec.enrich if not step.is_for_item()}
        seen |= calls
    return frozenset(pair for pair in shared - own if pair[0] != RESOURCE_GRAPH)


def calls_without_action(specs: Iterable[AzureResourceType]) -> list[str]:
    """Return the calls whose permission cannot be read off the path and is not declared."""
    return [
        f"{spec.type}: {call.operation}"
        for spec in specs
        for call, action in actions_by_call(spec)
        if not action and not call.needs_permission and not spec.actions
    ]
