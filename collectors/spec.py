"""What collecting needs to know of a resource type, whichever provider's file it comes from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from collectors.fields import FacetSpec, TagsSpec
from evidence.schema import TableSchema

_STEP_REFERENCE = re.compile(r"\bsteps\.([a-z][a-z0-9_]*)")


def steps_named_in(texts: Iterable[str]) -> set[str]:
    """Return the names of the steps whose answers expressions or templates use."""
    return {name for text in texts for name in _STEP_REFERENCE.findall(text)}


def check_steps_in_order(steps: Iterable[StepSpec]) -> None:
    """Check that each step has a name of its own and uses earlier ones only. Raises ValueError."""
    done: set[str] = set()
    for step in steps:
        missing = sorted(step.needs() - done)
        if missing:
            raise ValueError(f"step {step.name!r} uses {missing[0]!r}: no earlier step")
        if step.name in done:
            raise ValueError(f"two steps are called {step.name!r}: give one another `into`")
        done.add(step.name)


class CallSpec(Protocol):
    """One call: what it is called in captures, where it goes, and what it takes."""

    @property
    def operation(self) -> str:
        """The operation's name, as captures show it."""

    @property
    def service(self) -> str | None:
        """The service that is asked, where it is not the type's own."""

    def parameters(self, scope: dict[str, Any]) -> dict[str, Any]:
        """Return the parameters, filled from what expressions see."""


class ListSpec(CallSpec, Protocol):
    """A call that lists. `items` is JMESPath; `then` lists again for each item or group."""

    @property
    def items(self) -> str:
        """Where the items are in each page."""

    @property
    def then(self) -> ListSpec | None:
        """The call that lists again."""

    @property
    def batch(self) -> int | None:
        """How many items `then` takes at a time."""


class StepSpec(CallSpec, Protocol):
    """A call that enriches one resource."""

    @property
    def name(self) -> str:
        """What facets call it."""

    @property
    def pick(self) -> str | None:
        """JMESPath to the part of the answer that counts."""

    @property
    def when(self) -> str | None:
        """Whether it is asked at all."""

    @property
    def each(self) -> str | None:
        """What it is asked once for."""

    @property
    def region(self) -> str | None:
        """Where to ask, where that is not the unit's region."""

    def needs(self) -> set[str]:
        """Return the names of the steps whose answers this one uses."""


class ResourceTypeSpec(Protocol):
    """A resource type."""

    @property
    def service(self) -> str:
        """The service that is asked."""

    @property
    def listing(self) -> ListSpec | None:
        """The call that lists, if there is one."""

    @property
    def handler(self) -> str | None:
        """The handler that lists instead."""

    @property
    def id(self) -> str:
        """The template of the id."""

    @property
    def name(self) -> str | None:
        """JMESPath to the name."""

    @property
    def region(self) -> str | None:
        """JMESPath to the region of a resource."""

    @property
    def enrich(self) -> Sequence[StepSpec]:
        """The calls that enrich."""

    @property
    def tags(self) -> TagsSpec | None:
        """Where the tags are."""

    @property
    def essential_member(self) -> str | None:
        """The member of an answer that its provider keeps a resource's own state in, if any.

        An answer without it tells nothing of that state: nothing may be taken for absent.
        """

    @property
    def facets(self) -> Mapping[str, FacetSpec]:
        """The facets by name."""

    def table_schema(self) -> TableSchema:
        """Return the columns of its table."""
