"""What stands behind every framework: how many requirements checks decide, and what people bring.

Also the comparison with a peer's mapping of its own checks: where the peer maps a check to a
requirement and we do not, or the other way round, somebody has to look.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from controls.catalogue import Catalogue
from controls.models import Framework, Requirement
from controls.openings import evidence_of

PEER = "prowler"
"""Under which key of `equivalents` checks name the peer's."""


@dataclass(frozen=True)
class EvidenceCounts:
    """How many requirements of a framework have which evidence.

    `requirements` is the sum of `automated` (by checks, people may add to it), `manual` (people's
    evidence only) and `none`.
    """

    framework: str
    title: str
    version: str
    requirements: int
    automated: int
    manual: int
    none: int
    checks: int


def evidence_counts(catalogue: Catalogue, framework: Framework) -> EvidenceCounts:
    """Return the counts of a framework."""
    automated = manual = 0
    checks: set[str] = set()
    for requirement in framework.requirements:
        decided = catalogue.checks_of(framework, requirement)
        checks |= {check.id for check in decided}
        if decided:
            automated += 1
        elif asks_people(catalogue, framework, requirement):
            manual += 1
    number = len(framework.requirements)
    return EvidenceCounts(
        framework.id,
        framework.title,
        framework.version,
        number,
        automated,
        manual,
        number - automated - manual,
        len(checks),
    )


def asks_people(catalogue: Catalogue, framework: Framework, requirement: Requirement) -> bool:
    """Whether a requirement rests on evidence that people bring."""
    return bool(evidence_of(framework, requirement, catalogue.controls))


@dataclass(frozen=True)
class Difference:
    """A requirement that we and the peer map to different checks.

    Only checks that both have are compared, by our ids: `theirs` the peer maps and we do not,
    `ours` we map and the peer does not.
    """

    requirement: str
    theirs: tuple[str, ...]
    ours: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """A framework beside the peer's mapping of it.

    `pairs` counts requirement-check pairs: the same, only the peer's, only ours. `unknown` are the
    peer's ids that name no requirement of ours.
    """

    framework: str
    peer_requirements: int
    same: int
    only_theirs: int
    only_ours: int
    unknown: tuple[str, ...]
    differences: tuple[Difference, ...]


def compare(
    catalogue: Catalogue, framework: Framework, peer: Mapping[str, Sequence[str]]
) -> Comparison:
    """Return how `peer` (its requirement ids with `provider:check`) differs from our mapping.

    Requirements of the peer are ours whose id has the same parts; where the peer's id is finer, the
    nearest one above it, and where it is coarser, all those below it together.
    """
    known = {parts_of(item.id): item for item in framework.requirements}
    mapped: dict[str, set[str]] = {}
    units: dict[str, list[Requirement]] = {}
    unknown: list[str] = []
    for name, checks in peer.items():
        found = _counterparts(parts_of(name), known)
        if not found:
            unknown.append(name)
            continue
        unit = found[0].id if len(found) == 1 else name
        units[unit] = found
        mapped.setdefault(unit, set()).update(_our_ids(catalogue, checks))
    differences, same, theirs, ours = [], 0, 0, 0
    for unit, requirements in units.items():
        here = {
            check.id
            for requirement in requirements
            for check in catalogue.checks_of(framework, requirement)
            if check.equivalent_ids(PEER)
        }
        there = mapped[unit]
        same += len(here & there)
        theirs += len(there - here)
        ours += len(here - there)
        if here != there:
            lists = (tuple(sorted(there - here)), tuple(sorted(here - there)))
            differences.append(Difference(unit, *lists))
    return Comparison(
        framework.id, len(peer), same, theirs, ours, tuple(unknown), tuple(differences)
    )


def parts_of(name: str) -> tuple[str, ...]:
    """Return the letters and numbers that an id is made of: `A.5.1` and `a_5_1` have the same."""
    plain = re.sub(r"^(dora|nis2|ksi)[-_ ]", "", name.casefold())
    plain = re.sub(r"^cc_(?=[a-z])|\bart(?:icle)?[-_ ]?(?=\d)", "", plain)
    return tuple(re.findall(r"[a-z]+|\d+", plain))


def _counterparts(
    parts: tuple[str, ...], known: Mapping[tuple[str, ...], Requirement]
) -> list[Requirement]:
    """Return the requirement of the same parts or the nearest above, else all that are below."""
    if parts in known:
        return [known[parts]]
    below = [item for name, item in known.items() if name[: len(parts)] == parts]
    if below:
        return below
    for length in range(len(parts) - 1, 0, -1):
        if parts[:length] in known:
            return [known[parts[:length]]]
    return []


def _our_ids(catalogue: Catalogue, checks: Iterable[str]) -> set[str]:
    """Return our checks with the rule of the peer's, `provider:check`."""
    found: set[str] = set()
    for item in checks:
        provider, _, name = item.partition(":")
        for check in catalogue.checks_equivalent_to(PEER, name):
            if _provider_of(check.resource) == provider:
                found.add(check.id)
    return found


def _provider_of(resource: str) -> str:
    prefix = resource.split("_", maxsplit=1)[0]
    return "azure" if prefix == "entra" else prefix
