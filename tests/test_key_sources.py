"""Signing keys wherever they are: each kind signs what openssl, DSSE and pdfsig verify."""

from __future__ import annotations

import base64
import datetime
import io
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import support_keys
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from securesystemslib.dsse import Envelope
from support_cli import auditpack
from support_keys import Elsewhere, no_secret
from support_store import new_key

from evidence.certificates import Certificate, self_signed, signing_request
from evidence.errors import KeyFileError
from evidence.key_azure import AzureDevice
from evidence.key_google import GoogleDevice
from evidence.key_remote import KeyServiceError, RemoteSigner
from evidence.key_sources import load_key, open_signer
from evidence.key_uri import AwsKey, parse_key_source
from evidence.keys import SigningKey, save_signing_key

NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
KINDS = ["file", "pkcs12", "aws", "token", "azure", "google"]
SERVICES = ["azure", "google"]

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
needs_pdfsig = pytest.mark.skipif(shutil.which("pdfsig") is None, reason="needs poppler-utils")


def run(*command: str | Path) -> str:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


# ------------------------------------------------------------------------------- the kinds of key


@pytest.fixture(scope="session")
def kms() -> Iterator[tuple[str, Any]]:
    """A moto server whose KMS signs digests, and the gate before it."""
    with support_keys.moto_kms() as served:
        yield served


@pytest.fixture
def aws(kms: tuple[str, Any], monkeypatch: pytest.MonkeyPatch) -> tuple[str, Any]:
    """The SDK points to moto, and no region is set: an ARN is enough."""
    kms[1].reset()
    monkeypatch.setenv("AWS_ENDPOINT_URL", kms[0])
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    return kms


@pytest.fixture(scope="session")
def token(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A SoftHSM token."""
    if not support_keys.have_softhsm():
        pytest.skip("needs softhsm2")
    support_keys.make_token(tmp_path_factory.mktemp("softhsm"))


def opener(service: support_keys.FakeService) -> Callable[[str | None], RemoteSigner]:
    """Return what opens the key of a service of our own, through the real SDK."""
    if isinstance(service, support_keys.FakeGoogleKms):
        from google.auth.credentials import AnonymousCredentials

        google = parse_key_source(support_keys.GOOGLE_KEY)
        return lambda keyid: RemoteSigner(
            GoogleDevice(google, credentials=AnonymousCredentials(), endpoint=service.url), keyid
        )
    azure = parse_key_source(support_keys.AZURE_KEY)
    transport = support_keys.vault_transport(service.url)
    return lambda keyid: RemoteSigner(
        AzureDevice(azure, support_keys.FakeCredential(), transport=transport), keyid
    )


SERVICE_CLASSES = {"azure": support_keys.FakeVault, "google": support_keys.FakeGoogleKms}


@pytest.fixture
def serve() -> Iterator[Callable[..., support_keys.FakeService]]:
    """Start services of our own; they are stopped after the test."""
    with ExitStack() as stack:

        def start(kind: str, **options: Any) -> support_keys.FakeService:
            key = ec.generate_private_key(ec.SECP256R1())
            return stack.enter_context(
                support_keys.served(SERVICE_CLASSES[kind](key=key, **options))
            )

        yield start


@pytest.fixture
def elsewhere(
    request: pytest.FixtureRequest, tmp_path: Path, serve: Callable[..., support_keys.FakeService]
) -> Elsewhere:
    """A key of the kind that the test asks for."""
    if request.param == "file":
        save_signing_key(new_key(), tmp_path / "k.pem", tmp_path / "c.pem", "")
        source = parse_key_source(str(tmp_path / "k.pem"))
        return Elsewhere(lambda keyid: open_signer(source, no_secret, keyid), lambda: [])
    if request.param == "pkcs12":
        (tmp_path / "k.pfx").write_bytes(support_keys.pkcs12_file("swordfish"))
        source = parse_key_source(str(tmp_path / "k.pfx"))
        return Elsewhere(lambda keyid: open_signer(source, lambda _: "swordfish", keyid), list)
    if request.param == "aws":
        url, gate = request.getfixturevalue("aws")
        source = parse_key_source(f"awskms:{support_keys.make_kms_key(url)}")
        gate.reset()
        calls = lambda: [made.operation for made in gate.requests]  # noqa: E731
        return Elsewhere(lambda keyid: open_signer(source, no_secret, keyid), calls)
    if request.param == "token":
        request.getfixturevalue("token")
        source = parse_key_source(support_keys.token_uri("evidence"))
        return Elsewhere(lambda keyid: open_signer(source, lambda _: support_keys.PIN, keyid), list)
    service = serve(request.param)
    return Elsewhere(opener(service), lambda: service.requests)


def with_certificate(key: Elsewhere) -> SigningKey:
    certificate = self_signed("Müller & Söhne", key.open(None), NOW)
    return SigningKey.of(certificate, key.open(certificate.fingerprint), where="test")


# ------------------------------------------------------------------------- what every kind can do


@needs_openssl
@pytest.mark.parametrize("elsewhere", KINDS, indirect=True)
def test_openssl_verifies_what_the_key_signs(elsewhere: Elsewhere, tmp_path: Path) -> None:
    key = with_certificate(elsewhere)
    data = b"evidence" * 1000  # longer than what AWS KMS takes unhashed
    (tmp_path / "data").write_bytes(data)
    (tmp_path / "sig").write_bytes(key.sign(data))
    (tmp_path / "c.pem").write_bytes(key.certificate.pem)
    (tmp_path / "pub").write_text(run("openssl", "x509", "-in", tmp_path / "c.pem", "-pubkey"))
    verify = ["openssl", "dgst", "-sha256", "-verify", tmp_path / "pub", "-signature"]
    assert "Verified OK" in run(*verify, tmp_path / "sig", tmp_path / "data")
    key.certificate.check(data, key.sign(data))


@needs_openssl
@pytest.mark.parametrize("elsewhere", KINDS, indirect=True)
def test_openssl_accepts_the_certificate_and_the_request(
    elsewhere: Elsewhere, tmp_path: Path
) -> None:
    key = with_certificate(elsewhere)
    pem, csr = tmp_path / "c.pem", tmp_path / "c.csr"
    pem.write_bytes(key.certificate.pem)
    assert ": OK" in run("openssl", "verify", "-check_ss_sig", "-CAfile", pem, pem)
    text = run("openssl", "x509", "-in", pem, "-noout", "-text")
    assert "Digital Signature, Non Repudiation" in text
    assert "ecdsa-with-SHA256" in text
    assert key.certificate.subject == "CN=Müller & Söhne audit evidence,O=Müller & Söhne"
    assert key.certificate.valid_at(NOW)
    csr.write_bytes(signing_request("Müller & Söhne", key.signer))
    said = run("openssl", "req", "-in", csr, "-verify", "-noout", "-text")
    assert "self-signature verify OK" in said
    assert "Non Repudiation" in said
    asked = run("openssl", "req", "-in", csr, "-pubkey", "-noout")
    assert asked == run("openssl", "x509", "-in", pem, "-pubkey", "-noout")


@pytest.mark.parametrize("elsewhere", KINDS, indirect=True)
def test_an_envelope_names_the_certificate_and_verifies(elsewhere: Elsewhere) -> None:
    key = with_certificate(elsewhere)
    envelope = Envelope(b"{}", "application/vnd.in-toto+json", {})
    envelope.sign(key.signer)
    assert list(envelope.signatures) == [key.certificate.fingerprint]
    assert envelope.verify([key.certificate.verification_key()], 1)


@needs_pdfsig
@pytest.mark.parametrize("elsewhere", KINDS, indirect=True)
def test_pdfsig_verifies_a_pack(elsewhere: Elsewhere, tmp_path: Path) -> None:
    key = with_certificate(elsewhere)
    (tmp_path / "signed.pdf").write_bytes(signed_pdf(key))
    said = run("pdfsig", tmp_path / "signed.pdf")
    assert "Signature is Valid." in said
    assert "Total document signed" in said
    assert "ETSI.CAdES.detached" in said


def signed_pdf(key: SigningKey, **options: Any) -> bytes:
    import pikepdf

    from reports.pack.sign import sign_pdf

    blank, written = pikepdf.new(), io.BytesIO()
    blank.add_blank_page()
    blank.save(written)
    details = {"organisation": "Example Ltd", "reason": "test", "signed_at": NOW}
    return sign_pdf(written.getvalue(), key, **details, **options)


def rsa_authority() -> tuple[bytes, bytes]:
    """Certificate and key (DER) of a timestamp authority, as pyHanko's own one wants them."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Timestamp Authority")])
    key, certificate = support_keys.rsa_certificate(name, NOW, NOW + datetime.timedelta(days=1))
    der = serialization.Encoding.DER
    own = key.private_bytes(der, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(der), own


def test_a_timestamper_puts_its_token_into_the_signature() -> None:
    from asn1crypto import keys as asn1_keys
    from asn1crypto import x509 as asn1_x509
    from pyhanko.pdf_utils.reader import PdfFileReader
    from pyhanko.sign.timestamps import DummyTimeStamper

    authority, own = rsa_authority()
    stamper = DummyTimeStamper(
        asn1_x509.Certificate.load(authority), asn1_keys.PrivateKeyInfo.load(own), fixed_dt=NOW
    )

    def tokens_in(pdf: bytes) -> list[Any]:
        (signature,) = PdfFileReader(io.BytesIO(pdf)).embedded_signatures
        return [
            token["content"]["encap_content_info"]["content"].parsed
            for attribute in signature.signer_info["unsigned_attrs"] or ()
            if attribute["type"].native == "signature_time_stamp_token"
            for token in attribute["values"]
        ]

    (token,) = tokens_in(signed_pdf(new_key(), timestamper=stamper))
    assert token["gen_time"].native == NOW
    assert tokens_in(signed_pdf(new_key())) == []


# ------------------------------------------------------------------------------ keys of services


def test_aws_is_asked_once_for_the_key_and_gets_digests_only(aws: tuple[str, Any]) -> None:
    url, gate = aws
    source = parse_key_source(f"awskms:{support_keys.make_kms_key(url, region='eu-central-1')}")
    gate.reset()
    signer = open_signer(source, no_secret)
    for text in (b"one", b"two"):
        signer.sign(text)
    assert [made.operation for made in gate.requests] == ["GetPublicKey", "Sign", "Sign"]
    assert {made.region for made in gate.requests} == {"eu-central-1"}
    assert b'"MessageType": "DIGEST"' in gate.requests[-1].body
    assert base64.b64encode(b"two") not in gate.requests[-1].body


@pytest.mark.parametrize("elsewhere", SERVICES, indirect=True)
def test_services_are_asked_once_for_the_key_and_once_a_signature(elsewhere: Elsewhere) -> None:
    signer = elsewhere.open(None)
    opened = len(elsewhere.calls())
    signer.sign(b"one")
    signer.sign(b"two")
    (name,) = {call.partition(" ")[2] for call in elsewhere.calls()[opened:]}
    assert elsewhere.calls()[opened:] == [f"POST {name}"] * 2


@pytest.mark.parametrize("kind", SERVICES)
def test_a_signature_of_another_key_is_an_error_at_once(
    kind: str, serve: Callable[..., support_keys.FakeService]
) -> None:
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    signer = opener(serve(kind, public_key=other))(None)
    with pytest.raises(KeyServiceError, match="not valid under its own public key") as caught:
        signer.sign(b"evidence")
    assert kind[:3].replace("goo", "gcp") in caught.value.where


@pytest.mark.parametrize("kind", SERVICES)
def test_a_service_that_refuses_is_named_with_its_reason(
    kind: str, serve: Callable[..., support_keys.FakeService]
) -> None:
    service = serve(kind)
    signer = opener(service)(None)
    service.failing = True
    with pytest.raises(KeyServiceError, match=r"did not sign: .*(not allowed|denied)") as caught:
        signer.sign(b"evidence")
    assert "role" in caught.value.mend
    with pytest.raises(KeyServiceError, match=r"did not g(et|ive) the"):
        opener(service)(None)


@pytest.mark.parametrize("kind", SERVICES)
@pytest.mark.parametrize("other", ["RSA", "secp384r1"])
def test_a_key_of_another_kind_in_a_service_is_refused(
    kind: str, other: str, serve: Callable[..., support_keys.FakeService]
) -> None:
    key: Any = (
        rsa.generate_private_key(65537, 2048)
        if other == "RSA"
        else ec.generate_private_key(ec.SECP384R1())
    )
    with pytest.raises(KeyFileError, match=f"elliptic-curve key .*{other}"):
        opener(serve(kind, public_key=key.public_key()))(None)


@pytest.mark.parametrize("spec", ["RSA_2048", "ECC_NIST_P384"])
def test_a_key_of_another_kind_in_aws_is_refused(aws: tuple[str, Any], spec: str) -> None:
    arn = support_keys.make_kms_key(aws[0], spec)
    with pytest.raises(KeyFileError, match="elliptic-curve key of") as caught:
        open_signer(AwsKey(arn, "us-east-1"), no_secret)
    assert arn in caught.value.where


def test_aws_that_does_not_know_the_key_or_has_no_region(aws: tuple[str, Any]) -> None:
    with pytest.raises(KeyServiceError, match="NotFoundException") as caught:
        open_signer(AwsKey("alias/nobody", "us-east-1"), no_secret)
    assert caught.value.where == "awskms:alias/nobody"
    with pytest.raises(KeyServiceError, match="region"):
        open_signer(AwsKey("alias/nobody"), no_secret)


def test_an_aws_signature_of_another_key_is_an_error_at_once(
    aws: tuple[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from moto.kms.utils import ECDSAPrivateKey

    signer = open_signer(parse_key_source(f"awskms:{support_keys.make_kms_key(aws[0])}"), no_secret)
    other = ec.generate_private_key(ec.SECP256R1())
    monkeypatch.setattr(
        ECDSAPrivateKey, "sign", lambda _, message, __: other.sign(message, support_keys.DIGEST)
    )
    with pytest.raises(KeyServiceError, match="not valid under its own public key"):
        signer.sign(b"evidence")


# --------------------------------------------------------------------------------- PKCS#11 tokens


def pin(_: str) -> str:
    return support_keys.PIN


@pytest.mark.usefixtures("token")
def test_a_key_that_wants_its_pin_at_each_signature_signs() -> None:
    signer = open_signer(parse_key_source(support_keys.token_uri("piv")), pin)
    assert signer._device._options["pin"] == support_keys.PIN  # SoftHSM kept the attribute
    assert signer.sign(b"one").signature != signer.sign(b"two").signature


@pytest.mark.usefixtures("token")
def test_a_key_is_found_by_its_id() -> None:
    by_id = f"pkcs11:token={support_keys.TOKEN};id=%01?module-path={support_keys.SOFTHSM}"
    by_label = support_keys.token_uri("evidence")
    found = {
        open_signer(parse_key_source(uri), pin).public_key.keyval["public"]
        for uri in (by_id, by_label)
    }
    assert len(found) == 1


@pytest.mark.usefixtures("token")
def test_without_a_public_key_the_certificate_on_the_token_gives_it() -> None:
    source = parse_key_source(support_keys.token_uri("alone"))
    with pytest.raises(KeyFileError, match="neither the public key nor a certificate"):
        open_signer(source, pin)
    # A certificate of another key: its signatures are refused, and the error is an error at once.
    der = new_key().certificate.x509.public_bytes(serialization.Encoding.DER)
    support_keys.put_certificate_on_token(der, b"\x05")
    with pytest.raises(KeyServiceError, match="not valid under its own public key"):
        open_signer(source, pin).sign(b"evidence")


@pytest.mark.usefixtures("token")
@pytest.mark.parametrize(
    ("uri", "error", "said"),
    [
        (support_keys.token_uri("nobody"), KeyServiceError, "holds no such key"),
        (support_keys.token_uri("p384"), KeyFileError, "secp384r1"),
        (support_keys.token_uri("rsa"), KeyFileError, "but RSA"),
        (
            f"pkcs11:token=other;object=x?module-path={support_keys.SOFTHSM}",
            KeyServiceError,
            "no such token",
        ),
        ("pkcs11:object=x?module-path=/nowhere/driver.so", KeyServiceError, "/nowhere/driver.so"),
    ],
)
def test_what_a_token_does_not_have_is_said(uri: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        open_signer(parse_key_source(uri), pin)


@pytest.mark.usefixtures("token")
def test_without_a_pin_nothing_is_tried() -> None:
    with pytest.raises(KeyFileError, match="none was given") as caught:
        open_signer(parse_key_source(support_keys.token_uri("evidence")), lambda _: "")
    assert "AUDITPACK_HSM_PIN" in caught.value.mend


# ------------------------------------------------------------------------------- the command line


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "work"
    made.mkdir()
    return made


def configure(folder: Path, key: str) -> None:
    text = f'organisation: Example Ltd\nsigning: {{key: "{key}", certificate: keys/audit.pem}}\n'
    (folder / "auditpack.yaml").write_text(text)


def check_commands(folder: Path, kind: str, **environment: str) -> Certificate:
    """Make a certificate and a request with the command line; return the certificate."""
    made = auditpack("keys", "certificate", "--json", cwd=folder, **environment)
    assert made.code == 0, made.err
    shown = auditpack("keys", "show", "--json", cwd=folder).json
    assert shown == made.json
    assert (shown["key_is"], shown["subject"]) == (
        kind,
        "CN=Example Ltd audit evidence,O=Example Ltd",
    )
    asked = auditpack("keys", "csr", "--json", cwd=folder, **environment)
    assert asked.code == 0, asked.err
    assert asked.json["request"] == "keys/audit.csr"
    assert (folder / "keys/audit.csr").read_bytes().startswith(b"-----BEGIN CERTIFICATE REQUEST")
    for command in ("certificate", "csr"):
        again = auditpack("keys", command, cwd=folder, **environment)
        assert again.code == 2
        assert "never overwritten" in again.err
    certificate = Certificate.from_pem((folder / "keys/audit.pem").read_bytes())
    assert shown["fingerprint"] == certificate.fingerprint
    return certificate


def test_the_commands_with_a_key_in_aws(folder: Path, aws: tuple[str, Any]) -> None:
    arn = support_keys.make_kms_key(aws[0])
    configure(folder, f"awskms:{arn}")
    certificate = check_commands(folder, "AWS KMS")
    key = load_key(AwsKey(arn, "us-east-1"), folder / "keys/audit.pem", no_secret)
    assert key.certificate == certificate
    another = AwsKey(support_keys.make_kms_key(aws[0]), "us-east-1")
    with pytest.raises(KeyFileError, match="do not belong together"):
        load_key(another, folder / "keys/audit.pem", no_secret)


@pytest.mark.usefixtures("token")
def test_the_commands_with_a_key_on_a_token(folder: Path) -> None:
    configure(folder, support_keys.token_uri("evidence"))
    wrong = auditpack("keys", "csr", cwd=folder, AUDITPACK_HSM_PIN="9999")
    assert wrong.code == 1
    assert "the PIN is wrong" in wrong.err
    check_commands(folder, "PKCS#11 token", AUDITPACK_HSM_PIN=support_keys.PIN)


def test_the_certificate_in_a_pkcs12_file_is_shown_and_written_out(folder: Path) -> None:
    configure(folder, "company.p12")
    (folder / "company.p12").write_bytes(support_keys.pkcs12_file("swordfish"))
    secret = {"AUDITPACK_KEY_PASSPHRASE": "swordfish"}
    inside = auditpack("keys", "show", "--json", cwd=folder, **secret).json
    assert inside["certificate"] == "company.p12"
    written = auditpack("keys", "certificate", "--json", cwd=folder, **secret).json
    assert written["fingerprint"] == inside["fingerprint"]
    assert written["subject"] == "CN=Company Ltd audit evidence,O=Company Ltd"
    assert auditpack("keys", "show", "--json", cwd=folder).json == written


def test_without_a_certificate_the_way_to_one_is_shown(folder: Path) -> None:
    configure(folder, "awskms:alias/audit")
    said = auditpack("keys", "show", cwd=folder)
    assert said.code == 2
    assert "auditpack keys certificate" in said.err
