"""Seed who watches: logs, trails, alarms, AWS Config, GuardDuty, Security Hub; topics, queues."""

from __future__ import annotations

import json
from typing import Any

from auditpack.demo.estate import Region
from auditpack.demo.model.base import Thing
from auditpack.demo.model.watch import (
    Alarm,
    Detector,
    LogGroup,
    Queue,
    Recorder,
    Topic,
    Trail,
)
from auditpack.demo.seeding.place import Place, as_list
from auditpack.demo.seeding.policies import document, queue_statement

METRIC_NAMESPACE = "SecurityEvents"


def seed_log_groups(place: Place, groups: tuple[LogGroup, ...]) -> None:
    """Log groups."""
    logs = place.client("logs")
    for group in groups:
        key = {"kmsKeyId": place.key(group.key)} if group.key else {}
        with place.making("aws_cloudwatch_log_group", group.name, group) as tags:
            logs.create_log_group(logGroupName=group.name, tags=tags, **key)
            if group.keep is not None:
                logs.put_retention_policy(logGroupName=group.name, retentionInDays=group.keep)


def seed_topics(place: Place, topics: tuple[Topic, ...]) -> None:
    """SNS topics, and who is told."""
    sns = place.client("sns")
    for topic in topics:
        settings: dict[str, str] = {}
        if topic.key:
            aws = topic.key == "aws"
            settings["KmsMasterKeyId"] = "alias/aws/sns" if aws else place.key(topic.key)
        with place.making("aws_sns_topic", topic.name, topic) as tags:
            arn = sns.create_topic(Name=topic.name, Attributes=settings, Tags=as_list(tags))[
                "TopicArn"
            ]
            if topic.policy:
                words = [queue_statement(word, "sns:Publish", arn) for word in topic.policy]
                sns.set_topic_attributes(
                    TopicArn=arn, AttributeName="Policy", AttributeValue=document(*words)
                )
            if topic.email:
                sns.subscribe(TopicArn=arn, Protocol="email", Endpoint=topic.email)


def seed_queues(place: Place, queues: tuple[Queue, ...]) -> None:
    """SQS queues; those that take the others' dead letters have to come before them."""
    sqs = place.client("sqs")
    for queue in queues:
        arn = place.arn("sqs", queue.name)
        settings = {"SqsManagedSseEnabled": str(queue.encryption == "sqs").lower()}
        if queue.encryption not in ("sqs", "none"):
            settings["KmsMasterKeyId"] = place.key(queue.encryption)
        if queue.dead_letters:
            target = place.arn("sqs", queue.dead_letters)
            settings["RedrivePolicy"] = json.dumps(
                {"deadLetterTargetArn": target, "maxReceiveCount": 5}
            )
        if queue.policy:
            words = [queue_statement(word, "sqs:SendMessage", arn) for word in queue.policy]
            settings["Policy"] = document(*words)
        with place.making("aws_sqs_queue", queue.name, queue) as tags:
            sqs.create_queue(QueueName=queue.name, Attributes=settings, tags=tags)


def seed_trails(place: Place, trails: tuple[Trail, ...]) -> None:
    """CloudTrail trails."""
    for trail in trails:
        with place.making("aws_cloudtrail", trail.name, trail) as tags:
            seed_trail(place, trail, tags)


def seed_trail(place: Place, trail: Trail, tags: dict[str, str]) -> None:
    """One trail: where it writes, what it records."""
    client, rest = place.client("cloudtrail"), {}
    if trail.key:
        rest["KmsKeyId"] = place.key(trail.key)
    if trail.log_group:
        rest["CloudWatchLogsLogGroupArn"] = place.arn("logs", f"log-group:{trail.log_group}:*")
        rest["CloudWatchLogsRoleArn"] = place.arn("iam", f"role/{trail.log_role}")
    client.create_trail(
        Name=trail.name,
        S3BucketName=trail.bucket,
        IsMultiRegionTrail=trail.everywhere,
        IncludeGlobalServiceEvents=trail.everywhere,
        EnableLogFileValidation=trail.validated,
        TagsList=as_list(tags),
        **rest,
    )
    selector: dict[str, Any] = {"ReadWriteType": "All", "IncludeManagementEvents": True}
    if trail.data_events:
        selector["DataResources"] = [{"Type": "AWS::S3::Object", "Values": ["arn:aws:s3"]}]
    client.put_event_selectors(TrailName=trail.name, EventSelectors=[selector])
    if not trail.stopped:
        client.start_logging(Name=trail.name)


def seed_alarms(place: Place, alarms: tuple[Alarm, ...]) -> None:
    """Metric filters on the trail's log, and the alarms on what they find."""
    for alarm in alarms:
        try:
            pattern = place.estate.events[alarm.event]
        except KeyError:
            raise place.unknown("event", alarm.event, place.estate.events) from None
        metric = {"metricNamespace": METRIC_NAMESPACE, "metricName": alarm.event}
        with place.making("aws_cloudwatch_log_metric_filter", alarm.event, alarm):
            place.client("logs").put_metric_filter(
                logGroupName=alarm.log_group,
                filterName=alarm.event,
                filterPattern=pattern,
                metricTransformations=[{**metric, "metricValue": "1"}],
            )
        if not alarm.filter_only:
            seed_alarm(place, alarm)


def seed_alarm(place: Place, alarm: Alarm) -> None:
    """The alarm of one event: at the first time in five minutes."""
    with place.making("aws_cloudwatch_metric_alarm", alarm.event, alarm) as tags:
        place.client("cloudwatch").put_metric_alarm(
            AlarmName=alarm.event,
            AlarmDescription=alarm.note,
            Namespace=METRIC_NAMESPACE,
            MetricName=alarm.event,
            Statistic="Sum",
            Period=300,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanOrEqualToThreshold",
            TreatMissingData="notBreaching",
            ActionsEnabled=not alarm.muted,
            AlarmActions=[place.arn("sns", alarm.topic)] if alarm.topic else [],
            Tags=as_list(tags),
        )


def seed_watchers(place: Place, region: Region) -> None:
    """AWS Config, GuardDuty and Security Hub, where they are on."""
    if region.config:
        seed_recorder(place, region.config)
    if region.guardduty:
        seed_detector(place, region.guardduty)
    if region.security_hub:
        with place.making("aws_securityhub_account", place.region, region.security_hub) as tags:
            place.client("securityhub").enable_security_hub(Tags=tags)


def seed_recorder(place: Place, recorder: Recorder) -> None:
    """AWS Config: what it records, where to, and which rules it checks."""
    config = place.client("config")
    with place.making("aws_config_configuration_recorder", "default", recorder) as tags:
        config.put_configuration_recorder(
            ConfigurationRecorder={
                "name": "default",
                "roleARN": place.arn("iam", f"role/{recorder.role}"),
                "recordingGroup": {
                    "allSupported": True,
                    "includeGlobalResourceTypes": recorder.global_types,
                },
            },
            Tags=as_list(tags),
        )
        config.put_delivery_channel(
            DeliveryChannel={"name": "default", "s3BucketName": recorder.bucket}
        )
        config.start_configuration_recorder(ConfigurationRecorderName="default")
    if recorder.stopped:
        with place.doing("aws_config_configuration_recorder", "default"):
            config.stop_configuration_recorder(ConfigurationRecorderName="default")
    place.count("aws_config_delivery_channel", "default")
    for rule in recorder.rules:
        with place.making("aws_config_config_rule", rule, Thing(age=recorder.age)):
            config.put_config_rule(
                ConfigRule={
                    "ConfigRuleName": rule.lower().replace("_", "-"),
                    "Source": {"Owner": "AWS", "SourceIdentifier": rule},
                }
            )


def seed_detector(place: Place, detector: Detector) -> None:
    """GuardDuty."""
    with place.making("aws_guardduty_detector", place.region, detector) as tags:
        place.client("guardduty").create_detector(
            Enable=not detector.suspended,
            FindingPublishingFrequency="FIFTEEN_MINUTES",
            Features=[{"Name": name, "Status": "ENABLED"} for name in detector.features],
            Tags=tags,
        )
