"""One contract, four kinds of store; then what each cloud adds to it."""

from __future__ import annotations

import base64
import datetime
import hashlib
import io
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from support_aws import Gate, gated_moto
from support_gcs import FakeGcs, fake_gcs
from support_objects import (
    ACCOUNT,
    ACCOUNT_KEY,
    BUCKET,
    Place,
    azure_container,
    azurite,
    s3_client,
)

from evidence.errors import StoreError, UsageError
from evidence.objects import FolderObjects, ObjectExistsError, ObjectInfo, ObjectMissingError
from evidence.store_location import StoreOptions, is_remote, open_objects, parse_url

KINDS = ("folder", "s3", "azure", "gcs")
NOW = datetime.datetime(2026, 3, 1, 6, tzinfo=datetime.UTC)
LOCKED_BUCKET = "evidence-locked"
ODD_NAMES = (
    "snapshots/with space.json",
    "snapshots/ünïcödé-日本.json",
    "snapshots/region=eu-west-1/a+b.json",
    "snapshots/100%/50%25.json",
    "snapshots/a&b;c,d(e)'f~g!.json",
)


@pytest.fixture(scope="module")
def moto() -> Iterator[tuple[str, Gate]]:
    with gated_moto() as (url, gate):
        s3_client(url).create_bucket(Bucket=BUCKET)
        s3_client(url).create_bucket(Bucket=LOCKED_BUCKET, ObjectLockEnabledForBucket=True)
        yield url, gate


@pytest.fixture(scope="module")
def azure() -> Iterator[str]:
    with azurite() as url:
        yield url


@pytest.fixture(scope="module")
def gcs() -> Iterator[tuple[str, FakeGcs]]:
    with fake_gcs() as (url, state):
        state.buckets[BUCKET] = {}
        yield url, state


@pytest.fixture
def place_of(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Place]:
    """Makes a new, empty place of the kind asked for, and sets the variables of its SDK."""

    def make(kind: str) -> Place:
        prefix = f"te st ü/{os.urandom(4).hex()}"
        if kind == "folder":
            place = Place(str(tmp_path / "store"))
        elif kind == "s3":
            url, gate = request.getfixturevalue("moto")
            gate.reset()
            keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
            options = StoreOptions(endpoint_url=url, region="us-east-1")
            place = Place(f"s3://{BUCKET}/{prefix}", options, keys)
        elif kind == "azure":
            url = request.getfixturevalue("azure")
            options = StoreOptions(endpoint_url=f"{url}/{ACCOUNT}")
            key = {"AZURE_STORAGE_KEY": ACCOUNT_KEY}
            place = Place(f"az://{ACCOUNT}/{BUCKET}/{prefix}", options, key)
        else:
            url, _ = request.getfixturevalue("gcs")
            place = Place(f"gs://{BUCKET}/{prefix}", environment={"STORAGE_EMULATOR_HOST": url})
        for name, value in place.environment.items():
            monkeypatch.setenv(name, value)
        return place

    return make


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, place_of: Callable[[str], Place]) -> Place:
    return place_of(request.param)


# The contract


def test_what_was_created_is_read_fetched_and_listed(place: Place, tmp_path: Path) -> None:
    objects = place.open()
    given = tmp_path / "given"
    given.write_bytes(b"from a file")
    objects.create("log/00000000.dsse.json", b"from memory")
    objects.create("snapshots/one/manifest", given)
    objects.create("empty", b"")
    assert objects.read("log/00000000.dsse.json") == b"from memory"
    assert objects.read("snapshots/one/manifest") == b"from a file"
    assert objects.read("empty") == b""
    target = tmp_path / "new folder" / "fetched"
    place.open().fetch("snapshots/one/manifest", target)
    assert target.read_bytes() == b"from a file"
    assert list(objects.list("")) == [
        ObjectInfo("empty", 0),
        ObjectInfo("log/00000000.dsse.json", 11),
        ObjectInfo("snapshots/one/manifest", 11),
    ]
    assert objects.location == place.location


def test_a_listing_is_sorted_and_takes_any_prefix(place: Place) -> None:
    objects = place.open()
    names = ["a/1", "a/10", "a/2", "a/2/deep/er", "a.b", "a-b", "ab/1", "B", "ä"]
    names.remove("a/2")  # in a folder, a file and a folder cannot have one name
    for name in reversed(names):
        objects.create(name, b"x")
    assert [info.name for info in objects.list("")] == sorted(names)
    assert [info.name for info in objects.list("a/")] == ["a/1", "a/10", "a/2/deep/er"]
    assert [info.name for info in objects.list("a/1")] == ["a/1", "a/10"]
    assert [info.name for info in objects.list("a")] == [
        "a-b", "a.b", "a/1", "a/10", "a/2/deep/er", "ab/1",
    ]  # fmt: skip
    assert list(objects.list("nothing/")) == []


def test_a_second_create_is_refused_and_the_first_bytes_stay(place: Place, tmp_path: Path) -> None:
    objects = place.open()
    objects.create("log/00000000", b"first")
    other = tmp_path / "other"
    other.write_bytes(b"other")
    for source in (b"second", b"first", other):
        with pytest.raises(ObjectExistsError) as caught:
            place.open().create("log/00000000", source)
        assert "log/00000000" in caught.value.where
    assert objects.read("log/00000000") == b"first"


@pytest.mark.parametrize("name", ODD_NAMES)
def test_names_are_kept_as_they_are(place: Place, name: str, tmp_path: Path) -> None:
    objects = place.open()
    objects.create(name, name.encode())
    assert objects.read(name) == name.encode()
    assert [info.name for info in objects.list("")] == [name]
    objects.fetch(name, tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == name.encode()
    with pytest.raises(ObjectExistsError):
        objects.create(name, b"again")


def test_a_missing_object_is_told_from_a_missing_store(place: Place, tmp_path: Path) -> None:
    objects = place.open()
    with pytest.raises(ObjectMissingError) as caught:
        objects.read("snapshots/none")
    assert "snapshots/none" in caught.value.where
    with pytest.raises(ObjectMissingError):
        objects.fetch("snapshots/none", tmp_path / "target")
    assert not (tmp_path / "target").exists()


def test_only_what_is_below_incomplete_is_discarded(place: Place) -> None:
    objects = place.open()
    for name in ("incomplete/run/part", "snapshots/one", "incomplete-not"):
        objects.create(name, b"x")
        objects.discard(name)
    assert [info.name for info in objects.list("")] == ["incomplete-not", "snapshots/one"]
    objects.discard("incomplete/never/was")


def test_of_32_threads_one_wins_each_name(place: Place) -> None:
    objects = place.open()
    objects.create("warm", b"")
    barrier = threading.Barrier(32)

    def race(number: int) -> list[bool]:
        won = []
        for name in range(5):
            barrier.wait(60)
            try:
                objects.create(f"log/{name}", b"%d" % number)
            except ObjectExistsError:
                won.append(False)
            else:
                won.append(True)
        return won

    with ThreadPoolExecutor(32) as pool:
        results = list(pool.map(race, range(32)))
    for name in range(5):
        winners = [number for number, won in enumerate(results) if won[name]]
        assert len(winners) == 1
        assert objects.read(f"log/{name}") == b"%d" % winners[0]


_RACER = """
import pathlib, sys, time
from evidence.objects import ObjectExistsError
from evidence.store_location import StoreOptions, open_objects
location, endpoint, mine, big = sys.argv[1:]
options = StoreOptions(endpoint_url=endpoint, region=endpoint and "us-east-1")
objects = open_objects(location, options)
sources = [mine.encode()] * 20 + [pathlib.Path(big)]
print("ready", flush=True)
sys.stdin.readline()
for number, source in enumerate(sources):
    try:
        objects.create(f"log/{number:08d}", source)
        print(number, flush=True)
    except ObjectExistsError:
        pass
"""


def test_of_four_processes_one_wins_each_name(place: Place, tmp_path: Path) -> None:
    files = []
    for mine in "ABCD":
        files.append(tmp_path / mine)
        files[-1].write_bytes(mine.encode() * (9 << 20))  # more than one piece in every cloud
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", _RACER, *place.arguments, file.name, str(file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for file in files
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("\n")
        racer.stdin.flush()
    said = [racer.communicate(timeout=120)[0].split() for racer in racers]
    assert [racer.returncode for racer in racers] == [0] * 4
    objects = place.open()
    for number in range(21):
        winners = [mine for mine, won in zip("ABCD", said, strict=True) if str(number) in won]
        assert len(winners) == 1
        bytes_of_winner = winners[0].encode() * (9 << 20 if number == 20 else 1)
        assert objects.read(f"log/{number:08d}") == bytes_of_winner


_COPIER = """
import pathlib, re, sys
from evidence.store_location import StoreOptions, open_objects

def peak():  # of this process alone: what getrusage says begins with the parent's
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", pathlib.Path("/proc/self/status").read_text())[1])

location, endpoint, given, small, target = sys.argv[1:]
options = StoreOptions(endpoint_url=endpoint, region=endpoint and "us-east-1")
objects = open_objects(location, options)
objects.create("warm", pathlib.Path(small))
objects.fetch("warm", pathlib.Path(target + ".warm"))
before = peak()
objects.create("large", pathlib.Path(given))
objects.fetch("large", pathlib.Path(target))
print(peak() - before)
"""


def test_a_large_file_is_streamed(place: Place, tmp_path: Path) -> None:
    given, small, target = tmp_path / "given", tmp_path / "small", tmp_path / "target"
    small.write_bytes(b"x" * 1000)
    with given.open("wb") as file:
        for _ in range(64):
            file.write(os.urandom(1 << 20))
    done = subprocess.run(
        [sys.executable, "-c", _COPIER, *place.arguments, str(given), str(small), str(target)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (
        hashlib.sha256(target.read_bytes()).digest() == hashlib.sha256(given.read_bytes()).digest()
    )
    grown = int(done.stdout) // 1024
    assert grown < 48, f"{grown} MiB more in memory for a file of 64 MiB"


@pytest.mark.parametrize("kind", ["s3", "azure", "gcs"])
def test_a_bucket_that_is_not_there_is_named(
    place_of: Callable[[str], Place], kind: str, tmp_path: Path
) -> None:
    place = place_of(kind)
    objects = open_objects(place.location.replace(BUCKET, "no-such-room"), place.options)
    for attempt in (
        lambda: list(objects.list("")),
        lambda: objects.create("log/0", b"x"),
    ):
        with pytest.raises(StoreError) as caught:
            attempt()
        assert not isinstance(caught.value, ObjectMissingError)
        assert "there is no such" in caught.value.what
        assert "no-such-room" in caught.value.where
        assert "--store" in caught.value.mend


@pytest.mark.parametrize(
    ("location", "variables"),
    [
        ("s3://evidence-room/x", {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}),
        (f"az://{ACCOUNT}/evidence-room", {"AZURE_STORAGE_KEY": ACCOUNT_KEY}),
        ("gs://evidence-room", {"STORAGE_EMULATOR_HOST": "http://127.0.0.1:9"}),
    ],
)
def test_a_cloud_that_is_away_is_an_error_to_act_on(
    location: str, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evidence.objects_gcs._RETRY_SECONDS", 1.0)
    monkeypatch.setattr("evidence.objects_azure._RETRIES", 1)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    endpoint = f"http://127.0.0.1:9/{ACCOUNT}" if location.startswith("az") else ""
    if location.startswith("s3"):
        endpoint = "http://127.0.0.1:9"
    objects = open_objects(location, StoreOptions(endpoint_url=endpoint))
    with pytest.raises(StoreError) as caught:
        objects.read("x")
    assert not isinstance(caught.value, ObjectMissingError)
    assert "could not be reached" in caught.value.what
    assert location in caught.value.where
    assert "network" in caught.value.mend


# S3


def test_s3_keeps_our_digest(place_of: Callable[[str], Place], tmp_path: Path, moto: Any) -> None:
    place = place_of("s3")
    file = tmp_path / "file"
    file.write_bytes(os.urandom(3 << 20))
    place.open().create("captures.zst", file)
    kept = s3_client(moto[0]).get_object_attributes(
        Bucket=BUCKET,
        Key=f"{place.location.removeprefix(f's3://{BUCKET}/')}/captures.zst",
        ObjectAttributes=["Checksum"],
    )
    digest = hashlib.sha256(file.read_bytes()).digest()
    assert base64.b64decode(kept["Checksum"]["ChecksumSHA256"]) == digest


def test_s3_lists_more_than_a_page(place_of: Callable[[str], Place]) -> None:
    objects = place_of("s3").open()
    names = [f"log/{number:08d}" for number in range(1050)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: objects.create(name, b"x"), names))
    assert [info.name for info in objects.list("log/")] == names


@pytest.mark.parametrize("mode", ["COMPLIANCE", "GOVERNANCE"])
def test_retention_locks_evidence_and_not_what_is_incomplete(
    place_of: Callable[[str], Place], moto: Any, mode: str
) -> None:
    place = place_of("s3")
    options = StoreOptions(400, mode, endpoint_url=moto[0], region="us-east-1")
    prefix = f"kept/{mode}"
    objects = open_objects(f"s3://{LOCKED_BUCKET}/{prefix}", options, clock=lambda: NOW)
    objects.create("log/0", b"evidence")
    objects.create("incomplete/0", b"not evidence")
    client = s3_client(place.options.endpoint_url)
    head = client.head_object(Bucket=LOCKED_BUCKET, Key=f"{prefix}/log/0")
    assert head["ObjectLockMode"] == mode
    assert head["ObjectLockRetainUntilDate"] == NOW + datetime.timedelta(days=400)
    assert "ObjectLockMode" not in client.head_object(
        Bucket=LOCKED_BUCKET, Key=f"{prefix}/incomplete/0"
    )
    with pytest.raises(ClientError, match="AccessDenied"):
        client.delete_object(
            Bucket=LOCKED_BUCKET, Key=f"{prefix}/log/0", VersionId=head["VersionId"]
        )
    with pytest.raises(ObjectExistsError):
        objects.create("log/0", b"other")
    assert objects.read("log/0") == b"evidence"
    objects.discard("incomplete/0")
    assert [info.name for info in objects.list("")] == ["log/0"]


def test_retention_without_object_lock_is_explained(place_of: Callable[[str], Place]) -> None:
    place = place_of("s3")
    options = StoreOptions(30, endpoint_url=place.options.endpoint_url, region="us-east-1")
    with pytest.raises(StoreError, match="no Object Lock") as caught:
        open_objects(place.location, options).create("log/0", b"x")
    assert "retention_days" in caught.value.mend
    assert list(place.open().list("")) == []


def test_a_conflict_is_tried_again(
    place_of: Callable[[str], Place], moto: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evidence.objects_s3._CONFLICT_WAITS", (0.0, 0.0, 0.0))
    objects = place_of("s3").open()
    conflict = (409, "ConditionalRequestConflict", "The conditional request cannot succeed")
    left = [2]

    def twice(_: Any) -> Any:
        left[0] -= 1
        return conflict if left[0] >= 0 else None

    moto[1].refuse = twice
    objects.create("log/0", b"mine")
    assert objects.read("log/0") == b"mine"
    moto[1].refuse = lambda request: conflict if "PUT" in request.operation else None
    with pytest.raises(ObjectExistsError):
        objects.create("log/1", b"mine")


def test_refusals_of_s3_are_explained(place_of: Callable[[str], Place], moto: Any) -> None:
    objects = place_of("s3").open()
    for code, status, words in (
        ("AccessDenied", 403, "refuses access"),
        ("InvalidAccessKeyId", 403, "does not know the access key"),
        ("ExpiredToken", 400, "login has expired"),
        ("NotImplemented", 501, "lacks a part of S3"),
    ):
        moto[1].refuse = lambda _, status=status, code=code: (status, code, "no")
        with pytest.raises(StoreError, match=words) as caught:
            objects.create("log/0", b"x")
        assert caught.value.mend
    moto[1].refuse = lambda _: (403, "AccessDenied", "Object Lock")
    objects.discard("incomplete/x")  # what is locked stays, and that is no error


def test_s3_without_credentials_or_with_a_wrong_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoreError, match="no AWS credentials"):
        open_objects(f"s3://{BUCKET}", StoreOptions(region="us-east-1")).read("x")
    with pytest.raises(StoreError, match="nobody") as caught:
        open_objects(f"s3://{BUCKET}", StoreOptions(profile="nobody"))
    assert "profile" in caught.value.mend


def test_a_file_larger_than_s3_takes_is_refused_before_it_is_sent(
    place_of: Callable[[str], Place], tmp_path: Path
) -> None:
    file = tmp_path / "huge"
    with file.open("wb") as sparse:
        sparse.truncate((5 << 30) + 1)
    with pytest.raises(StoreError, match="5 GiB"):
        place_of("s3").open().create("captures", file)


def test_bytes_that_s3s_checksum_does_not_fit_are_not_taken(
    place_of: Callable[[str], Place], moto: Any, tmp_path: Path
) -> None:
    import moto.backends

    place = place_of("s3")
    place.open().create("log/0", b"the bytes of the evidence")
    key = f"{place.location.removeprefix(f's3://{BUCKET}/')}/log/0"
    backend = moto.backends.get_backend("s3")["123456789012"]["aws"]
    backend.get_object(BUCKET, key).value = b"the bytes of the forgery!"
    with pytest.raises(StoreError, match="checksum"):
        place.open().read("log/0")
    with pytest.raises(StoreError, match="checksum"):
        place.open().fetch("log/0", tmp_path / "target")
    assert not (tmp_path / "target").exists()


# An answer that got lost: the SDK asks again, and is told that there is one - its own.


def test_s3_knows_its_own_first_try(place_of: Callable[[str], Place], moto: Any) -> None:
    place = place_of("s3")
    objects = place.open()
    writers: list[bytes] = []
    lose = [True]

    def lost(request: Any) -> Any:
        """Let the first try through by another way, and answer that the service broke down."""
        if "PUT" not in request.operation or not lose[0]:
            return None
        lose[0] = False
        writers.append(request.body)
        return 500, "InternalError", "the answer got lost"

    original = objects.client.meta.events  # type: ignore[attr-defined]

    def remember(params: dict[str, Any], **_: Any) -> None:
        s3_client(moto[0]).put_object(
            Bucket=BUCKET, Key=params["Key"], Body=b"mine", Metadata=params["Metadata"]
        )

    original.register("provide-client-params.s3.PutObject", remember)
    moto[1].refuse = lost
    objects.create("log/0", b"mine")
    assert objects.read("log/0") == b"mine"


def test_google_knows_its_own_first_try(place_of: Callable[[str], Place], gcs: Any) -> None:
    objects = place_of("gcs").open()
    gcs[1].lose_answers = 1
    objects.create("log/0", b"mine")
    assert gcs[1].lose_answers == 0
    assert objects.read("log/0") == b"mine"


# Azure and Google


def test_azure_passes_over_the_folders_of_a_hierarchical_account(
    place_of: Callable[[str], Place], azure: str
) -> None:
    place = place_of("azure")
    prefix = place.location.removeprefix(f"az://{ACCOUNT}/{BUCKET}/")
    azure_container(azure).upload_blob(
        f"{prefix}/snapshots", b"", metadata={"hdi_isfolder": "true"}
    )
    place.open().create("snapshots/one", b"x")
    assert [info.name for info in place.open().list("")] == ["snapshots/one"]


def test_azure_never_commits_the_blocks_of_another_writer(
    place_of: Callable[[str], Place], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rival sends all of his blocks just before we commit ours, and is killed."""
    objects = place_of("azure").open()
    length = 17 << 20
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.write_bytes(b"A" * length)
    theirs.write_bytes(b"B" * length)

    class Stream(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            chunk = super().read(size)
            if not chunk and self.getvalue()[:1] == b"B":
                raise KeyboardInterrupt
            if not chunk:
                with pytest.raises(KeyboardInterrupt):
                    objects.create("snapshots/one", theirs)
            return chunk

    @contextmanager
    def opened(source: Any) -> Iterator[Any]:
        yield Stream(source.read_bytes())

    with monkeypatch.context() as patched:
        patched.setattr("evidence.objects_azure.opened", opened)
        objects.create("snapshots/one", ours)
    assert objects.read("snapshots/one") == b"A" * length
    with pytest.raises(ObjectExistsError):
        objects.create("snapshots/one", theirs)


def test_azure_with_a_wrong_key_or_none(
    place_of: Callable[[str], Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = place_of("azure")
    monkeypatch.setenv("AZURE_STORAGE_KEY", base64.b64encode(b"0" * 64).decode())
    with pytest.raises(StoreError, match=r"Azure (refuses|does not accept)") as caught:
        place.open().read("x")
    assert "az login" in caught.value.mend
    monkeypatch.delenv("AZURE_STORAGE_KEY")
    monkeypatch.setenv(
        "AZURE_STORAGE_CONNECTION_STRING",
        f"AccountName=another;AccountKey={ACCOUNT_KEY};EndpointSuffix=core.windows.net",
    )
    with pytest.raises(StoreError, match="another"):
        place.open()


def test_damage_on_the_way_from_google_is_seen(
    place_of: Callable[[str], Place], gcs: Any, tmp_path: Path
) -> None:
    objects = place_of("gcs").open()
    objects.create("log/0", b"evidence")
    gcs[1].damage = True
    try:
        with pytest.raises(StoreError, match="checksum"):
            objects.fetch("log/0", tmp_path / "target")
    finally:
        gcs[1].damage = False
    assert not (tmp_path / "target").exists()


# Locations


def test_locations() -> None:
    assert not is_remote("store")
    assert not is_remote(Path("s3:/bucket"))
    assert all(is_remote(f"{scheme}://bucket/x") for scheme in ("s3", "az", "gs", "http"))
    assert isinstance(open_objects("some/folder"), FolderObjects)
    assert parse_url("s3://bucket").prefix == ""
    assert parse_url("s3://bucket//a b//c/").prefix == "a b/c/"
    assert parse_url("az://account/container/x").parts == ("account", "container")


@pytest.mark.parametrize(
    "location",
    [
        "s3:/bucket/x",
        "s3://",
        "s3://UPPER",
        "s3://bucket/../other",
        "az://account",
        "az://account/",
        "az://Account-1/container",
        "gs://x",
        "http://bucket/x",
        "file:///tmp/store",
    ],
)
def test_what_is_no_location_is_told_the_forms(location: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_objects(location)
    assert "s3://BUCKET/PREFIX" in caught.value.mend
    assert caught.value.where == location


def test_options_that_cannot_be() -> None:
    with pytest.raises(UsageError, match="retention mode"):
        StoreOptions(1, "FOREVER")
    with pytest.raises(UsageError, match="ended already"):
        StoreOptions(-1)
    for location in ("az://account/container", "gs://bucket"):
        with pytest.raises(UsageError, match="for S3"):
            open_objects(location, StoreOptions(30))


@pytest.mark.parametrize(
    ("location", "library", "extra"),
    [
        ("az://account/container", "azure.storage.blob", "azure"),
        ("gs://bucket", "google.cloud.storage", "google"),
    ],
)
def test_a_library_that_is_not_installed_is_named(
    location: str, library: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(UsageError) as caught:
        open_objects(location)
    assert f"auditpack[{extra}]" in caught.value.mend
