"""A token bucket that learns its rate: what keeps 32 threads below a cloud's throttle.

One bucket a (account, region, service), shared by all threads, paid by every attempt on the wire.
The rate falls by 30 % when the cloud throttles and creeps up again when it does not (additive
increase, multiplicative decrease). Measured in NOTES-COLLECTING: no call lost where the SDK's
standard retries alone lost 108 of 200.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Rates:
    """Requests a second: where a bucket starts, its bounds, and how many may burst."""

    start: float = 100.0
    least: float = 1.0
    most: float = 500.0
    burst: float = 100.0


class Turnstile(ABC):
    """Lets one call after the other through, as there is room; safe for many threads.

    `clock` and `sleep` are passed in, so that tests need not wait.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()

    def acquire(self) -> None:
        """Wait until there is room for one call, and take it."""
        while wait := self._take():
            self._sleep(wait)

    @abstractmethod
    def _take(self) -> float:
        """Take room for one call and return 0, or return the seconds until there may be some."""


class TokenBucket(Turnstile):
    """An adaptive token bucket."""

    def __init__(
        self,
        rates: Rates | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(clock=clock, sleep=sleep)
        self._rates = rates or Rates()
        self._rate = self._rates.start
        self._tokens = self._rates.burst
        self._filled = clock()
        self._slowed = float("-inf")

    @property
    def rate(self) -> float:
        """The present rate, in requests a second."""
        return self._rate

    def _take(self) -> float:
        with self._lock:
            now = self._clock()
            gained = (now - self._filled) * self._rate
            self._tokens = min(self._rates.burst, self._tokens + gained)
            self._filled = now
            if self._tokens >= 1:
                self._tokens -= 1
                return 0.0
            return (1 - self._tokens) / self._rate

    def throttled(self) -> None:
        """Note that the cloud throttled: slow down, at most twice a second."""
        with self._lock:
            now = self._clock()
            if now - self._slowed < 0.5:
                return
            self._slowed = now
            self._rate = max(self._rates.least, self._rate * 0.7)
            self._tokens = min(self._tokens, 0.0)

    def succeeded(self) -> None:
        """Note an answer that was not a throttle: creep up."""
        with self._lock:
            self._rate = min(self._rates.most, self._rate + 0.05)
