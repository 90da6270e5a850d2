"""A cloud of the demo in a process of its own: started, waited for, and stopped with the block."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import IO, Generic, TypeVar

from auditpack.demo.errors import DemoError

START_TIMEOUT = 30.0
"""Seconds that a start may take: it takes half a second, so this is for a very busy machine."""

STOP_TIMEOUT = 3.0
"""Seconds that the server has to end on its own."""

TAIL_LINES = 15
"""How much of the server's output an error shows."""

Ready = TypeVar("Ready")


class Child(Generic[Ready]):
    """A Python process that serves until its standard input is closed.

    `ready` reads the line by which it says that it answers, and where; None for any other line.
    It ends by itself if this process is killed.
    """

    def __init__(
        self,
        title: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        ready: Callable[[str], Ready | None],
        *,
        start_timeout: float = START_TIMEOUT,
    ) -> None:
        self._title, self._arguments, self._environment = title, arguments, environment
        self._read, self._start_timeout = ready, start_timeout
        self._process: subprocess.Popen[str] | None = None
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self.ready: Ready | None = None

    def start(self) -> Ready:
        """Start it and return what it said when it was ready. Raises DemoError."""
        try:
            return self._started()
        except BaseException:
            self.stop()
            raise

    def _started(self) -> Ready:
        self._process = subprocess.Popen(  # noqa: S603 (our own code)
            [sys.executable, *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(self._environment),
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
        if self.ready is not None:
            return self.ready
        ended = f"not ready in {self._start_timeout:g} s"
        if settled.is_set():
            ended = "ended while starting"
        raise DemoError(
            f"the demo's cloud ({self._title}): {ended}",
            where="its last output:\n" + ("\n".join(self._tail) or "(none)"),
            mend="look at the output above; reinstall with: pip install 'auditpack[demo]'",
        )

    def _listen(self, output: IO[str], settled: threading.Event) -> None:
        """Read what the server prints, until it ends: that it is ready first, then complaints."""
        with output:
            for line in output:
                ready = self._read(line.strip()) if self.ready is None else None
                if ready is not None:
                    self.ready = ready
                    settled.set()
                else:
                    self._tail.append(line.rstrip())
        settled.set()

    def stop(self) -> None:
        """Stop it, if it runs."""
        process, self._process, self.ready = self._process, None, None
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
