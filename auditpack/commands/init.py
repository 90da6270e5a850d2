"""`auditpack init`: a configuration and a signing key in this folder."""

from __future__ import annotations

import datetime
from pathlib import Path

import click

from auditpack.config import CONFIG_NAME
from auditpack.console import Output

_TEMPLATE = """\
# auditpack configuration. Flags and AUDITPACK_* variables override it.
organisation: {organisation}
store: store                      # where evidence is kept
# frameworks: [soc2, cis_aws_7.0]   # default: those that say anything of the clouds that were read
owner_tags: [Owner, owner, Team, team]   # which tag says who owns a resource, first that is there
# period: {{from: 2026-10-01, to: 2026-12-31}}   # default: the quarter that the snapshot lies in
aws:
  regions: []                     # empty: every region that is enabled in the account
  accounts:
    - {{}}                          # the account of your AWS_PROFILE or AWS_* variables
    # - id: "111122223333"
    #   name: production
    #   role_arn: arn:aws:iam::111122223333:role/auditpack
# azure:                            # an Entra tenant; `pip install 'auditpack[azure]'`
#   tenants:
#     - id: 00000000-0000-0000-0000-000000000000
#       subscriptions: []           # empty: every subscription that is visible
# gcp:                              # `pip install 'auditpack[gcp]'`
#   scopes: [organizations/123456789012]    # or folders/N, projects/ID
# records:                          # what your own systems export: CSV, JSON or XLSX
#   - {{type: record_incident, file: exports/incidents.csv}}
signing:
  key: keys/signing-key.pem       # keep it secret; auditors need only the certificate
  certificate: keys/signing-certificate.pem
"""


@click.command()
@click.option("--organisation", default="", help="Name of the company, as reports show it.")
@click.option("--no-passphrase", is_flag=True, help="Leave the signing key unencrypted.")
@click.option("--json", "as_json", is_flag=True, help="Write the result as JSON to stdout.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
def init(organisation: str, no_passphrase: bool, as_json: bool, quiet: bool) -> None:
    """Make auditpack.yaml and a signing key with its certificate in this folder.

    The passphrase of the key comes from AUDITPACK_KEY_PASSPHRASE or is asked for. Nothing that
    exists is overwritten.
    """
    import json as json_module

    from auditpack.signing import new_passphrase
    from evidence.errors import UsageError
    from evidence.files import write_atomically
    from evidence.keys import load_or_make_redaction_key, make_signing_key, save_signing_key

    output = Output(as_json, quiet)
    config_file = Path(CONFIG_NAME)
    if config_file.exists():
        raise UsageError(
            "this folder is set up already",
            where=str(config_file.resolve()),
            mend="Edit the file, or run `auditpack init` in another folder.",
        )
    name = organisation or Path.cwd().name
    key_file, certificate_file = Path("keys/signing-key.pem"), Path("keys/signing-certificate.pem")
    key = make_signing_key(name, datetime.datetime.now(datetime.UTC))
    passphrase = new_passphrase(unprotected=no_passphrase)
    save_signing_key(key, key_file, certificate_file, passphrase)
    load_or_make_redaction_key(key_file.parent / "redaction.key")
    text = _TEMPLATE.format(organisation=json_module.dumps(name, ensure_ascii=False))
    write_atomically(config_file, text.encode())
    if not passphrase and not no_passphrase:
        output.warn(
            "the signing key has no passphrase: set AUDITPACK_KEY_PASSPHRASE before `init` to"
            " protect it"
        )
    _report(output, config_file, key_file, certificate_file, key.certificate.fingerprint)


def _report(
    output: Output, config_file: Path, key_file: Path, certificate_file: Path, fingerprint: str
) -> None:
    out = output.results()
    out.print(f"Configuration  {config_file}")
    out.print(f"Signing key    {key_file}  (keep it secret)")
    out.print(f"Certificate    {certificate_file}")
    out.print(f"Fingerprint    {fingerprint}")
    out.print("\nGive the fingerprint to your auditor by another way than the evidence.")
    out.print("Next: auditpack collect, auditpack evaluate, auditpack pack")
    output.json(
        {
            "config": str(config_file),
            "key": str(key_file),
            "certificate": str(certificate_file),
            "fingerprint": fingerprint,
        }
    )
