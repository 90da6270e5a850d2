"""Which Azure action (permission) a call needs: read off its path, as Azure itself names them.

An action is `PROVIDER/TYPE[/TYPE...]/read`. Where Azure names one otherwise, the type's `actions`
say so: a custom role with an action that does not exist is refused as a whole. All our calls go to
the control plane, so none of them is a data action. Source:
learn.microsoft.com/azure/role-based-access-control/permissions-reference.
"""

from __future__ import annotations

import re

from collectors.azure.spec import RESOURCE_GRAPH, AzureResourceType, Call

RESOURCE_GRAPH_ACTION = "Microsoft.ResourceGraph/resources/read"
_CONTAINERS = "Microsoft.Resources"
_TYPE_IN_CONDITION = re.compile(r"""\btype\s*=~\s*["']([^"']+)["']""")


def action_of_path(path: str, base: str = "") -> str:
    """Return the action that reading `path` needs; empty where the path does not say.

    `base` is the type of the resource that `{id}` stands for.
    """
    before, provider, rest = path.rpartition("/providers/")
    if provider:
        namespace, *parts = rest.strip("/").split("/")
        return _action(namespace, parts[::2])
    head, *parts = before.strip("/").split("/") if before else rest.strip("/").split("/")
    if head == "{id}":
        return _action(base, parts[::2]) if base else ""
    if head in ("subscriptions", "tenants"):
        return _action(_CONTAINERS, [head, *parts[1::2]])
    return ""


def _action(base: str, types: list[str]) -> str:
    if any("{" in name for name in (base, *types)):
        return ""
    return "/".join((base, *types, "read"))


def actions_by_call(spec: AzureResourceType) -> list[tuple[Call, str]]:
    """Return each call to ARM or Resource Graph with the action that it needs, or no text."""
    found: list[tuple[Call, str]] = []
    base, node = spec.native_type, spec.listing
    while node is not None:
        if node.service == RESOURCE_GRAPH:
            base = _type_asked_for(node, base)
            found.append((node, f"{base}/read" if base else ""))
        elif node.arm:
            action = action_of_path(node.arm, base)
            found.append((node, action))
            base = action.removesuffix("/read")
        node = node.then
    base = spec.native_type or base
    found.extend((step, action_of_path(step.arm, base)) for step in spec.enrich if step.arm)
    return found


def _type_asked_for(call: Call, native_type: str) -> str:
    """Return the type that a query's condition names, in the capitals of the type's own file."""
    found = _TYPE_IN_CONDITION.search(call.where)
    if found is None:
        return native_type
    named = found.group(1)
    is_part = native_type.lower().startswith(named.lower())
    return native_type[: len(named)] if is_part else named


def actions_of(spec: AzureResourceType) -> tuple[str, ...]:
    """Return the actions that a type's calls need: its own, where it declares them."""
    if spec.actions:
        return spec.actions
    derived = [f"{spec.native_type}/read"] if spec.reread is not None and spec.native_type else []
    return (*derived, *(action for _, action in actions_by_call(spec)))


def needs_of(spec: AzureResourceType) -> dict[int, str]:
    """Return the permission that each call needs, by the identity of the call."""
    declared = ", ".join(spec.actions)
    actions = {id(call): declared or action for call, action in actions_by_call(spec)}
    return {id(call): call.needs_permission or actions.get(id(call), "") for call in spec.calls()}
