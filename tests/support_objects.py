"""Stores of every kind on this machine: a folder, moto's S3, Azurite, and a small GCS.

Azurite is Microsoft's own emulator and an npm package. `scripts/install.sh` puts it below `.venv`;
without it there, it is installed once into the user's cache folder.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from evidence.objects import Objects
from evidence.store_location import StoreOptions, open_objects

AZURITE_VERSION = "3.35.0"
ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
"""Azurite's well-known account. Source: Microsoft, "Use the Azurite emulator"."""

BUCKET = "evidence-room"
_BELOW_VENV = Path(__file__).parent.parent / ".venv" / "azurite"
_CACHED = (
    Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    / "auditpack-tests"
    / f"azurite-{AZURITE_VERSION}"
)
_NPM_INSTALL = ("npm", "install", "--silent", "--no-audit", "--no-fund")
_COMMAND = Path("node_modules/.bin/azurite-blob")


@dataclass(frozen=True)
class Place:
    """A store's location, how to open it, and the variables that its SDK needs."""

    location: str
    options: StoreOptions = field(default_factory=StoreOptions)
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def arguments(self) -> tuple[str, str]:
        """The location and the endpoint, for another process."""
        return self.location, self.options.endpoint_url

    def open(self) -> Objects:
        """Open the objects (the variables must be set)."""
        return open_objects(self.location, self.options)


def s3_client(url: str) -> Any:
    """A client of moto's server that is not the store's."""
    import boto3

    session = boto3.Session(
        aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1"
    )
    return session.client("s3", endpoint_url=url)


def azure_container(url: str) -> Any:
    """A client of Azurite's container that is not the store's."""
    from azure.storage.blob import ContainerClient

    key = {"account_name": ACCOUNT, "account_key": ACCOUNT_KEY}
    return ContainerClient(f"{url}/{ACCOUNT}", BUCKET, credential=key)


@contextmanager
def azurite() -> Iterator[str]:
    """Run Azurite on a free loopback port, with one container; yield its URL."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        options = ("--blobPort", str(port), "--inMemoryPersistence", "--silent")
        process = subprocess.Popen(
            [*_azurite_command(), *options, "--skipApiVersionCheck", "--disableTelemetry"],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait_for(port, process)
            azure_container(f"http://127.0.0.1:{port}").create_container()
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(10)


def _azurite_command() -> list[str]:
    on_path = shutil.which("azurite-blob")
    if on_path:
        return [on_path]
    for folder in (_BELOW_VENV, _CACHED):
        if (folder / _COMMAND).exists():
            return [str(folder / _COMMAND)]
    return [str(_installed() / _COMMAND)]


def _installed() -> Path:
    """Install Azurite into the cache folder; several test processes may do so at once."""
    if shutil.which("npm") is None:
        pytest.skip("Azurite needs node and npm, and there is no npm on this machine")
    _CACHED.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_CACHED.parent) as folder:
        done = subprocess.run(
            [*_NPM_INSTALL, "--prefix", folder, f"azurite@{AZURITE_VERSION}"],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"npm could not install Azurite: {done.stderr.strip()[-300:]}")
        made = Path(folder) / "azurite"
        made.mkdir()
        (Path(folder) / "node_modules").rename(made / "node_modules")
        try:
            made.rename(_CACHED)
        except OSError:
            if not (_CACHED / _COMMAND).exists():  # else another process was quicker
                raise
    return _CACHED


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        if process.poll() is not None:
            raise RuntimeError(f"Azurite ended with {process.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError("Azurite did not start within 30 seconds")
