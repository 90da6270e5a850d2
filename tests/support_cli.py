"""Running the command line as a person does: a process of its own, its exit code, what it said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as JSON."""
        return json.loads(self.out)


def auditpack(*arguments: str, cwd: Path, timeout: float = 120, **environment: str) -> Said:
    """Run `auditpack ARGUMENTS` in `cwd` and wait for it."""
    done = subprocess.run(
        [sys.executable, "-m", "auditpack", *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def started(*arguments: str, cwd: Path, **environment: str) -> subprocess.Popen[str]:
    """Start `auditpack ARGUMENTS` and do not wait."""
    return subprocess.Popen(
        [sys.executable, "-m", "auditpack", *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
