"""How people write where their signing key is, and what the configuration makes of it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import support_keys
from support_keys import no_secret

from auditpack.config import Config, load_config
from evidence.errors import DataError, KeyFileError
from evidence.key_sources import open_signer
from evidence.key_uri import AwsKey, FileKey, TokenKey, parse_key_source

ARN = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("keys/signing-key.pem", "PEM file"),
        ("keys/company.PFX", "PKCS#12 file"),
        ("./my:key.pem", "PEM file"),
        ("awskms:1234abcd-12ab-34cd-56ef-1234567890ab", "AWS KMS"),
        ("awskms:alias/audit", "AWS KMS"),
        (f"awskms:{ARN}", "AWS KMS"),
        (support_keys.AZURE_KEY, "Azure Key Vault"),
        (support_keys.GOOGLE_KEY, "Google Cloud KMS"),
        ("pkcs11:token=a%20b;id=%01%ff?module-path=/usr/lib/d.so", "PKCS#11 token"),
    ],
)
def test_every_kind_is_read_and_shown_as_written(text: str, kind: str) -> None:
    source = parse_key_source(text)
    assert source.kind == kind
    assert str(source) == text.removeprefix("./")


def test_the_parts_of_a_uri_reach_the_right_places() -> None:
    assert parse_key_source(f"awskms:{ARN}") == AwsKey(ARN, "eu-central-1")
    uri = "pkcs11:token=a%20b;serial=0f;object=k;id=%01%ff?module-path=/usr/lib/d.so"
    assert parse_key_source(uri) == TokenKey(
        uri, Path("/usr/lib/d.so"), token="a b", serial="0f", label="k", object_id=b"\x01\xff"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "awskms:",
        "awskms:///alias/x",
        "awskms:arn:aws:s3:::bucket",
        "azurekms://audit.vault.azure.net/keys/evidence",
        "azurekms:audit",
        "azurekms://audit.vault.azure.net@evil.example/keys/evidence/1",
        "gcpkms:projects/p/locations/global/keyRings/r/cryptoKeys/evidence",
        "pkcs11:token=a;object=k",
        "pkcs11:token=a;object=k?module-path=driver.so",
        "pkcs11:token=a?module-path=/d.so",
        "pkcs11:object=k;slot-id=1?module-path=/d.so",
        "pkcs11:object=k;object=l?module-path=/d.so",
        "pkcs11:object=k;type=public?module-path=/d.so",
    ],
)
def test_a_key_that_is_written_wrongly_is_refused_with_the_right_form(text: str) -> None:
    with pytest.raises(KeyFileError) as caught:
        parse_key_source(text)
    assert caught.value.mend.startswith("Write ")


@pytest.mark.parametrize("where", ["?pin-value={}&module-path=/d.so", ";pin-source={}"])
def test_a_pin_in_the_configuration_is_refused_and_not_repeated(tmp_path: Path, where: str) -> None:
    file = tmp_path / "auditpack.yaml"
    file.write_text(f'signing: {{key: "pkcs11:object=k{where.format("271828")}"}}\n')
    with pytest.raises(DataError, match="a PIN has no place") as caught:
        load_config(file)
    assert "AUDITPACK_HSM_PIN" in str(caught.value)
    assert "271828" not in str(caught.value)


def test_an_unknown_kind_names_the_known_ones(tmp_path: Path) -> None:
    file = tmp_path / "auditpack.yaml"
    file.write_text("organisation: X\nsigning:\n  key: hashivault:audit\n")
    with pytest.raises(DataError) as caught:
        load_config(file)
    assert f"{file}:3: signing.key" in caught.value.where
    for scheme in ("awskms:", "azurekms:", "gcpkms:", "pkcs11:"):
        assert scheme in caught.value.what


def test_paths_are_relative_to_the_configuration_and_uris_are_not(tmp_path: Path) -> None:
    local = Config().within(tmp_path).signing
    assert local.key == FileKey(tmp_path / "keys/signing-key.pem")
    assert local.folder == tmp_path / "keys"
    (tmp_path / "auditpack.yaml").write_text(
        "signing: {key: 'awskms:alias/audit', certificate: public/audit.pem}"
    )
    remote = load_config(tmp_path / "auditpack.yaml").signing
    assert remote.key == AwsKey("alias/audit")
    assert remote.folder == tmp_path / "public"


@pytest.mark.parametrize(
    ("uri", "module", "extra"),
    [
        (support_keys.AZURE_KEY, "azure.identity", "azure"),
        (support_keys.GOOGLE_KEY, "google.cloud", "google"),
        ("pkcs11:object=k?module-path=/d.so", "pkcs11", "pkcs11"),
    ],
)
def test_a_missing_library_is_said_with_its_remedy(
    uri: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(KeyFileError, match="not installed") as caught:
        open_signer(parse_key_source(uri), no_secret)
    assert f"auditpack[{extra}]" in caught.value.mend
