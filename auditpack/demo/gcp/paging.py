"""Page tokens: opaque, and good only for the request that they came from."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from typing import Any

from auditpack.demo.gcp.statuses import Refused, invalid

SIGNATURE = 12


class Pages:
    """Makes tokens and reads them back."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(16)

    def forget(self) -> None:
        """Make all tokens that were given out invalid."""
        self._key = secrets.token_bytes(16)

    def token(self, bound: str, offset: int, read_time: str = "") -> str:
        """Return the token of the page that begins at an offset, at one moment."""
        said = json.dumps([bound, offset, read_time]).encode()
        return base64.urlsafe_b64encode(self._sign(said) + said).decode()

    def open(self, token: str, bound: str) -> tuple[int, str]:
        """Return where a token's page begins and its moment, or refuse another request's."""
        try:
            raw = base64.b64decode(token, altchars=b"-_", validate=True)
        except ValueError as error:
            raise _refuse() from error
        signature, said = raw[:SIGNATURE], raw[SIGNATURE:]
        if not hmac.compare_digest(signature, self._sign(said)):
            raise _refuse()
        of, offset, read_time = json.loads(said)
        if of != bound:
            raise _refuse()
        return int(offset), str(read_time)

    def _sign(self, said: bytes) -> bytes:
        return hmac.new(self._key, said, hashlib.sha256).digest()[:SIGNATURE]


def bound_to(method: str, request: Any, *free: str) -> str:
    """Return the digest of what a token is bound to: the request without its token, and `free`."""
    copy = type(request)()
    copy.CopyFrom(request)
    for name in ("page_token", *free):
        copy.ClearField(name)
    raw = copy.SerializeToString(deterministic=True)
    return hashlib.sha256(method.encode() + b"\0" + raw).hexdigest()


def _refuse() -> Refused:
    return invalid("The page token is not valid for this request.", "page_token")
