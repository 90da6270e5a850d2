"""From a capture to what the SDK made of it: botocore's own client, which sends nothing.

A client's `before-send` event may return the answer (botocore.endpoint). So the captured bytes take
the very way through parsers and customisations that they took when they came from the cloud.
"""

from __future__ import annotations

import base64
import functools
import io
import json
from collections.abc import Iterator
from typing import Any

from botocore import UNSIGNED
from botocore.awsrequest import AWSResponse
from botocore.config import Config

from collectors.aws.models import description_session

_NOWHERE = "https://captures.invalid"
_CONFIG = Config(
    signature_version=UNSIGNED,
    parameter_validation=False,
    inject_host_prefix=False,
    ignore_configured_endpoint_urls=True,
    use_fips_endpoint=False,
    use_dualstack_endpoint=False,
    retries={"mode": "standard", "total_max_attempts": 1},
)


class RecordedError(Exception):
    """An error of the SDK that a capture records; each class has the name of the SDK's own."""


@functools.cache
def _recorded_error(name: str) -> type[RecordedError]:
    return type(name, (RecordedError,), {"__doc__": "An error of the SDK, from a capture."})


class AnswerReader:
    """Reads captures as the SDK did. Not safe to share between threads."""

    def __init__(self) -> None:
        self._clients: dict[str, Any] = {}
        self._answer: AWSResponse | None = None

    def read(self, operation: str, params: dict[str, Any], capture: dict[str, Any]) -> Any:
        """Return the answer that `capture` holds; raises the SDK's error where it holds one."""
        if capture["error"]:
            raise _recorded_error(capture["error"])(capture["error_detail"])
        parsed = _parsed_already(capture)
        if parsed is not None:
            return parsed
        body = _body(capture)
        self._answer = AWSResponse(_NOWHERE, capture["status"], capture["headers"], _Raw(body))
        client = self._client(capture["service"])
        return getattr(client, operation)(**params)

    def _client(self, service: str) -> Any:
        if service not in self._clients:
            client = description_session().create_client(
                service,
                region_name="us-east-1",
                endpoint_url=_NOWHERE,
                aws_access_key_id="none",
                aws_secret_access_key="none",  # noqa: S106  (never signs: see `_CONFIG`)
                config=_CONFIG,
            )
            client.meta.events.register("before-call", _not_redirected)
            client.meta.events.register("before-send", self._give)
            self._clients[service] = client
        return self._clients[service]

    def _give(self, **_: Any) -> AWSResponse:
        answer, self._answer = self._answer, None
        if answer is None:
            raise RecordedError("the SDK asked again where it did not when this was captured")
        return answer


class _Raw(io.BytesIO):
    """A body as botocore reads it from urllib3."""

    def stream(self) -> Iterator[bytes]:
        """Yield the whole body."""
        yield self.getvalue()


def _not_redirected(params: Any, **_: Any) -> None:
    """Tell botocore's S3 redirector that it did its work: where to ask is no question here."""
    params["context"]["s3_redirected"] = True


def _parsed_already(capture: dict[str, Any]) -> dict[str, Any] | None:
    """Return the answer that was kept parsed, because a secret was taken out of it."""
    if capture["body_is"] != "redacted" or capture["status"] >= 300:
        return None
    try:
        found = json.loads(capture["body"])
    except ValueError:  # the text of an error that came with a status of success
        return None
    return found if isinstance(found, dict) else None


def _body(capture: dict[str, Any]) -> bytes:
    body: str = capture["body"]
    return base64.b64decode(body) if capture["body_is"].endswith("base64") else body.encode()
