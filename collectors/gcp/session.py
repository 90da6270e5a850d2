"""Sessions: one channel to Cloud Asset Inventory, with one credential, shared by threads.

The client is google-cloud-asset's own. Below it stand a channel that refuses what does not read,
and one that records; the retries are stated here, since the library's own give up at the first
RESOURCE_EXHAUSTED.
"""

from __future__ import annotations

import threading
from typing import Any

import grpc
from google.api_core import exceptions
from google.api_core.retry import Retry
from google.api_core.timeout import ConstantTimeout
from google.cloud import asset_v1
from google.cloud.asset_v1.services.asset_service.transports import AssetServiceGrpcTransport
from google.protobuf import json_format

from collectors.gcp.credentials import check_credentials, find_credentials, token_request
from collectors.gcp.exchange import Reply, Request
from collectors.gcp.readonly import ReadOnlyChannel
from collectors.gcp.recorder import STATUS_DETAILS, RecordingChannel
from collectors.gcp.rendering import as_json, status_as_json, unknown_bytes
from collectors.gcp.settings import GcpSettings
from collectors.gcp.trust import root_certificates
from collectors.limiter import Rates, TokenBucket
from collectors.recording import Recorder

_OPTIONS = (
    ("grpc.max_receive_message_length", -1),  # a page of 1,000 assets is larger than 4 MB
    ("grpc.enable_retries", 0),  # every attempt is ours, and recorded
)
_RETRIED = (
    exceptions.ResourceExhausted,
    exceptions.ServiceUnavailable,
    exceptions.DeadlineExceeded,
    exceptions.GatewayTimeout,
)
_LONGEST_WAIT = 30.0
_BURST = 10.0

_METHODS: dict[str, tuple[Any, str]] = {
    "ListAssets": (asset_v1.ListAssetsRequest, "list_assets"),
    "SearchAllIamPolicies": (asset_v1.SearchAllIamPoliciesRequest, "search_all_iam_policies"),
    "SearchAllResources": (asset_v1.SearchAllResourcesRequest, "search_all_resources"),
    "AnalyzeIamPolicy": (asset_v1.AnalyzeIamPolicyRequest, "analyze_iam_policy"),
}
"""The request message of each method, and what the client calls it."""

_buckets: dict[tuple[str, str, str], TokenBucket] = {}
_buckets_lock = threading.Lock()


def _bucket(settings: GcpSettings, method: str) -> TokenBucket:
    """Return the rate bucket of a method: Google counts a method's calls, for each quota project.

    All sessions of this process share it. The quota is of a minute, so the rate never rises.
    """
    key = (settings.address, settings.quota_project, method)
    with _buckets_lock:
        if key not in _buckets:
            rate = settings.requests_per_minute / 60
            rates = Rates(start=rate, least=min(rate, 0.1), most=rate, burst=max(rate, _BURST))
            _buckets[key] = TokenBucket(rates)
        return _buckets[key]


class ClosedError(Exception):
    """A call ended because its session was closed: the run was interrupted."""


class Session:
    """An opened connection. `project` is the one that the credentials belong to, if any."""

    def __init__(self, settings: GcpSettings) -> None:
        self.settings, self.recorder, self._is_closed = settings, Recorder(), False
        self.credentials, self.project = find_credentials(settings)
        self._channel = RecordingChannel(
            self._connected(), self.recorder, lambda path: _bucket(settings, path), settings.url
        )
        transport = AssetServiceGrpcTransport(channel=ReadOnlyChannel(self._channel))
        self._client = asset_v1.AssetServiceClient(transport=transport)

    def check(self) -> None:
        """Fetch a token once. Raises GcpCredentialsError."""
        if self.credentials is not None:
            check_credentials(self.credentials, self.settings)

    def _connected(self) -> grpc.Channel:
        settings = self.settings
        if settings.is_plain:
            return grpc.insecure_channel(settings.address, _OPTIONS)
        tls = grpc.ssl_channel_credentials(root_certificates(settings.ca_file))
        if self.credentials is None:
            return grpc.secure_channel(settings.address, tls, _OPTIONS)
        from google.auth.transport import grpc as auth_grpc

        make_plugin: Any = auth_grpc.AuthMetadataPlugin
        plugin = make_plugin(self.credentials, token_request(settings))
        token = grpc.metadata_call_credentials(plugin)
        both = grpc.composite_channel_credentials(tls, token)
        return grpc.secure_channel(settings.address, both, _OPTIONS)

    def send(self, operation: str, request: Request) -> Reply:
        """Make one call, with retries, and return what it means.

        Raises ClosedError when the session was closed meanwhile: that is no answer of the cloud.
        """
        try:
            with self.recorder.call(operation, request.parameters):
                message = self._sent(request)
        except exceptions.GoogleAPICallError as error:
            self._check_open()
            return reply_of_error(error)
        except Exception as error:  # noqa: BLE001  (this call's outcome, never the run's end)
            self._check_open()
            return Reply(code=type(error).__name__, message=str(error))
        left_out = unknown_bytes(message)
        return Reply(as_json(message), left_out=left_out)

    def _sent(self, request: Request) -> Any:
        """Return the answer as protobuf has it; of several pages, the first."""
        kind, name = _METHODS[request.method]
        message = kind(json_format.ParseDict(dict(request.parameters), kind.pb()()))
        constant: Any = ConstantTimeout  # google-api-core types it half
        timeout = constant(self.settings.timeout)
        answer = getattr(self._client, name)(message, retry=self._retry(), timeout=timeout)
        answer = next(answer.pages) if hasattr(answer, "pages") else answer
        return type(answer).pb(answer)

    def _retry(self) -> Retry:
        left = self.settings.max_attempts - 1

        def again(error: BaseException) -> bool:
            nonlocal left
            left -= 1
            return left >= 0 and isinstance(error, _RETRIED)

        wait = self.settings.first_wait
        return Retry(predicate=again, initial=wait, maximum=_LONGEST_WAIT, timeout=None)

    def _check_open(self) -> None:
        if self._is_closed:
            raise ClosedError("the session was closed")

    def close(self) -> None:
        """Close the channel; calls that are under way end."""
        self._is_closed = True
        self._channel.close()


def reply_of_error(error: exceptions.GoogleAPICallError) -> Reply:
    """Return what an error of the library means."""
    code = error.grpc_status_code
    call: Any = error.errors[0] if error.errors else None
    trailers = call.trailing_metadata() if hasattr(call, "trailing_metadata") else ()
    packed = dict(trailers or ()).get(STATUS_DETAILS, b"")
    name = code.name if code is not None else type(error).__name__
    details = status_as_json(packed).get("details", ())
    return Reply(code=name, message=error.message, details=tuple(details))
