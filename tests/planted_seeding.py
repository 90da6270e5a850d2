"""Seeding a moto server with texts, a function for each place where people can put one."""

from __future__ import annotations

import base64
import gzip
import io
import json
import zipfile
from collections.abc import Sequence
from typing import Any

import boto3

ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/planted"
REGION = "us-east-1"


class Cloud:
    """Clients of the server, and what several places share."""

    def __init__(self, endpoint: str) -> None:
        self._session = boto3.Session("test", "test", region_name=REGION)
        self._endpoint = endpoint
        self._clients: dict[str, Any] = {}
        trust = {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        self("iam").create_role(RoleName="planted", AssumeRolePolicyDocument=document)
        self.vpc = self("ec2").create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
        self.subnets = [
            self("ec2").create_subnet(
                VpcId=self.vpc, CidrBlock=f"10.9.{number}.0/24", AvailabilityZone=f"{REGION}{zone}"
            )["Subnet"]["SubnetId"]
            for number, zone in enumerate("ab")
        ]

    def __call__(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = self._session.client(service, endpoint_url=self._endpoint)
        return self._clients[service]


def policy(texts: Sequence[str], action: str, resource: str = "*") -> str:
    """A policy with texts in its conditions."""
    statements = [
        {
            "Sid": f"S{number}",
            "Effect": "Deny",
            "Principal": {"AWS": "*"},
            "Action": action,
            "Resource": resource,
            "Condition": {"StringEquals": {"aws:UserAgent": text}},
        }
        for number, text in enumerate(texts)
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def inline_policy(texts: Sequence[str], action: str) -> str:
    """A policy of an identity, which names no principal."""
    document = json.loads(policy(texts, action))
    for statement in document["Statement"]:
        del statement["Principal"]
    return json.dumps(document)


def tags(texts: Sequence[str]) -> list[dict[str, str]]:
    """Texts as tags."""
    return [{"Key": f"note-{number}", "Value": text} for number, text in enumerate(texts)]


def tag_map(texts: Sequence[str]) -> dict[str, str]:
    """Texts as tags, as newer services take them."""
    return {tag["Key"]: tag["Value"] for tag in tags(texts)}


def variables(texts: Sequence[str]) -> dict[str, str]:
    """Texts as variables with names that say nothing."""
    return {f"SETTING_{number}": text for number, text in enumerate(texts)}


def package() -> bytes:
    """The code of a function."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("main.py", "def handler(event, context): return event\n")
    return buffer.getvalue()


# ------------------------------------------------------------------------------- what computes


def lambda_environment(cloud: Cloud, texts: Sequence[str]) -> None:
    create_function(cloud, "variables", Environment={"Variables": variables(texts)})


def lambda_description(cloud: Cloud, texts: Sequence[str]) -> None:
    for number, text in enumerate(texts):
        create_function(cloud, f"described-{number}", Description=text)


def lambda_tags(cloud: Cloud, texts: Sequence[str]) -> None:
    create_function(cloud, "tagged", Tags=tag_map(texts))


def create_function(cloud: Cloud, name: str, **more: Any) -> None:
    cloud("lambda").create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role=ROLE,
        Handler="main.handler",
        Code={"ZipFile": package()},
        **more,
    )


def ecs_environment(cloud: Cloud, texts: Sequence[str]) -> None:
    pairs = [{"name": name, "value": text} for name, text in variables(texts).items()]
    register_task(cloud, "environment", environment=pairs)


def ecs_command(cloud: Cloud, texts: Sequence[str]) -> None:
    register_task(cloud, "command", command=["sh", "-c", *texts[::2]], entryPoint=[*texts[1::2]])


def ecs_options(cloud: Cloud, texts: Sequence[str]) -> None:
    options = {"splunk-token": texts[0], "splunk-url": texts[1]}
    register_task(
        cloud,
        "options",
        logConfiguration={"logDriver": "splunk", "options": options},
        dockerLabels=variables(texts[2:]),
    )


def register_task(cloud: Cloud, family: str, **container: Any) -> None:
    cloud("ecs").register_task_definition(
        family=family,
        containerDefinitions=[{"name": "app", "image": "app:1", "memory": 64, **container}],
    )


def user_data(texts: Sequence[str]) -> str:
    return "#!/bin/bash\nset -e\n" + "\n".join(texts) + "\nsystemctl start app\n"


def template_user_data(cloud: Cloud, texts: Sequence[str]) -> None:
    cloud("ec2").create_launch_template(
        LaunchTemplateName="planted",
        LaunchTemplateData={"UserData": base64.b64encode(user_data(texts).encode()).decode()},
    )


def configuration_user_data(cloud: Cloud, texts: Sequence[str]) -> None:
    cloud("autoscaling").create_launch_configuration(
        LaunchConfigurationName="planted",
        ImageId="ami-0a1b2c3d4e5f60718",
        InstanceType="t3.micro",
        UserData=user_data(texts),
    )


def instance_user_data(cloud: Cloud, texts: Sequence[str]) -> None:
    run_instance(cloud, UserData=user_data(texts))


def instance_packed_user_data(cloud: Cloud, texts: Sequence[str]) -> None:
    packed = gzip.compress(user_data(texts).encode(), mtime=0)
    run_instance(cloud, UserData=packed)


def instance_tags(cloud: Cloud, texts: Sequence[str]) -> None:
    run_instance(cloud, TagSpecifications=[{"ResourceType": "instance", "Tags": tags(texts)}])


def run_instance(cloud: Cloud, **more: Any) -> None:
    cloud("ec2").run_instances(
        ImageId="ami-0a1b2c3d4e5f60718",
        MinCount=1,
        MaxCount=1,
        InstanceType="t3.micro",
        SubnetId=cloud.subnets[0],
        **more,
    )


def volume_tags(cloud: Cloud, texts: Sequence[str]) -> None:
    cloud("ec2").create_volume(
        AvailabilityZone=f"{REGION}a",
        Size=8,
        TagSpecifications=[{"ResourceType": "volume", "Tags": tags(texts)}],
    )


def codebuild_environment(cloud: Cloud, texts: Sequence[str]) -> None:
    pairs = [{"name": name, "value": text} for name, text in variables(texts).items()]
    cloud("codebuild").create_project(
        name="planted",
        source={"type": "S3", "location": "bucket/path"},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={
            "type": "LINUX_CONTAINER",
            "image": "x",
            "computeType": "BUILD_GENERAL1_SMALL",
            "environmentVariables": pairs,
        },
        serviceRole=ROLE,
    )


def state_machine(cloud: Cloud, texts: Sequence[str]) -> None:
    states = {
        f"S{number}": {"Type": "Pass", "Parameters": {"setting": text}, "End": True}
        for number, text in enumerate(texts)
    }
    cloud("stepfunctions").create_state_machine(
        name="planted", definition=json.dumps({"StartAt": "S0", "States": states}), roleArn=ROLE
    )


def glue_arguments(cloud: Cloud, texts: Sequence[str]) -> None:
    cloud("glue").create_job(
        Name="planted",
        Role=ROLE,
        Command={"Name": "glueetl", "ScriptLocation": "s3://bucket/x.py"},
        DefaultArguments={f"--{name}": text for name, text in variables(texts).items()},
    )


def event_inputs(cloud: Cloud, texts: Sequence[str]) -> None:
    cloud("events").put_rule(Name="planted", ScheduleExpression="rate(1 day)")
    cloud("events").put_targets(
        Rule="planted",
        Targets=[
            {
                "Id": str(number),
                "Arn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:x",
                "Input": json.dumps({"setting": text}),
            }
            for number, text in enumerate(texts)
        ],
    )


def batch_jobs(cloud: Cloud, texts: Sequence[str]) -> None:
    pairs = [{"name": name, "value": text} for name, text in variables(texts).items()]
    cloud("batch").register_job_definition(
        jobDefinitionName="planted",
        type="container",
        containerProperties={"image": "x", "vcpus": 1, "memory": 64, "environment": pairs},
    )


# ------------------------------------------------------------------------------------ identity


def role_descriptions(cloud: Cloud, texts: Sequence[str]) -> None:
    for number, text in enumerate(texts):
        cloud("iam").create_role(
            RoleName=f"described-{number}",
            AssumeRolePolicyDocument=policy((), "sts:AssumeRole"),
            Description=text,
        )


def role_trust(cloud: Cloud, texts: Sequence[str]) -> None:
    document = json.loads(policy(texts, "sts:AssumeRole"))
    for statement in document["Statement"]:
        del statement["Resource"]
    cloud("iam").create_role(RoleName="trusted", AssumeRolePolicyDocument=json.dumps(document))


def role_policies(cloud: Cloud, texts: Sequence[str]) -> None:
    cloud("iam").put_role_policy(
        RoleName="planted", PolicyName="inline", PolicyDocument=inline_policy(texts, "s3:GetObject")
    )


def managed_policies(cloud: Cloud, texts: Sequence[str]) -> None:
    arn = cloud("iam").create_policy(
        PolicyName="planted",
        PolicyDocument=inline_policy(texts[1:], "s3:GetObject"),
        Description=texts[0],
    )["Policy"]["Arn"]
    cloud("iam").attach_role_policy(RoleName="planted", PolicyArn=arn)


def user_tags(cloud: Cloud, texts: Sequence[str]) -> None:
    cloud("iam").create_user(UserName="planted", Tags=tags(texts))


def user_policies(cloud: Cloud, texts: Sequence[str]) -> None:
    cloud("iam").create_user(UserName="planted-policy")
    cloud("iam").put_user_policy(
        UserName="planted-policy",
        PolicyName="inline",
        PolicyDocument=inline_policy(texts, "s3:GetObject"),
    )


def key_descriptions(cloud: Cloud, texts: Sequence[str]) -> None:
    for text in texts:
        cloud("kms").create_key(Description=text, Tags=[{"TagKey": "note", "TagValue": text}])


def key_policies(cloud: Cloud, texts: Sequence[str]) -> None:
    cloud("kms").create_key(Policy=policy(texts, "kms:Decrypt"))


def secret_descriptions(cloud: Cloud, texts: Sequence[str]) -> None:
    for number, text in enumerate(texts):
        cloud("secretsmanager").create_secret(
            Name=f"planted-{number}", Description=text, Tags=tags([text]), SecretString="of no use"
        )


def parameter_descriptions(cloud: Cloud, texts: Sequence[str]) -> None:
    for number, text in enumerate(texts):
        cloud("ssm").put_parameter(
            Name=f"/planted/{number}", Description=text, Value="1", Type="String"
        )


# ------------------------------------------------------------------------- storage and messages


def bucket_tags(cloud: Cloud, texts: Sequence[str]) -> None:
    cloud("s3").create_bucket(Bucket="planted-tags")
    cloud("s3").put_bucket_tagging(Bucket="planted-tags", Tagging={"TagSet": tags(texts)})


def bucket_policy(cloud: Cloud, texts: Sequence[str]) -> None:
    cloud("s3").create_bucket(Bucket="planted-policy")
    document = policy(texts, "s3:GetObject", "arn:aws:s3:::planted-policy/*")
    cloud("s3").put_bucket_policy(Bucket="planted-policy", Policy=document)


def queue_policy(cloud: Cloud, texts: Sequence[str]) -> None:
    document = policy(texts, "sqs:SendMessage", f"arn:aws:sqs:{REGION}:{ACCOUNT}:planted")
    cloud("sqs").create_queue(QueueName="planted", Attributes={"Policy": document})


def queue_tags(cloud: Cloud, texts: Sequence[str]) -> None:
    cloud("sqs").create_queue(QueueName="tagged", tags=tag_map(texts))


def topic_names(cloud: Cloud, texts: Sequence[str]) -> None:
    for number, text in enumerate(texts):
        cloud("sns").create_topic(Name=f"planted-{number}", Attributes={"DisplayName": text})


def topic_policy(cloud: Cloud, texts: Sequence[str]) -> None:
    topic = cloud("sns").create_topic(Name="policy")["TopicArn"]
    cloud("sns").set_topic_attributes(
        TopicArn=topic,
        AttributeName="Policy",
        AttributeValue=policy(texts, "SNS:Publish", topic),
    )


def topic_endpoints(cloud: Cloud, texts: Sequence[str]) -> None:
    topic = cloud("sns").create_topic(Name="endpoints")["TopicArn"]
    for text in texts:
        cloud("sns").subscribe(
            TopicArn=topic, Protocol="https", Endpoint=f"https://x.example.com/?t={text}"
        )


def table_tags(cloud: Cloud, texts: Sequence[str]) -> None:
    cloud("dynamodb").create_table(
        TableName="planted",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        Tags=tags(texts),
    )


def repository_policy(cloud: Cloud, texts: Sequence[str]) -> None:
    cloud("ecr").create_repository(repositoryName="planted", tags=tags(texts[:2]))
    document = json.loads(policy(texts[2:], "ecr:BatchGetImage"))
    for statement in document["Statement"]:
        del statement["Resource"]
    cloud("ecr").set_repository_policy(repositoryName="planted", policyText=json.dumps(document))


def file_system_tags(cloud: Cloud, texts: Sequence[str]) -> None:
    cloud("efs").create_file_system(CreationToken="planted", Tags=tags(texts))


def database_tags(cloud: Cloud, texts: Sequence[str]) -> None:
    cloud("rds").create_db_instance(
        DBInstanceIdentifier="planted",
        DBInstanceClass="db.t3.micro",
        Engine="postgres",
        AllocatedStorage=20,
        MasterUsername="app",
        MasterUserPassword=texts[0],
        Tags=tags(texts),
    )


def parameter_groups(cloud: Cloud, texts: Sequence[str]) -> None:
    for number, text in enumerate(texts):
        cloud("rds").create_db_parameter_group(
            DBParameterGroupName=f"planted-{number}",
            DBParameterGroupFamily="postgres16",
            Description=text,
        )


def cache_tags(cloud: Cloud, texts: Sequence[str]) -> None:
    cloud("elasticache").create_replication_group(
        ReplicationGroupId="planted",
        ReplicationGroupDescription=texts[0],
        Engine="redis",
        CacheNodeType="cache.t3.micro",
        AuthToken="Zz9" + "x" * 20,
        TransitEncryptionEnabled=True,
        Tags=tags(texts),
    )


def warehouse_tags(cloud: Cloud, texts: Sequence[str]) -> None:
    cloud("redshift").create_cluster(
        ClusterIdentifier="planted",
        NodeType="ra3.large",
        MasterUsername="app",
        MasterUserPassword="Zz9" + "x" * 20,
        Tags=tags(texts),
    )


# ------------------------------------------------------------------------------------- network


def group_descriptions(cloud: Cloud, texts: Sequence[str]) -> None:
    for number, text in enumerate(texts):
        group = cloud("ec2").create_security_group(
            GroupName=f"planted-{number}", Description=text, VpcId=cloud.vpc
        )
        cloud("ec2").authorize_security_group_ingress(
            GroupId=group["GroupId"],
            IpPermissions=[
                {
                    "IpProtocol": "tcp",
                    "FromPort": 443,
                    "ToPort": 443,
                    "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": text}],
                }
            ],
        )


def gateway_variables(cloud: Cloud, texts: Sequence[str]) -> None:
    api = cloud("apigateway")
    rest = api.create_rest_api(name="planted", description=texts[0])["id"]
    root = api.get_resources(restApiId=rest)["items"][0]["id"]
    api.put_method(restApiId=rest, resourceId=root, httpMethod="GET", authorizationType="NONE")
    api.put_integration(
        restApiId=rest,
        resourceId=root,
        httpMethod="GET",
        type="HTTP",
        integrationHttpMethod="GET",
        uri="https://x.example.com/",
        requestParameters={"integration.request.header.x-note": f"'{texts[1]}'"},
        requestTemplates={"application/json": json.dumps({"note": texts[2]})},
    )
    deployment = api.create_deployment(restApiId=rest)["id"]
    api.create_stage(
        restApiId=rest,
        stageName="live",
        deploymentId=deployment,
        variables=variables(texts),
        description=texts[3],
    )


def gateway2_variables(cloud: Cloud, texts: Sequence[str]) -> None:
    api = cloud("apigatewayv2")
    made = api.create_api(Name="planted", ProtocolType="HTTP", Description=texts[0])["ApiId"]
    api.create_stage(ApiId=made, StageName="live", StageVariables=variables(texts))


def balancer_rules(cloud: Cloud, texts: Sequence[str]) -> None:
    elb = cloud("elbv2")
    balancer = elb.create_load_balancer(
        Name="planted", Subnets=cloud.subnets, Tags=tags(texts[:2])
    )["LoadBalancers"][0]["LoadBalancerArn"]
    answer = {
        "Type": "fixed-response",
        "FixedResponseConfig": {"StatusCode": "200", "MessageBody": texts[2]},
    }
    listener = elb.create_listener(
        LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=[answer]
    )["Listeners"][0]["ListenerArn"]
    for number, text in enumerate(texts[3:], 1):
        header = {"HttpHeaderName": "X-Origin", "Values": [text]}
        elb.create_rule(
            ListenerArn=listener,
            Priority=number,
            Conditions=[{"Field": "http-header", "HttpHeaderConfig": header}],
            Actions=[answer],
        )


def distribution_headers(cloud: Cloud, texts: Sequence[str]) -> None:
    headers = [
        {"HeaderName": f"X-{number}", "HeaderValue": text} for number, text in enumerate(texts)
    ]
    cloud("cloudfront").create_distribution(
        DistributionConfig={
            "CallerReference": "planted",
            "Comment": texts[0],
            "Enabled": True,
            "Origins": {
                "Quantity": 1,
                "Items": [
                    {
                        "Id": "o",
                        "DomainName": "x.example.com",
                        "CustomHeaders": {"Quantity": len(headers), "Items": headers},
                        "CustomOriginConfig": {
                            "HTTPPort": 80,
                            "HTTPSPort": 443,
                            "OriginProtocolPolicy": "https-only",
                        },
                    }
                ],
            },
            "DefaultCacheBehavior": {
                "TargetOriginId": "o",
                "ViewerProtocolPolicy": "https-only",
                "ForwardedValues": {"QueryString": False, "Cookies": {"Forward": "none"}},
                "MinTTL": 0,
            },
        }
    )


def firewall_strings(cloud: Cloud, texts: Sequence[str]) -> None:
    visibility = {
        "SampledRequestsEnabled": False,
        "CloudWatchMetricsEnabled": False,
        "MetricName": "m",
    }
    matches = [
        {
            "ByteMatchStatement": {
                "SearchString": text.encode(),
                "FieldToMatch": {"SingleHeader": {"Name": "x-origin"}},
                "TextTransformations": [{"Priority": 0, "Type": "NONE"}],
                "PositionalConstraint": "EXACTLY",
            }
        }
        for text in texts
    ]
    cloud("wafv2").create_web_acl(
        Name="planted",
        Scope="REGIONAL",
        DefaultAction={"Allow": {}},
        Description=texts[0],
        Rules=[
            {
                "Name": "r",
                "Priority": 0,
                "Action": {"Block": {}},
                "Statement": {"OrStatement": {"Statements": matches}},
                "VisibilityConfig": visibility,
            }
        ],
        VisibilityConfig=visibility,
    )


def zone_comments(cloud: Cloud, texts: Sequence[str]) -> None:
    for number, text in enumerate(texts):
        cloud("route53").create_hosted_zone(
            Name=f"z{number}.example.com",
            CallerReference=str(number),
            HostedZoneConfig={"Comment": text},
        )


# ------------------------------------------------------------------------- watching and stacks


def metric_filters(cloud: Cloud, texts: Sequence[str]) -> None:
    cloud("logs").create_log_group(logGroupName="planted", tags=tag_map(texts[:1]))
    for number, text in enumerate(texts):
        cloud("logs").put_metric_filter(
            logGroupName="planted",
            filterName=f"f{number}",
            filterPattern=text,
            metricTransformations=[{"metricName": "m", "metricNamespace": "n", "metricValue": "1"}],
        )


def alarm_descriptions(cloud: Cloud, texts: Sequence[str]) -> None:
    for number, text in enumerate(texts):
        cloud("cloudwatch").put_metric_alarm(
            AlarmName=f"planted-{number}",
            AlarmDescription=text,
            MetricName="m",
            Namespace="n",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
        )


def stack_texts(cloud: Cloud, texts: Sequence[str]) -> None:
    template = {
        "Description": "planted",
        "Parameters": {
            f"Setting{number}": {"Type": "String", "Default": text}
            for number, text in enumerate(texts)
        },
        "Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "stacked"}}},
        "Outputs": {
            f"Output{number}": {"Value": text, "Description": text}
            for number, text in enumerate(texts)
        },
    }
    cloud("cloudformation").create_stack(
        StackName="planted",
        TemplateBody=json.dumps(template),
        Parameters=[
            {"ParameterKey": f"Setting{number}", "ParameterValue": text}
            for number, text in enumerate(texts)
        ],
        Tags=tags(texts[:2]),
    )
