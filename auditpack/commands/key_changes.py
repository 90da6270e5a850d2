"""`auditpack keys rotate` and `revoke`: the log says which keys count, and from when on not."""

from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auditpack.options import Context, common_options

if TYPE_CHECKING:
    from evidence.keys import SigningKey
    from evidence.log import LogRecord
    from evidence.store import Store

NEW_PASSPHRASE_VARIABLE = "AUDITPACK_NEW_KEY_PASSPHRASE"
"""Environment variable with the passphrase (or PIN) of the new key, where it is another one."""

_SHORTEST_PREFIX = 8


@click.command()
@click.option(
    "--key", "new_key", help="The new key: a file or a URI, as in signing: [default: made]."
)
@click.option(
    "--certificate",
    "new_certificate",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The new key's certificate (PEM).",
)
@click.option("--add", is_flag=True, help="Keep the present key in use beside the new one.")
@common_options
def rotate(
    context: Context, *, new_key: str | None, new_certificate: Path | None, add: bool
) -> None:
    """Let the signing key hand over to a new one: both sign the new one's entry in the log.

    Who pinned the old certificate can follow from it to the new one. Without --key, a new key file
    is made beside the old one. The configuration is not changed: the lines to change are printed.
    """
    from evidence.errors import UsageError
    from evidence.log import require_active

    if bool(new_key) != bool(new_certificate):
        raise UsageError("--key and --certificate belong together", where="auditpack keys rotate")
    store, sealer = context.store(), context.sealer()
    require_active(store.log.records(), [sealer.key])  # before anything is made
    if new_key and new_certificate:
        key, key_name, certificate = _load(new_key, new_certificate), new_key, new_certificate
    else:
        key, key_file, certificate = _make(context)
        key_name = str(key_file)
    record = sealer.add_key(store, key, replace=not add)
    _show(context, record, key, key_name, certificate, add=add)


def _load(name: str, certificate: Path) -> SigningKey:
    from auditpack.signing import ask_secret
    from evidence.key_sources import load_key
    from evidence.key_uri import parse_key_source

    def secret(kind: str) -> str:
        return os.environ.get(NEW_PASSPHRASE_VARIABLE, "") or ask_secret(kind)

    return load_key(parse_key_source(name), certificate, secret)


def _make(context: Context) -> tuple[SigningKey, Path, Path]:
    """Make a key and a certificate under new names beside those in use."""
    from auditpack.signing import new_passphrase
    from evidence.errors import UsageError
    from evidence.key_uri import FileKey
    from evidence.keys import make_signing_key, save_signing_key

    signing = context.config.signing
    if not isinstance(signing.key, FileKey) or signing.key.is_pkcs12:
        raise UsageError(
            f"the present key is in a {signing.key.kind}: no new one is made for that here",
            where=str(signing.key),
            mend="Make one where that is, and name it with --key and --certificate.",
        )
    number = 2
    while any(_numbered(p, number).exists() for p in (signing.key.path, signing.certificate)):
        number += 1
    files = _numbered(signing.key.path, number), _numbered(signing.certificate, number)
    passphrase = os.environ.get(NEW_PASSPHRASE_VARIABLE, "") or new_passphrase(unprotected=False)
    key = make_signing_key(context.config.organisation, datetime.datetime.now(datetime.UTC))
    save_signing_key(key, *files, passphrase)
    return key, *files


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.stem}-{number}{path.suffix}")


def _show(
    context: Context,
    record: LogRecord,
    key: SigningKey,
    key_name: str,
    certificate: Path,
    *,
    add: bool,
) -> None:
    folder = context.config_file.parent if context.config_file else Path()
    lines = {"key": _relative(key_name, folder), "certificate": _relative(str(certificate), folder)}
    out = context.output.results()
    verb = "is in use as well" if add else "is in use from now on"
    out.print(f"The new key {verb}: entry {record.index} of the log, signed by both")
    out.print(f"Fingerprint  {key.certificate.fingerprint}")
    out.print("In auditpack.yaml, change signing: to" if not add else "To sign with it, write:")
    out.print("signing:")
    for name, value in lines.items():
        out.print(f"  {name}: {value}", soft_wrap=True, markup=False)
    context.output.remark("Tell your auditor the new fingerprint by another way than the evidence.")
    context.output.json(
        {
            "entry": record.index,
            "fingerprint": key.certificate.fingerprint,
            "replaces": record.entry.get("replaces", ""),
            "signing": lines,
        }
    )


def _relative(name: str, folder: Path) -> str:
    """Return a path as the configuration writes it, from its own folder; a URI as it is."""
    path = Path(name)
    if not path.exists():
        return name
    inside = path.resolve().is_relative_to(folder.resolve())
    return str(path.resolve().relative_to(folder.resolve()) if inside else path.resolve())


@click.command()
@click.argument("fingerprint")
@click.option(
    "--from",
    "since",
    required=True,
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"]),
    help="From when on nothing counts that it signed: a day or a time, UTC.",
)
@click.option("--reason", required=True, help="Why, for those who verify later.")
@common_options
def revoke(context: Context, *, fingerprint: str, since: datetime.datetime, reason: str) -> None:
    """Say in the log that what a key signed from a date on does not count.

    FINGERPRINT is the certificate's, or its beginning. What it signed before still counts where a
    timestamp shows that it is older. A key that is the only one in use is rotated first.
    """
    store, sealer = context.store(), context.sealer()
    whole = _resolved(store, fingerprint)
    moment = since.replace(tzinfo=datetime.UTC)
    record = sealer.revoke(store, whole, since=moment, reason=reason)
    said = record.entry["revoked_from"]
    out = context.output.results()
    out.print(f"Revoked from {said} on: {whole}", soft_wrap=True)
    out.print(f"Entry {record.index} of the log; revocations/{whole}.json says why", soft_wrap=True)
    if said != f"{moment:%Y-%m-%dT%H:%M:%SZ}":
        context.output.warn("it was revoked before, with this date; a revocation is not changed")
    context.output.json({"entry": record.index, "fingerprint": whole, "revoked_from": said})


def _resolved(store: Store, given: str) -> str:
    """Return the whole fingerprint that `given` begins. Raises UsageError."""
    from evidence.errors import UsageError
    from evidence.log import known_certificates

    wanted = given.replace(":", "").lower()
    known = list(known_certificates(store.log.records()))
    found = [name for name in known if name.startswith(wanted)]
    if len(found) == 1 and len(wanted) >= _SHORTEST_PREFIX:
        return found[0]
    raise UsageError(
        "the log knows no such key" if not found else "this does not name one key for certain",
        where=given,
        mend=f"It knows: {', '.join(known) or 'none'}.",
    )
