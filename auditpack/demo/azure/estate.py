"""The company's Azure: what stands in `estate/` and `bodies/`, made into the documents of its API.

A resource of the estate says what is different about it; the rest is what `bodies/` calls usual for
its type, including the parts that every resource of the type has (a storage account's blob
service). `parts` are documents below a resource, each at its path: `databases/trials`, or
`providers/Microsoft.Insights/diagnosticSettings/to-logs` for what another service hangs on it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import Field

from auditpack.demo.model.base import Days, Model

Body = dict[str, Any]
Parts = dict[str, Any]

GROUP_TYPE = "Microsoft.Resources/resourceGroups"
SUBSCRIPTION_TYPE = "Microsoft.Resources/subscriptions"
OUR_WORDS = frozenset(("name", "owner", "data", "age", "note", "parts", "tags", "location"))
"""What a resource of the estate says in our words; all else belongs to its body."""


class Kind(Model):
    """What is usual for a resource type: its `body` and its `parts`.

    `table` is where Resource Graph has it, if it does. `lists` are collections that the API offers
    at a resource under another name than their type's: the name, and the type that it lists.
    `unlisted` are properties that a GET has and a list leaves out, `graph_only` those that only
    Resource Graph has. `embeds` are properties that repeat all parts of a type, and `also_as` is
    another type under which a subscription lists this one.
    """

    table: str = ""
    body: Body = Field(default_factory=dict)
    parts: Parts = Field(default_factory=dict)
    lists: dict[str, str] = Field(default_factory=dict)
    unlisted: tuple[str, ...] = ()
    graph_only: tuple[str, ...] = ()
    embeds: dict[str, str] = Field(default_factory=dict)
    also_as: str = ""
    about: str = ""


class ResourceGroup(Model):
    """A resource group: who owns it, and what hangs on it."""

    owner: str = ""
    age: Days = 900
    location: str = ""
    tags: dict[str, str] = Field(default_factory=dict)
    note: str = ""
    parts: Parts = Field(default_factory=dict)


class SubscriptionFile(Model):
    """A file of a subscription; several files may say each its share of one."""

    subscription: str
    groups: dict[str, ResourceGroup] = Field(default_factory=dict)
    parts: Parts = Field(default_factory=dict)
    resources: dict[str, dict[str, list[Body]]] = Field(default_factory=dict)


class SubscriptionEntry(Model):
    """A subscription as the company lists it."""

    id: str
    name: str
    title: str
    management_group: str
    location: str
    tags: dict[str, str] = Field(default_factory=dict)


class ManagementGroup(Model):
    """A management group; the root is the one whose name is the tenant's id."""

    title: str
    parent: str = ""
    parts: Parts = Field(default_factory=dict)


class Company(Model):
    """The tenant, and how its subscriptions are arranged."""

    tenant: str
    domain: str
    collector: str
    subscriptions: tuple[SubscriptionEntry, ...]
    management_groups: dict[str, ManagementGroup]
    parts: Parts = Field(default_factory=dict)


@dataclass(frozen=True)
class Document:
    """One thing of Azure Resource Manager, as a GET returns it."""

    body: Body
    path: str
    type: str
    scope: str
    """Lower-case id of what an extension hangs on; of a resource, its group or subscription."""
    subscription: str = ""
    group: str = ""
    table: str = ""


@dataclass
class AzureEstate:
    """The whole estate. `documents` are in the order of their lower-case ids."""

    company: Company
    documents: dict[str, Document]
    kinds: dict[str, Kind]
    directory: dict[str, Any]
    known_types: dict[str, str] = field(default_factory=dict)
    """Lower-case type to its usual spelling, of every type that the API knows."""

    @property
    def tenant_id(self) -> str:
        """The tenant."""
        return self.company.tenant

    @property
    def subscriptions(self) -> tuple[str, ...]:
        """The ids of the subscriptions."""
        return tuple(entry.id for entry in self.company.subscriptions)

    def multiply(self, resource_id: str, times: int) -> None:
        """Add so many copies of a document, whose names end in -000001 and so on."""
        original = self.documents[resource_id.lower()]
        for number in range(1, times + 1):
            end = f"-{number:06}"
            path = original.path + end
            body = {**original.body, "id": path, "name": original.body["name"] + end}
            self.documents[path.lower()] = replace(original, body=body, path=path)
        self.documents = dict(sorted(self.documents.items()))

    def ancestors(self, subscription: str) -> list[str]:
        """The management groups above a subscription, nearest first."""
        found = []
        name = next(e for e in self.company.subscriptions if e.id == subscription).management_group
        while name:
            found.append(name)
            name = self.company.management_groups[name].parent
        return found
