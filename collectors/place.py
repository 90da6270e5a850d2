"""Where a unit asks, and how parameters and ids are filled from what is known there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from collectors.shape import search

_TEMPLATE = re.compile(r"\{([A-Za-z_.]+)\}")


@dataclass(frozen=True)
class Place:
    """Where a unit asks: account, partition, the region of the unit and the region of its calls.

    In Azure the account is a subscription or a tenant, and the partition the cloud.
    """

    account: str
    partition: str
    region: str
    call_region: str

    def as_dict(self) -> dict[str, str]:
        """Return what expressions see as `ctx`."""
        return {
            "account": self.account,
            "partition": self.partition,
            "region": self.region,
            "call_region": self.call_region,
        }


def filled(params: Any, scope: dict[str, Any]) -> Any:
    """Replace every text that starts with `$` by what its JMESPath finds in `scope`."""
    if isinstance(params, dict):
        return {key: filled(value, scope) for key, value in params.items()}
    if isinstance(params, list | tuple):
        return [filled(value, scope) for value in params]
    if isinstance(params, str) and params.startswith("$"):
        return search(params[1:], scope)
    return params


def identifier(template: str, scope: dict[str, Any]) -> str:
    """Fill an id: `$expression` is JMESPath, else `{Name}` and `{account}` are replaced."""
    if template.startswith("$"):
        return str(search(template[1:], scope) or "")
    values = {**scope, **scope["ctx"]}

    def value(match: re.Match[str]) -> str:
        found = search(match.group(1), values)
        return "" if found is None else str(found)

    return _TEMPLATE.sub(value, template)
