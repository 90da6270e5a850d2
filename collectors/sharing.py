"""Calls that several resource types need alike: made once, and their answers shared."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import replace

from collectors.answers import Answer


class SharedAnswers:
    """The answers of calls that were made before. Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[Hashable, Future[list[Answer]]] = {}

    def pages(self, key: Hashable, make: Callable[[], Iterable[Answer]]) -> Iterator[Answer]:
        """Yield the answers of the call `key`; who asks first makes it, the others wait for it."""
        with self._lock:
            future = self._made.get(key)
            mine = future is None
            if future is None:
                future = self._made[key] = Future()
        if mine:
            try:
                future.set_result([replace(answer, shared=True) for answer in make()])
            except BaseException as error:
                future.set_exception(error)
                raise
            yield from future.result()
            return
        yield from (replace(answer, reused=True) for answer in future.result())
