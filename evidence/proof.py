"""Proof that a log holds a record, in one text for a reader without the log (C2SP tlog-proof).

The record's index and audit path, and the signed checkpoint whose root they lead to. Such a text
is usually kept in a file that ends in `.tlog-proof`.
Specification: https://c2sp.org/tlog-proof
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

from evidence.checkpoint import Checkpoint, parse_decimal, read_checkpoint
from evidence.errors import VerificationError
from evidence.merkle import HASH_LENGTH, root_from_path
from evidence.signed_note import decode_base64

_FIRST_LINE = "c2sp.org/tlog-proof@v1"
_INDEX = "index "
_LONGEST_PATH = 63
"""The height of the largest tree whose size others keep in a signed 64-bit integer."""
_MEND = "Take the proof from its source again, or make a new one from the log."


@dataclass(frozen=True)
class LogProof:
    """The index of a record (from 0), its audit path (bottom first) and a signed checkpoint.

    Raises ValueError when index or path cannot be a proof's.
    """

    index: int
    path: tuple[bytes, ...]
    checkpoint_note: str

    def __post_init__(self) -> None:
        if self.index < 0:
            raise ValueError(f"no record has the index {self.index}")
        if len(self.path) > _LONGEST_PATH:
            raise ValueError(f"a path of {len(self.path)} hashes is longer than any tree is high")
        if any(len(part) != HASH_LENGTH for part in self.path):
            raise ValueError(f"a path is made of hashes of {HASH_LENGTH} bytes")

    def render(self) -> str:
        """Return the whole proof."""
        path = [base64.b64encode(part).decode() for part in self.path]
        head = "\n".join((_FIRST_LINE, f"{_INDEX}{self.index}", *path))
        return f"{head}\n\n{self.checkpoint_note}"

    @classmethod
    def parse(cls, text: str, *, where: str = "") -> LogProof:
        """Read a proof that is written exactly as `render` writes it. Raises VerificationError.

        A line of extra data is refused: we never write one, and nothing would vouch for it.
        """
        head, separator, note = text.partition("\n\n")
        try:
            if not separator:
                raise ValueError("there is no empty line before the checkpoint")
            found = cls(*_parse_head(head), note)
        except ValueError as error:
            raise VerificationError(
                f"not a proof of a log: {error}", where=where, mend=_MEND
            ) from error
        read_checkpoint(note, where=where)
        return found

    def check(self, leaf: bytes, *, where: str = "") -> Checkpoint:
        """Return the checkpoint that the record with this leaf hash (32 bytes) is proven under.

        Raises VerificationError when the path does not lead to its root. The checkpoint counts
        only when it is signed: ask `SignedNote.signed_by` (see `checkpoint.read_checkpoint`).
        """
        checkpoint, _ = read_checkpoint(self.checkpoint_note, where=where)
        try:
            root = root_from_path(leaf, self.index, checkpoint.size, self.path)
        except ValueError as error:
            raise VerificationError(
                f"the proof does not fit its checkpoint: {error}", where=where, mend=_MEND
            ) from error
        if root != checkpoint.root:
            raise VerificationError(
                f"the record is not entry {self.index} of the log that the checkpoint signs",
                where=where,
                mend="Record, index or path was changed, or they belong to another log.",
            )
        return checkpoint


def _parse_head(head: str) -> tuple[int, tuple[bytes, ...]]:
    """Return index and path. Raises ValueError."""
    lines = head.split("\n")
    if lines[0] != _FIRST_LINE:
        raise ValueError(f"its first line is not {_FIRST_LINE}")
    if len(lines) == 1 or not lines[1].startswith(_INDEX):
        raise ValueError("its second line is not the index")
    return parse_decimal(lines[1].removeprefix(_INDEX)), tuple(map(decode_base64, lines[2:]))
