"""Azure's quotas: every answer says what is left, so that we wait before we are refused.

Resource Graph takes so many queries in so many seconds. Azure Resource Manager takes reads out of a
bucket that fills again all the time, one a subscription and one a tenant.

Source: learn.microsoft.com/azure/governance/resource-graph/concepts/guidance-for-throttled-requests
(`x-ms-user-quota-remaining`, `x-ms-user-quota-resets-after` as hh:mm:ss) and
learn.microsoft.com/azure/azure-resource-manager/management/request-limits-and-throttling.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from collectors.limiter import TokenBucket, Turnstile

REMAINING = "x-ms-user-quota-remaining"
RESETS_AFTER = "x-ms-user-quota-resets-after"
READS_LEFT = (
    "x-ms-ratelimit-remaining-subscription-reads",
    "x-ms-ratelimit-remaining-subscription-global-reads",
    "x-ms-ratelimit-remaining-tenant-reads",
)
READS_A_SECOND = 25.0
"""How fast the bucket of a subscription, or of a tenant, fills again."""

_RESERVE = 3
"""Reads that are left in the bucket: what it is said to hold is an answer old."""


class QueryQuota(Turnstile):
    """What all threads know of the queries that are left."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(clock=clock, sleep=sleep)
        self._left: int | None = None
        self._resets = 0.0
        self._under_way = 0

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


class ReadQuota(Turnstile):
    """What all threads know of the reads that are left of one subscription or tenant."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(clock=clock, sleep=sleep)
        self._left = math.inf
        self._said = 0.0
        self._under_way = 0

    def _take(self) -> float:
        with self._lock:
            now = self._clock()
            self._left += (now - self._said) * READS_A_SECOND
            self._said = now
            missing = 1 + _RESERVE - self._left
            if missing > 0:
                return missing / READS_A_SECOND
            self._left -= 1
            self._under_way += 1
            return 0.0

    def answered(self, headers: Mapping[str, str]) -> None:
        """Note what an answer said is left; reads under way are not in it yet."""
        said = [int(headers[name]) for name in READS_LEFT if headers.get(name, "").isdecimal()]
        with self._lock:
            self._under_way -= 1
            if said:
                self._left, self._said = min(said) - self._under_way, self._clock()


@dataclass(frozen=True)
class Lane:
    """What the requests to one subscription, or to one tenant, share: a rate, and reads left."""

    bucket: TokenBucket
    reads: ReadQuota
