"""Making the site, front to back: captures, then data, then resources, then the pages above them.

The order is that of the links: a page is written when the places of all that it points to are
known. Nothing but the view and the store goes in, so the same view gives the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from controls.assessment import Finding
from evidence.store import Store
from reports.site import captures, pages, resources
from reports.site.data import FINDING_COLUMNS, FINDING_STATUSES, Chunks, add_finding, script
from reports.site.folder import SiteError, SiteFolder
from reports.site.listings import index_value, write_gaps, write_resources, write_units
from reports.site.model import Site
from reports.site.render import STATIC
from reports.site.resources import Key
from reports.view import SEVERITY_ORDER, ReportView

__all__ = ["Limits", "SiteError", "make_site"]


@dataclass(frozen=True)
class Limits:
    """How much a site shows before it leaves out what needs nobody, and says so."""

    captures: int = 5_000
    resources: int = 10_000
    findings: int = 200_000


_DEFAULT = Limits()


def make_site(
    view: ReportView,
    store: Store,
    target: Path,
    *,
    max_captures: int = _DEFAULT.captures,
    max_resources: int = _DEFAULT.resources,
    max_findings: int = _DEFAULT.findings,
) -> Path:
    """Write the site of `view` into the folder `target` and return its `index.html`.

    A site that is there already is replaced. Where the snapshot holds more than the limits, the
    site shows what open findings rest on, most severe first, and says what it leaves out.
    Raises SiteError when it cannot be written, VerificationError when a capture is not what was
    sealed.
    """
    limits = Limits(max_captures, max_resources, max_findings)
    folder = SiteFolder.start(target)
    try:
        _write_site(view, store, folder, limits)
        folder.finish(
            {
                "assessment": view.assessment.id,
                "assessment_manifest_sha256": view.assessment.manifest_digest,
                "snapshot_manifest_sha256": view.snapshot.manifest_digest,
                "tool_version": view.tool_version,
            }
        )
    except BaseException:
        folder.abandon()
        raise
    return target / "index.html"


def _write_site(view: ReportView, store: Store, folder: SiteFolder, limits: Limits) -> None:
    manifest = store.manifest("snapshot", view.snapshot.id)
    index = captures.CaptureIndex(recorded=sum(unit.records for unit in view.units))
    site = Site(view, manifest, index, resources.choose(view, limits.resources))
    renderer = pages.Renderer(site, folder)
    _write_captures(site, renderer, limits.captures)
    on_resources = _write_findings(site, folder, limits.findings)
    write_gaps(site, folder)
    write_resources(site, folder)
    write_units(site, folder)
    folder.write("data/index.js", script("index", 0, index_value(site)))
    for page in resources.resource_pages(view.snapshot, site.resources, on_resources):
        renderer.resource_page(page)
    renderer.all_else()
    for path in sorted(STATIC.iterdir()):
        folder.write(f"static/{path.name}", path.read_bytes())


def _write_captures(site: Site, renderer: pages.Renderer, limit: int) -> None:
    chosen, site.captures.missing = captures.choose(site.view, limit)
    for unit_path in sorted(chosen):
        found = captures.capture_pages(
            site.view.snapshot, site.segments[unit_path], chosen[unit_path]
        )
        before = None
        for page in found:
            site.captures.note(page)
            if before is not None:
                renderer.capture_page(before, last=False)
            before = page
        if before is not None:
            renderer.capture_page(before, last=True)


def _write_findings(site: Site, folder: SiteFolder, limit: int) -> dict[Key, list[Finding]]:
    """Write the findings' data; return the findings on the resources that the site shows."""
    chunks = Chunks(folder, "findings", FINDING_COLUMNS)
    allowed = _allowances(site.view, limit)
    on_resources: dict[Key, list[Finding]] = {}
    for finding in site.view.assessment.findings():
        site.findings.recorded += 1
        key = resources.key_of(finding)
        if key in site.resources.pages:
            on_resources.setdefault(key, []).append(finding)
        kind = (finding.status, finding.severity)
        if allowed[kind] <= 0:
            continue
        allowed[kind] -= 1
        number = add_finding(chunks, finding, site.captures, site.resources, site.unlisted)
        numbers = site.findings.by_check.setdefault(finding.check_id, [])
        if number not in numbers:
            numbers.append(number)
    chunks.finish()
    site.findings.chunks, site.findings.rows = chunks.count, chunks.rows
    return on_resources


def _allowances(view: ReportView, limit: int) -> dict[tuple[str, str], int]:
    """How many findings of each status and severity are listed: what needs a person first."""
    by_severity = view.assessment.results["findings"]["by_severity"]
    left = limit
    allowed = {}
    for status in FINDING_STATUSES:
        for severity in SEVERITY_ORDER:
            taken = min(by_severity.get(severity, {}).get(status, 0), left)
            allowed[status, severity] = taken
            left -= taken
    return allowed
