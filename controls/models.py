"""The models of what people write: checks, facts, common controls, frameworks.

Each is one YAML file. `auditpack lint` reports what is wrong with file, line and field;
`docs/schemas/` holds the JSON Schema of each for completion in an editor.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

_CHECK_ID = re.compile(r"^[a-z][a-z0-9_]*$")
_KEBAB_ID = re.compile(r"^[a-z][a-z0-9-]*$")


class Strict(BaseModel):
    """A model that refuses keys it does not know, and cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Severity(StrEnum):
    """How much a failing check matters, most first."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFORMATIONAL = "informational"


class Status(StrEnum):
    """The status of a finding (check x resource)."""

    PASS = "pass"
    FAIL = "fail"
    NOT_EVIDENCED = "not_evidenced"
    NOT_APPLICABLE = "not_applicable"
    EXCEPTED = "excepted"


class Parameter(Strict):
    """A number or word of a check that a company may set; used in expressions as `param.NAME`."""

    default: bool | int | str
    about: str


class Example(BaseModel):
    """A row and the status that it must get.

    Facets that are named are observed: their fields default to the schema's absent values. Facets
    that are not named were not observed. `fact`, `name`, `id`, `region` and `tags` may be given.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    expect: Status
    about: str = ""

    @property
    def row(self) -> dict[str, Any]:
        """The facets and columns that the example gives."""
        return dict(self.model_extra or {})


class Check(Strict):
    """A rule on one resource type: two boolean expressions over the row's facets and facts."""

    id: str
    title: str
    control: str
    resource: str
    severity: Severity
    applies: str = "true"
    pass_: str = Field(alias="pass")
    reason: str
    rationale: str = ""
    remediation: str
    parameters: dict[str, Parameter] = Field(default_factory=dict)
    examples: tuple[Example, ...]
    references: tuple[str, ...] = ()
    equivalents: dict[str, str | tuple[str, ...]] = Field(default_factory=dict)

    @field_validator("id")
    @classmethod
    def _id_form(cls, value: str) -> str:
        if not _CHECK_ID.match(value):
            raise ValueError("an id has lower-case letters, digits and _")
        return value

    @field_validator("applies", mode="before")
    @classmethod
    def _yaml_true(cls, value: Any) -> Any:
        return str(value).lower() if isinstance(value, bool) else value

    def equivalent_ids(self, source: str) -> tuple[str, ...]:
        """Return the ids of the same rule at `source` (prowler, security_hub, a benchmark)."""
        found = self.equivalents.get(source, ())
        return (found,) if isinstance(found, str) else found


class FactColumn(Strict):
    """One value that a fact yields.

    `kind` says what a gap in the tables read does to it: `any` keeps TRUE (one was seen), `all`
    keeps FALSE (one that is not was seen), `value` becomes NULL. `none` is the value where the
    tables were read and hold nothing for the subject.
    """

    type: Literal["text", "boolean", "integer", "number", "timestamp", "texts"]
    kind: Literal["any", "all", "value"] = "value"
    none: Any = None
    about: str

    @model_validator(mode="after")
    def _kind_fits(self) -> FactColumn:
        if self.kind != "value" and self.type != "boolean":
            raise ValueError("only a boolean can be of kind any or all")
        return self


class FactExample(Strict):
    """Rows of the tables that a fact reads, and the values that the subject must get.

    `unread` names tables that were not observed in the subject's account.
    """

    about: str = ""
    subject: dict[str, Any] = Field(default_factory=dict)
    tables: dict[str, tuple[dict[str, Any], ...]] = Field(default_factory=dict)
    unread: tuple[str, ...] = ()
    expect: dict[str, Any]


class Fact(Strict):
    """Joins and set-wise logic: SQL that yields values for each row of one resource type.

    The SQL returns the key (`account`; `account, region`; or `id`) and the declared columns.
    """

    id: str
    about: str
    subject: str = Field(alias="for")
    by: Literal["account", "region", "id"]
    reads: tuple[str, ...]
    columns: dict[str, FactColumn]
    sql: str
    examples: tuple[FactExample, ...]


class ManualEvidence(Strict):
    """What a person must bring, where no cloud can answer."""

    type: str
    about: str


class Control(Strict):
    """A common control: one statement that checks in every cloud and people's evidence support."""

    id: str
    title: str
    domain: str
    objective: str
    testing: str
    frequency: Literal[
        "continuous", "daily", "weekly", "monthly", "quarterly", "annually", "on-change"
    ]
    owner: str
    manual_evidence: tuple[ManualEvidence, ...] = ()

    @field_validator("id")
    @classmethod
    def _id_form(cls, value: str) -> str:
        if not _KEBAB_ID.match(value):
            raise ValueError("a control's id has lower-case letters, digits and -")
        return value


class Group(Strict):
    """A heading of a framework."""

    id: str
    title: str


class Profile(Strict):
    """A part of a framework that one may be held to alone: a baseline, a level, a category."""

    id: str
    title: str


class Requirement(Strict):
    """An item of a framework, and the common controls that meet it.

    `profiles` are those of the framework that it is in; none means all. `equivalent` names a
    benchmark's item (`cis_gcp_5.0:2.1`) whose checks decide it, instead of its controls'.
    """

    id: str
    title: str
    group: str
    controls: tuple[str, ...] = ()
    manual_evidence: tuple[ManualEvidence, ...] = ()
    level: int | None = None
    profiles: tuple[str, ...] = ()
    automated: bool | None = None
    equivalent: str = ""
    note: str = ""

    @model_validator(mode="after")
    def _is_met_somehow(self) -> Requirement:
        if not self.controls and not self.manual_evidence:
            raise ValueError(f"{self.id} names neither a control nor evidence that people bring")
        return self


class Framework(Strict):
    """What a company is held to. Wording is ours; ids are the publisher's.

    `scope` says what of the publisher's text is listed here, and what is not. One that is there
    `by_default` is judged where nobody names frameworks. `parameters` are set (`check.parameter`)
    where it is judged. With `benchmark`, a requirement is decided
    by the checks whose `equivalents` name it under that key; without, by every check of its
    controls.
    """

    id: str
    title: str
    version: str
    publisher: str
    source: str
    about: str
    scope: str = ""
    by_default: bool = False
    parameters: dict[str, bool | int | str] = Field(default_factory=dict)
    benchmark: str | None = None
    profiles: tuple[Profile, ...] = ()
    groups: tuple[Group, ...]
    requirements: tuple[Requirement, ...]

    def titled(self, profile: str = "") -> str:
        """Return the title, with those of the profiles (`a+b`) that it is narrowed to."""
        wanted = profile.split("+")
        names = [item.title for item in self.profiles if item.id in wanted]
        return ": ".join([self.title, *([", ".join(names)] if names else [])])

    @model_validator(mode="after")
    def _is_consistent(self) -> Framework:
        groups = {group.id for group in self.groups}
        profiles = {profile.id for profile in self.profiles}
        seen: set[str] = set()
        for requirement in self.requirements:
            if requirement.group not in groups:
                raise ValueError(f"{requirement.id} is in group {requirement.group!r}: not a group")
            for name in sorted(set(requirement.profiles) - profiles):
                raise ValueError(f"{requirement.id} is in profile {name!r}: not a profile")
            if requirement.id in seen:
                raise ValueError(f"{requirement.id} is there twice")
            seen.add(requirement.id)
        return self
