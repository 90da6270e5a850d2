"""The resource types of all providers, as the tables that they yield."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from evidence.schema import TableSchema


def load_schemas(folders: Iterable[Path] = ()) -> dict[str, TableSchema]:
    """Return the table schema of every resource type, built in or in `folders`, by its name.

    Raises DataError with file, line and field for the first file that is wrong.
    """
    from collectors.aws.catalogue import load_resource_types as load_aws
    from collectors.azure.catalogue import load_resource_types as load_azure

    given = list(folders)
    found = {name: spec.table_schema() for name, spec in load_aws(given).items()}
    found.update({name: spec.table_schema() for name, spec in load_azure(given).items()})
    return dict(sorted(found.items()))
