"""Checkpoints and proofs of a log: written, read by others' rules, and any change refused."""

from __future__ import annotations

import base64
import datetime
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support_notes import GO_NOTE, REAL_NOTES, changed_characters

from evidence.checkpoint import Checkpoint, read_checkpoint, sign_checkpoint
from evidence.errors import VerificationError
from evidence.keys import Certificate, SigningKey, make_signing_key
from evidence.merkle import EMPTY_ROOT, MerkleTree, leaf_hash, node_hash
from evidence.proof import LogProof

ORIGIN = "example.org/audit"
ROOT = leaf_hash(b"the only entry")
ROOT_TEXT = base64.b64encode(ROOT).decode()
KEY = make_signing_key("Example Ltd", datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC))
LEAVES = [leaf_hash(b"entry %d" % number) for number in range(11)]
TREE = MerkleTree(LEAVES)


def proof_of(index: int, size: int, key: SigningKey = KEY) -> LogProof:
    note = sign_checkpoint(Checkpoint(ORIGIN, size, TREE.root_at(size)), [key])
    return LogProof(index, tuple(TREE.audit_path(index, size)), note)


def is_signed(note: str, certificate: Certificate) -> bool:
    try:
        checkpoint, signed = read_checkpoint(note)
        assert checkpoint.text() == signed.text
        return signed.signed_by(ORIGIN, certificate)
    except VerificationError:
        return False


def is_proven(text: str, leaf: bytes, certificate: Certificate) -> bool:
    try:
        proof = LogProof.parse(text)
        assert proof.render() == text
        proof.check(leaf)
    except VerificationError:
        return False
    return is_signed(proof.checkpoint_note, certificate)


def test_a_checkpoint_is_three_lines_signed_under_its_origin() -> None:
    checkpoint = Checkpoint(ORIGIN, 1, ROOT)
    assert checkpoint.text() == f"{ORIGIN}\n1\n{ROOT_TEXT}\n"
    note = sign_checkpoint(checkpoint, [KEY])
    read, signed = read_checkpoint(note)
    assert read == checkpoint
    assert signed.render() == note
    assert signed.signed_by(ORIGIN, KEY.certificate)


@settings(max_examples=100, deadline=None)
@given(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), min_size=1),
    st.integers(1, 10**18 - 1),
    st.binary(min_size=32, max_size=32),
)
def test_every_checkpoint_is_read_back(origin: str, size: int, root: bytes) -> None:
    checkpoint = Checkpoint(origin, size, root)
    assert Checkpoint.parse(checkpoint.text()) == checkpoint


def test_checkpoints_of_public_logs_are_read() -> None:
    rekor, _ = read_checkpoint(REAL_NOTES["rekor.sigstore.dev"][1])
    assert (rekor.origin, rekor.size) == ("Rekor", 798034)
    go, _ = read_checkpoint(GO_NOTE)
    assert (go.origin, go.size) == ("go.sum database tree", 6476701)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "three lines"),
        (f"{ORIGIN}\n1\n{ROOT_TEXT}", "three lines"),
        (f"{ORIGIN}\n1\n", "three lines"),
        (f"{ORIGIN}\n1\n{ROOT_TEXT}\nan extension\n", "three lines"),
        (f"{ORIGIN}\n1\n{ROOT_TEXT}\n\n", "three lines"),
        (f"{ORIGIN}\n1\n{ROOT_TEXT}\nno newline", "three lines"),
        (f"\n1\n{ROOT_TEXT}\n", "origin"),
        (f"{ORIGIN}\n01\n{ROOT_TEXT}\n", "leading zeros"),
        (f"{ORIGIN}\n+1\n{ROOT_TEXT}\n", "decimal"),
        (f"{ORIGIN}\n-1\n{ROOT_TEXT}\n", "decimal"),
        (f"{ORIGIN}\n1_0\n{ROOT_TEXT}\n", "decimal"),
        (f"{ORIGIN}\n 1\n{ROOT_TEXT}\n", "decimal"),
        (f"{ORIGIN}\n\N{ARABIC-INDIC DIGIT ONE}\n{ROOT_TEXT}\n", "decimal"),
        (f"{ORIGIN}\n{'9' * 5000}\n{ROOT_TEXT}\n", "decimal"),
        (f"{ORIGIN}\n1\n{ROOT_TEXT[:-1]}\n", "base64"),
        (f"{ORIGIN}\n1\nQQ==\n", "32 bytes"),
        (f"{ORIGIN}\n0\n{ROOT_TEXT}\n", "empty log"),
    ],
)
def test_a_text_that_is_no_checkpoint_is_refused(text: str, cause: str) -> None:
    with pytest.raises(VerificationError, match=cause) as caught:
        Checkpoint.parse(text, where="checkpoint.txt")
    assert caught.value.where == "checkpoint.txt"


def test_a_checkpoint_that_cannot_be_is_never_made() -> None:
    for origin, size, root in (
        ("", 1, ROOT),
        ("two\nlines", 1, ROOT),
        (ORIGIN, -1, ROOT),
        (ORIGIN, 1, ROOT[:-1]),
        (ORIGIN, 0, ROOT),
    ):
        with pytest.raises(ValueError, match=r"origin|entries|bytes|empty"):
            Checkpoint(origin, size, root)
    assert Checkpoint.parse(Checkpoint(ORIGIN, 0, EMPTY_ROOT).text()).size == 0
    with pytest.raises(ValueError, match="name"):
        sign_checkpoint(Checkpoint("Example Ltd", 1, ROOT), [KEY])


def test_no_character_of_a_checkpoint_can_be_changed() -> None:
    note = sign_checkpoint(Checkpoint(ORIGIN, 10, ROOT), [KEY])
    assert is_signed(note, KEY.certificate)
    assert [bad for bad in changed_characters(note) if is_signed(bad, KEY.certificate)] == []


def test_a_proof_is_the_text_that_the_specification_describes() -> None:
    proof = proof_of(2, 3)
    sibling = base64.b64encode(node_hash(LEAVES[0], LEAVES[1])).decode()
    assert proof.render() == (
        f"c2sp.org/tlog-proof@v1\nindex 2\n{sibling}\n\n{proof.checkpoint_note}"
    )


def test_every_entry_is_proven_at_every_size() -> None:
    for size in range(1, len(LEAVES) + 1):
        for index in range(size):
            proof = LogProof.parse(proof_of(index, size).render())
            assert proof == replace(proof_of(index, size), checkpoint_note=proof.checkpoint_note)
            assert proof.check(LEAVES[index]) == Checkpoint(ORIGIN, size, TREE.root_at(size))


def test_a_proof_holds_for_its_own_entry_only() -> None:
    proof = proof_of(5, 11)
    for index, leaf in enumerate(LEAVES):
        if index != 5:
            with pytest.raises(VerificationError, match="not entry 5") as caught:
                proof.check(leaf, where="record.json")
            assert caught.value.where == "record.json"
            with pytest.raises(VerificationError, match=r"not entry|does not fit"):
                replace(proof, index=index).check(LEAVES[5])
    for wrong in (
        replace(proof, index=11),
        replace(proof, path=proof.path[:-1]),
        replace(proof, path=(*proof.path, ROOT)),
    ):
        with pytest.raises(VerificationError, match="does not fit"):
            wrong.check(LEAVES[5])
    with pytest.raises(VerificationError, match="32"):
        proof.check(b"entry 5")


def test_no_character_of_a_proof_can_be_changed() -> None:
    text = proof_of(5, 11).render()
    assert is_proven(text, LEAVES[5], KEY.certificate)
    found = [bad for bad in changed_characters(text) if is_proven(bad, LEAVES[5], KEY.certificate)]
    assert found == []


@pytest.mark.parametrize(
    ("old", "new", "cause"),
    [
        ("tlog-proof@v1", "tlog-proof@v2", "first line"),
        ("index 5\n", "", "index"),
        ("index 5\n", "index 05\n", "decimal"),
        ("index 5\n", "extra QQ==\nindex 5\n", "index"),
        ("index 5\n", "index 5\nQQ==\n", "32 bytes"),
        ("index 5\n", "index 5\n" + f"{ROOT_TEXT}\n" * 64, "longer than any tree"),
        ("\n\n", "\n", "no empty line"),
        (f"\n\n{ORIGIN}", "", "base64"),
        ("\n11\n", "\n11\n11\n", "not a checkpoint"),
    ],
)
def test_a_text_that_is_no_proof_is_refused(old: str, new: str, cause: str) -> None:
    text = proof_of(5, 11).render()
    assert old in text
    with pytest.raises(VerificationError, match=cause) as caught:
        LogProof.parse(text.replace(old, new), where="a.tlog-proof")
    assert caught.value.where == "a.tlog-proof"


def test_a_proof_that_cannot_be_is_never_made() -> None:
    note = proof_of(0, 1).checkpoint_note
    for index, path in ((-1, ()), (0, (b"short",)), (0, (ROOT,) * 64)):
        with pytest.raises(ValueError, match=r"index|path"):
            LogProof(index, path, note)
