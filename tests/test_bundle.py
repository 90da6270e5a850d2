"""Bundles: whole, checkable without our software, and nothing can be changed in them unseen."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pack_store import build_store
from support_cli import auditpack
from support_handover import (
    BUCKETS,
    Estate,
    at_once,
    clean_path,
    flip,
    make_estate,
    run_clean,
    script_of,
    tampered,
)
from support_mutations import ANY_FILE
from support_tampering import Estate as Tampered
from support_tsa import loopback_tsa

from evidence.bundle_verify import archive_signature, verify_bundle
from evidence.canonical import sha256_hex
from evidence.errors import KeyFileError, UsageError, VerificationError
from evidence.faults import VerificationReport
from evidence.keys import Certificate, make_signing_key
from evidence.verify import Trust
from reports.bundle.archive import write_zip
from reports.bundle.making import make_bundle
from reports.pack import make_pack

CAPTURES = "snapshots/*/captures/aws/*/global/aws_s3_bucket.jsonl"
KINDS = (
    "SHA256SUMS",
    "SHA256SUMS.sig",
    "VERIFY.md",
    "auditpack-store.json",
    "checkpoint.txt",
    "findings.jsonl",
    "timestamp-roots.pem",
    "certificates/*.pem",
    "revocations/*.json",
    "log/00000002.dsse.json",
    "snapshots/*/manifest.dsse.json",
    CAPTURES,
    "snapshots/*/records.bin",
    "snapshots/*/tables/aws_s3_bucket.parquet",
    "snapshots/*/gaps.jsonl",
    "assessments/*/manifest.dsse.json",
    "assessments/*/findings.parquet",
    "assessments/*/catalogue.json",
    "packs/*/manifest.dsse.json",
    "packs/*/pack.pdf",
)
"""Every kind of file that a bundle has."""

_OWN = ("SHA256SUMS", "SHA256SUMS.sig", "VERIFY.md", "timestamp-roots.pem")
SEALED_KINDS = tuple(name for name in KINDS if name not in _OWN)
"""Those whose content the log and the manifests vouch for, whoever signs the sums."""


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    folder = tmp_path_factory.mktemp("estate")
    with loopback_tsa(folder / "tsa") as tsa:
        yield make_estate(folder, tsa.url)


@pytest.fixture(scope="module")
def bundle(estate: Estate, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("bundle") / "bundle"
    return make_bundle(estate.built.store, estate.key, output).path


@pytest.fixture(scope="module")
def archive(estate: Estate, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("archive") / "bundle.zip"
    return make_bundle(estate.built.store, estate.key, output).path


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clean_path(tmp_path_factory.mktemp("machine") / "bin")


def faults(report: VerificationReport) -> dict[str, str]:
    return {fault.path: fault.what for fault in report.faults}


def named(folder: Path, name: str) -> str:
    """The path, relative to the bundle, of the first file that a glob names."""
    return sorted(folder.glob(name))[0].relative_to(folder).as_posix()


# What is in it


def test_a_bundle_is_an_extract_of_the_store_that_verifies(estate: Estate, bundle: Path) -> None:
    report = verify_bundle(bundle, Trust(estate.key.certificate, estate.kept, "kept"))
    assert report.faults == []
    assert report.sealed == {**report.sealed, "snapshot": 1, "assessment": 1, "pack": 1}
    assert report.records == estate.built.snapshot.predicate["merkle_tree"]["size"]
    assert report.since.startswith("3 entries")
    assert report.log is not None
    assert report.log.size == len(estate.built.store.log.records())
    assert report.log.timestamped == 2
    names = {path.name for path in bundle.iterdir()}
    assert {"VERIFY.md", "SHA256SUMS", "SHA256SUMS.sig", "checkpoint.txt"} <= names
    assert not list(bundle.rglob("*.zst")), "an auditor need not have zstd"


def test_findings_are_those_whose_digest_is_sealed(estate: Estate, bundle: Path) -> None:
    data = (bundle / "findings.jsonl").read_bytes()
    results = estate.built.assessment.results["findings"]
    assert sha256_hex(data) == results["sha256"]
    assert len(data.splitlines()) == results["count"]


def test_who_pinned_the_key_before_the_rotation_can_verify(estate: Estate, bundle: Path) -> None:
    assert verify_bundle(bundle, Trust(estate.old_key.certificate)).ok
    stranger = make_signing_key("Somebody", estate.built.sealer.clock())
    assert not verify_bundle(bundle, Trust(stranger.certificate)).ok


def test_a_bundle_leaves_out_what_the_pack_does_not_rest_on(tmp_path: Path) -> None:
    built = build_store(tmp_path / "other", BUCKETS[:1])
    first = make_pack(built.view(), built.store, built.sealer).parent.name
    second = make_pack(built.view(), built.store, built.sealer).parent.name
    made = make_bundle(built.store, built.key, tmp_path / "out", pack=first)
    assert [item.name for item in (made.path / "packs").iterdir()] == [first]
    assert len(list((made.path / "log").iterdir())) == len(built.store.log.records())
    assert verify_bundle(made.path, Trust()).ok
    newest = make_bundle(
        built.store, built.key, tmp_path / "newest", assessment=built.assessment.id
    )
    assert newest.pack == second


# Without our software


def test_instructions_work_on_a_machine_that_has_nothing_of_ours(
    estate: Estate, bundle: Path, path: Path, tmp_path: Path
) -> None:
    for module in ("zstandard", "evidence", "cryptography"):
        assert run_clean(f"python3 -c 'import {module}'", tmp_path, path).code != 0
    kept = tmp_path / "kept.txt"
    kept.write_text(estate.kept)
    copy = shutil.copytree(bundle, tmp_path / "copy")
    done = run_clean(
        script_of(copy / "VERIFY.md"),
        copy,
        path,
        PINNED=estate.old_key.certificate.fingerprint,
        OLD=str(kept),
    )
    assert done.code == 0, done.err
    assert f"fingerprint {estate.key.certificate.fingerprint}" in done.out
    log = estate.built.store.log
    assert f"{len(log.records())} entries of {log.records()[0].checkpoint.origin}" in done.out
    assert f"root {log.tree().root().hex()}" in done.out
    assert "the first 3 entries are those of your checkpoint" in done.out
    assert "the pack rests on this assessment, and that on this snapshot" in done.out
    assert "Signature is Valid." in done.out
    assert '"status": "fail"' in done.out
    assert "rule: encryption.algorithm in ('AES256', 'aws:kms')" in done.out
    assert "<encryption>NONE</encryption>" in done.out
    assert "byte for byte, what came over the wire" in done.out
    assert re.search(r"entry 00000004 was there at 20\d\d-\d\d-\d\dT", done.out)
    assert sorted(copy.rglob("*")) == sorted(
        copy / item.relative_to(bundle) for item in bundle.rglob("*")
    ), "the commands leave nothing behind"


def test_the_instructions_say_what_the_commands_print(bundle: Path, path: Path) -> None:
    text = (bundle / "VERIFY.md").read_text()
    done = run_clean(script_of(bundle / "VERIFY.md"), bundle, path)
    expected = re.findall(r"^Expected:\n\n((?:    .*\n)+)", text, re.MULTILINE)
    lines = [line.strip() for block in expected for line in block.splitlines()]
    assert len(lines) == 2
    assert set(lines) <= set(done.out.splitlines())


def test_names_from_a_cloud_do_not_reach_the_shell(
    bundle: Path, path: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(bundle, tmp_path / "copy")
    count = len((copy / "findings.jsonl").read_bytes().splitlines())
    script = script_of(copy / "VERIFY.md")
    for line in range(1, count + 1):
        assert run_clean(script, copy, path, FINDING=str(line)).code == 0
    assert not list(tmp_path.rglob("pwned"))
    assert "pwned" not in (copy / "VERIFY.md").read_text()


def test_all_steps_can_be_run_at_once(bundle: Path, path: Path, tmp_path: Path) -> None:
    command = at_once(bundle / "VERIFY.md")
    done = run_clean(command, bundle, path)
    assert done.code == 0, done.err
    assert done.out == run_clean(script_of(bundle / "VERIFY.md"), bundle, path).out
    copy = tampered(bundle, tmp_path / "copy", flip("checkpoint.txt"))
    assert run_clean(command, copy, path).code != 0


@pytest.mark.parametrize("kind", KINDS)
def test_one_changed_bit_in_any_kind_of_file_is_found(
    bundle: Path, path: Path, tmp_path: Path, kind: str
) -> None:
    copy = tampered(bundle, tmp_path / "copy", flip(kind))
    report = verify_bundle(copy, Trust())
    assert not report.ok
    assert named(bundle, kind) in faults(report)
    done = run_clean(script_of(bundle / "VERIFY.md"), copy, path)
    assert done.code != 0


@pytest.mark.parametrize("kind", SEALED_KINDS)
def test_who_holds_the_key_and_signs_the_sums_anew_is_found_all_the_same(
    estate: Estate, bundle: Path, path: Path, tmp_path: Path, kind: str
) -> None:
    copy = tampered(bundle, tmp_path / "copy", flip(kind), estate.key)
    report = verify_bundle(copy, Trust())
    assert named(bundle, kind) in faults(report)
    done = run_clean(script_of(bundle / "VERIFY.md"), copy, path)
    step_two = "all listed, none missing, none added" in done.out
    is_certificate = kind.startswith("certificates/")
    is_mark = kind == "auditpack-store.json"
    assert step_two or is_certificate
    assert (done.code != 0) != is_mark, "the mark of a store says nothing about evidence"


def link(folder: Path) -> None:
    path = folder / "checkpoint.txt"
    path.rename(folder.parent / "elsewhere.txt")
    path.symlink_to(folder.parent / "elsewhere.txt")


STRUCTURES: dict[str, Callable[[Path], None]] = {
    "findings.jsonl": lambda folder: (folder / "findings.jsonl").unlink(),
    "packs/added": lambda folder: (folder / "packs/added").mkdir(),
    "added.txt": lambda folder: (folder / "added.txt").write_text("x") and None,
    "checkpoint.txt": link,
    "log/00000006.dsse.json": lambda folder: (
        (folder / "log/00000006.dsse.json").write_bytes(b"{}") and None
    ),
    "SHA256SUMS.sig": lambda folder: (folder / "SHA256SUMS.sig").unlink(),
    "SHA256SUMS": lambda folder: (folder / "SHA256SUMS").unlink(),
    "VERIFY.md": lambda folder: (folder / "VERIFY.md").unlink(),
}


@pytest.mark.parametrize("name", STRUCTURES)
def test_what_is_missing_added_or_replaced_is_found(
    bundle: Path, path: Path, tmp_path: Path, name: str
) -> None:
    copy = tampered(bundle, tmp_path / "copy", STRUCTURES[name])
    assert name in faults(verify_bundle(copy, Trust()))
    assert run_clean(script_of(bundle / "VERIFY.md"), copy, path).code != 0


def test_a_changed_record_is_named(
    estate: Estate, bundle: Path, path: Path, tmp_path: Path
) -> None:
    def change(folder: Path) -> None:
        file = sorted(folder.glob(CAPTURES))[0]
        lines = file.read_bytes().split(b"\n")
        lines[2] = lines[2].replace(b"200", b"201")
        file.write_bytes(b"\n".join(lines))

    copy = tampered(bundle, tmp_path / "copy", change, estate.key)
    found = faults(verify_bundle(copy, Trust()))
    assert found[named(bundle, CAPTURES)] == "the first changed record is 3"
    done = run_clean(script_of(bundle / "VERIFY.md"), copy, path)
    assert "aws_s3_bucket.jsonl: record 3 was changed" in done.err


def drop_line(folder: Path) -> None:
    file = sorted(folder.glob(CAPTURES))[0]
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:-1]))


def add_line(folder: Path) -> None:
    file = sorted(folder.glob(CAPTURES))[0]
    file.write_bytes(file.read_bytes() + b"{}\n")


@pytest.mark.parametrize(("change", "what"), [(drop_line, "is missing"), (add_line, "was added")])
def test_records_are_neither_dropped_nor_added(
    estate: Estate,
    bundle: Path,
    path: Path,
    tmp_path: Path,
    change: Callable[[Path], None],
    what: str,
) -> None:
    copy = tampered(bundle, tmp_path / "copy", change, estate.key)
    assert what in faults(verify_bundle(copy, Trust()))[named(bundle, CAPTURES)]
    assert run_clean(script_of(bundle / "VERIFY.md"), copy, path).code != 0


def test_a_log_that_was_made_anew_is_found_by_an_old_checkpoint_alone(
    estate: Estate, path: Path, tmp_path: Path
) -> None:
    """The owner of the key writes another past: only what the auditor kept speaks against it."""
    other = build_store(tmp_path / "store", BUCKETS[:2])
    make_pack(other.view(), other.store, other.sealer)
    made = make_bundle(other.store, other.key, tmp_path / "made").path
    script, kept = script_of(made / "VERIFY.md"), tmp_path / "kept.txt"
    kept.write_text(estate.kept)
    assert run_clean(script, made, path).code == 0
    assert verify_bundle(made, Trust()).ok
    done = run_clean(script, made, path, OLD=str(kept))
    assert done.code != 0
    assert "another log" in done.err
    assert not verify_bundle(made, Trust(since=estate.kept, since_name="kept")).ok


def test_a_key_that_was_replaced_signs_no_bundle(
    estate: Estate, bundle: Path, path: Path, tmp_path: Path
) -> None:
    with pytest.raises(KeyFileError, match="in use"):
        make_bundle(estate.built.store, estate.old_key, tmp_path / "out")
    copy = tampered(bundle, tmp_path / "copy", lambda _: None, estate.old_key)
    found = faults(verify_bundle(copy, Trust()))
    assert "by a key that the log has in use" in found["SHA256SUMS.sig"]
    assert run_clean(script_of(bundle / "VERIFY.md"), copy, path).code != 0


def test_another_fingerprint_than_the_pinned_one_ends_the_instructions(
    bundle: Path, path: Path
) -> None:
    done = run_clean(script_of(bundle / "VERIFY.md"), bundle, path, PINNED="ab" * 32)
    assert done.code != 0


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(4))
def test_whatever_is_done_to_a_bundle_is_noticed_and_named(
    bundle: Path, tmp_path: Path, chunk: int
) -> None:
    root = shutil.copytree(bundle, tmp_path / "bundle")
    tampering = Tampered(root, lambda trust: verify_bundle(root, trust), ANY_FILE)
    seeds = range(chunk * 150, (chunk + 1) * 150)
    assert [str(found) for found in map(tampering.attempt, seeds) if found.miss] == []


# Zip files


def test_a_zip_is_the_same_bytes_for_the_same_content(bundle: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(bundle, tmp_path / "copy")
    for file in copy.rglob("*"):
        os.utime(file, (1, 1))
    write_zip(bundle, tmp_path / "a.zip")
    write_zip(copy, tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_a_zip_verifies_and_openssl_checks_its_signature(
    estate: Estate, archive: Path, tmp_path: Path
) -> None:
    assert verify_bundle(archive, Trust(estate.key.certificate)).faults == []
    certificate = tmp_path / "certificate.pem"
    certificate.write_bytes(estate.key.certificate.pem)
    public = subprocess.run(
        ["openssl", "x509", "-in", str(certificate), "-noout", "-pubkey"],
        capture_output=True,
        check=True,
    ).stdout
    (tmp_path / "public.pem").write_bytes(public)
    done = subprocess.run(
        ["openssl", "dgst", "-sha256", "-verify", str(tmp_path / "public.pem"),
         "-signature", f"{archive}.sig", str(archive)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.strip() == "Verified OK"


def is_refused(path: Path) -> bool:
    """Whether verification finds a fault, or says that this is no zip file."""
    try:
        return not verify_bundle(path, Trust()).ok
    except VerificationError:
        return True


def test_any_changed_byte_of_a_zip_is_found(archive: Path, tmp_path: Path) -> None:
    copy = tmp_path / "bundle.zip"
    shutil.copy(f"{archive}.sig", archive_signature(copy))
    data = archive.read_bytes()
    chosen = random.Random(7).sample(range(len(data)), 60)
    for at in [0, 5, 10, 14, len(data) - 1, len(data) - 30, *chosen]:
        changed = bytearray(data)
        changed[at] ^= 1 << at % 8
        copy.write_bytes(changed)
        assert is_refused(copy), at
    for cut in (data[:-1], data + b"x", b"x" + data, data + data):
        copy.write_bytes(cut)
        assert is_refused(copy)


def test_a_zip_without_its_signature_is_a_fault(archive: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(archive, tmp_path / "bundle.zip"))
    assert "is missing" in faults(verify_bundle(copy, Trust()))["bundle.zip.sig"]


@pytest.mark.parametrize(
    "name", ["../outside", "/absolute", "a/../../b", "checkpoint.txt", "empty/"]
)
def test_a_zip_with_names_that_no_bundle_has_is_a_fault(
    archive: Path, tmp_path: Path, name: str
) -> None:
    copy = Path(shutil.copy(archive, tmp_path / "bundle.zip"))
    shutil.copy(f"{archive}.sig", archive_signature(copy))
    with warnings.catch_warnings(), zipfile.ZipFile(copy, "a") as file:
        warnings.simplefilter("ignore")
        file.writestr(name, b"x")
    found = faults(verify_bundle(copy, Trust()))
    assert any(path.startswith("bundle.zip: ") for path in found)
    assert not (tmp_path / "outside").exists()


def test_what_is_no_bundle_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("hello")
    with pytest.raises(UsageError, match="neither a bundle nor a disclosure"):
        verify_bundle(tmp_path, Trust())
    with pytest.raises(VerificationError, match="neither a folder nor a zip file"):
        verify_bundle(tmp_path / "letter.txt", Trust())


# Making one


def test_a_damaged_store_is_not_bundled(estate: Estate, tmp_path: Path) -> None:
    from evidence.store import Store

    root = shutil.copytree(estate.built.store.root, tmp_path / "store")
    flip("snapshots/*/tables/aws_s3_bucket.parquet")(root)
    with pytest.raises(VerificationError, match="does not verify"):
        make_bundle(Store.open(root), estate.key, tmp_path / "out.zip")
    assert {item.name for item in tmp_path.iterdir()} == {"store"}


def test_the_command_line_bundles_and_verifies(estate: Estate, tmp_path: Path) -> None:
    output = tmp_path / "out.zip"
    said = auditpack("bundle", "--output", str(output), "--json", cwd=estate.folder)
    assert said.code == 0, said.err
    assert said.json["pack"] == estate.pack
    assert said.json["signature"] == f"{output}.sig"
    assert said.json["checkpoint"] == estate.built.store.log.records()[-1].note
    pinned = estate.folder / "keys/certificate.pem"
    found = auditpack("verify", str(output), "--certificate", str(pinned), cwd=tmp_path)
    assert found.code == 0, found.err
    assert "1 snapshot, 1 assessment, 1 pack" in found.out
    again = auditpack("bundle", "--output", str(output), cwd=estate.folder)
    assert again.code == 2
    assert "not overwritten" in again.err
    output.write_bytes(output.read_bytes()[:-1] + b"x")
    broken = auditpack("verify", str(output), cwd=tmp_path)
    assert broken.code == 5


def test_an_assessment_without_a_pack_says_what_to_do(tmp_path: Path) -> None:
    built = build_store(tmp_path / "store", BUCKETS[:1])
    with pytest.raises(UsageError) as caught:
        make_bundle(built.store, built.key, tmp_path / "out", assessment=built.assessment.id)
    assert f"auditpack pack --assessment {built.assessment.id}" in caught.value.mend


def test_certificates_of_a_bundle_are_those_of_the_log(estate: Estate, bundle: Path) -> None:
    found = {
        Certificate.from_pem(file.read_bytes(), where=file.name).fingerprint
        for file in (bundle / "certificates").iterdir()
    }
    assert found == {key.certificate.fingerprint for key in (estate.old_key, estate.key)}
