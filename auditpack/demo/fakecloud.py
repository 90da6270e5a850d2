"""The program that `server.MotoServer` runs: moto's server, made fit for a demo in two ways.

**A clock that a request may set.** moto stamps what it makes with the present, and has no
interface to say otherwise, so an access key that is 400 days old could not exist. A request that
carries the header `X-Auditpack-Demo-Age` is answered as it would have been that many seconds ago,
and so are the dates that moto writes down. Only the seeder sends the header; nothing is changed in
moto's memory behind its interface, and whoever reads later sees a cloud with a past. The clock
covers `moto.core.utils.utcnow` and `time.time`; what moto dates by other means (buckets, GuardDuty
detectors, Security Hub) stays dated today.

**Plain refusals.** moto answers what it does not have with an HTML page, status 500 or 404. SDKs
take the first for a passing trouble and ask ten times over, for eight seconds. Here it becomes what
it is: status 501, code `NotImplemented`, in the form that the caller's protocol wants.

It runs as a script, in a process of its own: it listens on a free loopback port, prints
`READY_LINE` and the port, and ends when its standard input is closed, so it never outlives the
process that started it.
"""

from __future__ import annotations

import datetime
import json
import logging
import os
import re
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from typing import Any

AGE_HEADER = "X-Auditpack-Demo-Age"
"""How many seconds ago a request is to be answered."""

READY_LINE = "auditpack-demo-ready"
"""First word of the line that names the port, when the server listens."""

REFUSAL_CODE = "NotImplemented"
REFUSAL = "moto, the demo's stand-in for AWS, does not have this operation"

XML_SERVICES = ("s3", "route53", "cloudfront")
"""Services that speak XML without a form in the request."""

CREDENTIAL_SERVICE = re.compile(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/aws4_request")

Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Clock(threading.local):
    """How many seconds the request of this thread lies in the past."""

    age = 0.0


def install_clock() -> Clock:
    """Make moto read the time from a clock that can be set back, a thread at a time.

    moto's modules copy `utcnow` when they are imported, and they are imported at the first request
    to their service: this has to be done before.
    """
    import moto.core.utils as core_utils

    clock = Clock()
    real_utcnow, real_time = core_utils.utcnow, time.time

    def utcnow() -> datetime.datetime:
        return real_utcnow() - datetime.timedelta(seconds=clock.age)

    def unix_now() -> float:
        return real_time() - clock.age

    setattr(core_utils, "utcnow", utcnow)  # noqa: B010 (mypy refuses the plain assignment)
    setattr(time, "time", unix_now)  # noqa: B010
    return clock


def clocked(app: Wsgi, clock: Clock) -> Wsgi:
    """The same application, answering each request at the age that it asks for."""
    key = "HTTP_" + AGE_HEADER.upper().replace("-", "_")

    def call(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        clock.age = float(environ.get(key) or 0)
        try:
            return app(environ, start_response)
        finally:
            clock.age = 0.0

    return call


def plainly_refusing(app: Wsgi) -> Wsgi:
    """The same application, with a proper error where moto fails or answers a page for people."""

    def call(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        answer: list[Any] = []
        try:
            body = b"".join(app(environ, lambda *args: answer.extend(args)))
        except Exception:  # noqa: BLE001 (what moto lacks ends in one of a dozen exceptions)
            traceback.print_exc()
            return refuse(environ, start_response)
        status = answer[0][:3]
        if status in ("404", "500") and body.lower().startswith(b"<!doctype html"):
            return refuse(environ, start_response)
        start_response(*answer)
        return [body]

    return call


def refuse(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer that there is no such operation, in XML or JSON as the service speaks."""
    found = CREDENTIAL_SERVICE.search(environ.get("HTTP_AUTHORIZATION", ""))
    service = found.group(1) if found else ""
    form = str(environ.get("CONTENT_TYPE", "")).startswith("application/x-www-form-urlencoded")
    error = f"<Error><Code>{REFUSAL_CODE}</Code><Message>{REFUSAL}</Message></Error>"
    headers = [("Content-Type", "text/xml")]
    if service in XML_SERVICES:
        body = error
    elif service == "ec2":
        body = f"<Response><Errors>{error}</Errors><RequestID>demo</RequestID></Response>"
    elif form:
        body = f"<ErrorResponse>{error}<RequestId>demo</RequestId></ErrorResponse>"
    else:
        headers = [("Content-Type", "application/json"), ("x-amzn-errortype", REFUSAL_CODE)]
        body = json.dumps({"__type": REFUSAL_CODE, "message": REFUSAL})
    start_response("501 Not Implemented", headers)
    return [body.encode()]


def end_with_parent() -> None:
    """End this process as soon as whoever started it closes our standard input, or dies."""
    sys.stdin.buffer.read()
    os._exit(0)


def main() -> None:
    """Serve until standard input is closed."""
    clock = install_clock()

    import moto.moto_server.werkzeug_app as moto_app
    from moto.core.config import default_user_config
    from werkzeug.serving import make_server

    # moto would otherwise start containers to rotate a secret through its function.
    default_user_config["lambda"] = {"use_docker": False}
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto_itself = moto_app.DomainDispatcherApplication(moto_app.create_backend_app)
    app = clocked(plainly_refusing(moto_itself), clock)
    handler = getattr(moto_app, "MotoRequestHandler", None)  # not in every release
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=handler)
    os.environ["MOTO_PORT"] = str(server.port)
    threading.Thread(target=end_with_parent, daemon=True).start()
    print(READY_LINE, server.port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
