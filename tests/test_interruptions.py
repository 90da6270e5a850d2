"""Runs that are cut short: Ctrl-C, kill, a full disk. The store stays valid and the run goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from support_cli import auditpack, started

RUN = ("collect", "--region", "us-east-1", "--store", "ev")
TYPES = ("aws_s3_bucket", "aws_iam_user", "aws_account", "aws_dynamodb_table", "aws_vpc")
TYPED = tuple(part for name in TYPES for part in ("--type", name))


def committed(folder: Path) -> list[Path]:
    """Units that are committed in the open run."""
    return list((folder / "ev/incomplete").rglob("work/units/**/*.json"))


def wait_for_units(folder: Path, number: int, process: subprocess.Popen[str]) -> None:
    """Wait until `number` units are committed."""
    deadline = time.monotonic() + 60
    while len(committed(folder)) < number:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_cut_short_leaves_a_valid_store_and_can_be_resumed(
    tmp_path: Path, aws_environment: Any, how: signal.Signals
) -> None:
    aws_environment.delay = 0.15
    process = started(*RUN, *TYPED, cwd=tmp_path)
    wait_for_units(tmp_path, 1, process)
    process.send_signal(how)
    _, err = process.communicate(timeout=60)
    if how is not signal.SIGKILL:
        assert process.returncode == 130
        assert "--resume" in err
    done = {path.stem for path in committed(tmp_path)}
    assert 0 < len(done) < len(TYPES)
    verified = auditpack("verify", "--store", "ev", "--json", cwd=tmp_path)
    assert verified.code == 0, verified.out
    assert len(verified.json["incomplete"]) == 1
    assert verified.json["sealed"]["snapshot"] == 0
    nothing = auditpack("evaluate", "--store", "ev", cwd=tmp_path)
    assert nothing.code == 1
    assert "no sealed snapshot" in nothing.err

    aws_environment.reset()
    resumed = auditpack(*RUN, "--resume", "--json", cwd=tmp_path)
    assert resumed.code == 0, resumed.err
    assert resumed.json["gaps"] == {}
    asked = Counter(request.service for request in aws_environment.requests)
    for name in done:
        service = name.split("_")[1]
        if service not in {other.split("_")[1] for other in set(TYPES) - done}:
            assert asked[service] == 0, f"{name} was collected again"
    final = auditpack("verify", "--store", "ev", "--json", cwd=tmp_path)
    assert final.json["ok"]
    assert final.json["incomplete"] == []
    assert final.json["sealed"]["snapshot"] == 1


def test_resume_without_an_open_run_says_so(tmp_path: Path, aws_environment: Any) -> None:
    auditpack(*RUN, "--type", "aws_account", cwd=tmp_path)
    said = auditpack(*RUN, "--resume", cwd=tmp_path)
    assert said.code == 1
    assert "no incomplete run" in said.err


SMALL_DISK = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, resource.RLIM_INFINITY))
from auditpack.cli import main
sys.argv = ["auditpack", *{arguments!r}]
main()
"""


@pytest.mark.parametrize("size", [300, 1500, 8000, 20000])
def test_a_full_disk_is_an_error_and_nothing_half_written_counts(
    tmp_path: Path, aws_environment: Any, size: int
) -> None:
    auditpack("init", "--no-passphrase", cwd=tmp_path)
    code = SMALL_DISK.format(size=size, arguments=[*RUN, *TYPED])
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "File too large" in done.stderr
    assert "Traceback" not in done.stderr
    verified = auditpack("verify", "--store", "ev", "--json", cwd=tmp_path)
    assert verified.json["ok"], verified.out
    assert verified.json["sealed"]["snapshot"] == 0
    goes_on = ("--resume",) if verified.json["incomplete"] else TYPED
    resumed = auditpack(*RUN, *goes_on, "--json", cwd=tmp_path)
    assert resumed.code == 0, resumed.err
    assert resumed.json["gaps"] == {}
    assert auditpack("verify", "--store", "ev", cwd=tmp_path).code == 0
