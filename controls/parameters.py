"""Parameters of checks, set to a company's own values.

Checks pass the gate as they were written: their examples are about the values in their files. What
is set comes after, and is sealed with the assessment as what was judged by.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import replace

from controls.catalogue import Catalogue
from controls.models import Check, Framework
from evidence.errors import UsageError

Value = bool | int | str


def parameters_of(frameworks: Iterable[Framework]) -> dict[str, Value]:
    """Return what frameworks set. Raises UsageError where two set one parameter differently."""
    found: dict[str, Value] = {}
    for framework in frameworks:
        for name, value in framework.parameters.items():
            if found.setdefault(name, value) != value:
                raise UsageError(
                    f"two frameworks set {name} differently: {found[name]} and {value}",
                    where=framework.id,
                    mend="Judge them in two assessments, or agree on one value.",
                )
    return found


def with_parameters(catalogue: Catalogue, parameters: Mapping[str, Value]) -> Catalogue:
    """Return the catalogue with parameters set, named `check.parameter`.

    Raises UsageError for one that does not exist, or a value of another kind.
    """
    checks = dict(catalogue.checks)
    for name, value in parameters.items():
        check, parameter = _find(checks, name)
        _check_kind(name, check.parameters[parameter].default, value)
        changed = check.parameters[parameter].model_copy(update={"default": value})
        known = {**check.parameters, parameter: changed}
        checks[check.id] = check.model_copy(update={"parameters": known})
    return replace(catalogue, checks=checks)


def _find(checks: Mapping[str, Check], name: str) -> tuple[Check, str]:
    check, _, parameter = name.rpartition(".")
    if check in checks and parameter in checks[check].parameters:
        return checks[check], parameter
    known = [f"{c.id}.{item}" for c in checks.values() for item in c.parameters]
    near = difflib.get_close_matches(name, known, 3)
    raise UsageError(
        f"there is no parameter {name!r}",
        where="parameters",
        mend=f"Did you mean {' or '.join(near)}?" if near else "Write it as check.parameter.",
    )


def _check_kind(name: str, default: Value, value: Value) -> None:
    if type(default) is not type(value):
        kinds = {bool: "true or false", int: "a whole number", str: "text"}
        raise UsageError(
            f"{name} is {kinds[type(default)]}, not {value!r}",
            where="parameters",
            mend=f"Its value in the check is {default!r}.",
        )
