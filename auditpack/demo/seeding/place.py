"""Where the seeder works: the cloud, an account and region of it, and the clock of its calls."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from auditpack.demo.errors import DemoError
from auditpack.demo.estate import Account, Estate
from auditpack.demo.fakecloud import AGE_HEADER
from auditpack.demo.model.base import Thing

DAY = 86_400
HOME_REGION = "us-east-1"
"""Where services without regions are spoken to."""

ACCOUNT_DIGITS = 12

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Access:
    """How to get into an account: the role, and temporary credentials that have taken it."""

    account: str
    role_arn: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)


@dataclass(frozen=True)
class Made:
    """One thing that was made; `type` is its name in Terraform."""

    type: str
    account: str
    region: str
    name: str


class Cloud:
    """The demo's cloud: makes clients, and keeps the clock that their calls are dated by."""

    def __init__(self, endpoint_url: str) -> None:
        if urlsplit(endpoint_url).hostname not in LOOPBACK:
            raise DemoError(
                "the demo's estate is only ever seeded on this computer",
                where=endpoint_url,
                mend="use the endpoint of MotoServer, on 127.0.0.1",
            )
        self.endpoint_url = endpoint_url
        self.days_ago = 0.0
        self._session = isolated_session()

    def client(self, service: str, region: str, access: Access | None = None) -> Any:
        """A client of this cloud (and of no other: settings of the surroundings are ignored)."""
        client = self._session.create_client(
            service,
            region_name=region,
            endpoint_url=self.endpoint_url,
            aws_access_key_id=access.access_key_id if access else "nobody",
            aws_secret_access_key=access.secret_access_key if access else "nobody",
            aws_session_token=(access.session_token or None) if access else None,
            config=Config(
                proxies={},
                retries={"total_max_attempts": 1},
                use_fips_endpoint=False,
                use_dualstack_endpoint=False,
            ),
        )
        client.meta.events.register("before-sign.*", self._date)
        client.meta.events.register("before-send.s3-control.*", to_one_host)
        return client

    @contextmanager
    def at(self, days_ago: float) -> Iterator[None]:
        """Let the calls of this block happen so many days ago."""
        before, self.days_ago = self.days_ago, days_ago
        try:
            yield
        finally:
            self.days_ago = before

    def _date(self, request: Any, **_: Any) -> None:
        request.headers[AGE_HEADER] = str(int(self.days_ago * DAY))


class Place:
    """An account and a region of the cloud, with what has been made there so far."""

    def __init__(
        self, cloud: Cloud, estate: Estate, account: Account, region: str, access: Access
    ) -> None:
        self.cloud = cloud
        self.estate = estate
        self.account = account
        self.region = region
        self.access = access
        self.made: list[Made] = []
        self._clients: dict[str, Any] = {}
        self._ids: dict[tuple[str, str], str] = {}

    def client(self, service: str) -> Any:
        """The client of a service here."""
        if service not in self._clients:
            region = HOME_REGION if self.region == "global" else self.region
            self._clients[service] = self.cloud.client(service, region, self.access)
        return self._clients[service]

    @contextmanager
    def doing(self, kind: str, name: str, days_ago: float = 0) -> Iterator[None]:
        """Do something so many days ago; an error of the cloud says to which thing."""
        try:
            with self.cloud.at(days_ago):
                yield
        except (ClientError, BotoCoreError) as error:
            raise DemoError(
                f"the demo's cloud refused {kind} {name!r}: {error}",
                where=f"account {self.account.name}, region {self.region}",
                mend="mend its entry in the estate",
            ) from error

    @contextmanager
    def making(self, kind: str, name: str, thing: Thing) -> Iterator[dict[str, str]]:
        """Make one thing in this block, dated by its age, and count it; gives its tags."""
        with self.doing(kind, name, thing.age):
            yield self.tags(thing)
        self.count(kind, name)

    def count(self, kind: str, name: str) -> None:
        """Count a thing that came with another one."""
        self.made.append(Made(kind, self.account.id, self.region, name))

    def tags(self, thing: Thing) -> dict[str, str]:
        """The tags of a thing: its owner's, its own."""
        tags: dict[str, str] = {}
        if thing.owner:
            team = self.estate.teams.get(thing.owner)
            if team is None:
                raise self.unknown("team", thing.owner, self.estate.teams)
            tags = {
                "Owner": team.contact,
                "CostCentre": team.cost_centre,
                "Environment": self.account.environment,
            }
        if thing.data:
            tags["DataClass"] = thing.data
        return {**tags, **thing.tags}

    def remember(self, kind: str, name: str, identifier: str) -> None:
        """Keep the identifier that the cloud gave to a thing, for others to refer to."""
        self._ids[kind, name] = identifier

    def find(self, kind: str, name: str) -> str:
        """The identifier of a thing made before."""
        try:
            return self._ids[kind, name]
        except KeyError:
            known = [n for k, n in self._ids if k == kind]
            raise self.unknown(kind, name, known) from None

    def find_all(self, kind: str, names: tuple[str, ...]) -> list[str]:
        """The identifiers of several things made before."""
        return [self.find(kind, name) for name in names]

    def key(self, name: str) -> str:
        """The ARN of the KMS key of this name."""
        return self.find("key", name)

    def arn(self, service: str, resource: str) -> str:
        """The ARN of something here."""
        region = "" if service in ("iam", "s3") else self.region
        account = "" if service == "s3" else self.account.id
        return f"arn:aws:{service}:{region}:{account}:{resource}"

    def unknown(self, kind: str, name: str, known: Mapping[str, Any] | list[str]) -> DemoError:
        """The error of a reference to something that is not there, with the nearest name."""
        near = difflib.get_close_matches(name, list(known), n=1)
        return DemoError(
            f"the estate refers to {kind} {name!r}, which does not exist",
            where=f"account {self.account.name}, region {self.region}",
            mend=f"did you mean {near[0]!r}?" if near else "known: " + ", ".join(sorted(known)),
        )


def isolated_session() -> botocore.session.Session:
    """An SDK session that reads no profile and no file of the person who runs the demo."""
    return botocore.session.Session(
        session_vars={
            "profile": (None, None, None, None),
            "config_file": (None, None, os.devnull, None),
            "credentials_file": (None, None, os.devnull, None),
        }
    )


def to_one_host(request: Any, **_: Any) -> None:
    """Undo the account number that S3 Control puts before the host: here, there is one host.

    The SDK's `inject_host_prefix=False` is of no use: the prefix comes from the endpoint's rules.
    """
    parts = urlsplit(request.url)
    account, _, host = parts.netloc.partition(".")
    if len(account) == ACCOUNT_DIGITS and account.isdigit():
        request.url = parts._replace(netloc=host).geturl()


def as_list(tags: Mapping[str, str], key: str = "Key", value: str = "Value") -> list[Any]:
    """Tags in the form that most services want."""
    return [{key: name, value: text} for name, text in tags.items()]


def for_type(kind: str, tags: Mapping[str, str]) -> list[Any]:
    """Tags in the form that EC2 wants; none at all is said by leaving them out."""
    return [{"ResourceType": kind, "Tags": as_list(tags)}] if tags else []


def given(**options: Any) -> dict[str, Any]:
    """The options that have a value: services refuse empty ones."""
    return {name: value for name, value in options.items() if value}
