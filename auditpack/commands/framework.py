"""`auditpack framework`: frameworks from elsewhere."""

from __future__ import annotations

from pathlib import Path

import click

from auditpack.options import Context, common_options


@click.group()
def framework() -> None:
    """Bring in frameworks from elsewhere."""


@framework.command("import")
@click.argument("catalogue", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--id", "name", default="", help="Id of the framework [default: the file's name].")
@click.option("--like", default="", help="Framework whose common controls meet the same ids.")
@common_options
def import_(context: Context, *, catalogue: Path, name: str, like: str) -> None:
    """Make a framework of CATALOGUE, an OSCAL catalogue in JSON.

    It is written to auditpack.d/frameworks/, where it can be changed like any other. Nothing that
    exists is overwritten.
    """
    import json

    import yaml

    from auditpack.config import own_folder
    from controls.oscal import framework_from_oscal
    from evidence.errors import DataError, UsageError
    from evidence.files import write_atomically

    try:
        document = json.loads(catalogue.read_bytes())
    except ValueError as error:
        raise DataError(
            f"the file is not JSON: {error}", where=str(catalogue), mend="Give OSCAL's JSON form."
        ) from error
    known = context.catalogue()
    chosen = name or _id_of(catalogue.stem)
    found = framework_from_oscal(
        document,
        framework_id=chosen,
        like=known.framework(like) if like else None,
        where=str(catalogue),
    )
    target = own_folder(context.config_file) / "frameworks" / f"{chosen}.yaml"
    if target.exists() or chosen in known.frameworks:
        raise UsageError(
            f"there is a framework {chosen!r} already", where=str(target), mend="Give another --id."
        )
    data = found.model_dump(mode="json", exclude_defaults=True)
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=96)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(target, text.encode())
    mapped = sum(bool(item.controls) for item in found.requirements)
    context.output.results().print(
        f"{len(found.requirements)} requirements, {mapped} of them met by common controls: {target}"
    )
    context.output.json(
        {
            "framework": chosen,
            "file": str(target),
            "requirements": len(found.requirements),
            "mapped": mapped,
        }
    )


def _id_of(stem: str) -> str:
    """Return a file's name as an id."""
    kept = "".join(char if char.isalnum() or char == "." else "_" for char in stem.casefold())
    return "_".join(part for part in kept.split("_") if part)
