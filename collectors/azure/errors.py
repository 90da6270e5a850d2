"""What can go wrong before anything is read."""

from __future__ import annotations

from evidence.errors import AuditpackError, UsageError


class AzureCredentialsError(AuditpackError):
    """Entra ID does not accept the credentials, or there are none."""

    exit_code = 2


class AzureUnreachableError(AuditpackError):
    """Azure (or a configured endpoint) could not be reached, or did not answer as Azure does."""


class NotReadOnlyError(AuditpackError):
    """Somebody wanted a request that may change Azure, or that leads elsewhere."""

    exit_code = 2


def missing_libraries(error: ImportError) -> UsageError:
    """Return the error of a command that needs the optional Azure libraries."""
    return UsageError(
        f"reading Azure needs libraries that are not installed ({error.name})",
        where="azure",
        mend="Install them with: pip install 'auditpack[azure]'",
    )
