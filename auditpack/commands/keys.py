"""`auditpack keys`: the key that evidence is signed with, and its certificate."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auditpack.options import Context, common_options

if TYPE_CHECKING:
    from evidence.keys import Certificate


@click.group()
def keys() -> None:
    """Show the signing key, and make or request its certificate."""


@keys.command()
@common_options
def show(context: Context) -> None:
    """Print where the signing key is, and its certificate's subject, validity and fingerprint.

    The fingerprint is what an auditor pins. The key itself is not opened, unless its certificate
    is in the same PKCS#12 file.
    """
    _print_certificate(context, _certificate(context))


@keys.command()
@common_options
def certificate(context: Context) -> None:
    """Make a self-signed certificate for the configured key, and write it where signing: says.

    For keys on a token or in a cloud's key service: the certificate is signed by the key itself
    and valid for five years. Of a PKCS#12 file, the certificate in it is written. Nothing that
    exists is overwritten.
    """
    from auditpack.signing import ask_secret
    from evidence.files import write_atomically
    from evidence.key_sources import certificate_for
    from evidence.keys import refuse_to_overwrite

    config, file = context.config, context.config.signing.certificate
    refuse_to_overwrite(file)
    now = datetime.datetime.now(datetime.UTC)
    made = certificate_for(config.signing.key, config.organisation, ask_secret, now)
    write_atomically(file, made.pem)
    _print_certificate(context, made)
    context.output.remark("Give the fingerprint to your auditor by another way than the evidence.")


@keys.command()
@common_options
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write [default: that of the certificate, with the ending .csr].",
)
def csr(context: Context, output: Path | None) -> None:
    """Write a certificate request (PKCS#10) for the configured key, signed by that key.

    Hand it to your organisation's certificate authority, and put the certificate that comes back
    (PEM) where signing: says. Nothing that exists is overwritten.
    """
    from auditpack.signing import ask_secret
    from evidence.certificates import signing_request
    from evidence.files import write_atomically
    from evidence.key_sources import open_signer
    from evidence.keys import refuse_to_overwrite

    config = context.config
    file = output or config.signing.certificate.with_suffix(".csr")
    refuse_to_overwrite(file)
    signer = open_signer(config.signing.key, ask_secret)
    write_atomically(file, signing_request(config.organisation, signer))
    out = context.output.results()
    out.print(f"Request  {file}", soft_wrap=True)
    out.print(f"Key      {config.signing.key} ({config.signing.key.kind})", soft_wrap=True)
    context.output.json(
        {
            "request": str(file),
            "key": str(config.signing.key),
            "key_is": config.signing.key.kind,
        }
    )


def _certificate(context: Context) -> Certificate:
    from evidence.key_uri import FileKey
    from evidence.keys import load_certificate

    signing = context.config.signing
    inside = isinstance(signing.key, FileKey) and signing.key.is_pkcs12
    if inside and not signing.certificate.exists():
        return context.signing_key().certificate
    return load_certificate(signing.certificate)


def _print_certificate(context: Context, found: Certificate) -> None:
    signing = context.config.signing
    valid = found.x509.not_valid_before_utc, found.x509.not_valid_after_utc
    file = signing.certificate if signing.certificate.exists() else signing.key
    out = context.output.results()
    out.print(f"Key          {signing.key} ({signing.key.kind})", soft_wrap=True)
    out.print(f"Certificate  {file}", soft_wrap=True)
    out.print(f"Subject      {found.subject}", soft_wrap=True)
    out.print(f"Valid        {valid[0]:%Y-%m-%d} to {valid[1]:%Y-%m-%d}")
    out.print(f"Fingerprint  {found.fingerprint}")
    context.output.json(
        {
            "key": str(signing.key),
            "key_is": signing.key.kind,
            "certificate": str(file),
            "subject": found.subject,
            "valid_from": valid[0].isoformat(),
            "valid_until": valid[1].isoformat(),
            "fingerprint": found.fingerprint,
        }
    )
