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
        "authentication_msgraphpermissionmissing",
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
NOT_REGISTERED = frozenset(
    {
        "invalidresourcenamespace",
        "missingsubscriptionregistration",
        "resourceprovidernotregistered",
        "subscription not registered",
        "subscriptionnotregistered",
    }
)
"""The subscription does not have what a resource provider gives. We never register one."""

NOT_ENABLED = NOT_REGISTERED | {
    "aadpremiumlicenserequired",
    "authentication_requestfromnonpremiumtenantorb2ctenant",
    "readonlydisabledsubscription",
}
THROTTLED = frozenset({"ratelimiting", "subscriptionrequeststhrottled", "toomanyrequests"})

_ABOUT_ROLES = frozenset({"authorizationfailed", "linkedauthorizationfailed"})
"""Refusals that quote a scope, whose names may be any words: a licence is not what is missing."""

_NAMESPACE = re.compile(r"(?i)\bnamespace '([\w.]+)'")
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
    refused = reply.status in (400, 401, 403) and reply.code.lower() not in _ABOUT_ROLES
    return refused and any(_LICENCE.search(text) for text in (*reply.codes, reply.message))


def detail_of(reply: Reply, outcome: Outcome, needs: str) -> str:
    """Return code and message on one line, and what is missing.

    That is a permission, a licence, or a resource provider that is not registered.
    """
    line = shortened(" ".join(f"{reply.code}: {reply.message}".strip(": ").split()))
    if outcome is Outcome.DENIED and needs:
        return f"{line} (needs {needs})"
    if outcome is Outcome.NOT_ENABLED and needs_licence(reply):
        return f"{line} (needs {LICENCE_NEEDED})"
    if reply.code.lower() in NOT_REGISTERED:
        named = _NAMESPACE.search(reply.message)
        provider = named.group(1) if named else needs.partition("/")[0]
        return f"{line} (needs the resource provider {provider}, which is not registered)"
    return line
