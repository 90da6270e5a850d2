"""Policy documents of the estate, from the words that it uses for them."""

from __future__ import annotations

import json
from typing import Any

from auditpack.demo.model.identity import Policy, Trust

SERVICE_PRINCIPALS = {
    "trail-delivery": "cloudtrail.amazonaws.com",
    "config-delivery": "config.amazonaws.com",
    "log-delivery": "logging.s3.amazonaws.com",
}
"""Who writes into the buckets that collect logs."""


def document(*statements: dict[str, Any]) -> str:
    """A policy's text."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(principal: Any, action: str | list[str], **rest: Any) -> dict[str, Any]:
    """A statement that allows."""
    return {"Effect": "Allow", "Principal": principal, "Action": action, **rest}


def tls_only(action: str, resources: list[str]) -> dict[str, Any]:
    """A statement that refuses whatever does not come over TLS."""
    return {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": {"AWS": "*"},  # not "*": moto's check of log buckets trips over a text here
        "Action": action,
        "Resource": resources,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def bucket_statement(word: str, bucket: str) -> dict[str, Any]:
    """One statement of a bucket's policy."""
    arn = f"arn:aws:s3:::{bucket}"
    if word == "tls-only":
        return tls_only("s3:*", [arn, f"{arn}/*"])
    if word == "public-read":
        return allow("*", "s3:GetObject", Sid="PublicRead", Resource=f"{arn}/*")
    principal = {"Service": SERVICE_PRINCIPALS[word]}
    sid = word.title().replace("-", "")
    return allow(principal, "s3:PutObject", Sid=sid, Resource=f"{arn}/*")


def queue_statement(word: str, action: str, arn: str) -> dict[str, Any]:
    """One statement of the policy of a topic (`sns:Publish`) or queue (`sqs:SendMessage`)."""
    if word == "tls-only":
        return tls_only(action, [arn])
    return allow("*", action, Sid="Everyone", Resource=arn)


def trust_statements(trust: Trust, account: str) -> list[dict[str, Any]]:
    """Who may take a role."""
    take = "sts:AssumeRole"
    statements = [
        allow({"Service": f"{service}.amazonaws.com"}, take) for service in trust.services
    ]
    condition: dict[str, Any] = {}
    if trust.external_id:
        condition["StringEquals"] = {"sts:ExternalId": trust.external_id}
    if trust.mfa:
        condition["Bool"] = {"aws:MultiFactorAuthPresent": "true"}
    rest = {"Condition": condition} if condition else {}
    statements += [
        allow({"AWS": f"arn:aws:iam::{number}:root"}, take, **rest) for number in trust.accounts
    ]
    if trust.anyone:
        statements.append(allow({"AWS": "*"}, take))
    if trust.oidc:
        statements.append(pipeline_statement(trust.oidc, account))
    return statements


def pipeline_statement(oidc: str, account: str) -> dict[str, Any]:
    """Let a pipeline take a role, by the token that its own provider gave it."""
    host, _, subject = oidc.partition("#")
    wanted = {f"{host}:aud": "sts.amazonaws.com"}
    if subject:
        wanted[f"{host}:sub"] = subject
    return allow(
        {"Federated": f"arn:aws:iam::{account}:oidc-provider/{host}"},
        "sts:AssumeRoleWithWebIdentity",
        Condition={"StringEquals": wanted},
    )


def customer_policy(policy: Policy) -> str:
    """The text of a policy that the account wrote itself."""
    return document(
        *(
            {"Effect": "Allow", "Action": list(s.actions), "Resource": list(s.resources)}
            for s in policy.allow
        )
    )


def key_policy(account: str, *, open_to_all: bool) -> str:
    """The policy of a KMS key: the account decides, or everybody may."""
    owner = allow(
        {"AWS": f"arn:aws:iam::{account}:root"}, "kms:*", Sid="AccountDecides", Resource="*"
    )
    everyone = allow({"AWS": "*"}, ["kms:Encrypt", "kms:Decrypt"], Sid="Everyone", Resource="*")
    return document(owner, everyone) if open_to_all else document(owner)
