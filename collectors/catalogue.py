"""The resource types of all providers, and the tables that they yield."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from evidence.redaction import Redactor
from evidence.schema import TableSchema

if TYPE_CHECKING:
    from collectors.run_types import AnyResourceType


def load_types(folders: Iterable[Path] = ()) -> dict[str, AnyResourceType]:
    """Return every resource type, built in or in `folders`, by its name.

    Raises DataError with file, line and field for the first file that is wrong.
    """
    from collectors.aws.catalogue import load_resource_types as load_aws
    from collectors.azure.catalogue import load_resource_types as load_azure

    given = list(folders)
    found: dict[str, AnyResourceType] = {**load_aws(given), **load_azure(given)}
    return dict(sorted(found.items()))


def load_schemas(folders: Iterable[Path] = ()) -> dict[str, TableSchema]:
    """Return the table schema of every resource type, built in or in `folders`, by its name.

    Raises DataError with file, line and field for the first file that is wrong.
    """
    return {name: spec.table_schema() for name, spec in load_types(folders).items()}


def redactor_for(types: Mapping[str, AnyResourceType], key: bytes) -> Redactor:
    """Return the redactor that takes out what any of `types` declares; `key` is the store's."""
    from collectors.aws.catalogue import redactor_for as for_aws
    from collectors.azure.catalogue import redactor_for as for_azure
    from collectors.run_types import only_aws, only_azure

    aws, azure = for_aws(only_aws(types).values(), key), for_azure(only_azure(types).values(), key)
    return Redactor(key, {**aws.declared, **azure.declared})
