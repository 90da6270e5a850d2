"""The demo's Google Cloud: one organisation with its folders and projects, over gRPC with TLS."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from auditpack.demo.child import Child
from auditpack.demo.clouds import RunningCloud
from auditpack.demo.gcp.needs import require_libraries

NAME = "Google Cloud"

_UNSET = ("GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "GOOGLE_CLOUD_QUOTA_PROJECT")


@contextmanager
def running() -> Iterator[RunningCloud]:
    """Start it. Raises DemoError."""
    require_libraries()
    child = Child(
        "a local stand-in for Google Cloud",
        ["-P", "-m", "auditpack.demo.gcp", "--with-parent"],
        os.environ,
        _about_in,
    )
    about = child.start()
    try:
        yield RunningCloud(
            "gcp",
            _variables(about),
            {"scopes": [about["organization"]]},
            f"an organisation with {len(about['folders'])} folders"
            f" and {len(about['projects'])} projects",
            _UNSET,
        )
    finally:
        child.stop()


def _about_in(line: str) -> dict[str, Any] | None:
    return dict(json.loads(line)) if line.startswith("{") else None


def _variables(about: dict[str, Any]) -> dict[str, str]:
    return {
        "AUDITPACK_GCP_ENDPOINT": about["tls_address"],
        "AUDITPACK_GCP_CA_FILE": about["ca_file"],
        "GOOGLE_APPLICATION_CREDENTIALS": about["credentials"]["service_account"],
    }
