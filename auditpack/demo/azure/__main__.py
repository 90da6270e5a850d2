"""Serve the demo's Azure until standard input is closed or the process is stopped.

The first line that it prints is JSON: url, ca_file, tenant_id, subscriptions and client_id.
`--multiply ID N` adds copies of a resource, for measuring; `--delay SECONDS` slows every answer.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading

from auditpack.demo.azure.server import FakeAzure


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(prog="python -m auditpack.demo.azure", description=__doc__)
    parser.add_argument("--multiply", nargs=2, metavar=("ID", "N"), action="append", default=[])
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument(
        "--with-parent", action="store_true", help="end when standard input is closed"
    )
    options = parser.parse_args()
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    with FakeAzure() as fake:
        for resource_id, times in options.multiply:
            fake.multiply(resource_id, int(times))
        fake.delay(options.delay)
        about = {
            "url": fake.url,
            "ca_file": str(fake.ca_file),
            "tenant_id": fake.tenant_id,
            "subscriptions": list(fake.subscriptions),
            "client_id": fake.client_id,
        }
        print(json.dumps(about), flush=True)
        if options.with_parent:
            threading.Thread(target=_end_with_input, args=(stopped,), daemon=True).start()
        try:
            stopped.wait()
        except KeyboardInterrupt:
            return


def _end_with_input(stopped: threading.Event) -> None:
    sys.stdin.buffer.read()
    stopped.set()


if __name__ == "__main__":
    main()
