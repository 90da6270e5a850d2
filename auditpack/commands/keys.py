"""`auditpack keys`: the certificate that evidence is signed with."""

from __future__ import annotations

import click

from auditpack.options import Context, common_options


@click.group()
def keys() -> None:
    """Show the signing certificate."""


@keys.command()
@common_options
def show(context: Context) -> None:
    """Print the certificate's subject, validity and the fingerprint that an auditor pins."""
    from evidence.keys import load_certificate

    file = context.config.signing.certificate
    certificate = load_certificate(file)
    valid = certificate.x509.not_valid_before_utc, certificate.x509.not_valid_after_utc
    out = context.output.results()
    out.print(f"Certificate  {file}", soft_wrap=True)
    out.print(f"Subject      {certificate.subject}")
    out.print(f"Valid        {valid[0]:%Y-%m-%d} to {valid[1]:%Y-%m-%d}")
    out.print(f"Fingerprint  {certificate.fingerprint}")
    context.output.json(
        {
            "certificate": str(file),
            "subject": certificate.subject,
            "valid_from": valid[0].isoformat(),
            "valid_until": valid[1].isoformat(),
            "fingerprint": certificate.fingerprint,
        }
    )
