"""Verification of the log: whatever is done to its records is found, even by who has the key."""

from __future__ import annotations

import base64
import datetime
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from securesystemslib.dsse import Envelope
from support_store import new_key, seal_small, sealer_of

from evidence.canonical import canonical_json, canonical_text
from evidence.checkpoint import Checkpoint, read_checkpoint, sign_checkpoint
from evidence.errors import VerificationError
from evidence.faults import Fault, VerificationReport
from evidence.keys import SigningKey, make_signing_key
from evidence.log import PAYLOAD_TYPE, record_name
from evidence.manifest import seal_folder
from evidence.merkle import EMPTY_ROOT, MerkleTree, leaf_hash
from evidence.store import Store
from evidence.verify import Trust, verify_store

PACKS = 5
LAST = PACKS
"""Index of the last record: the first names the key."""

Payload = dict[str, Any]


def pack(number: int) -> str:
    return f"pack-{number}"


def make_log(root: Path, key: SigningKey, packs: int = PACKS) -> Store:
    store = Store.open(root, create=True)
    for number in range(1, packs + 1):
        seal_small(store, sealer_of(key), "decision", pack(number))
    return store


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return new_key()


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory, key: SigningKey) -> Path:
    return make_log(tmp_path_factory.mktemp("pristine") / "store", key).root


@pytest.fixture
def root(pristine: Path, tmp_path: Path) -> Path:
    return shutil.copytree(pristine, tmp_path / "store")


def verified(root: Path, **trust: Any) -> VerificationReport:
    return verify_store(Store.open(root), trust=Trust(**trust))


def faults(root: Path, **trust: Any) -> list[Fault]:
    return verified(root, **trust).faults


def named(root: Path) -> set[str]:
    return {fault.path for fault in faults(root)}


def note_of(root: Path, index: int = -1) -> str:
    return Store.open(root).log.records()[index].note


def test_what_nobody_touched_verifies(root: Path, key: SigningKey) -> None:
    report = verified(root, certificate=key.certificate)
    assert report.ok
    assert report.remarks == []
    assert report.log is not None
    assert (report.log.size, report.log.checkpoint) == (PACKS + 1, note_of(root))
    assert report.log.root == read_checkpoint(note_of(root))[0].root.hex()
    assert (report.log.timestamped, report.log.latest_timestamp) == (0, "")


# --------------------------------------------------------------------------- records as files


def swap(one: Path, other: Path) -> None:
    data = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(data)


@pytest.mark.parametrize("index", range(PACKS + 1))
def test_a_record_that_was_removed_is_named(root: Path, index: int) -> None:
    (root / record_name(index)).unlink()
    found = {fault.path: fault.what for fault in faults(root)}
    if index < LAST:
        assert "is missing" in found[record_name(index)]
    else:  # nobody can tell that it was there, but what it named is there still
        assert found == {f"decisions/{pack(LAST)}": "belongs to nobody: the log does not name it"}


@pytest.mark.parametrize("kept", range(PACKS + 1))
def test_a_log_cut_at_its_end_leaves_things_that_belong_to_nobody(root: Path, kept: int) -> None:
    for index in range(kept, PACKS + 1):
        (root / record_name(index)).unlink()
    lost = {f"decisions/{pack(number)}" for number in range(max(kept, 1), PACKS + 1)}
    assert lost <= named(root)


def test_a_log_cut_with_all_that_it_named_shows_only_to_who_kept_a_checkpoint(root: Path) -> None:
    """As if the last pack had never been sealed: that is what --since is for."""
    kept, older = note_of(root), note_of(root, -2)
    (root / record_name(LAST)).unlink()
    shutil.rmtree(root / "decisions" / pack(LAST))
    assert verified(root).ok
    assert verified(root, since=older).ok
    (fault,) = faults(root, since=kept)
    assert fault == Fault("log", f"has {PACKS} entries that hold together; your checkpoint has 6")


def test_records_that_changed_places_are_named(root: Path) -> None:
    for one in range(PACKS):
        swap(root / record_name(one), root / record_name(one + 1))
        assert {record_name(one), record_name(one + 1)} <= named(root)
        swap(root / record_name(one), root / record_name(one + 1))
    assert verified(root).ok


@pytest.mark.parametrize("index", range(PACKS + 1))
def test_a_record_there_twice_is_named(root: Path, index: int) -> None:
    shutil.copy(root / record_name(index), root / record_name(LAST + 1))
    assert named(root) >= {record_name(LAST + 1)}
    (root / record_name(LAST + 1)).unlink()
    shutil.copy(root / record_name(index), root / record_name((index + 1) % (LAST + 1)))
    assert record_name((index + 1) % (LAST + 1)) in named(root)


def test_a_record_moved_away_leaves_a_hole(root: Path) -> None:
    (root / record_name(LAST)).rename(root / record_name(LAST + 2))
    assert {record_name(LAST), record_name(LAST + 1)} <= named(root)


@pytest.mark.parametrize(
    "name", ["log/notes.txt", "log/6.dsse.json", "log/00000006.dsse.json.part", "log/deep/x"]
)
def test_what_is_no_record_is_named(root: Path, name: str) -> None:
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_bytes(b"x")
    (fault,) = faults(root)
    assert name.startswith(fault.path)


def test_a_record_replaced_by_a_link_is_named(root: Path, tmp_path: Path) -> None:
    path = root / record_name(2)
    path.rename(tmp_path / "outside")
    path.symlink_to(tmp_path / "outside")
    assert record_name(2) in named(root)


def test_a_record_of_another_log_does_not_fit_in(
    root: Path, key: SigningKey, tmp_path: Path
) -> None:
    """Same key, same place, whole and signed: but the checkpoint is of another log."""
    other = make_log(tmp_path / "other", key)
    shutil.copy(other.root / record_name(3), root / record_name(3))
    said = {fault.path: fault.what for fault in faults(root)}[record_name(3)]
    assert "its checkpoint is of the log" in said


def test_every_flipped_bit_of_a_record_is_found(root: Path) -> None:
    path = root / record_name(3)
    sound = path.read_bytes()
    missed = []
    for place in range(0, len(sound), 7):
        changed = bytearray(sound)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        if record_name(3) not in named(root):
            missed.append(place)
    assert missed == []


# ---------------------------------------------------------------------------- records, rewritten


def read_payload(root: Path, index: int) -> tuple[Payload, Envelope]:
    envelope = Envelope.from_dict(orjson.loads((root / record_name(index)).read_bytes()))
    return orjson.loads(envelope.payload), envelope


def write_record(root: Path, index: int, payload: Payload, keys: Sequence[SigningKey]) -> None:
    """Write a record in due form; without keys the signatures stay those that were there."""
    _, old = read_payload(root, index)
    envelope = Envelope(canonical_json(payload), PAYLOAD_TYPE, {} if keys else old.signatures)
    for key in keys:
        envelope.sign(key.signer)
    (root / record_name(index)).write_bytes(canonical_json(envelope.to_dict()))


def entry_with(**changes: str) -> Callable[[Payload], Payload]:
    def change(payload: Payload) -> Payload:
        entry = {**orjson.loads(payload["entry"]), **changes}
        return {**payload, "entry": canonical_text(entry)}

    return change


def checkpoint_with(key: SigningKey, **changes: Any) -> Callable[[Payload], Payload]:
    def change(payload: Payload) -> Payload:
        old, _ = read_checkpoint(payload["checkpoint"])
        values = {"origin": old.origin, "size": old.size, "root": old.root, **changes}
        return {**payload, "checkpoint": sign_checkpoint(Checkpoint(**values), [key])}

    return change


def changes_of(key: SigningKey) -> dict[str, Callable[[Payload], Payload]]:
    """Every field of a record with another value, in due form."""
    return {
        "kind": entry_with(kind="snapshot"),
        "kind unknown": entry_with(kind="rumour"),
        "id": entry_with(id="pack-9"),
        "time": entry_with(time="2026-03-02T06:05:00Z"),
        "time that is none": entry_with(time="yesterday"),
        "digest": entry_with(manifest_sha256="0" * 64),
        "a field more": entry_with(more="x"),
        "origin": checkpoint_with(key, origin="auditpack.log/other"),
        "smaller size": checkpoint_with(key, size=2),
        "larger size": checkpoint_with(key, size=9),
        "root": checkpoint_with(key, root=bytes(32)),
        "empty tree": checkpoint_with(key, size=0, root=EMPTY_ROOT),
        "timestamp": lambda payload: {**payload, "timestamp": "MAA="},
    }


CHANGED = [*changes_of(new_key()), "timestamp_missing"]


@pytest.mark.parametrize("what", CHANGED)
def test_a_changed_field_is_found(root: Path, key: SigningKey, what: str) -> None:
    """By whoever has no key: the signatures are the old ones."""
    payload, _ = read_payload(root, 3)
    if what == "timestamp_missing":
        changed = {**payload, what: "never asked"}
    else:
        changed = changes_of(key)[what](payload)
    write_record(root, 3, changed, [])
    (said, *_) = [fault.what for fault in faults(root) if fault.path == record_name(3)]
    assert "signature is not valid" in said


@pytest.mark.parametrize("what", [name for name in CHANGED if name != "timestamp_missing"])
def test_a_changed_field_is_found_even_if_our_own_key_signed_it_again(
    root: Path, key: SigningKey, what: str
) -> None:
    payload, _ = read_payload(root, 3)
    write_record(root, 3, changes_of(key)[what](payload), [key])
    assert record_name(3) in named(root)


def test_a_stranger_cannot_sign_a_record_again(root: Path, key: SigningKey) -> None:
    stranger = new_key("A stranger")
    Store.open(root).keep_certificate(stranger.certificate)
    payload, _ = read_payload(root, 3)
    changed = checkpoint_with(stranger)(payload)
    for keys in ([stranger], [key, stranger], [stranger, key]):
        write_record(root, 3, changed, keys)
        said = {fault.path: fault.what for fault in faults(root)}[record_name(3)]
        assert "might not sign here" in said


def test_a_stranger_cannot_name_his_own_key(root: Path, key: SigningKey) -> None:
    """Nor even once no key of the log is in use any more."""
    stranger = new_key("A stranger")
    fingerprint = stranger.certificate.fingerprint
    Store.open(root).keep_certificate(stranger.certificate)
    append_forged(root, {"kind": "key", "id": fingerprint}, [stranger])
    assert record_name(LAST + 1) in named(root)
    append_forged(root, {"kind": "revocation", "id": key.certificate.fingerprint}, [key])
    append_forged(root, {"kind": "key", "id": fingerprint}, [stranger])
    assert record_name(LAST + 2) in named(root)


def append_forged(root: Path, entry: Payload, keys: Sequence[SigningKey]) -> None:
    """Append a record in due form without asking whether the log should take it."""
    files = sorted((root / "log").iterdir())
    payloads = [read_payload(root, index)[0] for index in range(len(files))]
    text = canonical_text({"time": "2026-03-01T06:05:00Z", **entry})
    tree = MerkleTree(
        leaf_hash(value.encode()) for value in [*(p["entry"] for p in payloads), text]
    )
    origin = read_checkpoint(payloads[0]["checkpoint"])[0].origin
    payload = {
        "entry": text,
        "checkpoint": sign_checkpoint(Checkpoint(origin, len(tree), tree.root()), keys),
        "timestamp": "",
        "timestamp_missing": "",
    }
    shutil.copy(files[0], root / record_name(len(files)))
    write_record(root, len(files), payload, keys)


def test_a_record_without_any_signature_is_named(root: Path) -> None:
    for index in (0, 3, LAST):
        sound = (root / record_name(index)).read_bytes()
        (root / record_name(index)).write_bytes(
            canonical_json({**orjson.loads(sound), "signatures": []})
        )
        assert record_name(index) in named(root)
        (root / record_name(index)).write_bytes(sound)


def with_signature(data: bytes, signature: Payload) -> bytes:
    envelope = orjson.loads(data)
    return canonical_json({**envelope, "signatures": [*envelope["signatures"], signature]})


def test_something_added_beside_the_signatures_is_named(root: Path, key: SigningKey) -> None:
    path = root / record_name(3)
    sound = path.read_bytes()
    (signature,) = orjson.loads(sound)["signatures"]
    stranger = new_key("A stranger")
    envelope = Envelope.from_dict(orjson.loads(sound))
    valid = envelope.sign(stranger.signer).to_dict()
    envelope.signatures.pop(stranger.certificate.fingerprint)
    for added in (
        {**signature, "keyid": "0" * 64},
        {**signature, "keyid": ""},
        valid,
        {**signature, "keyid": stranger.certificate.fingerprint},
    ):
        path.write_bytes(with_signature(sound, added))
        assert record_name(3) in named(root)
    for changed in ({**signature, "more": "x"}, {**signature, "keyid": ""}):
        path.write_bytes(canonical_json({**orjson.loads(sound), "signatures": [changed]}))
        assert record_name(3) in named(root)


def test_a_line_added_to_a_checkpoint_is_named(root: Path, key: SigningKey) -> None:
    """Signed notes may carry signatures of others: ours carry those of the record's signers."""
    payload, _ = read_payload(root, 3)
    note = payload["checkpoint"]
    checkpoint, _ = read_checkpoint(note)
    line = sign_checkpoint(checkpoint, [new_key("A witness")]).split("\n\n")[1]
    other = sign_checkpoint(checkpoint, [key]).split("\n\n")[1]
    for more in (line, other, note.split("\n\n")[1]):
        write_record(root, 3, {**payload, "checkpoint": note + more}, [key])
        assert record_name(3) in named(root)


def test_a_thing_that_is_logged_twice_is_named(root: Path, key: SigningKey) -> None:
    """Only who has the key can do it; which of the two counts would be anybody's guess."""
    entry = orjson.loads(read_payload(root, 2)[0]["entry"])
    append_forged(root, entry, [key])
    (fault,) = faults(root)
    assert fault == Fault(record_name(LAST + 1), f"is about the same decision as {record_name(2)}")


def test_an_entry_of_a_kind_that_we_do_not_know_is_named(root: Path, key: SigningKey) -> None:
    append_forged(root, {"kind": "rumour", "id": "x"}, [key])
    (fault,) = faults(root)
    assert fault.path == record_name(LAST + 1)
    assert "rumour" in fault.what


def test_a_log_that_does_not_begin_with_its_key_is_not_believed(
    root: Path, key: SigningKey
) -> None:
    payload, _ = read_payload(root, 1)
    write_record(root, 0, payload, [key])
    said = {fault.path: fault.what for fault in faults(root)}[record_name(0)]
    assert "does not begin" in said


def test_a_record_of_a_time_at_which_the_certificate_was_not_valid_is_named(
    tmp_path: Path,
) -> None:
    later = make_signing_key("Example Ltd", datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC))
    store = Store.open(tmp_path / "store", create=True)
    seal_small(store, sealer_of(later, "2030-01-02T00:00:00Z"), "decision", "one")
    assert verified(store.root).ok
    append_forged(store.root, {"kind": "key", "id": later.certificate.fingerprint}, [later])
    (said, *_) = [fault.what for fault in faults(store.root) if fault.path == record_name(2)]
    assert "certificate was not valid" in said


# ------------------------------------------------------------- manifests that our own key forged


@pytest.mark.parametrize(
    "forged",
    [
        None,
        5,
        "a",
        [],
        {},
        {"size": "1"},
        {"size": -1},
        {"size": 99},
        {"size": 1, "root": "0" * 64},
    ],
)
def test_a_manifest_that_was_sealed_after_another_log_is_named(
    tmp_path: Path, key: SigningKey, forged: object
) -> None:
    """A manifest says how long the log was and its root: that must be how this log begins."""
    store = make_log(tmp_path / "store", key, packs=1)
    work = store.incomplete() / "forged"
    work.mkdir(parents=True)
    seal_folder(work, "decision", {"id": "forged", "log_before": forged}, key)
    sealer_of(key).seal(store, work, "decision", "forged", {})
    (fault,) = faults(store.root)
    assert fault.path == "decisions/forged/manifest.dsse.json"
    assert "after another log" in fault.what


@pytest.mark.parametrize(
    "forged",
    [
        {},
        {"segments": 5, "merkle_tree": 5},
        {"segments": [5]},
        {"segments": [{"path": "../../elsewhere", "records": 1}]},
        {"segments": [{"path": "content.json", "records": -1}]},
        {"segments": [{"path": "content.json", "records": "1"}]},
        {"segments": [{"path": "content.json", "records": 1}], "merkle_tree": {}},
    ],
)
def test_a_snapshot_whose_manifest_says_nonsense_is_a_fault_and_never_a_crash(
    tmp_path: Path, key: SigningKey, forged: Payload
) -> None:
    store = make_log(tmp_path / "store", key, packs=1)
    seal_small(store, sealer_of(key), "snapshot", "forged", forged)
    found = faults(store.root)
    assert found
    assert all(fault.path.startswith("snapshots/forged") for fault in found)


# ------------------------------------------------------------------- checkpoints that somebody kept


def test_every_checkpoint_that_was_kept_still_holds(root: Path) -> None:
    for record in Store.open(root).log.records():
        report = verified(root, since=record.note)
        assert report.ok
        assert report.since == f"{record.index + 1} entries, root {record.checkpoint.root.hex()}"
    assert verified(root).since == ""


def test_a_checkpoint_of_an_empty_log_holds(root: Path, key: SigningKey) -> None:
    origin = read_checkpoint(note_of(root))[0].origin
    empty = sign_checkpoint(Checkpoint(origin, 0, EMPTY_ROOT), [key])
    assert verified(root, since=empty).ok


def test_a_log_that_its_own_producer_rewrote_shows_to_who_kept_a_checkpoint(
    root: Path, key: SigningKey
) -> None:
    """Everything verifies, with the right certificate pinned: only the kept checkpoint tells."""
    notes = [record.note for record in Store.open(root).log.records()]
    for number in range(3, PACKS + 1):
        (root / record_name(number)).unlink()
        shutil.rmtree(root / "decisions" / pack(number))
    for name in ("another", pack(4), pack(5)):
        seal_small(Store.open(root), sealer_of(key), "decision", name)
    assert verified(root, certificate=key.certificate).ok
    for size, note in enumerate(notes, start=1):
        found = faults(root, certificate=key.certificate, since=note)
        said = f"was rewritten: its first {size} entries are not those of your checkpoint"
        assert found == ([] if size <= 3 else [Fault("log", said)])


def test_a_checkpoint_of_another_log_is_a_fault(
    root: Path, key: SigningKey, tmp_path: Path
) -> None:
    other = make_log(tmp_path / "other", key)
    (fault,) = faults(root, since=note_of(other.root))
    assert fault.path == "log"
    assert "your checkpoint is of" in fault.what


def test_a_checkpoint_that_no_key_of_the_log_signed_is_a_fault(root: Path) -> None:
    """It would hold, but anybody could have made it."""
    checkpoint, _ = read_checkpoint(note_of(root))
    forged = sign_checkpoint(checkpoint, [new_key()])
    (fault,) = faults(root, since=forged)
    assert fault == Fault("log", "your checkpoint is not signed by any key of this log")


def test_a_checkpoint_whose_signature_is_broken_is_a_fault(root: Path) -> None:
    text, _, signatures = note_of(root).partition("\n\n")
    dash, name, value = signatures.strip().split(" ")
    data = bytearray(base64.b64decode(value))
    data[-1] ^= 1
    broken = f"{text}\n\n{dash} {name} {base64.b64encode(data).decode()}\n"
    assert [fault.path for fault in faults(root, since=broken)] == ["log"]


def test_a_checkpoint_of_an_emptied_log_is_a_fault(root: Path) -> None:
    kept = note_of(root)
    shutil.rmtree(root / "log")
    said = [fault.what for fault in faults(root, since=kept) if fault.path == "log"]
    assert any("your checkpoint is of 6 entries" in what for what in said)


@pytest.mark.parametrize(
    "text", ["", "no checkpoint", "a\n1\nxx\n\n", "a\n-1\nAA==\n\n\u2014 a b\n"]
)
def test_what_is_no_checkpoint_is_refused(root: Path, text: str) -> None:
    with pytest.raises(VerificationError, match="not a") as caught:
        verified(root, since=text, since_name="kept.txt")
    assert caught.value.where == "kept.txt"
