"""Seed what computes: machines, disks and their copies, functions, images."""

from __future__ import annotations

import io
import zipfile
from typing import Any

from auditpack.demo.estate import Region
from auditpack.demo.model.compute import Function, Instance, Repository, Snapshot, Volume
from auditpack.demo.seeding.place import Place, as_list, for_type
from auditpack.demo.seeding.policies import allow, document

IMAGE = "ami-0a1b2c3d4e5f60718"
"""The image that all machines are made from; it exists only in name."""

HANDLER = "def handler(event, context):\n    return event\n"
"""The code of every function."""


def seed_machines(place: Place, region: Region) -> None:
    """Machines, disks, copies of disks.

    Encryption of new volumes is turned on last: it does not touch those that exist.
    """
    for instance in region.instances:
        seed_instance(place, instance)
    for volume in region.volumes:
        seed_volume(place, volume)
    for snapshot in region.snapshots:
        seed_snapshot(place, snapshot)
    if region.encrypt_new_volumes:
        with place.doing("aws_ebs_encryption_by_default", place.region):
            place.client("ec2").enable_ebs_encryption_by_default()
        place.count("aws_ebs_encryption_by_default", place.region)


def seed_instance(place: Place, instance: Instance) -> None:
    """A virtual machine with its root disk."""
    ec2, name = place.client("ec2"), instance.name
    rest: dict[str, Any] = {}
    if instance.role:
        rest["IamInstanceProfile"] = {"Name": instance.role}
    if instance.user_data:
        rest["UserData"] = instance.user_data
    with place.making("aws_instance", name, instance) as tags:
        named = {"Name": name, **tags}
        disk = {"Name": f"{name}-root", **tags}
        made = ec2.run_instances(
            ImageId=IMAGE,
            MinCount=1,
            MaxCount=1,
            InstanceType=instance.size,
            SubnetId=place.find("subnet", instance.subnet),
            SecurityGroupIds=place.find_all("group", instance.groups),
            MetadataOptions={
                "HttpEndpoint": "enabled",
                "HttpTokens": "required" if instance.imds_v2 else "optional",
                "HttpPutResponseHopLimit": 1,
            },
            Monitoring={"Enabled": instance.monitoring},
            BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": root_disk(place, instance)}],
            TagSpecifications=for_type("instance", named) + for_type("volume", disk),
            **rest,
        )["Instances"][0]["InstanceId"]
        if instance.stopped:
            ec2.stop_instances(InstanceIds=[made])
    place.remember("instance", name, made)
    place.count("aws_ebs_volume", f"{name}-root")


def root_disk(place: Place, instance: Instance) -> dict[str, Any]:
    """The root disk of a machine."""
    disk = {"VolumeSize": 20, "VolumeType": "gp3", "DeleteOnTermination": True}
    if not instance.key:
        return {**disk, "Encrypted": False}
    return {**disk, "Encrypted": True, "KmsKeyId": place.key(instance.key)}


def seed_volume(place: Place, volume: Volume) -> None:
    """A disk of its own."""
    ec2 = place.client("ec2")
    key = {"KmsKeyId": place.key(volume.key)} if volume.key else {}
    with place.making("aws_ebs_volume", volume.name, volume) as tags:
        made = ec2.create_volume(
            AvailabilityZone=f"{place.region}a",
            Size=volume.size,
            VolumeType="gp3",
            Encrypted=bool(volume.key),
            TagSpecifications=for_type("volume", {"Name": volume.name, **tags}),
            **key,
        )["VolumeId"]
        if volume.instance:
            ec2.attach_volume(
                VolumeId=made,
                InstanceId=place.find("instance", volume.instance),
                Device="/dev/sdf",
            )
    place.remember("volume", volume.name, made)


def seed_snapshot(place: Place, snapshot: Snapshot) -> None:
    """A copy of a disk, kept or given away."""
    ec2 = place.client("ec2")
    with place.making("aws_ebs_snapshot", snapshot.name, snapshot) as tags:
        made = ec2.create_snapshot(
            VolumeId=place.find("volume", snapshot.volume),
            Description=snapshot.name,
            TagSpecifications=for_type("snapshot", {"Name": snapshot.name, **tags}),
        )["SnapshotId"]
        receivers: dict[str, Any] = {}
        if snapshot.public:
            receivers["GroupNames"] = ["all"]
        if snapshot.shared_with:
            receivers["UserIds"] = list(snapshot.shared_with)
        if receivers:
            ec2.modify_snapshot_attribute(
                SnapshotId=made,
                Attribute="createVolumePermission",
                OperationType="add",
                **receivers,
            )


def seed_functions(place: Place, functions: tuple[Function, ...]) -> None:
    """Lambda functions, and who may call them."""
    client, package = place.client("lambda"), function_package()
    for function in functions:
        with place.making("aws_lambda_function", function.name, function) as tags:
            client.create_function(
                FunctionName=function.name,
                Runtime=function.runtime,
                Role=place.arn("iam", f"role/{function.role}"),
                Handler="main.handler",
                Code={"ZipFile": package},
                Environment={"Variables": function.environment},
                TracingConfig={"Mode": "Active" if function.tracing else "PassThrough"},
                Tags=tags,
                **function_options(place, function),
            )
            if function.public:
                client.add_permission(
                    FunctionName=function.name,
                    StatementId="everyone",
                    Action="lambda:InvokeFunction",
                    Principal="*",
                )
            if function.url:
                client.create_function_url_config(FunctionName=function.name, AuthType="NONE")


def function_options(place: Place, function: Function) -> dict[str, Any]:
    """What only some functions have."""
    options: dict[str, Any] = {}
    if function.key:
        options["KMSKeyArn"] = place.key(function.key)
    if function.subnets:
        options["VpcConfig"] = {
            "SubnetIds": place.find_all("subnet", function.subnets),
            "SecurityGroupIds": place.find_all("group", function.groups),
        }
    return options


def function_package() -> bytes:
    """The code of every function, as the zip file that Lambda takes; the same bytes each time."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("main.py"), HANDLER)
    return buffer.getvalue()


def seed_repositories(place: Place, repositories: tuple[Repository, ...]) -> None:
    """Repositories of container images."""
    ecr = place.client("ecr")
    for repository in repositories:
        encryption = {"encryptionType": "AES256"}
        if repository.key:
            encryption = {"encryptionType": "KMS", "kmsKey": place.key(repository.key)}
        with place.making("aws_ecr_repository", repository.name, repository) as tags:
            ecr.create_repository(
                repositoryName=repository.name,
                imageScanningConfiguration={"scanOnPush": repository.scan},
                imageTagMutability="IMMUTABLE" if repository.immutable else "MUTABLE",
                encryptionConfiguration=encryption,
                tags=as_list(tags),
            )
            if repository.public:
                ecr.set_repository_policy(
                    repositoryName=repository.name,
                    policyText=document(allow("*", ["ecr:BatchGetImage"], Sid="Everyone")),
                )
