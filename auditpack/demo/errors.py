"""What can go wrong in the demo."""

from __future__ import annotations

from evidence.errors import AuditpackError


class DemoError(AuditpackError):
    """The demo's cloud could not be started or filled."""
