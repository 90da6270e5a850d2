"""The log: records that are there whole, checkpoints that everybody can check, one order for all.

What is claimed of the format is checked from outside, with hashlib, json and openssl alone.
"""

from __future__ import annotations

import base64
import hashlib
import json
import multiprocessing
import shutil
import subprocess
from collections.abc import Sequence
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import orjson
import pytest
from support_store import MemoryObjects, new_key

from evidence.canonical import canonical_json
from evidence.errors import KeyFileError, StoreError, VerificationError
from evidence.keys import Certificate, SigningKey, load_signing_key, save_signing_key
from evidence.log import Log, LogRecord, active_keys, read_record, record_index, record_name
from evidence.merkle import audit_path, check_consistency, consistency_path, root_from_path
from evidence.objects import FolderObjects
from evidence.proof import LogProof

TIME = "2026-03-01T06:05:00Z"
ENTRIES = 9


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return new_key()


def entry(name: str, kind: str = "pack", digest: str = "a" * 64) -> dict[str, Any]:
    return {"kind": kind, "id": name, "manifest_sha256": digest, "time": TIME}


def key_entry(key: SigningKey, **more: str) -> dict[str, Any]:
    return {"kind": "key", "id": key.certificate.fingerprint, "time": TIME, **more}


def no_stamp(data: bytes) -> tuple[bytes, str]:
    return b"", ""


def append(log: Log, key: SigningKey, given: dict[str, Any], *others: SigningKey) -> LogRecord:
    return log.append(given, [key, *others], no_stamp, first=key_entry(key))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, key: SigningKey) -> Path:
    """A folder with a log of `ENTRIES` entries, the first of which names the key."""
    root = tmp_path_factory.mktemp("log")
    log = Log(FolderObjects(root))
    for number in range(1, ENTRIES):
        append(log, key, entry(f"pack-{number}"))
    return root


@pytest.fixture
def records(root: Path) -> Sequence[LogRecord]:
    return Log(FolderObjects(root)).records()


def test_each_record_is_one_object_and_the_first_names_the_key(
    root: Path, records: Sequence[LogRecord], key: SigningKey
) -> None:
    assert sorted(path.name for path in (root / "log").iterdir()) == [
        f"{number:08d}.dsse.json" for number in range(ENTRIES)
    ]
    assert (records[0].kind, records[0].id) == ("key", key.certificate.fingerprint)
    assert [record.id for record in records[1:]] == [f"pack-{n}" for n in range(1, ENTRIES)]
    assert list((root / "incomplete").iterdir()) == [], "no rest of writing"


def test_names_of_records_and_only_these_are_read_as_such() -> None:
    for number in (0, 7, 12_345_678):
        assert record_index(record_name(number)) == number
    for name in ("log/1.dsse.json", "log/0000000a.dsse.json", "log/00000001.dsse.json.part"):
        assert record_index(name) is None
    assert record_index("log/\N{SUPERSCRIPT TWO}0000000.dsse.json") is None
    assert record_index("log/٠٠٠٠٠٠٠١.dsse.json") is None, "other digits are not ours"


# --------------------------------------------------------------- checked without our own software


def public_key(certificate: Certificate, folder: Path) -> Path:
    """Write the certificate's public key as PEM; return the file."""
    (folder / "certificate.pem").write_bytes(certificate.pem)
    command = ["openssl", "x509", "-in", "certificate.pem", "-noout", "-pubkey"]
    pem = subprocess.run(command, cwd=folder, check=True, capture_output=True).stdout
    (folder / "public.pem").write_bytes(pem)
    return folder / "public.pem"


def openssl_verifies(public: Path, data: bytes, signature: bytes) -> bool:
    (public.parent / "data").write_bytes(data)
    (public.parent / "signature").write_bytes(signature)
    command = ["openssl", "dgst", "-sha256", "-verify", public.name, "-signature", "signature"]
    done = subprocess.run([*command, "data"], cwd=public.parent, capture_output=True, check=False)
    return done.returncode == 0


def own_root(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962, 2.1, word by word: MTH over the leaves' data."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    left, right = own_root(leaves[:split]), own_root(leaves[split:])
    return hashlib.sha256(b"\x01" + left + right).digest()


def payload_of(file: Path) -> tuple[dict[str, str], dict[str, Any]]:
    envelope = json.loads(file.read_text())
    return json.loads(base64.b64decode(envelope["payload"])), envelope


def test_every_checkpoint_is_a_signed_note_over_all_entries_up_to_it(
    root: Path, key: SigningKey, tmp_path: Path
) -> None:
    public = public_key(key.certificate, tmp_path)
    command = ["openssl", "pkey", "-pubin", "-in", "public.pem", "-outform", "DER"]
    spki = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True).stdout
    leaves, origins = [], set()
    for number, file in enumerate(sorted((root / "log").iterdir())):
        payload, _ = payload_of(file)
        leaves.append(payload["entry"].encode())
        text, _, signatures = payload["checkpoint"].partition("\n\n")
        origin, size, root_hash = text.split("\n")
        origins.add(origin)
        assert size == str(number + 1)
        assert base64.b64decode(root_hash) == own_root(leaves)
        dash, name, value = signatures.removesuffix("\n").split(" ")
        assert (dash, name) == ("\N{EM DASH}", origin)
        given = base64.b64decode(value)
        assert given[:4] == hashlib.sha256(spki).digest()[:4]
        assert openssl_verifies(public, f"{text}\n".encode(), given[4:])
        assert not openssl_verifies(public, text.encode(), given[4:]), "its newline is signed, too"
    assert len(origins) == 1
    assert len(leaves) == ENTRIES


def test_every_record_is_signed_whole(root: Path, key: SigningKey, tmp_path: Path) -> None:
    """DSSE: the signature is over PAE(type, payload)."""
    public = public_key(key.certificate, tmp_path)
    for file in sorted((root / "log").iterdir()):
        payload, envelope = payload_of(file)
        kind, body = envelope["payloadType"], base64.b64decode(envelope["payload"])
        signed = f"DSSEv1 {len(kind)} {kind} {len(body)} ".encode() + body
        (signature,) = envelope["signatures"]
        assert signature["keyid"] == key.certificate.fingerprint
        assert openssl_verifies(public, signed, base64.b64decode(signature["sig"]))
        assert set(payload) == {"entry", "checkpoint", "timestamp", "timestamp_missing"}


def test_a_new_log_has_a_name_of_its_own(key: SigningKey) -> None:
    logs = [Log(MemoryObjects()) for _ in range(2)]
    for log in logs:
        append(log, key, entry("pack-1"))
    origins = {record.checkpoint.origin for log in logs for record in log.records()}
    assert len(origins) == 2


# ----------------------------------------------------------------------------------------- proofs


def test_every_entry_is_proven_under_every_checkpoint_that_covers_it(
    records: Sequence[LogRecord],
) -> None:
    for index in range(ENTRIES):
        for size in range(index + 1, ENTRIES + 1):
            leaves = [record.leaf for record in records[:size]]
            path = audit_path(index, leaves)
            proof = LogProof(index, tuple(path), records[size - 1].note)
            assert LogProof.parse(proof.render()).check(leaves[index]).size == size
            with pytest.raises(VerificationError):
                proof.check(records[(index + 1) % ENTRIES].leaf)
            found = root_from_path(leaves[index], index, size, path)
            assert found == records[size - 1].checkpoint.root


def test_any_checkpoint_is_consistent_with_any_later_one(records: Sequence[LogRecord]) -> None:
    roots = {record.checkpoint.size: record.checkpoint.root for record in records}
    leaves = [record.leaf for record in records]
    for first, second in combinations_with_replacement(range(1, ENTRIES + 1), 2):
        path = consistency_path(first, leaves[:second])
        check_consistency(first, roots[first], second, roots[second], path)
        if first < second:
            with pytest.raises(ValueError, match="root"):
                check_consistency(first, bytes(32), second, roots[second], path)


# ------------------------------------------------------------------------------------- appending


def test_the_same_thing_is_logged_once(key: SigningKey) -> None:
    log = Log(MemoryObjects())
    first = append(log, key, entry("pack-1"))
    assert append(log, key, entry("pack-1")) == first
    assert append(log, key, {**entry("pack-1"), "time": "2026-04-01T00:00:00Z"}) == first
    assert len(log.records()) == 2


def test_another_thing_under_the_same_name_is_refused(key: SigningKey) -> None:
    log = Log(MemoryObjects())
    append(log, key, entry("pack-1"))
    append(log, key, entry("pack-1", kind="snapshot", digest="b" * 64))
    with pytest.raises(StoreError, match="another run sealed pack pack-1 first") as caught:
        append(log, key, entry("pack-1", digest="b" * 64))
    assert caught.value.where == record_name(1)
    assert len(log.records()) == 3


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../packs/x", "a/b", "a b", "-a", "a\n", "ä", ".a"]
)
def test_an_id_that_could_not_be_a_folders_name_is_refused(key: SigningKey, name: str) -> None:
    """Such a record could not be read again, and the log would be dead."""
    log = Log(MemoryObjects())
    with pytest.raises(StoreError, match="under the name"):
        append(log, key, entry(name))
    assert log.records() == ()


def test_a_key_that_the_log_does_not_know_cannot_append(key: SigningKey) -> None:
    log, stranger = Log(MemoryObjects()), new_key("A stranger")
    append(log, key, entry("pack-1"))
    for given in (entry("pack-2"), key_entry(stranger), entry("pack-2", kind="revocation")):
        with pytest.raises(KeyFileError, match="began with another signing key") as caught:
            append(log, stranger, given)
        assert "keys rotate" in caught.value.mend
    with pytest.raises(KeyFileError):
        append(log, key, entry("pack-2"), stranger)
    assert len(log.records()) == 2


def test_a_key_that_was_replaced_or_revoked_cannot_append(key: SigningKey) -> None:
    log, second, third = Log(MemoryObjects()), new_key("Second"), new_key("Third")
    append(log, key, entry("pack-1"))
    append(log, key, key_entry(second, replaces=key.certificate.fingerprint), second)
    append(log, second, key_entry(third), third)
    assert active_keys(log.records()) == (
        second.certificate.fingerprint,
        third.certificate.fingerprint,
    )
    revoked = {**entry(second.certificate.fingerprint, "revocation"), "revoked_from": TIME}
    append(log, third, revoked)
    for old in (key, second):
        with pytest.raises(KeyFileError, match="replaced or revoked"):
            append(log, old, entry("pack-2"))
        with pytest.raises(KeyFileError):
            append(log, old, key_entry(new_key("Fourth")))
    append(log, third, entry("pack-2"))
    assert active_keys(log.records()) == (third.certificate.fingerprint,)


class Overtaken(MemoryObjects):
    """Objects into which another writer appends just before each of our first `times` attempts."""

    def __init__(self, other: SigningKey, times: int) -> None:
        super().__init__()
        self.other, self.times = other, times

    def create(self, name: str, source: bytes | Path) -> None:
        if self.times:
            self.times -= 1
            rival = MemoryObjects(self.found)
            append(Log(rival), self.other, entry(f"rival-{self.times}"))
        super().create(name, source)


@pytest.mark.parametrize("times", [1, 2, 5])
def test_a_writer_that_is_overtaken_appends_after_the_other(key: SigningKey, times: int) -> None:
    objects = Overtaken(key, times)
    record = append(Log(objects), key, entry("pack-1"))
    found = Log(objects).records()
    assert record == found[-1]
    assert len(found) == times + 2
    assert [one.checkpoint.size for one in found] == list(range(1, times + 3))


class Twin(MemoryObjects):
    """Objects into which another writer appends the very thing that we do, first."""

    def __init__(self, key: SigningKey, rival: dict[str, Any]) -> None:
        super().__init__()
        self.key, self.rival = key, rival

    def create(self, name: str, source: bytes | Path) -> None:
        if record_index(name) == 1 and name not in self.found:
            append(Log(MemoryObjects(self.found)), self.key, self.rival)
        super().create(name, source)


def test_two_writers_of_the_same_thing_append_it_once(key: SigningKey) -> None:
    objects = Twin(key, {**entry("pack-1"), "time": "2026-03-01T06:04:59Z"})
    record = append(Log(objects), key, entry("pack-1"))
    assert record.time == "2026-03-01T06:04:59Z", "the other's"
    assert len(Log(objects).records()) == 2


def test_of_two_things_under_one_name_only_the_first_is_appended(key: SigningKey) -> None:
    objects = Twin(key, entry("pack-1", digest="b" * 64))
    with pytest.raises(StoreError, match="another run sealed"):
        append(Log(objects), key, entry("pack-1"))
    assert [record.manifest_digest for record in Log(objects).records()] == ["", "b" * 64]


def test_a_log_that_others_fill_without_end_is_given_up(key: SigningKey) -> None:
    with pytest.raises(StoreError, match="another writer was first"):
        append(Log(Overtaken(key, 10_000)), key, entry("pack-1"))


def test_a_hole_in_the_log_stops_every_writer(root: Path, key: SigningKey, tmp_path: Path) -> None:
    copy = shutil.copytree(root, tmp_path / "copy")
    (copy / record_name(4)).unlink()
    with pytest.raises(VerificationError, match="hole") as caught:
        append(Log(FolderObjects(copy)), key, entry("pack-new"))
    assert caught.value.where == record_name(5)
    assert not (copy / record_name(ENTRIES)).exists()


def test_what_was_said_of_the_timestamp_is_kept(key: SigningKey) -> None:
    log, asked = Log(MemoryObjects()), []

    def stamp(data: bytes) -> tuple[bytes, str]:
        asked.append(data)
        return (b"\x30\x00", "") if len(asked) > 1 else (b"", "the authority is away")

    log.append(entry("pack-1"), [key], stamp, first=key_entry(key))
    found = log.records()
    assert [record.note.encode() for record in found] == asked
    assert [record.timestamp for record in found] == [b"", b"\x30\x00"]
    assert [record.timestamp_missing for record in found] == ["the authority is away", ""]


def append_many(root: Path, keys: Path, writer: int, count: int) -> None:
    key = load_signing_key(keys / "key.pem", keys / "certificate.pem", "")
    log = Log(FolderObjects(root))
    for number in range(count):
        append(log, key, entry(f"pack-{writer}-{number}"))
        append(log, key, entry(f"shared-{number}"))


def test_processes_that_append_at_the_same_time_lose_nothing_and_never_fork(
    key: SigningKey, tmp_path: Path
) -> None:
    save_signing_key(key, tmp_path / "key.pem", tmp_path / "certificate.pem", "")
    context = multiprocessing.get_context("spawn")
    root, writers, count = tmp_path / "store", 4, 10
    processes = [
        context.Process(target=append_many, args=(root, tmp_path, writer, count))
        for writer in range(writers)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * writers
    found = Log(FolderObjects(root)).records()
    names = [record.id for record in found[1:]]
    assert sorted(names) == sorted(
        [f"pack-{writer}-{number}" for writer in range(writers) for number in range(count)]
        + [f"shared-{number}" for number in range(count)]
    ), "every entry once, also those that all wrote"
    for writer in range(writers):
        own = [name for name in names if name.startswith(f"pack-{writer}-")]
        assert own == [f"pack-{writer}-{number}" for number in range(count)], "in its order"
    leaves = [record.text.encode() for record in found]
    for record in found:
        assert record.checkpoint.root == own_root(leaves[: record.index + 1])


# --------------------------------------------------------------------------------------- reading


def variants(data: bytes) -> dict[str, bytes]:
    """The same record in other bytes: JSON and base64 have many spellings for one thing."""
    envelope = orjson.loads(data)
    payload, signature = envelope["payload"], envelope["signatures"][0]["sig"]
    inner = orjson.loads(base64.b64decode(payload))

    def outer(**changes: Any) -> bytes:
        return canonical_json({**envelope, **changes})

    def wrapped(text: bytes) -> bytes:
        return outer(payload=base64.b64encode(text).decode())

    def saying(**changes: str) -> bytes:
        return wrapped(canonical_json({**inner, **changes}))

    return {
        "spaces": json.dumps(envelope).encode(),
        "another order of keys": json.dumps(
            dict(sorted(envelope.items(), reverse=True)), separators=(",", ":")
        ).encode(),
        "a newline": data + b"\n",
        "a byte order mark": b"\xef\xbb\xbf" + data,
        "a key twice": b'{"payloadType":"x",' + data[1:],
        "one more key": outer(more=1),
        "another payload type": outer(payloadType="application/json"),
        "the signature twice": outer(signatures=envelope["signatures"] * 2),
        "payload with a newline": outer(payload=payload[:40] + "\n" + payload[40:]),
        "payload without padding": outer(payload=payload.rstrip("=")),
        "payload with more padding": outer(payload=payload + "="),
        "payload with other rest bits": outer(payload=other_rest_bits(payload)),
        "signature with a space": outer(
            signatures=[{**envelope["signatures"][0], "sig": signature + " "}]
        ),
        "signature with other rest bits": outer(
            signatures=[{**envelope["signatures"][0], "sig": other_rest_bits(signature)}]
        ),
        "inner spaces": wrapped(json.dumps(inner).encode()),
        "one more inner key": saying(more=""),
        "one inner key less": wrapped(
            canonical_json({k: v for k, v in inner.items() if k != "timestamp_missing"})
        ),
        "a timestamp that is no base64": saying(timestamp="*"),
        "a timestamp with a newline": saying(timestamp="MAA=\n"),
        "a timestamp with other rest bits": saying(timestamp="MAB="),
        "an entry with spaces": saying(entry=json.dumps(orjson.loads(inner["entry"]))),
        "an entry without time": saying(entry='{"id":"a","kind":"b"}'),
        "an entry that is a list": saying(entry="[]"),
        "an entry whose id leads elsewhere": saying(entry='{"id":"../a","kind":"pack","time":"x"}'),
        "an entry whose id is a number": saying(entry='{"id":1,"kind":"pack","time":"x"}'),
        "a checkpoint with an extension": wrapped(
            canonical_json(
                {**inner, "checkpoint": inner["checkpoint"].replace("\n\n", "\nmore\n\n")}
            )
        ),
        "a checkpoint without signature": saying(
            checkpoint=inner["checkpoint"].split("\n\n")[0] + "\n\n"
        ),
        "not JSON": b"{",
        "nothing": b"",
        "null": b"null",
        "not UTF-8": b"\xff" + data,
    }


def other_rest_bits(text: str) -> str:
    """Return base64 that decodes to the same bytes but has other unused bits, if it has any."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    body = text.rstrip("=")
    if body == text:
        return text + "="
    last = alphabet[alphabet.index(body[-1]) ^ 1]
    return body[:-1] + last + text[len(body) :]


def padded(data: bytes) -> bytes:
    """Return a record whose base64 ends in padding; what signed it is not looked at here."""
    envelope = orjson.loads(data)
    payload = orjson.loads(base64.b64decode(envelope["payload"]))
    for length in range(3):
        payload["timestamp_missing"] = "x" * length
        envelope["payload"] = base64.b64encode(canonical_json(payload)).decode()
        if envelope["payload"].endswith("=="):
            break
    return canonical_json(envelope)


def test_a_record_has_one_form_and_any_other_is_refused(root: Path) -> None:
    data = padded((root / record_name(3)).read_bytes())
    assert read_record(3, data).id == "pack-3"
    for name, changed in variants(data).items():
        assert changed != data, name
        with pytest.raises(VerificationError) as caught:
            pytest.fail(f"{name}: read as {read_record(3, changed)}")
        assert caught.value.where == record_name(3), name
