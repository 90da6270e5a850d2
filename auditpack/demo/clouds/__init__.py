"""The clouds of the demo: one module each, with a `NAME` and a context manager `running`.

A cloud is a server on a loopback port that stands in for the real one, filled with the company's
things. `running` yields how auditpack is pointed at it; from there on nothing is special.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class RunningCloud:
    """A cloud that answers.

    `variables` point the SDKs at it and `unset` are those that would lead elsewhere; `section` is
    what auditpack.yaml says of it, below the name of its provider.
    """

    provider: str
    variables: Mapping[str, str]
    section: Mapping[str, Any]
    said: str
    unset: tuple[str, ...] = ()


@dataclass(frozen=True)
class DemoCloud:
    """A cloud of the demo that can be started."""

    name: str
    running: Callable[[], AbstractContextManager[RunningCloud]]


def demo_clouds() -> list[DemoCloud]:
    """Return the clouds that there are, derived from this folder, by the names of their modules."""
    found = []
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda item: item.name):
        loaded = importlib.import_module(f"{__name__}.{module.name}")
        found.append(DemoCloud(loaded.NAME, loaded.running))
    return found
