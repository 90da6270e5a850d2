"""Signed notes: a text that people can read, and signature lines under it (C2SP signed-note).

The text ends in a newline; after an empty line comes one line a signature: an em dash, the key's
name, and in base64 four bytes of key ID followed by the signature over the text's UTF-8 bytes.
The signatures are ECDSA with SHA-256 (the specification's type 0x02), so openssl verifies them.
Specification: https://c2sp.org/signed-note
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from evidence.errors import VerificationError
from evidence.keys import Certificate, SigningKey

KEY_ID_LENGTH = 4
"""Bytes of a key ID: a name for a key, too short to vouch for it."""

MOST_SIGNATURES = 16
"""As many as the specification obliges every reader to accept; a longer note is refused."""

_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_LINE_START = "\N{EM DASH} "
_MEND = "It was changed after signing, or cut when it was copied: take it from its source again."


@dataclass(frozen=True)
class NoteSignature:
    """One signature line: the key's name and ID (4 bytes), and the signature (DER for ECDSA).

    Raises ValueError when the specification does not allow such a line.
    """

    name: str
    key_id: bytes
    signature: bytes

    def __post_init__(self) -> None:
        check_key_name(self.name)
        if len(self.key_id) != KEY_ID_LENGTH:
            raise ValueError(f"a key ID has {KEY_ID_LENGTH} bytes, not {len(self.key_id)}")
        if not self.signature:
            raise ValueError("a signature line without a signature")

    def render(self) -> str:
        """Return the line, with its newline."""
        value = base64.b64encode(self.key_id + self.signature).decode()
        return f"{_LINE_START}{self.name} {value}\n"


@dataclass(frozen=True)
class SignedNote:
    """A text that ends in a newline, and its signatures in the order of their lines.

    What the text says counts only once `signed_by` is true for a key that the reader trusts.
    Raises ValueError when the specification does not allow such a note.
    """

    text: str
    signatures: tuple[NoteSignature, ...]

    def __post_init__(self) -> None:
        _check_characters(self.text)
        if not self.text.endswith("\n"):
            raise ValueError("the text of a note does not end in a newline")
        if not 0 < len(self.signatures) <= MOST_SIGNATURES:
            raise ValueError(
                f"a note has 1 to {MOST_SIGNATURES} signatures, not {len(self.signatures)}"
            )

    def render(self) -> str:
        """Return the whole note."""
        return f"{self.text}\n{''.join(line.render() for line in self.signatures)}"

    @classmethod
    def parse(cls, note: str, *, where: str = "") -> SignedNote:
        """Read a note, which must be exactly what `render` writes. Raises VerificationError."""
        try:
            return _parse_note(note)
        except ValueError as error:
            raise VerificationError(
                f"not a signed note: {error}", where=where, mend=_MEND
            ) from error

    def signed_by(self, name: str, certificate: Certificate, *, where: str = "") -> bool:
        """Say whether the key of `certificate`, under `name`, signed this note.

        Lines of other keys are ignored, as the specification asks. Raises VerificationError when
        the key's line does not verify, or when it has more than one.
        """
        wanted = key_id(certificate)
        lines = [line for line in self.signatures if (line.name, line.key_id) == (name, wanted)]
        if len(lines) > 1:
            raise VerificationError(
                f"the note has {len(lines)} signatures of one key", where=where, mend=_MEND
            )
        for line in lines:
            certificate.check(self.text.encode(), line.signature, where=where)
        return bool(lines)


def signed_by_any(note: SignedNote, name: str, certificates: Iterable[Certificate]) -> bool:
    """Say whether one of `certificates` signed a note; a line that does not verify counts not."""
    for certificate in certificates:
        with contextlib.suppress(VerificationError):
            if note.signed_by(name, certificate):
                return True
    return False


def key_id(certificate: Certificate) -> bytes:
    """Return the 4 bytes that name an ECDSA key in a note: of SHA-256 over its DER SPKI."""
    spki = certificate.x509.public_key().public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(spki).digest()[:KEY_ID_LENGTH]


def sign_note(text: str, name: str, keys: Sequence[SigningKey]) -> SignedNote:
    """Sign `text` with every key, each under `name`.

    Raises ValueError when the text, the name or the number of keys cannot make a note.
    """
    data = text.encode()
    lines = [NoteSignature(name, key_id(key.certificate), key.sign(data)) for key in keys]
    return SignedNote(text, tuple(lines))


def check_key_name(name: str) -> None:
    """Raise ValueError unless `name` can name a key: not empty, no white space, no plus sign."""
    _check_characters(name)
    if not name or "+" in name or any(character.isspace() for character in name):
        raise ValueError(f"a key's name is not empty and has no space or plus sign: {name!r}")


def decode_base64(text: str) -> bytes:
    """Return the bytes of standard base64 (RFC 4648, 4). Raises ValueError.

    Only the one text that encodes them is taken: padding complete and unused bits zero, so that
    no character can be changed without changing the value.
    """
    cause = f"not base64 in its canonical form: {text[:80]!r}"
    try:
        value = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise ValueError(cause) from error
    if base64.b64encode(value).decode() != text:
        raise ValueError(cause)
    return value


def _parse_note(note: str) -> SignedNote:
    """Take a note apart at its last empty line. Raises ValueError."""
    text, separator, lines = note.rpartition("\n\n")
    if not separator:
        raise ValueError("there is no empty line between the text and the signatures")
    if not lines.endswith("\n"):
        raise ValueError("the last signature line does not end in a newline")
    # Before any line is decoded, so that a hostile note of millions of lines costs nothing.
    count = lines.count("\n")
    if count > MOST_SIGNATURES:
        raise ValueError(f"it has {count} signatures and at most {MOST_SIGNATURES} are read")
    return SignedNote(f"{text}\n", tuple(map(_parse_line, lines.split("\n")[:-1])))


def _parse_line(line: str) -> NoteSignature:
    if not line.startswith(_LINE_START):
        raise ValueError(f"a signature line does not begin with an em dash: {line[:80]!r}")
    name, _, encoded = line.removeprefix(_LINE_START).partition(" ")
    value = decode_base64(encoded)
    return NoteSignature(name, value[:KEY_ID_LENGTH], value[KEY_ID_LENGTH:])


def _check_characters(text: str) -> None:
    """Raise ValueError for what is not UTF-8, and for control characters other than newline."""
    text.encode()
    if found := _CONTROL.search(text):
        raise ValueError(f"it has the control character {found[0]!r}")
