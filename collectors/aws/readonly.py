"""What the AWS collector may call: reading operations and nothing else, ever.

An operation is judged by its name when a resource type is loaded, and again by a hook before each
call, so that neither a YAML file nor a handler can change anything in a cloud.
"""

from __future__ import annotations

import re
from typing import Any

from evidence.errors import AuditpackError

_READING = re.compile(
    r"^(Get|List|Describe|BatchGet|BatchDescribe|Head|Search|Lookup|Select|Query|Scan)[A-Z0-9]"
)

READING_DESPITE_THEIR_NAME = {
    ("iam", "GenerateCredentialReport"): "makes AWS compile the report that GetCredentialReport "
    "returns; IAM classes it as a Read action and no resource changes",
}
"""Operations that read although their names do not say so, each with the reason."""

SECRET_BEARING = {
    ("secretsmanager", "GetSecretValue"),
    ("secretsmanager", "BatchGetSecretValue"),
    ("ssm", "GetParameter"),
    ("ssm", "GetParameters"),
    ("ssm", "GetParametersByPath"),
    ("ssm", "GetParameterHistory"),
    ("sts", "GetSessionToken"),
    ("sts", "GetFederationToken"),
    ("ecr", "GetAuthorizationToken"),
    ("ec2", "GetPasswordData"),
    ("ec2", "GetConsoleOutput"),
    ("ec2", "GetConsoleScreenshot"),
    ("lambda", "GetFunction"),
    ("rds", "DownloadDBLogFilePortion"),
    ("s3", "GetObject"),
    ("dynamodb", "GetItem"),
    ("dynamodb", "BatchGetItem"),
    ("dynamodb", "Query"),
    ("dynamodb", "Scan"),
    ("kms", "GetParametersForImport"),
}
"""Reading operations whose answers are secrets or the company's own data: refused as well."""

SESSION_OPERATIONS = {("sts", "AssumeRole"), ("sts", "AssumeRoleWithWebIdentity")}
"""Operations that the SDK's own credential providers make; they change nothing in an account."""


class NotReadOnlyError(AuditpackError):
    """Somebody wanted a call that may change a cloud, or reveal a secret."""

    exit_code = 2


def why_refused(service: str, operation: str) -> str:
    """Return why `operation` (an API name, like ListBuckets) is refused; empty if it is not."""
    if (service, operation) in SECRET_BEARING:
        return f"{service}:{operation} answers with secrets or the company's own data"
    if (service, operation) in READING_DESPITE_THEIR_NAME:
        return ""
    if not _READING.match(operation):
        return f"{service}:{operation} is not a reading operation (Get, List, Describe, ...)"
    return ""


def refuse_unless_reading(model: Any, **_: Any) -> None:
    """A botocore `before-call` hook: raise NotReadOnlyError instead of sending a changing call."""
    service, operation = model.service_model.service_name, model.name
    if (service, operation) in SESSION_OPERATIONS:
        return
    reason = why_refused(service, operation)
    if reason:
        raise NotReadOnlyError(
            f"refused before it was sent: {reason}",
            where=f"{service}:{operation}",
            mend="Collecting is read-only. Correct the resource type or the handler.",
        )
