"""Merkle tree hashing as in RFC 6962, section 2.1 (and RFC 9162): roots and proofs.

Leaves are leaf hashes, 32 bytes each; the tree is over their order. SHA-256 throughout.
`RootBuilder` is for a root alone, over any number of leaves; `MerkleTree` also gives paths.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

HASH_LENGTH = 32
"""Bytes of a SHA-256 hash."""

_READ_AT_ONCE = 2048

EMPTY_ROOT = hashlib.sha256(b"").digest()
"""The root of a tree without leaves (RFC 6962, 2.1)."""


def leaf_hash(data: bytes) -> bytes:
    """Return SHA-256(0x00 || data), the hash of one leaf."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return SHA-256(0x01 || left || right), the hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def read_leaves(file: Path, start: int = 0, count: int | None = None) -> Iterator[bytes]:
    """Yield `count` leaf hashes of a file that holds nothing else, from number `start` on.

    All of them when `count` is None, fewer when there are not so many; never much in memory.
    """
    with file.open("rb") as opened:
        opened.seek(start * HASH_LENGTH)
        left = count
        while left is None or left > 0:
            wanted = _READ_AT_ONCE if left is None else min(left, _READ_AT_ONCE)
            data = opened.read(wanted * HASH_LENGTH)
            if not data:
                return
            for at in range(0, len(data), HASH_LENGTH):
                yield data[at : at + HASH_LENGTH]
            left = None if left is None else left - wanted


class RootBuilder:
    """Computes a root over a stream of leaf hashes in O(log n) memory.

    It keeps the roots of the perfect subtrees to the left, as a binary counter does.
    """

    def __init__(self) -> None:
        self.size = 0
        self._stack: list[bytes] = []

    def add(self, leaf: bytes) -> None:
        """Append one leaf hash (32 bytes)."""
        carry = self.size
        while carry & 1:
            leaf = node_hash(self._stack.pop(), leaf)
            carry >>= 1
        self._stack.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """Return the root over the leaves so far (32 bytes)."""
        if not self._stack:
            return EMPTY_ROOT
        result = self._stack[-1]
        for left in reversed(self._stack[:-1]):
            result = node_hash(left, result)
        return result


def root_of(leaves: Iterable[bytes]) -> bytes:
    """Return the root over leaf hashes."""
    builder = RootBuilder()
    for leaf in leaves:
        builder.add(leaf)
    return builder.root()


class MerkleTree:
    """A tree that keeps its inner nodes, so that roots and paths cost O(log n) hashes each.

    Only the roots of perfect subtrees are kept (about 80 bytes a leaf): they never change when
    leaves are added, so the tree also answers for every size that it had before.
    """

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self._levels: list[list[bytes]] = [[]]
        for leaf in leaves:
            self.add(leaf)

    def __len__(self) -> int:
        return len(self._levels[0])

    def add(self, leaf: bytes) -> None:
        """Append one leaf hash (32 bytes)."""
        for level in self._levels:
            level.append(leaf)
            if len(level) & 1:
                return
            leaf = node_hash(level[-2], level[-1])
        self._levels.append([leaf])

    def root(self) -> bytes:
        """Return the root over all leaves (32 bytes)."""
        return self.root_at(len(self))

    def root_at(self, size: int) -> bytes:
        """Return the root when the tree had `size` leaves. Raises ValueError when it never had."""
        self._check_size(size)
        return self._root_between(0, size) if size else EMPTY_ROOT

    def audit_path(self, index: int, size: int | None = None) -> list[bytes]:
        """Return the audit path of leaf `index` (RFC 6962, 2.1.1), bottom first.

        `size` is that of the tree whose root it leads to; all leaves when None. Raises IndexError
        when there is no such leaf, ValueError when the tree never had that size.
        """
        end = len(self) if size is None else size
        self._check_size(end)
        if not 0 <= index < end:
            raise IndexError(f"no leaf {index} in a tree of {end}")
        start, path = 0, []
        while end - start > 1:
            middle = start + _largest_power_of_two_below(end - start)
            if index < middle:
                path.append(self._root_between(middle, end))
                end = middle
            else:
                path.append(self._root_between(start, middle))
                start = middle
        path.reverse()
        return path

    def consistency_path(self, first: int, second: int | None = None) -> list[bytes]:
        """Return the proof that the tree of `first` leaves begins that of `second`, bottom first.

        RFC 6962, 2.1.2; `second` is all leaves when None. The path is empty when both are equal
        and when the first is empty: there is nothing to show. Raises ValueError when the tree
        never had such sizes, or not in this order.
        """
        end = len(self) if second is None else second
        self._check_size(end)
        if not 0 <= first <= end:
            raise ValueError(f"a tree of {first} leaves does not come before one of {end}")
        if first == 0:
            return []
        start, path = 0, []
        while first != end:
            middle = start + _largest_power_of_two_below(end - start)
            if first <= middle:
                path.append(self._root_between(middle, end))
                end = middle
            else:
                path.append(self._root_between(start, middle))
                start = middle
        if start:  # else this is the first tree itself, whose root the reader has
            path.append(self._root_between(start, end))
        path.reverse()
        return path

    def _check_size(self, size: int) -> None:
        if not 0 <= size <= len(self):
            raise ValueError(f"no tree of {size} leaves: there are {len(self)}")

    def _root_between(self, start: int, end: int) -> bytes:
        """Return the root over leaves `start` to `end`, a subtree as RFC 6962 splits them."""
        perfect = []
        while start < end:
            height = (end - start).bit_length() - 1
            perfect.append(self._levels[height][start >> height])
            start += 1 << height
        result = perfect.pop()
        while perfect:
            result = node_hash(perfect.pop(), result)
        return result


def audit_path(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """Return the audit path of leaf `index` (RFC 6962, 2.1.1), bottom first, in O(n) hashes.

    For many paths of one tree use `MerkleTree`. Raises IndexError when there is no such leaf.
    """
    return MerkleTree(leaves).audit_path(index)


def consistency_path(first: int, leaves: Sequence[bytes]) -> list[bytes]:
    """Return the proof that the first `first` leaves begin `leaves` (RFC 6962, 2.1.2).

    For many proofs of one tree use `MerkleTree`. Raises ValueError when there are fewer leaves.
    """
    return MerkleTree(leaves).consistency_path(first)


def root_from_path(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """Return the root that `path` proves for `leaf` (RFC 9162, 2.1.3.2).

    Raises ValueError when the path does not fit a tree of `size` leaves.
    """
    if not 0 <= index < size:
        raise ValueError(f"no leaf {index} in a tree of {size}")
    _check_hashes((leaf, *path))
    first, last, result = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise ValueError("the path is longer than the tree is high")
        if first & 1 or first == last:
            result = node_hash(sibling, result)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            result = node_hash(result, sibling)
        first, last = first >> 1, last >> 1
    if last:
        raise ValueError("the path is shorter than the tree is high")
    return result


def check_consistency(
    first: int, first_root: bytes, second: int, second_root: bytes, path: Sequence[bytes]
) -> None:
    """Check that a tree of `second` leaves begins with that of `first` (RFC 9162, 2.1.4.2).

    Raises ValueError when `path` does not prove it. Any tree begins with the empty one, and a tree
    with itself: for these the path must be empty.
    """
    if not 0 <= first <= second:
        raise ValueError(f"a tree of {first} leaves does not come before one of {second}")
    _check_hashes((first_root, second_root, *path))
    if first in (0, second):
        expected = EMPTY_ROOT if first == 0 else second_root
        if path or first_root != expected or (second == 0 and second_root != EMPTY_ROOT):
            raise ValueError(f"the roots of {first} and {second} leaves do not belong together")
        return
    old, new = _roots_from_consistency_path(first, first_root, second, path)
    if old != first_root:
        raise ValueError(f"the path does not lead to the root of the first {first} leaves")
    if new != second_root:
        raise ValueError(f"the path does not lead to the root of all {second} leaves")


def _roots_from_consistency_path(
    first: int, first_root: bytes, second: int, path: Sequence[bytes]
) -> tuple[bytes, bytes]:
    """Return both roots that `path` computes, for 0 < first < second. Raises ValueError."""
    if not path:
        raise ValueError("the path is empty although the tree grew")
    # A first tree of 2**n leaves is a node of the second, so the path leaves it out.
    nodes = path if first & (first - 1) else (first_root, *path)
    left, last = first - 1, second - 1
    while left & 1:
        left, last = left >> 1, last >> 1
    old = new = nodes[0]
    for node in nodes[1:]:
        if last == 0:
            raise ValueError("the path is longer than the tree is high")
        if left & 1 or left == last:
            old, new = node_hash(node, old), node_hash(node, new)
            while left and not left & 1:
                left, last = left >> 1, last >> 1
        else:
            new = node_hash(new, node)
        left, last = left >> 1, last >> 1
    if last:
        raise ValueError("the path is shorter than the tree is high")
    return old, new


def _check_hashes(hashes: Iterable[bytes]) -> None:
    for value in hashes:
        if len(value) != HASH_LENGTH:
            raise ValueError(f"a hash of {len(value)} bytes, not {HASH_LENGTH}")


def _largest_power_of_two_below(count: int) -> int:
    return 1 << ((count - 1).bit_length() - 1)
