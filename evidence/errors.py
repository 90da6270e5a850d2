"""Errors that a person can act on: what happened, where, and what to do about it."""

from __future__ import annotations

from typing import ClassVar


class AuditpackError(Exception):
    """Base of every error that auditpack raises on purpose.

    `what` is the cause in plain words, `where` the file, account or resource it concerns, and
    `mend` what the reader can do. The command line prints exactly these and exits with
    `exit_code` (see the README for the list of codes).
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, where: str = "", mend: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.mend = mend

    def __str__(self) -> str:
        parts = [self.what]
        if self.where:
            parts.append(f"  where: {self.where}")
        if self.mend:
            parts.append(f"  mend:  {self.mend}")
        return "\n".join(parts)


class UsageError(AuditpackError):
    """A command line or a configuration that cannot be carried out."""

    exit_code = 2


class DataError(AuditpackError):
    """A file that people write (a check, a resource type, a framework) is not what it must be."""

    exit_code = 2


class StoreError(AuditpackError):
    """The store could not be read or written (missing, full, no permission)."""


class KeyFileError(AuditpackError):
    """A signing key or certificate is missing, unreadable or needs a passphrase."""

    exit_code = 2


class VerificationError(AuditpackError):
    """Sealed evidence is not what its manifest says it is."""

    exit_code = 5
