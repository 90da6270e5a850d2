"""The timestamp in a pack's signature, got through the client that stamps the log.

pyHanko asks twice for a signature: once over an empty digest, to learn how many bytes to reserve,
and once over the signature. Both go through `TimestampAuthority`, with its attempts and checks.

Source: pyHanko, `pyhanko.sign.timestamps.TimeStamper`; RFC 3161 appendix A.
"""

from __future__ import annotations

import asyncio

from asn1crypto import cms, tsp
from pyhanko.sign.general import SigningError
from pyhanko.sign.timestamps import TimeStamper

from evidence.timestamps import TimestampAuthority


class AuthorityTimeStamper(TimeStamper):
    """Lets pyHanko embed timestamps of `authority`.

    TimestampError goes through pyHanko as it is. Nothing was written then: the same bytes can be
    signed again without a timestamper.
    """

    def __init__(self, authority: TimestampAuthority) -> None:
        super().__init__()  # type: ignore[no-untyped-call, unused-ignore]
        self._authority = authority

    async def async_timestamp(self, message_digest: bytes, md_algorithm: str) -> cms.ContentInfo:
        """Return the token over a SHA-256 digest. Raises TimestampError, SigningError."""
        if md_algorithm != "sha256":
            raise SigningError(f"timestamps are made of SHA-256 digests, not {md_algorithm}")
        # In a thread: asking blocks, and the check of the answer runs an event loop of its own.
        response = await asyncio.to_thread(self._authority.stamp_digest, message_digest)
        return tsp.TimeStampResp.load(response)["time_stamp_token"]
