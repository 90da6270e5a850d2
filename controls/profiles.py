"""Profiles: a company's own selection of requirements, resolved into a framework like any other.

As OSCAL's profiles do, one imports frameworks (or published profiles of them), includes and
excludes requirements by id, and sets parameters of checks.

Source: pages.nist.gov/OSCAL, "Profile Layer".
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping, Sequence

from pydantic import Field

from controls.models import Framework, Group, Requirement, Strict
from evidence.errors import UsageError


class Import(Strict):
    """Requirements of one framework: those of `profile`, that `include` and not `exclude` name.

    Both take ids with `*` for any text.
    """

    framework: str
    profile: str = ""
    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()


class OwnProfile(Strict):
    """A file of `profiles/`. `parameters` sets `check.parameter` to a value of one's own."""

    id: str
    title: str
    version: str = "1"
    about: str
    imports: tuple[Import, ...] = Field(min_length=1)
    parameters: dict[str, bool | int | str] = Field(default_factory=dict)


def resolve(profile: OwnProfile, frameworks: Mapping[str, Framework]) -> Framework:
    """Return the framework that a profile stands for.

    Ids stay the publisher's; where several frameworks are imported they begin with the framework's.
    Raises UsageError for an import of what does not exist, or that selects nothing.
    """
    groups: list[Group] = []
    requirements: list[Requirement] = []
    prefixed = len(profile.imports) > 1
    for item in profile.imports:
        framework = _known(item.framework, frameworks)
        prefix = f"{framework.id}:" if prefixed else ""
        chosen = [_renamed(r, framework, prefix) for r in _selected(item, framework)]
        requirements.extend(chosen)
        used = {requirement.group for requirement in chosen}
        groups.extend(
            group.model_copy(update={"id": f"{prefix}{group.id}"})
            for group in framework.groups
            if f"{prefix}{group.id}" in used
        )
    return Framework(
        id=profile.id,
        title=profile.title,
        version=profile.version,
        publisher="the company itself",
        source="profiles",
        about=profile.about,
        scope="; ".join(_told(item) for item in profile.imports),
        groups=tuple(groups),
        requirements=tuple(requirements),
        parameters=profile.parameters,
    )


def requirements_in(framework: Framework, profile: str = "") -> list[Requirement]:
    """Return the requirements of a profile, or of several (`security+privacy`); of none, all.

    What is in no profile is in every one. Raises UsageError where the framework has no such.
    """
    wanted = set(profile.split("+")) if profile else set()
    known = [item.id for item in framework.profiles]
    for name in sorted(wanted.difference(known)):
        raise UsageError(
            f"{framework.id} has no profile {name!r}",
            where="profile",
            mend=f"There are: {', '.join(known)}." if known else "It has none: leave it out.",
        )
    return [
        item
        for item in framework.requirements
        if not wanted or not item.profiles or wanted.intersection(item.profiles)
    ]


def _known(name: str, frameworks: Mapping[str, Framework]) -> Framework:
    if name not in frameworks:
        raise UsageError(
            f"there is no framework {name!r}",
            where="imports",
            mend=f"There are: {', '.join(sorted(frameworks))}.",
        )
    return frameworks[name]


def _selected(item: Import, framework: Framework) -> list[Requirement]:
    found = [
        requirement
        for requirement in requirements_in(framework, item.profile)
        if _matches(requirement.id, item.include) and not _matches(requirement.id, item.exclude)
    ]
    for pattern in (*item.include, *item.exclude):
        if not any(fnmatch.fnmatchcase(r.id, _literal(pattern)) for r in framework.requirements):
            raise UsageError(
                f"no requirement of {framework.id} is called {pattern!r}",
                where="imports",
                mend=f"`auditpack explain {framework.id}` lists them all.",
            )
    return found


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, _literal(pattern)) for pattern in patterns)


def _literal(pattern: str) -> str:
    """Only `*` is special: ids have brackets."""
    return pattern.replace("[", "[[]").replace("?", "[?]")


def _renamed(requirement: Requirement, framework: Framework, prefix: str) -> Requirement:
    benchmark = framework.benchmark
    decided = f"{benchmark}:{requirement.id}" if benchmark else requirement.equivalent
    changes = {
        "id": f"{prefix}{requirement.id}",
        "group": f"{prefix}{requirement.group}",
        "profiles": (),
        "equivalent": decided,
    }
    return requirement.model_copy(update=changes)


def _told(item: Import) -> str:
    parts: Iterator[str] = iter(
        (
            f"of {item.framework}" + (f" ({item.profile})" if item.profile else ""),
            "all" if item.include == ("*",) else ", ".join(item.include),
            f"without {', '.join(item.exclude)}" if item.exclude else "",
        )
    )
    return " ".join(part for part in parts if part)
