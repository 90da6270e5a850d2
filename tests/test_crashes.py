"""Kill -9 at any moment: what was reported as committed is there, and nothing half-made counts.

`benchmarks/crash.py` kills as many more as one likes.
"""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pytest
from support_cli import auditpack, started

CRASHES = Path(__file__).with_name("support_crashes.py")
RUN = ("collect", "--region", "us-east-1", "--store", "ev", "--json")
TYPES = (
    "aws_s3_bucket",
    "aws_iam_user",
    "aws_account",
    "aws_dynamodb_table",
    "aws_vpc",
    "aws_ebs_volume",
    "aws_kms_key",
    "aws_sqs_queue",
)
TYPED = tuple(part for name in TYPES for part in ("--type", name))
MOMENTS = 8


def kill_many(*arguments: str) -> Any:
    """Kill many processes, in a process that forks and so must have no threads."""
    done = subprocess.run(
        [sys.executable, str(CRASHES), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_whenever_a_process_is_killed_nothing_is_lost_repeated_or_believed(seed: int) -> None:
    said = kill_many("--kills", "40", "--seed", str(seed))
    assert said["kills"] == 40
    assert len(said["last words"]) > 2, "they were killed at different stages"


@pytest.mark.slow
def test_when_one_of_two_writers_is_killed_the_other_goes_on() -> None:
    said = kill_many("--kills", "12", "--two")
    assert said["entries in the logs"] > 12


def units_of(folder: Path) -> dict[str, str]:
    """Return the committed units of the open run, with the digests of their captures."""
    found = {}
    for record in folder.glob("ev/incomplete/*/work/units/**/*.json"):
        run = next(parent for parent in record.parents if parent.name == "work").parent
        unit = record.relative_to(run / "work/units").with_suffix("")
        captures = run / f"sealed/captures/{unit}.jsonl.zst"
        found[unit.as_posix()] = hashlib.sha256(captures.read_bytes()).hexdigest()
    return found


def content_of(folder: Path) -> dict[str, Any]:
    """Return what a sealed snapshot says, without times, durations and digests."""
    (snapshot,) = (folder / "ev/snapshots").iterdir()
    units = [orjson.loads(line) for line in (snapshot / "units.jsonl").read_bytes().splitlines()]
    tables = {}
    for table in sorted((snapshot / "tables").iterdir()):
        with duckdb.connect() as database:
            tables[table.name] = database.execute(f"FROM '{table}' ORDER BY ALL").fetchall()
    return {"units": units, "gaps": (snapshot / "gaps.jsonl").read_bytes(), "tables": tables}


@pytest.fixture(scope="module")
def unbroken(gated_estate: tuple[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a run that nobody kills seals."""
    url, gate = gated_estate
    gate.reset()
    folder = tmp_path_factory.mktemp("unbroken")
    environment = {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    said = auditpack(*RUN, *TYPED, cwd=folder, **environment)
    assert said.code == 0, said.err
    return content_of(folder)


@pytest.mark.slow
@pytest.mark.parametrize("moment", range(MOMENTS))
def test_a_killed_collect_resumed_seals_what_an_unbroken_one_does(
    tmp_path: Path, aws_environment: Any, unbroken: Any, moment: int
) -> None:
    aws_environment.delay = 0.1
    process = started(*RUN, *TYPED, cwd=tmp_path)
    deadline = time.monotonic() + 60
    while len(units_of(tmp_path)) < moment and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(random.Random(moment).uniform(0, 0.3))
    process.kill()
    process.communicate(timeout=60)
    aws_environment.delay = 0.0
    finished = units_of(tmp_path)
    if (tmp_path / "ev/auditpack-store.json").exists():
        verified = auditpack("verify", "--store", "ev", "--json", cwd=tmp_path)
        assert verified.code == 0, verified.out

    is_open = list(tmp_path.glob("ev/incomplete/*/work/snapshot.json"))
    is_sealed = list(tmp_path.glob("ev/snapshots/*/manifest.dsse.json"))
    if is_open or not is_sealed:
        again = auditpack(*RUN, *(("--resume",) if is_open else TYPED), cwd=tmp_path)
        assert again.code == 0, again.err
    verified = auditpack("verify", "--store", "ev", "--json", cwd=tmp_path)
    assert verified.code == 0, verified.out
    assert verified.json["incomplete"] == []
    assert content_of(tmp_path) == unbroken
    (snapshot,) = (tmp_path / "ev/snapshots").iterdir()
    for unit, digest in finished.items():  # the very bytes: nothing was asked again
        sealed = (snapshot / f"captures/{unit}.jsonl.zst").read_bytes()
        assert hashlib.sha256(sealed).hexdigest() == digest
