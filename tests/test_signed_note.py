"""Signed notes: read back, checked by openssl, real logs' notes read, and changed ones refused."""

from __future__ import annotations

import base64
import datetime
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key
from cryptography.x509.oid import NameOID
from support_notes import GO_NOTE, REAL_NOTES, changed_characters

from evidence.errors import VerificationError
from evidence.keys import Certificate, SigningKey, make_signing_key
from evidence.signed_note import (
    NoteSignature,
    SignedNote,
    check_key_name,
    decode_base64,
    key_id,
    sign_note,
)

NOW = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
NAME = "example.org/audit"
TEXT = "The first line\n\nanother, with an em dash \N{EM DASH} and \N{GREEK SMALL LETTER PI}\n"


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return make_signing_key("Example Ltd", NOW)


@pytest.fixture(scope="module")
def other_key() -> SigningKey:
    return make_signing_key("Example Ltd", NOW)


def certificate_of(public_key: ec.EllipticCurvePublicKey) -> Certificate:
    """Return a certificate that carries somebody else's public key."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a public log")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name)
    builder = builder.public_key(public_key).serial_number(1)
    builder = builder.not_valid_before(NOW).not_valid_after(NOW + datetime.timedelta(days=1))
    return Certificate(builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()))


def is_signed(note: str, certificate: Certificate) -> bool:
    try:
        read = SignedNote.parse(note)
        assert read.render() == note
        return read.signed_by(NAME, certificate)
    except VerificationError:
        return False


def test_a_note_is_read_back_as_it_was_signed(key: SigningKey, other_key: SigningKey) -> None:
    note = sign_note(TEXT, NAME, [key, other_key])
    assert note.render().startswith(f"{TEXT}\n\N{EM DASH} {NAME} ")
    assert SignedNote.parse(note.render()) == note
    assert note.signed_by(NAME, key.certificate)
    assert note.signed_by(NAME, other_key.certificate)


def test_openssl_verifies_a_note(key: SigningKey, tmp_path: Path) -> None:
    note = sign_note(TEXT, NAME, [key]).render()
    (tmp_path / "certificate.pem").write_bytes(key.certificate.pem)
    (tmp_path / "note").write_text(note, encoding="utf-8")
    script = r"""
        set -e
        openssl x509 -in certificate.pem -pubkey -noout > key.pem
        head -n -2 note > text
        tail -n 1 note | cut -d " " -f 3 | base64 -d > line
        tail -c +5 line > signature
        openssl pkey -pubin -in key.pem -outform DER | sha256sum | head -c 8
        head -c 4 line | od -An -tx1 | tr -d " \n"
        openssl dgst -sha256 -verify key.pem -signature signature text
        echo >> text
        ! openssl dgst -sha256 -verify key.pem -signature signature text
    """
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert (tmp_path / "text").read_text(encoding="utf-8") == TEXT + "\n"
    identifier = key_id(key.certificate).hex()
    assert done.stdout == f"{identifier}{identifier}Verified OK\nVerification failure\n"


@pytest.mark.parametrize("name", REAL_NOTES)
def test_notes_of_public_logs_verify_under_their_keys(name: str) -> None:
    key_text, note_text = REAL_NOTES[name]
    public_key = load_der_public_key(base64.b64decode(key_text)[1:])
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    certificate = certificate_of(public_key)
    note = SignedNote.parse(note_text)
    assert note.render() == note_text
    assert note.signed_by(name, certificate)
    changed = SignedNote(note.text.replace("\n", " \n", 1), note.signatures)
    with pytest.raises(VerificationError, match="signature"):
        changed.signed_by(name, certificate)


def test_a_note_with_a_key_of_another_kind_is_read_and_not_trusted(key: SigningKey) -> None:
    note = SignedNote.parse(GO_NOTE)
    assert note.render() == GO_NOTE
    assert [line.key_id.hex() for line in note.signatures] == ["033de0ae"]
    assert not note.signed_by("sum.golang.org", key.certificate)


def test_a_key_signs_under_its_own_name_only(key: SigningKey, other_key: SigningKey) -> None:
    note = sign_note(TEXT, NAME, [key])
    assert not note.signed_by("example.org/other", key.certificate)
    assert not note.signed_by(NAME, other_key.certificate)


def test_a_line_of_an_unknown_key_beside_a_good_one_is_ignored(
    key: SigningKey, other_key: SigningKey
) -> None:
    note = sign_note(TEXT, NAME, [key])
    stranger = NoteSignature("witness.example", b"\1\2\3\4", b"anything")
    for lines in ((stranger, *note.signatures), (*note.signatures, stranger)):
        joined = SignedNote.parse(SignedNote(TEXT, lines).render())
        assert joined.signed_by(NAME, key.certificate)
        assert not joined.signed_by(NAME, other_key.certificate)


def test_a_line_that_claims_a_key_and_does_not_verify_is_an_error(
    key: SigningKey, other_key: SigningKey
) -> None:
    forged = NoteSignature(NAME, key_id(key.certificate), other_key.sign(TEXT.encode()))
    good = sign_note(TEXT, NAME, [key]).signatures[0]
    for lines in ((forged,), (good, forged), (forged, good), (good, good)):
        with pytest.raises(VerificationError, match="signature") as caught:
            SignedNote(TEXT, lines).signed_by(NAME, key.certificate, where="log/00000000")
        assert caught.value.where == "log/00000000"


def test_no_character_of_a_note_can_be_changed(key: SigningKey) -> None:
    note = sign_note(TEXT, NAME, [key]).render()
    assert is_signed(note, key.certificate)
    assert [bad for bad in changed_characters(note) if is_signed(bad, key.certificate)] == []


def line(name: str = NAME, value: bytes = b"1234signature") -> str:
    return f"\N{EM DASH} {name} {base64.b64encode(value).decode()}\n"


@pytest.mark.parametrize(
    ("note", "cause"),
    [
        ("", "no empty line"),
        ("text\n", "no empty line"),
        (f"text\n{line()}", "no empty line"),
        ("text\n\n", "newline"),
        (f"text\n\n{line()[:-1]}", "newline"),
        (f"text\n\n{line()}and more\n", "em dash"),
        (f"text\n\n{line().replace(chr(0x2014), '-')}", "em dash"),
        (f"text\n\n{line()}\n{line()}"[: -len(line())], "newline"),
        (f"text\r\n\n{line()}", "control character"),
        (f"te\txt\n\n{line()}", "control character"),
        (f"te\ud800xt\n\n{line()}", "surrogates"),
        (f"text\n\n{line('')}", "name"),
        (f"text\n\n{line('a+b')}", "name"),
        (f"text\n\n{line('a' + chr(0xA0) + 'b')}", "name"),
        (f"text\n\n{line('a' + chr(0x2028) + 'b')}", "name"),
        (f"text\n\n{line('a b')}", "base64"),
        (f"text\n\n{line(value=b'123')}", "key ID"),
        (f"text\n\n{line(value=b'1234')}", "without a signature"),
        (f"text\n\n\N{EM DASH} {NAME}\n", "key ID"),
        (f"text\n\n\N{EM DASH} {NAME} MTIzNHM\n", "base64"),
        (f"text\n\n\N{EM DASH} {NAME} MTIzNHN=\n", "canonical"),
        (f"text\n\n{line()[:-1]} \n", "base64"),
        (f"text\n\n{line() * 17}", "17 signatures"),
    ],
)
def test_what_the_specification_does_not_allow_is_refused(note: str, cause: str) -> None:
    with pytest.raises(VerificationError, match=cause) as caught:
        SignedNote.parse(note, where="checkpoint.txt")
    assert caught.value.where == "checkpoint.txt"
    assert caught.value.mend


def test_sixteen_signatures_are_read() -> None:
    note = f"text\n\n{line() * 16}"
    assert SignedNote.parse(note).render() == note


def test_a_note_that_nobody_could_read_is_never_signed(key: SigningKey) -> None:
    for text in ("no newline", "", "control\x07\n", "carriage\r\n"):
        with pytest.raises(ValueError, match=r"newline|control"):
            sign_note(text, NAME, [key])
    with pytest.raises(ValueError, match="name"):
        sign_note(TEXT, "Example Ltd", [key])
    with pytest.raises(ValueError, match="signatures"):
        sign_note(TEXT, NAME, [])


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u2003b", "a\nb", "a\0b"])
def test_names_that_no_key_can_have(name: str) -> None:
    with pytest.raises(ValueError, match=r"name|control"):
        check_key_name(name)


@pytest.mark.parametrize("text", ["QQ", "QQ=", "QR==", "Q Q==", "QQ==\n", "QQ==QQ==", "-_-_", "é"])
def test_one_value_has_one_base64(text: str) -> None:
    assert decode_base64("QQ==") == b"A"
    with pytest.raises(ValueError, match="base64"):
        decode_base64(text)
