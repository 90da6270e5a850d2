"""Merkle trees as in RFC 6962 and RFC 9162: known vectors, every path, and tampered ones."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence.merkle import (
    EMPTY_ROOT,
    RootBuilder,
    audit_path,
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

SIZES = range(1, 41)


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
