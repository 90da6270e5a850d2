"""The exact permissions that collecting needs, derived from the resource types.

What is not called is not asked for: the policy follows the YAML, so it can be no wider.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from collectors.aws.catalogue import operations_of
from collectors.aws.spec import AwsResourceType
from evidence.yaml_files import load_yaml

_TABLE = Path(__file__).parent / "iam_actions.yaml"
_ALWAYS = (("ec2", "DescribeRegions"), ("sts", "GetCallerIdentity"))

LONGEST_MANAGED_POLICY = 6144
"""Characters without white space that a managed policy may have (IAM quotas)."""


@functools.cache
def _table() -> dict[str, Any]:
    found: dict[str, Any] = load_yaml(_TABLE)
    return found


def actions_for(service: str, operation: str) -> list[str]:
    """Return the IAM actions that an API operation needs."""
    table = _table()
    special = table["actions"]
    for key in (f"{service}:{operation}", f"{service}:*"):
        if key in special:
            return list(special[key])
    return [f"{table['prefixes'].get(service, service)}:{operation}"]


def required_actions(specs: Iterable[AwsResourceType]) -> list[str]:
    """Return every IAM action that collecting `specs` needs, sorted."""
    pairs = {*operations_of(specs), *_ALWAYS}
    return sorted({action for pair in pairs for action in actions_for(*pair)})


def policy_document(specs: Iterable[AwsResourceType]) -> dict[str, Any]:
    """Return the least-privilege IAM policy for collecting `specs`, as one document."""
    return _document(required_actions(specs))


def policy_documents(specs: Iterable[AwsResourceType]) -> list[dict[str, Any]]:
    """Return the same policy as documents that each fit into a managed policy."""
    parts: list[list[str]] = [[]]
    for action in required_actions(specs):
        if policy_length(_document([*parts[-1], action])) > LONGEST_MANAGED_POLICY:
            parts.append([])
        parts[-1].append(action)
    return [_document(part) for part in parts]


def policy_length(document: dict[str, Any]) -> int:
    """Return the length that AWS counts: characters without white space."""
    return len(json.dumps(document, separators=(",", ":")))


def _document(actions: list[str]) -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "AuditpackReadOnly",
                "Effect": "Allow",
                "Action": actions,
                "Resource": "*",
            }
        ],
    }


def policy_as_terraform(specs: Iterable[AwsResourceType]) -> str:
    """Return the same policy as Terraform: as many managed policies as it takes."""
    blocks = []
    for number, document in enumerate(policy_documents(specs), start=1):
        actions = "\n".join(f'      "{name}",' for name in document["Statement"][0]["Action"])
        blocks.append(
            f'data "aws_iam_policy_document" "auditpack_{number}" {{\n'
            "  statement {\n"
            '    sid       = "AuditpackReadOnly"\n'
            '    effect    = "Allow"\n'
            '    resources = ["*"]\n'
            f"    actions = [\n{actions}\n    ]\n"
            "  }\n}\n\n"
            f'resource "aws_iam_policy" "auditpack_{number}" {{\n'
            f'  name   = "auditpack-read-only-{number}"\n'
            f"  policy = data.aws_iam_policy_document.auditpack_{number}.json\n"
            "}\n"
        )
    return "\n".join(blocks)
