"""Which resources of a unit were written, and as what: 16 bytes a resource and no objects.

A unit may hold a million resources, and a page that comes twice must give no second row. The table
is one of open addressing with two 64-bit words a slot: a digest of the id, and one of the row. Two
ids of a million share a digest with a chance of three in a hundred million.
"""

from __future__ import annotations

import hashlib
from array import array

_FIRST_SLOTS = 1 << 8


class SeenRows:
    """Remembers rows by their id."""

    def __init__(self) -> None:
        self._slots = array("Q", bytes(16 * _FIRST_SLOTS))
        self._mask, self._count = _FIRST_SLOTS - 1, 0

    def seen(self, resource_id: str, content: bytes) -> bool | None:
        """Remember a row. Return None if its id is new, else whether it was the same row."""
        name, row = _digest(resource_id.encode()), _digest(content)
        slot = self._slot_of(name)
        if self._slots[slot]:
            return self._slots[slot + 1] == row
        self._slots[slot], self._slots[slot + 1] = name, row
        self._count += 1
        if self._count * 2 > self._mask:
            self._grow()
        return None

    def _slot_of(self, name: int) -> int:
        """Return where the digest of an id is, or belongs."""
        slot = name & self._mask
        while self._slots[2 * slot] not in (0, name):
            slot = (slot + 1) & self._mask
        return 2 * slot

    def _grow(self) -> None:
        before, self._mask = self._slots, 2 * self._mask + 1
        self._slots = array("Q", bytes(16 * (self._mask + 1)))
        for at in range(0, len(before), 2):
            if before[at]:
                slot = self._slot_of(before[at])
                self._slots[slot], self._slots[slot + 1] = before[at], before[at + 1]


def _digest(data: bytes) -> int:
    """Return 64 bits of SHA-256, never 0, which marks a free slot."""
    return int.from_bytes(hashlib.sha256(data).digest()[:8], "big") or 1
