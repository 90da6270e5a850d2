"""Classifying an error of Google Cloud: denied, throttled, an API switched off, or broken.

Source: google/rpc/code.proto, google.aip.dev/193 (ErrorInfo), google/api/error_reason.proto.
"""

from __future__ import annotations

import re

from collectors.answers import shortened
from collectors.gcp.exchange import Reply
from collectors.gcp.needs import USES_QUOTA
from evidence.outcome import Outcome

API = "cloudasset.googleapis.com"
ROLE = "roles/cloudasset.viewer"
QUOTA_ROLE = "roles/serviceusage.serviceUsageConsumer"

NOT_COLLECTED = "NotCollected"
"""The code of a reply that captures do not hold: the call was not made when they were."""

_NOT_ENABLED = frozenset(
    {
        "API_DISABLED",
        "BILLING_DISABLED",
        "SERVICE_DISABLED",
        "SERVICE_NOT_ACTIVATED",
        "SERVICE_NOT_VISIBLE",
    }
)
_SAID_DISABLED = re.compile(r"(?i)has not been used in project|\bis disabled\b|not been enabled")
_NO_TOKEN = re.compile(r"(?i)getting metadata from plugin failed")
"""What gRPC says, as UNAVAILABLE, where the credentials give no token."""

_QUOTA_PROJECT = frozenset({"USER_PROJECT_DENIED", "CONSUMER_INVALID", "CONSUMER_SUSPENDED"})
_PERIMETER = frozenset({"SECURITY_POLICY_VIOLATED"})


def is_throttle(reply: Reply) -> bool:
    """Whether the cloud asked us to slow down."""
    return reply.code == "RESOURCE_EXHAUSTED"


def classify(reply: Reply) -> Outcome:
    """Return the outcome that `reply` stands for."""
    if reply.ok:
        return Outcome.OK
    if reply.code == NOT_COLLECTED:
        return Outcome.SKIPPED
    if is_throttle(reply):
        return Outcome.THROTTLED
    if is_disabled(reply):
        return Outcome.NOT_ENABLED
    if reply.code in ("PERMISSION_DENIED", "UNAUTHENTICATED") or lacks_token(reply):
        return Outcome.DENIED
    return Outcome.ERROR


def is_disabled(reply: Reply) -> bool:
    """Whether the API (or what it takes, such as billing) is switched off."""
    if reply.reason:
        return reply.reason in _NOT_ENABLED
    refused = reply.code in ("PERMISSION_DENIED", "FAILED_PRECONDITION")
    return refused and _SAID_DISABLED.search(reply.message) is not None


def lacks_token(reply: Reply) -> bool:
    """Whether there was no token to ask with."""
    return reply.code.endswith("RefreshError") or _NO_TOKEN.search(reply.message) is not None


def detail_of(reply: Reply, outcome: Outcome, needs: str) -> str:
    """Return code and message on one line, and what is missing.

    `needs` is the permission that the method takes, where the cloud does not say which is missing.
    """
    if reply.code == NOT_COLLECTED:
        return "not collected"
    line = shortened(" ".join(f"{reply.code}: {reply.message}".strip(": ").split()))
    missing = ""
    if outcome is Outcome.NOT_ENABLED:
        missing = _api_missing(reply)
    elif outcome is Outcome.DENIED and reply.code == "PERMISSION_DENIED":
        missing = _permission_missing(reply, needs)
    return f"{line} (needs {missing})" if missing else line


def _api_missing(reply: Reply) -> str:
    service = str(reply.about.get("service") or API)
    consumer = str(reply.about.get("consumer") or "the quota project")
    if reply.reason == "BILLING_DISABLED":
        return f"billing enabled in {consumer}"
    return f"the API {service} enabled in {consumer}"


def _permission_missing(reply: Reply, needs: str) -> str:
    if reply.reason in _QUOTA_PROJECT:
        consumer = str(reply.about.get("consumer") or "the quota project")
        return f"{USES_QUOTA} on {consumer}, as in {QUOTA_ROLE}"
    if reply.reason in _PERIMETER or reply.detail("PreconditionFailure"):
        return "a rule of the VPC Service Controls perimeter that lets the collector in"
    permission = str(reply.about.get("permission") or needs)
    resource = str(reply.about.get("resource") or "")
    where = f" on {resource}" if resource else ""
    return f"{permission}{where}, as in {ROLE}" if permission else ""
