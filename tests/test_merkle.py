"""Merkle trees as in RFC 6962 and RFC 9162: known vectors, every path, and tampered ones."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence import merkle
from evidence.merkle import (
    EMPTY_ROOT,
    MerkleTree,
    RootBuilder,
    audit_path,
    check_consistency,
    consistency_path,
    leaf_hash,
    node_hash,
    root_from_path,
    root_of,
)

CT_INPUTS = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
"""The inputs of the certificate-transparency project's own tests."""

CT_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""The published roots over the first 0 to 8 of them."""

CT_PATHS = {
    (0, 1): [],
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (1, 5): [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
"""The published audit paths: (leaf, size of the tree) -> path, bottom first."""

CT_CONSISTENCY = {
    (1, 1): [],
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
"""The published consistency proofs: (first size, second size) -> path, bottom first."""

SIZES = range(1, 41)
MANY = 100_000


def naive_root(entries: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962, 2.1, word for word and from the entries, not their hashes."""
    if not entries:
        return hashlib.sha256(b"").digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    split = 1
    while split * 2 < len(entries):
        split *= 2
    left, right = naive_root(entries[:split]), naive_root(entries[split:])
    return hashlib.sha256(b"\x01" + left + right).digest()


def leaves_of(size: int) -> list[bytes]:
    return [leaf_hash(b"entry %d" % number) for number in range(size)]


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_that_certificate_transparency_publishes(size: int) -> None:
    assert root_of(map(leaf_hash, CT_INPUTS[:size])).hex() == CT_ROOTS[size]
    assert naive_root(CT_INPUTS[:size]).hex() == CT_ROOTS[size]


@pytest.mark.parametrize(("index", "size"), CT_PATHS)
def test_audit_paths_are_those_that_certificate_transparency_publishes(
    index: int, size: int
) -> None:
    leaves = [leaf_hash(entry) for entry in CT_INPUTS[:size]]
    assert [part.hex() for part in audit_path(index, leaves)] == CT_PATHS[index, size]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=8), max_size=70))
def test_the_streamed_root_is_the_one_that_the_rfc_defines(entries: list[bytes]) -> None:
    assert root_of(map(leaf_hash, entries)) == naive_root(entries)


def test_a_root_can_be_asked_for_at_any_time_while_leaves_are_added() -> None:
    builder, leaves = RootBuilder(), leaves_of(40)
    assert builder.root() == EMPTY_ROOT
    for size, leaf in enumerate(leaves, start=1):
        builder.add(leaf)
        assert (builder.size, builder.root()) == (size, root_of(leaves[:size]))


@pytest.mark.parametrize("size", SIZES)
def test_every_leaf_is_proven_by_its_path(size: int) -> None:
    leaves = leaves_of(size)
    root = naive_root([b"entry %d" % number for number in range(size)])
    for index, leaf in enumerate(leaves):
        assert root_from_path(leaf, index, size, audit_path(index, leaves)) == root


def proves(root: bytes, leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bool:
    try:
        return root_from_path(leaf, index, size, path) == root
    except ValueError:
        return False


@pytest.mark.parametrize("size", SIZES)
def test_a_tampered_path_proves_nothing(size: int) -> None:
    leaves = leaves_of(size)
    root = root_of(leaves)
    for index, leaf in enumerate(leaves):
        path = audit_path(index, leaves)
        for place, part in enumerate(path):
            changed = bytes([part[0] ^ 1]) + part[1:]
            assert not proves(root, leaf, index, size, [*path[:place], changed, *path[place + 1 :]])
            assert not proves(root, leaf, index, size, [*path[:place], *path[place + 1 :]])
        assert not proves(root, leaf, index, size, [*path, leaf])
        assert not proves(root, leaf_hash(b"another entry"), index, size, path)
        for other in set(range(size)) - {index}:
            assert not proves(root, leaf, other, size, path)


def test_a_leaf_that_is_not_in_the_tree_has_no_path() -> None:
    leaves = leaves_of(3)
    for index in (-1, 3):
        with pytest.raises(IndexError, match="tree of 3"):
            audit_path(index, leaves)
        with pytest.raises(ValueError, match="tree of 3"):
            root_from_path(leaves[0], index, 3, [])
    with pytest.raises(IndexError):
        audit_path(0, [])


def test_an_inner_node_cannot_be_passed_off_as_a_record() -> None:
    left, right = leaves_of(2)
    assert leaf_hash(left + right) != node_hash(left, right)


@pytest.mark.parametrize(("first", "second"), CT_CONSISTENCY)
def test_consistency_paths_are_those_that_certificate_transparency_publishes(
    first: int, second: int
) -> None:
    leaves = [leaf_hash(entry) for entry in CT_INPUTS[:second]]
    path = [bytes.fromhex(part) for part in CT_CONSISTENCY[first, second]]
    assert consistency_path(first, leaves) == path
    roots = [bytes.fromhex(root) for root in CT_ROOTS]
    check_consistency(first, roots[first], second, roots[second], path)


def is_consistent(
    first: int, first_root: bytes, second: int, second_root: bytes, path: Sequence[bytes]
) -> bool:
    try:
        check_consistency(first, first_root, second, second_root, path)
    except ValueError:
        return False
    return True


def flipped(value: bytes, bit: int) -> bytes:
    changed = bytearray(value)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_a_log_is_shown_to_have_only_grown_between_any_two_sizes() -> None:
    entries = [b"entry %d" % number for number in range(40)]
    roots = [naive_root(entries[:size]) for size in range(41)]
    tree = MerkleTree(map(leaf_hash, entries))
    for second in range(41):
        for first in range(second + 1):
            path = tree.consistency_path(first, second)
            check_consistency(first, roots[first], second, roots[second], path)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_every_path_of_any_tree_proves_its_leaf_and_nothing_else(data: st.DataObject) -> None:
    entries = data.draw(st.lists(st.binary(max_size=8), min_size=1, max_size=300, unique=True))
    leaves = [leaf_hash(entry) for entry in entries]
    size = data.draw(st.integers(1, len(leaves)), "size")
    index = data.draw(st.integers(0, size - 1), "index")
    root = naive_root(entries[:size])
    path = MerkleTree(leaves).audit_path(index, size)
    assert path == audit_path(index, leaves[:size])
    assert root_from_path(leaves[index], index, size, path) == root
    bit = data.draw(st.integers(0, 255), "bit")
    assert not proves(flipped(root, bit), leaves[index], index, size, path)
    assert not proves(root, flipped(leaves[index], bit), index, size, path)
    if path:
        place = data.draw(st.integers(0, len(path) - 1), "place")
        changed = [*path[:place], flipped(path[place], bit), *path[place + 1 :]]
        assert not proves(root, leaves[index], index, size, changed)
        assert not proves(root, leaves[index], index, size, path[:place])
        shorter = [*path[:place], path[place][:-1], *path[place + 1 :]]
        assert not proves(root, leaves[index], index, size, shorter)
    if path != path[::-1]:
        assert not proves(root, leaves[index], index, size, path[::-1])


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_consistency_path_proves_its_two_roots_and_nothing_else(data: st.DataObject) -> None:
    entries = data.draw(st.lists(st.binary(max_size=8), min_size=2, max_size=300, unique=True))
    leaves = [leaf_hash(entry) for entry in entries]
    second = len(leaves)
    first = data.draw(st.integers(1, second - 1), "first")
    old, new = naive_root(entries[:first]), naive_root(entries)
    path = MerkleTree(leaves).consistency_path(first)
    assert path == consistency_path(first, leaves)
    check_consistency(first, old, second, new, path)
    bit = data.draw(st.integers(0, 255), "bit")
    place = data.draw(st.integers(0, len(path) - 1), "place")
    changed = [*path[:place], flipped(path[place], bit), *path[place + 1 :]]
    assert not is_consistent(first, old, second, new, changed)
    assert not is_consistent(first, flipped(old, bit), second, new, path)
    assert not is_consistent(first, old, second, flipped(new, bit), path)
    assert not is_consistent(first, new, second, old, path)
    assert not is_consistent(second, new, first, old, path)
    assert not is_consistent(first, old, second, new, path[:place])
    assert not is_consistent(first, old, second, new, [*path, new])
    assert not is_consistent(first, old, second, new, [*path[:place], b"", *path[place + 1 :]])
    if path != path[::-1]:
        assert not is_consistent(first, old, second, new, path[::-1])


@pytest.mark.parametrize("second", range(2, 41))
def test_an_entry_that_was_rewritten_or_removed_breaks_consistency(second: int) -> None:
    leaves = leaves_of(second)
    for first in range(1, second):
        old = root_of(leaves[:first])
        for index in range(first):
            rewritten = [*leaves[:index], leaf_hash(b"another"), *leaves[index + 1 :]]
            removed = leaves[:index] + leaves[index + 1 :]
            for other in (rewritten, removed):
                if first <= len(other):
                    path = consistency_path(first, other)
                    assert not is_consistent(first, old, len(other), root_of(other), path)


def test_a_size_that_was_not_the_path_s_is_refused_wherever_the_shape_differs() -> None:
    leaves = leaves_of(40)
    tree = MerkleTree(leaves)
    for first in range(1, 40):
        path = tree.consistency_path(first)
        for other in set(range(1, 40)) - {first}:
            old = tree.root_at(first)
            assert not is_consistent(other, old, 40, tree.root(), path)


def test_any_tree_begins_with_the_empty_one_and_with_itself() -> None:
    root = root_of(leaves_of(3))
    check_consistency(0, EMPTY_ROOT, 3, root, [])
    check_consistency(3, root, 3, root, [])
    check_consistency(0, EMPTY_ROOT, 0, EMPTY_ROOT, [])
    assert not is_consistent(0, root, 3, root, [])
    assert not is_consistent(0, EMPTY_ROOT, 3, root, [root])
    assert not is_consistent(3, EMPTY_ROOT, 3, root, [])
    assert not is_consistent(3, root, 3, root, [root])
    assert not is_consistent(0, EMPTY_ROOT, 0, root, [])
    assert not is_consistent(0, root, 0, root, [])
    assert not is_consistent(-1, root, 3, root, [root])
    assert not is_consistent(2, root, 3, root, [])


def test_a_growing_tree_still_answers_for_the_sizes_that_it_had() -> None:
    tree, leaves = MerkleTree(), leaves_of(70)
    assert (len(tree), tree.root()) == (0, EMPTY_ROOT)
    for leaf in leaves:
        tree.add(leaf)
    assert tree.root() == root_of(leaves)
    for size in range(71):
        assert tree.root_at(size) == root_of(leaves[:size])


def test_sizes_that_a_tree_never_had_are_refused() -> None:
    tree = MerkleTree(leaves_of(3))
    for size in (-1, 4):
        with pytest.raises(ValueError, match="there are 3"):
            tree.root_at(size)
        with pytest.raises(ValueError, match="there are 3"):
            tree.audit_path(0, size)
        with pytest.raises(ValueError, match="there are 3"):
            tree.consistency_path(1, size)
        with pytest.raises(ValueError, match="does not come before"):
            tree.consistency_path(size)


def test_paths_of_a_large_tree_cost_a_handful_of_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    leaves = leaves_of(MANY)
    tree, root, old = MerkleTree(leaves), root_of(leaves), root_of(leaves[:77_777])
    hashed = 0

    def counted(left: bytes, right: bytes) -> bytes:
        nonlocal hashed
        hashed += 1
        return node_hash(left, right)

    with monkeypatch.context() as patch:
        patch.setattr(merkle, "node_hash", counted)
        paths = {index: tree.audit_path(index) for index in (0, 1, 65_535, 65_536, MANY - 1)}
        grown = tree.consistency_path(77_777)
        assert tree.root() == root
        assert 0 < hashed <= 7 * MANY.bit_length()
    for index, path in paths.items():
        assert root_from_path(leaves[index], index, MANY, path) == root
    check_consistency(77_777, old, MANY, root, grown)


def test_one_path_of_a_large_list_costs_one_hash_a_leaf(monkeypatch: pytest.MonkeyPatch) -> None:
    leaves = leaves_of(MANY)
    hashed = 0

    def counted(left: bytes, right: bytes) -> bytes:
        nonlocal hashed
        hashed += 1
        return node_hash(left, right)

    monkeypatch.setattr(merkle, "node_hash", counted)
    audit_path(5, leaves)
    assert 0 < hashed <= MANY + MANY.bit_length()
