"""The demo's cloud: a real moto server, filled with the estate, looked at as a user would."""

from __future__ import annotations

import csv
import datetime
import io
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from auditpack.demo import server as server_module
from auditpack.demo.errors import DemoError
from auditpack.demo.estate import load_estate, parse_estate
from auditpack.demo.seed import SeedSummary, seed
from auditpack.demo.seeding.place import Cloud
from auditpack.demo.server import MotoServer

pytestmark = pytest.mark.slow

PRODUCTION, DEVELOPMENT = "111111111111", "222222222222"


class Demo:
    """The running demo: clients of its accounts, made as any user of the SDK makes them."""

    def __init__(self, endpoint_url: str, summary: SeedSummary) -> None:
        self.endpoint_url = endpoint_url
        self.summary = summary
        self._sessions: dict[str, Any] = {
            account: boto3.Session(
                aws_access_key_id=access.access_key_id,
                aws_secret_access_key=access.secret_access_key,
                aws_session_token=access.session_token,
            )
            for account, access in summary.access.items()
        }

    def client(self, service: str, account: str = PRODUCTION, region: str = "us-east-1") -> Any:
        return self._sessions[account].client(
            service, region_name=region, endpoint_url=self.endpoint_url
        )


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    with MotoServer() as server:
        yield Demo(server.endpoint_url, seed(server.endpoint_url, load_estate()))


def days_ago(moment: datetime.datetime) -> int:
    return (datetime.datetime.now(datetime.UTC) - moment).days


def name_of(resource: dict[str, Any]) -> str:
    return next((tag["Value"] for tag in resource.get("Tags", []) if tag["Key"] == "Name"), "")


# ---------------------------------------------------------------------------- size and access


def test_two_accounts_two_regions_and_enough_to_look_at(demo: Demo) -> None:
    assert demo.summary.total >= 140
    assert demo.summary.regions == ("eu-west-1", "us-east-1")
    assert {account for account, _ in demo.summary.places} == {PRODUCTION, DEVELOPMENT}
    assert len(demo.summary.counts) >= 40, "types"
    assert demo.summary.seconds < 30, "six on two quiet cores"


def test_development_is_reached_from_production_by_its_role(demo: Demo) -> None:
    role = demo.summary.access[DEVELOPMENT].role_arn
    assert role == f"arn:aws:iam::{DEVELOPMENT}:role/auditpack-collector"

    given = demo.client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    there = boto3.client(
        "sts",
        region_name="us-east-1",
        endpoint_url=demo.endpoint_url,
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
    )
    assert there.get_caller_identity()["Account"] == DEVELOPMENT
    assert demo.client("sts").get_caller_identity()["Account"] == PRODUCTION


def test_what_the_summary_counts_is_there(demo: Demo) -> None:
    buckets = [
        bucket
        for account in (PRODUCTION, DEVELOPMENT)
        for bucket in demo.client("s3", account).list_buckets()["Buckets"]
    ]
    assert len(buckets) == demo.summary.counts["aws_s3_bucket"]
    places = [(a, r) for a in (PRODUCTION, DEVELOPMENT) for r in demo.summary.regions]
    volumes = [v for a, r in places for v in demo.client("ec2", a, r).describe_volumes()["Volumes"]]
    assert len(volumes) == demo.summary.counts["aws_ebs_volume"]


# ------------------------------------------------------------------------------ what is wrong


def test_public_bucket_only_where_the_account_does_not_forbid_it(demo: Demo) -> None:
    s3 = demo.client("s3", DEVELOPMENT)
    status = s3.get_bucket_policy_status(Bucket="haldenlabs-dev-sample-export")
    assert status["PolicyStatus"]["IsPublic"]
    with pytest.raises(ClientError, match="NoSuchPublicAccessBlockConfiguration"):
        s3.get_public_access_block(Bucket="haldenlabs-dev-sample-export")


def test_volumes_in_the_clear_and_encrypted(demo: Demo) -> None:
    volumes = demo.client("ec2").describe_volumes()["Volumes"]
    encrypted = {name_of(volume): volume["Encrypted"] for volume in volumes}
    assert not encrypted["lab-export-old"]
    assert not encrypted["legacy-reports-root"]
    assert encrypted["portal-1-root"]
    assert demo.client("ec2").get_ebs_encryption_by_default()["EbsEncryptionByDefault"]


def test_a_copy_of_a_disk_is_given_to_the_whole_world(demo: Demo) -> None:
    ec2 = demo.client("ec2")
    snapshots = ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
    assert len(snapshots) == 2, "and none of moto's own"
    copy = next(s for s in snapshots if name_of(s) == "lab-export-old-copy")
    shared = ec2.describe_snapshot_attribute(
        SnapshotId=copy["SnapshotId"], Attribute="createVolumePermission"
    )
    assert shared["CreateVolumePermissions"] == [{"Group": "all"}]


def test_ssh_is_open_to_the_world(demo: Demo) -> None:
    groups = demo.client("ec2").describe_security_groups(
        Filters=[{"Name": "group-name", "Values": ["bastion"]}]
    )["SecurityGroups"]
    sources = [
        source
        for rule in groups[0]["IpPermissions"]
        for source in rule["IpRanges"] + rule["Ipv6Ranges"]
        if rule["FromPort"] == 22
    ]
    assert {"CidrIp": "0.0.0.0/0"} in sources
    assert {"CidrIpv6": "::/0"} in sources


def test_machines_differ_in_metadata_service_and_address(demo: Demo) -> None:
    reservations = demo.client("ec2").describe_instances()["Reservations"]
    machines = {name_of(i): i for r in reservations for i in r["Instances"]}
    assert machines["portal-1"]["MetadataOptions"]["HttpTokens"] == "required"
    assert machines["lims"]["MetadataOptions"]["HttpTokens"] == "optional"
    assert "PublicIpAddress" in machines["bastion"]
    assert "PublicIpAddress" not in machines["portal-1"]
    assert days_ago(machines["legacy-reports"]["LaunchTime"]) == 1900


def test_a_person_without_second_factor_and_an_old_key(demo: Demo) -> None:
    iam = demo.client("iam")
    iam.generate_credential_report()
    text = iam.get_credential_report()["Content"].decode()
    report = {row["user"]: row for row in csv.DictReader(io.StringIO(text))}
    assert report["owen.baptiste"]["password_enabled"] == "true"
    assert report["owen.baptiste"]["mfa_active"] == "false"
    assert report["ingrid.holt"]["mfa_active"] == "true"

    (key,) = iam.list_access_keys(UserName="marek.duda")["AccessKeyMetadata"]
    assert days_ago(key["CreateDate"]) == 410
    used = iam.get_access_key_last_used(AccessKeyId=key["AccessKeyId"])["AccessKeyLastUsed"]
    assert days_ago(used["LastUsedDate"]) == 5


def test_passwords_are_strict_in_production_only(demo: Demo) -> None:
    strict = demo.client("iam").get_account_password_policy()["PasswordPolicy"]
    lax = demo.client("iam", DEVELOPMENT).get_account_password_policy()["PasswordPolicy"]
    assert strict["MinimumPasswordLength"] == 14
    assert strict["RequireSymbols"]
    assert lax["MinimumPasswordLength"] == 8
    assert not lax["RequireSymbols"]


def test_another_company_may_come_in_without_an_external_id(demo: Demo) -> None:
    iam = demo.client("iam")

    def trust(role: str) -> dict[str, Any]:
        document = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
        statement: dict[str, Any] = document["Statement"][0]
        return statement

    assert "Condition" not in trust("monitoring-vendor")
    assert "sts:ExternalId" in trust("partner-lab")["Condition"]["StringEquals"]


def test_trails_are_as_they_should_be_and_as_they_should_not(demo: Demo) -> None:
    (good,) = demo.client("cloudtrail").describe_trails()["trailList"]
    (bad,) = demo.client("cloudtrail", DEVELOPMENT).describe_trails()["trailList"]
    for feature in ("IsMultiRegionTrail", "LogFileValidationEnabled", "KmsKeyId"):
        assert good[feature]
        assert not bad.get(feature)
    assert demo.client("cloudtrail").get_trail_status(Name=good["TrailARN"])["IsLogging"]


def test_alarms_watch_production_and_nothing_watches_development(demo: Demo) -> None:
    alarms = demo.client("cloudwatch").describe_alarms()["MetricAlarms"]
    filters = demo.client("logs").describe_metric_filters()["metricFilters"]
    assert {"root-use", "console-without-mfa"} <= {alarm["AlarmName"] for alarm in alarms}
    assert len(filters) > len(alarms), "one event is counted, and rings nobody"
    assert not demo.client("cloudwatch", DEVELOPMENT).describe_alarms()["MetricAlarms"]
    topic = alarms[0]["AlarmActions"][0]
    told = demo.client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert told[0]["SubscriptionArn"] != "PendingConfirmation"


def test_watchers_are_on_in_some_regions_only(demo: Demo) -> None:
    recording = {
        region: [
            status["recording"]
            for status in demo.client(
                "config", region=region
            ).describe_configuration_recorder_status()["ConfigurationRecordersStatus"]
        ]
        for region in demo.summary.regions
    }
    assert recording == {"us-east-1": [True], "eu-west-1": [False]}
    assert not demo.client("guardduty", DEVELOPMENT, "eu-west-1").list_detectors()["DetectorIds"]
    assert demo.client("securityhub").describe_hub()["HubArn"]
    with pytest.raises(ClientError, match="not subscribed"):
        demo.client("securityhub", region="eu-west-1").describe_hub()


def test_databases_and_their_copies(demo: Demo) -> None:
    rds = demo.client("rds")
    found = {d["DBInstanceIdentifier"]: d for d in rds.describe_db_instances()["DBInstances"]}
    assert found["trials"]["StorageEncrypted"]
    assert found["trials"]["MultiAZ"]
    assert not found["reporting"]["StorageEncrypted"]
    shared = rds.describe_db_snapshot_attributes(DBSnapshotIdentifier="reporting-copy")
    attributes = shared["DBSnapshotAttributesResult"]["DBSnapshotAttributes"]
    assert {"AttributeName": "restore", "AttributeValues": ["all"]} in attributes
    (copy,) = demo.client("rds", DEVELOPMENT).describe_db_instances()["DBInstances"]
    assert copy["PubliclyAccessible"]


def test_a_function_with_a_password_open_to_everyone(demo: Demo) -> None:
    client = demo.client("lambda", DEVELOPMENT)
    (function,) = client.list_functions()["Functions"]
    assert "not-a-real" in function["Environment"]["Variables"]["DATABASE_PASSWORD"]
    assert '"Principal": "*"' in client.get_policy(FunctionName="dev-hello")["Policy"]
    assert client.get_function_url_config(FunctionName="dev-hello")["AuthType"] == "NONE"


def test_a_certificate_is_about_to_expire(demo: Demo) -> None:
    found = demo.client("acm").list_certificates()["CertificateSummaryList"]
    by_name = {certificate["DomainName"]: certificate for certificate in found}
    assert 0 <= -days_ago(by_name["vpn.haldenlabs.example"]["NotAfter"]) <= 12
    assert by_name["portal.haldenlabs.example"]["Status"] == "ISSUED"


def test_keys_rotate_do_not_or_go(demo: Demo) -> None:
    kms = demo.client("kms")

    def rotates(name: str) -> bool:
        key = kms.describe_key(KeyId=f"alias/{name}")["KeyMetadata"]["KeyId"]
        return bool(kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"])

    assert rotates("data")
    assert not rotates("lims")
    going = kms.describe_key(KeyId="alias/payments-old")["KeyMetadata"]
    assert going["KeyState"] == "PendingDeletion"


def test_owned_things_have_tags_and_forgotten_ones_have_none(demo: Demo) -> None:
    s3 = demo.client("s3")
    tags = s3.get_bucket_tagging(Bucket="haldenlabs-prod-trial-results")["TagSet"]
    assert {tag["Key"] for tag in tags} == {"Owner", "CostCentre", "Environment", "DataClass"}
    with pytest.raises(ClientError, match="NoSuchTagSet"):
        demo.client("s3", DEVELOPMENT).get_bucket_tagging(Bucket="haldenlabs-dev-scratch")


def test_what_moto_lacks_is_refused_at_once(demo: Demo) -> None:
    """Not as a passing trouble, which the SDK would repeat for seconds."""
    for service, operation in (
        ("accessanalyzer", "list_analyzers"),
        ("ec2", "get_snapshot_block_public_access_state"),
        ("rds", "describe_certificates"),
    ):
        with pytest.raises(ClientError) as refused:
            getattr(demo.client(service), operation)()
        assert refused.value.response["Error"]["Code"] == "NotImplemented"
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
        assert refused.value.response["ResponseMetadata"]["RetryAttempts"] == 0


# --------------------------------------------------------------------------- server and seeder


def test_the_same_identifiers_every_time(demo: Demo) -> None:
    def instances(endpoint_url: str, summary: SeedSummary) -> list[str]:
        ec2 = Demo(endpoint_url, summary).client("ec2")
        found = ec2.describe_instances()["Reservations"]
        return [instance["InstanceId"] for item in found for instance in item["Instances"]]

    with MotoServer() as server:
        again = seed(server.endpoint_url, load_estate())
        assert instances(server.endpoint_url, again) == instances(demo.endpoint_url, demo.summary)
        assert again.made == demo.summary.made


def test_the_server_stops_when_the_block_fails() -> None:
    server = MotoServer()
    url = ""

    def interrupted() -> None:
        nonlocal url
        with server:
            url = server.endpoint_url
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(url, timeout=2)
    with pytest.raises(DemoError, match="not running"):
        _ = server.endpoint_url


def test_the_server_ends_when_its_parent_is_killed() -> None:
    program = (
        "import sys, time\n"
        "from auditpack.demo.server import MotoServer\n"
        "with MotoServer() as server:\n"
        "    print(server.endpoint_url, flush=True)\n"
        "    time.sleep(60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=environment
    ) as parent:
        assert parent.stdout is not None
        url = parent.stdout.readline().strip()
        assert urllib.request.urlopen(f"{url}/moto-api/", timeout=5).status == 200
        parent.kill()
    for _ in range(50):
        try:
            urllib.request.urlopen(url, timeout=1)
        except urllib.error.HTTPError:
            time.sleep(0.1)
        except OSError:
            return
    pytest.fail("the server outlived its parent")


def test_a_server_that_cannot_start_shows_its_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "moto").mkdir()
    (tmp_path / "moto" / "__init__.py").write_text("raise ImportError('broken on purpose')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(DemoError) as failed, MotoServer():
        pass
    assert "ended while starting" in failed.value.what
    assert "broken on purpose" in failed.value.where
    assert "auditpack[demo]" in failed.value.mend


def test_without_moto_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_installed", lambda name: name != "flask")
    with pytest.raises(DemoError, match="flask is not installed") as failed, MotoServer():
        pass
    assert failed.value.mend == "pip install 'auditpack[demo]'"


def test_settings_of_the_person_do_not_reach_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "a-profile-that-does-not-exist")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with MotoServer() as server:
        sts = Cloud(server.endpoint_url).client("sts", "us-east-1")
        assert sts.get_caller_identity()["Account"]


def test_nothing_but_this_computer_is_ever_seeded() -> None:
    with pytest.raises(DemoError, match="only ever seeded on this computer"):
        seed("https://sts.us-east-1.amazonaws.com", load_estate())


# ------------------------------------------------------------------------------- the scenario

SMALL = """\
company: Small
teams:
  all: {{contact: all@small.example, cost_centre: CC-1}}
accounts:
  - id: "111111111111"
    name: only
    environment: test
    alias: small-only
    iam:
      roles:
        - {{name: auditpack-collector, trust: {{accounts: ["111111111111"]}}}}
    regions:
      us-east-1:
        s3:
          - name: small-bucket
            {line}
"""


def test_adding_a_bucket_takes_three_lines() -> None:
    estate = parse_estate(SMALL.format(line="owner: all"))
    with MotoServer() as server:
        summary = seed(server.endpoint_url, estate)
        buckets = Demo(server.endpoint_url, summary).client("s3").list_buckets()["Buckets"]
    assert [bucket["Name"] for bucket in buckets] == ["small-bucket"]


def test_a_mistake_in_the_scenario_is_shown_with_its_line() -> None:
    with pytest.raises(DemoError) as failed:
        parse_estate(SMALL.format(line="encription: aes256"), name="small.yaml")
    assert "small.yaml:16: " in failed.value.where
    assert "encription: Extra inputs are not permitted" in failed.value.where


def test_a_reference_to_nothing_names_the_nearest() -> None:
    estate = parse_estate(SMALL.format(line="owner: al"))
    with MotoServer() as server, pytest.raises(DemoError) as failed:
        seed(server.endpoint_url, estate)
    assert failed.value.what == "the estate refers to team 'al', which does not exist"
    assert failed.value.mend == "did you mean 'all'?"
