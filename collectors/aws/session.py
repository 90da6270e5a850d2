"""Accounts: opening a session, finding out whose it is, and the clients that its threads share.

One boto3 session an account (its loaders are what costs memory), one client a (service, region),
made under a lock because sessions are not thread safe. Endpoints, profiles and credentials are the
SDK's own business: AWS_ENDPOINT_URL, AWS_PROFILE and the rest are honoured as boto3 does.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    DeferredRefreshableCredentials,
)
from botocore.exceptions import BotoCoreError, ClientError

from collectors.aws.models import known_regions, partition_of
from collectors.aws.outcomes import BAD_CREDENTIALS, error_code
from collectors.aws.recorder import Recorder
from collectors.limiter import Rates, TokenBucket
from evidence.errors import AuditpackError, UsageError

UNKNOWN_ACCOUNT = "unknown"
"""The account id where AWS refuses to say whose the credentials are and nobody told us."""

_HANDSHAKE_ATTEMPTS = 3
"""An endpoint that is not there is to be found out in seconds, not in minutes."""


@dataclass(frozen=True)
class AccountTarget:
    """An account to read, as configured: plain data, so that it can cross to another process.

    Without `role_arn` and `profile` the environment's credentials are used. `id` may be empty for
    these: AWS is asked.
    """

    id: str = ""
    name: str = ""
    role_arn: str = ""
    external_id: str = ""
    profile: str = ""


@dataclass(frozen=True)
class ClientSettings:
    """How clients behave: plain data.

    `max_attempts` bounds the SDK's own retries of one request. Five get over passing trouble
    without waiting long where an operation always fails; throttling is outlasted by the caller.
    """

    default_region: str = "us-east-1"
    max_attempts: int = 5
    connections: int = 32
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    requests_per_second: float = 100.0


class CredentialsError(AuditpackError):
    """AWS does not accept the credentials, or there are none."""

    exit_code = 2


class UnreachableError(AuditpackError):
    """AWS (or the endpoint that AWS_ENDPOINT_URL names) could not be reached."""


class AccountSession:
    """An opened account: its id, its clients, its rate buckets."""

    def __init__(self, target: AccountTarget, settings: ClientSettings) -> None:
        self.target = target
        self.settings = settings
        self.recorder = Recorder()
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str], Any] = {}
        self._buckets: dict[tuple[str, str], TokenBucket] = {}
        self._session = self._open()
        self.account = target.id or UNKNOWN_ACCOUNT
        self.partition = "aws"

    def _open(self) -> boto3.Session:
        try:
            return self._opened()
        except BotoCoreError as error:  # no such profile, a config file that is not one
            raise CredentialsError(
                f"the AWS configuration cannot be used: {error}",
                where=_where(self.target),
                mend="Correct AWS_PROFILE, aws.accounts[].profile, or the AWS config file.",
            ) from error

    def _opened(self) -> boto3.Session:
        core = botocore.session.Session(profile=self.target.profile or None)
        core.set_config_variable("region", self.settings.default_region)
        if self.target.role_arn:
            core._credentials = self._assumed(core)
        return boto3.Session(botocore_session=core)

    def _assumed(self, core: botocore.session.Session) -> DeferredRefreshableCredentials:
        extra = {"RoleSessionName": "auditpack"}
        if self.target.external_id:
            extra["ExternalId"] = self.target.external_id
        source = core.get_credentials()
        if source is None:
            raise _no_credentials(self.target)
        fetcher = AssumeRoleCredentialFetcher(
            client_creator=core.create_client,
            source_credentials=source,
            role_arn=self.target.role_arn,
            extra_args=extra,
        )
        return DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")

    def identify(self) -> str:
        """Ask AWS whose account this is; return a remark where it would not say.

        Raises CredentialsError when the credentials are wrong or belong to another account than
        configured, UnreachableError when there is no answer.
        """
        try:
            answer = self.client("sts", self.settings.default_region).get_caller_identity()
        except ClientError as error:
            return self._unidentified(error)
        except BotoCoreError as error:
            raise _connection_error(error, self.target) from error
        except ValueError as error:
            raise UsageError(
                f"AWS cannot be asked: {error}",
                where=_where(self.target),
                mend="Correct AWS_ENDPOINT_URL: a URL like https://host:port, or not set at all.",
            ) from error
        found = str(answer["Account"])
        if self.target.id and found != self.target.id:
            raise CredentialsError(
                f"the credentials belong to account {found}, not to {self.target.id}",
                where=_where(self.target),
                mend="Correct id or role_arn of this account in auditpack.yaml.",
            )
        self.account = found
        self.partition = str(answer["Arn"]).split(":")[1]
        return ""

    def _unidentified(self, error: ClientError) -> str:
        code = error_code(error)
        if code in BAD_CREDENTIALS or self.target.role_arn:
            raise CredentialsError(
                f"AWS does not accept the credentials: {code}",
                where=_where(self.target),
                mend="Log in again, choose another AWS_PROFILE, or correct role_arn and its trust.",
            ) from error
        return f"AWS did not say whose account this is ({code}); it is called {self.account!r} here"

    def client(self, service: str, region: str) -> Any:
        """Return the shared client of a service in a region, making it when needed."""
        key = (service, region)
        client = self._clients.get(key)
        if client is None:
            with self._lock:
                client = self._clients.get(key) or self._make_client(service, region)
                self._clients[key] = client
        return client

    def ask(self, service: str, region: str, operation: str, params: dict[str, Any]) -> Any:
        """Make one call and return the SDK's answer; an error is recorded and raised."""
        try:
            return getattr(self.client(service, region), operation)(**params)
        except Exception as error:
            self.recorder.failed(operation, params, region, error)
            raise

    def _make_client(self, service: str, region: str) -> Any:
        settings = self.settings
        attempts = min(_HANDSHAKE_ATTEMPTS, settings.max_attempts)
        config = Config(
            retries={
                "mode": "standard",
                "total_max_attempts": attempts if service == "sts" else settings.max_attempts,
            },
            max_pool_connections=settings.connections,
            connect_timeout=settings.connect_timeout,
            read_timeout=settings.read_timeout,
            user_agent_extra="auditpack",
            parameter_validation=True,
        )
        client = self._session.client(service, region_name=region, config=config)
        bucket = self._buckets.setdefault((service, region), self._make_bucket())
        self.recorder.attach(client, region, bucket)
        if service == "s3control" and _is_loopback(client.meta.endpoint_url):
            client.meta.events.register("before-send", _without_account_host)
        return client

    def _make_bucket(self) -> TokenBucket:
        rate = self.settings.requests_per_second
        return TokenBucket(Rates(start=rate, burst=rate))

    def enabled_regions(self) -> tuple[list[str], str]:
        """Return the regions that are enabled for the account, and a remark where AWS refused.

        Where it refused, the default region alone is returned.
        """
        try:
            answer = self.client("ec2", self.settings.default_region).describe_regions()
        except (ClientError, BotoCoreError) as error:
            remark = f"the list of enabled regions could not be read: {error_code(error)}"
            return [self.settings.default_region], remark
        return sorted(region["RegionName"] for region in answer["Regions"]), ""


def check_regions(regions: list[str]) -> None:
    """Raise UsageError for a region that AWS does not have, with the nearest name."""
    import difflib

    for region in regions:
        try:
            partition_of(region)
        except ValueError:
            known = [*known_regions("aws"), *known_regions("aws-us-gov"), *known_regions("aws-cn")]
            near = difflib.get_close_matches(region, known, 5)
            near.sort(key=lambda name: sorted(name) != sorted(region))
            hint = f"Did you mean {near[0]}?" if near else f"Known are: {', '.join(known[:8])}, ..."
            raise UsageError(
                f"AWS has no region {region!r}", where="--region or aws.regions", mend=hint
            ) from None


def _connection_error(error: BotoCoreError, target: AccountTarget) -> AuditpackError:
    name = type(error).__name__
    if name in ("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"):
        return _no_credentials(target)
    if "Token" in name or "SSO" in name:
        return CredentialsError(
            f"the login has expired or is missing: {error}",
            where=_where(target),
            mend="Log in again (for instance with `aws sso login`).",
        )
    return UnreachableError(
        f"AWS could not be reached: {error}",
        where=_where(target),
        mend="Check the network, the proxy, the region, and AWS_ENDPOINT_URL.",
    )


def _no_credentials(target: AccountTarget) -> CredentialsError:
    return CredentialsError(
        "there are no AWS credentials",
        where=_where(target),
        mend="Set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or log in first.",
    )


def _where(target: AccountTarget) -> str:
    parts = [target.name, target.id, target.role_arn, target.profile]
    return " ".join(part for part in parts if part) or "the environment's credentials"


def _is_loopback(url: str) -> bool:
    return (urlsplit(url).hostname or "") in ("127.0.0.1", "localhost", "::1")


def _without_account_host(request: Any, **_: Any) -> None:
    """Take the account out of an s3control host name on a loopback endpoint, where no DNS helps."""
    parts = urlsplit(request.url)
    host = parts.netloc.split(".", 1)
    if host[0].isdigit() and len(host[0]) == 12:
        request.url = parts._replace(netloc=host[1]).geturl()
