"""Start and stop the demo's AWS: a moto server in a process of its own, on a loopback port."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import TracebackType

from auditpack.demo.child import START_TIMEOUT, Child
from auditpack.demo.errors import DemoError
from auditpack.demo.fakecloud import READY_LINE

SETTINGS = {
    # Policies such as AdministratorAccess exist in every account, and people attach them.
    "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",
    # moto's 1,300 ready-made images and their snapshots would appear as the company's own.
    "MOTO_EC2_LOAD_DEFAULT_AMIS": "false",
    # Certificates that were asked for are issued at once.
    "MOTO_ACM_VALIDATION_WAIT": "0",
}
"""moto's own settings, as environment variables of its process."""


class MotoServer:
    """A moto server for the length of a `with` block.

    It is stopped however the block ends, and it ends by itself if this process is killed.
    """

    def __init__(self, *, start_timeout: float = START_TIMEOUT) -> None:
        script = str(Path(__file__).with_name("fakecloud.py"))
        self._child = Child(
            "a local moto server",
            ["-P", script],  # the script's own folder is not searched for modules
            server_environment(os.environ),
            _port_in,
            start_timeout=start_timeout,
        )

    @property
    def endpoint_url(self) -> str:
        """Where the server answers."""
        if not self._child.ready:
            raise DemoError("the demo's cloud is not running", mend="use it as `with MotoServer()`")
        return f"http://127.0.0.1:{self._child.ready}"

    def __enter__(self) -> MotoServer:
        require_moto()
        self._child.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._child.stop()


def _port_in(line: str) -> int | None:
    word, _, rest = line.partition(" ")
    return int(rest) if word == READY_LINE and rest.isdigit() else None


def require_moto() -> None:
    """Say how to install moto's server if it is missing."""
    missing = [name for name in ("moto", "flask", "flask_cors") if not _installed(name)]
    if missing:
        raise DemoError(
            f"the demo needs a local stand-in for AWS: {', '.join(missing)} is not installed",
            mend="pip install 'auditpack[demo]'",
        )


def server_environment(environ: os._Environ[str] | dict[str, str]) -> dict[str, str]:
    """The environment of the server: ours, without anything that would lead it to a real cloud."""
    kept = {k: v for k, v in environ.items() if not k.startswith(("AWS_", "MOTO_"))}
    nowhere = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    python = {
        "PYTHONIOENCODING": "utf-8",
        "PYTHONHASHSEED": "0",
    }  # lists in the same order each time
    return {**kept, **nowhere, **SETTINGS, **python}


def _installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None
