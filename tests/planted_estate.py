"""An estate on a moto server in which secrets lie wherever clouds let people put them.

`PLACES` is the table: each place, how long a text may be there and how many texts it takes. The
secrets of `support_secrets` are dealt out in rotation, so that each of them lies in several places,
and every place holds several. A text that has to go in encoded is encoded by its place.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import planted_seeding as seeding
from planted_seeding import REGION, ROLE, Cloud, create_function
from support_secrets import Maker, Sample, samples


@dataclass(frozen=True)
class Place:
    """A place for texts: how to plant there, which operation reads it, how long a text may be.

    `number` texts go there.
    `declared` says that a resource type takes all of it out, whatever it is; elsewhere a secret has
    to be recognised. `one_line` says that the cloud refuses line breaks there.
    """

    plant: Callable[[Cloud, Sequence[str]], None]
    read_by: str
    longest: int
    number: int
    declared: bool = False
    one_line: bool = False


PLACES: dict[str, Place] = {
    "Lambda environment": Place(
        seeding.lambda_environment, "list_functions", 4000, 40, declared=True
    ),
    "Lambda description": Place(seeding.lambda_description, "list_functions", 256, 5),
    "Lambda tags": Place(seeding.lambda_tags, "list_tags", 256, 10),
    "ECS environment": Place(
        seeding.ecs_environment, "describe_task_definition", 4000, 40, declared=True
    ),
    "ECS command and entry point": Place(
        seeding.ecs_command, "describe_task_definition", 4000, 10, declared=True
    ),
    "ECS log options and labels": Place(seeding.ecs_options, "describe_task_definition", 4000, 6),
    "launch template user data": Place(
        seeding.template_user_data, "describe_launch_template_versions", 4000, 20, declared=True
    ),
    "launch configuration user data": Place(
        seeding.configuration_user_data, "describe_launch_configurations", 4000, 20, declared=True
    ),
    "EC2 user data": Place(seeding.instance_user_data, "describe_instance_attribute", 4000, 40),
    "EC2 user data, gzipped": Place(
        seeding.instance_packed_user_data, "describe_instance_attribute", 4000, 40
    ),
    "EC2 instance tags": Place(seeding.instance_tags, "describe_instances", 256, 10),
    "EBS volume tags": Place(seeding.volume_tags, "describe_volumes", 256, 20),
    "CodeBuild environment": Place(seeding.codebuild_environment, "batch_get_projects", 4000, 20),
    "Step Functions definition": Place(seeding.state_machine, "describe_state_machine", 4000, 20),
    "Glue job arguments": Place(seeding.glue_arguments, "get_jobs", 4000, 20),
    "EventBridge target input": Place(seeding.event_inputs, "list_targets_by_rule", 4000, 5),
    "Batch job environment": Place(seeding.batch_jobs, "describe_job_definitions", 4000, 20),
    "IAM role description": Place(seeding.role_descriptions, "list_roles", 1000, 5),
    "IAM trust policy": Place(seeding.role_trust, "get_role", 2000, 10),
    "IAM role policy": Place(seeding.role_policies, "get_role_policy", 4000, 10),
    "IAM managed policy": Place(seeding.managed_policies, "get_policy_version", 1000, 10),
    "IAM user tags": Place(seeding.user_tags, "list_user_tags", 256, 20, one_line=True),
    "IAM user policy": Place(seeding.user_policies, "get_user_policy", 4000, 10),
    "KMS description and tags": Place(seeding.key_descriptions, "describe_key", 256, 5),
    "KMS key policy": Place(seeding.key_policies, "get_key_policy", 4000, 10),
    "Secrets Manager description": Place(seeding.secret_descriptions, "list_secrets", 256, 5),
    "SSM parameter description": Place(
        seeding.parameter_descriptions, "describe_parameters", 1024, 10
    ),
    "S3 bucket tags": Place(seeding.bucket_tags, "get_bucket_tagging", 256, 10, one_line=True),
    "S3 bucket policy": Place(seeding.bucket_policy, "get_bucket_policy", 4000, 20),
    "SQS queue policy": Place(seeding.queue_policy, "get_queue_attributes", 4000, 10),
    "SQS queue tags": Place(seeding.queue_tags, "list_queue_tags", 256, 10),
    "SNS display names": Place(seeding.topic_names, "get_topic_attributes", 100, 5),
    "SNS topic policy": Place(seeding.topic_policy, "get_topic_attributes", 4000, 10),
    "SNS endpoints": Place(
        seeding.topic_endpoints, "list_subscriptions_by_topic", 1000, 5, declared=True
    ),
    "DynamoDB tags": Place(seeding.table_tags, "list_tags_of_resource", 256, 10),
    "ECR policy and tags": Place(seeding.repository_policy, "get_repository_policy", 256, 10),
    "EFS tags": Place(seeding.file_system_tags, "describe_file_systems", 256, 10),
    "RDS tags and master password": Place(seeding.database_tags, "describe_db_instances", 256, 10),
    "RDS parameter group description": Place(
        seeding.parameter_groups, "describe_db_parameter_groups", 255, 5
    ),
    "ElastiCache description and tags": Place(
        seeding.cache_tags, "describe_replication_groups", 256, 10
    ),
    "Redshift tags": Place(seeding.warehouse_tags, "describe_clusters", 256, 10),
    "security group and rule descriptions": Place(
        seeding.group_descriptions, "describe_security_groups", 255, 10
    ),
    "API Gateway stage, description, integration": Place(
        seeding.gateway_variables, "get_stages", 512, 10
    ),
    "API Gateway v2 stage variables": Place(seeding.gateway2_variables, "get_stages", 512, 10),
    "load balancer rules, answers and tags": Place(
        seeding.balancer_rules, "describe_rules", 120, 10
    ),
    "CloudFront origin headers and comment": Place(
        seeding.distribution_headers, "get_distribution_config", 128, 10
    ),
    "WAF search strings and description": Place(seeding.firewall_strings, "get_web_acl", 200, 10),
    "Route 53 comments": Place(seeding.zone_comments, "list_hosted_zones", 256, 5),
    "log metric filter patterns": Place(
        seeding.metric_filters, "describe_metric_filters", 1000, 20
    ),
    "CloudWatch alarm descriptions": Place(seeding.alarm_descriptions, "describe_alarms", 1000, 10),
    "CloudFormation template, parameters, outputs": Place(
        seeding.stack_texts, "describe_stacks", 1000, 20
    ),
}


def named_secrets(make: Maker) -> dict[str, str]:
    """Secrets that nothing gives away but the name of what they are the value of."""
    return {
        "DB_PASSWORD": make.word(),
        "db-pass": "z" + make.plain(4),
        "AdminPassword": f'it\'s {make.word()} "quoted"',
        "API_KEY": make.lower(24),
        "ACME_TOKEN": make.lower(20),
        "STRIPE_SECRET": make.lower(20),
        "client_secret": make.word(),
        "SSH_PASSPHRASE": f"correct horse {make.word()}",
        "SIGNING_KEY": make.hex(32),
        "SESSION_COOKIE": make.plain(32),
    }


def plant_named(cloud: Cloud, named: dict[str, str]) -> None:
    """Put named secrets into tags, variables, parameters, outputs and arguments."""
    pairs = [{"Key": name, "Value": value} for name, value in named.items()]
    small = [{"name": name, "value": value} for name, value in named.items()]
    letters = {name.replace("_", "").replace("-", ""): value for name, value in named.items()}
    cloud("ec2").create_volume(
        AvailabilityZone=f"{REGION}a",
        Size=9,
        TagSpecifications=[{"ResourceType": "volume", "Tags": pairs}],
    )
    cloud("sqs").create_queue(QueueName="named", tags=named)
    create_function(cloud, "named", Tags=named, Environment={"Variables": letters})
    cloud("codebuild").create_project(
        name="named",
        source={"type": "S3", "location": "bucket/path"},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={
            "type": "LINUX_CONTAINER",
            "image": "x",
            "computeType": "BUILD_GENERAL1_SMALL",
            "environmentVariables": small,
        },
        serviceRole=ROLE,
    )
    cloud("glue").create_job(
        Name="named",
        Role=ROLE,
        Command={"Name": "glueetl", "ScriptLocation": "s3://bucket/x.py"},
        DefaultArguments={f"--{name}": value for name, value in named.items()},
    )
    cloud("stepfunctions").create_state_machine(
        name="named",
        definition=json.dumps(
            {"StartAt": "S", "States": {"S": {"Type": "Pass", "Result": named, "End": True}}}
        ),
        roleArn=ROLE,
    )
    template = {
        "Parameters": {
            name: {"Type": "String", "Default": value} for name, value in letters.items()
        },
        "Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "stack2"}}},
        "Outputs": {name: {"Value": value} for name, value in letters.items()},
    }
    cloud("cloudformation").create_stack(StackName="named", TemplateBody=json.dumps(template))


@dataclass(frozen=True)
class Planted:
    """A secret that was planted: which, and where."""

    name: str
    place: str
    secret: str


def plant(endpoint: str, seed: int) -> tuple[list[Planted], dict[str, str]]:
    """Fill the estate at `endpoint`; return what was planted where, and what the cloud refused."""
    secrets, named = samples(seed), named_secrets(Maker(seed))
    cloud, rotation = Cloud(endpoint), itertools.cycle(secrets.items())
    plant_named(cloud, named)
    planted = [Planted(name, "by its name", secret) for name, secret in named.items()]
    refused: dict[str, str] = {}
    for name, place in PLACES.items():
        dealt = deal(rotation, place, len(secrets))
        try:
            place.plant(cloud, [before + secret + after for _, (before, secret, after) in dealt])
        except Exception as error:  # noqa: BLE001  whatever moto lacks: the test says how much that may be
            refused[name] = f"{type(error).__name__}: {error}"
            continue
        planted.extend(Planted(kind, name, secret) for kind, (_, secret, _) in dealt)
    return planted, refused


def deal(
    rotation: itertools.cycle[tuple[str, Sample]], place: Place, most: int
) -> list[tuple[str, Sample]]:
    """Take as many secrets as a place has room for, those that fit."""
    fitting = (
        (name, sample)
        for name, sample in itertools.islice(rotation, most)
        if len("".join(sample)) <= place.longest
        and not (place.one_line and "\n" in "".join(sample))
    )
    return list(itertools.islice(fitting, place.number))
