"""Raw captures as pages: which are shown, on which page each lies, and what a page says of it.

A capture is addressed by its reference `provider/account/region/type#line`. Captures of one
segment lie together on pages of limited size; each is checked against the leaf hash that was
sealed before it is shown.
"""

from __future__ import annotations

import base64
import binascii
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import orjson

from evidence.canonical import sha256_hex
from evidence.errors import VerificationError
from evidence.merkle import leaf_hash
from evidence.segments import read_lines, segment_path
from evidence.snapshot import LEAVES_FILE, Snapshot
from evidence.units import UnitRecord
from reports.site.names import page_name, slug
from reports.site.text import pretty, shortened
from reports.view import SEVERITY_ORDER, ReportView

_PER_PAGE = 25
_PAGE_CHARACTERS = 300_000
_BODY_CHARACTERS = 200_000
_HASH_LENGTH = 32


@dataclass(frozen=True)
class CaptureReference:
    """A reference taken apart: the unit's path and the line in its segment."""

    unit: str
    line: int

    @classmethod
    def parse(cls, text: str) -> CaptureReference:
        """Take `provider/account/region/type#line` apart."""
        unit, _, line = text.rpartition("#")
        return cls(unit, int(line) if line.isdigit() else 0)

    @property
    def label(self) -> str:
        """A short name: resource type and line."""
        return f"{self.unit.rsplit('/', 1)[-1]}#{self.line}"

    @property
    def anchor(self) -> str:
        """The id of the capture on its page."""
        return f"c{self.line}"


@dataclass
class CaptureIndex:
    """Where captures are shown. `missing` is how many that findings cite were left out."""

    shown: int = 0
    recorded: int = 0
    missing: int = 0
    pages: dict[str, dict[int, int]] = field(default_factory=dict)
    """Unit path -> line -> number of the page."""

    def note(self, page: CapturePage) -> None:
        """Note where the captures of a page lie."""
        lines = self.pages.setdefault(page.segment.unit.key.path, {})
        lines.update({capture.reference.line: page.number for capture in page.captures})
        self.shown += len(page.captures)

    def page(self, reference: CaptureReference) -> int:
        """The page number of a capture; 0 where the site does not show it."""
        return self.pages.get(reference.unit, {}).get(reference.line, 0)

    @property
    def complete(self) -> bool:
        """Whether every capture of the snapshot is shown."""
        return self.shown == self.recorded

    def href(self, text: str) -> str:
        """The address of a capture, or of the segment that holds it, from the site's root."""
        reference = CaptureReference.parse(text)
        number = self.page(reference)
        if number:
            page = page_name(stem(reference.unit), number)
            return f"captures/{page}#{reference.anchor}"
        return f"captures.html#{segment_state(reference)}"


def segment_state(reference: CaptureReference) -> str:
    """The state of captures.html that shows one segment and how to find a line of it."""
    return urlencode({"unit": reference.unit, "line": reference.line})


def stem(unit_path: str) -> str:
    """The stem of the names of a unit's pages."""
    return slug(unit_path.replace("/", "."))


def choose(view: ReportView, limit: int) -> tuple[dict[str, set[int]], int]:
    """Return unit path -> lines to show, and how many cited captures the limit leaves out.

    Where all captures fit they are all shown; else those that open findings and gaps cite, the
    most severe first.
    """
    if sum(unit.records for unit in view.units) <= limit:
        return {u.key.path: set(range(1, u.records + 1)) for u in view.units if u.records}, 0
    chosen: dict[str, set[int]] = {}
    seen: set[str] = set()
    for text in _cited(view):
        if text in seen:
            continue
        seen.add(text)
        if len(seen) <= limit:
            reference = CaptureReference.parse(text)
            chosen.setdefault(reference.unit, set()).add(reference.line)
    return chosen, max(len(seen) - limit, 0)


def _cited(view: ReportView) -> Iterator[str]:
    for status in ("failures", "not_evidenced"):
        for severity in SEVERITY_ORDER:
            for check in view.checks:
                if check.check.severity == severity:
                    for finding in getattr(check, status):
                        yield from finding.captures
    for gap in view.gaps:
        yield from gap.captures


@dataclass(frozen=True)
class Segment:
    """A segment of the snapshot: its file in the store, and its place in the Merkle tree."""

    unit: UnitRecord
    file: str
    sha256: str
    length: int
    first_leaf: int

    def command(self, line: int | str) -> str:
        """The command that prints one record, run in the store's folder."""
        return f"zstd -dc {shlex.quote(self.file)} | sed -n {line}p"


def segments(snapshot: Snapshot, files: dict[str, tuple[str, int]]) -> dict[str, Segment]:
    """Return the snapshot's segments by unit path. `files` are those that its manifest names."""
    found: dict[str, Segment] = {}
    by_file = {segment_path(unit.key.path): unit for unit in snapshot.units}
    leaf = 0
    for item in snapshot.predicate["segments"]:
        unit = by_file[item["path"]]
        digest, length = files.get(item["path"], ("", 0))
        file = f"snapshots/{snapshot.id}/{item['path']}"
        found[unit.key.path] = Segment(unit, file, digest, length, leaf)
        leaf += item["records"]
    return found


@dataclass(frozen=True)
class CaptureView:
    """A capture as its page shows it. `record` is the JSON record as it was sealed."""

    reference: CaptureReference
    record: dict[str, Any]
    body: str
    form: str
    cut: int
    parameters: str
    command: str
    leaf: int
    leaf_sha256: str
    body_sha256: str

    @property
    def as_received(self) -> bool:
        """Whether the bytes of the body that was kept are those that the cloud sent."""
        return self.body_sha256 == self.record.get("received_sha256")


@dataclass(frozen=True)
class CapturePage:
    """One page of captures of one segment."""

    segment: Segment
    number: int
    captures: tuple[CaptureView, ...]

    @property
    def name(self) -> str:
        """The page's address from the site's root."""
        return f"captures/{page_name(stem(self.segment.unit.key.path), self.number)}"


def capture_pages(
    snapshot: Snapshot, segment: Segment, lines: Iterable[int]
) -> Iterator[CapturePage]:
    """Yield the pages that show `lines` of a segment. Raises VerificationError.

    A record whose leaf hash is not the one that was sealed is never shown.
    """
    wanted = set(lines)
    page: list[CaptureView] = []
    number, size = 1, 0
    for capture in _read(snapshot, segment, wanted):
        length = len(capture.body)
        if page and (len(page) >= _PER_PAGE or size + length > _PAGE_CHARACTERS):
            yield CapturePage(segment, number, tuple(page))
            page, size, number = [], 0, number + 1
        page.append(capture)
        size += length
    if page:
        yield CapturePage(segment, number, tuple(page))


def _read(snapshot: Snapshot, segment: Segment, wanted: set[int]) -> Iterator[CaptureView]:
    path = snapshot.segment(segment.unit.key.path)
    last = max(wanted, default=0)
    with (snapshot.folder / LEAVES_FILE).open("rb") as leaves:
        for number, line in enumerate(read_lines(path), start=1):
            if number > last:
                break
            if number in wanted:
                leaves.seek((segment.first_leaf + number - 1) * _HASH_LENGTH)
                if leaves.read(_HASH_LENGTH) != leaf_hash(line):
                    raise VerificationError(
                        f"record {number} is not the one that was sealed",
                        where=segment.file,
                        mend="Run `auditpack verify`; restore the store from a copy.",
                    )
                yield _view(segment, number, line)


def _view(segment: Segment, number: int, line: bytes) -> CaptureView:
    record: dict[str, Any] = orjson.loads(line)
    text, form = pretty(record["body"])
    if record["body_is"] == "as received, base64":
        text, form = record["body"], "bytes that are not text, in base64"
    body, cut = shortened(text, _BODY_CHARACTERS)
    return CaptureView(
        CaptureReference(segment.unit.key.path, number),
        record,
        body,
        form,
        cut,
        pretty(record["parameters"])[0],
        segment.command(number),
        segment.first_leaf + number,
        leaf_hash(line).hex(),
        sha256_hex(_body_bytes(record)),
    )


def _body_bytes(record: dict[str, Any]) -> bytes:
    body: str = record["body"]
    if record["body_is"] != "as received, base64":
        return body.encode()
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error:
        return b""
