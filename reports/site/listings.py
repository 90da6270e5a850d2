"""Data of the lists beside findings: gaps, resources, units, and the index that all lists share."""

from __future__ import annotations

from typing import Any

import duckdb

from controls.database import quoted
from reports.site.captures import stem
from reports.site.data import (
    FINDING_STATUSES,
    GAP_COLUMNS,
    RESOURCE_COLUMNS,
    UNIT_COLUMNS,
    Chunks,
)
from reports.site.folder import SiteFolder
from reports.site.model import (
    Site,
    check_page,
    control_link,
    framework_page,
    requirement_link,
)
from reports.site.names import slug
from reports.site.resources import anchor_of
from reports.view import SEVERITY_ORDER


def index_value(site: Site) -> dict[str, Any]:
    """What every list and the search need to know: checks, requirements, controls, places."""
    view = site.view
    return {
        "statuses": FINDING_STATUSES,
        "severities": SEVERITY_ORDER,
        "accounts": view.account_names,
        "checks": {
            name: [
                item.check.title,
                item.check.severity.value,
                item.check.control,
                check_page(name),
                [item.counts.get(status, 0) for status in FINDING_STATUSES],
            ]
            for name, item in site.checks.items()
        },
        "requirements": [
            [
                framework.title,
                item.requirement.id,
                item.requirement.title,
                item.status,
                requirement_link(framework.framework.id, item.requirement.id),
            ]
            for framework in view.frameworks
            for item in framework.requirements
        ],
        "frameworks": [[item.title, framework_page(item.framework.id)] for item in view.frameworks],
        "controls": [
            [name, control.title, control.objective, control_link(name)]
            for name, control in view.assessment.controls.items()
        ],
        "captureStems": {unit: stem(unit) for unit in sorted(site.captures.pages)},
        "resourceStems": {name: slug(name) for name in sorted(view.snapshot.schemas)},
        "types": {name: schema.title for name, schema in sorted(view.snapshot.schemas.items())},
    }


def write_gaps(site: Site, folder: SiteFolder) -> None:
    """Write the data of the list of gaps."""
    chunks = Chunks(folder, "gaps", GAP_COLUMNS)
    for gap in site.view.gaps:
        key = (gap.resource_type, gap.account, gap.region, gap.resource_id)
        page = site.resources.pages.get(key, 0) if gap.resource_id else 0
        chunks.add(
            gap.reason,
            gap.resource_type,
            gap.account,
            gap.region,
            gap.operation,
            gap.resource_id,
            gap.facet,
            gap.detail,
            page,
            anchor_of(key) if page else "",
            chunks.captures(gap.captures, site.captures),
        )
    chunks.finish()
    site.gap_chunks = chunks.count


def write_resources(site: Site, folder: SiteFolder) -> None:
    """Write the data of the list of resources: those that the site shows."""
    counts, names = _counts_by_resource(site), _names(site)
    chunks = Chunks(folder, "resources", RESOURCE_COLUMNS)
    nothing = [0] * len(FINDING_STATUSES)
    for key, page in site.resources.pages.items():
        chunks.add(*key, names.get(key, ""), page, anchor_of(key), counts.get(key, nothing))
    chunks.finish()
    site.resource_chunks = chunks.count


def _counts_by_resource(site: Site) -> dict[tuple[str, ...], list[int]]:
    path = quoted(str(site.view.assessment.folder / "findings.parquet"))
    counted = ", ".join(
        f"count(*) FILTER (status = {quoted(status)})" for status in FINDING_STATUSES
    )
    found: dict[tuple[str, ...], list[int]] = {}
    with duckdb.connect() as database:
        rows = database.execute(
            f"SELECT resource_type, account, region, resource_id, {counted}"
            f" FROM read_parquet({path}) GROUP BY ALL"
        )
        while batch := rows.fetchmany(10_000):
            for row in batch:
                if row[:4] in site.resources.pages:
                    found[row[:4]] = list(row[4:])
    return found


def _names(site: Site) -> dict[tuple[str, ...], str]:
    found: dict[tuple[str, ...], str] = {}
    with duckdb.connect() as database:
        for name in site.view.snapshot.schemas:
            path = quoted(str(site.view.snapshot.table(name)))
            rows = database.execute(f"SELECT account, region, id, name FROM read_parquet({path})")
            while batch := rows.fetchmany(10_000):
                for account, region, identity, shown in batch:
                    key = (name, account, region, identity)
                    if key in site.resources.pages:
                        found[key] = shown or ""
    return found


def write_units(site: Site, folder: SiteFolder) -> None:
    """Write the data of the list of segments."""
    chunks = Chunks(folder, "units", UNIT_COLUMNS)
    for path, segment in sorted(site.segments.items()):
        unit = segment.unit
        shown = site.captures.pages.get(path, {})
        chunks.add(
            unit.listed.value,
            unit.key.provider,
            unit.key.account,
            unit.key.region,
            unit.key.resource_type,
            unit.detail,
            unit.resources,
            unit.records,
            unit.redactions,
            segment.file,
            segment.sha256,
            [len(shown), max(shown.values(), default=0)],
        )
    chunks.finish()
    site.unit_chunks = chunks.count
