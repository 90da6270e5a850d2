"""Credentials: those that Google's own library finds, or those of a file. Secrets stay in files.

A file may be a service account's key, or the configuration of workload identity federation, which
fetches tokens of another identity provider and exchanges them. Either may act as another service
account.
"""

from __future__ import annotations

import os
import warnings
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from collectors.gcp.errors import GcpCredentialsError
from collectors.gcp.settings import GcpSettings

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
"""The one scope that Cloud Asset Inventory takes; what may be done with it, IAM decides.

Source: cloud.google.com/asset-inventory/docs/reference/rpc.
"""


def find_credentials(settings: GcpSettings) -> tuple[Any, str]:
    """Return the credentials (None where none are sent) and the project that they belong to.

    Raises GcpCredentialsError when there are none, or they cannot be used.
    """
    if settings.credential.anonymous or settings.is_plain:
        return None, ""
    from google.auth.exceptions import GoogleAuthError

    try:
        found, project = _found(settings)
        return _acting(found, settings), project or ""
    except (GoogleAuthError, OSError, ValueError, KeyError) as error:
        raise _unusable(settings, error) from error


def _found(settings: GcpSettings) -> tuple[Any, str | None]:
    import google.auth

    options: dict[str, Any] = {
        "scopes": SCOPES,
        "quota_project_id": _quota_project(settings),
        "request": token_request(settings),
    }
    if not settings.credential.file:
        return google.auth.default(**options)
    with (
        warnings.catch_warnings()
    ):  # that a file from strangers may lead elsewhere: it is the user's
        warnings.simplefilter("ignore")
        load: Any = google.auth.load_credentials_from_file
        found, project = load(settings.credential.file, **options)
    return found, project


def _quota_project(settings: GcpSettings) -> str | None:
    return settings.quota_project or os.environ.get("GOOGLE_CLOUD_QUOTA_PROJECT") or None


def _acting(source: Any, settings: GcpSettings) -> Any:
    """Return what acts as the service account that is to be impersonated, if there is one."""
    if not settings.credential.impersonate:
        return source
    from google.auth import impersonated_credentials

    acting: Any = impersonated_credentials.Credentials
    return acting(
        source_credentials=source,
        target_principal=settings.credential.impersonate,
        target_scopes=list(SCOPES),
        quota_project_id=_quota_project(settings),
    )


def check_credentials(credentials: Any, settings: GcpSettings) -> None:
    """Fetch a token once, so that wrong credentials are known before anything is asked.

    Raises GcpCredentialsError.
    """
    from google.auth.exceptions import GoogleAuthError

    try:
        credentials.refresh(token_request(settings))
    except (GoogleAuthError, OSError, ValueError) as error:
        raise _unusable(settings, error) from error


def token_request(settings: GcpSettings) -> Any:
    """Return what fetches tokens; it trusts the configured authority as well.

    What is not a token it does not fetch: the library would look up the project of federated
    credentials, which takes another API and another permission.
    """
    import requests
    from google.auth.transport.requests import Request

    from collectors.gcp.trust import bundle_with

    class TokenRequest(Request):
        def __call__(self, url: str, *args: Any, **more: Any) -> Any:
            if (urlsplit(url).hostname or "").startswith("cloudresourcemanager."):
                return _Nothing()
            ask: Any = super().__call__
            return ask(url, *args, **more)

    session = requests.Session()
    session.verify = bundle_with(settings.ca_file)
    make: Any = TokenRequest
    return make(session)


class _Nothing:
    """The answer to what is not asked."""

    status, headers, data = 404, MappingProxyType[str, str]({}), b"{}"


def _unusable(settings: GcpSettings, error: Exception) -> GcpCredentialsError:
    where = settings.credential.file or "application default credentials"
    acting = settings.credential.impersonate
    return GcpCredentialsError(
        f"the credentials cannot be used: {_first_line(error)}",
        where=f"gcp: {where}{f', as {acting}' if acting else ''}",
        mend="Set GOOGLE_APPLICATION_CREDENTIALS or gcp.credentials_file to a key or a federation"
        " file, run where a service account is attached, or log in with"
        " `gcloud auth application-default login`."
        + (" Acting as another account takes roles/iam.serviceAccountTokenCreator." * bool(acting)),
    )


def _first_line(error: Exception) -> str:
    text = error.args[0] if error.args and isinstance(error.args[0], str) else str(error)
    return text.strip().splitlines()[0] if text.strip() else type(error).__name__
