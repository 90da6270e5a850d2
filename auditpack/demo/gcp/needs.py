"""What the demo's Google Cloud needs installed."""

from __future__ import annotations

import importlib.util

from auditpack.demo.errors import DemoError

MODULES = {
    "google.cloud.asset_v1": "google-cloud-asset",
    "grpc": "grpcio",
    "trustme": "trustme",
}
"""What is imported, and the package that brings it."""


def require_libraries() -> None:
    """Say what is missing and how to install it, before an import fails."""
    missing = [package for module, package in MODULES.items() if not _is_there(module)]
    if missing:
        raise DemoError(
            f"the demo's stand-in of Google Cloud needs {', '.join(missing)}",
            mend="pip install 'auditpack[demo]'",
        )


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # the package above it is missing
        return False
