"""Base64 and what is inside: text, gzipped text, UTF-16. Only to look; nothing decoded is kept.

EC2 has user data as base64, cloud-init also takes it gzipped, and PowerShell's `-EncodedCommand` is
base64 of UTF-16.
"""

from __future__ import annotations

import binascii
import zlib

LARGEST = 4 * 2**20
"""Bytes that are unpacked of one gzipped text: user data is 16 kB at most, a bomb is not."""

_GZIP, _ZLIB = b"\x1f\x8b", (b"\x78\x01", b"\x78\x9c", b"\x78\xda")
_STANDARD = str.maketrans("-_", "+/", "\r\n\\")
_LOW = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef"
_HIGH_OR_PACKED = frozenset("He/wxyz0123456789")
_CONTROL = frozenset(range(32)) - {9, 10, 13, 27}


def decoded_base64(token: str) -> str | None:
    """Return the text that `token` encodes, in base64 of either alphabet; None if it is no text."""
    if not _may_be_text(token):
        return None
    standard = token.replace("\\n", "").translate(_STANDARD).rstrip("=")
    if len(standard) % 4 == 1:
        standard = standard[:-1]
    try:
        data = binascii.a2b_base64(standard + "=" * (-len(standard) % 4))
    except binascii.Error:
        return None
    return text_of(data)


def _may_be_text(token: str) -> bool:
    """Whether the first bytes are ASCII, packed, or beyond ASCII: two thirds of random words fail.

    The first of every four characters holds the high bits of a byte.
    """
    return token[0] in _HIGH_OR_PACKED or not token[:12:4].strip(_LOW)


def text_of(data: bytes) -> str | None:
    """Return `data` as text, unpacked if it is packed; None if it is no text."""
    if data[:2] == _GZIP or data[:2] in _ZLIB:
        data = _unpacked(data)
    try:
        text = data.decode(_encoding_of(data))
    except UnicodeDecodeError:
        return None
    return None if _CONTROL.intersection(map(ord, text)) else text


def _encoding_of(data: bytes) -> str:
    """UTF-16 shows by its zeros: every second byte of what is mostly ASCII."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    if b"\0" in data and data[1::2].count(0) > len(data) / 4:
        return "utf-16-le"
    return "utf-8"


def _unpacked(data: bytes) -> bytes:
    """Return the beginning of packed data; what is damaged further on does not hide it."""
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)
    unpacked = bytearray()
    try:
        while data and len(unpacked) < LARGEST and not unpacker.eof:
            unpacked += unpacker.decompress(data[:4096], LARGEST - len(unpacked))
            data = unpacker.unconsumed_tail + data[4096:]
    except zlib.error:
        pass  # the text up to the damage is what there is to look at
    return bytes(unpacked)
