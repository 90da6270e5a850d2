"""RFC 3161 timestamps: somebody else says that evidence existed at a time.

`TimestampAuthority.stamp` asks an authority over HTTP and returns its answer only when it is a
valid timestamp of the very data that was asked about. An authority that is away never blocks
evidence: the caller catches `TimestampError` and records its cause where the timestamp would be.
`check_timestamp` checks a stored answer offline.

A request is built with asn1crypto and sent with requests, which takes proxies and certificates
from the usual variables (HTTPS_PROXY, REQUESTS_CA_BUNDLE) and names and passwords from ~/.netrc.

Sources: RFC 3161 sections 2.4.1 (request) and 3.4 (over HTTP), RFC 5816.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from cryptography import x509

from evidence.errors import AuditpackError, UsageError, VerificationError
from evidence.timestamp_check import (
    Timestamp,
    check_digest_timestamp,
    check_timestamp,
    read_response,
)

__all__ = ["Timestamp", "TimestampAuthority", "TimestampError", "check_timestamp"]

_LONGEST_ANSWER = 256 * 1024
"""Bytes. A token with its chain has 2 to 10 KiB; one with revocation lists seldom exceeds 100."""

_HEADERS = {
    "Content-Type": "application/timestamp-query",
    "Accept": "application/timestamp-reply",
    "Accept-Encoding": "identity",
}


class TimestampError(AuditpackError):
    """The timestamp authority could not be reached, refused, or answered something else."""


@dataclass(frozen=True)
class TimestampAuthority:
    """A timestamp authority (TSA) that answers over HTTP. Raises UsageError for other URLs."""

    url: str
    roots: tuple[x509.Certificate, ...] = ()
    """Where given, an answer whose chain ends elsewhere is not taken."""
    attempts: int = 3
    timeout: float = 5.0
    """Seconds without a sign of life; the body of an answer may take twice as long."""
    pause: float = 0.5
    """Seconds before the second attempt; doubled before each further one."""
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False, compare=False)

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
        except ValueError as error:
            raise _bad_url(self.url, str(error)) from error
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise _bad_url(self.url, "it does not start with https:// or http:// and a host")
        if parts.username is not None:
            raise UsageError(
                "the timestamp authority's URL has a name or password, which evidence would show",
                where=f"{parts.scheme}://{parts.hostname}",
                mend="Put them into ~/.netrc for this host, and leave them out of the URL.",
            )
        if self.attempts < 1:
            raise UsageError("a timestamp needs at least one attempt", where=self.url)

    def stamp(self, data: bytes) -> bytes:
        """Return the authority's DER TimeStampResp over the SHA-256 of `data`.

        It has been checked as `check_timestamp` does, and it answers this very request (nonce).
        Raises TimestampError after the last attempt. Not to be called inside an event loop.
        """
        return self.stamp_digest(hashlib.sha256(data).digest())

    def stamp_digest(self, digest: bytes) -> bytes:
        """Do the same for data of which only the SHA-256 is at hand. Raises TimestampError."""
        for attempt in range(1, self.attempts):
            try:
                return self._stamp_once(digest)
            except TimestampError:
                # Whatever it was, even a refusal may be passing; the last attempt's cause is told.
                self.sleep(self.pause * 2 ** (attempt - 1))
        return self._stamp_once(digest)

    def _stamp_once(self, digest: bytes) -> bytes:
        nonce = secrets.randbits(64)
        response = _post(self.url, _request(digest, nonce), self.timeout)
        try:
            if read_response(response).info["nonce"] != nonce:
                raise VerificationError("it answers another request (wrong nonce)")
            check_digest_timestamp(response, digest, roots=self.roots)
        except VerificationError as error:
            raise _away(self.url, error.what) from error
        return response


def _request(digest: bytes, nonce: int) -> bytes:
    """Return a DER TimeStampReq that asks for the certificates, too."""
    from asn1crypto import tsp

    imprint = {"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": digest}
    request = tsp.TimeStampReq(
        {"version": 1, "message_imprint": imprint, "nonce": nonce, "cert_req": True}
    )
    encoded: bytes = request.dump()
    return encoded


def _post(url: str, body: bytes, timeout: float) -> bytes:
    """Return the body of a 200 answer. Redirects are not followed: they would become a GET."""
    import requests
    from urllib3.exceptions import HTTPError

    deadline = time.monotonic() + 2 * timeout
    found = bytearray()
    try:
        with requests.post(
            url, data=body, headers=_HEADERS, timeout=timeout, allow_redirects=False, stream=True
        ) as answer:
            if answer.status_code != requests.codes.ok:
                aside = answer.headers.get("Location", "")
                raise _away(url, f"it answered HTTP {answer.status_code} {aside}".rstrip())
            # read1 returns what has arrived: a peer that trickles bytes cannot hold us for long.
            while chunk := answer.raw.read1(_LONGEST_ANSWER):
                found += chunk
                if len(found) > _LONGEST_ANSWER:
                    raise _away(url, f"its answer has more than {_LONGEST_ANSWER} bytes")
                if time.monotonic() > deadline:
                    raise _away(url, f"its answer took more than {2 * timeout:g} seconds")
    except (requests.RequestException, HTTPError) as error:
        raise _away(url, f"it could not be reached: {_cause(error)}") from error
    return bytes(found)


def _cause(error: BaseException) -> str:
    """Return the innermost reason: the outer ones repeat it between addresses in memory."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return str(error) or type(error).__name__


def _away(url: str, cause: str) -> TimestampError:
    return TimestampError(
        f"no timestamp: {cause}",
        where=url,
        mend="Check the URL and the network. What was sealed stands, without this timestamp.",
    )


def _bad_url(url: str, cause: str) -> UsageError:
    return UsageError(
        f"not the URL of a timestamp authority: {cause}",
        where=url,
        mend="Give the http or https URL that the authority publishes for RFC 3161.",
    )
