"""The certificates that TLS is checked against: the usual ones, and one more file where given."""

from __future__ import annotations

import atexit
import functools
import os
import tempfile
from pathlib import Path

import certifi

from evidence.errors import UsageError


@functools.cache
def bundle_with(ca_file: str) -> str | bool:
    """Return the file to verify TLS with; True means the usual one.

    The SDK takes one file, so a temporary one holds both. Raises UsageError where it is not there.
    """
    if not ca_file:
        return True
    usual = Path(os.environ.get("REQUESTS_CA_BUNDLE") or certifi.where())
    try:
        more = Path(ca_file).read_bytes()
        both = usual.read_bytes() + b"\n" + more
    except OSError as error:
        raise UsageError(
            f"the certificates cannot be read: {error.strerror or error}",
            where=f"azure.ca_file: {ca_file}",
            mend="Name a PEM file with the certificates of your authority or proxy.",
        ) from error
    with tempfile.NamedTemporaryFile("wb", suffix=".pem", delete=False) as file:
        file.write(both)
    atexit.register(Path(file.name).unlink, missing_ok=True)
    return file.name
