"""Handlers: the few listings that YAML cannot say, one module each, found by their module's name.

A handler is a function `collect(caller, region) -> Handled` in a module of this package; a resource
type names it with `handler:` and declares what it calls with `operations:`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from collectors.aws.caller import Answer, Caller
from evidence.errors import DataError


@dataclass(frozen=True)
class Handled:
    """What a handler found: the items, and every answer that they rest on.

    The last answer decides whether the listing was observed; there is at least one.
    """

    items: list[dict[str, Any]]
    answers: list[Answer]


def handler_named(name: str) -> Callable[[Caller, str], Handled]:
    """Return the handler of module `name`. Raises DataError when there is none."""
    try:
        module = importlib.import_module(f"collectors.aws.handlers.{name}")
    except ModuleNotFoundError as error:
        raise DataError(
            f"there is no handler {name!r}",
            where=f"collectors/aws/handlers/{name}.py",
            mend="Correct `handler:` in the resource type, or add the module.",
        ) from error
    found: Callable[[Caller, str], Handled] = module.collect
    return found
