"""The demo's Azure and Entra ID: one tenant with its subscriptions, over TLS."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from auditpack.demo.azure.server import require_trustme
from auditpack.demo.child import Child
from auditpack.demo.clouds import RunningCloud
from auditpack.demo.estate import load_estate

NAME = "Azure"

_UNSET = (
    "AZURE_AUTHORITY_HOST",
    "AZURE_CLIENT_CERTIFICATE_PATH",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_USERNAME",
    "AZURE_PASSWORD",
    "IDENTITY_ENDPOINT",
)


@contextmanager
def running() -> Iterator[RunningCloud]:
    """Start it. Raises DemoError."""
    require_trustme()
    child = Child(
        "a local stand-in for Azure",
        ["-P", "-m", "auditpack.demo.azure", "--with-parent"],
        os.environ,
        _about_in,
    )
    about = child.start()
    try:
        yield RunningCloud(
            "azure",
            _variables(about),
            {"tenants": [{"id": about["tenant_id"], "name": load_estate().company}]},
            f"a tenant and {len(about['subscriptions'])} subscriptions",
            _UNSET,
        )
    finally:
        child.stop()


def _about_in(line: str) -> dict[str, Any] | None:
    return dict(json.loads(line)) if line.startswith("{") else None


def _variables(about: dict[str, Any]) -> dict[str, str]:
    """Return what points auditpack there. The secret is none: the stand-in takes any."""
    return {
        "AUDITPACK_AZURE_AUTHORITY": about["url"],
        "AUDITPACK_AZURE_ARM_ENDPOINT": about["url"],
        "AUDITPACK_AZURE_GRAPH_ENDPOINT": about["url"],
        "AUDITPACK_AZURE_CA_FILE": about["ca_file"],
        "AZURE_TENANT_ID": about["tenant_id"],
        "AZURE_CLIENT_ID": about["client_id"],
        "AZURE_CLIENT_SECRET": "demo",
    }
