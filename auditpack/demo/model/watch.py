"""Who watches: trails, recorders, detectors, logs, alarms, topics and queues."""

from __future__ import annotations

from typing import Literal

from auditpack.demo.model.base import Named, Thing

QueueStatement = Literal["tls-only", "public"]
"""Statements that a topic's or queue's policy may be made of (see `seeding/policies.py`)."""


class LogGroup(Named):
    """A log group. Without `keep` its lines are kept for ever."""

    keep: int | None = None
    key: str = ""


class Topic(Named):
    """An SNS topic. `key` is a KMS key of the region, or `aws` for AWS's own."""

    key: str = ""
    email: str = ""
    policy: tuple[QueueStatement, ...] = ()


class Queue(Named):
    """An SQS queue. `encryption` is `none`, `sqs` (AWS's own key) or the name of a KMS key."""

    encryption: str = "sqs"
    dead_letters: str = ""
    policy: tuple[QueueStatement, ...] = ()


class Alarm(Thing):
    """An alarm on one of the estate's `events`, found in a log group by a metric filter.

    `topic` is whom it tells; `filter_only` leaves the alarm out; `muted` disables its actions.
    """

    event: str
    log_group: str
    topic: str = ""
    filter_only: bool = False
    muted: bool = False


class Trail(Named):
    """A CloudTrail trail; `data_events` also records reads and writes of objects in S3."""

    bucket: str
    everywhere: bool = False
    validated: bool = False
    key: str = ""
    log_group: str = ""
    log_role: str = ""
    data_events: bool = False
    stopped: bool = False


class Recorder(Thing):
    """AWS Config: records how resources change."""

    role: str
    bucket: str
    global_types: bool = False
    stopped: bool = False
    rules: tuple[str, ...] = ()
    """Managed rules that are on, by their identifiers."""


class Detector(Thing):
    """GuardDuty."""

    suspended: bool = False
    features: tuple[str, ...] = ()


class Hub(Thing):
    """Security Hub."""
