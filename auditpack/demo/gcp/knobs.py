"""What a test may change about the fake: failures, quotas, denials, delays."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field

from auditpack.demo.gcp.statuses import (
    Refused,
    denied,
    exhausted,
    retry_info,
    service_disabled,
)

PERMISSIONS = {
    "": "cloudasset.assets.listResource",
    "resource": "cloudasset.assets.listResource",
    "iam_policy": "cloudasset.assets.listIamPolicy",
    "org_policy": "cloudasset.assets.listOrgPolicy",
    "access_policy": "cloudasset.assets.listAccessPolicy",
    "os_inventory": "cloudasset.assets.listOSInventories",
    "SearchAllIamPolicies": "cloudasset.assets.searchAllIamPolicies",
    "SearchAllResources": "cloudasset.assets.searchAllResources",
    "AnalyzeIamPolicy": "cloudasset.assets.analyzeIamPolicy",
}
"""The permission that a content's listing or a method needs."""


@dataclass
class Call:
    """A call as it came in, and the status that it was answered with."""

    method: str
    parent: str = ""
    content: str = ""
    request: object = None
    metadata: dict[str, str] = field(default_factory=dict)
    principal: str = ""
    secure: bool = False
    code: str = ""
    at: float = field(default_factory=time.monotonic)

    @property
    def permission(self) -> str:
        """The permission that it needs."""
        return PERMISSIONS.get(self.method) or PERMISSIONS.get(self.content, "")


@dataclass
class Failure:
    """A failure of the calls that fit: of every `every`th of them, after the first `after`.

    Empty text fits any call. `times` is how often it happens, None for always.
    """

    refusal: Refused
    method: str = ""
    content: str = ""
    parents: tuple[str, ...] = ()
    every: int = 1
    after: int = 0
    times: int | None = None
    seen: int = 0

    def fits(self, call: Call) -> bool:
        """Whether it is about a call."""
        return (
            self.method in ("", call.method)
            and self.content in ("", call.content)
            and (not self.parents or call.parent in self.parents)
        )

    def is_due(self, call: Call) -> bool:
        """Count a call, and say whether it is one that fails."""
        if self.times == 0 or not self.fits(call):
            return False
        self.seen += 1
        if self.seen <= self.after or (self.seen - self.after) % self.every:
            return False
        if self.times is not None:
            self.times -= 1
        return True


@dataclass
class Denial:
    """A permission taken away: from all callers or one, everywhere or at some parents."""

    method: str = ""
    content: str = ""
    parents: tuple[str, ...] = ()
    principal: str = ""


@dataclass
class Quota:
    """So many calls of a method in so many seconds."""

    calls: int
    seconds: float
    recent: deque[float] = field(default_factory=deque)

    def wait(self, now: float) -> float | None:
        """Take one call from the quota; if there is none, say how long that will be so."""
        while self.recent and self.recent[0] <= now - self.seconds:
            self.recent.popleft()
        if len(self.recent) >= self.calls:
            return self.recent[0] + self.seconds - now
        self.recent.append(now)
        return None


@dataclass
class Knobs:
    """The state of all knobs; every method may be called while the fake is serving."""

    delay: float = 0.0
    disabled: str = ""
    require_token: bool = False
    failures: list[Failure] = field(default_factory=list)
    denials: list[Denial] = field(default_factory=list)
    quotas: dict[str, Quota] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def reset(self) -> None:
        """Put every knob back."""
        with self.lock:
            self.delay, self.disabled, self.require_token = 0.0, "", False
            self.failures.clear()
            self.denials.clear()
            self.quotas.clear()

    def admit(self, call: Call) -> None:
        """Refuse a call that a knob is set against."""
        if self.delay:
            time.sleep(self.delay)
        if self.disabled:
            raise service_disabled(self.disabled)
        with self.lock:
            for failure in self.failures:
                if failure.is_due(call):
                    raise failure.refusal
            self._count(call)
            for denial in self.denials:
                if _is_denied(denial, call):
                    raise denied(call.permission, call.parent)

    def _count(self, call: Call) -> None:
        quota = self.quotas.get(call.method)
        wait = quota.wait(time.monotonic()) if quota else None
        if quota and wait is not None:
            raise exhausted(call.method, call.parent, quota.calls, wait)


def failing(code: str, message: str, wait: float | None) -> Refused:
    """Return a failure with a code, and with RetryInfo where it says when to come back."""
    return Refused(code, message, retry_info(wait))


def _is_denied(denial: Denial, call: Call) -> bool:
    return (
        denial.method in ("", call.method)
        and denial.content in ("", call.content)
        and (not denial.parents or call.parent in denial.parents)
        and denial.principal in ("", call.principal)
    )
