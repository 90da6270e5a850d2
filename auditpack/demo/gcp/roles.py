"""Roles and what they permit: the predefined ones of `bodies/roles` and the estate's own.

Only the permissions that auditpack asks about, and some beside them, are known here.
"""

from __future__ import annotations

import fnmatch
from importlib.resources import files

import yaml

from auditpack.demo.gcp.estate import GcpEstate

CUSTOM = "iam.googleapis.com/Role"


class Roles:
    """Role name to permissions."""

    def __init__(self, estate: GcpEstate) -> None:
        source = files("auditpack.demo.gcp") / "roles.yaml"
        said = yaml.safe_load(source.read_text(encoding="utf-8"))
        self._known: dict[str, list[str]] = {
            role: _expanded(patterns, said["permissions"])
            for role, patterns in said["roles"].items()
        }
        for record in estate.records:
            if record.type == CUSTOM:
                data = record.versions[-1].data
                self._known[data["name"]] = list(data.get("includedPermissions", []))

    def permissions(self, role: str) -> list[str]:
        """Return what a role permits; nothing for a role that is not known."""
        return self._known.get(role, [])


def _expanded(patterns: list[str], permissions: list[str]) -> list[str]:
    wanted = [pattern for pattern in patterns if not pattern.startswith("!")]
    unwanted = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    return [
        name
        for name in permissions
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in wanted)
        and not any(fnmatch.fnmatchcase(name, pattern) for pattern in unwanted)
    ]
