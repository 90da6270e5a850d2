"""Making assets, with their past, of what stands in `estate/` and `bodies/`."""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml
from google.protobuf import json_format
from pydantic import TypeAdapter, ValidationError

from auditpack.demo.azure.compose import Words, guid, merged
from auditpack.demo.errors import DemoError
from auditpack.demo.estate import Team, load_estate
from auditpack.demo.gcp.estate import (
    Body,
    Company,
    Entry,
    GcpEstate,
    Kind,
    Past,
    Place,
    Record,
    State,
    Version,
)
from auditpack.demo.gcp.messages import ASSET

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
TOPIC = TypeAdapter(dict[str, dict[str, list[Entry]]])
KINDS = TypeAdapter(dict[str, Kind])
ORGANIZATION = "organization"
Span = tuple[datetime.datetime, datetime.datetime | None]


def load_gcp_estate(folder: Path | None = None, now: datetime.datetime | None = None) -> GcpEstate:
    """Read the estate: the built-in one, or another folder with the same words."""
    here = files("auditpack.demo.gcp")
    source: Traversable = folder if folder is not None else here / "estate"
    kinds: dict[str, Kind] = {}
    for file in _yaml_files(here / "bodies"):
        if file.name != "types.yaml":
            kinds.update(_read(file, KINDS))
    company = _read(source / "company.yaml", TypeAdapter(Company))
    builder = _Builder(
        company, kinds, load_estate().teams, now or datetime.datetime.now(datetime.UTC)
    )
    for file in _yaml_files(source):
        if file.name != "company.yaml":
            builder.add_file(_read(file, TOPIC), file.name)
    builder.require_places()
    known = _read(here / "bodies" / "types.yaml", TypeAdapter(list[str]))
    types = frozenset(known) | {record.type for record in builder.records}
    return GcpEstate(company, builder.places, sorted(builder.records, key=_order), types)


def _order(record: Record) -> tuple[str, str]:
    return record.name, record.type


class _Builder:
    """Makes records of what the estate says."""

    def __init__(
        self,
        company: Company,
        kinds: Mapping[str, Kind],
        teams: Mapping[str, Team],
        now: datetime.datetime,
    ) -> None:
        self._company = company
        self._kinds = kinds
        self._teams = teams
        self._now = now
        self.places = _places(company)
        self.records: list[Record] = []
        self._names: set[tuple[str, str]] = set()
        organization = company.organization
        self._words = Words(
            now,
            {
                "org": organization.id,
                "domain": organization.domain,
                "customer": organization.customer,
                "access-policy": organization.access_policy,
                "collector": company.collector,
                "pool": company.pool,
                "millis": self._millis,
                "id": lambda text: digits(text, 19),
            },
        )

    def add_file(self, topic: Mapping[str, Mapping[str, list[Entry]]], name: str) -> None:
        """Make records of one file."""
        for key, types in topic.items():
            if key not in self.places:
                known = ", ".join(self.places)
                raise DemoError(f"there is no {key!r}", where=name, mend=f"there are {known}")
            for type_name, entries in types.items():
                for entry in entries:
                    where = f"{name}: {key}, {type_name} {entry.name}"
                    try:
                        self._add(self.places[key], type_name, entry)
                    except (KeyError, IndexError, json_format.ParseError) as error:
                        raise DemoError(f"{type(error).__name__}: {error}", where=where) from error

    def require_places(self) -> None:
        """Refuse an estate in which a project, a folder or the organisation is no asset itself."""
        there = {record.name for record in self.records}
        for place in self.places.values():
            if place.full_name not in there:
                raise DemoError(f"{place.key} is not described", mend="see estate/hierarchy.yaml")

    # -- one asset

    def _add(self, place: Place, type_name: str, entry: Entry) -> None:
        kind = self._kinds.get(type_name)
        if kind is None:
            raise DemoError(
                f"nothing is known of {type_name}", mend="describe the type in a file of bodies/"
            )
        location = entry.location or kind.location
        words = self._words_of(place, entry, location)
        name = words.fill(kind.name)
        if (name, type_name) in self._names:
            raise DemoError(f"the estate has two of {name}", mend="give one another name")
        self._names.add((name, type_name))
        base: Body = {"name": name, "assetType": type_name, "ancestors": list(place.ancestors)}
        said: Body = {
            "location": location,
            "kind": kind,
            "words": words.with_names({"asset": name}),
        }
        versions = tuple(
            self._version(base, said, entry, state, span) for state, span in self._spans(entry)
        )
        self.records.append(Record(name, type_name, place, versions, kind.labels))
        for body in entry.access:
            self._add_access(place, entry, base, words.fill(body))

    def _add_access(self, place: Place, entry: Entry, base: Body, body: Body) -> None:
        """Make what Access Context Manager has: assets of the same name as their organisation."""
        since, until = self._at(body.pop("from", -entry.age)), body.pop("until", None)
        message = _message({**base, **body}, since)
        span = Version(
            since, None if until is None else self._at(until), {"access_policy": message}
        )
        self.records.append(Record(base["name"], base["assetType"], place, (span,)))

    def _spans(self, entry: Entry) -> Iterator[tuple[Past | None, Span]]:
        since = self._at(-entry.age if entry.since is None else entry.since)
        for past in sorted(entry.history, key=lambda past: past.until):
            until = self._at(past.until)
            yield past, (since, until)
            since = until
        yield None, (since, None if entry.until is None else self._at(entry.until))

    def _version(
        self, base: Body, said: Body, entry: Entry, past: Past | None, span: Span
    ) -> Version:
        kind, words = said["kind"], said["words"]
        data = merged(kind.body, entry.data)
        if past is not None:
            data = merged(data, past.data)
        data = words.fill(data)
        self._label(kind, entry, data)
        policy_from: State = past if past is not None and past.has_policy else entry
        org_policies = entry.org_policies
        if past is not None and past.org_policies is not None:
            org_policies = past.org_policies
        messages = {"": _message(base, span[0])}
        resource = self._resource(base, kind, words, said["location"], data)
        messages["resource"] = _message({**base, "resource": resource}, span[0])
        if policy_from.has_policy:
            policy = _policy(policy_from, words)
            messages["iam_policy"] = _message({**base, "iamPolicy": policy}, span[0])
        if org_policies:
            said_policies = words.fill(org_policies)
            messages["org_policy"] = _message({**base, "orgPolicy": said_policies}, span[0])
        return Version(span[0], span[1], messages, data)

    @staticmethod
    def _resource(base: Body, kind: Kind, words: Words, location: str, data: Body) -> Body:
        host = str(base["name"]).removeprefix("//").partition("/")[0]
        resource: Body = {
            "version": kind.version,
            "discoveryDocumentUri": kind.discovery or f"https://{host}/$discovery/rest",
            "discoveryName": kind.resource or str(base["assetType"]).rpartition("/")[2],
            "parent": words.fill(kind.parent or "${place}"),
            "location": location,
            "data": data,
        }
        return {key: value for key, value in resource.items() if value != ""}

    def _label(self, kind: Kind, entry: Entry, data: Body) -> None:
        labels = dict(entry.labels)
        if entry.owner:
            labels |= {
                "owner": entry.owner,
                "cost-centre": self._teams[entry.owner].cost_centre.lower(),
            }
        if entry.data_class:
            labels["data-class"] = entry.data_class
        if not labels or not kind.labels:
            return
        *above, last = kind.labels.split(".")
        for step in above:
            data = data.setdefault(step, {})
        data[last] = {**data.get(last, {}), **labels}

    # -- words

    def _words_of(self, place: Place, entry: Entry, location: str) -> Words:
        parts = entry.name.split("/")
        region = location[:-2] if location[-2:-1] == "-" else location
        project = place.project
        return self._words.with_names(
            {
                "place": place.full_name,
                "relative": place.relative,
                "above": self._above(place),
                "project": lambda key: self.places[key].project if key else project,
                "number": lambda key: (self.places[key] if key else place).number,
                "folder": lambda key: self.places[key].relative,
                "name": parts[-1],
                "part": lambda at: parts[int(at)],
                "location": location,
                "region": region,
                "created": self._at(-entry.age).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "created-millis": self._millis(str(-entry.age)),
                "uid": digits(f"{place.key}/{entry.name}", 19),
                "own-guid": guid(f"{place.key}/{entry.name}"),
                "relative-id": f"projects/{project}" if project else place.relative,
                "email": parts[0] if "@" in parts[0] else self._service_account(parts[0], place),
                "unique": digits(f"{project}/{parts[0]}", 21),
                "sa": lambda said: self._service_account(said, place),
                "compute": f"https://www.googleapis.com/compute/v1/projects/{project}",
            }
        )

    def _account(self, said: str, place: Place) -> str:
        key, _, name = said.rpartition("/")
        return f"{(self.places[key] if key else place).project}/{name}"

    def _service_account(self, said: str, place: Place) -> str:
        project, _, name = self._account(said, place).rpartition("/")
        return f"{name}@{project}.iam.gserviceaccount.com"

    def _above(self, place: Place) -> str:
        relative = place.ancestors[1] if len(place.ancestors) > 1 else ""
        return f"//cloudresourcemanager.googleapis.com/{relative}" if relative else ""

    def _at(self, days: float) -> datetime.datetime:
        return self._now + datetime.timedelta(days=days)

    def _millis(self, days: str) -> str:
        return str(int(self._at(float(days)).timestamp() * 1000))


def digits(text: str, number: int) -> str:
    """The same number of so many digits for the same text, always."""
    value = int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")
    return str(10 ** (number - 1) + value % (9 * 10 ** (number - 1)))


def _places(company: Company) -> dict[str, Place]:
    organization = f"organizations/{company.organization.id}"
    found = {ORGANIZATION: Place(ORGANIZATION, organization, (organization,))}
    for key, folder in company.folders.items():
        above = found[folder.parent or ORGANIZATION].ancestors
        relative = f"folders/{folder.id}"
        found[key] = Place(key, relative, (relative, *above))
    for key, project in company.projects.items():
        above = found[project.folder or ORGANIZATION].ancestors
        relative = f"projects/{project.number}"
        found[key] = Place(
            key, relative, (relative, *above), project.id, project.number, project.location
        )
    return found


def _policy(state: State, words: Words) -> Body:
    policy: Body = words.fill({"bindings": [], **(state.policy or {})})
    for role, members in state.grants.items():
        policy["bindings"].append({"role": words.fill(role), "members": words.fill(members)})
    conditional = any("condition" in binding for binding in policy["bindings"])
    policy["version"] = 3 if conditional else 1
    digest = hashlib.sha256(json.dumps(policy, sort_keys=True).encode()).digest()
    policy["etag"] = base64.b64encode(digest[:8]).decode()
    return policy


def _message(body: Body, since: datetime.datetime) -> Any:
    return json_format.ParseDict({**body, "updateTime": since.isoformat()}, ASSET())


def _yaml_files(folder: Traversable) -> Iterator[Traversable]:
    for file in sorted(folder.iterdir(), key=lambda item: item.name):
        if file.name.endswith(".yaml"):
            yield file


def _read(file: Traversable, model: TypeAdapter[Any]) -> Any:
    try:
        text = file.read_text(encoding="utf-8")
        return model.validate_python(yaml.load(text, Loader=LOADER))  # noqa: S506 (a safe one)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DemoError(f"cannot read the estate: {error}", where=file.name) from error
    except ValidationError as error:
        raise DemoError(f"the estate is not understood: {error}", where=file.name) from error
