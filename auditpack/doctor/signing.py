"""Can the signing key sign, for how long is its certificate valid, does the TSA answer?"""

from __future__ import annotations

import datetime
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from auditpack.config import SigningConfig
from auditpack.doctor.finding import Finding, failed, ok, problem, warning
from auditpack.signing import timestamp_authority
from evidence.errors import AuditpackError
from evidence.key_uri import FileKey
from evidence.keys import SigningKey

SOON = 60
"""Days: a new certificate from an organisation's authority takes weeks."""

_TEST = b"auditpack doctor"


def check_key(
    signing: SigningConfig,
    load: Callable[[], SigningKey],
    now: datetime.datetime,
    *,
    configured: bool,
) -> Iterator[Finding]:
    """Check that the key opens and signs, and when its certificate ends.

    Without a configuration (`configured`), a run makes a key where there is none; `load` is called
    only for a key that is there, so that the doctor makes none.
    """
    file = signing.key.path if isinstance(signing.key, FileKey) else None
    if file is not None and not file.exists():
        if configured:
            mend = "Run `auditpack init`, or correct signing: in auditpack.yaml."
            yield problem("signing key", f"there is none in {file}", mend)
        else:
            what = f"there is none yet: the first run makes one in {file}"
            yield warning("signing key", what, "Run `auditpack init` for your organisation's own.")
        return
    try:
        key = load()
        key.certificate.check(_TEST, key.sign(_TEST))
    except AuditpackError as error:
        yield failed("signing key", error)
        return
    yield ok("signing key", f"{signing.key} ({signing.key.kind}) opens and signs")
    if file is not None:
        yield from _permissions(file)
    yield _validity(key, now)


def check_timestamps(signing: SigningConfig) -> Iterator[Finding]:
    """Ask the timestamp authority for a timestamp; one that is away never stops a run."""
    subject = "timestamps"
    if not signing.tsa_url:
        yield warning(
            subject,
            "no timestamp authority is set: when evidence was made is this machine's word",
            "Set signing.tsa_url in auditpack.yaml to an RFC 3161 authority.",
        )
        return
    try:
        authority = timestamp_authority(signing)
    except AuditpackError as error:
        yield failed(subject, error)
        return
    try:
        if authority is not None:
            authority.stamp(_TEST)
    except AuditpackError as error:
        yield failed(subject, error, "warning")
        return
    if signing.tsa_certificates is None:
        yield warning(
            subject,
            f"{signing.tsa_url} answers, and any certificate chain of it is taken",
            "Set signing.tsa_certificates to the authority's root certificates.",
        )
    else:
        yield ok(subject, f"{signing.tsa_url} answers, under the certificates that are set")


def _permissions(file: Path) -> Iterator[Finding]:
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & 0o077:
        yield warning(
            "signing key",
            f"others on this machine may use {file} (mode {mode:04o})",
            f"chmod 600 {file}",
        )


def _validity(key: SigningKey, now: datetime.datetime) -> Finding:
    found = key.certificate.x509
    begins, ends = found.not_valid_before_utc, found.not_valid_after_utc
    subject, text = "certificate", f"{key.certificate.subject}, valid until {ends:%Y-%m-%d}"
    mend = "Get a new certificate for the key, or a new key."
    if begins > now:
        return problem(subject, f"{text}, but only from {begins:%Y-%m-%d}", mend)
    days = (ends - now).days
    if days < 0:
        return problem(subject, f"{key.certificate.subject} expired on {ends:%Y-%m-%d}", mend)
    if days < SOON:
        return warning(subject, f"{text}: {days} days are left", mend)
    return ok(subject, f"{text} ({days} days)")
