"""The resource types of all providers, and the tables that they yield."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from evidence.errors import DataError, UsageError
from evidence.redaction import Redactor
from evidence.schema import TableSchema
from evidence.yaml_files import load_model

if TYPE_CHECKING:
    from collectors.run_types import AnyResourceType


Spec = TypeVar("Spec", bound="AnyResourceType")


def load_folder(
    model: type[Spec], folders: Iterable[Path], patterns: Sequence[str]
) -> dict[str, Spec]:
    """Load the resource types of one provider; those of a later folder override.

    Raises DataError with file, line and field for the first file that is wrong.
    """
    found: dict[str, Spec] = {}
    files = (file for folder in folders for one in patterns for file in sorted(folder.glob(one)))
    for file in files:
        spec = load_model(file, model)
        if spec.type != file.stem:
            raise DataError(
                f"the file is called {file.stem!r} and its type {spec.type!r}",
                where=f"{file}: type",
                mend="Give both the same name.",
            )
        found[spec.type] = spec
    return dict(sorted(found.items()))


def types_in_scope(
    known: Mapping[str, Spec], wanted: Sequence[str], excluded: Sequence[str]
) -> dict[str, Spec]:
    """Return the types to read; none `wanted` means all. Raises UsageError for an unknown name."""
    for name in (*wanted, *excluded):
        if name not in known:
            near = difflib.get_close_matches(name, list(known), 1)
            hint = (
                f"Did you mean {near[0]}?" if near else "`auditpack list resources` names them all."
            )
            raise UsageError(f"there is no resource type {name!r}", where="types", mend=hint)
    return {name: known[name] for name in wanted or known if name not in excluded}


def load_types(folders: Iterable[Path] = ()) -> dict[str, AnyResourceType]:
    """Return every resource type, built in or in `folders`, by its name.

    Raises DataError with file, line and field for the first file that is wrong.
    """
    from collectors.aws.catalogue import load_resource_types as load_aws
    from collectors.azure.catalogue import load_resource_types as load_azure
    from collectors.gcp.catalogue import load_resource_types as load_gcp
    from collectors.records.catalogue import load_record_types

    given = list(folders)
    found: dict[str, AnyResourceType] = {
        **load_aws(given),
        **load_azure(given),
        **load_gcp(given),
        **load_record_types(given),
    }
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
    from collectors.gcp.catalogue import redactor_for as for_gcp
    from collectors.records.catalogue import redactor_for as for_records
    from collectors.run_types import only_aws, only_azure, only_gcp, only_records

    aws, azure = for_aws(only_aws(types).values(), key), for_azure(only_azure(types).values(), key)
    gcp = for_gcp(only_gcp(types).values(), key)
    records = for_records(only_records(types).values(), key)
    clouds = {**aws.declared, **azure.declared, **gcp.declared}
    return Redactor(key, {**clouds, **records.declared})
