"""The exact permissions that collecting needs, derived from the resource types.

What is not called is not asked for: the policy follows the YAML, so it can be no wider.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from collectors.aws.catalogue import operations_of
from collectors.aws.spec import AwsResourceType
from evidence.yaml_files import load_yaml

_TABLE = Path(__file__).parent / "iam_actions.yaml"
_ALWAYS = (("ec2", "DescribeRegions"), ("sts", "GetCallerIdentity"))


def actions_for(service: str, operation: str) -> list[str]:
    """Return the IAM actions that an API operation needs."""
    table = load_yaml(_TABLE)
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
    """Return the least-privilege IAM policy for collecting `specs`."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "AuditpackReadOnly",
                "Effect": "Allow",
                "Action": required_actions(specs),
                "Resource": "*",
            }
        ],
    }


def policy_as_terraform(specs: Iterable[AwsResourceType]) -> str:
    """Return the same policy as Terraform."""
    actions = "\n".join(f'      "{action}",' for action in required_actions(specs))
    return (
        'data "aws_iam_policy_document" "auditpack" {\n'
        "  statement {\n"
        '    sid       = "AuditpackReadOnly"\n'
        '    effect    = "Allow"\n'
        '    resources = ["*"]\n'
        f"    actions = [\n{actions}\n    ]\n"
        "  }\n}\n\n"
        'resource "aws_iam_policy" "auditpack" {\n'
        '  name   = "auditpack-read-only"\n'
        "  policy = data.aws_iam_policy_document.auditpack.json\n"
        "}\n"
    )
