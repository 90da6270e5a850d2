"""Where a signing key is, as people write it: a path, or the URI of a token or a key service.

keys/signing-key.pem                                     PKCS#8 PEM
keys/company.p12                                         PKCS#12 (.p12, .pfx)
awskms:KEY                                               AWS KMS: key id, ARN or alias/NAME
azurekms://VAULT.vault.azure.net/keys/NAME/VERSION       Azure Key Vault or Managed HSM
gcpkms:projects/P/locations/L/keyRings/R/cryptoKeys/K/cryptoKeyVersions/N     Google Cloud KMS
pkcs11:token=T;object=O;id=%01?module-path=/usr/lib/x.so PKCS#11 (RFC 7512)

The three cloud schemes are those of securesystemslib. Nothing is opened here, and no library of a
cloud is imported.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote, unquote_to_bytes

from evidence.errors import KeyFileError

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.*)", re.DOTALL)
_AWS_ARN = re.compile(r"arn:[a-z-]+:kms:([a-z0-9-]+):\d{12}:(?:key|alias)/\S+")
_AWS_NAME = re.compile(r"alias/\S+|[A-Za-z0-9-]+")
_AZURE = re.compile(r"//([A-Za-z0-9.-]+\.[a-z]+)/keys/([A-Za-z0-9-]+)/([A-Za-z0-9]+)/?")
_GOOGLE = re.compile(
    r"projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+/cryptoKeyVersions/\d+"
)


@dataclass(frozen=True)
class FileKey:
    """A key in a file of this machine."""

    path: Path

    @property
    def is_pkcs12(self) -> bool:
        """Whether the file is PKCS#12 (by its ending), which holds the certificate as well."""
        return self.path.suffix.lower() in (".p12", ".pfx")

    @property
    def kind(self) -> str:
        """What holds the key, in words."""
        return "PKCS#12 file" if self.is_pkcs12 else "PEM file"

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True)
class AwsKey:
    """A key in AWS KMS. `region` is that of its ARN; empty means the environment's."""

    kind: ClassVar[str] = "AWS KMS"
    key_id: str
    region: str = ""

    def __str__(self) -> str:
        return f"awskms:{self.key_id}"


@dataclass(frozen=True)
class AzureKey:
    """One version of a key in an Azure Key Vault (or Managed HSM). `host` is the vault's name."""

    kind: ClassVar[str] = "Azure Key Vault"
    host: str
    name: str
    version: str

    def __str__(self) -> str:
        return f"azurekms://{self.host}/keys/{self.name}/{self.version}"


@dataclass(frozen=True)
class GoogleKey:
    """One version of a key in Google Cloud KMS, by its full resource name."""

    kind: ClassVar[str] = "Google Cloud KMS"
    name: str

    def __str__(self) -> str:
        return f"gcpkms:{self.name}"


@dataclass(frozen=True)
class TokenKey:
    """A key on a PKCS#11 token: `module` is the driver, the rest says which key on which token.

    Empty parts are not looked at. `uri` is what the person wrote.
    """

    kind: ClassVar[str] = "PKCS#11 token"
    uri: str
    module: Path
    token: str = ""
    serial: str = ""
    label: str = ""
    object_id: bytes = b""

    def __str__(self) -> str:
        return self.uri


KeySource = FileKey | AwsKey | AzureKey | GoogleKey | TokenKey
"""Where a signing key is."""


def parse_key_source(text: str) -> KeySource:
    """Read what `signing.key` says. Raises KeyFileError that shows the right form.

    The error never repeats a PIN that stands in the text.
    """
    found = _SCHEME.fullmatch(text)
    if found is None:
        if not text.strip():
            raise _wrong("no signing key is named", "", "a path such as keys/signing-key.pem")
        return FileKey(Path(text))
    scheme, rest = found.group(1).lower(), found.group(2)
    parse = _PARSERS.get(scheme)
    if parse is None:
        raise KeyFileError(
            f"there is no kind of signing key called {scheme!r}",
            where=text,
            mend=f"Use a path or one of {', '.join(f'{name}:' for name in sorted(_PARSERS))};"
            " for a file with a colon in its name write ./ before it.",
        )
    return parse(rest)


def _aws(rest: str) -> AwsKey:
    arn = _AWS_ARN.fullmatch(rest)
    if arn is None and not _AWS_NAME.fullmatch(rest):
        raise _wrong("this names no key of AWS KMS", f"awskms:{rest}", "awskms:KEYID, ARN or alias")
    return AwsKey(rest, arn.group(1) if arn else "")


def _azure(rest: str) -> AzureKey:
    found = _AZURE.fullmatch(rest)
    if found is None:
        raise _wrong(
            "this names no version of a key in an Azure Key Vault",
            f"azurekms:{rest}",
            "azurekms://VAULT.vault.azure.net/keys/NAME/VERSION (each version is another key, so"
            " it has to be named)",
        )
    return AzureKey(*found.groups())


def _google(rest: str) -> GoogleKey:
    if not _GOOGLE.fullmatch(rest):
        raise _wrong(
            "this names no version of a key in Google Cloud KMS",
            f"gcpkms:{rest}",
            "gcpkms:projects/P/locations/L/keyRings/R/cryptoKeys/K/cryptoKeyVersions/N (each"
            " version is another key, so it has to be named)",
        )
    return GoogleKey(rest)


_TOKEN_FORM = "pkcs11:token=LABEL;object=LABEL;id=%01?module-path=/path/to/driver.so"
_TOKEN_PARTS = {"token", "serial", "object", "id", "type"}


def _token(rest: str) -> TokenKey:
    """Read a PKCS#11 URI (RFC 7512, section 2.3): the attributes that choose one private key."""
    path, _, query = rest.partition("?")
    parts = _attributes(path, ";")
    options = _attributes(query, "&")
    shown = f"pkcs11:{path}"
    if {"pin-value", "pin-source"} & {*options, *parts}:
        raise KeyFileError(
            "a PIN has no place in the configuration, which is copied and shared",
            where=shown,
            mend="Take pin-value or pin-source out and set AUDITPACK_HSM_PIN, or type the PIN in a"
            " terminal.",
        )
    unknown = sorted({*parts} - _TOKEN_PARTS) + sorted({*options} - {"module-path"})
    if unknown:
        raise _wrong(f"PKCS#11 URI: {unknown[0]!r} is not used here", shown, _TOKEN_FORM)
    if parts.get("type", b"private") != b"private":
        raise _wrong("PKCS#11 URI: only type=private can sign", shown, _TOKEN_FORM)
    module = Path(options.get("module-path", b"").decode())
    if not module.is_absolute():
        raise _wrong("PKCS#11 URI: an absolute module-path is missing", shown, _TOKEN_FORM)
    if not parts.get("object") and not parts.get("id"):
        raise _wrong("PKCS#11 URI: neither object nor id says which key", shown, _TOKEN_FORM)
    return TokenKey(
        uri=f"pkcs11:{rest}",
        module=module,
        token=parts.get("token", b"").decode(),
        serial=parts.get("serial", b"").decode(),
        label=parts.get("object", b"").decode(),
        object_id=parts.get("id", b""),
    )


def _attributes(text: str, separator: str) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for part in filter(None, text.split(separator)):
        name, equals, value = part.partition("=")
        if not equals or name in found:
            cause = "is there twice" if equals else "has no value"
            raise _wrong(f"PKCS#11 URI: {unquote(name)!r} {cause}", "pkcs11:", _TOKEN_FORM)
        found[name] = unquote_to_bytes(value)
    return found


def _wrong(what: str, where: str, form: str) -> KeyFileError:
    return KeyFileError(what, where=where, mend=f"Write {form}.")


_PARSERS: dict[str, Callable[[str], KeySource]] = {
    "awskms": _aws,
    "azurekms": _azure,
    "gcpkms": _google,
    "pkcs11": _token,
}
