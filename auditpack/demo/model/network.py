"""Networks: VPCs, subnets, security groups, network ACLs."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from auditpack.demo.model.base import Model, Named

RULE = re.compile(r"^(?:(?P<all>all)|(?P<first>\d+)(?:-(?P<last>\d+))?) from (?P<source>\S+)$")
"""`443 from 0.0.0.0/0`, `8000-8100 from 10.0.0.0/8`, `5432 from group/app`, `all from ::/0`."""


class Rule(Model):
    """What a network lets in: TCP ports (or everything, if `first` is None) from a source."""

    first: int | None
    last: int | None
    source: str

    @property
    def group(self) -> str:
        """The security group that the source is, or nothing if it is a range of addresses."""
        return self.source.removeprefix("group/") if self.source.startswith("group/") else ""


def parse_rule(text: Any) -> Any:
    """Read a rule as people write it."""
    if not isinstance(text, str):
        return text
    match = RULE.match(text)
    if match is None:
        raise ValueError(
            f"{text!r} is not a rule like '443 from 0.0.0.0/0' or 'all from group/app'"
        )
    first = None if match["all"] else int(match["first"])
    last = first if match["last"] is None else int(match["last"])
    return Rule(first=first, last=last, source=match["source"])


RuleText = Annotated[Rule, BeforeValidator(parse_rule)]


class Subnet(Named):
    """A subnet. In a `public` one, machines get public addresses and a way to the internet."""

    cidr: str
    zone: Literal["a", "b", "c"] = "a"
    public: bool = False


class SecurityGroup(Named):
    """A firewall of machines: what it lets in."""

    about: str = "managed by the platform team"
    open: tuple[RuleText, ...] = ()


class NetworkAcl(Named):
    """A firewall of subnets: what it lets in, in this order; the rest is refused."""

    subnets: tuple[str, ...] = ()
    allow: tuple[RuleText, ...] = ()


class Vpc(Named):
    """A network. `flow_logs` is `group/<log group>` or `bucket/<bucket>`, or nothing.

    `close_default_group` empties the security group that AWS makes with every network.
    """

    cidr: str
    flow_logs: str = ""
    close_default_group: bool = False
    subnets: tuple[Subnet, ...] = ()
    security_groups: tuple[SecurityGroup, ...] = ()
    network_acls: tuple[NetworkAcl, ...] = ()
