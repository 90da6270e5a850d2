"""What can go wrong before anything is read."""

from __future__ import annotations

from evidence.errors import AuditpackError, UsageError


class GcpCredentialsError(AuditpackError):
    """Google does not accept the credentials, or there are none."""

    exit_code = 2


class GcpUnreachableError(AuditpackError):
    """Cloud Asset Inventory could not be reached, or does not know what is to be read."""


class NotReadOnlyError(AuditpackError):
    """Somebody wanted a method that may change something."""

    exit_code = 2


def missing_libraries(error: ImportError) -> UsageError:
    """Return the error of a command that needs the optional libraries of Google."""
    return UsageError(
        f"reading Google Cloud needs libraries that are not installed ({error.name})",
        where="gcp",
        mend="Install them with: pip install 'auditpack[gcp]'",
    )
