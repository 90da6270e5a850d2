"""Classifying an Azure error: was it denied, throttled, switched off, or did something break?

Source: learn.microsoft.com/azure/azure-resource-manager/troubleshooting/common-deployment-errors,
learn.microsoft.com/graph/errors and learn.microsoft.com/graph/resolve-auth-errors.
"""

from __future__ import annotations

import re

from collectors.answers import shortened
from collectors.azure.exchange import Reply
from evidence.outcome import Outcome

DENIED = frozenset(
    {
        "accessdenied",
        "authenticationfailed",
        "authorization_requestdenied",
        "authorizationfailed",
        "clientauthenticationerror",
        "credentialunavailableerror",
        "forbidden",
        "invalidauthenticationtoken",
        "linkedauthorizationfailed",
        "unauthorized",
    }
)
NOT_ENABLED = frozenset(
    {
        "authentication_requestfromnonpremiumtenantorb2ctenant",
        "missingsubscriptionregistration",
        "readonlydisabledsubscription",
        "subscriptionnotregistered",
        "aadpremiumlicenserequired",
    }
)
THROTTLED = frozenset({"ratelimiting", "subscriptionrequeststhrottled", "toomanyrequests"})

_LICENCE = re.compile(r"(?i)\blicen[cs]e|\bpremium\b|nonpremium")
LICENCE_NEEDED = "a licence that the tenant has not: Microsoft Entra ID P1 or P2"


def is_throttle(reply: Reply) -> bool:
    """Whether the cloud asked us to slow down."""
    return reply.status == 429 or reply.code.lower() in THROTTLED


def classify(
    reply: Reply, absent: tuple[str, ...] = (), not_enabled: tuple[str, ...] = ()
) -> Outcome:
    """Return the outcome that `reply` stands for; the resource type's own codes come first."""
    if reply.ok:
        return Outcome.OK
    if any(_matches(entry, reply) for entry in absent):
        return Outcome.ABSENT
    if any(_matches(entry, reply) for entry in not_enabled):
        return Outcome.NOT_ENABLED
    if reply.code.lower() in NOT_ENABLED or needs_licence(reply):
        return Outcome.NOT_ENABLED
    if is_throttle(reply):
        return Outcome.THROTTLED
    if reply.code.lower() in DENIED or reply.status in (401, 403):
        return Outcome.DENIED
    return Outcome.ERROR


def _matches(entry: str, reply: Reply) -> bool:
    """Whether an entry (`Code`, or `Code: text in the message`) stands for this error.

    Azure is not steady in the case of its codes.
    """
    wanted, _, text = entry.partition(": ")
    codes = {code.lower() for code in reply.codes}
    return wanted.lower() in codes and text.lower() in reply.message.lower()


def needs_licence(reply: Reply) -> bool:
    """Whether the tenant lacks a licence for what was asked."""
    refused = reply.status in (400, 401, 403)
    return refused and any(_LICENCE.search(text) for text in (*reply.codes, reply.message))


def detail_of(reply: Reply, outcome: Outcome, needs: str) -> str:
    """Return code and message on one line, and what is missing: a permission, or a licence."""
    line = shortened(" ".join(f"{reply.code}: {reply.message}".strip(": ").split()))
    if outcome is Outcome.DENIED and needs:
        return f"{line} (needs {needs})"
    if outcome is Outcome.NOT_ENABLED and needs_licence(reply):
        return f"{line} (needs {LICENCE_NEEDED})"
    return line
