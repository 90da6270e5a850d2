"""Disclosures: single captures that verify without the rest, and tell of nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest
from support_cli import auditpack
from support_handover import (
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
from support_store import (
    BUCKETS,
    FINISHED,
    new_key,
    sealed_store,
    sealer_of,
    start_run,
    write_buckets,
)
from support_tampering import Estate as Tampered
from support_tsa import loopback_tsa

from evidence.bundle_verify import verify_bundle
from evidence.canonical import canonical_json
from evidence.errors import UsageError
from evidence.faults import VerificationReport
from evidence.merkle import leaf_hash, root_from_path
from evidence.proof import LogProof
from evidence.segments import read_line
from evidence.snapshot import Snapshot
from evidence.store import Store
from evidence.verify import Trust
from reports.bundle.disclosing import Disclosure, Shared, make_disclosure
from reports.bundle.subjects import Subject, assessment_of, find_finding, find_resource

ARCHIVE = "arn:aws:s3:::archive"
OTHERS = ("ledger", "quarry", "two\\nlines")
KINDS = (
    "SHA256SUMS",
    "SHA256SUMS.sig",
    "VERIFY.md",
    "captures/0001.json",
    "certificates/*.pem",
    "checkpoint.tsr",
    "checkpoint.txt",
    "disclosure.json",
    "finding.json",
    "log/00000001.dsse.json",
    "log/00000001.tlog-proof",
    "proofs/0001.json",
    "snapshot/manifest.dsse.json",
    "timestamp-roots.pem",
)
"""Every kind of file that a disclosure has."""

_SAID = (
    "SHA256SUMS",
    "SHA256SUMS.sig",
    "VERIFY.md",
    "checkpoint.tsr",  # a valid one stays valid where a bit changes that nobody signed
    "finding.json",
    "timestamp-roots.pem",
)
PROVEN_KINDS = tuple(name for name in KINDS if name not in _SAID)
"""Those that are proven, whoever signs the sums."""


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    folder = tmp_path_factory.mktemp("estate")
    with loopback_tsa(folder / "tsa") as tsa:
        yield make_estate(folder, tsa.url)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clean_path(tmp_path_factory.mktemp("machine") / "bin")


def finding(estate: Estate, identifier: str) -> Subject:
    return find_finding(assessment_of(estate.built.store, estate.built.snapshot), identifier)


def disclose(estate: Estate, subject: Subject, output: Path, **more: Shared) -> Disclosure:
    built = estate.built
    return make_disclosure(built.store, estate.key, built.snapshot, subject, output, **more)


@pytest.fixture(scope="module")
def disclosure(estate: Estate, tmp_path_factory: pytest.TempPathFactory) -> Path:
    subject = finding(estate, f"bucket_encrypted:{ARCHIVE}")
    return disclose(estate, subject, tmp_path_factory.mktemp("disclosed") / "out").path


def faults(report: VerificationReport) -> dict[str, str]:
    return {fault.path: fault.what for fault in report.faults}


def everything(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


# What is in it


def test_a_finding_comes_with_its_captures_and_its_row(estate: Estate, disclosure: Path) -> None:
    row = orjson.loads((disclosure / "finding.json").read_bytes())
    assert (row["check_id"], row["resource_id"]) == ("bucket_encrypted", ARCHIVE)
    assert row["status"] == "fail"
    about = orjson.loads((disclosure / "disclosure.json").read_bytes())
    assert [item["reference"] for item in about["captures"]] == row["captures"]
    unit, _, number = row["captures"][0].rpartition("#")
    kept = read_line(estate.built.snapshot.segment(unit), int(number))
    assert (disclosure / "captures/0001.json").read_bytes() == kept
    assert b"<encryption>NONE</encryption>" in kept
    report = verify_bundle(disclosure, Trust(estate.key.certificate))
    assert report.faults == []
    assert report.records == 1
    assert report.log is not None
    assert report.log.timestamped == 1


def test_a_resource_comes_with_all_captures_of_its_facets(estate: Estate, tmp_path: Path) -> None:
    made = disclose(estate, find_resource(estate.built.snapshot, ARCHIVE), tmp_path / "out")
    row = orjson.loads((made.path / "resource.json").read_bytes())
    assert row["resource_type"] == "aws_s3_bucket"
    wanted = {reference for items in row["captures"].values() for reference in items}
    assert {item.reference for item in (*made.disclosed, *made.withheld)} == wanted
    assert verify_bundle(made.path, Trust()).ok


def test_nothing_of_other_resources_is_in_it(
    estate: Estate, disclosure: Path, tmp_path: Path
) -> None:
    made = disclose(estate, find_resource(estate.built.snapshot, ARCHIVE), tmp_path / "out")
    for folder in (disclosure, made.path):
        data = everything(folder)
        assert b"archive" in data
        for name in OTHERS:
            assert name.encode() not in data, name


def test_the_proofs_are_those_of_the_standards(estate: Estate, disclosure: Path) -> None:
    line = (disclosure / "captures/0001.json").read_bytes()
    proof = orjson.loads((disclosure / "proofs/0001.json").read_bytes())
    tree = estate.built.snapshot.predicate["merkle_tree"]
    steps = [bytes.fromhex(step) for step in proof["path"]]
    root = root_from_path(leaf_hash(line), proof["index"], proof["size"], steps)
    assert (root.hex(), proof["size"]) == (tree["root"], tree["size"])
    record = estate.built.store.record("snapshot", estate.built.snapshot.id)
    text = (disclosure / f"log/{record.index:08d}.tlog-proof").read_text()
    checkpoint = LogProof.parse(text).check(record.leaf)
    assert text.endswith((disclosure / "checkpoint.txt").read_text())
    stamped = next(r for r in estate.built.store.log.records() if r.timestamp)
    assert checkpoint.size >= stamped.index + 1


def test_a_listing_that_tells_of_others_is_withheld_unless_there_is_nothing_else(
    tmp_path: Path,
) -> None:
    store, key, name = sealed_store(tmp_path / "store", accounts=1, buckets=3)
    snapshot = Snapshot.open(store, name)
    subject = find_resource(snapshot, "arn:aws:s3:::bucket-1-001")
    listing, own = sorted(subject.captures)
    made = make_disclosure(store, key, snapshot, subject, tmp_path / "own")
    assert [item.reference for item in made.disclosed] == [own]
    assert [(item.reference, item.tells_of) for item in made.withheld] == [(listing, 3)]
    assert b"bucket-1-002" not in everything(made.path)
    about = orjson.loads((made.path / "disclosure.json").read_bytes())
    unit, _, number = listing.rpartition("#")
    line = read_line(snapshot.segment(unit), int(number))
    assert about["withheld"][0]["leaf"] == leaf_hash(line).hex(), "it can be shown later"
    whole = make_disclosure(
        store, key, snapshot, subject, tmp_path / "whole", shared=Shared.INCLUDE
    )
    assert [item.reference for item in whole.also_tells] == [listing]
    alone = Subject("resource", "x", (listing,))
    forced = make_disclosure(store, key, snapshot, alone, tmp_path / "forced")
    assert [item.reference for item in forced.also_tells] == [listing]
    assert "also tells of other resources" in (forced.path / "VERIFY.md").read_text()
    with pytest.raises(UsageError, match="also tells of other resources"):
        make_disclosure(store, key, snapshot, alone, tmp_path / "no", shared=Shared.WITHHOLD)


def test_a_zip_of_a_disclosure_verifies(estate: Estate, tmp_path: Path) -> None:
    made = disclose(estate, finding(estate, f"bucket_versioned:{ARCHIVE}"), tmp_path / "out.zip")
    assert verify_bundle(made.path, Trust(estate.old_key.certificate)).faults == []


# Without our software


def test_instructions_work_on_a_machine_that_has_nothing_of_ours(
    estate: Estate, disclosure: Path, path: Path
) -> None:
    script = script_of(disclosure / "VERIFY.md")
    done = run_clean(script, disclosure, path, PINNED=estate.old_key.certificate.fingerprint)
    assert done.code == 0, done.err
    assert "is under the signed root: captures/0001.json" in done.out
    assert "<encryption>NONE</encryption>" in done.out
    assert "byte for byte, what came over the wire" in done.out
    assert "it was there at 20" in done.out
    wrong = run_clean(script, disclosure, path, PINNED="ab" * 32)
    assert wrong.code != 0


def test_all_steps_can_be_run_at_once(disclosure: Path, path: Path, tmp_path: Path) -> None:
    command = at_once(disclosure / "VERIFY.md")
    done = run_clean(command, disclosure, path)
    assert done.code == 0, done.err
    assert done.out == run_clean(script_of(disclosure / "VERIFY.md"), disclosure, path).out
    copy = tampered(disclosure, tmp_path / "copy", flip("checkpoint.txt"))
    assert run_clean(command, copy, path).code != 0


@pytest.mark.parametrize("kind", KINDS)
def test_one_changed_bit_in_any_kind_of_file_is_found(
    disclosure: Path, path: Path, tmp_path: Path, kind: str
) -> None:
    copy = tampered(disclosure, tmp_path / "copy", flip(kind))
    assert not verify_bundle(copy, Trust()).ok
    assert run_clean(script_of(disclosure / "VERIFY.md"), copy, path).code != 0


@pytest.mark.parametrize("kind", PROVEN_KINDS)
def test_who_holds_the_key_and_signs_the_sums_anew_is_found_all_the_same(
    estate: Estate, disclosure: Path, path: Path, tmp_path: Path, kind: str
) -> None:
    copy = tampered(disclosure, tmp_path / "copy", flip(kind), estate.key)
    assert not verify_bundle(copy, Trust()).ok
    assert run_clean(script_of(disclosure / "VERIFY.md"), copy, path).code != 0


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(2))
def test_whatever_is_done_to_a_disclosure_is_noticed_and_named(
    disclosure: Path, tmp_path: Path, chunk: int
) -> None:
    root = shutil.copytree(disclosure, tmp_path / "disclosure")
    tampering = Tampered(root, lambda trust: verify_bundle(root, trust), ANY_FILE)
    seeds = range(chunk * 200, (chunk + 1) * 200)
    assert [str(found) for found in map(tampering.attempt, seeds) if found.miss] == []


def another_capture(snapshot: Snapshot) -> Callable[[Path], None]:
    """Another true capture in the place of the one that is proven."""

    def change(folder: Path) -> None:
        line = read_line(snapshot.segment("aws/111122223333/global/aws_s3_bucket"), 1)
        (folder / "captures/0001.json").write_bytes(line)

    return change


def another_reference(folder: Path) -> None:
    """The true capture under another reference, consistently in both files."""
    about = orjson.loads((folder / "disclosure.json").read_bytes())
    proof = orjson.loads((folder / "proofs/0001.json").read_bytes())
    unit = proof["reference"].rpartition("#")[0]
    about["captures"][0]["reference"] = proof["reference"] = f"{unit}#1"
    (folder / "disclosure.json").write_bytes(canonical_json(about))
    (folder / "proofs/0001.json").write_bytes(canonical_json(proof))


def test_a_capture_cannot_stand_in_for_another(
    estate: Estate, disclosure: Path, path: Path, tmp_path: Path
) -> None:
    for number, change in enumerate((another_capture(estate.built.snapshot), another_reference)):
        copy = tampered(disclosure, tmp_path / str(number), change, estate.key)
        assert "captures/0001.json" in faults(verify_bundle(copy, Trust()))
        assert run_clean(script_of(disclosure / "VERIFY.md"), copy, path).code != 0


def test_a_checkpoint_of_another_size_cannot_be_compared(estate: Estate, disclosure: Path) -> None:
    with pytest.raises(UsageError, match="without the log"):
        verify_bundle(disclosure, Trust(since=estate.kept, since_name="kept"))
    own = (disclosure / "checkpoint.txt").read_text()
    assert verify_bundle(disclosure, Trust(since=own, since_name="own")).since


# Ids


def test_unknown_ids_name_the_nearest(estate: Estate) -> None:
    with pytest.raises(UsageError) as caught:
        find_resource(estate.built.snapshot, "arn:aws:s3:::archiv")
    assert ARCHIVE in caught.value.mend
    with pytest.raises(UsageError) as caught:
        finding(estate, "bucket_encryptd:arn:aws:s3:::archive")
    assert f"bucket_encrypted:{ARCHIVE}" in caught.value.mend


def test_ids_may_be_given_more_closely(estate: Estate) -> None:
    snapshot = estate.built.snapshot
    found = find_resource(snapshot, ARCHIVE)
    row = dict(found.document)
    place = f"{row['account']}/{row['region']}/{ARCHIVE}"
    for name in (f"aws_s3_bucket:{ARCHIVE}", f"aws_s3_bucket:{place}", place, found.id):
        assert find_resource(snapshot, name) == found
    assert finding(estate, f"bucket_encrypted:{place}").captures


def test_an_id_that_names_several_lists_them(tmp_path: Path) -> None:
    """Names of buckets are unique in the world, those of most other things are not."""
    store, key = Store.open(tmp_path / "store", create=True), new_key()
    run = start_run(store)
    for account in ("111111111111", "122222222222"):
        write_buckets(run, account, 2)
    run.seal((BUCKETS,), FINISHED, sealer_of(key))
    snapshot = Snapshot.open(store)
    with pytest.raises(UsageError, match="names 2 resources") as caught:
        find_resource(snapshot, "arn:aws:s3:::bucket-1-000")
    longer = "aws_s3_bucket:122222222222/us-east-1/arn:aws:s3:::bucket-1-000"
    assert longer in caught.value.mend
    assert find_resource(snapshot, longer).id == longer


def test_a_finding_that_rests_on_nothing_has_nothing_to_disclose(
    estate: Estate, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="rests on no capture"):
        disclose(estate, Subject("finding", "x:y", ()), tmp_path / "out")


def test_the_command_line_discloses_and_verifies(estate: Estate, tmp_path: Path) -> None:
    snapshot, output = estate.built.snapshot.id, tmp_path / "out"
    wanted = ["--finding", f"bucket_encrypted:{ARCHIVE}", "--output", str(output)]
    said = auditpack("disclose", snapshot, *wanted, "--json", cwd=estate.folder)
    assert said.code == 0, said.err
    assert len(said.json["captures"]) == 1
    found = auditpack("verify", str(output), cwd=tmp_path)
    assert found.code == 0, found.err
    assert "1 disclosure" in found.out
    flip("captures/0001.json")(output)
    broken = auditpack("verify", str(output), cwd=tmp_path)
    assert broken.code == 5
    assert "captures/0001.json" in broken.out
    neither = auditpack("disclose", snapshot, "--output", str(tmp_path / "x"), cwd=estate.folder)
    assert neither.code == 2


def test_the_export_names_findings_as_disclose_takes_them(estate: Estate, tmp_path: Path) -> None:
    said = auditpack("export", "findings", "--format", "json", cwd=estate.folder)
    for row in orjson.loads(said.out):
        assert finding(estate, row["finding_id"]).document["reason"] == row["reason"]
