"""Sealing: whole or not at all, in one order for all processes, with keys that come and go."""

from __future__ import annotations

import datetime
import multiprocessing
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from cryptography import x509
from support_store import (
    FINISHED,
    FIRST_SNAPSHOT,
    add_snapshot,
    new_key,
    seal_small,
    sealed_store,
    sealer_of,
)
from support_tsa import LoopbackTsa, Mode, loopback_tsa

from evidence.canonical import canonical_json
from evidence.errors import KeyFileError, StoreError
from evidence.faults import Fault, VerificationReport
from evidence.keys import Certificate, SigningKey, load_signing_key, save_signing_key
from evidence.log import record_name
from evidence.manifest import MANIFEST_NAME, read_manifest
from evidence.sealing import Sealer, announced
from evidence.store import SEALED_KINDS, Store, certificate_name
from evidence.timestamps import TimestampAuthority
from evidence.verify import Trust, verify_store

DAY = datetime.timedelta(days=1)
SEALED_AT = datetime.datetime.fromisoformat(FINISHED)
GENERIC = ("attestation", "decision", "derivation")


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return new_key()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store", create=True)


def verified(store: Store, **trust: Any) -> VerificationReport:
    return verify_store(Store.open(store.root), trust=Trust(**trust))


def faults(store: Store, **trust: Any) -> dict[str, str]:
    return {fault.path: fault.what for fault in verified(store, **trust).faults}


def assert_sound(store: Store, **trust: Any) -> None:
    """Everything verifies, nothing is left to finish, and each thing is logged once."""
    report = verified(store, **trust)
    assert (report.faults, report.incomplete) == ([], [])
    logged = Counter((record.kind, record.id) for record in Store.open(store.root).log.records())
    assert {thing for thing, times in logged.items() if times > 1} == set()
    assert announced(store) == []


# --------------------------------------------------------------------------------- what is sealed


def test_what_is_sealed_is_in_its_place_and_in_the_log(store: Store, key: SigningKey) -> None:
    folder = seal_small(store, sealer_of(key), "decision", "one", {"says": "yes"})
    assert folder == store.root / "decisions" / "one"
    manifest = read_manifest(folder)
    assert manifest.predicate["says"] == "yes"
    assert manifest.predicate["log_before"]["size"] == 0
    record = store.record("decision", "one")
    assert (record.index, record.manifest_digest, record.time) == (1, manifest.digest, FINISHED)
    assert list(store.incomplete().iterdir()) == []
    assert_sound(store, certificate=key.certificate)


@pytest.mark.parametrize("kind", [*GENERIC, "pack"])
def test_every_kind_is_verified_like_every_other(
    tmp_path: Path, key: SigningKey, kind: str
) -> None:
    store, key, snapshot = sealed_store(tmp_path / "store", accounts=1, buckets=1)
    source = {"id": snapshot, "manifest_sha256": store.record("snapshot").manifest_digest}
    sealer = sealer_of(key)
    if kind == "pack":
        seal_small(store, sealer, "assessment", "below", {"snapshot": source})
        below = store.record("assessment", "below")
        source = {"id": "below", "manifest_sha256": below.manifest_digest}
    rests_on = "assessment" if kind == "pack" else "snapshot"
    folder = seal_small(store, sealer, kind, "one", {rests_on: source})
    assert_sound(store)
    assert verified(store).sealed[kind] == 1
    where = f"{SEALED_KINDS[kind]}/one"
    for path, change in ((folder / "content.json", b"{}"), (folder / "added", b"x")):
        sound = path.read_bytes() if path.exists() else None
        path.write_bytes(change)
        assert set(faults(store)) == {f"{where}/{path.name}"}
        path.unlink() if sound is None else path.write_bytes(sound)
    shutil.rmtree(folder)
    assert faults(store) == {where: f"is missing; {record_name(store.record(kind).index)} names it"}


def test_a_certificate_that_is_not_valid_seals_nothing(store: Store, key: SigningKey) -> None:
    """What it signed would never verify, and nothing can be taken out of the log again."""
    for moment in ("2026-02-01T00:00:00Z", "2036-03-01T00:00:00Z"):
        sealer = sealer_of(key, moment)
        with pytest.raises(KeyFileError, match=f"not valid at {moment}"):
            seal_small(store, sealer, "decision", "one")
        for act in (
            lambda given=sealer: given.add_key(store, new_key()),
            lambda given=sealer: given.revoke(store, "0" * 64, since=SEALED_AT, reason="x"),
        ):
            with pytest.raises(KeyFileError, match="not valid at"):
                act()
    assert store.log.records() == ()
    assert not (store.root / "decisions").exists()
    assert_sound(store)


def test_another_key_than_the_logs_seals_nothing_that_counts(store: Store, key: SigningKey) -> None:
    seal_small(store, sealer_of(key), "decision", "one")
    with pytest.raises(KeyFileError, match="began with another signing key"):
        seal_small(store, sealer_of(new_key()), "decision", "two")
    assert store.sealed("decision") == ["one"]
    report = verified(store)
    assert report.sealed["decision"] == 1
    assert [fault for fault in report.faults if not fault.path.startswith("certificates/")] == []


# ------------------------------------------------------------------------- what was cut off


def cut_off(store: Store, key: SigningKey, name: str, kind: str = "decision") -> None:
    """Leave what a process leaves that is killed after placing a folder, before logging it."""
    elsewhere = Store.open(store.root.with_name(f"elsewhere-{name}"), create=True)
    shutil.copytree(store.root / "log", elsewhere.root / "log", dirs_exist_ok=True)
    seal_small(elsewhere, sealer_of(key), kind, name)
    target = store.folder(kind) / name
    target.parent.mkdir(exist_ok=True)
    elsewhere.find(kind, name).rename(target)
    announce(store, {"kind": kind, "id": name}, f"{kind}-{name}")
    store.keep_certificate(key.certificate)


def announce(store: Store, said: object, name: str) -> None:
    store.objects.create(f"incomplete/{name}.sealing.json", canonical_json(said))


def test_what_was_cut_off_is_incomplete_until_the_next_sealing_logs_it(
    store: Store, key: SigningKey
) -> None:
    seal_small(store, sealer_of(key), "decision", "one")
    cut_off(store, key, "two")
    report = verified(store)
    assert report.ok
    assert report.incomplete == ["decisions/two"]
    assert report.sealed["decision"] == 1
    assert store.sealed("decision") == ["one"], "not evidence yet"
    seal_small(store, sealer_of(key), "decision", "three")
    assert store.sealed("decision") == ["one", "two", "three"]
    assert_sound(store)


def test_what_was_cut_off_before_a_rotation_is_logged_by_the_key_that_made_it(
    store: Store, key: SigningKey
) -> None:
    seal_small(store, sealer_of(key), "decision", "one")
    cut_off(store, key, "two")
    sealer_of(key).add_key(store, new_key())
    assert store.sealed("decision") == ["one", "two"]
    assert_sound(store)


def test_what_was_announced_and_not_placed_is_no_fault(store: Store, key: SigningKey) -> None:
    seal_small(store, sealer_of(key), "decision", "one")
    announce(store, {"kind": "decision", "id": "two"}, "decision-two")
    assert verified(store).ok
    seal_small(store, sealer_of(key), "decision", "two")
    assert_sound(store)


def test_a_folder_of_a_stranger_is_not_logged_however_it_is_announced(
    store: Store, key: SigningKey
) -> None:
    seal_small(store, sealer_of(key), "decision", "one")
    other = Store.open(store.root.with_name("other"), create=True)
    forged = seal_small(other, sealer_of(new_key("A stranger")), "decision", "two")
    shutil.copytree(forged, store.folder("decision") / "two")
    announce(store, {"kind": "decision", "id": "two"}, "decision-two")
    seal_small(store, sealer_of(key), "decision", "three")
    assert store.sealed("decision") == ["one", "three"]
    assert verified(store).incomplete == ["decisions/two"]


@pytest.mark.parametrize(
    "said",
    [
        {"kind": "decision", "id": "../decisions/one"},
        {"kind": "pack", "id": "../decisions/one"},
        {"kind": "decision", "id": "other-name"},
        {"kind": "rumour", "id": "one"},
    ],
)
def test_an_announcement_cannot_get_a_folder_logged_under_another_name(
    store: Store, key: SigningKey, said: dict[str, str]
) -> None:
    folder = seal_small(store, sealer_of(key), "decision", "one")
    shutil.copytree(folder, store.folder("decision") / "other-name")
    announce(store, said, "forged")
    seal_small(store, sealer_of(key), "decision", "two")
    assert store.sealed("decision") == ["one", "two"]
    assert store.sealed("pack") == []


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"{}", b'{"kind":"decision"}', b"\xff"])
def test_an_announcement_that_cannot_be_read_is_named_with_what_to_do(
    store: Store, key: SigningKey, data: bytes
) -> None:
    store.objects.create("incomplete/x.sealing.json", data)
    with pytest.raises(StoreError, match="announces nothing") as caught:
        seal_small(store, sealer_of(key), "decision", "one")
    assert caught.value.where == "incomplete/x.sealing.json"
    report = verified(store)
    assert report.ok
    assert [remark.path for remark in report.remarks] == ["incomplete"]


# ------------------------------------------------------------------------------------- rotation


@pytest.fixture
def rotated(store: Store, key: SigningKey) -> tuple[Store, SigningKey, SigningKey]:
    """A store in which `key` sealed one thing and handed over to another key."""
    new = new_key("Example Ltd")
    seal_small(store, sealer_of(key), "decision", "one")
    sealer_of(key).add_key(store, new)
    seal_small(store, sealer_of(new), "decision", "two")
    return store, key, new


def test_the_old_key_hands_over_and_both_sign(
    rotated: tuple[Store, SigningKey, SigningKey],
) -> None:
    store, old, new = rotated
    record = store.record("key", new.certificate.fingerprint)
    assert record.entry["replaces"] == old.certificate.fingerprint
    both = [old.certificate.fingerprint, new.certificate.fingerprint]
    assert list(record.envelope.signatures) == both
    for one in (old, new):
        assert record.signed_note.signed_by(record.checkpoint.origin, one.certificate)
    assert set(verified(store).signers) == set(both)
    assert_sound(store)


def test_whoever_pinned_the_old_or_the_new_certificate_verifies(
    rotated: tuple[Store, SigningKey, SigningKey],
) -> None:
    store, old, new = rotated
    assert_sound(store, certificate=old.certificate)
    assert_sound(store, certificate=new.certificate)
    said = faults(store, certificate=new_key().certificate)
    assert list(said) == ["log"]
    assert "pinned has signed nothing" in said["log"]


def test_a_pinned_certificate_stands_in_for_one_that_the_store_lost(
    rotated: tuple[Store, SigningKey, SigningKey],
) -> None:
    store, old, new = rotated
    for one, other in ((old, new), (new, old)):
        path = store.root / certificate_name(one.certificate.fingerprint)
        path.unlink()
        assert_sound(store, certificate=one.certificate)
        assert not verified(store, certificate=other.certificate).ok
        path.write_bytes(one.certificate.pem)


def test_the_old_key_seals_nothing_any_more(
    rotated: tuple[Store, SigningKey, SigningKey],
) -> None:
    store, old, _ = rotated
    with pytest.raises(KeyFileError, match="replaced or revoked"):
        seal_small(store, sealer_of(old), "decision", "three")
    with pytest.raises(KeyFileError, match="replaced or revoked"):
        sealer_of(old).add_key(store, new_key())
    with pytest.raises(KeyFileError, match="replaced or revoked"):
        revoke(store, old, old, SEALED_AT)
    assert len(store.log.records()) == 4


def test_rotating_again_does_nothing_more(rotated: tuple[Store, SigningKey, SigningKey]) -> None:
    """So a rotation that was cut off can just be run again."""
    store, old, new = rotated
    before = store.log.records()
    sealer_of(old).add_key(store, new)
    assert store.log.records() == before
    assert_sound(store)


def test_a_key_that_was_replaced_cannot_come_back(
    rotated: tuple[Store, SigningKey, SigningKey],
) -> None:
    store, old, new = rotated
    with pytest.raises(KeyFileError, match="cannot come back"):
        sealer_of(new).add_key(store, old)
    assert len(store.log.records()) == 4
    assert_sound(store)


def test_two_keys_may_be_in_use_side_by_side(store: Store, key: SigningKey) -> None:
    other = new_key("Example Ltd, Berlin")
    sealer_of(key).add_key(store, other, replace=False)
    for number, one in enumerate((key, other, key, other)):
        seal_small(store, sealer_of(one), "decision", f"d{number}")
    for one in (key, other):
        assert_sound(store, certificate=one.certificate)
    assert not verified(store, certificate=new_key().certificate).ok


def test_a_new_log_may_begin_with_a_rotation(store: Store, key: SigningKey) -> None:
    new = new_key()
    sealer_of(key).add_key(store, new)
    assert [record.id for record in store.log.records()] == [
        key.certificate.fingerprint,
        new.certificate.fingerprint,
    ]
    seal_small(store, sealer_of(new), "decision", "one")
    assert (store.root / certificate_name(key.certificate.fingerprint)).exists()
    assert_sound(store)


# ----------------------------------------------------------------------------------- revocation


def revoke(store: Store, by: SigningKey, key: SigningKey, since: datetime.datetime) -> None:
    sealer_of(by).revoke(
        store, key.certificate.fingerprint, since=since, reason="the laptop was stolen"
    )


def test_what_a_revoked_key_signed_from_the_date_on_is_a_fault(
    rotated: tuple[Store, SigningKey, SigningKey],
) -> None:
    store, old, new = rotated
    revoke(store, new, old, SEALED_AT - DAY)
    said = faults(store)
    assert set(said) == {record_name(0), record_name(1)}
    assert all("revoked from 2026-02-28 on" in what for what in said.values())


def test_what_only_the_log_says_is_older_is_a_remark(
    rotated: tuple[Store, SigningKey, SigningKey],
) -> None:
    store, old, new = rotated
    revoke(store, new, old, SEALED_AT + DAY)
    report = verified(store)
    assert report.ok
    said = {remark.path: remark.what for remark in report.remarks}
    assert set(said) == {record_name(0), record_name(1), record_name(2)}
    assert "only the log says" in said[record_name(1)]
    assert_sound(store, certificate=old.certificate)


def test_that_a_revoked_key_handed_over_is_always_said(
    rotated: tuple[Store, SigningKey, SigningKey],
) -> None:
    """A thief could have handed over just so, in a log of his own: pin the new certificate."""
    store, old, new = rotated
    for since in (SEALED_AT - DAY, SEALED_AT + DAY):
        copy = Store.open(shutil.copytree(store.root, store.root.with_name(f"copy{since:%d}")))
        revoke(copy, new, old, since)
        said = {remark.path: remark.what for remark in verified(copy).remarks}[record_name(2)]
        assert f"handed over to {new.certificate.fingerprint[:16]}: pin that one" in said
        assert record_name(2) not in faults(copy)


def test_the_exact_moment_counts(rotated: tuple[Store, SigningKey, SigningKey]) -> None:
    store, old, new = rotated
    copy = Store.open(shutil.copytree(store.root, store.root.with_name("copy")))
    revoke(copy, new, old, SEALED_AT)
    assert set(faults(copy)) == {record_name(0), record_name(1)}
    revoke(store, new, old, SEALED_AT + datetime.timedelta(seconds=1))
    assert faults(store) == {}


def test_a_revocation_says_why_and_cannot_be_changed(
    rotated: tuple[Store, SigningKey, SigningKey],
) -> None:
    store, old, new = rotated
    revoke(store, new, old, SEALED_AT + DAY)
    path = store.root / "revocations" / f"{old.certificate.fingerprint}.json"
    assert orjson.loads(path.read_bytes()) == {
        "certificate": old.certificate.fingerprint,
        "revoked_from": "2026-03-02T06:05:00Z",
        "reason": "the laptop was stolen",
    }
    sound = path.read_bytes()
    where = f"revocations/{path.name}"
    path.write_bytes(sound.replace(b"stolen", b"mislaid"))
    assert "is not the revocation" in faults(store)[where]
    path.unlink()
    assert "is missing" in faults(store)[where]
    path.write_bytes(sound)
    (path.parent / f"{new.certificate.fingerprint}.json").write_bytes(sound)
    assert "belongs to nobody" in faults(store)[f"revocations/{new.certificate.fingerprint}.json"]


def test_a_revoked_key_seals_nothing_any_more(store: Store, key: SigningKey) -> None:
    other = new_key()
    sealer_of(key).add_key(store, other, replace=False)
    revoke(store, key, other, SEALED_AT + DAY)
    with pytest.raises(KeyFileError, match="replaced or revoked"):
        seal_small(store, sealer_of(other), "decision", "one")
    seal_small(store, sealer_of(key), "decision", "two")
    assert verified(store, certificate=key.certificate).ok


def test_the_only_key_in_use_cannot_be_revoked(store: Store, key: SigningKey) -> None:
    """Nothing could follow, and whoever came next could not be told from a stranger."""
    seal_small(store, sealer_of(key), "decision", "one")
    with pytest.raises(KeyFileError, match="the only key") as caught:
        revoke(store, key, key, SEALED_AT)
    assert "keys rotate" in caught.value.mend
    with pytest.raises(KeyFileError, match="knows no such key"):
        revoke(store, key, new_key(), SEALED_AT)
    assert len(store.log.records()) == 2
    assert_sound(store)


# ----------------------------------------------------------------------------------- timestamps


@pytest.fixture(scope="module")
def tsa(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopbackTsa]:
    with loopback_tsa(tmp_path_factory.mktemp("tsa")) as found:
        yield found


def stamped_sealer(key: SigningKey, tsa: LoopbackTsa) -> Sealer:
    authority = TimestampAuthority(tsa.url, attempts=1)
    return Sealer(key, lambda: datetime.datetime.now(datetime.UTC), authority)


def test_every_record_is_timestamped_by_the_authority(
    store: Store, key: SigningKey, tsa: LoopbackTsa
) -> None:
    for name in ("one", "two"):
        seal_small(store, stamped_sealer(key, tsa), "decision", name)
    report = verified(store, timestamp_roots=(tsa.root,))
    assert (report.faults, report.remarks) == ([], [])
    assert report.log is not None
    assert report.log.timestamped == 3
    other = x509.load_pem_x509_certificate(tsa.other_root_certificate.read_bytes())
    assert set(faults(store, timestamp_roots=(other,))) == {record_name(n) for n in range(3)}


@pytest.mark.parametrize("mode", [Mode.UNAVAILABLE, Mode.REFUSES, Mode.OTHER_DATA, Mode.OTHER_CA])
def test_an_authority_that_fails_never_blocks_evidence(
    store: Store, key: SigningKey, tsa: LoopbackTsa, mode: Mode
) -> None:
    authority = TimestampAuthority(tsa.url, roots=(tsa.root,), attempts=1)
    sealer = Sealer(key, lambda: datetime.datetime.now(datetime.UTC), authority)
    tsa.mode = mode
    try:
        seal_small(store, sealer, "decision", "one")
    finally:
        tsa.mode = Mode.ANSWERS
    seal_small(store, sealer, "decision", "two")
    report = verified(store, timestamp_roots=(tsa.root,))
    assert report.ok
    assert [remark.path for remark in report.remarks] == [record_name(0), record_name(1)]
    assert all("has no timestamp" in remark.what for remark in report.remarks)
    assert store.record("decision", "one").timestamp_missing.startswith(tsa.url)


def test_a_timestamp_from_before_the_date_shows_that_it_is_older(
    store: Store, key: SigningKey, tsa: LoopbackTsa
) -> None:
    """Of an authority that the reader trusts, that is: a thief could play one."""
    new, now = new_key("Example Ltd"), datetime.datetime.now(datetime.UTC)
    seal_small(store, stamped_sealer(key, tsa), "decision", "one")
    stamped_sealer(key, tsa).add_key(store, new)
    stamped_sealer(new, tsa).revoke(
        store, key.certificate.fingerprint, since=now + DAY, reason="retired"
    )
    trusted = verified(store, timestamp_roots=(tsa.root,))
    assert (trusted.faults, trusted.remarks) == ([], [])
    untrusted = verified(store)
    assert untrusted.ok
    assert [remark.path for remark in untrusted.remarks] == [record_name(n) for n in range(3)]


def test_a_timestamp_of_after_the_date_does_not_help_a_clock_that_was_turned_back(
    store: Store, key: SigningKey, tsa: LoopbackTsa
) -> None:
    """The log says that it is older; the authority saw it only later."""
    new = new_key("Example Ltd")
    authority = TimestampAuthority(tsa.url, attempts=1)
    turned_back = Sealer(key, lambda: SEALED_AT, authority)
    seal_small(store, turned_back, "decision", "one")
    turned_back.add_key(store, new)
    revoke(store, new, key, SEALED_AT + DAY)
    report = verified(store, timestamp_roots=(tsa.root,))
    said = [remark.what for remark in report.remarks if remark.path == record_name(1)]
    assert any("only the log says" in what for what in said)
    assert any("the writer's clock said" in what for what in said)


# ---------------------------------------------------------------------- processes, all at once


def seal_many(root: Path, keys: Path, writer: int, count: int) -> None:
    key = load_signing_key(keys / "key.pem", keys / "certificate.pem", "")
    store = Store.open(root)
    for number in range(count):
        seal_small(store, sealer_of(key), "decision", f"w{writer}-{number}")


def test_processes_that_seal_at_the_same_time_lose_nothing(
    store: Store, key: SigningKey, tmp_path: Path
) -> None:
    """And whoever verifies meanwhile never sees a fault."""
    save_signing_key(key, tmp_path / "key.pem", tmp_path / "certificate.pem", "")
    context = multiprocessing.get_context("spawn")
    writers, count = 4, 10
    processes = [
        context.Process(target=seal_many, args=(store.root, tmp_path, writer, count))
        for writer in range(writers)
    ]
    for process in processes:
        process.start()
    seen: list[Fault] = []
    while any(process.is_alive() for process in processes):
        seen += verified(store).faults
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * writers
    assert seen == []
    wanted = {f"w{writer}-{number}" for writer in range(writers) for number in range(count)}
    assert set(store.sealed("decision")) == wanted
    assert verified(store).sealed["decision"] == len(wanted)
    assert_sound(store, certificate=key.certificate)


def test_two_runs_that_seal_the_same_thing_leave_one(
    store: Store, key: SigningKey, tmp_path: Path
) -> None:
    """The second finds the place taken, says so, and everything verifies."""
    seal_small(store, sealer_of(key), "decision", "one")
    with pytest.raises(StoreError, match="could not be put into place"):
        seal_small(store, sealer_of(key), "decision", "one")
    assert store.sealed("decision") == ["one"]
    assert verified(store).ok


def test_a_folder_that_was_changed_between_signing_and_resuming_is_sealed_anew(
    store: Store, key: SigningKey
) -> None:
    """A manifest that is there already is taken on only if it is ours and all is as it says."""
    folder = add_snapshot(store, key, FIRST_SNAPSHOT, accounts=1, buckets=1)
    work = shutil.copytree(folder, store.incomplete() / "work")
    assert sealer_of(key).sealed_before(work) == read_manifest(folder).digest
    assert sealer_of(new_key()).sealed_before(work) is None
    (work / "gaps.jsonl").write_bytes(b"")
    assert sealer_of(key).sealed_before(work) is None
    (work / MANIFEST_NAME).write_bytes(b"half")
    assert sealer_of(key).sealed_before(work) is None


def test_certificates_are_kept_for_every_key(store: Store, key: SigningKey) -> None:
    seal_small(store, sealer_of(key), "decision", "one")
    (name,) = store.kept_certificates()
    assert Certificate.from_pem(store.objects.read(name)) == key.certificate
