"""What a test may change about the fake: failures, delays, pages, and how far behind it is."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any

from auditpack.demo.azure.replies import Reply, Request, arm_error, graph_error, is_graph

MESSAGES = {
    429: "The request was refused because there have been too many; try again later.",
    500: "The server met an internal error.",
    503: "The service cannot answer for the moment.",
}


@dataclass
class Failure:
    """A failure that is answered instead, `times` times or (None) always."""

    path: re.Pattern[str]
    status: int
    code: str
    times: int | None
    retry_after: int | None
    message: str


@dataclass
class Reads:
    """A bucket of reads, as Azure Resource Manager has one a subscription and one a tenant."""

    most: int
    a_second: float
    left: dict[str, float] = field(default_factory=dict)
    asked: dict[str, float] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def limited(self, request: Request, answer: Callable[[Request], Reply]) -> Reply:
        """The answer to a read, which says how many are left; 429 where there is none."""
        found = re.match(r"/subscriptions/([^/]+)", request.low)
        left = self._take(found[1] if found else "tenant")
        scope = "subscription" if found else "tenant"
        said = {f"x-ms-ratelimit-remaining-{scope}-reads": str(max(0, left))}
        if left < 0:
            headers = {**said, "Retry-After": "1"}
            return arm_error(429, "SubscriptionRequestsThrottled", MESSAGES[429], headers)
        reply = answer(request)
        return replace(reply, headers={**said, **reply.headers})

    def _take(self, whose: str) -> int:
        """Take a read out of somebody's bucket; return how many are left, -1 for none."""
        with self.lock:
            now = time.monotonic()
            gained = (now - self.asked.get(whose, now)) * self.a_second
            left = min(float(self.most), self.left.get(whose, self.most) + gained)
            self.asked[whose], self.left[whose] = now, left - 1 if left >= 1 else left
            return int(left) - 1


@dataclass(frozen=True)
class Offer:
    """The api versions that a resource type has, and the code of the refusal of any other."""

    versions: tuple[str, ...]
    code: str


@dataclass
class Knobs:
    """The state of all knobs; every method may be called while the fake is serving."""

    page_size: int = 1000
    delay: float = 0.0
    unlicensed: bool = False
    quota: int | None = None
    quota_window: float = 5.0
    reads: Reads | None = None
    offers: dict[str, Offer] = field(default_factory=dict)
    behind: dict[str, dict[str, Any]] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    withheld: set[str] = field(default_factory=set)
    denied: list[re.Pattern[str]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    generation: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def reset(self) -> None:
        """Put every knob back."""
        fresh, generation = Knobs(), self.generation + 1
        for item in fields(self):
            if item.name != "lock":
                setattr(self, item.name, getattr(fresh, item.name))
        self.generation = generation

    def failing(self, request: Request) -> Reply | None:
        """The failure that is due for a request, if any; it is then used up by one."""
        target = f"{request.method} {request.path}"
        with self.lock:
            for failure in self.failures:
                if failure.times == 0 or not failure.path.search(target):
                    continue
                if failure.times is not None:
                    failure.times -= 1
                return self._reply(request, failure)
        return None

    @staticmethod
    def _reply(request: Request, failure: Failure) -> Reply:
        wait = {} if failure.retry_after is None else {"Retry-After": str(failure.retry_after)}
        message = failure.message or MESSAGES.get(failure.status, failure.code)
        if is_graph(request.path):
            return graph_error(failure.status, failure.code, message, wait)
        return arm_error(failure.status, failure.code, message, wait)
