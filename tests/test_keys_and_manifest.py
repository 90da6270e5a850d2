"""Keys, manifests and the store's door: what they refuse, and that openssl agrees with us."""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
import os
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from support_keys import rsa_certificate
from support_store import BUCKETS, FIRST_SNAPSHOT, new_key, sealed_store, start_run

from evidence.errors import AuditpackError, KeyFileError, StoreError, VerificationError
from evidence.keys import (
    Certificate,
    load_or_make_redaction_key,
    load_signing_key,
    make_signing_key,
    save_signing_key,
)
from evidence.manifest import (
    MANIFEST_NAME,
    PAYLOAD_TYPE,
    check_signature,
    read_manifest,
    seal_folder,
)
from evidence.store import STORE_MARK, Store
from evidence.verify import verify_store

NOW = datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC)
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")


def openssl(*arguments: str | Path, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = ["openssl", *map(str, arguments)]
    return subprocess.run(command, input=given, capture_output=True, check=False)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def rsa_pair() -> tuple[bytes, bytes]:
    """Return key and certificate of the wrong kind, as PEM."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "RSA")])
    key, certificate = rsa_certificate(name, NOW, NOW + datetime.timedelta(days=365))
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return pem, certificate.public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "keys" / "signing.key", tmp_path / "keys" / "signing.pem"


# --------------------------------------------------------------------------------------- keys


@pytest.mark.parametrize("passphrase", ["", "correct horse"])
def test_a_saved_key_is_for_its_owner_only_and_comes_back(
    files: tuple[Path, Path], passphrase: str
) -> None:
    key_file, certificate_file = files
    key = new_key()
    before = os.umask(0)
    try:
        save_signing_key(key, key_file, certificate_file, passphrase)
    finally:
        os.umask(before)
    assert mode_of(key_file) == 0o600
    assert mode_of(certificate_file) == 0o644
    assert sorted(path.name for path in key_file.parent.iterdir()) == ["signing.key", "signing.pem"]
    assert (b"ENCRYPTED" in key_file.read_bytes()) is bool(passphrase)
    loaded = load_signing_key(key_file, certificate_file, passphrase)
    assert loaded.certificate == key.certificate
    assert loaded.signer.private_bytes == key.signer.private_bytes
    signature = loaded.sign(b"evidence")
    key.certificate.check(b"evidence", signature)
    with pytest.raises(VerificationError, match="not valid"):
        key.certificate.check(b"evidencE", signature)


def test_a_passphrase_that_is_missing_wrong_or_not_needed(files: tuple[Path, Path]) -> None:
    save_signing_key(new_key(), *files, "correct horse")
    with pytest.raises(KeyFileError, match="none was given") as missing:
        load_signing_key(*files, "")
    assert "AUDITPACK_KEY_PASSPHRASE" in missing.value.mend
    with pytest.raises(KeyFileError, match="wrong passphrase") as wrong:
        load_signing_key(*files, "wrong horse")
    assert wrong.value.where == str(files[0])
    for path in files:
        path.unlink()
    save_signing_key(new_key(), *files, "")
    assert load_signing_key(*files, "a passphrase that nobody asked for")


@pytest.mark.parametrize("existing", [0, 1], ids=["key", "certificate"])
def test_a_key_is_never_overwritten(files: tuple[Path, Path], existing: int) -> None:
    files[existing].parent.mkdir()
    files[existing].write_bytes(b"precious")
    with pytest.raises(KeyFileError, match="never overwritten") as caught:
        save_signing_key(new_key(), *files, "")
    assert caught.value.where == str(files[existing])
    assert files[existing].read_bytes() == b"precious"
    assert not files[1 - existing].exists()


def test_a_certificate_of_another_key_is_refused(files: tuple[Path, Path]) -> None:
    save_signing_key(new_key(), *files, "")
    files[1].write_bytes(new_key().certificate.pem)
    with pytest.raises(KeyFileError, match="do not belong together"):
        load_signing_key(*files, "")


@pytest.mark.parametrize("damaged", [0, 1], ids=["key", "certificate"])
@pytest.mark.parametrize("content", [None, b"", b"no PEM", b"-----BEGIN CERTIFICATE-----\nAAAA"])
def test_key_files_that_cannot_be_read_are_named(
    files: tuple[Path, Path], damaged: int, content: bytes | None
) -> None:
    save_signing_key(new_key(), *files, "")
    if content is None:
        files[damaged].unlink()
    else:
        files[damaged].write_bytes(content)
    with pytest.raises(KeyFileError) as caught:
        load_signing_key(*files, "")
    assert caught.value.where == str(files[damaged])
    assert caught.value.mend


def test_a_key_that_is_not_elliptic_is_refused(files: tuple[Path, Path]) -> None:
    key, certificate = rsa_pair()
    files[0].parent.mkdir()
    files[0].write_bytes(key)
    files[1].write_bytes(certificate)
    with pytest.raises(KeyFileError, match="elliptic-curve"):
        load_signing_key(*files, "")
    with pytest.raises(KeyFileError, match="elliptic-curve"):
        Certificate.from_pem(certificate).verification_key()


def test_a_key_on_another_curve_is_refused(files: tuple[Path, Path]) -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    files[0].parent.mkdir()
    files[0].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    files[1].write_bytes(new_key().certificate.pem)
    with pytest.raises(KeyFileError, match="elliptic-curve key of secp384r1") as caught:
        load_signing_key(*files, "")
    assert "P-256" in caught.value.mend


def test_a_certificate_is_valid_from_its_first_to_its_last_second() -> None:
    certificate = make_signing_key("Example Ltd", NOW).certificate
    first, last = NOW - datetime.timedelta(minutes=5), NOW + datetime.timedelta(days=5 * 365)
    second = datetime.timedelta(seconds=1)
    expected = {first - second: False, first: True, NOW: True, last: True, last + second: False}
    assert {moment: certificate.valid_at(moment) for moment in expected} == expected


@needs_openssl
def test_openssl_reads_the_key_and_computes_the_same_fingerprint(files: tuple[Path, Path]) -> None:
    key = new_key("Müller & Söhne")
    save_signing_key(key, *files, "correct horse")
    public = openssl("pkey", "-in", files[0], "-passin", "pass:correct horse", "-pubout").stdout
    assert public == openssl("x509", "-in", files[1], "-pubkey", "-noout").stdout
    shown = openssl("x509", "-in", files[1], "-noout", "-fingerprint", "-sha256").stdout.decode()
    assert shown.strip().split("=")[1].replace(":", "").lower() == key.certificate.fingerprint
    assert "Müller & Söhne" in key.certificate.subject


def test_the_redaction_key_is_secret_and_made_once(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "redaction.key"
    first = load_or_make_redaction_key(path)
    assert (len(first), mode_of(path)) == (32, 0o600)
    assert load_or_make_redaction_key(path) == first
    assert load_or_make_redaction_key(tmp_path / "other") != first


@pytest.mark.parametrize("content", [b"", b"short"])
def test_a_redaction_key_that_could_be_guessed_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "redaction.key").write_bytes(content)
    with pytest.raises(AuditpackError):
        load_or_make_redaction_key(tmp_path / "redaction.key")


# ---------------------------------------------------------------------------------- manifests


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Some files that can be sealed."""
    made = tmp_path / "folder"
    (made / "deep").mkdir(parents=True)
    (made / "a.txt").write_bytes(b"alpha")
    (made / "deep" / MANIFEST_NAME).write_bytes(b"not the manifest of this folder")
    (made / "empty").write_bytes(b"")
    return made


def pae(envelope: dict[str, Any]) -> bytes:
    """The DSSE v1 pre-authentication encoding, from the specification."""
    kind, payload = envelope["payloadType"].encode(), base64.b64decode(envelope["payload"])
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def test_a_manifest_is_an_in_toto_statement_over_every_file(folder: Path) -> None:
    digest = seal_folder(folder, "snapshot", {"id": "x"}, new_key())
    data = (folder / MANIFEST_NAME).read_bytes()
    assert digest == hashlib.sha256(data).hexdigest()
    envelope = json.loads(data)
    assert envelope["payloadType"] == PAYLOAD_TYPE == "application/vnd.in-toto+json"
    statement = json.loads(base64.b64decode(envelope["payload"]))
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert {item["name"]: item["digest"]["sha256"] for item in statement["subject"]} == {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in ("a.txt", f"deep/{MANIFEST_NAME}", "empty")
    }
    manifest = read_manifest(folder)
    assert (manifest.kind, manifest.predicate, manifest.digest) == ("snapshot", {"id": "x"}, digest)
    assert manifest.files["a.txt"][1] == 5


@needs_openssl
def test_openssl_alone_verifies_the_signature(folder: Path, tmp_path: Path) -> None:
    key = new_key()
    seal_folder(folder, "snapshot", {"id": "x"}, key)
    envelope = json.loads((folder / MANIFEST_NAME).read_bytes())
    (signature,) = envelope["signatures"]
    assert signature["keyid"] == key.certificate.fingerprint
    (tmp_path / "sig").write_bytes(base64.b64decode(signature["sig"]))
    (tmp_path / "pem").write_bytes(key.certificate.pem)
    public = openssl("x509", "-in", tmp_path / "pem", "-pubkey", "-noout").stdout
    (tmp_path / "pub").write_bytes(public)
    verify = ("dgst", "-sha256", "-verify", tmp_path / "pub", "-signature", tmp_path / "sig")
    assert openssl(*verify, given=pae(envelope)).stdout == b"Verified OK\n"
    assert openssl(*verify, given=pae(envelope) + b" ").returncode != 0


def test_a_signature_of_another_key_is_not_valid(folder: Path) -> None:
    key, other = new_key(), new_key()
    seal_folder(folder, "snapshot", {}, key)
    manifest = read_manifest(folder)
    check_signature(manifest, key.certificate, where="here")
    with pytest.raises(VerificationError, match=other.certificate.fingerprint[:16]):
        check_signature(manifest, other.certificate, where="here")


def test_a_second_signature_is_not_ours(folder: Path) -> None:
    key, other = new_key(), new_key()
    seal_folder(folder, "snapshot", {}, key)
    envelope = read_manifest(folder).envelope
    envelope.sign(other.signer)
    data = json.dumps(envelope.to_dict(), sort_keys=True, separators=(",", ":"))
    (folder / MANIFEST_NAME).write_text(data)
    with pytest.raises(VerificationError):
        check_signature(read_manifest(folder), key.certificate, where="here")


@pytest.fixture(scope="module")
def sealed_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("small") / "store"
    sealed_store(root, accounts=1, buckets=0, schemas=(BUCKETS,))
    return root


@pytest.fixture
def small_store(sealed_once: Path, tmp_path: Path) -> Path:
    """A store with one small snapshot, to do with as a test likes."""
    return shutil.copytree(sealed_once, tmp_path / "small-store")


@pytest.mark.parametrize("mask", [0x01, 0x20], ids=["lowest bit", "letter case"])
def test_every_changed_byte_of_a_manifest_is_found(small_store: Path, mask: int) -> None:
    store = Store.open(small_store)
    path = store.folder("snapshot") / FIRST_SNAPSHOT / MANIFEST_NAME
    name = f"snapshots/{FIRST_SNAPSHOT}/{MANIFEST_NAME}"
    sound = path.read_bytes()
    unnoticed = []
    for position, byte in enumerate(sound):
        path.write_bytes(sound[:position] + bytes([byte ^ mask]) + sound[position + 1 :])
        if name not in [fault.path for fault in verify_store(store).faults]:
            unnoticed.append(position)
    assert unnoticed == []


def test_a_manifest_cut_off_or_added_to_is_found(small_store: Path) -> None:
    store = Store.open(small_store)
    path = store.folder("snapshot") / FIRST_SNAPSHOT / MANIFEST_NAME
    sound = path.read_bytes()
    changed = [sound[:length] for length in range(0, len(sound), 7)]
    changed += [sound + b"\n", sound + b" ", b" " + sound, sound + sound, b"[]", b"{}", b"null"]
    envelope = json.loads(sound)
    changed.append(json.dumps(envelope).encode())
    changed.append(json.dumps({**envelope, "note": 1}, separators=(",", ":")).encode())
    unnoticed = []
    for data in changed:
        path.write_bytes(data)
        if verify_store(store).ok:
            unnoticed.append(data)
    assert unnoticed == []


# ---------------------------------------------------------------------------------- the store


def test_a_folder_without_a_store_is_said_to_be_none(tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "missing"):
        with pytest.raises(StoreError, match="no evidence store") as caught:
            Store.open(root)
        assert caught.value.where == str(root)
    assert not (tmp_path / "missing").exists()


def test_a_folder_with_other_things_in_it_is_not_taken_over(tmp_path: Path) -> None:
    (tmp_path / "photos.txt").write_bytes(b"mine")
    with pytest.raises(StoreError, match="not empty"):
        Store.open(tmp_path, create=True)
    assert [path.name for path in tmp_path.iterdir()] == ["photos.txt"]


def test_a_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for create in (False, True):
        with pytest.raises(StoreError):
            Store.open(tmp_path / "file", create=create)


@pytest.mark.parametrize(
    "mark", [b"", b'{"format":3,"is":"an auditpack evidence store"}', b"{}", None]
)
def test_a_format_that_is_not_known_is_not_touched(tmp_path: Path, mark: bytes | None) -> None:
    root = tmp_path / "store"
    Store.open(root, create=True)
    sound = (root / STORE_MARK).read_bytes()
    changed = sound + b"\n" if mark is None else mark
    (root / STORE_MARK).write_bytes(changed)
    for create in (False, True):
        with pytest.raises(StoreError, match="does not know"):
            Store.open(root, create=create)
    assert (root / STORE_MARK).read_bytes() == changed


def test_a_store_is_made_once_and_opened_again(tmp_path: Path) -> None:
    made = Store.open(tmp_path / "new" / "store", create=True)
    assert Store.open(made.root) == Store.open(made.root, create=True) == made


def test_an_empty_store_says_which_command_fills_it(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store", create=True)
    for kind, command in (("snapshot", "collect"), ("assessment", "evaluate"), ("pack", "pack")):
        with pytest.raises(StoreError, match=f"no sealed {kind}") as caught:
            store.latest(kind)
        assert f"auditpack {command}" in caught.value.mend


def test_asking_for_a_snapshot_that_is_not_there_names_those_that_are(small_store: Path) -> None:
    store = Store.open(small_store)
    assert store.find("snapshot", "").name == store.latest("snapshot") == FIRST_SNAPSHOT
    with pytest.raises(StoreError, match="no snapshot '2025'") as caught:
        store.find("snapshot", "2025")
    assert FIRST_SNAPSHOT in caught.value.mend


def test_what_cannot_be_written_is_a_store_error(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store", create=True)
    (store.root / "certificates").write_bytes(b"a file where a folder belongs")
    with pytest.raises(StoreError, match="could not be written"):
        store.keep_certificate(new_key().certificate)
    (store.root / "incomplete").rmdir()
    (store.root / "incomplete").write_bytes(b"a file where a folder belongs")
    with pytest.raises(StoreError, match="could not be written"):
        start_run(store)


def test_publishing_never_replaces_what_is_sealed(small_store: Path, tmp_path: Path) -> None:
    store = Store.open(small_store)
    target = store.folder("snapshot") / FIRST_SNAPSHOT
    before = read_manifest(target).digest
    other = tmp_path / "other"
    other.mkdir()
    (other / "x").write_bytes(b"other evidence")
    seal_folder(other, "snapshot", {"id": FIRST_SNAPSHOT}, new_key("Anyone"))
    with pytest.raises(StoreError, match="could not be put into place"):
        store.put_folder(other, "snapshot", FIRST_SNAPSHOT)
    assert read_manifest(target).digest == before
    assert verify_store(store).ok
