"""OSCAL catalogues as frameworks: groups, controls and their enhancements become requirements.

Which common controls meet them, OSCAL does not say. Where a framework is named that the catalogue
is like, requirements of the same id get its controls; any other rests on what people bring until
somebody maps it.

Source: pages.nist.gov/OSCAL-Reference, "catalog" (JSON).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from controls.mappings import parts_of
from controls.models import Framework, Group, ManualEvidence, Requirement
from evidence.errors import DataError

_UNMAPPED = ManualEvidence(
    type="attestation", about="How it is met: no common control is named for it yet"
)


def framework_from_oscal(
    document: Any, *, framework_id: str, like: Framework | None = None, where: str = ""
) -> Framework:
    """Return the framework that a parsed OSCAL catalogue describes. Raises DataError."""
    catalog = document.get("catalog") if isinstance(document, dict) else None
    if not isinstance(catalog, dict):
        raise DataError(
            "this is no OSCAL catalogue",
            where=where,
            mend='Give the JSON form of a catalogue: an object with the member "catalog".',
        )
    metadata = catalog.get("metadata") or {}
    title = str(metadata.get("title") or framework_id)
    met = {} if like is None else {parts_of(item.id): item for item in like.requirements}
    groups: list[Group] = []
    requirements: list[Requirement] = []
    for group, controls in _groups(catalog, title):
        found = [_requirement(item, group.id, met) for item in controls]
        if found:
            groups.append(group)
            requirements.extend(found)
    if not requirements:
        raise DataError(
            "the catalogue holds no controls",
            where=where,
            mend="A profile has none of its own: import the catalogue that it was resolved into.",
        )
    return Framework(
        id=framework_id,
        title=title,
        version=str(metadata.get("version") or "unknown"),
        publisher=_publisher(metadata),
        source=f"OSCAL catalogue {catalog.get('uuid', '')}".strip(),
        about=f"Imported from an OSCAL catalogue: {title}.",
        scope="All controls that are not withdrawn, with their enhancements.",
        groups=tuple(groups),
        requirements=tuple(requirements),
    )


def _publisher(metadata: Mapping[str, Any]) -> str:
    parties = [p for p in metadata.get("parties") or [] if isinstance(p, dict) and p.get("name")]
    return str(parties[0]["name"]) if parties else "unknown"


def _groups(
    catalog: Mapping[str, Any], title: str
) -> Iterator[tuple[Group, list[Mapping[str, Any]]]]:
    """Yield every group with its controls; what stands in no group is in one of the title."""
    alone = [*_controls(catalog)]
    if alone:
        yield Group(id="catalog", title=title), alone
    for number, group in enumerate(_members(catalog, "groups"), start=1):
        name = str(group.get("id") or f"group-{number}")
        yield Group(id=name, title=str(group.get("title") or name)), [*_controls(group)]
        yield from _groups({"groups": _members(group, "groups")}, title)


def _controls(holder: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield controls and their enhancements, without what is withdrawn."""
    for control in _members(holder, "controls"):
        if _property(control, "status") != "withdrawn":
            yield control
            yield from _controls(control)


def _members(holder: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    return [item for item in holder.get(name) or [] if isinstance(item, dict)]


def _property(control: Mapping[str, Any], name: str) -> str:
    """Return the first property of a name, those without a class first."""
    found = [item for item in _members(control, "props") if item.get("name") == name]
    found.sort(key=lambda item: "class" in item)
    return str(found[0].get("value") or "") if found else ""


def _requirement(
    control: Mapping[str, Any], group: str, met: Mapping[tuple[str, ...], Requirement]
) -> Requirement:
    name = _property(control, "label") or str(control.get("id") or "")
    known = met.get(parts_of(name)) or met.get(parts_of(str(control.get("id") or "")))
    return Requirement(
        id=name,
        title=str(control.get("title") or name),
        group=group,
        controls=known.controls if known else (),
        manual_evidence=known.manual_evidence if known else (_UNMAPPED,),
    )
