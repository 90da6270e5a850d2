"""RFC 3161 timestamps: asked for over HTTP, checked offline, and checked again by openssl."""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import re
import socket
import subprocess
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from asn1crypto import cms, keys, parser, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID
from pyhanko.sign.timestamps.dummy_client import DummyTimeStamper
from pyhanko_certvalidator.registry import SimpleCertificateStore
from support_store import new_key
from support_tsa import TIMESTAMPING, Issued, LoopbackTsa, Mode, issue, loopback_tsa

from evidence.errors import UsageError, VerificationError
from evidence.timestamps import TimestampAuthority, TimestampError, check_timestamp

DATA = b"a checkpoint\n"
LONG_AGO = datetime.datetime(2015, 6, 1, 12, tzinfo=datetime.UTC)
THEN_VALID = (
    datetime.datetime(2015, 1, 1, tzinfo=datetime.UTC),
    datetime.datetime(2016, 1, 1, tzinfo=datetime.UTC),
)


@pytest.fixture(scope="module")
def running_tsa(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopbackTsa]:
    with loopback_tsa(tmp_path_factory.mktemp("tsa")) as tsa:
        yield tsa


@pytest.fixture
def tsa(running_tsa: LoopbackTsa) -> LoopbackTsa:
    running_tsa.mode, running_tsa.requests = Mode.ANSWERS, 0
    running_tsa.next_modes.clear()
    return running_tsa


@pytest.fixture(scope="module")
def response(running_tsa: LoopbackTsa) -> bytes:
    running_tsa.mode = Mode.ANSWERS
    return TimestampAuthority(running_tsa.url).stamp(DATA)


def no_pause(tsa: LoopbackTsa, **options: Any) -> TimestampAuthority:
    return TimestampAuthority(tsa.url, sleep=lambda _: None, **options)


def openssl(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["openssl", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


# Asking


def test_a_stamp_says_when_and_by_whom(tsa: LoopbackTsa) -> None:
    before = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=1)
    found = check_timestamp(TimestampAuthority(tsa.url).stamp(DATA), DATA)
    assert before <= found.time <= datetime.datetime.now(datetime.UTC)
    assert found.authority == "CN=Timestamps,O=Loopback"
    assert not found.pinned
    assert [named(pem) for pem in found.chain] == ["Timestamps", "Intermediate"]


def test_with_the_root_the_chain_ends_in_it(tsa: LoopbackTsa, response: bytes) -> None:
    found = check_timestamp(response, DATA, roots=[tsa.root])
    assert found.pinned
    assert [named(pem) for pem in found.chain] == ["Timestamps", "Intermediate", "Root"]


def test_an_authority_that_comes_back_is_asked_again(tsa: LoopbackTsa) -> None:
    tsa.next_modes = [Mode.UNAVAILABLE, Mode.HANGS_UP]
    pauses: list[float] = []
    response = TimestampAuthority(tsa.url, sleep=pauses.append).stamp(DATA)
    assert check_timestamp(response, DATA).authority
    assert pauses == [0.5, 1.0]
    assert tsa.requests == 3


@pytest.mark.parametrize(
    ("mode", "cause"),
    [
        (Mode.REFUSES, "refused: rejection: Message digest algorithm is not supported.: bad_alg"),
        (Mode.UNAVAILABLE, "HTTP 503"),
        (Mode.HANGS_UP, "could not be reached: Remote end closed connection"),
        (Mode.FLOODS, "more than 262144 bytes"),
        (Mode.TRICKLES, "took more than"),
        (Mode.OTHER_DATA, "about other data"),
        (Mode.WRONG_NONCE, "wrong nonce"),
        (Mode.REDIRECTS, "HTTP 302 http://127.0.0.1:9/elsewhere"),
        (Mode.WEB_PAGE, "not an RFC 3161 timestamp response"),
    ],
)
def test_an_authority_that_fails_says_how(tsa: LoopbackTsa, mode: Mode, cause: str) -> None:
    tsa.mode = mode
    # Waiting for an answer that trickles in is as long as the timeout: the others do not wait.
    attempts, timeout = (1, 1.0) if mode is Mode.TRICKLES else (2, 10.0)
    with pytest.raises(TimestampError, match=re.escape(cause)) as caught:
        no_pause(tsa, attempts=attempts, timeout=timeout).stamp(DATA)
    assert caught.value.where == tsa.url
    assert caught.value.mend
    assert tsa.requests == attempts


def test_nobody_listens(tsa: LoopbackTsa) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    authority = TimestampAuthority(f"http://127.0.0.1:{port}/", sleep=lambda _: None)
    with pytest.raises(TimestampError, match=r"could not be reached: .*refused"):
        authority.stamp(DATA)


def test_an_authority_with_roots_takes_no_other_chain(tsa: LoopbackTsa) -> None:
    tsa.mode = Mode.OTHER_CA
    believed = no_pause(tsa).stamp(DATA)
    assert not check_timestamp(believed, DATA).pinned
    with pytest.raises(VerificationError, match="chain is not valid"):
        check_timestamp(believed, DATA, roots=[tsa.root])
    with pytest.raises(TimestampError, match="chain is not valid"):
        no_pause(tsa, roots=(tsa.root,)).stamp(DATA)


@pytest.mark.parametrize(
    "url", ["", "tsa.example", "ftp://tsa.example/", "file:///etc/passwd", "https://", "http://["]
)
def test_only_web_addresses(url: str) -> None:
    with pytest.raises(UsageError, match="not the URL of a timestamp authority"):
        TimestampAuthority(url)


def test_a_password_in_the_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(UsageError, match="netrc") as caught:
        TimestampAuthority("https://ann:hunter22@tsa.example/")
    assert "hunter22" not in str(caught.value)


# Checking


def test_other_data_is_refused(response: bytes) -> None:
    with pytest.raises(VerificationError, match="about other data") as caught:
        check_timestamp(response, DATA + b"\n", where="log/00000007")
    assert caught.value.where == "log/00000007"


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_every_byte_that_is_signed_counts(response: bytes) -> None:
    decoded = cms_of(response)
    (signer,) = decoded["signer_infos"]
    certificate = next(
        found.chosen
        for found in decoded["certificates"]
        if found.chosen.serial_number == signer["sid"].chosen["serial_number"].native
    )
    signed = [
        decoded["encap_content_info"].dump(),
        signer["signed_attrs"].dump(),
        signer["signature"].dump(),
        certificate.dump(),
    ]
    places = {place for part in signed for place in span(response, part)}
    assert len(places) > len(response) / 2
    missed = [
        (place, flip)
        for place in sorted(places)
        for flip in (0x01, 0x80)
        if passes(response[:place] + bytes([response[place] ^ flip]) + response[place + 1 :])
    ]
    assert missed == []


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_with_the_root_a_changed_chain_is_refused(tsa: LoopbackTsa, response: bytes) -> None:
    certificates = [found.chosen.dump() for found in cms_of(response)["certificates"]]
    places = {place for part in certificates for place in span(response, part)}
    missed = [
        place
        for place in sorted(places)
        if passes(
            response[:place] + bytes([response[place] ^ 0x04]) + response[place + 1 :], [tsa.root]
        )
    ]
    assert missed == []


def test_no_byte_may_be_missing_or_added(response: bytes) -> None:
    shortened = (response[:length] for length in range(len(response)))
    assert not any(passes(found) for found in shortened)
    added = (response + rest for rest in (b"\0", b"\n", b"\x05\x00", response))
    assert not any(passes(found) for found in added)


@pytest.mark.parametrize(
    "path",
    [(), (1,), (1, 1, 0), (1, 1, 0, 2), (1, 1, 0, -1, 0)],
    ids=["response", "token", "signed data", "content", "signer"],
)
def test_no_layer_may_have_a_part_more(response: bytes, path: tuple[int, ...]) -> None:
    assert grown(response, path, b"") == response
    for rest in (b"\x05\x00", b"\x02\x01\x00", b"\xa5\x02\x05\x00"):
        assert not passes(grown(response, path, rest))


def test_a_token_outlives_the_certificates(tmp_path: Path) -> None:
    root = issue("Root", key=rsa_key(), valid=THEN_VALID)
    signer = issue("Old", root, key=rsa_key(), usage=TIMESTAMPING, valid=THEN_VALID)
    old = stamped(signer, [root[0]], LONG_AGO)
    assert check_timestamp(old, DATA, roots=[root[0]]).time == LONG_AGO
    assert check_timestamp(old, DATA).time == LONG_AGO
    after_expiry = stamped(signer, [root[0]], LONG_AGO.replace(year=2017))
    for roots in ([], [root[0]], [signer[0]]):
        with pytest.raises(VerificationError, match="not valid when it signed"):
            check_timestamp(after_expiry, DATA, roots=roots)
    # openssl judges by today, unless it is told the time that the token names.
    (tmp_path / "old.tsr").write_bytes(old)
    (tmp_path / "data").write_bytes(DATA)
    (tmp_path / "root.pem").write_bytes(root[0].public_bytes(Encoding.PEM))
    command = ["ts", "-verify", "-in", "old.tsr", "-data", "data", "-CAfile", "root.pem"]
    assert "certificate has expired" in openssl(*command, folder=tmp_path).stderr
    at_time = [*command, "-attime", str(int(LONG_AGO.timestamp()))]
    assert "Verification: OK" in openssl(*at_time, folder=tmp_path).stdout


def test_a_root_that_the_token_brings_is_not_trusted() -> None:
    brought, pinned = issue("Root", key=rsa_key()), issue("Root", key=rsa_key())
    found = stamped(issue("TSA", brought, key=rsa_key(), usage=TIMESTAMPING), [brought[0]])
    assert check_timestamp(found, DATA, roots=[brought[0]]).pinned
    with pytest.raises(VerificationError, match="chain is not valid"):
        check_timestamp(found, DATA, roots=[pinned[0]])


def test_a_certificate_that_is_not_for_timestamps_alone_is_refused() -> None:
    root = issue("Root", key=rsa_key())
    mixed = x509.ExtendedKeyUsage(
        [ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.CODE_SIGNING]
    )
    signers = [
        issue("a CA", root, key=rsa_key()),
        issue("not critical", root, key=rsa_key(), usage=TIMESTAMPING, critical=False),
        issue("of two kinds", root, key=rsa_key(), usage=mixed),
    ]
    for signer in signers:
        with pytest.raises(VerificationError, match="not for timestamps alone"):
            check_timestamp(stamped(signer, [root[0]]), DATA, roots=[root[0]])


def test_one_who_may_not_issue_certificates_cannot() -> None:
    root = issue("Root", key=rsa_key())
    other_tsa = issue("TSA", root, key=rsa_key(), usage=TIMESTAMPING)
    forged = issue("Forged", other_tsa, key=rsa_key(), usage=TIMESTAMPING)
    found = stamped(forged, [other_tsa[0], root[0]])
    for roots in ([], [root[0]]):
        with pytest.raises(VerificationError, match="is not a CA"):
            check_timestamp(found, DATA, roots=roots)


def test_a_token_must_name_its_signer() -> None:
    signer = issue("TSA", key=rsa_key(), usage=TIMESTAMPING)
    found = stamped(signer, [])
    assert check_timestamp(found, DATA, roots=[signer[0]]).pinned
    nameless = signed_again(found, signer, without="signing_certificate")
    with pytest.raises(VerificationError, match="does not name its signer"):
        check_timestamp(nameless, DATA, roots=[signer[0]])


# From outside: the commands of VERIFY.md


def test_openssl_verifies_it_against_the_root(
    tsa: LoopbackTsa, response: bytes, tmp_path: Path
) -> None:
    (tmp_path / "resp.tsr").write_bytes(response)
    (tmp_path / "data").write_bytes(DATA)
    command = ["ts", "-verify", "-in", "resp.tsr", "-data", "data", "-CAfile"]
    good = openssl(*command, str(tsa.root_certificate), folder=tmp_path)
    assert (good.returncode, good.stdout.strip()) == (0, "Verification: OK")
    assert openssl(*command, str(tsa.other_root_certificate), folder=tmp_path).returncode != 0
    (tmp_path / "data").write_bytes(DATA + b"x")
    assert openssl(*command, str(tsa.root_certificate), folder=tmp_path).returncode != 0


def test_openssl_verifies_it_with_the_certificates_inside(response: bytes, tmp_path: Path) -> None:
    (tmp_path / "resp.tsr").write_bytes(response)
    (tmp_path / "data").write_bytes(DATA)
    for command in (
        "ts -reply -in resp.tsr -token_out -out token.p7",
        "pkcs7 -inform DER -in token.p7 -print_certs -out certificates.pem",
    ):
        assert openssl(*command.split(), folder=tmp_path).returncode == 0
    listed = (tmp_path / "certificates.pem").read_text()
    assert "CN = Timestamps" in listed
    assert "CN = Intermediate" in listed
    verify = "ts -verify -in resp.tsr -data data -CAfile certificates.pem -partial_chain"
    assert "Verification: OK" in openssl(*verify.split(), folder=tmp_path).stdout
    text = openssl("ts", "-reply", "-in", "resp.tsr", "-text", folder=tmp_path).stdout
    assert "Status: Granted." in text
    assert "Time stamp: " in text


# In a signed PDF


def test_a_pdf_is_signed_with_a_timestamp(tsa: LoopbackTsa, tmp_path: Path) -> None:
    from pyhanko.pdf_utils.reader import PdfFileReader

    signature = PdfFileReader(BytesIO(signed_pdf(no_pause(tsa)))).embedded_signatures[0]
    (attribute,) = [
        found
        for found in signature.signer_info["unsigned_attrs"]
        if found["type"].native == "signature_time_stamp_token"
    ]
    (tmp_path / "token.p7").write_bytes(attribute["values"][0].dump())
    (tmp_path / "signature").write_bytes(signature.signer_info["signature"].native)
    command = ["ts", "-verify", "-token_in", "-in", "token.p7", "-data", "signature", "-CAfile"]
    seen = openssl(*command, str(tsa.root_certificate), folder=tmp_path)
    assert "Verification: OK" in seen.stdout


def test_pyhanko_trusts_the_timestamp_in_the_pdf(tsa: LoopbackTsa) -> None:
    from pyhanko.pdf_utils.reader import PdfFileReader
    from pyhanko.sign.validation import validate_pdf_signature
    from pyhanko_certvalidator import ValidationContext

    key = new_key()
    context = ValidationContext(
        trust_roots=[asn1_x509.Certificate.load(key.certificate.x509.public_bytes(Encoding.DER))],
        moment=datetime.datetime(2026, 3, 2, tzinfo=datetime.UTC),
    )
    timestamps = ValidationContext(
        trust_roots=[asn1_x509.Certificate.load(tsa.root.public_bytes(Encoding.DER))]
    )
    signature = PdfFileReader(BytesIO(signed_pdf(no_pause(tsa), key))).embedded_signatures[0]
    status = validate_pdf_signature(signature, context, timestamps)
    assert status.bottom_line
    assert status.timestamp_validity.trusted
    assert status.timestamp_validity.intact
    assert status.timestamp_validity.signing_cert.subject.native["common_name"] == "Timestamps"


def test_an_absent_authority_comes_through_and_the_pdf_can_be_signed_without(
    tsa: LoopbackTsa,
) -> None:
    tsa.mode = Mode.UNAVAILABLE
    with pytest.raises(TimestampError, match="HTTP 503"):
        signed_pdf(no_pause(tsa, attempts=1))
    assert b"/ByteRange" in signed_pdf(None)


# Parts of the tests


def named(pem: str) -> Any:
    subject = x509.load_pem_x509_certificate(pem.encode()).subject
    return subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value


def cms_of(response: bytes) -> cms.SignedData:
    return tsp.TimeStampResp.load(response)["time_stamp_token"]["content"]


def span(whole: bytes, part: bytes) -> range:
    assert whole.count(part) == 1
    return range(whole.index(part), whole.index(part) + len(part))


def grown(der: bytes, path: tuple[int, ...], rest: bytes) -> bytes:
    """The same with `rest` at the end of what `path` leads to, and with every length right."""
    kind, method, tag, _, contents, _ = parser.parse(der, strict=True)
    if not path:
        return parser.emit(kind, method, tag, contents + rest)
    children = []
    while contents:
        length = parser.peek(contents)
        children.append(contents[:length])
        contents = contents[length:]
    children[path[0]] = grown(children[path[0]], path[1:], rest)
    return parser.emit(kind, method, tag, b"".join(children))


def passes(response: bytes, roots: Iterable[x509.Certificate] = ()) -> bool:
    """Whether a response is taken. Anything but VerificationError fails the test."""
    try:
        check_timestamp(response, DATA, roots=list(roots))
    except VerificationError:
        return False
    return True


def rsa_key() -> rsa.RSAPrivateKey:
    """A key for `stamped`, which signs with RSA only."""
    return rsa.generate_private_key(65537, 2048)


def stamped(
    signer: Issued, embedded: Iterable[x509.Certificate], at: datetime.datetime | None = None
) -> bytes:
    """A response made by pyHanko's own authority, which can sign at any time."""
    certificate, key = signer
    store = SimpleCertificateStore()
    store.register_multiple([asn1(found) for found in embedded])
    private = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    authority = DummyTimeStamper(
        asn1(certificate),
        keys.PrivateKeyInfo.load(private),
        certs_to_embed=store,
        fixed_dt=at or datetime.datetime.now(datetime.UTC),
    )
    _, request = authority.request_cms(hashlib.sha256(DATA).digest(), "sha256")
    answer: bytes = asyncio.run(authority.async_request_tsa_response(request)).dump()
    return answer


def signed_again(response: bytes, signer: Issued, *, without: str) -> bytes:
    """The response, signed again by its signer with one signed attribute fewer."""
    decoded = tsp.TimeStampResp.load(response)
    (info,) = decoded["time_stamp_token"]["content"]["signer_infos"]
    kept = [found for found in info["signed_attrs"] if found["type"].native != without]
    attributes = cms.CMSAttributes(kept)
    key = signer[1]
    assert isinstance(key, rsa.RSAPrivateKey)
    info["signature"] = key.sign(attributes.dump(), padding.PKCS1v15(), hashes.SHA256())
    info["signed_attrs"] = attributes
    encoded: bytes = decoded.dump(force=True)
    return encoded


def asn1(certificate: x509.Certificate) -> asn1_x509.Certificate:
    return asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER))


def signed_pdf(authority: TimestampAuthority | None, key: Any = None) -> bytes:
    """A PDF of one empty page, signed as packs are."""
    from pyhanko.pdf_utils import generic
    from pyhanko.pdf_utils.writer import PageObject, PdfFileWriter

    from reports.pack.sign import sign_pdf
    from reports.pack.timestamper import AuthorityTimeStamper

    writer, empty = PdfFileWriter(), generic.StreamObject(stream_data=b"")
    box = generic.ArrayObject(map(generic.NumberObject, (0, 0, 200, 100)))
    writer.insert_page(PageObject(contents=writer.add_object(empty), media_box=box))
    pdf = BytesIO()
    writer.write(pdf)
    return sign_pdf(
        pdf.getvalue(),
        key or new_key(),
        organisation="Example Ltd",
        reason="Evidence",
        signed_at=datetime.datetime(2026, 3, 2, tzinfo=datetime.UTC),
        timestamper=AuthorityTimeStamper(authority) if authority else None,
    )
