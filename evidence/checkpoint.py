"""Checkpoints: a log's size and root under its name, as a signed note (C2SP tlog-checkpoint).

    example.org/audit
    42
    <base64 of the RFC 6962 root over the first 42 leaves>

Whoever keeps one can later have it proven that the log only grew (`merkle.check_consistency`).
Specification: https://c2sp.org/tlog-checkpoint
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass

from evidence.errors import VerificationError
from evidence.keys import SigningKey
from evidence.merkle import EMPTY_ROOT, HASH_LENGTH
from evidence.signed_note import SignedNote, decode_base64, sign_note

_DECIMAL = re.compile("0|[1-9][0-9]{0,17}")
_LINES = 3


@dataclass(frozen=True)
class Checkpoint:
    """A log's name, its number of leaves, and their root (32 bytes).

    Raises ValueError when these cannot be a checkpoint.
    """

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        if not self.origin or "\n" in self.origin:
            raise ValueError("a checkpoint's origin is one line and not empty")
        if self.size < 0:
            raise ValueError(f"a log cannot have {self.size} entries")
        if len(self.root) != HASH_LENGTH:
            raise ValueError(f"a root has {HASH_LENGTH} bytes, not {len(self.root)}")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise ValueError("this is not the root of an empty log")

    def text(self) -> str:
        """Return the text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, text: str, *, where: str = "") -> Checkpoint:
        """Read a text that is exactly what `text` writes. Raises VerificationError.

        Extension lines are refused: we never write any, and nobody could audit them.
        """
        try:
            *lines, rest = text.split("\n")
            if rest or len(lines) != _LINES:
                raise ValueError("its text is not three lines (origin, size, root)")
            return cls(lines[0], parse_decimal(lines[1]), decode_base64(lines[2]))
        except ValueError as error:
            raise VerificationError(
                f"not a checkpoint: {error}",
                where=where,
                mend="Give a checkpoint as auditpack wrote it, without any change.",
            ) from error


def sign_checkpoint(checkpoint: Checkpoint, keys: Sequence[SigningKey]) -> str:
    """Return the signed note; every key signs under the checkpoint's origin.

    Raises ValueError when the origin cannot name a key (see `signed_note.check_key_name`).
    """
    return sign_note(checkpoint.text(), checkpoint.origin, keys).render()


def read_checkpoint(note: str, *, where: str = "") -> tuple[Checkpoint, SignedNote]:
    """Read a checkpoint from its signed note. Raises VerificationError.

    The signatures are not checked here: ask `SignedNote.signed_by` with a key that you trust.
    """
    signed = SignedNote.parse(note, where=where)
    return Checkpoint.parse(signed.text, where=where), signed


def parse_decimal(text: str) -> int:
    """Return a number of ASCII digits without leading zeros, below 10**18. Raises ValueError."""
    if not _DECIMAL.fullmatch(text):
        raise ValueError(f"not a decimal number without leading zeros: {text[:80]!r}")
    return int(text)
