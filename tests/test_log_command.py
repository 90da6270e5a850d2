"""`auditpack log` and the key changes: what the log says, and who may write it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from pack_store import PACK_SIGNED
from support_cli import Said, auditpack
from support_handover import Estate, make_estate
from support_store import sealer_of
from support_tsa import Mode, loopback_tsa

from evidence.checkpoint import read_checkpoint
from evidence.keys import load_certificate, load_signing_key, make_signing_key
from evidence.log import active_keys
from evidence.merkle import leaf_hash
from evidence.proof import LogProof
from evidence.sealing import Sealer
from evidence.store import Store
from evidence.timestamps import TimestampAuthority
from evidence.verify import Trust, verify_store


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    folder = tmp_path_factory.mktemp("estate")
    with loopback_tsa(folder / "tsa") as tsa:
        yield make_estate(folder, tsa.url)


@pytest.fixture
def folder(pristine: Estate, tmp_path: Path) -> Path:
    """A working folder with a copy of the store, its configuration and keys."""
    shutil.copytree(pristine.folder / "store", tmp_path / "store")
    shutil.copytree(pristine.folder / "keys", tmp_path / "keys")
    shutil.copy(pristine.folder / "auditpack.yaml", tmp_path)
    return tmp_path


def run(folder: Path, *arguments: str, **environment: str) -> Said:
    return auditpack(*arguments, cwd=folder, **environment)


def verified(folder: Path, **trust: str) -> None:
    report = verify_store(Store.open(folder / "store"), trust=Trust(**trust))
    assert report.ok, report.faults


# The log


def test_show_lists_what_was_sealed_and_what_happened_to_keys(
    pristine: Estate, folder: Path
) -> None:
    entries = run(folder, "log", "show", "--json").json
    kinds = ["key", "snapshot", "assessment", "key", "pack", "revocation"]
    assert [item["kind"] for item in entries] == kinds
    old, new = (key.certificate.fingerprint for key in (pristine.old_key, pristine.key))
    assert entries[3]["signed_by"] == [old, new]
    assert entries[3]["replaces"] == old
    assert [bool(item["timestamp"]) for item in entries] == [False] * 4 + [True] * 2
    text = run(folder, "log", "show").out
    assert pristine.pack in text
    assert f"{old} (from 2027-02-01T00:00:00Z)" in text
    assert "none was asked for" in text


def test_show_says_why_a_timestamp_is_missing(folder: Path, pristine: Estate) -> None:
    store = Store.open(folder / "store")
    with loopback_tsa(folder / "tsa") as tsa:
        tsa.mode = Mode.UNAVAILABLE
        away = TimestampAuthority(tsa.url, attempts=1)
        sealer = Sealer(pristine.key, sealer_of(pristine.key, PACK_SIGNED).clock, away)
        sealer.add_key(store, make_signing_key("Halden Labs", sealer.clock()), replace=False)
    entry = run(folder, "log", "show", "--json").json[-1]
    assert "HTTP 503" in entry["timestamp_missing"]
    assert "missing: " in run(folder, "log", "show").out


def test_a_checkpoint_is_what_verify_takes_later(folder: Path) -> None:
    said = run(folder, "log", "checkpoint", "--size", "2")
    checkpoint, _ = read_checkpoint(said.out)
    assert checkpoint.size == 2
    written = run(folder, "log", "checkpoint", "--output", "kept.txt", "--json")
    assert (folder / "kept.txt").read_text() == written.json["checkpoint"]
    (folder / "early.txt").write_text(said.out)
    for name in ("kept.txt", "early.txt"):
        assert run(folder, "verify", "--since", name).code == 0
    too_many = run(folder, "log", "checkpoint", "--size", "99")
    assert too_many.code == 2
    assert "has 6 entries" in too_many.err


def test_a_proof_proves_the_entry(folder: Path, pristine: Estate) -> None:
    said = run(folder, "log", "prove", "pack", pristine.pack, "--json").json
    proof = LogProof.parse(said["proof"])
    assert proof.check(leaf_hash(said["entry"].encode())).size == 6
    assert proof.index == said["index"] == 4
    run(folder, "log", "prove", "pack", pristine.pack, "--output", "out.tlog-proof")
    assert (folder / "out.tlog-proof").read_text() == said["proof"]


def test_a_proof_of_what_is_not_there_names_what_is(folder: Path, pristine: Estate) -> None:
    said = run(folder, "log", "prove", "pack", "nothing")
    assert said.code == 2
    assert pristine.pack in said.err
    assert "assessment, key, pack" in run(folder, "log", "prove", "lunch", "x").err


# Keys


def test_rotation_makes_a_key_beside_the_old_one_and_says_what_to_change(
    folder: Path, pristine: Estate
) -> None:
    before = {file.name: file.read_bytes() for file in (folder / "keys").iterdir()}
    said = run(folder, "keys", "rotate", "--json", AUDITPACK_NEW_KEY_PASSPHRASE="correct horse")
    assert said.code == 0, said.err
    assert said.json["replaces"] == pristine.key.certificate.fingerprint
    signing = said.json["signing"]
    assert signing == {"key": "keys/signing-key-2.pem", "certificate": "keys/certificate-2.pem"}
    found = load_signing_key(
        folder / signing["key"], folder / signing["certificate"], "correct horse"
    )
    assert found.certificate.fingerprint == said.json["fingerprint"]
    assert {name: (folder / "keys" / name).read_bytes() for name in before} == before
    verified(folder)
    again = run(folder, "keys", "rotate")
    assert again.code == 2
    assert said.json["fingerprint"][:16] in again.err, "it says which key is in use now"
    assert not (folder / "keys/signing-key-3.pem").exists()
    configured = f"signing: {{key: {signing['key']}, certificate: {signing['certificate']}}}"
    text = (folder / "auditpack.yaml").read_text()
    (folder / "auditpack.yaml").write_text(f"{text.rpartition('signing:')[0]}{configured}\n")
    third = run(folder, "keys", "rotate", AUDITPACK_KEY_PASSPHRASE="correct horse")
    assert third.code == 0, third.err
    verified(folder)


def test_a_key_of_ones_own_can_be_added_beside_the_present_one(
    folder: Path, pristine: Estate
) -> None:
    other = auditpack("init", "--organisation", "Halden Labs", cwd=(folder / "keys"))
    assert other.code == 0, other.err
    key, certificate = "keys/keys/signing-key.pem", "keys/keys/signing-certificate.pem"
    said = run(
        folder, "keys", "rotate", "--key", key, "--certificate", certificate, "--add", "--json"
    )
    assert said.code == 0, said.err
    added = load_certificate(folder / certificate).fingerprint
    active = active_keys(Store.open(folder / "store").log.records())
    assert active == (pristine.key.certificate.fingerprint, added)
    assert said.json["signing"] == {"key": key, "certificate": certificate}
    revoked = run(folder, "keys", "revoke", added[:12], "--from", "2026-01-31", "--reason", "lost")
    assert revoked.code == 0, revoked.err
    assert "2026-01-31T00:00:00Z" in revoked.out
    half = run(folder, "keys", "rotate", "--key", key)
    assert half.code == 2
    assert "belong together" in half.err


def test_the_only_key_in_use_is_not_revoked(folder: Path, pristine: Estate) -> None:
    fingerprint = pristine.key.certificate.fingerprint
    said = run(folder, "keys", "revoke", fingerprint, "--from", "2027-01-01", "--reason", "x")
    assert said.code == 2
    assert "auditpack keys rotate" in said.err
    unknown = run(folder, "keys", "revoke", "ab" * 32, "--from", "2027-01-01", "--reason", "x")
    assert unknown.code == 2
    assert fingerprint in unknown.err
    short = run(folder, "keys", "revoke", fingerprint[:4], "--from", "2027-01-01", "--reason", "x")
    assert short.code == 2


def test_a_revocation_is_said_once(folder: Path, pristine: Estate) -> None:
    fingerprint = pristine.old_key.certificate.fingerprint
    said = run(folder, "keys", "revoke", fingerprint, "--from", "2027-03-01", "--reason", "again")
    assert said.code == 0, said.err
    assert "revoked before" in said.err
    assert "2027-02-01T00:00:00Z" in said.out
    assert len(Store.open(folder / "store").log.records()) == 6
