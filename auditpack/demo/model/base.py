"""What all things of the estate have in common."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Days = Annotated[int, Field(ge=0, le=4000)]
"""An age in days, counted back from the moment of seeding."""

DataClass = Literal["public", "internal", "confidential", "restricted"]
"""How sensitive the data of a thing are; becomes its tag DataClass."""


class Model(BaseModel):
    """A frozen value that refuses words it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Thing(Model):
    """What every resource of the estate can say about itself.

    `note` is for the reader: why the thing is good or bad. `owner` is a team and becomes the tags
    Owner and CostCentre; without an owner a thing has no tags but its own `tags`, as things have
    that somebody made in passing. `age` is how many days ago it was made.
    """

    note: str = ""
    owner: str = ""
    data: DataClass | None = None
    tags: dict[str, str] = Field(default_factory=dict)
    age: Days = 200


class Named(Thing):
    """A thing with a name of its own."""

    name: Annotated[str, Field(min_length=1)]
