"""The signing key of a command: opened with its passphrase or PIN, or made on first use."""

from __future__ import annotations

import datetime
import os
import sys
from pathlib import Path

import click
from cryptography import x509

from auditpack.config import Config, SigningConfig
from auditpack.console import Output
from evidence.errors import KeyFileError
from evidence.key_sources import load_key
from evidence.key_uri import FileKey
from evidence.keys import (
    SigningKey,
    load_or_make_redaction_key,
    make_signing_key,
    save_signing_key,
)
from evidence.timestamps import TimestampAuthority

PASSPHRASE_VARIABLE = "AUDITPACK_KEY_PASSPHRASE"
"""Environment variable that holds the passphrase of the signing key's file."""

PIN_VARIABLE = "AUDITPACK_HSM_PIN"
"""Environment variable that holds the PIN of the PKCS#11 token."""


def ask_secret(name: str) -> str:
    """Return the "passphrase" or "PIN" of the signing key; empty where nobody can give it.

    It comes from the environment, or is typed where a person is there.
    """
    given = os.environ.get(PIN_VARIABLE if name == "PIN" else PASSPHRASE_VARIABLE, "")
    if given or not sys.stdin.isatty():
        return given
    return str(
        click.prompt(f"{name[0].upper()}{name[1:]} of the signing key", hide_input=True, err=True)
    )


def new_passphrase(*, unprotected: bool) -> str:
    """Return the passphrase for a new key; empty where none is wanted or nobody can type one."""
    given = os.environ.get(PASSPHRASE_VARIABLE, "")
    if given or unprotected or not sys.stdin.isatty():
        return given
    return str(
        click.prompt(
            "Passphrase for the new signing key (empty for none)",
            default="",
            hide_input=True,
            confirmation_prompt=True,
            show_default=False,
            err=True,
        )
    )


def load_or_make_key(config: Config, output: Output, *, configured: bool) -> SigningKey:
    """Load the signing key. Without a configuration file, make one in the user's folder.

    Raises KeyFileError when a configured key is missing or cannot be opened, KeyServiceError when
    the token or service that holds it does not answer.
    """
    signing = config.signing
    if not configured and isinstance(signing.key, FileKey) and not signing.key.path.exists():
        now = datetime.datetime.now(datetime.UTC)
        key = make_signing_key(config.organisation, now)
        passphrase = new_passphrase(unprotected=True)
        save_signing_key(key, signing.key.path, signing.certificate, passphrase)
        output.warn(
            f"there was no signing key: a new one is in {signing.key}"
            f" (fingerprint {key.certificate.fingerprint}). Run `auditpack init` to set one up"
            " for your organisation."
        )
        return key
    return load_key(signing.key, signing.certificate, ask_secret)


def redaction_key(config: Config) -> bytes:
    """Return the key of redaction digests, kept beside the signing key or its certificate."""
    return load_or_make_redaction_key(config.signing.folder / "redaction.key")


def timestamp_authority(signing: SigningConfig) -> TimestampAuthority | None:
    """Return the configured timestamp authority; None where there is none. Raises KeyFileError."""
    if not signing.tsa_url:
        return None
    return TimestampAuthority(signing.tsa_url, roots=timestamp_roots(signing.tsa_certificates))


def timestamp_roots(file: Path | None) -> tuple[x509.Certificate, ...]:
    """Read the root certificates of timestamp authorities from a PEM file. Raises KeyFileError."""
    if file is None:
        return ()
    try:
        return tuple(x509.load_pem_x509_certificates(file.read_bytes()))
    except (OSError, ValueError) as error:
        raise KeyFileError(
            f"the certificates of the timestamp authority could not be read: {error}",
            where=str(file),
            mend="Give a PEM file with the authority's root certificates.",
        ) from error
