"""Rendering: templates and the view in, PDF/A-3 bytes out, the same bytes for the same input.

WeasyPrint may read the bundled fonts and nothing else: no file, no network. Dates come from the
assessment, the PDF identifier from its id, and nothing from the clock.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controls import maturity, openings, roadmap
from controls.scoring import one_decimal
from evidence.canonical import sha256_hex
from reports import charts, dates
from reports.pack import text
from reports.pack.attachments import Attached
from reports.pack.context import PackContext, in_words
from reports.pack.errors import MissingLibrariesError, PackError
from reports.pack.words import FINDING_ORDER, GAP_MEANINGS, GLOSSARY, REQUIREMENT_MEANINGS
from reports.view import SEVERITY_ORDER, STATUS_ORDER

_TEMPLATES = Path(__file__).parent / "templates"
_STYLE = Path(__file__).parent / "style.css"
_FONT_SCHEME = "auditpack:fonts/"
_LANGUAGE = "en"


@dataclass(frozen=True)
class Rendered:
    """An unsigned PDF and how many pages it has."""

    pdf: bytes
    pages: int


def render_html(context: PackContext) -> str:
    """Return the pack as HTML, everything escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        finalize=text.finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        {
            "n": text.thousands,
            "percent": text.percent,
            "day": dates.day,
            "moment": dates.moment,
            "joined": text.joined,
            "in_words": in_words,
        }
    )
    environment.globals.update(
        {
            "charts": charts,
            "level_names": maturity.LEVELS,
            "level_formula": maturity.FORMULA,
            "one_decimal": one_decimal,
            "in_short": openings.in_short,
            "step_order": roadmap.ORDER,
            "styles": charts.STYLES,
            "plural": text.plural,
            "finding_order": FINDING_ORDER,
            "status_order": STATUS_ORDER,
            "severity_order": SEVERITY_ORDER,
            "requirement_meanings": REQUIREMENT_MEANINGS,
            "gap_meanings": GAP_MEANINGS,
            "glossary": GLOSSARY,
            "language": _LANGUAGE,
        }
    )
    template = environment.get_template("pack.html.j2")
    return template.render(pack=context, view=context.view, results=context.view.assessment.results)


def render_pdf(context: PackContext) -> Rendered:
    """Lay the pack out as unsigned PDF/A-3b with its attachments.

    Raises MissingLibrariesError without WeasyPrint's libraries, PackError when layout fails.
    """
    weasyprint = _weasyprint()
    fetcher = _bundled_files_only()
    from weasyprint.text.fonts import FontConfiguration
    from weasyprint.urls import FatalURLFetchingError

    fonts = FontConfiguration()
    try:
        style = weasyprint.CSS(
            string=_STYLE.read_text("utf-8"), font_config=fonts, url_fetcher=fetcher
        )
        page = weasyprint.HTML(string=render_html(context), url_fetcher=fetcher)
        document = page.render(
            font_config=fonts,
            stylesheets=[style],
            pdf_variant="pdf/a-3b",
            pdf_tags=True,
        )
        _describe(document.metadata, context)
        pdf = document.write_pdf(
            finisher=_tidied(context.attachments),
            pdf_variant="pdf/a-3b",
            pdf_tags=True,
            output_intent="srgb",
            pdf_identifier=bytes.fromhex(_identifier(context)),
            attachments=_attachments(weasyprint, context),
        )
    except FatalURLFetchingError as error:
        raise PackError(
            f"a template or the style sheet asks for what is not part of auditpack: {error}",
            where=str(_STYLE),
            mend="Install auditpack again: a font is missing or a template was changed.",
        ) from error
    return Rendered(bytes(pdf), len(document.pages))


def _weasyprint() -> Any:
    try:
        import weasyprint
    except (OSError, ImportError) as error:
        raise MissingLibrariesError(str(error).splitlines()[0]) from error
    return weasyprint


def _bundled_files_only() -> Any:
    """Return a URL fetcher that knows the bundled fonts by exact name, and refuses all else."""
    from weasyprint.urls import URLFetcher, URLFetcherResponse

    known = {_FONT_SCHEME + name: text.FONT_FOLDER / name for name in text.FONTS}

    class BundledFiles(URLFetcher):  # type: ignore[misc, unused-ignore]
        """Fetches bundled fonts only."""

        def fetch(self, url: str, headers: Any = None) -> Any:
            """Return a bundled font. Raises ValueError for any other address."""
            del headers
            if url not in known:
                raise ValueError(f"not a part of the pack: {url[:80]}")
            return URLFetcherResponse(url, known[url].read_bytes(), {"Content-Type": "font/ttf"})

    return BundledFiles(fail_on_errors=True)


def _describe(metadata: Any, context: PackContext) -> None:
    view = context.view
    metadata.title = f"Audit evidence pack {text.printable(context.pack_id)}"
    metadata.authors = [text.printable(view.organisation)]
    metadata.description = (
        f"Evidence of {text.printable(view.organisation)}, {view.period_from} to {view.period_to},"
        f" from snapshot {view.snapshot.id}"
    )
    metadata.keywords = [text.printable(item.title) for item in view.frameworks]
    metadata.generator = f"auditpack {view.tool_version}"
    metadata.created = metadata.modified = f"{_as_of(context):%Y-%m-%dT%H:%M:%SZ}"
    metadata.lang = _LANGUAGE


def _as_of(context: PackContext) -> datetime.datetime:
    """The time that the assessment judges at: the only time that the unsigned PDF knows."""
    found = dates.parsed_moment(str(context.view.assessment.results["as_of"]))
    return (found or datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)).replace(microsecond=0)


def _identifier(context: PackContext) -> str:
    """32 hexadecimal digits that name this pack of this assessment."""
    return sha256_hex(f"{context.pack_id} {context.view.assessment.manifest_digest}".encode())[:32]


def _attachments(weasyprint: Any, context: PackContext) -> Sequence[Any]:
    moment = _as_of(context)

    def attached(file: Attached) -> Any:
        return weasyprint.Attachment(
            string=file.data,
            name=file.name,
            description=f"{file.about}; SHA-256 {file.sha256}",
            created=moment,
            modified=moment,
            relationship=file.relationship,
        )

    return [attached(file) for file in context.attachments]


def _tidied(files: Sequence[Attached]) -> Callable[[Any, Any], None]:
    """Return what WeasyPrint runs before it writes the PDF.

    It names each associated file once (WeasyPrint lists them twice in /AF) and sets media types
    that do not depend on the machine's own table of them.
    """

    def tidy(_document: Any, pdf: Any) -> None:
        if files:
            pdf.catalog["AF"][:] = list(dict.fromkeys(pdf.catalog["AF"]))
        entries = [item for item in pdf.objects if _is_file_entry(item)]
        for file, entry in zip(files, entries, strict=True):
            stream = pdf.objects[int(entry["EF"]["F"].split()[0])]
            stream.extra["Subtype"] = "/" + file.media_type.replace("/", "#2f")

    return tidy


def _is_file_entry(item: Any) -> bool:
    return isinstance(item, dict) and item.get("Type") == "/Filespec"
