"""Signing keys in PKCS#12 files, as certificate authorities hand them out."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from support_keys import no_secret, pkcs12_file
from support_store import new_key

from evidence.errors import KeyFileError
from evidence.key_sources import load_key, open_signer
from evidence.key_uri import FileKey
from evidence.keys import save_signing_key


def test_a_pkcs12_file_brings_its_certificate(tmp_path: Path) -> None:
    file = tmp_path / "company.p12"
    file.write_bytes(pkcs12_file("swordfish"))
    key = load_key(FileKey(file), tmp_path / "none.pem", lambda _: "swordfish")
    assert key.certificate.subject == "CN=Company Ltd audit evidence,O=Company Ltd"
    key.certificate.check(b"x", key.sign(b"x"))


def test_a_certificate_beside_a_pkcs12_file_has_to_fit(tmp_path: Path) -> None:
    (tmp_path / "company.p12").write_bytes(pkcs12_file(""))
    (tmp_path / "c.pem").write_bytes(new_key().certificate.pem)
    with pytest.raises(KeyFileError, match="do not belong together"):
        load_key(FileKey(tmp_path / "company.p12"), tmp_path / "c.pem", no_secret)


@pytest.mark.parametrize(
    ("content", "passphrase", "said"),
    [
        (pkcs12_file("swordfish"), "", "none was given"),
        (pkcs12_file("swordfish"), "wrong", "wrong passphrase"),
        (b"nonsense", "x", "not a PKCS#12 file"),
        (pkcs12_file("", rsa.generate_private_key(65537, 2048)), "", r"RSA \(2048 bits\)"),
    ],
)
def test_a_pkcs12_file_that_cannot_sign_is_explained(
    tmp_path: Path, content: bytes, passphrase: str, said: str
) -> None:
    file = tmp_path / "company.p12"
    file.write_bytes(content)
    with pytest.raises(KeyFileError, match=said) as caught:
        open_signer(FileKey(file), lambda _: passphrase)
    assert caught.value.where == str(file)
    assert ("keys csr" in caught.value.mend) == ("RSA" in said)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_a_pkcs12_file_that_openssl_made_is_read(tmp_path: Path) -> None:
    key = new_key()
    save_signing_key(key, tmp_path / "k.pem", tmp_path / "c.pem", "")
    export = ["openssl", "pkcs12", "-export", "-inkey", tmp_path / "k.pem", "-in"]
    command = [
        *export,
        tmp_path / "c.pem",
        "-out",
        tmp_path / "k.pfx",
        "-passout",
        "pass:swordfish",
    ]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    loaded = load_key(FileKey(tmp_path / "k.pfx"), tmp_path / "none", lambda _: "swordfish")
    assert loaded.certificate == key.certificate
