"""The demo's AWS: two accounts on a moto server, filled by plain calls of the SDK."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from auditpack.demo.clouds import RunningCloud
from auditpack.demo.estate import Estate, load_estate
from auditpack.demo.seed import SeedSummary, seed
from auditpack.demo.server import MotoServer

NAME = "AWS"

_UNSET = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
)


@contextmanager
def running() -> Iterator[RunningCloud]:
    """Start it and fill it. Raises DemoError."""
    estate = load_estate()
    with MotoServer() as server:
        summary = seed(server.endpoint_url, estate)
        yield RunningCloud(
            "aws",
            _variables(server.endpoint_url, summary),
            {
                "regions": list(summary.regions),
                "accounts": [_account(estate, item, summary) for item in summary.access],
                "max_attempts": 3,
            },
            f"{len(summary.access)} accounts, {summary.total} things",
            _UNSET,
        )


def _variables(endpoint_url: str, summary: SeedSummary) -> dict[str, str]:
    first = next(iter(summary.access.values()))
    return {
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_ACCESS_KEY_ID": first.access_key_id,
        "AWS_SECRET_ACCESS_KEY": first.secret_access_key,
        "AWS_SESSION_TOKEN": first.session_token,
        "AWS_DEFAULT_REGION": summary.regions[0],
        "AWS_REGION": summary.regions[0],
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _account(estate: Estate, account_id: str, summary: SeedSummary) -> dict[str, str]:
    """The first account is read with the environment's credentials, the others through a role."""
    name = next(account.name for account in estate.accounts if account.id == account_id)
    if account_id == next(iter(summary.access)):
        return {"id": account_id, "name": name}
    return {"id": account_id, "name": name, "role_arn": summary.access[account_id].role_arn}
