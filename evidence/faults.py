"""What verification finds: faults, remarks, and the report that holds them."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Fault:
    """One thing that is not as it was sealed. `path` is relative to the store."""

    path: str
    what: str


@dataclass(frozen=True)
class LogState:
    """The log as verified: what an auditor notes down, or compares with what he noted."""

    origin: str
    size: int
    root: str
    checkpoint: str
    timestamped: int
    latest_timestamp: str


@dataclass
class VerificationReport:
    """What verification found. `ok` is true when there is no fault.

    `remarks` are no faults, but a reader should know them: a missing timestamp, a revocation that
    only the producer's word places in time. `bytes` counts sealed files, `evidence_bytes` captures
    as they were before compression.
    """

    sealed: dict[str, int] = field(default_factory=dict)
    files: int = 0
    bytes: int = 0
    evidence_bytes: int = 0
    records: int = 0
    incomplete: list[str] = field(default_factory=list)
    signers: dict[str, str] = field(default_factory=dict)
    pinned: bool = False
    log: LogState | None = None
    since: str = ""
    remarks: list[Fault] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults

    def fault(self, path: str, what: str) -> None:
        """Note something that is wrong with `path`."""
        self.faults.append(Fault(printable(path), what))

    def remark(self, path: str, what: str) -> None:
        """Note something about `path` that is no fault."""
        self.remarks.append(Fault(printable(path), what))


def printable(path: str) -> str:
    """Return a path as it can be shown: stray files may have names that fake lines of a report.

    Line ends, control characters and bytes that are not UTF-8 are written as Python escapes.
    """
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in path
    )
