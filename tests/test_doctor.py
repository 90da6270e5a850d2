"""`auditpack doctor`: what it says of stores, keys, authorities and machines."""

from __future__ import annotations

import datetime
import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support_aws import Gate, gated_moto
from support_cli import Said, auditpack
from support_gcs import FakeGcs, fake_gcs
from support_objects import ACCOUNT, ACCOUNT_KEY, BUCKET, azurite, s3_client
from support_tsa import Mode, loopback_tsa

from auditpack.config import SigningConfig
from auditpack.doctor.cloud import check_cloud
from auditpack.doctor.finding import Finding
from auditpack.doctor.folder import check_folder
from auditpack.doctor.machine import check_extras, extras
from auditpack.doctor.signing import check_key
from auditpack.doctor.writes import check_writes
from evidence.key_uri import FileKey
from evidence.keys import make_signing_key, save_signing_key
from evidence.objects import FolderObjects
from evidence.store_location import StoreOptions, open_objects

NOW = datetime.datetime(2026, 3, 1, 6, tzinfo=datetime.UTC)
PRIVATE = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}


@pytest.fixture(scope="module")
def moto() -> Iterator[tuple[str, Gate]]:
    with gated_moto() as served:
        yield served


@pytest.fixture(scope="module")
def azure() -> Iterator[str]:
    with azurite() as url:
        yield url


@pytest.fixture
def gcs() -> Iterator[tuple[str, FakeGcs]]:
    with fake_gcs() as (url, state):
        state.buckets[BUCKET] = {}
        yield url, state


@pytest.fixture
def s3(moto: tuple[str, Gate], monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Gate]:
    """A client, and the gate; the SDK's variables point at moto."""
    url, gate = moto
    gate.reset()
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    return s3_client(url), gate


def states(findings: Iterator[Finding]) -> dict[str, str]:
    """Subject -> state; the worst where a subject has several."""
    order = ("ok", "warning", "problem")
    found: dict[str, str] = {}
    for finding in findings:
        worst = max(order.index(finding.state), order.index(found.get(finding.subject, "ok")))
        found[finding.subject] = order[worst]
        assert (finding.state == "ok") == (finding.mend == ""), finding
    return found


def said_of(said: Said, subject: str) -> dict[str, str]:
    """The first finding about a subject."""
    return next(found for found in said.json["findings"] if found["subject"] == subject)


# The whole command


def test_a_healthy_setup_is_said_to_be_one(tmp_path: Path) -> None:
    assert auditpack("init", "--organisation", "Beispiel GmbH", cwd=tmp_path).code == 0
    said = auditpack("doctor", cwd=tmp_path)
    assert said.code == 0, said.out + said.err
    assert "0 problems" in said.out
    assert "Beispiel GmbH" in said.out
    assert "GiB are free" in said.out
    assert not (tmp_path / "store").exists()


def test_problems_are_named_with_their_mend_and_exit_with_1(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file, not a folder")
    (tmp_path / "auditpack.yaml").write_text("organisation: Beispiel GmbH\n")
    said = auditpack("doctor", "--json", cwd=tmp_path)
    assert said.code == 1
    assert said.json["ok"] is False
    assert said_of(said, "store")["state"] == "problem"
    assert "is a file" in said_of(said, "store")["what"]
    assert "keys/signing-key.pem" in said_of(said, "signing key")["what"]
    assert "auditpack init" in said_of(said, "signing key")["mend"]
    quiet = auditpack("doctor", "-q", cwd=tmp_path)
    assert quiet.code == 1
    assert quiet.out == ""
    assert "is a file" in quiet.err


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    before = sorted(tmp_path.rglob("*"))
    said = auditpack("doctor", "--json", cwd=tmp_path)
    assert said.code == 0, said.out
    assert said_of(said, "writes")["state"] == "ok"
    assert (
        said_of(said, "signing key")["state"] == "warning"
    )  # a run would make one, the doctor not
    left = [path for path in tmp_path.rglob("*") if "xdg" not in path.parts]
    assert sorted(left) == before
    assert not list((tmp_path / "xdg").rglob("*.pem"))


def test_a_store_that_is_none_does_not_keep_the_doctor_from_the_rest(tmp_path: Path) -> None:
    said = auditpack("doctor", "--json", "--store", "s3:/typo", cwd=tmp_path)
    assert said.code == 1
    assert "s3://BUCKET/PREFIX" in said_of(said, "store")["mend"]
    assert said_of(said, "PDF")["state"] == "ok"


def test_a_bucket_through_the_command(s3: tuple[Any, Gate], tmp_path: Path) -> None:
    client, _ = s3
    client.create_bucket(Bucket="doctor-cli", ObjectLockEnabledForBucket=True)
    config = "organisation: X\nstore: s3://doctor-cli/room\nstore_options: {retention_days: 400}\n"
    (tmp_path / "auditpack.yaml").write_text(config)
    said = auditpack("doctor", "--json", cwd=tmp_path)
    assert "400 days (COMPLIANCE)" in said_of(said, "retention")["what"]
    assert said_of(said, "checksum")["state"] == "ok"
    assert said_of(said, "versioning")["state"] == "ok"
    assert said_of(said, "space")["state"] == "ok"
    assert "Contents" not in client.list_objects_v2(Bucket="doctor-cli")


# Folders


def test_a_folder_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_: Any, **__: Any) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr("os.link", link)
    findings = {found.subject: found for found in check_folder(tmp_path)}
    assert findings["writes"].state == "problem"
    assert "hard links" in findings["writes"].what
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        findings = {found.subject: found for found in check_folder(tmp_path)}
    assert findings["writes"].state == "problem"
    assert "No space left" in findings["writes"].what
    (tmp_path / "file").write_text("")
    assert states(check_folder(tmp_path / "file" / "below"))["store"] == "problem"


@pytest.mark.parametrize(("free", "state"), [(1 << 40, "ok"), (1 << 30, "warning"), (1, "problem")])
def test_free_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, state: str) -> None:
    usage = type("Usage", (), {"free": free})()
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    assert states(check_folder(tmp_path))["space"] == state


class Forgetful(FolderObjects):
    """A store that lets anybody write again, as a service without conditional writes does."""

    def create(self, name: str, source: bytes | Path) -> None:
        """Write, whatever is there."""
        (self.root / name).parent.mkdir(exist_ok=True)
        (self.root / name).write_bytes(source if isinstance(source, bytes) else b"")


def test_a_store_that_takes_a_second_write_is_a_problem(tmp_path: Path) -> None:
    (found,) = check_writes(Forgetful(tmp_path))
    assert found.state == "problem"
    assert "is not refused" in found.what
    assert not list((tmp_path / "incomplete").iterdir())


# Buckets


def test_a_bucket_with_everything(s3: tuple[Any, Gate]) -> None:
    client, _ = s3
    client.create_bucket(Bucket="doctor-good", ObjectLockEnabledForBucket=True)
    client.put_object_lock_configuration(
        Bucket="doctor-good",
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Years": 7}},
        },
    )
    client.put_bucket_encryption(
        Bucket="doctor-good",
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]
        },
    )
    client.put_public_access_block(Bucket="doctor-good", PublicAccessBlockConfiguration=PRIVATE)
    findings = list(check_cloud(open_objects("s3://doctor-good/room")))
    assert {found.state for found in findings} == {"ok"}
    told = " ".join(found.what for found in findings)
    assert "7 years (COMPLIANCE)" in told
    assert "aws:kms" in told


def test_a_bucket_with_nothing(s3: tuple[Any, Gate]) -> None:
    client, _ = s3
    client.create_bucket(Bucket="doctor-bare")
    found = states(check_cloud(open_objects("s3://doctor-bare")))
    assert found["writes"] == found["checksum"] == "ok"
    assert found["versioning"] == found["retention"] == found["public access"] == "warning"
    asked = open_objects("s3://doctor-bare", StoreOptions(30))
    assert states(check_cloud(asked))["retention"] == "problem"


def test_a_bucket_that_says_nothing_and_one_that_is_not_there(s3: tuple[Any, Gate]) -> None:
    client, gate = s3
    client.create_bucket(Bucket="doctor-silent")
    asked = ("versioning", "object-lock", "encryption", "publicAccessBlock")
    gate.refuse = lambda request: (
        (403, "AccessDenied", "no") if request.operation.endswith(asked) else None
    )
    findings = list(check_cloud(open_objects("s3://doctor-silent")))
    denied = [found for found in findings if "AccessDenied" in found.what]
    assert len(denied) == 4
    assert "s3:GetBucketVersioning" in denied[0].mend
    gate.reset()
    (missing,) = check_cloud(open_objects("s3://doctor-never-made"))
    assert missing.state == "problem"
    assert "no such bucket" in missing.what


def test_azure(azure: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_KEY", ACCOUNT_KEY)
    options = StoreOptions(endpoint_url=f"{azure}/{ACCOUNT}")
    objects = open_objects(f"az://{ACCOUNT}/{BUCKET}", options)
    found = states(check_cloud(objects))
    assert found == {
        "store": "ok",
        "writes": "ok",
        "public access": "ok",
        "retention": "warning",
    }
    assert list(objects.list("")) == []


def test_google(gcs: tuple[str, FakeGcs], monkeypatch: pytest.MonkeyPatch) -> None:
    url, state = gcs
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
    objects = open_objects(f"gs://{BUCKET}")
    found = states(check_cloud(objects))
    assert found["store"] == found["writes"] == "ok"
    assert found["public access"] == found["retention"] == "warning"
    state.settings = {
        "iamConfiguration": {"publicAccessPrevention": "enforced"},
        "retentionPolicy": {"retentionPeriod": str(400 * 86400), "isLocked": True},
    }
    findings = list(check_cloud(objects))
    assert {finding.state for finding in findings} == {"ok"}
    assert "400 days (locked)" in findings[-1].what
    assert state.buckets[BUCKET] == {}


# The key and the timestamp authority


@pytest.mark.parametrize(
    ("days", "state"),
    [(0, "ok"), (5 * 365 - 50, "warning"), (5 * 365 + 2, "problem"), (-9, "problem")],
)
def test_the_days_of_a_certificate(tmp_path: Path, days: int, state: str) -> None:
    key = make_signing_key("Beispiel GmbH", NOW)
    files = tmp_path / "key.pem", tmp_path / "certificate.pem"
    save_signing_key(key, *files, "")
    signing = SigningConfig(key=files[0], certificate=files[1])
    at = NOW + datetime.timedelta(days=days)
    found = states(check_key(signing, lambda: key, at, configured=True))
    assert found == {"signing key": "ok", "certificate": state}


def test_a_key_that_others_may_read(tmp_path: Path) -> None:
    key = make_signing_key("Beispiel GmbH", NOW)
    files = tmp_path / "key.pem", tmp_path / "certificate.pem"
    save_signing_key(key, *files, "")
    files[0].chmod(0o644)
    signing = SigningConfig(key=files[0], certificate=files[1])
    assert isinstance(signing.key, FileKey)
    found = [f for f in check_key(signing, lambda: key, NOW, configured=True) if f.mend]
    assert [f.mend for f in found] == [f"chmod 600 {files[0]}"]


def test_a_key_with_a_passphrase_that_was_not_given(tmp_path: Path) -> None:
    made = auditpack(
        "init", "--organisation", "X", cwd=tmp_path, AUDITPACK_KEY_PASSPHRASE="correct horse"
    )
    assert made.code == 0, made.err
    said = auditpack("doctor", "--json", cwd=tmp_path)
    assert said.code == 1
    assert "AUDITPACK_KEY_PASSPHRASE" in said_of(said, "signing key")["mend"]
    given = auditpack("doctor", "--json", cwd=tmp_path, AUDITPACK_KEY_PASSPHRASE="correct horse")
    assert given.code == 0, given.out


def test_a_timestamp_authority_is_asked(tmp_path: Path) -> None:
    (tmp_path / "tsa").mkdir()
    assert auditpack("init", "--organisation", "X", cwd=tmp_path).code == 0
    config = tmp_path / "auditpack.yaml"
    with loopback_tsa(tmp_path / "tsa") as tsa:
        config.write_text(
            f"organisation: X\nsigning:\n  tsa_url: {tsa.url}\n"
            f"  tsa_certificates: {tsa.root_certificate}\n"
        )
        said = auditpack("doctor", "--json", cwd=tmp_path)
        assert said_of(said, "timestamps")["state"] == "ok", said.out
        tsa.mode = Mode.UNAVAILABLE
        said = auditpack("doctor", "--json", cwd=tmp_path)
        assert said.code == 0
        assert said_of(said, "timestamps")["state"] == "warning"
        assert "503" in said_of(said, "timestamps")["what"]


# The machine


def test_a_machine_without_the_pdf_libraries(tmp_path: Path) -> None:
    """As on a bare machine: loading Pango fails."""
    script = """
import sys
class NoPango:
    def find_spec(self, name, *_):
        if name == "weasyprint":
            raise OSError("cannot load library 'libpango-1.0-0': not found")
sys.meta_path.insert(0, NoPango())
from auditpack.doctor.machine import check_pdf
for found in check_pdf():
    print(found.state, found.what, found.mend)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("problem")
    assert "libpango-1.0-0" in done.stdout


def test_optional_parts_are_those_of_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "importlib.metadata.requires",
        lambda _: [
            "click>=8",
            'moto[server]>=5; extra == "demo"',
            "never-made>=1; extra=='odd'",
            "pytest>=8; extra == 'test'",
        ],
    )
    assert extras() == {"demo": {"moto"}, "odd": {"never-made"}}
    told = {found.subject: found.what for found in check_extras()}
    assert told["extra demo"] == "installed"
    assert "pip install 'auditpack[odd]'" in told["extra odd"]
