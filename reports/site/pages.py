"""Rendering: one method a kind of page, each with its title and its breadcrumbs."""

from __future__ import annotations

import shlex
from typing import Any
from urllib.parse import urlencode

from controls import maturity, openings, roadmap
from controls.scoring import one_decimal
from reports.site import captures, resources
from reports.site.folder import SiteFolder
from reports.site.model import Site, check_page, framework_page, links
from reports.site.names import page_name
from reports.site.render import environment
from reports.site.resources import anchor_of, key_of
from reports.view import CheckView, FrameworkView

Crumbs = list[tuple[str, str]]

_STATIC_ROWS = 50
"""Rows of a list that are in the page itself, for readers without scripts."""


class Renderer:
    """Writes the pages of a site into its folder."""

    def __init__(self, site: Site, folder: SiteFolder) -> None:
        self._site = site
        self._folder = folder
        self._env = environment()
        self._env.globals.update(
            site=site,
            view=site.view,
            resource_link=lambda finding: site.resources.href(key_of(finding)),
            gap_link=self._gap_link,
            capture_label=lambda text: captures.CaptureReference.parse(text).label,
            anchor_of=anchor_of,
            resource_page=resources.resource_page,
            **links(),
        )

    def _write(
        self, name: str, template: str, title: str, crumbs: Crumbs, section: str, **values: Any
    ) -> None:
        page = self._env.get_template(template).render(
            root="../" * name.count("/"),
            title=title,
            crumbs=[("Overview", "index.html"), *crumbs] if name != "index.html" else [],
            section=section,
            **values,
        )
        self._folder.write(name, page)

    def _gap_link(self, finding: Any) -> str:
        key = key_of(finding)
        if key[:3] not in self._site.unlisted:
            return ""
        values = {"type": key[0], "account": key[1], "region": key[2]}
        return f"gaps.html#{urlencode(values)}"

    def all_else(self) -> None:
        """Write every page that is neither of captures nor of resources."""
        self._write("index.html", "index.html.j2", "Overview", [], "index")
        for framework in self._site.view.frameworks:
            self._framework(framework)
        for check in self._site.checks.values():
            self._check(check)
        plain = (
            ("frameworks", "Frameworks"),
            ("checks", "Checks"),
            ("controls", "Common controls"),
            ("findings", "Findings"),
            ("resources", "Resources"),
            ("gaps", "Gaps"),
            ("captures", "Captures"),
            ("search", "Search"),
        )
        for name, title in plain:
            self._write(
                f"{name}.html", f"{name}.html.j2", title, [(title, "")], name, rows=_STATIC_ROWS
            )
        if self._site.maturity:
            self._maturity()
        self._verify()

    def _framework(self, framework: FrameworkView) -> None:
        title = framework.title
        self._write(
            framework_page(framework.framework.id),
            "framework.html.j2",
            title,
            [("Frameworks", "frameworks.html"), (title, "")],
            "frameworks",
            framework=framework,
        )

    def _maturity(self) -> None:
        self._write(
            "maturity.html",
            "maturity.html.j2",
            "Maturity and roadmap",
            [("Maturity and roadmap", "")],
            "maturity",
            level_names=maturity.LEVELS,
            level_formula=maturity.FORMULA,
            step_order=roadmap.ORDER,
            one_decimal=one_decimal,
            in_short=openings.in_short,
        )

    def _check(self, check: CheckView) -> None:
        self._write(
            check_page(check.check.id),
            "check.html.j2",
            check.check.title,
            [("Checks", "checks.html"), (check.check.title, "")],
            "checks",
            item=check,
            check=check.check,
            rows=_STATIC_ROWS,
            schema=self._site.view.snapshot.schemas.get(check.check.resource),
        )

    def capture_page(self, page: captures.CapturePage, *, last: bool) -> None:
        """Write one page of captures; `last` says that no other follows in its segment."""
        key = page.segment.unit.key
        self._write(
            page.name,
            "capture_page.html.j2",
            f"Captures: {key.resource_type}, {key.account}, {key.region}, page {page.number}",
            [("Captures", "captures.html"), (f"{key.path}, page {page.number}", "")],
            "captures",
            page=page,
            stem=captures.stem(key.path),
            last=last,
            page_name=page_name,
        )

    def resource_page(self, page: resources.ResourcePage) -> None:
        """Write one page of resources of a type."""
        name = page.schema.title or page.schema.resource_type
        suffix = f", page {page.number} of {page.of}" if page.of > 1 else ""
        self._write(
            page.path,
            "resource_page.html.j2",
            f"{name}{suffix}",
            [("Resources", "resources.html"), (f"{name}{suffix}", "")],
            "resources",
            page=page,
        )

    def _verify(self) -> None:
        view = self._site.view
        snapshot = f"snapshots/{view.snapshot.id}"
        assessment = f"assessments/{view.assessment.id}"
        self._write(
            "verify.html",
            "verify.html.j2",
            "How to verify",
            [("How to verify", "")],
            "verify",
            snapshot_folder=shlex.quote(snapshot),
            assessment_folder=shlex.quote(assessment),
            certificate=shlex.quote(f"certificates/{view.fingerprint}.pem"),
        )
