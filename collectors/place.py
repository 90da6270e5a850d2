"""Where a unit asks, and how parameters and ids are filled from what is known there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from collectors.forms import FormError
from collectors.shape import search
from evidence.storable import is_storable

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
    """Fill an id: `$expression` is JMESPath, else `{Name}` and `{account}` are replaced.

    What is neither text nor a whole number stands for nothing. Raises FormError.
    """
    if template.startswith("$"):
        return name_text(search(template[1:], scope)) or ""
    values = {**scope, **scope["ctx"]}
    return _TEMPLATE.sub(lambda match: name_text(search(match.group(1), values)) or "", template)


def resource_id(template: str, scope: dict[str, Any]) -> str:
    """Return the id of a resource; empty where a part of it is missing."""
    values = {**scope, **scope["ctx"]}
    parts = [] if template.startswith("$") else _TEMPLATE.findall(template)
    try:
        is_whole = all(name_text(search(part, values)) for part in parts)
        return identifier(template, scope) if is_whole else ""
    except FormError:
        return ""


def name_text(value: Any) -> str | None:
    """Return the text of what may name a thing: text, or a whole number."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and is_storable(value) else None
