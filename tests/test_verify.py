"""Verification finds whatever was done to a store, and names the file and the record."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from support_keys import rsa_certificate
from support_store import (
    BUCKETS,
    FIRST_SNAPSHOT,
    account_id,
    add_snapshot,
    new_key,
    seal_small,
    sealed_store,
    sealer_of,
    start_run,
    write_buckets,
)

from evidence.errors import StoreError
from evidence.files import write_atomically
from evidence.keys import Certificate, SigningKey
from evidence.log import record_name
from evidence.manifest import MANIFEST_NAME, read_manifest, seal_folder
from evidence.segments import read_lines
from evidence.store import SEALED_KINDS, STORE_MARK, Store
from evidence.verify import Fault, VerificationReport, verify_store
from evidence.workspaces import workspace

SECOND_SNAPSHOT = "20260302T060000Z-000002"
THIRD_SNAPSHOT = "20260303T060000Z-000003"
ASSESSMENT = f"{FIRST_SNAPSHOT}.0123456789ab"
PACK = "2026-q1"
CAPTURES = f"captures/aws/{account_id(1)}/global/aws_s3_bucket.jsonl.zst"
OTHER_CAPTURES = f"captures/aws/{account_id(2)}/global/aws_s3_bucket.jsonl.zst"
RECORDS_IN_CAPTURES = 7


def seal_kind(store: Store, key: SigningKey, kind: str, name: str, source: object) -> None:
    """Seal an assessment or a pack that rests on `source`, as the rooms above do it."""
    below = {"assessment": "snapshot", "pack": "assessment"}[kind]
    seal_small(store, sealer_of(key), kind, name, {below: source})


def reference(store: Store, kind: str, name: str) -> dict[str, str]:
    return {"id": name, "manifest_sha256": store.manifest(kind, name).digest}


@pytest.fixture(scope="module")
def sealed_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SigningKey]:
    """A snapshot, an assessment of it and a pack of that."""
    root = tmp_path_factory.mktemp("pristine") / "store"
    store, key, snapshot = sealed_store(root, accounts=2, buckets=RECORDS_IN_CAPTURES - 1)
    seal_kind(store, key, "assessment", ASSESSMENT, reference(store, "snapshot", snapshot))
    seal_kind(store, key, "pack", PACK, reference(store, "assessment", ASSESSMENT))
    return root, key


@pytest.fixture
def root(sealed_once: tuple[Path, SigningKey], tmp_path: Path) -> Path:
    """A copy of the sealed store, to be tampered with."""
    return shutil.copytree(sealed_once[0], tmp_path / "store")


@pytest.fixture
def key(sealed_once: tuple[Path, SigningKey]) -> SigningKey:
    return sealed_once[1]


@pytest.fixture
def snapshot(root: Path) -> Path:
    return root / "snapshots" / FIRST_SNAPSHOT


def verified(root: Path, pinned: Certificate | None = None) -> VerificationReport:
    return verify_store(Store.open(root), pinned=pinned)


def faults(root: Path) -> list[Fault]:
    """Return what is wrong; a store that is not even opened is a fault of its mark."""
    try:
        return verified(root).faults
    except StoreError as error:
        return [Fault(STORE_MARK, error.what)]


def fault_of(root: Path, path: str) -> str:
    """Return what is wrong with exactly `path`, and nothing else in the store."""
    (fault,) = faults(root)
    assert fault.path == path
    return fault.what


def counts(report: VerificationReport) -> dict[str, int]:
    """How many of each kind are intact; kinds of which there are none are left out."""
    return {kind: number for kind, number in report.sealed.items() if number}


def test_what_nobody_touched_verifies(root: Path, key: SigningKey) -> None:
    report = verified(root)
    assert report.faults == []
    assert report.ok
    assert counts(report) == {"snapshot": 1, "assessment": 1, "pack": 1}
    assert report.records == 2 * (RECORDS_IN_CAPTURES + 1)
    assert report.signers == {key.certificate.fingerprint: key.certificate.subject}
    assert not report.pinned


def test_an_empty_store_verifies(tmp_path: Path) -> None:
    Store.open(tmp_path / "store", create=True)
    assert verified(tmp_path / "store").ok


def test_verifying_changes_nothing(root: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    verified(root)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


# ------------------------------------------------------- every kind of file, every kind of change


def flip(position: Callable[[int], int]) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[position(len(data))] ^= 0x04
        path.write_bytes(data)

    return change


def replace_by_link(path: Path) -> None:
    root = next(parent for parent in path.parents if (parent / STORE_MARK).exists())
    outside = root.with_name("outside")
    path.rename(outside)
    path.symlink_to(outside)


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


CHANGES: dict[str, Callable[[Path], object]] = {
    "first byte flipped": flip(lambda length: 0),
    "middle byte flipped": flip(lambda length: length // 2),
    "last byte flipped": flip(lambda length: length - 1),
    "last byte cut off": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "half cut off": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "emptied": lambda path: path.write_bytes(b""),
    "newline appended": lambda path: path.write_bytes(path.read_bytes() + b"\n"),
    "content doubled": lambda path: path.write_bytes(path.read_bytes() * 2),
    "zeros, same length": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "deleted": lambda path: path.unlink(),
    "renamed": lambda path: path.rename(path.with_name("renamed" + path.suffix)),
    "replaced by a link to the same bytes": replace_by_link,
    "replaced by a folder": replace_by_folder,
}

SEALED_FILES = [
    *(
        f"snapshots/{FIRST_SNAPSHOT}/{name}"
        for name in (
            CAPTURES,
            f"captures/aws/{account_id(1)}/us-east-1/aws_ebs_volume.jsonl.zst",
            "tables/aws_s3_bucket.parquet",
            "tables/aws_ebs_volume.parquet",
            "gaps.jsonl",
            "units.jsonl",
            "schemas.json",
            "records.bin",
            MANIFEST_NAME,
        )
    ),
    f"assessments/{ASSESSMENT}/content.json",
    f"assessments/{ASSESSMENT}/{MANIFEST_NAME}",
    f"packs/{PACK}/content.json",
    f"packs/{PACK}/{MANIFEST_NAME}",
]


def after_each_change(root: Path, name: str) -> dict[str, list[Fault]]:
    """Make every change to one file of the store, one after the other; return what was found."""
    path = root / name
    sound = path.read_bytes()
    found = {}
    for change, make in CHANGES.items():
        make(path)
        found[change] = faults(root)
        if path.is_dir():
            path.rmdir()
        for rest in (path, *path.parent.glob("renamed*")):
            rest.unlink(missing_ok=True)
        path.write_bytes(sound)
    assert faults(root) == [], "each change was taken back"
    return found


@pytest.mark.parametrize("name", SEALED_FILES)
def test_whatever_is_done_to_a_file_is_found_and_the_file_is_named(root: Path, name: str) -> None:
    found = after_each_change(root, name)
    assert [change for change in found if name not in [f.path for f in found[change]]] == []


def test_whatever_is_done_to_a_certificate_is_found(root: Path, key: SigningKey) -> None:
    """Where it is damaged it is named; where it is gone the manifests have no trusted signer."""
    fingerprint = key.certificate.fingerprint
    found = after_each_change(root, f"certificates/{fingerprint}.pem")
    missed = set()
    for change, given in found.items():
        if not any(
            fault.path.startswith("certificates/") or f"signed by {fingerprint[:16]}" in fault.what
            for fault in given
        ):
            missed.add(change)
    assert missed == set()


@pytest.mark.parametrize("change", [name for name in CHANGES if "replaced" not in name])
def test_a_changed_mark_of_the_store_is_noticed(root: Path, change: str) -> None:
    CHANGES[change](root / STORE_MARK)
    assert fault_of(root, STORE_MARK)


def test_every_file_of_a_snapshot_is_covered_above(snapshot: Path) -> None:
    kinds = {path.relative_to(snapshot).parts[0] for path in snapshot.rglob("*") if path.is_file()}
    tested = {name.split("/")[2] for name in SEALED_FILES if name.startswith("snapshots/")}
    assert kinds == tested


def test_two_files_that_changed_places_are_both_named(root: Path, snapshot: Path) -> None:
    for one, other in (
        (CAPTURES, OTHER_CAPTURES),
        ("tables/aws_s3_bucket.parquet", "tables/aws_ebs_volume.parquet"),
    ):
        (snapshot / one).rename(snapshot / "between")
        (snapshot / other).rename(snapshot / one)
        (snapshot / "between").rename(snapshot / other)
    assert {fault.path.removeprefix(f"snapshots/{FIRST_SNAPSHOT}/") for fault in faults(root)} == {
        CAPTURES,
        OTHER_CAPTURES,
        "tables/aws_s3_bucket.parquet",
        "tables/aws_ebs_volume.parquet",
    }


def test_how_much_is_missing_or_added_is_said(root: Path, snapshot: Path) -> None:
    path = snapshot / "gaps.jsonl"
    sound = path.read_bytes()
    name = f"snapshots/{FIRST_SNAPSHOT}/gaps.jsonl"
    for data, said in (
        (sound[:-3], f"3 bytes shorter than sealed: {len(sound) - 3} of {len(sound)}"),
        (sound + b"12345", f"5 bytes added: {len(sound) + 5} instead of {len(sound)}"),
        (sound.replace(b"denied", b"skiped"), "changed bytes"),
    ):
        path.write_bytes(data)
        assert said in fault_of(root, name)
    path.unlink()
    assert fault_of(root, name) == "is missing"


# ------------------------------------------------------------------------ the record that changed


def rewrite(path: Path, change: Callable[[list[bytes]], list[bytes]]) -> None:
    lines = change(list(read_lines(path)))
    data = b"".join(line + b"\n" for line in lines)
    path.write_bytes(zstandard.ZstdCompressor(level=9).compress(data))


CHANGED_RECORDS: dict[str, tuple[Callable[[list[bytes]], list[bytes]], str]] = {
    "one byte of record 3": (
        lambda lines: [*lines[:2], lines[2].replace(b"true", b"trux"), *lines[3:]],
        "record is 3",
    ),
    "the last record": (lambda lines: [*lines[:-1], b"{}"], f"record is {RECORDS_IN_CAPTURES}"),
    "record 4 taken out": (lambda lines: lines[:3] + lines[4:], "record is 4"),
    "the last taken out": (lambda lines: lines[:-1], f"record {RECORDS_IN_CAPTURES} is missing"),
    "one added in front": (lambda lines: [b"{}", *lines], "record is 1"),
    "one added at the end": (
        lambda lines: [*lines, lines[-1]],
        f"record {RECORDS_IN_CAPTURES + 1} was added",
    ),
    "records 2 and 5 exchanged": (
        lambda lines: [lines[0], lines[4], *lines[2:4], lines[1], *lines[5:]],
        "record is 2",
    ),
    "record 6 there twice": (lambda lines: [*lines[:6], lines[5], *lines[6:]], "record is 7"),
    "compressed anew": (lambda lines: lines, "every record is intact"),
}


@pytest.mark.parametrize("change", CHANGED_RECORDS)
def test_a_changed_record_is_named_by_its_number(root: Path, snapshot: Path, change: str) -> None:
    tamper, said = CHANGED_RECORDS[change]
    rewrite(snapshot / CAPTURES, tamper)
    assert said in fault_of(root, f"snapshots/{FIRST_SNAPSHOT}/{CAPTURES}")


def test_a_changed_record_of_any_unit_is_named(root: Path, snapshot: Path) -> None:
    """The leaf hashes of a later unit begin after those of the units before it."""
    rewrite(snapshot / OTHER_CAPTURES, lambda lines: [*lines[:4], b"{}", *lines[5:]])
    assert "record is 5" in fault_of(root, f"snapshots/{FIRST_SNAPSHOT}/{OTHER_CAPTURES}")


def test_a_segment_that_cannot_be_read_to_its_end_says_so(root: Path, snapshot: Path) -> None:
    path = snapshot / CAPTURES
    path.write_bytes(path.read_bytes()[:-20])
    assert "record" in fault_of(root, f"snapshots/{FIRST_SNAPSHOT}/{CAPTURES}")


def test_a_record_and_the_leaf_hashes_may_both_be_damaged(root: Path, snapshot: Path) -> None:
    rewrite(snapshot / CAPTURES, lambda lines: [b"{}", *lines[1:]])
    for damage in (b"", b"\x00" * 33):
        (snapshot / "records.bin").write_bytes(damage)
        named = {fault.path for fault in faults(root)}
        assert named == {f"snapshots/{FIRST_SNAPSHOT}/{name}" for name in (CAPTURES, "records.bin")}


def test_a_signed_root_that_is_not_the_root_of_the_records_is_found(
    tmp_path: Path, snapshot: Path, key: SigningKey
) -> None:
    """Even our own signature over a wrong statement, logged in due form, does not make it right."""
    store = Store.open(tmp_path / "wrong", create=True)
    predicate = read_manifest(snapshot).predicate
    predicate["merkle_tree"]["root"] = "0" * 64
    with workspace(store.incomplete(), "wrong") as folder:
        work = shutil.copytree(snapshot, folder / "sealed")
        (work / MANIFEST_NAME).unlink()
        sealer_of(key).seal(store, work, "snapshot", FIRST_SNAPSHOT, predicate)
    assert "Merkle root" in fault_of(store.root, f"snapshots/{FIRST_SNAPSHOT}")


# --------------------------------------------------------------------------------------- strays

STRAYS = [
    "notes.txt",
    ".hidden",
    "snapshots/notes.txt",
    f"snapshots/{FIRST_SNAPSHOT}/notes.txt",
    f"snapshots/{FIRST_SNAPSHOT}/.hidden",
    f"snapshots/{FIRST_SNAPSHOT}/gaps.jsonl.part",
    f"snapshots/{FIRST_SNAPSHOT}/{MANIFEST_NAME}.part",
    f"snapshots/{FIRST_SNAPSHOT}/captures/{MANIFEST_NAME}",
    f"snapshots/{FIRST_SNAPSHOT}/captures/aws/{account_id(3)}/global/aws_s3_bucket.jsonl.zst",
    f"snapshots/{FIRST_SNAPSHOT}/tables/aws_iam_user.parquet",
    "certificates/notes.txt",
    "certificates/deep/notes.txt",
    "assessments/notes.txt",
    f"assessments/{ASSESSMENT}/findings.csv",
    "packs/notes.txt",
    f"packs/{PACK}/deep/notes.txt",
]


def assert_stray_is_named(root: Path, stray: str) -> None:
    """The fault names the stray itself, or the highest folder that belongs to nobody."""
    found = faults(root)
    assert found
    assert all(stray == fault.path or stray.startswith(fault.path + "/") for fault in found) or (
        all(fault.path.startswith(stray + "/") for fault in found)
    )


@pytest.mark.parametrize("stray", STRAYS)
def test_a_file_that_belongs_to_nobody_is_named(root: Path, stray: str) -> None:
    (root / stray).parent.mkdir(parents=True, exist_ok=True)
    (root / stray).write_bytes(b"stray")
    assert_stray_is_named(root, stray)


@pytest.mark.parametrize(
    "stray",
    [
        "empty",
        "snapshots/empty",
        "certificates/empty",
        "assessments/empty",
        "packs/empty",
        f"snapshots/{FIRST_SNAPSHOT}/empty",
        f"snapshots/{FIRST_SNAPSHOT}/captures/aws/{account_id(9)}",
        f"packs/{PACK}/empty",
    ],
)
def test_an_empty_folder_that_belongs_to_nobody_is_named(root: Path, stray: str) -> None:
    (root / stray).mkdir()
    assert_stray_is_named(root, stray)


def test_a_file_where_a_folder_of_the_store_belongs_is_named(tmp_path: Path) -> None:
    for name in (*SEALED_KINDS.values(), "log", "certificates", "revocations", "incomplete"):
        root = tmp_path / name
        Store.open(root, create=True)
        shutil.rmtree(root / name, ignore_errors=True)
        (root / name).write_bytes(b"")
        assert [fault.path for fault in faults(root)] == [name]


def test_a_copy_of_a_file_is_a_stray_however_right_its_bytes_are(
    root: Path, snapshot: Path
) -> None:
    shutil.copy(snapshot / CAPTURES, (snapshot / CAPTURES).with_name("copy.jsonl.zst"))
    assert "added after sealing" in fault_of(
        root, f"snapshots/{FIRST_SNAPSHOT}/captures/aws/{account_id(1)}/global/copy.jsonl.zst"
    )


@pytest.mark.parametrize("name", ["captures", "tables", f"captures/aws/{account_id(1)}"])
def test_a_folder_replaced_by_a_link_is_named(
    root: Path, snapshot: Path, tmp_path: Path, name: str
) -> None:
    (snapshot / name).rename(tmp_path / "outside")
    (snapshot / name).symlink_to(tmp_path / "outside")
    assert f"snapshots/{FIRST_SNAPSHOT}/{name}" in [fault.path for fault in faults(root)]


def test_a_snapshot_replaced_by_a_link_is_named(root: Path, snapshot: Path, tmp_path: Path) -> None:
    snapshot.rename(tmp_path / "outside")
    snapshot.symlink_to(tmp_path / "outside")
    assert f"snapshots/{FIRST_SNAPSHOT}" in [fault.path for fault in faults(root)]


def test_an_incomplete_run_is_listed_and_is_no_fault(root: Path) -> None:
    store = Store.open(root)
    run = start_run(store, SECOND_SNAPSHOT)
    write_buckets(run, account_id(1))
    report = verified(root)
    assert report.incomplete == [SECOND_SNAPSHOT]
    assert report.ok
    assert report.sealed["snapshot"] == 1


# -------------------------------------------------------------------------- several snapshots


def add(store: Store, key: SigningKey, name: str, buckets: int = 1) -> Path:
    return add_snapshot(store, key, name, accounts=1, buckets=buckets, schemas=(BUCKETS,))


@pytest.fixture(scope="module")
def chained_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SigningKey]:
    """Three snapshots, one after the other."""
    store, key = Store.open(tmp_path_factory.mktemp("chain") / "store", create=True), new_key()
    for name in (FIRST_SNAPSHOT, SECOND_SNAPSHOT, THIRD_SNAPSHOT):
        add(store, key, name)
    return store.root, key


@pytest.fixture
def chain(chained_once: tuple[Path, SigningKey], tmp_path: Path) -> Path:
    return shutil.copytree(chained_once[0], tmp_path / "store")


def test_a_chain_that_nobody_touched_verifies(chain: Path) -> None:
    report = verified(chain)
    assert report.ok
    assert report.sealed["snapshot"] == 3


@pytest.mark.parametrize(
    ("name", "record"), [(FIRST_SNAPSHOT, 1), (SECOND_SNAPSHOT, 2), (THIRD_SNAPSHOT, 3)]
)
def test_a_snapshot_that_was_removed_is_missed_by_the_log(
    chain: Path, name: str, record: int
) -> None:
    """Even the last one: that nothing follows it does not help."""
    shutil.rmtree(chain / "snapshots" / name)
    said = fault_of(chain, f"snapshots/{name}")
    assert said == f"is missing; {record_name(record)} names it"


def test_a_snapshot_under_another_name_is_noticed(chain: Path) -> None:
    path = chain / "snapshots" / SECOND_SNAPSHOT
    path.rename(path.with_name("20260401T060000Z-000004"))
    found = {fault.path: fault.what for fault in faults(chain)}
    assert "belongs to nobody" in found["snapshots/20260401T060000Z-000004"]
    assert "is missing" in found[f"snapshots/{SECOND_SNAPSHOT}"]


@pytest.mark.parametrize("name", [FIRST_SNAPSHOT, SECOND_SNAPSHOT, THIRD_SNAPSHOT])
def test_a_second_copy_of_a_snapshot_is_noticed(chain: Path, name: str) -> None:
    copy = chain / "snapshots" / "20260401T060000Z-000004"
    shutil.copytree(chain / "snapshots" / name, copy)
    found = {fault.path: fault.what for fault in faults(chain)}
    assert set(found) == {"snapshots/20260401T060000Z-000004"}


def test_snapshots_that_changed_places_are_noticed(chain: Path) -> None:
    folder = chain / "snapshots"
    (folder / FIRST_SNAPSHOT).rename(folder / "between")
    (folder / SECOND_SNAPSHOT).rename(folder / FIRST_SNAPSHOT)
    (folder / "between").rename(folder / SECOND_SNAPSHOT)
    assert {fault.path for fault in faults(chain)} == {
        f"snapshots/{name}/{MANIFEST_NAME}" for name in (FIRST_SNAPSHOT, SECOND_SNAPSHOT)
    }


def test_a_snapshot_restored_from_another_copy_is_noticed(
    chain: Path, chained_once: tuple[Path, SigningKey], tmp_path: Path
) -> None:
    """Signed by the right key, whole and under its name, but not the one that was logged here."""
    other = Store.open(tmp_path / "other", create=True)
    folder = add(other, chained_once[1], FIRST_SNAPSHOT, buckets=2)
    shutil.rmtree(chain / "snapshots" / FIRST_SNAPSHOT)
    folder.rename(chain / "snapshots" / FIRST_SNAPSHOT)
    said = fault_of(chain, f"snapshots/{FIRST_SNAPSHOT}/{MANIFEST_NAME}")
    assert said == f"is not the manifest that {record_name(1)} names"


def test_a_snapshot_of_another_store_does_not_fit_in(chain: Path, tmp_path: Path) -> None:
    other, _, _ = sealed_store(tmp_path / "other", accounts=1, buckets=1)
    (other.folder("snapshot") / FIRST_SNAPSHOT).rename(chain / "snapshots" / "from elsewhere")
    assert "snapshots/from elsewhere" in {
        fault.path.removesuffix(f"/{MANIFEST_NAME}") for fault in faults(chain)
    }


def test_a_snapshot_that_another_log_names_is_noticed(
    chain: Path, chained_once: tuple[Path, SigningKey], tmp_path: Path
) -> None:
    """Signed by the right key and under its own name, but sealed into another store."""
    other = Store.open(tmp_path / "other", create=True)
    folder = add(other, chained_once[1], "20260401T060000Z-000004")
    folder.rename(chain / "snapshots" / folder.name)
    assert "belongs to nobody" in fault_of(chain, f"snapshots/{folder.name}")


def test_a_snapshot_kept_among_assessments_is_noticed(chain: Path) -> None:
    (chain / "assessments").mkdir()
    (chain / "snapshots" / THIRD_SNAPSHOT).rename(chain / "assessments" / THIRD_SNAPSHOT)
    assert f"assessments/{THIRD_SNAPSHOT}" in [fault.path for fault in faults(chain)]


# ----------------------------------------------------- assessments and packs rest on what they name


def test_an_assessment_whose_snapshot_is_gone_is_named(root: Path, snapshot: Path) -> None:
    shutil.rmtree(snapshot)
    found = {fault.path: fault.what for fault in faults(root)}
    assert "is missing" in found.pop(f"snapshots/{FIRST_SNAPSHOT}")
    assert "is not here" in found.pop(f"assessments/{ASSESSMENT}")
    assert found == {}


def test_an_assessment_of_another_snapshot_of_that_name_is_named(
    root: Path, key: SigningKey
) -> None:
    """Sealed and logged in due form, but it names another manifest than the snapshot's."""
    other = {"id": FIRST_SNAPSHOT, "manifest_sha256": "0" * 64}
    seal_kind(Store.open(root), key, "assessment", "of-another", other)
    said = fault_of(root, "assessments/of-another")
    assert f"another snapshot {FIRST_SNAPSHOT}" in said


def test_a_pack_whose_assessment_is_gone_is_named(root: Path) -> None:
    shutil.rmtree(root / "assessments" / ASSESSMENT)
    found = {fault.path: fault.what for fault in faults(root)}
    assert "is missing" in found.pop(f"assessments/{ASSESSMENT}")
    assert "is not here" in found.pop(f"packs/{PACK}")
    assert found == {}


@pytest.mark.parametrize("forged", ["a text", 5, None, [], {"id": 5}, {"id": "../.."}, {}])
def test_a_reference_that_our_own_key_forged_is_a_fault_and_never_a_crash(
    root: Path, key: SigningKey, forged: object
) -> None:
    seal_kind(Store.open(root), key, "assessment", "forged", forged)
    assert "assessments/forged" in [fault.path for fault in faults(root)]


@pytest.mark.parametrize("forged", ["a text", 5, None, [], {"id": 5}, {"id": "../.."}, {}])
def test_a_forged_manifest_is_a_fault_and_never_a_crash(root: Path, forged: object) -> None:
    folder = root / "assessments" / ASSESSMENT
    seal_folder(folder, "assessment", {"id": ASSESSMENT, "snapshot": forged}, new_key("A forger"))
    assert f"assessments/{ASSESSMENT}/{MANIFEST_NAME}" in [fault.path for fault in faults(root)]


@pytest.mark.parametrize("forged", ["a text", 5, [], None])
def test_a_forged_predicate_is_a_fault_and_never_a_crash(root: Path, forged: object) -> None:
    for kind, name in (("snapshots", FIRST_SNAPSHOT), ("assessments", ASSESSMENT)):
        seal_folder(root / kind / name, kind[:-1], forged, new_key("A forger"))  # type: ignore[arg-type]
    named = {fault.path for fault in faults(root)}
    assert f"snapshots/{FIRST_SNAPSHOT}/{MANIFEST_NAME}" in named
    assert f"assessments/{ASSESSMENT}/{MANIFEST_NAME}" in named


# ---------------------------------------------------------------------------------- certificates


def resign(root: Path, name: str, forger: SigningKey) -> None:
    """Change evidence and sign it again with another key, whose certificate is put there too."""
    folder = root / "snapshots" / name
    write_atomically(folder / "gaps.jsonl", b"")
    seal_folder(folder, "snapshot", read_manifest(folder).predicate, forger)
    Store.open(root).keep_certificate(forger.certificate)


def test_evidence_that_was_signed_again_is_a_fault_whoever_is_believed(chain: Path) -> None:
    """The log names each manifest by its digest, so that another signature does not help."""
    signer = Certificate.from_pem(next((chain / "certificates").iterdir()).read_bytes())
    forger = new_key("Example Ltd")
    resign(chain, THIRD_SNAPSHOT, forger)
    for report in (verified(chain), verified(chain, signer)):
        found = {fault.path: fault.what for fault in report.faults}
        said = found.pop(f"snapshots/{THIRD_SNAPSHOT}/{MANIFEST_NAME}")
        assert said == f"is not the manifest that {record_name(3)} names"
        assert "belongs to nobody" in found.pop(
            f"certificates/{forger.certificate.fingerprint}.pem"
        )
        assert found == {}
        assert set(report.signers) == {signer.fingerprint}


def test_with_another_certificate_pinned_the_store_is_not_believed(
    chain: Path, chained_once: tuple[Path, SigningKey]
) -> None:
    assert verified(chain, chained_once[1].certificate).ok
    report = verified(chain, new_key().certificate)
    assert report.pinned
    (fault,) = report.faults
    assert fault.path == "log"
    assert "pinned" in fault.what


def test_a_pinned_certificate_need_not_be_in_the_store(
    chain: Path, chained_once: tuple[Path, SigningKey]
) -> None:
    shutil.rmtree(chain / "certificates")
    assert verified(chain, chained_once[1].certificate).ok
    assert not verified(chain).ok


def test_a_certificate_under_the_fingerprint_of_another_is_not_believed(
    chain: Path, chained_once: tuple[Path, SigningKey]
) -> None:
    forger = new_key()
    name = f"certificates/{chained_once[1].certificate.fingerprint}.pem"
    (chain / name).write_bytes(forger.certificate.pem)
    assert name in [fault.path for fault in faults(chain)]


def test_a_manifest_that_claims_a_certificate_of_another_kind_is_a_fault(
    chain: Path, chained_once: tuple[Path, SigningKey]
) -> None:
    """An RSA certificate cannot have signed here; it must not stop the rest from being checked."""
    like = chained_once[1].certificate.x509
    valid = like.not_valid_before_utc, like.not_valid_after_utc
    certificate = Certificate(rsa_certificate(like.subject, *valid)[1])
    (chain / "certificates" / f"{certificate.fingerprint}.pem").write_bytes(certificate.pem)
    path = chain / "snapshots" / SECOND_SNAPSHOT / MANIFEST_NAME
    claimed = path.read_bytes().replace(
        chained_once[1].certificate.fingerprint.encode(), certificate.fingerprint.encode()
    )
    path.write_bytes(claimed)
    assert f"snapshots/{SECOND_SNAPSHOT}/{MANIFEST_NAME}" in [fault.path for fault in faults(chain)]
