"""The demo's scenario: a typed, frozen model of `estate.yaml`, and its loader."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, ValidationError, field_validator

from auditpack.demo.errors import DemoError
from auditpack.demo.model.base import Model
from auditpack.demo.model.compute import (
    Certificate,
    Function,
    Instance,
    LoadBalancer,
    Repository,
    Snapshot,
    Volume,
)
from auditpack.demo.model.identity import Identity
from auditpack.demo.model.network import Vpc
from auditpack.demo.model.storage import (
    Bucket,
    Database,
    DatabaseSnapshot,
    FileSystem,
    Key,
    Secret,
    Table,
)
from auditpack.demo.model.watch import (
    Alarm,
    Detector,
    Hub,
    LogGroup,
    Queue,
    Recorder,
    Topic,
    Trail,
)


class Team(Model):
    """Who owns things: becomes the tags Owner (its mailbox) and CostCentre."""

    contact: str
    cost_centre: str


class Region(Model):
    """What an account has in one region, by service."""

    kms: tuple[Key, ...] = ()
    s3: tuple[Bucket, ...] = ()
    sns: tuple[Topic, ...] = ()
    sqs: tuple[Queue, ...] = ()
    logs: tuple[LogGroup, ...] = ()
    vpcs: tuple[Vpc, ...] = ()
    instances: tuple[Instance, ...] = ()
    volumes: tuple[Volume, ...] = ()
    snapshots: tuple[Snapshot, ...] = ()
    encrypt_new_volumes: bool = False
    rds: tuple[Database, ...] = ()
    rds_snapshots: tuple[DatabaseSnapshot, ...] = ()
    dynamodb: tuple[Table, ...] = ()
    efs: tuple[FileSystem, ...] = ()
    functions: tuple[Function, ...] = ()
    secrets: tuple[Secret, ...] = ()
    ecr: tuple[Repository, ...] = ()
    acm: tuple[Certificate, ...] = ()
    load_balancers: tuple[LoadBalancer, ...] = ()
    cloudtrail: tuple[Trail, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    config: Recorder | None = None
    guardduty: Detector | None = None
    security_hub: Hub | None = None


class Account(Model):
    """One AWS account of the company."""

    id: Annotated[str, Field(pattern=r"^\d{12}$")]
    name: str
    environment: str
    alias: str
    collector_role: str = "auditpack-collector"
    block_public_s3: bool = False
    iam: Identity
    regions: dict[str, Region]


class Estate(Model):
    """The company: its teams, and its accounts, the first of which is where auditpack starts."""

    company: str
    about: str = ""
    teams: dict[str, Team]
    events: dict[str, str] = Field(default_factory=dict)
    """Events worth an alarm, each with the pattern that finds it in CloudTrail's log."""
    accounts: tuple[Account, ...]

    @field_validator("accounts")
    @classmethod
    def _some(cls, accounts: tuple[Account, ...]) -> tuple[Account, ...]:
        if not accounts:
            raise ValueError("an estate needs at least one account")
        return accounts

    @property
    def regions(self) -> tuple[str, ...]:
        """All regions in which the company has something."""
        return tuple(sorted({region for account in self.accounts for region in account.regions}))

    def account(self, name: str) -> Account:
        """The account of this name or number."""
        for account in self.accounts:
            if name in (account.name, account.id):
                return account
        raise DemoError(
            f"the estate has no account {name!r}",
            mend="it has " + ", ".join(account.name for account in self.accounts),
        )


def load_estate(path: Path | None = None) -> Estate:
    """Read a scenario: the built-in one, or another file in the same words."""
    source = path if path is not None else files("auditpack.demo") / "estate.yaml"
    try:
        text = source.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DemoError(f"cannot read the estate: {error}", where=str(source)) from error
    return parse_estate(text, name=path.name if path else "estate.yaml")


def parse_estate(text: str, *, name: str = "estate.yaml") -> Estate:
    """Understand a scenario's text; every mistake is reported with its line."""
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise DemoError(f"not YAML: {error}", where=name) from error
    try:
        return Estate.model_validate(raw)
    except ValidationError as error:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        found = [
            f"{name}:{line_of(node, item['loc'])}: "
            f"{'.'.join(str(step) for step in item['loc']) or 'estate'}: {item['msg']}"
            for item in error.errors()
        ]
        raise DemoError(
            f"the estate has {len(found)} mistake(s)",
            where="\n         ".join(found),
            mend="the words that each section knows are in auditpack/demo/model/",
        ) from error


def line_of(node: yaml.Node | None, path: Sequence[int | str]) -> int:
    """The line on which a value of a YAML document stands, or the last one on the way to it."""
    line = 1
    for step in (*path, None):
        if node is None:
            return line
        line = node.start_mark.line + 1
        node = child_of(node, step)
    return line


def child_of(node: yaml.Node, step: int | str | None) -> yaml.Node | None:
    """What a YAML node has under a key or an index, if anything."""
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int):
        return node.value[step] if step < len(node.value) else None
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == str(step)), None)
    return None
