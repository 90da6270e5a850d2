"""Where data rest: keys, buckets, databases, tables, file systems, secrets."""

from __future__ import annotations

from typing import Literal

from auditpack.demo.model.base import Days, Named

BucketStatement = Literal[
    "tls-only", "public-read", "trail-delivery", "config-delivery", "log-delivery"
]
"""Statements that a bucket policy may be made of (see `seeding/policies.py`)."""


class Key(Named):
    """A KMS key, called `alias/<name>`. `open` lets every account of the world use it."""

    rotation: bool = True
    deleting_in: int | None = None
    """Days until it is gone, if it has been scheduled for deletion."""
    open: bool = False


class Bucket(Named):
    """An S3 bucket. `encryption` is `aes256` (AWS's own key) or the name of a KMS key."""

    encryption: str = "aes256"
    versioning: bool = False
    object_lock: bool = False
    log_to: str = ""
    expire_after: int | None = None
    block_public: bool = True
    acl: Literal["private", "public-read"] = "private"
    policy: tuple[BucketStatement, ...] = ()


class Database(Named):
    """An RDS instance; `key` is the KMS key of its storage, and without one it is in the clear."""

    engine: Literal["postgres", "mysql"] = "postgres"
    version: str = "16.3"
    size: int = 100
    vpc: str = ""
    groups: tuple[str, ...] = ()
    key: str = ""
    public: bool = False
    multi_az: bool = False
    backup_days: int = 7
    protected: bool = True
    iam_login: bool = False
    log_exports: bool = True
    minor_upgrades: bool = True


class DatabaseSnapshot(Named):
    """A snapshot of a database, made by hand. `public` lets any account restore it."""

    database: str
    public: bool = False


class Table(Named):
    """A DynamoDB table."""

    key: str = ""
    recovery: bool = True
    protected: bool = True


class FileSystem(Named):
    """An EFS file system."""

    key: str = ""
    subnet: str = ""
    groups: tuple[str, ...] = ()
    backup: bool = True


class Secret(Named):
    """A secret. `rotate_by` is the function that rotates it, `rotated` how many days ago it did."""

    key: str = ""
    about: str = ""
    rotate_by: str = ""
    rotate_every: int = 30
    rotated: Days = 0
