"""Credentials: which of azure-identity's, by configuration. Secrets stay in the environment.

`default` takes what there is, in the order of a machine that runs unattended: the environment's
client secret or certificate, workload identity federation, a managed identity, and at last the
login of the `az` command line.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collectors.azure.clouds import AzureSettings
from collectors.azure.errors import AzureCredentialsError
from collectors.azure.trust import bundle_with

KINDS = (
    "default",
    "environment",
    "client_secret",
    "certificate",
    "managed_identity",
    "workload_identity",
    "cli",
)


@dataclass(frozen=True)
class CredentialTarget:
    """Which credential a tenant is read with: plain data, without any secret.

    `client_secret_variable` names the environment variable that holds the client secret;
    `certificate` is the path of a client certificate (PEM or PKCS#12) with its key.
    """

    kind: str = "default"
    client_id: str = ""
    client_secret_variable: str = "AZURE_CLIENT_SECRET"
    certificate: str = ""


def credential_for(target: CredentialTarget, tenant_id: str, settings: AzureSettings) -> Any:
    """Return the azure-identity credential. Raises AzureCredentialsError when it cannot be made."""
    try:
        return _MAKERS[target.kind](target, tenant_id or _variable("AZURE_TENANT_ID"), settings)
    except (ValueError, OSError) as error:
        raise AzureCredentialsError(
            f"the credential {target.kind!r} cannot be used: {error}",
            where=f"azure.tenants {tenant_id}".strip(),
            mend="Set the AZURE_* variables that it takes, or correct `credential` and `client_id`"
            " in auditpack.yaml.",
        ) from error


def _variable(name: str) -> str:
    return os.environ.get(name, "")


def _options(settings: AzureSettings) -> dict[str, Any]:
    """Options of every credential that asks an authority."""
    endpoints = settings.endpoints()
    return {
        "authority": endpoints.authority,
        "disable_instance_discovery": not endpoints.authority_is_known,
        "connection_verify": bundle_with(settings.ca_file),
        "connection_timeout": settings.connect_timeout,
        "read_timeout": settings.read_timeout,
        "retry_total": min(2, settings.max_attempts - 1),
    }


def _client_id(target: CredentialTarget) -> str:
    return target.client_id or _variable("AZURE_CLIENT_ID")


def _secret(target: CredentialTarget, tenant_id: str, settings: AzureSettings) -> Any:
    from azure.identity import ClientSecretCredential

    secret = _variable(target.client_secret_variable)
    return ClientSecretCredential(tenant_id, _client_id(target), secret, **_options(settings))


def _certificate(target: CredentialTarget, tenant_id: str, settings: AzureSettings) -> Any:
    from azure.identity import CertificateCredential

    path = target.certificate or _variable("AZURE_CLIENT_CERTIFICATE_PATH")
    password = _variable("AZURE_CLIENT_CERTIFICATE_PASSWORD") or None
    return CertificateCredential(
        tenant_id, _client_id(target), path, password=password, **_options(settings)
    )


def _environment(target: CredentialTarget, tenant_id: str, settings: AzureSettings) -> Any:
    if target.certificate or _variable("AZURE_CLIENT_CERTIFICATE_PATH"):
        return _certificate(target, tenant_id, settings)
    return _secret(target, tenant_id, settings)


def _workload(target: CredentialTarget, tenant_id: str, settings: AzureSettings) -> Any:
    from azure.identity import WorkloadIdentityCredential

    token_file = _variable("AZURE_FEDERATED_TOKEN_FILE")
    if token_file:
        Path(token_file).read_bytes()  # what is not there is said now, as the credential's fault
    return WorkloadIdentityCredential(
        tenant_id=tenant_id, client_id=_client_id(target), **_options(settings)
    )


def _managed(target: CredentialTarget, tenant_id: str, settings: AzureSettings) -> Any:  # noqa: ARG001
    from azure.identity import ManagedIdentityCredential

    return ManagedIdentityCredential(client_id=_client_id(target) or None)


def _command_line(target: CredentialTarget, tenant_id: str, settings: AzureSettings) -> Any:  # noqa: ARG001
    from azure.identity import AzureCliCredential

    return AzureCliCredential(tenant_id=tenant_id)


def _default(target: CredentialTarget, tenant_id: str, settings: AzureSettings) -> Any:
    """The first that there is something for: what is configured must not be passed over."""
    if _variable(target.client_secret_variable) or _variable("AZURE_CLIENT_CERTIFICATE_PATH"):
        return _environment(target, tenant_id, settings)
    if _variable("AZURE_FEDERATED_TOKEN_FILE"):
        return _workload(target, tenant_id, settings)
    from azure.identity import ChainedTokenCredential

    # In a chain the endpoint of managed identities is probed for a moment, and passed over where
    # there is none. DefaultAzureCredential would do as much, but it ends a chain when it fails.
    managed = _managed(target, tenant_id, settings)
    return ChainedTokenCredential(managed, _command_line(target, tenant_id, settings))


_MAKERS = {
    "default": _default,
    "environment": _environment,
    "client_secret": _secret,
    "certificate": _certificate,
    "managed_identity": _managed,
    "workload_identity": _workload,
    "cli": _command_line,
}
