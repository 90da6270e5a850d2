"""Seed what rests: KMS keys, S3 buckets, databases, tables, file systems, secrets."""

from __future__ import annotations

from typing import Any

from auditpack.demo.estate import Region
from auditpack.demo.model.storage import Bucket, Database, FileSystem, Key, Secret, Table
from auditpack.demo.seeding.place import HOME_REGION, Place, as_list
from auditpack.demo.seeding.policies import bucket_statement, document, key_policy

DEMO_SECRET = "demo-not-a-real-password-1"
"""What every secret of the estate holds, and every database's password."""

BLOCK_ALL = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}


def seed_keys(place: Place, keys: tuple[Key, ...]) -> None:
    """KMS keys, each with its alias."""
    kms = place.client("kms")
    for key in keys:
        with place.making("aws_kms_key", key.name, key) as tags:
            made = kms.create_key(
                Description=key.note or key.name,
                Policy=key_policy(place.account.id, open_to_all=key.open),
                Tags=as_list(tags, "TagKey", "TagValue"),
            )["KeyMetadata"]
            kms.create_alias(AliasName=f"alias/{key.name}", TargetKeyId=made["KeyId"])
            if key.rotation:
                kms.enable_key_rotation(KeyId=made["KeyId"])
        if key.deleting_in is not None:
            with place.doing("aws_kms_key", key.name):
                kms.schedule_key_deletion(KeyId=made["KeyId"], PendingWindowInDays=key.deleting_in)
        place.remember("key", key.name, made["Arn"])


def seed_buckets(place: Place, buckets: tuple[Bucket, ...]) -> None:
    """S3 buckets; those that collect the others' access logs have to come before them."""
    for bucket in buckets:
        with place.making("aws_s3_bucket", bucket.name, bucket) as tags:
            create_bucket(place, bucket)
            if tags:
                place.client("s3").put_bucket_tagging(
                    Bucket=bucket.name, Tagging={"TagSet": as_list(tags)}
                )
            guard_bucket(place, bucket)
            keep_bucket(place, bucket)


def create_bucket(place: Place, bucket: Bucket) -> None:
    """The bucket itself, and how what is put into it is encrypted."""
    s3, private = place.client("s3"), bucket.acl == "private"
    home = place.region == HOME_REGION
    here = {"CreateBucketConfiguration": {"LocationConstraint": place.region}}
    s3.create_bucket(
        Bucket=bucket.name,
        ObjectOwnership="BucketOwnerEnforced" if private else "ObjectWriter",
        ObjectLockEnabledForBucket=bucket.object_lock,
        **({} if home else here),
    )
    default: dict[str, Any] = {"SSEAlgorithm": "AES256"}
    if bucket.encryption != "aes256":
        default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": place.key(bucket.encryption)}
    rule = {
        "ApplyServerSideEncryptionByDefault": default,
        "BucketKeyEnabled": bucket.encryption != "aes256",
    }
    s3.put_bucket_encryption(
        Bucket=bucket.name, ServerSideEncryptionConfiguration={"Rules": [rule]}
    )


def guard_bucket(place: Place, bucket: Bucket) -> None:
    """Who may reach the bucket."""
    s3 = place.client("s3")
    if bucket.block_public:
        s3.put_public_access_block(Bucket=bucket.name, PublicAccessBlockConfiguration=BLOCK_ALL)
    if bucket.acl != "private":
        s3.put_bucket_acl(Bucket=bucket.name, ACL=bucket.acl)
    if bucket.policy:
        statements = [bucket_statement(word, bucket.name) for word in bucket.policy]
        s3.put_bucket_policy(Bucket=bucket.name, Policy=document(*statements))


def keep_bucket(place: Place, bucket: Bucket) -> None:
    """What is kept, for how long, and who wrote it down."""
    s3 = place.client("s3")
    if bucket.versioning:
        s3.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
    if bucket.log_to:
        target = {"TargetBucket": bucket.log_to, "TargetPrefix": f"{bucket.name}/"}
        s3.put_bucket_logging(Bucket=bucket.name, BucketLoggingStatus={"LoggingEnabled": target})
    if bucket.expire_after is not None:
        rule = {
            "ID": "expire",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "Expiration": {"Days": bucket.expire_after},
        }
        s3.put_bucket_lifecycle_configuration(
            Bucket=bucket.name, LifecycleConfiguration={"Rules": [rule]}
        )


def block_public_s3(place: Place) -> None:
    """Forbid public buckets in the whole account."""
    with place.doing("aws_s3_account_public_access_block", place.account.id):
        place.client("s3control").put_public_access_block(
            AccountId=place.account.id, PublicAccessBlockConfiguration=BLOCK_ALL
        )
    place.count("aws_s3_account_public_access_block", place.account.id)


def seed_databases(place: Place, region: Region) -> None:
    """Databases, then the copies that were made of them by hand."""
    rds = place.client("rds")
    for vpc in sorted({database.vpc for database in region.rds if database.vpc}):
        with place.doing("aws_db_subnet_group", vpc):
            rds.create_db_subnet_group(
                DBSubnetGroupName=vpc,
                DBSubnetGroupDescription=f"subnets of {vpc}",
                SubnetIds=place.find("subnets", vpc).split(),
            )
    for database in region.rds:
        seed_database(place, database)
    for snapshot in region.rds_snapshots:
        with place.making("aws_db_snapshot", snapshot.name, snapshot) as tags:
            rds.create_db_snapshot(
                DBSnapshotIdentifier=snapshot.name,
                DBInstanceIdentifier=snapshot.database,
                Tags=as_list(tags),
            )
            if snapshot.public:
                rds.modify_db_snapshot_attribute(
                    DBSnapshotIdentifier=snapshot.name,
                    AttributeName="restore",
                    ValuesToAdd=["all"],
                )


def seed_database(place: Place, database: Database) -> None:
    """One RDS instance."""
    logs = {"postgres": "postgresql", "mysql": "error"}[database.engine]
    rest: dict[str, Any] = {}
    if database.vpc:
        rest["DBSubnetGroupName"] = database.vpc
    if database.key:
        rest["KmsKeyId"] = place.key(database.key)
    if database.log_exports:
        rest["EnableCloudwatchLogsExports"] = [logs]
    with place.making("aws_db_instance", database.name, database) as tags:
        place.client("rds").create_db_instance(
            DBInstanceIdentifier=database.name,
            DBInstanceClass="db.t4g.medium",
            Engine=database.engine,
            EngineVersion=database.version,
            AllocatedStorage=database.size,
            StorageType="gp3",
            MasterUsername="dbadmin",
            MasterUserPassword=DEMO_SECRET,
            StorageEncrypted=bool(database.key),
            PubliclyAccessible=database.public,
            MultiAZ=database.multi_az,
            BackupRetentionPeriod=database.backup_days,
            DeletionProtection=database.protected,
            EnableIAMDatabaseAuthentication=database.iam_login,
            AutoMinorVersionUpgrade=database.minor_upgrades,
            CopyTagsToSnapshot=True,
            VpcSecurityGroupIds=place.find_all("group", database.groups),
            Tags=as_list(tags),
            **rest,
        )


def seed_tables(place: Place, tables: tuple[Table, ...]) -> None:
    """DynamoDB tables."""
    dynamodb = place.client("dynamodb")
    for table in tables:
        sse: dict[str, Any] = {}
        if table.key:
            key = place.key(table.key)
            sse = {"SSESpecification": {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}}
        with place.making("aws_dynamodb_table", table.name, table) as tags:
            dynamodb.create_table(
                TableName=table.name,
                KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
                DeletionProtectionEnabled=table.protected,
                Tags=as_list(tags),
                **sse,
            )
            if table.recovery:
                dynamodb.update_continuous_backups(
                    TableName=table.name,
                    PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
                )


def seed_file_systems(place: Place, systems: tuple[FileSystem, ...]) -> None:
    """EFS file systems, each reachable from one subnet."""
    efs = place.client("efs")
    for system in systems:
        key = {"KmsKeyId": place.key(system.key)} if system.key else {}
        with place.making("aws_efs_file_system", system.name, system) as tags:
            made = efs.create_file_system(
                CreationToken=system.name,
                Encrypted=bool(system.key),
                Backup=system.backup,
                Tags=as_list({"Name": system.name, **tags}),
                **key,
            )
            if system.subnet:
                efs.create_mount_target(
                    FileSystemId=made["FileSystemId"],
                    SubnetId=place.find("subnet", system.subnet),
                    SecurityGroups=place.find_all("group", system.groups),
                )


def seed_secrets(place: Place, secrets: tuple[Secret, ...]) -> None:
    """Secrets, and the rotation of those that have one."""
    manager = place.client("secretsmanager")
    for secret in secrets:
        with place.making("aws_secretsmanager_secret", secret.name, secret) as tags:
            key = {"KmsKeyId": place.key(secret.key)} if secret.key else {}
            manager.create_secret(
                Name=secret.name,
                Description=secret.about,
                SecretString=DEMO_SECRET,
                Tags=as_list(tags),
                **key,
            )
        if secret.rotate_by:
            rotate(place, secret)


def rotate(place: Place, secret: Secret) -> None:
    """Turn rotation on, on the day when it last happened."""
    with place.doing("aws_secretsmanager_secret", secret.name, secret.rotated):
        place.client("secretsmanager").rotate_secret(
            SecretId=secret.name,
            RotationLambdaARN=place.arn("lambda", f"function:{secret.rotate_by}"),
            RotationRules={"AutomaticallyAfterDays": secret.rotate_every},
        )
