"""What this machine must have besides Python packages, and which optional parts are installed."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from importlib import metadata

from auditpack.doctor.finding import Finding, ok, problem

_FOR_DEVELOPERS = frozenset({"dev", "test"})
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*")
_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")


def check_pdf() -> Iterator[Finding]:
    """Check that WeasyPrint finds the system libraries that lay out text."""
    try:
        import weasyprint
    except OSError as error:
        yield problem(
            "PDF",
            f"the text layout library Pango is missing: {str(error).splitlines()[0]}",
            "Install it (on Debian: apt-get install libpango-1.0-0 libpangoft2-1.0-0"
            " libharfbuzz-subset0). Everything but `auditpack pack` works without.",
        )
    else:
        yield ok("PDF", f"WeasyPrint {weasyprint.__version__} and its system libraries are there")


def check_extras() -> Iterator[Finding]:
    """Say which optional parts are installed; a store or key that lacks its own says so itself."""
    for extra, needed in sorted(extras().items()):
        missing = sorted(name for name in needed if not _installed(name))
        if missing:
            yield ok(
                f"extra {extra}",
                f"not installed, needed only where it is used: pip install 'auditpack[{extra}]'",
            )
        else:
            yield ok(f"extra {extra}", "installed")


def extras() -> dict[str, set[str]]:
    """Return the optional parts of auditpack and the packages of each, from its own metadata."""
    found: dict[str, set[str]] = defaultdict(set)
    for requirement in metadata.requires("auditpack") or ():
        extra, name = _EXTRA.search(requirement), _NAME.match(requirement)
        if extra and name and extra[1] not in _FOR_DEVELOPERS:
            found[extra[1]].add(name[0])
    return found


def _installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True
