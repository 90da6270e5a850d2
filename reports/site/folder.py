"""The folder that a site is written into: built beside its place, then moved there whole."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from evidence.canonical import canonical_json
from evidence.errors import AuditpackError

MARK = "auditpack-site.json"
"""The file that says a folder is a site of ours, which a new one may replace."""


class SiteError(AuditpackError):
    """The site could not be written."""


@dataclass(frozen=True)
class SiteFolder:
    """A site that is being written. `target` is where it goes when it is whole."""

    target: Path

    @classmethod
    def start(cls, target: Path) -> SiteFolder:
        """Begin a site. Raises SiteError where `target` holds something that is not a site."""
        folder = cls(target)
        if target.is_dir() and any(target.iterdir()) and not (target / MARK).is_file():
            raise SiteError(
                "the folder is not empty and holds no site made by auditpack",
                where=str(target),
                mend="Name another folder with --output; nothing was changed.",
            )
        if target.exists() and not target.is_dir():
            raise SiteError(
                "this is a file, not a folder", where=str(target), mend="Name a folder."
            )
        try:
            shutil.rmtree(folder.rest, ignore_errors=True)
            folder.rest.mkdir(parents=True)
        except OSError as error:
            raise _write_error(target, error) from error
        return folder

    @property
    def rest(self) -> Path:
        """Where the site lies until it is whole."""
        return self.target.with_name(self.target.name + ".part")

    def write(self, name: str, content: str | bytes) -> None:
        """Write one file; `name` is its address from the site's root. Raises SiteError."""
        path = self.rest / name
        data = content.encode(errors="replace") if isinstance(content, str) else content
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        except OSError as error:
            raise _write_error(path, error) from error

    def finish(self, about: dict[str, str]) -> None:
        """Mark the folder as a site and put it into its place. Raises SiteError."""
        self.write(MARK, canonical_json({"format": "1", **about}))
        try:
            if self.target.exists():
                shutil.rmtree(self.target)
            self.rest.rename(self.target)
        except OSError as error:
            raise _write_error(self.target, error) from error

    def abandon(self) -> None:
        """Drop what was written."""
        shutil.rmtree(self.rest, ignore_errors=True)


def _write_error(path: Path, error: OSError) -> SiteError:
    return SiteError(
        f"the site could not be written: {error.strerror or error}",
        where=str(path),
        mend="Make room or choose another folder, then run the command again.",
    )
