"""What a company is held to: frameworks, profiles of them, and what of them does not apply to it.

That a requirement does not apply is the company's own word. It is sealed with its reason, shown
with it, and counts nowhere; a requirement without such a word is never left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from controls.catalogue import Catalogue
from controls.models import Framework
from controls.profiles import requirements_in
from evidence.errors import UsageError


@dataclass(frozen=True)
class Scoping:
    """A framework as the company is held to it.

    `framework` has the requirements of `profile` only (empty: all). `not_applicable` says of some
    of them, by id, why they do not apply.
    """

    framework: Framework
    profile: str
    not_applicable: Mapping[str, str]


def scope_frameworks(
    catalogue: Catalogue, names: Sequence[str], not_applicable: Mapping[str, str]
) -> list[Scoping]:
    """Return what the names stand for: `soc2`, or `nist_800_53:moderate` for a profile,
    `soc2:security+privacy` for several.

    `not_applicable` maps `framework:requirement` to a reason. Raises UsageError for what does not
    exist, for a framework that is named twice, and for a reason that says nothing.
    """
    found: dict[str, Scoping] = {}
    for text in names:
        name, _, profile = text.partition(":")
        framework = catalogue.framework(name)
        if framework.id in found:
            raise UsageError(
                f"{framework.id} is named twice",
                where="frameworks",
                mend="Name it once, with the widest of the profiles.",
            )
        wanted = tuple(requirements_in(framework, profile))
        narrowed = framework.model_copy(update={"requirements": wanted})
        reasons = _reasons(framework, not_applicable)
        found[framework.id] = Scoping(narrowed, profile, reasons)
    _check_names(catalogue, not_applicable)
    return list(found.values())


def _reasons(framework: Framework, not_applicable: Mapping[str, str]) -> dict[str, str]:
    start = f"{framework.id}:"
    return {
        name.removeprefix(start): reason.strip()
        for name, reason in not_applicable.items()
        if name.startswith(start)
    }


def _check_names(catalogue: Catalogue, not_applicable: Mapping[str, str]) -> None:
    for name, reason in not_applicable.items():
        framework, _, requirement = name.partition(":")
        known = catalogue.framework(framework).requirements
        if requirement not in {item.id for item in known}:
            raise UsageError(
                f"{framework} has no requirement {requirement!r}",
                where=f"not_applicable.{name}",
                mend="Write it as framework:requirement, such as soc2:CC6.4.",
            )
        if not reason.strip():
            raise UsageError(
                "it is not said why the requirement does not apply",
                where=f"not_applicable.{name}",
                mend="Give the reason: an auditor will ask for it.",
            )
