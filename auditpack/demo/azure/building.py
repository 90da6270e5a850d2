"""Making the documents of the API of what stands in `estate/` and `bodies/`."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from auditpack.demo.azure.compose import LEAVE_OUT, Words, guid, merged
from auditpack.demo.azure.estate import (
    GROUP_TYPE,
    OUR_WORDS,
    SUBSCRIPTION_TYPE,
    AzureEstate,
    Body,
    Company,
    Document,
    Kind,
    ManagementGroup,
    Parts,
    ResourceGroup,
    SubscriptionEntry,
    SubscriptionFile,
)
from auditpack.demo.errors import DemoError
from auditpack.demo.estate import Team, load_estate
from auditpack.demo.model.base import Model

Known = TypeVar("Known", bound=Model)
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load_azure_estate(
    folder: Path | None = None, now: datetime.datetime | None = None
) -> AzureEstate:
    """Read the estate: the built-in one, or another folder with the same words."""
    here = files("auditpack.demo.azure")
    source: Traversable = folder if folder is not None else here / "estate"
    moment = now or datetime.datetime.now(datetime.UTC)
    company = _model(Company, source / "company.yaml")
    kinds = {
        name: _kind(name, value)
        for file in _yaml_files(here / "bodies")
        for name, value in (_read(file) or {}).items()
    }
    builder = _Builder(company, kinds, load_estate().teams, moment)
    for file in _yaml_files(source):
        if file.name != "company.yaml":
            builder.add_file(_model(SubscriptionFile, file), file.name)
    directory: dict[str, Any] = {}
    for file in _yaml_files(source / "entra"):
        directory.update(builder.words.fill(_read(file) or {}))
    builder.embed()
    documents = dict(sorted(builder.documents.items()))
    known = {name.lower(): name for name in kinds}
    known.update(
        {d.type.lower(): d.type for d in documents.values() if d.type.lower() not in known}
    )
    return AzureEstate(company, documents, kinds, directory, known)


class _Builder:
    """Makes documents of what the estate says."""

    def __init__(
        self,
        company: Company,
        kinds: Mapping[str, Kind],
        teams: Mapping[str, Team],
        now: datetime.datetime,
    ) -> None:
        self._company = company
        self._kinds = {name.lower(): kind for name, kind in kinds.items()}
        self._teams = teams
        self._now = now
        self._by_name = {entry.name: entry for entry in company.subscriptions}
        self.documents: dict[str, Document] = {}
        self.words = Words(
            now,
            {
                "tenant": company.tenant,
                "domain": company.domain,
                "user": lambda name: guid(f"user/{name}"),
                "sub": lambda name: f"/subscriptions/{self._by_name[name].id}",
                "subid": lambda name: self._by_name[name].id,
            },
        )
        self._tenant_documents()

    def _tenant_documents(self) -> None:
        for entry in self._company.subscriptions:
            self._subscription(entry)
        for name, group in self._company.management_groups.items():
            place = f"/providers/Microsoft.Management/managementGroups/{name}"
            self._management_group(name, group, place)
            kind = "Microsoft.Management/managementGroups"
            self._parts(place, group.parts, self.words, "", "", kind)
        self._parts("", self._company.parts, self.words, "", "")

    def _management_group(self, name: str, group: ManagementGroup, place: str) -> None:
        parent = self._company.management_groups.get(group.parent)
        above = "/providers/Microsoft.Management/managementGroups/" + group.parent
        details: Body = {"version": 3, "updatedTime": self._stamp(700), "updatedBy": guid("setup")}
        if parent is not None:
            details["parent"] = {"id": above, "name": group.parent, "displayName": parent.title}
        body = {
            "id": place,
            "type": "Microsoft.Management/managementGroups",
            "name": name,
            "properties": {
                "tenantId": self._company.tenant,
                "displayName": group.title,
                "details": details,
            },
        }
        self._keep(body, str(body["type"]), scope="", table="resourcecontainers")

    def _subscription(self, entry: SubscriptionEntry) -> None:
        body = {
            "id": f"/subscriptions/{entry.id}",
            "authorizationSource": "RoleBased",
            "managedByTenants": [],
            "subscriptionId": entry.id,
            "tenantId": self._company.tenant,
            "displayName": entry.title,
            "state": "Enabled",
            "subscriptionPolicies": {
                "locationPlacementId": "Public_2014-09-01",
                "quotaId": "PayAsYouGo_2014-09-01",
                "spendingLimit": "Off",
            },
            "tags": dict(entry.tags),
        }
        self._keep(body, SUBSCRIPTION_TYPE, "", entry.id, table="resourcecontainers")

    def add_file(self, file: SubscriptionFile, name: str) -> None:
        """Make documents of one file of a subscription."""
        if file.subscription not in self._by_name:
            raise DemoError(f"the company has no subscription {file.subscription!r}", where=name)
        entry = self._by_name[file.subscription]
        root = f"/subscriptions/{entry.id}"
        words = self.words.with_names(
            {
                "subscription": entry.id,
                "here": root,
                "group": lambda group: f"{root}/resourceGroups/{group}/providers",
                "location": entry.location,
            }
        )
        self._parts(root, file.parts, words, entry.id, "")
        for group, about in file.groups.items():
            self._group(entry, group, about, words)
        for group, types in file.resources.items():
            for kind, resources in types.items():
                for resource in resources:
                    try:
                        self._resource(entry, group, kind, resource, words)
                    except (KeyError, TypeError, AttributeError) as error:
                        raise DemoError(
                            f"{kind} {resource.get('name')}: {error}", where=name
                        ) from error

    def _group(
        self, entry: SubscriptionEntry, name: str, about: ResourceGroup, words: Words
    ) -> None:
        place = f"/subscriptions/{entry.id}/resourceGroups/{name}"
        body: Body = {
            "id": place,
            "name": name,
            "type": GROUP_TYPE,
            "location": about.location or entry.location,
            "properties": {"provisioningState": "Succeeded"},
        }
        tags = self._tags({"owner": about.owner, "tags": about.tags})
        if tags:
            body["tags"] = tags
        self._keep(body, GROUP_TYPE, place.lower(), entry.id, name, "resourcecontainers")
        self._parts(place, about.parts, words.with_names({"id": place}), entry.id, name)

    def _resource(
        self, entry: SubscriptionEntry, group: str, kind: str, said: Body, words: Words
    ) -> None:
        name = str(said["name"])
        scope = f"/subscriptions/{entry.id}/resourceGroups/{group}"
        head, *tail = kind.split("/")
        names = name.split("/")
        path = "/".join(f"{t}/{n}" for t, n in zip(tail, names, strict=True))
        place = f"{scope}/providers/{head}/{path}"
        usual = self._kinds.get(kind.lower(), Kind())
        location = str(said.get("location") or usual.body.get("location") or entry.location)
        words = words.with_names(
            {
                "id": place,
                "name": names[-1],
                "created": self._stamp(int(said.get("age", 200))),
                "location": location,
                "rg": group,
            }
        )
        body: Body = {"id": place, "name": names[-1], "type": kind, "location": location}
        tags = self._tags(said)
        if tags:
            body["tags"] = tags
        differs = {key: value for key, value in said.items() if key not in OUR_WORDS}
        body.update(words.fill(merged({**usual.body, "location": location}, differs)))
        self._keep(body, kind, scope.lower(), entry.id, group, usual.table or "resources")
        self._parts(place, self._all_parts(usual, said), words, entry.id, group, kind)

    @staticmethod
    def _all_parts(usual: Kind, said: Body) -> Parts:
        parts: Parts = merged(usual.parts, said.get("parts") or {})
        return parts

    def _parts(
        self,
        parent: str,
        parts: Parts,
        words: Words,
        subscription: str,
        group: str,
        parent_type: str = "",
    ) -> None:
        for written, said in parts.items():
            if said == LEAVE_OUT:
                continue
            path = words.fill(written)
            place = f"{parent}/{path}"
            before, extension, after = f"/{path}".rpartition("/providers/")
            if extension:
                steps = after.split("/")
                kind, above = "/".join((steps[0], *steps[1::2])), parent + before
                scope = above.lower()
            else:
                kind, above = "/".join((parent_type, *path.split("/")[0::2])), parent
                scope = f"/subscriptions/{subscription}/resourcegroups/{group}".lower()
            self._part(place, kind, said or {}, words, (above, scope, subscription, group))

    def _part(
        self, place: str, kind: str, said: Body, words: Words, where: tuple[str, str, str, str]
    ) -> None:
        parent, scope, subscription, group = where
        usual = self._kinds.get(kind.lower(), Kind())
        name = place.rpartition("/")[2]
        resource = place.count("/") % 2 == 0  # else a view of one, such as its instanceView
        here = words.with_names(
            {
                "parent": parent,
                "scope": parent or "/",
                "id": place,
                "name": name,
                "created": self._stamp(int(said.get("age", 200))),
            }
        )
        body: Body = {"id": place, "name": name, "type": kind} if resource else {}
        if said.get("tags"):
            body["tags"] = said["tags"]
        differs = {key: value for key, value in said.items() if key not in OUR_WORDS - {"location"}}
        body.update(here.fill(merged(usual.body, differs)))
        body = {key: value for key, value in body.items() if value != LEAVE_OUT}
        self._keep(body, kind, scope, subscription, group, usual.table, place)
        self._parts(place, self._all_parts(usual, said), here, subscription, group, kind)

    def _keep(
        self,
        body: Body,
        kind: str,
        scope: str,
        subscription: str = "",
        group: str = "",
        table: str = "",
        path: str = "",
    ) -> None:
        path = path or str(body["id"])
        if path.lower() in self.documents:
            raise DemoError(f"the estate has two of {path}")
        document = Document(body, path, kind, scope, subscription, group, table)
        self.documents[path.lower()] = document

    def embed(self) -> None:
        """Repeat parts in what they are parts of, where the API does."""
        for key, document in self.documents.items():
            kind = self._kinds.get(document.type.lower(), Kind())
            for name, part in kind.embeds.items():
                document.body["properties"][name] = [
                    other.body
                    for path, other in self.documents.items()
                    if path.startswith(key + "/") and other.type.lower() == part.lower()
                ]

    def _tags(self, said: Body) -> dict[str, str]:
        tags = {str(key): str(value) for key, value in (said.get("tags") or {}).items()}
        owner = said.get("owner")
        if owner:
            team = self._teams[owner]
            tags |= {"Owner": team.contact, "CostCentre": team.cost_centre}
        if said.get("data"):
            tags["DataClass"] = str(said["data"])
        return tags

    def _stamp(self, age: int) -> str:
        return (self._now - datetime.timedelta(days=age)).strftime("%Y-%m-%dT%H:%M:%S.0000000Z")


def _yaml_files(folder: Traversable) -> Iterator[Traversable]:
    for file in sorted(folder.iterdir(), key=lambda item: item.name):
        if file.name.endswith(".yaml"):
            yield file


def _read(file: Traversable) -> Any:
    try:
        return yaml.load(file.read_text(encoding="utf-8"), Loader=LOADER)  # noqa: S506 (a safe one)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DemoError(f"cannot read the estate: {error}", where=file.name) from error


def _model(model: type[Known], file: Traversable) -> Known:
    try:
        return model.model_validate(_read(file))
    except ValidationError as error:
        raise DemoError(f"the estate is not understood: {error}", where=file.name) from error


def _kind(name: str, value: Any) -> Kind:
    try:
        return Kind.model_validate(value or {})
    except ValidationError as error:
        raise DemoError(f"the body of {name} is not understood: {error}", where=name) from error
