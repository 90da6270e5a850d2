"""The company's Google Cloud: what stands in `estate/` and `bodies/`, as assets with their past.

An entry of the estate says what is different about a resource; the rest is what `bodies/` calls
usual for its type. An asset has one version or several, each for a span of time, so that an earlier
`read_time` shows the earlier state.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from typing import Any

from pydantic import Field

from auditpack.demo.model.base import DataClass, Days, Model

Body = dict[str, Any]
Grants = dict[str, list[str]]


class Kind(Model):
    """What is usual for an asset type.

    `name` is its full resource name with words in it, `location` where it usually is, `parent` the
    full name of what it belongs to (else its project, folder or organisation), `labels` the path to
    its labels. `version`, `discovery` and `resource` are what Cloud Asset Inventory says of the API
    that describes it; without `resource` it is the type's own name.
    """

    name: str
    location: str = "global"
    version: str = "v1"
    discovery: str = ""
    resource: str = ""
    parent: str = ""
    labels: str = ""
    body: Body = Field(default_factory=dict)
    about: str = ""


class State(Model):
    """What an asset says: its data, its IAM policy, its organisation policies of the first API.

    `grants` is an IAM policy in short: each role and who has it.
    """

    data: Body = Field(default_factory=dict)
    policy: Body | None = None
    grants: Grants = Field(default_factory=dict)
    org_policies: list[Body] | None = None

    @property
    def has_policy(self) -> bool:
        """Whether an IAM policy is set."""
        return self.policy is not None or bool(self.grants)


class Past(State):
    """How an asset was until so many days ago, a negative number; the rest is as now."""

    until: float = Field(lt=0)


class Entry(State):
    """A resource of the estate.

    `from` and `until` are days counted from now (negative numbers): before and after, the resource
    does not exist. `class` is how sensitive its data are and becomes a label, as `owner` does.
    """

    name: str
    location: str = ""
    owner: str = ""
    data_class: DataClass | None = Field(default=None, alias="class")
    age: Days = 200
    note: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    access: list[Body] = Field(default_factory=list)
    since: float | None = Field(default=None, alias="from", lt=0)
    until: float | None = Field(default=None, lt=0)
    history: list[Past] = Field(default_factory=list)


class Organization(Model):
    """The organisation and the directory it belongs to."""

    id: str
    domain: str
    customer: str
    access_policy: str


class Folder(Model):
    """A folder; `parent` is another folder's name, or empty for the organisation."""

    id: str
    parent: str = ""


class Project(Model):
    """A project: its id, its number, and the folder it is in, if any."""

    id: str
    number: str
    folder: str = ""
    location: str = "europe-west4"


class Company(Model):
    """How the company has arranged its Google Cloud, and who its people are."""

    organization: Organization
    folders: dict[str, Folder]
    projects: dict[str, Project]
    groups: Grants
    collector: str
    pool: str


@dataclass(frozen=True)
class Place:
    """A project, folder or organisation: where assets are. `ancestors` begins with itself."""

    key: str
    relative: str
    ancestors: tuple[str, ...]
    project: str = ""
    number: str = ""
    location: str = "global"

    @property
    def full_name(self) -> str:
        """The full resource name."""
        return f"//cloudresourcemanager.googleapis.com/{self.relative}"


@dataclass(frozen=True)
class Version:
    """How an asset is in a span of time. `messages` has an Asset for each content it has."""

    since: datetime.datetime
    until: datetime.datetime | None
    messages: dict[str, Any]
    data: Body = field(default_factory=dict)

    def covers(self, moment: datetime.datetime) -> bool:
        """Whether the asset was like this at a moment."""
        return self.since <= moment and (self.until is None or moment < self.until)


@dataclass(frozen=True)
class Record:
    """An asset with its past."""

    name: str
    type: str
    place: Place
    versions: tuple[Version, ...]
    labels: str = ""

    def at(self, moment: datetime.datetime) -> Version | None:
        """Return how it was at a moment, or None where it did not exist."""
        return next((version for version in self.versions if version.covers(moment)), None)


@dataclass(frozen=True)
class Bulk:
    """Many copies of an asset, made while they are listed; none is kept."""

    original: Record
    number: int


@dataclass
class GcpEstate:
    """The whole estate: records in the order of their names, and the asset types that exist."""

    company: Company
    places: dict[str, Place]
    records: list[Record]
    types: frozenset[str]
    bulks: list[Bulk] = field(default_factory=list)

    def find(self, name: str) -> Record:
        """Return the asset of a full resource name."""
        return next(record for record in self.records if record.name == name)

    def place(self, parent: str) -> Place | None:
        """Return what `projects/ID`, `projects/NUMBER`, `folders/N` or `organizations/N` names."""
        for place in self.places.values():
            if parent in (place.relative, f"projects/{place.project}" if place.project else ""):
                return place
        return None
