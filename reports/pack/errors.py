"""What can go wrong when a pack is made."""

from __future__ import annotations

from evidence.errors import AuditpackError

DEBIAN_PACKAGES = ("libpango-1.0-0", "libpangoft2-1.0-0", "libharfbuzz-subset0")
"""Debian packages that hold (or pull in) every shared library that WeasyPrint loads."""


class PackError(AuditpackError):
    """A pack could not be made."""


class MissingLibrariesError(PackError):
    """WeasyPrint, or the system libraries that it lays text out with, are not installed."""

    def __init__(self, cause: str) -> None:
        super().__init__(
            "PDFs cannot be made here: the text layout libraries are missing",
            where=cause,
            mend=f"Run `apt-get install {' '.join(DEBIAN_PACKAGES)}`, then the command again.",
        )
