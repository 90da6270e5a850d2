r"""Serve the demo's Google Cloud until standard input is closed or the process is stopped.

The first line that it prints is JSON: address (in the clear), tls_address and ca_file,
organization, folders, projects, token_url and files with credentials. `--multiply NAME N` adds
copies of an asset, for measuring; `--delay SECONDS` slows every answer.

To point auditpack at it, in the clear or with TLS and credentials:

    AUDITPACK_GCP_ENDPOINT=http://ADDRESS auditpack collect --provider gcp --gcp-scope ORGANIZATION
    AUDITPACK_GCP_ENDPOINT=TLS_ADDRESS AUDITPACK_GCP_CA_FILE=CA_FILE \
        GOOGLE_APPLICATION_CREDENTIALS=SERVICE_ACCOUNT auditpack collect ...
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from typing import Any

from auditpack.demo.gcp.needs import require_libraries


def main() -> None:
    r"""Serve."""
    parser = argparse.ArgumentParser(
        prog="python -m auditpack.demo.gcp",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--multiply", nargs=2, metavar=("NAME", "N"), action="append", default=[])
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument(
        "--with-parent", action="store_true", help="end when standard input is closed"
    )
    options = parser.parse_args()
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    require_libraries()
    from auditpack.demo.gcp.server import FakeGcp

    with FakeGcp() as fake:
        for name, number in options.multiply:
            fake.multiply(name, int(number))
        fake.delay(options.delay)
        print(json.dumps(_about(fake)), flush=True)
        print(_how_to(fake), file=sys.stderr, flush=True)
        if options.with_parent:
            threading.Thread(target=_end_with_input, args=(stopped,), daemon=True).start()
        try:
            stopped.wait()
        except KeyboardInterrupt:
            return


def _about(fake: Any) -> dict[str, Any]:
    return {
        "address": fake.address,
        "tls_address": fake.tls_address,
        "ca_file": str(fake.ca_file),
        "organization": fake.organization,
        "folders": fake.folders,
        "projects": fake.projects,
        "token_url": fake.token_url,
        "metadata_host": fake.metadata_host,
        "credentials": {
            "service_account": str(fake.service_account_file),
            "external_account": str(fake.external_account_file),
            "impersonating": str(fake.impersonating_file),
        },
    }


def _how_to(fake: Any) -> str:
    return (
        f"AUDITPACK_GCP_ENDPOINT=http://{fake.address} auditpack collect --provider gcp"
        f" --gcp-scope {fake.organization}"
    )


def _end_with_input(stopped: threading.Event) -> None:
    sys.stdin.buffer.read()
    stopped.set()


if __name__ == "__main__":
    main()
