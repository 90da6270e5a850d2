"""The certificates that TLS is checked against: the usual ones, and one more file where given."""

from __future__ import annotations

import atexit
import functools
import os
import tempfile
from pathlib import Path

from evidence.errors import UsageError


@functools.cache
def bundle_with(ca_file: str) -> str | bool:
    """Return the file to verify TLS with; True means the usual one. Raises UsageError."""
    roots = root_certificates(ca_file)
    if roots is None:
        return True
    with tempfile.NamedTemporaryFile("wb", suffix=".pem", delete=False) as file:
        file.write(roots)
    atexit.register(Path(file.name).unlink, missing_ok=True)
    return file.name


def root_certificates(ca_file: str) -> bytes | None:
    """Return the certificates to trust, as gRPC takes them; None means the usual ones.

    Raises UsageError where the file is not there.
    """
    if not ca_file:
        return None
    import certifi

    usual = Path(os.environ.get("REQUESTS_CA_BUNDLE") or certifi.where())
    try:
        return usual.read_bytes() + b"\n" + Path(ca_file).read_bytes()
    except OSError as error:
        raise UsageError(
            f"the certificates cannot be read: {error.strerror or error}",
            where=f"gcp.ca_file: {ca_file}",
            mend="Name a PEM file with the certificates of your authority or proxy.",
        ) from error
