"""Handlers: the few listings that YAML cannot say, one module each, found by their module's name.

A handler is a function `collect(caller, region) -> Handled` in a module of this package; a resource
type names it with `handler:` and declares what it calls with `operations:`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

from collectors.answers import Handled, Handler
from collectors.aws.caller import Caller
from evidence.errors import DataError


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


def handler_of(name: str | None, caller: Caller) -> Handler | None:
    """Return the handler `name` with its caller; None where a type lists by calls."""
    if name is None:
        return None
    found = handler_named(name)
    return lambda region: found(caller, region)
