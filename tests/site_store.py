"""Estates, links and a browser for the tests of the HTML site. Stores come from `pack_store`."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

from pack_store import CHECKS, Bucket, Built, build_store, check

from reports.view import ReportView, RequirementView

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

SCRIPT = "<script>document.title='pwned'</script>"
IMAGE = "\"'><img src=x onerror=\"document.title='pwned'\">"
HIDDEN = "invoice\u202egpj.exe"
"""A name that a browser would show with its end reversed."""


def small(root: Path) -> Built:
    """An estate with every status that a cloud alone can give."""
    buckets = [
        Bucket("halden-data", "AES256", "Enabled", "data"),
        Bucket("halden-logs", "NONE", "Enabled", "platform"),
        Bucket("halden-site", "AES256", "Disabled"),
        Bucket("halden-vault", None, "Enabled"),
    ]
    return build_store(root, buckets, redact=True)


def hostile(root: Path) -> Built:
    """An estate in which everything that a stranger can name is an attack."""
    attack = check(
        "bucket_attack",
        "encryption",
        "encryption.algorithm in ('AES256', 'aws:kms')",
        "'</script>' || encryption.algorithm",
        title=f"Attack {SCRIPT}",
        severity="critical",
        rationale=IMAGE,
        remediation=f"{SCRIPT} and {IMAGE}",
        references=("javascript:alert(1)", "https://example.org/a?b=<c>&d='\"", "data:text/html,x"),
        equivalents={"demo": "1.1", "<b>": SCRIPT},
    )
    buckets = [Bucket(SCRIPT, "NONE"), Bucket(IMAGE, None), Bucket(HIDDEN), Bucket("</title>-->")]
    return build_store(root, buckets, account_name=SCRIPT, checks=(attack, *CHECKS[1:]))


def many(root: Path, buckets: int) -> Built:
    """An estate with two findings for each of `buckets` buckets, one in ten of them failing."""
    estate = [
        Bucket(f"bucket-{n:05}", "NONE" if n % 10 == 0 else "AES256", owner=f"team-{n % 7}")
        for n in range(buckets)
    ]
    return build_store(root, estate, queues_denied=False)


@dataclass
class Page(HTMLParser):
    """What a test wants to know of a page: its links, ids, and tags with their attributes."""

    text: str
    links: list[str] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if identity := attributes.get("id"):
            assert identity not in self.ids, f"two elements have the id {identity}"
            self.ids.add(identity)
        for name in ("href", "src"):
            if (link := attributes.get(name)) is not None and tag != "use":
                self.links.append(link)

    def count(self, tag: str) -> int:
        """How many elements of a kind the page has."""
        return sum(name == tag for name, _ in self.tags)


def pages(site: Path) -> dict[Path, Page]:
    """Every page of a site, read."""
    return {file: Page(file.read_text()) for file in sorted(site.rglob("*.html"))}


def broken_links(site: Path) -> Iterator[str]:
    """Name every link of a site that leads nowhere, as `page -> link`."""
    read = pages(site)
    for file, page in read.items():
        for link in page.links:
            if link.startswith(("https://", "http://")):
                continue
            path, _, fragment = link.partition("#")
            target = (file.parent / unquote(path)).resolve() if path else file
            lost = not target.is_file() or not target.is_relative_to(site.resolve())
            if not lost and fragment and "=" not in fragment:
                lost = fragment not in read[target].ids
            if lost:
                yield f"{file.relative_to(site)} -> {link}"


def in_browser(page: Path, fragment: str = "", *, milliseconds: int = 8_000) -> str:
    """Open a page of a site in a real browser, from its file, and return the document it makes."""
    assert CHROMIUM is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [
            CHROMIUM,
            *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *("--dump-dom", f"--virtual-time-budget={milliseconds}", f"--user-data-dir={profile}"),
            page.resolve().as_uri() + (f"#{fragment}" if fragment else ""),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


def declared_not_applicable(view: ReportView, requirement: str, because: str) -> ReportView:
    """The view as it is where the company says that a requirement does not apply."""

    def changed(item: RequirementView) -> RequirementView:
        if item.requirement.id != requirement:
            return item
        return replace(item, status="not_applicable", because=because)

    frameworks = tuple(
        replace(framework, requirements=tuple(map(changed, framework.requirements)))
        for framework in view.frameworks
    )
    return replace(view, frameworks=frameworks)
