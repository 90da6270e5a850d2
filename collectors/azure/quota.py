"""Resource Graph's quota: so many queries in so many seconds, and every answer says what is left.

Source: learn.microsoft.com/azure/governance/resource-graph/concepts/guidance-for-throttled-requests
(`x-ms-user-quota-remaining`, `x-ms-user-quota-resets-after` as hh:mm:ss).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

REMAINING = "x-ms-user-quota-remaining"
RESETS_AFTER = "x-ms-user-quota-resets-after"


class QueryQuota:
    """What all threads know of the quota; `clock` and `sleep` are passed in for tests."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()
        self._left: int | None = None
        self._resets = 0.0
        self._under_way = 0

    def acquire(self) -> None:
        """Wait until there is a query left, and take it."""
        while wait := self._take():
            self._sleep(wait)

    def _take(self) -> float:
        with self._lock:
            now = self._clock()
            if self._left is not None and now >= self._resets:
                self._left = None
            if self._left is not None and self._left <= 0:
                return self._resets - now
            if self._left is not None:
                self._left -= 1
            self._under_way += 1
            return 0.0

    def answered(self, headers: Mapping[str, str]) -> None:
        """Note what an answer said is left; queries under way are not in it yet."""
        with self._lock:
            self._under_way -= 1
            try:
                left = int(headers[REMAINING])
                hours, minutes, seconds = headers[RESETS_AFTER].split(":")
                wait = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
            except (KeyError, ValueError):
                return
            self._left = left - self._under_way
            self._resets = self._clock() + wait
