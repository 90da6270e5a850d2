"""The Azure resource types there are: derived from the folder, never listed by hand."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from collectors.azure.spec import AzureResourceType
from evidence.errors import DataError
from evidence.yaml_files import load_model

BUILT_IN = Path(__file__).parent / "resources"


def load_resource_types(folders: Iterable[Path] = ()) -> dict[str, AzureResourceType]:
    """Load every resource type of the built-in folder, then of `folders`, which may override.

    Raises DataError with file, line and field for the first file that is wrong.
    """
    found: dict[str, AzureResourceType] = {}
    for folder in (BUILT_IN, *folders):
        for pattern in ("azure_*.yaml", "entra_*.yaml"):
            for file in sorted(folder.glob(pattern)):
                spec = load_model(file, AzureResourceType)
                if spec.type != file.stem:
                    raise DataError(
                        f"the file is called {file.stem!r} and its type {spec.type!r}",
                        where=f"{file}: type",
                        mend="Give both the same name.",
                    )
                found[spec.type] = spec
    return dict(sorted(found.items()))
