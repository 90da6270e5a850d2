"""Assets as resource types see them: whose they are, what they are called, what they hold."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

PROJECT = "cloudresourcemanager.googleapis.com/Project"
FOLDER = "cloudresourcemanager.googleapis.com/Folder"
ORGANIZATION = "cloudresourcemanager.googleapis.com/Organization"
HIERARCHY = (ORGANIZATION, FOLDER, PROJECT)
"""The asset types that say how everything hangs together."""

_ACCESS = ("accessPolicy", "accessLevel", "servicePerimeter")
_TELLS = {
    "resource": ("data",),
    "iam_policy": ("policy",),
    "org_policy": ("policies",),
    "access_policy": _ACCESS,
}
"""The members of an item that its content is: without one, the cloud did not say."""

_ACCOUNT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}")
"""What may be an account: it becomes part of file names."""

_IN_NAME = re.compile(r"/projects/([^/]+)")


def item_of(content: str, asset: Mapping[str, Any]) -> dict[str, Any]:
    """Return an asset as expressions of a type that lists `content` see it."""
    item = dict(asset)
    if content == "resource":
        held = item.pop("resource", None)
        return {**(held if isinstance(held, dict) else {}), **item}
    if content == "iam_policy" and "iamPolicy" in item:
        item["policy"] = item.pop("iamPolicy")
    if content == "org_policy" and "orgPolicy" in item:
        item["policies"] = item.pop("orgPolicy")
    return item


def tells(content: str, item: Mapping[str, Any]) -> bool:
    """Whether an item holds what it was listed for."""
    members = _TELLS.get(content)
    return members is None or any(item.get(name) is not None for name in members)


def said_of(content: str, asset: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a content says of an asset, as facets `from` it see it."""
    if content == "iam_policy":
        return dict(asset.get("iamPolicy") or {})
    if content == "org_policy":
        return {"policies": asset.get("orgPolicy") or []}
    if content == "access_policy":
        return {name: asset[name] for name in _ACCESS if name in asset}
    return item_of(content, asset)


def place_of_asset(asset: Mapping[str, Any]) -> str:
    """Return the project that an asset lies in, by number or id; empty above all projects.

    Its ancestors say so; where there are none, its parent or its own name does. What is no name of
    a project is none.
    """
    ancestors = asset.get("ancestors")
    if isinstance(ancestors, list) and ancestors:
        named = (str(name).removeprefix("projects/") for name in ancestors if _is_project(name))
        return _as_account(next(named, ""))
    resource = asset.get("resource")
    parent = resource.get("parent") if isinstance(resource, dict) else ""
    for text in (parent, asset.get("name")):
        found = _IN_NAME.search(str(text or ""))
        if found and found.group(1) != "_":  # Cloud Storage's stand-in for the project
            return _as_account(found.group(1))
    return ""


def _is_project(name: Any) -> bool:
    return isinstance(name, str) and name.startswith("projects/")


def _as_account(text: str) -> str:
    return text if _ACCOUNT.fullmatch(text) else ""


def place_of_result(result: Mapping[str, Any]) -> str:
    """Return the project that a result of a search or analysis is of; empty above projects."""
    project = result.get("project")
    if isinstance(project, str) and project:
        return _as_account(project.removeprefix("projects/"))
    found = _IN_NAME.search(resource_of(result))
    return _as_account(found.group(1)) if found and found.group(1) != "_" else ""


def resource_of(result: Mapping[str, Any]) -> str:
    """Return the full name of the resource that a result of a search or analysis is of."""
    return str(result.get("resource") or result.get("attachedResourceFullName") or "")


def name_of(asset: Mapping[str, Any], folder: str) -> str:
    """Return what a folder or organisation is called, from its own asset; empty if it is another.

    `folder` is folders/N or organizations/N.
    """
    if (
        str(asset.get("name") or "").removeprefix("//cloudresourcemanager.googleapis.com/")
        != folder
    ):
        return ""
    resource = asset.get("resource")
    data = resource.get("data") if isinstance(resource, dict) else None
    return str(data.get("displayName") or "") if isinstance(data, dict) else ""


def project_of(asset: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """Return number, id and name of a project from its own asset; None if it is no such one."""
    if asset.get("assetType") != PROJECT:
        return None
    resource = asset.get("resource")
    data = resource.get("data") if isinstance(resource, dict) else None
    if not isinstance(data, dict):
        return None
    number = place_of_asset(asset)
    if not number.isdigit():
        number = str(data.get("projectNumber") or "")
    known = _as_account(str(data.get("projectId") or ""))
    name = str(data.get("displayName") or data.get("name") or "")
    return (number, known, name) if number.isdigit() and known else None
