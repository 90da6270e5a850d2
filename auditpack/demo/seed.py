"""Fill the demo's cloud with the estate, by plain calls of the AWS SDK, one after the other.

The order is always the same and moto's randomness is seeded, so the identifiers are the same in
every demo. Dates are counted back from the moment of seeding (see `fakecloud`).
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from http.client import HTTPConnection
from urllib.parse import urlsplit

from auditpack.demo.errors import DemoError
from auditpack.demo.estate import Account, Estate, Region
from auditpack.demo.seeding.compute import seed_functions, seed_machines, seed_repositories
from auditpack.demo.seeding.edge import seed_balancers, seed_certificates
from auditpack.demo.seeding.identity import seed_identity, take_role, use_roles
from auditpack.demo.seeding.network import seed_networks
from auditpack.demo.seeding.place import HOME_REGION, Access, Cloud, Made, Place
from auditpack.demo.seeding.storage import (
    block_public_s3,
    seed_buckets,
    seed_databases,
    seed_file_systems,
    seed_keys,
    seed_secrets,
    seed_tables,
)
from auditpack.demo.seeding.watch import (
    seed_alarms,
    seed_log_groups,
    seed_queues,
    seed_topics,
    seed_trails,
    seed_watchers,
)

RANDOM_SEED = 20240229
"""Where moto's own random numbers start."""


@dataclass(frozen=True)
class SeedSummary:
    """What was made, and how to get at it.

    `access` has, for each account, the role to take and credentials that have taken it; those of
    the first account are what a person would have in his environment.
    """

    made: tuple[Made, ...]
    access: dict[str, Access]
    regions: tuple[str, ...]
    seconds: float

    @property
    def counts(self) -> dict[str, int]:
        """How many things of each type."""
        return dict(sorted(Counter(item.type for item in self.made).items()))

    @property
    def places(self) -> dict[tuple[str, str], int]:
        """How many things in each account and region (`global` for those that have none)."""
        return dict(sorted(Counter((item.account, item.region) for item in self.made).items()))

    @property
    def total(self) -> int:
        """How many things in all."""
        return len(self.made)


def seed(endpoint_url: str, estate: Estate) -> SeedSummary:
    """Make everything that the estate names, in the cloud at this endpoint."""
    start = time.monotonic()
    cloud = Cloud(endpoint_url)
    start_randomness(endpoint_url)
    access: dict[str, Access] = {}
    made: list[Made] = []
    first: Access | None = None
    for account in estate.accounts:
        access[account.id] = enter(cloud, account, first)
        first = first or access[account.id]
        made += seed_account(cloud, estate, account, access[account.id])
    return SeedSummary(tuple(made), access, estate.regions, time.monotonic() - start)


def enter(cloud: Cloud, account: Account, by: Access | None) -> Access:
    """Get into an account by taking the collector's role, which its estate then creates.

    moto lets anyone take any role, and the account of the role is the account of the session.
    """
    sts = cloud.client("sts", HOME_REGION, by)
    return take_role(sts, f"arn:aws:iam::{account.id}:role/{account.collector_role}")


def seed_account(cloud: Cloud, estate: Estate, account: Account, access: Access) -> list[Made]:
    """Everything of one account: who may do what, then region by region."""
    if all(role.name != account.collector_role for role in account.iam.roles):
        raise DemoError(
            f"account {account.name} has no role {account.collector_role!r} for auditpack to take",
            mend="add it to the account's iam.roles in the estate",
        )
    everywhere = Place(cloud, estate, account, "global", access)
    seed_identity(everywhere)
    if account.block_public_s3:
        block_public_s3(everywhere)
    made = everywhere.made
    for name, region in account.regions.items():
        place = Place(cloud, estate, account, name, access)
        seed_region(place, region)
        made = made + place.made
    use_roles(everywhere)
    return made


def seed_region(place: Place, region: Region) -> None:
    """Everything of one region, what is referred to before what refers to it."""
    seed_keys(place, region.kms)
    seed_buckets(place, region.s3)
    seed_log_groups(place, region.logs)
    seed_topics(place, region.sns)
    seed_queues(place, region.sqs)
    seed_networks(place, region.vpcs)
    seed_machines(place, region)
    seed_databases(place, region)
    seed_tables(place, region.dynamodb)
    seed_file_systems(place, region.efs)
    seed_functions(place, region.functions)
    seed_secrets(place, region.secrets)
    seed_repositories(place, region.ecr)
    seed_certificates(place, region.acm)
    seed_balancers(place, region.load_balancers)
    seed_trails(place, region.cloudtrail)
    seed_alarms(place, region.alarms)
    seed_watchers(place, region)


def start_randomness(endpoint_url: str) -> None:
    """Let moto draw the same identifiers as the last time."""
    where = urlsplit(endpoint_url)
    connection = HTTPConnection(where.hostname or "", where.port or 80, timeout=10)
    try:
        connection.request("POST", f"/moto-api/seed?a={RANDOM_SEED}")
        connection.getresponse().read()
    except OSError as error:
        raise DemoError(f"the demo's cloud does not answer: {error}", where=endpoint_url) from error
    finally:
        connection.close()
