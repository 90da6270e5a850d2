"""Fixtures that several test files share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)  # machines are shared: no test is a race
settings.load_profile("untimed")

_CLOUD_VARIABLES = (
    "AWS_",
    "AZURE_",
    "GOOGLE_",
    "STORAGE_EMULATOR_HOST",
    "AUDITPACK_",
    "MOTO_",
)


@pytest.fixture(autouse=True)
def _no_foreign_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees the machine's own clouds, keys or configuration."""
    for name in list(os.environ):
        if name.startswith(_CLOUD_VARIABLES):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)


@pytest.fixture(scope="session")
def gated_estate() -> Iterator[tuple[str, Any]]:
    """A moto server behind a gate, with a small estate in us-east-1. Yields (URL, gate)."""
    import boto3
    from support_aws import gated_moto

    with gated_moto() as (url, gate):
        session = boto3.Session(
            aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1"
        )
        seed_small_estate(lambda service: session.client(service, endpoint_url=url))
        gate.reset()
        yield url, gate


def seed_small_estate(client: Any) -> None:
    """A few good and bad things: enough for every outcome, small enough to be quick."""
    s3 = client("s3")
    for index in range(4):
        s3.create_bucket(Bucket=f"small-estate-{index}")
    s3.put_bucket_versioning(Bucket="small-estate-0", VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_tagging(
        Bucket="small-estate-0", Tagging={"TagSet": [{"Key": "Owner", "Value": "data"}]}
    )
    iam = client("iam")
    for name in ("ann", "bob"):
        iam.create_user(UserName=name)
        iam.create_access_key(UserName=name)
    iam.create_login_profile(UserName="ann", Password="not-a-secret-1A!")
    ec2 = client("ec2")
    group = ec2.create_security_group(GroupName="open", Description="open to the world")
    ec2.authorize_security_group_ingress(
        GroupId=group["GroupId"],
        IpPermissions=[
            {
                "IpProtocol": "tcp",
                "FromPort": 22,
                "ToPort": 22,
                "IpRanges": [{"CidrIp": "0.0.0.0/0"}],
            }
        ],
    )
    ec2.create_volume(AvailabilityZone="us-east-1a", Size=8)
    key = client("kms").create_key()["KeyMetadata"]["KeyId"]
    client("kms").enable_key_rotation(KeyId=key)
    client("sqs").create_queue(QueueName="jobs")
    client("sns").create_topic(Name="alerts")
    client("logs").create_log_group(logGroupName="app")


@pytest.fixture
def aws_environment(gated_estate: tuple[str, Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Point the SDK at the gated estate for one test; yields the gate, reset before and after."""
    url, gate = gated_estate
    gate.reset()
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    yield gate
    gate.reset()
