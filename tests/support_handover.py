"""An auditor's machine: the commands of a VERIFY.md run where nothing of ours is installed.

PATH has a shell, coreutils, openssl, jq, pdfsig and a Python without site-packages: no zstd, no
auditpack. `tampered` copies a folder, changes it, and can sign its sums anew, as a producer could
who cheats.
"""

from __future__ import annotations

import datetime
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pack_store import NOW, PACK_SIGNED, Bucket, Built, build_store
from support_store import sealer_of

from evidence.checksums import SIGNATURE as SUMS_SIGNATURE
from evidence.checksums import SUMS, write_sums
from evidence.keys import SigningKey, make_signing_key, save_signing_key
from evidence.sealing import Sealer
from evidence.timestamps import TimestampAuthority
from reports.pack import make_pack

TOOLS = ("sh", "openssl", "jq", "pdfsig")
COREUTILS = ("base64", "cat", "cut", "date", "head", "mktemp", "sha256sum", "tail", "test", "tr")
BUCKETS = [
    Bucket("ledger"),
    Bucket("archive", algorithm="NONE"),
    Bucket("quarry", algorithm=None),
    Bucket("two\nlines; touch pwned", algorithm="NONE", versioning="Disabled"),
]


@dataclass(frozen=True)
class Done:
    """What came of a run."""

    code: int
    out: str
    err: str


def clean_path(folder: Path) -> Path:
    """Make a folder that has an auditor's commands and no others."""
    folder.mkdir(parents=True)
    for name in (*TOOLS, *COREUTILS):
        found = shutil.which(name)
        assert found, f"{name} is needed to run these tests"
        (folder / name).symlink_to(found)
    python = folder / "python3"
    real = Path(sys.executable).resolve()
    python.write_text(f'#!/bin/sh\nexec {real} -S -s -E "$@"\n')
    python.chmod(0o755)
    return folder


def script_of(instructions: Path) -> str:
    """Return the commands of a VERIFY.md, as a reader pastes them one after another."""
    text = instructions.read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return "\n".join(blocks)


def at_once(instructions: Path) -> str:
    """Return the one command that the instructions offer for all of their steps."""
    found = re.search(r"^    (python3 -c .*)$", instructions.read_text(), re.MULTILINE)
    assert found
    return found[1]


def run_clean(script: str, folder: Path, path: Path, **environment: str) -> Done:
    """Run a script with `sh` in `folder`, with nothing but `path` in the environment."""
    done = subprocess.run(
        [str(path / "sh")],
        input=script,
        cwd=folder,
        env={"PATH": str(path), "TMPDIR": str(path.parent), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return Done(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True)
class Estate:
    """A store in which much happened: a rotated and a revoked key, a pack with a timestamp."""

    built: Built
    old_key: SigningKey
    key: SigningKey
    kept: str
    """A checkpoint that an auditor kept, from before the rotation."""
    pack: str

    @property
    def folder(self) -> Path:
        """The working folder, with auditpack.yaml in it."""
        return self.built.store.root.parent


def make_estate(folder: Path, tsa_url: str) -> Estate:
    """Build the store in `folder / "store"`, with a configuration and keys beside it."""
    built = build_store(folder / "store", BUCKETS)
    store, old_key = built.store, built.key
    kept = store.log.records()[-1].note
    key = make_signing_key("Halden Labs", NOW)
    before = sealer_of(old_key, PACK_SIGNED)
    before.add_key(store, key)
    sealer = Sealer(key, before.clock, TimestampAuthority(tsa_url))
    pdf = make_pack(built.view(), store, sealer)
    later = datetime.datetime(2027, 2, 1, tzinfo=datetime.UTC)
    fingerprint = old_key.certificate.fingerprint
    sealer.revoke(store, fingerprint, since=later, reason="retired")
    save_signing_key(key, folder / "keys/signing-key.pem", folder / "keys/certificate.pem", "")
    (folder / "auditpack.yaml").write_text(
        "organisation: Halden Labs\nstore: store\n"
        "signing: {key: keys/signing-key.pem, certificate: keys/certificate.pem}\n"
    )
    return Estate(built, old_key, key, kept, pdf.parent.name)


def tampered(
    source: Path, target: Path, change: Callable[[Path], None], key: SigningKey | None = None
) -> Path:
    """Copy a folder and change it; with `key`, its sums are then listed and signed anew."""
    shutil.copytree(source, target, symlinks=True)
    change(target)
    if key is not None:
        (target / SUMS).unlink(missing_ok=True)
        (target / SUMS_SIGNATURE).unlink(missing_ok=True)
        write_sums(target, key)
    return target


def flip(name: str, at: int | None = None) -> Callable[[Path], None]:
    """Return a change of one bit in the file that `name` (a glob) names, by default half-way."""

    def change(folder: Path) -> None:
        path = sorted(folder.glob(name))[0]
        data = bytearray(path.read_bytes())
        data[len(data) // 2 if at is None else at] ^= 1
        path.write_bytes(data)

    return change
