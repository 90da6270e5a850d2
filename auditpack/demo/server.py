"""Start and stop the demo's cloud: a moto server in a process of its own, on a loopback port."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO

from auditpack.demo.errors import DemoError
from auditpack.demo.fakecloud import READY_LINE

START_TIMEOUT = 30.0
"""Seconds that a start may take: it takes half a second, so this is for a very busy machine."""

STOP_TIMEOUT = 3.0
"""Seconds that the server has to end on its own."""

TAIL_LINES = 15
"""How much of the server's output an error shows."""

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
        self._start_timeout = start_timeout
        self._process: subprocess.Popen[str] | None = None
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._port = 0

    @property
    def endpoint_url(self) -> str:
        """Where the server answers."""
        if not self._port:
            raise DemoError("the demo's cloud is not running", mend="use it as `with MotoServer()`")
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> MotoServer:
        require_moto()
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def _start(self) -> None:
        script = Path(__file__).with_name("fakecloud.py")
        self._process = subprocess.Popen(  # noqa: S603 (our own script)
            # -P: the script's own folder is not searched for modules.
            [sys.executable, "-P", str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=server_environment(os.environ),
            text=True,
            encoding="utf-8",
            errors="replace",
            # A Ctrl-C is for us: the server is stopped by the end of the block.
            start_new_session=True,
        )
        settled = threading.Event()
        reading = (self._process.stdout, settled)
        threading.Thread(target=self._listen, args=reading, daemon=True).start()
        settled.wait(self._start_timeout)
        if self._port:
            return
        what = (
            "ended while starting"
            if settled.is_set()
            else f"not ready in {self._start_timeout:g} s"
        )
        raise DemoError(
            f"the demo's cloud (a local moto server): {what}",
            where="its last output:\n" + ("\n".join(self._tail) or "(none)"),
            mend="look at the output above; reinstall with: pip install 'auditpack[demo]'",
        )

    def _listen(self, output: IO[str], settled: threading.Event) -> None:
        """Read what the server prints, until it ends: the port first, then complaints."""
        with output:
            for line in output:
                word, _, rest = line.strip().partition(" ")
                if word == READY_LINE and rest.isdigit():
                    self._port = int(rest)
                    settled.set()
                else:
                    self._tail.append(line.rstrip())
        settled.set()

    def _stop(self) -> None:
        process, self._process, self._port = self._process, None, 0
        if process is None:
            return
        if process.stdin is not None:
            with suppress(OSError):
                process.stdin.close()
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


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
