"""The catalogue: every check, fact, control and framework, derived from the folders.

A user's own `auditpack.d/{checks,facts,library,frameworks,profiles}` adds to the built-in files,
and replaces those of the same name. Installed packages add folders through the entry-point group
`auditpack.catalogue` (a callable that returns a folder).
"""

from __future__ import annotations

import difflib
from collections.abc import Container, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from controls.models import Check, Control, Fact, Framework, Requirement
from controls.profiles import OwnProfile, resolve
from evidence.canonical import digest_of
from evidence.errors import DataError, UsageError
from evidence.yaml_files import line_of, load_model

BUILT_IN = Path(__file__).parent
_KINDS: dict[str, type[BaseModel]] = {
    "checks": Check,
    "facts": Fact,
    "library": Control,
    "frameworks": Framework,
}

Item = TypeVar("Item", bound=BaseModel)


@dataclass(frozen=True)
class Catalogue:
    """What an assessment judges by. `files` says where each thing was read, for error messages."""

    checks: dict[str, Check]
    facts: dict[str, Fact]
    controls: dict[str, Control]
    frameworks: dict[str, Framework]
    files: dict[tuple[str, str], Path]

    def as_dict(self) -> dict[str, Any]:
        """Return the whole catalogue as plain JSON data, as it is sealed with an assessment."""
        return {
            "checks": _dumped(self.checks),
            "facts": _dumped(self.facts),
            "controls": _dumped(self.controls),
            "frameworks": _dumped(self.frameworks),
        }

    def without(self, resource_types: Container[str]) -> Catalogue:
        """Return the catalogue without the checks and facts on some resource types."""
        checks = {
            name: check
            for name, check in self.checks.items()
            if check.resource not in resource_types
        }
        facts = {n: fact for n, fact in self.facts.items() if fact.subject not in resource_types}
        return replace(self, checks=checks, facts=facts)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the catalogue's canonical form."""
        return digest_of(self.as_dict())

    @cached_property
    def _by_control(self) -> dict[str, list[Check]]:
        found: dict[str, list[Check]] = {}
        for check in self.checks.values():
            found.setdefault(check.control, []).append(check)
        return found

    @cached_property
    def _by_equivalent(self) -> dict[tuple[str, str], list[Check]]:
        found: dict[tuple[str, str], list[Check]] = {}
        for check in self.checks.values():
            for source in check.equivalents:
                for item in check.equivalent_ids(source):
                    found.setdefault((source, item), []).append(check)
        return found

    def checks_of_control(self, control: str) -> list[Check]:
        """Return the checks that hang on a control."""
        return self._by_control.get(control, [])

    def checks_equivalent_to(self, source: str, item: str) -> list[Check]:
        """Return the checks with the rule that another source has under an id."""
        return self._by_equivalent.get((source, item), [])

    def checks_of(self, framework: Framework, requirement: Requirement) -> list[Check]:
        """Return the checks that decide a requirement of a framework, by id."""
        if framework.benchmark is not None:
            return self.checks_equivalent_to(framework.benchmark, requirement.id)
        if requirement.equivalent:
            benchmark, _, item = requirement.equivalent.partition(":")
            return self.checks_equivalent_to(benchmark, item)
        found = [c for name in requirement.controls for c in self.checks_of_control(name)]
        return sorted(found, key=lambda check: check.id)

    def checks_of_requirement(self, framework: Framework, requirement_id: str) -> list[Check]:
        """Return the checks that decide the requirement of an id, by id."""
        wanted = next(r for r in framework.requirements if r.id == requirement_id)
        return self.checks_of(framework, wanted)

    def framework(self, name: str) -> Framework:
        """Return a framework by id. Raises UsageError with the nearest name."""
        if name not in self.frameworks:
            near = difflib.get_close_matches(name, self.frameworks, 1, 0.4)
            hint = f"Did you mean {near[0]}?" if near else ""
            raise UsageError(
                f"there is no framework {name!r}",
                where="frameworks",
                mend=hint or f"There are: {', '.join(self.frameworks)}.",
            )
        return self.frameworks[name]

    def where(self, kind: str, name: str, *field: str) -> str:
        """Return `file:line: field` of a thing, for an error message."""
        file = self.files[kind, name]
        label = f": {'.'.join(field)}" if field else ""
        return f"{file}:{line_of(file, field)}{label}"


def load_catalogue(folders: Iterable[Path] = ()) -> Catalogue:
    """Load the built-in catalogue and what `folders` add to it. Raises DataError.

    References between the files are checked here; expressions by `controls.gate`.
    """
    folders = catalogue_folders(folders)
    loaded: dict[str, dict[str, Any]] = {kind: {} for kind in _KINDS}
    files: dict[tuple[str, str], Path] = {}
    for folder in folders:
        for kind, model in _KINDS.items():
            for file in sorted((folder / kind).rglob("*.yaml")):
                item: Any = load_model(file, model)
                _check_name(file, item.id)
                if (kind, item.id) in files and files[kind, item.id].is_relative_to(folder):
                    raise DataError(
                        f"the id {item.id!r} is there twice",
                        where=f"{file} and {files[kind, item.id]}",
                        mend="Give one of them another name.",
                    )
                loaded[kind][item.id] = item
                files[kind, item.id] = file
    _add_profiles(folders, loaded["frameworks"], files)
    catalogue = Catalogue(
        _sorted(loaded["checks"]),
        _sorted(loaded["facts"]),
        _sorted(loaded["library"]),
        _sorted(loaded["frameworks"]),
        files,
    )
    _check_references(catalogue)
    return catalogue


def _add_profiles(
    folders: Iterable[Path],
    frameworks: dict[str, Framework],
    files: dict[tuple[str, str], Path],
) -> None:
    """Resolve the profiles of `folders` into frameworks. Raises DataError."""
    for folder in folders:
        for file in sorted((folder / "profiles").rglob("*.yaml")):
            profile = load_model(file, OwnProfile)
            _check_name(file, profile.id)
            try:
                frameworks[profile.id] = resolve(profile, frameworks)
            except UsageError as error:
                raise DataError(
                    error.what, where=f"{file}: {error.where}", mend=error.mend
                ) from error
            files["frameworks", profile.id] = file


def catalogue_folders(folders: Iterable[Path] = ()) -> tuple[Path, ...]:
    """Return the built-in folder, those of installed packages, and `folders`: later ones win."""
    from importlib.metadata import entry_points

    installed = (Path(entry.load()()) for entry in entry_points(group="auditpack.catalogue"))
    return (BUILT_IN, *installed, *folders)


def _sorted(items: dict[str, Any]) -> dict[str, Any]:
    return dict(sorted(items.items()))


def _dumped(items: dict[str, Item]) -> dict[str, Any]:
    dumped = {name: item.model_dump(mode="json", by_alias=True) for name, item in items.items()}
    sealable: dict[str, Any] = _without_floats(dumped)
    return sealable


def _without_floats(value: Any) -> Any:
    """Return `value` with its floats, which examples may have, as text: others round them."""
    if isinstance(value, dict):
        return {key: _without_floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_floats(item) for item in value]
    return repr(value) if isinstance(value, float) else value


def _check_name(file: Path, name: str) -> None:
    if file.stem.replace("-", "_") != name.replace("-", "_"):
        raise DataError(
            f"the file is called {file.stem!r} and its id is {name!r}",
            where=f"{file}:{line_of(file, ['id'])}: id",
            mend="Give both the same name.",
        )


def _check_references(catalogue: Catalogue) -> None:
    for check in catalogue.checks.values():
        _require(catalogue, "checks", check.id, ("control",), check.control, catalogue.controls)
    for framework in catalogue.frameworks.values():
        for index, requirement in enumerate(framework.requirements):
            for control in requirement.controls:
                field = ("requirements", str(index), "controls")
                _require(catalogue, "frameworks", framework.id, field, control, catalogue.controls)


def _require(
    catalogue: Catalogue,
    kind: str,
    name: str,
    field: tuple[str, ...],
    wanted: str,
    known: dict[str, Any],
) -> None:
    if wanted in known:
        return
    near = difflib.get_close_matches(wanted, known, 1)
    raise DataError(
        f"there is no control {wanted!r}",
        where=catalogue.where(kind, name, *field),
        mend=f"Did you mean {near[0]!r}?" if near else "`auditpack list controls` names them all.",
    )
