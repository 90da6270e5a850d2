"""Options that several commands share, and the context they give."""

from __future__ import annotations

import datetime
import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from auditpack.config import (
    Config,
    find_config,
    load_config,
    own_folders,
    store_work_folder,
)
from auditpack.console import Output

if TYPE_CHECKING:
    from controls.catalogue import Catalogue
    from evidence.keys import SigningKey
    from evidence.schema import TableSchema
    from evidence.sealing import Sealer
    from evidence.store import Store


@dataclass(frozen=True)
class Context:
    """What a command works with: the configuration, where it came from, and how to speak."""

    config: Config
    config_file: Path | None
    output: Output

    @property
    def type_folders(self) -> tuple[str, ...]:
        """Folders with the user's own resource types."""
        return tuple(str(folder / "resources") for folder in own_folders(self.config_file))

    def store(self, *, create: bool = False, checked: bool = True) -> Store:
        """Open the store. A remote one is worked on in a folder of the user's cache.

        Without `checked`, a store whose mark is damaged is opened all the same, to be verified.
        Raises StoreError when there is none (and `create` is not set).
        """
        from evidence.store import Store
        from evidence.store_location import StoreOptions, is_remote, open_objects

        location = self.config.store
        if not is_remote(location) and checked:
            return Store.open(Path(location), create=create)
        objects = open_objects(location, StoreOptions(**self.config.store_options.model_dump()))
        work = store_work_folder(location) if is_remote(location) else Path(location)
        if not checked:
            return Store.unchecked(objects, work)
        return Store.open_objects(objects, work, create=create)

    def catalogue(self) -> Catalogue:
        """Load the catalogue with the user's own files."""
        from controls.catalogue import load_catalogue

        return load_catalogue(own_folders(self.config_file))

    def schemas(self) -> dict[str, TableSchema]:
        """Return the table schemas of every resource type."""
        from collectors.catalogue import load_schemas

        return load_schemas(Path(folder) for folder in self.type_folders)

    def sealer(self) -> Sealer:
        """Return what seals: the signing key, this machine's clock, and the timestamp authority."""
        from auditpack.signing import timestamp_authority
        from evidence.sealing import Sealer

        authority = timestamp_authority(self.config.signing)
        return Sealer(self.signing_key(), lambda: datetime.datetime.now(datetime.UTC), authority)

    def signing_key(self) -> SigningKey:
        """Load the signing key; make one where there is none yet and no configuration names one."""
        from auditpack.signing import load_or_make_key

        configured = self.config_file is not None
        return load_or_make_key(self.config, self.output, configured=configured)


def common_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --config, --store, --json, -q and -v, and hand a `Context` to the command."""

    @click.option(
        "--config",
        "config_file",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="AUDITPACK_CONFIG",
        help="Configuration file [default: ./auditpack.yaml if it is there].",
    )
    @click.option(
        "--store",
        envvar="AUDITPACK_STORE",
        help="Evidence store: a folder, s3://BUCKET/PREFIX, az://ACCOUNT/CONTAINER/PREFIX or"
        " gs://BUCKET/PREFIX [default: from the configuration, else ./store].",
    )
    @click.option("--json", "as_json", is_flag=True, help="Write the result as JSON to stdout.")
    @click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
    @click.option("-v", "--verbose", is_flag=True, help="Say more; show a traceback on errors.")
    @functools.wraps(function)
    def wrapped(
        *,
        config_file: Path | None,
        store: str | None,
        as_json: bool,
        quiet: bool,
        verbose: bool,
        **others: Any,
    ) -> Any:
        if verbose:
            os.environ["AUDITPACK_VERBOSE"] = "1"
        config = load_config(config_file, store=store)
        context = Context(config, find_config(config_file), Output(as_json, quiet, verbose))
        return function(context, **others)

    return wrapped
