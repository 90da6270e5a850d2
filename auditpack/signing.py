"""The signing key of a command: loaded with its passphrase, or made on first use."""

from __future__ import annotations

import datetime
import os
import sys
from pathlib import Path

import click

from auditpack.config import Config
from auditpack.console import Output
from evidence.keys import (
    SigningKey,
    load_or_make_redaction_key,
    load_signing_key,
    make_signing_key,
    save_signing_key,
)

PASSPHRASE_VARIABLE = "AUDITPACK_KEY_PASSPHRASE"
"""Environment variable that holds the passphrase of the signing key."""

_ENCRYPTED_MARK = b"ENCRYPTED PRIVATE KEY"


def passphrase_for(key_file: Path) -> str:
    """Return the passphrase of a key: from the environment, or typed where a person is there."""
    given = os.environ.get(PASSPHRASE_VARIABLE, "")
    if given or not key_file.is_file() or _ENCRYPTED_MARK not in key_file.read_bytes():
        return given
    if sys.stdin.isatty():
        return str(click.prompt("Passphrase of the signing key", hide_input=True, err=True))
    return ""


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

    Raises KeyFileError when a configured key is missing or cannot be opened.
    """
    signing = config.signing
    if not configured and not signing.key.exists():
        now = datetime.datetime.now(datetime.UTC)
        key = make_signing_key(config.organisation, now)
        passphrase = new_passphrase(unprotected=True)
        save_signing_key(key, signing.key, signing.certificate, passphrase)
        output.warn(
            f"there was no signing key: a new one is in {signing.key}"
            f" (fingerprint {key.certificate.fingerprint}). Run `auditpack init` to set one up"
            " for your organisation."
        )
        return key
    return load_signing_key(signing.key, signing.certificate, passphrase_for(signing.key))


def redaction_key(config: Config) -> bytes:
    """Return the key of redaction digests, kept beside the signing key."""
    return load_or_make_redaction_key(config.signing.key.parent / "redaction.key")
