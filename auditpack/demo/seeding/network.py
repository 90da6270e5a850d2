"""Seed networks: VPCs, subnets, security groups, network ACLs, flow logs."""

from __future__ import annotations

from typing import Any

from auditpack.demo.model.network import NetworkAcl, Rule, SecurityGroup, Vpc
from auditpack.demo.seeding.place import Place, for_type

FLOW_LOG_ROLE = "flow-logs"
"""The role by which flow logs are delivered to a log group."""


def seed_networks(place: Place, vpcs: tuple[Vpc, ...]) -> None:
    """Networks with all that is in them."""
    for vpc in vpcs:
        with place.making("aws_vpc", vpc.name, vpc) as tags:
            made = place.client("ec2").create_vpc(
                CidrBlock=vpc.cidr,
                TagSpecifications=for_type("vpc", {"Name": vpc.name, **tags}),
            )["Vpc"]
            place.remember("vpc", vpc.name, made["VpcId"])
        seed_subnets(place, vpc)
        public = tuple(subnet.name for subnet in vpc.subnets if subnet.public)
        if public:
            open_to_internet(place, vpc, public)
        for group in vpc.security_groups:
            seed_group(place, vpc, group)
        for acl in vpc.network_acls:
            seed_acl(place, vpc, acl)
        if vpc.close_default_group:
            close_default_group(place, vpc)
        if vpc.flow_logs:
            seed_flow_logs(place, vpc)


def seed_subnets(place: Place, vpc: Vpc) -> None:
    """Subnets; in the public ones, machines get public addresses."""
    ec2, made = place.client("ec2"), []
    for subnet in vpc.subnets:
        with place.making("aws_subnet", subnet.name, subnet) as tags:
            identifier = ec2.create_subnet(
                VpcId=place.find("vpc", vpc.name),
                CidrBlock=subnet.cidr,
                AvailabilityZone=place.region + subnet.zone,
                TagSpecifications=for_type("subnet", {"Name": subnet.name, **tags}),
            )["Subnet"]["SubnetId"]
            if subnet.public:
                ec2.modify_subnet_attribute(
                    SubnetId=identifier, MapPublicIpOnLaunch={"Value": True}
                )
        made.append(identifier)
        place.remember("subnet", subnet.name, identifier)
    place.remember("subnets", vpc.name, " ".join(made))


def open_to_internet(place: Place, vpc: Vpc, subnets: tuple[str, ...]) -> None:
    """Give the public subnets of a network a way to the internet."""
    ec2, network, name = place.client("ec2"), place.find("vpc", vpc.name), f"{vpc.name}-public"
    with place.making("aws_internet_gateway", vpc.name, vpc) as tags:
        gateway = ec2.create_internet_gateway(
            TagSpecifications=for_type("internet-gateway", {"Name": vpc.name, **tags})
        )["InternetGateway"]["InternetGatewayId"]
        ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=network)
    with place.making("aws_route_table", name, vpc) as tags:
        table = ec2.create_route_table(
            VpcId=network, TagSpecifications=for_type("route-table", {"Name": name, **tags})
        )["RouteTable"]["RouteTableId"]
        ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
        for subnet in subnets:
            ec2.associate_route_table(RouteTableId=table, SubnetId=place.find("subnet", subnet))


def seed_group(place: Place, vpc: Vpc, group: SecurityGroup) -> None:
    """A security group; groups that it lets in have to come before it."""
    ec2 = place.client("ec2")
    with place.making("aws_security_group", group.name, group) as tags:
        identifier = ec2.create_security_group(
            GroupName=group.name,
            Description=group.about,
            VpcId=place.find("vpc", vpc.name),
            TagSpecifications=for_type("security-group", {"Name": group.name, **tags}),
        )["GroupId"]
        if group.open:
            ec2.authorize_security_group_ingress(
                GroupId=identifier,
                IpPermissions=[permission(place, rule) for rule in group.open],
            )
    place.remember("group", group.name, identifier)


def permission(place: Place, rule: Rule) -> dict[str, Any]:
    """A rule as EC2 wants it."""
    ports: dict[str, Any] = {"IpProtocol": "-1"}
    if rule.first is not None:
        ports = {"IpProtocol": "tcp", "FromPort": rule.first, "ToPort": rule.last}
    if rule.group:
        return {**ports, "UserIdGroupPairs": [{"GroupId": place.find("group", rule.group)}]}
    if ":" in rule.source:
        return {**ports, "Ipv6Ranges": [{"CidrIpv6": rule.source}]}
    return {**ports, "IpRanges": [{"CidrIp": rule.source}]}


def seed_acl(place: Place, vpc: Vpc, acl: NetworkAcl) -> None:
    """A network ACL: its rules come in, everything may go out."""
    ec2 = place.client("ec2")
    with place.making("aws_network_acl", acl.name, acl) as tags:
        identifier = ec2.create_network_acl(
            VpcId=place.find("vpc", vpc.name),
            TagSpecifications=for_type("network-acl", {"Name": acl.name, **tags}),
        )["NetworkAcl"]["NetworkAclId"]
        for index, rule in enumerate(acl.allow, start=1):
            tcp = {"Protocol": "6", "PortRange": {"From": rule.first, "To": rule.last}}
            ec2.create_network_acl_entry(
                NetworkAclId=identifier,
                RuleNumber=100 * index,
                RuleAction="allow",
                Egress=False,
                CidrBlock=rule.source,
                **({"Protocol": "-1"} if rule.first is None else tcp),
            )
        ec2.create_network_acl_entry(
            NetworkAclId=identifier,
            RuleNumber=100,
            Protocol="-1",
            RuleAction="allow",
            Egress=True,
            CidrBlock="0.0.0.0/0",
        )
        for subnet in acl.subnets:
            guard_subnet(place, identifier, place.find("subnet", subnet))


def guard_subnet(place: Place, acl: str, subnet: str) -> None:
    """Put a network ACL in the place of the one that guards a subnet by default."""
    ec2 = place.client("ec2")
    (before,) = ec2.describe_network_acls(
        Filters=[{"Name": "association.subnet-id", "Values": [subnet]}]
    )["NetworkAcls"]
    (association,) = [
        item["NetworkAclAssociationId"]
        for item in before["Associations"]
        if item["SubnetId"] == subnet
    ]
    ec2.replace_network_acl_association(AssociationId=association, NetworkAclId=acl)


def close_default_group(place: Place, vpc: Vpc) -> None:
    """Take all rules from the security group that came with the network."""
    ec2 = place.client("ec2")
    with place.doing("aws_default_security_group", vpc.name, vpc.age):
        (group,) = ec2.describe_security_groups(
            Filters=[
                {"Name": "vpc-id", "Values": [place.find("vpc", vpc.name)]},
                {"Name": "group-name", "Values": ["default"]},
            ]
        )["SecurityGroups"]
        for direction in ("ingress", "egress"):
            rules = group["IpPermissions" if direction == "ingress" else "IpPermissionsEgress"]
            if rules:
                revoke = getattr(ec2, f"revoke_security_group_{direction}")
                revoke(GroupId=group["GroupId"], IpPermissions=rules)


def seed_flow_logs(place: Place, vpc: Vpc) -> None:
    """Write down the traffic of a network, in a log group or in a bucket."""
    kind, _, target = vpc.flow_logs.partition("/")
    where = {"LogDestinationType": "s3", "LogDestination": f"arn:aws:s3:::{target}"}
    if kind == "group":
        where = {
            "LogDestinationType": "cloud-watch-logs",
            "LogGroupName": target,
            "DeliverLogsPermissionArn": place.arn("iam", f"role/{FLOW_LOG_ROLE}"),
        }
    with place.making("aws_flow_log", vpc.name, vpc) as tags:
        place.client("ec2").create_flow_logs(
            ResourceIds=[place.find("vpc", vpc.name)],
            ResourceType="VPC",
            TrafficType="ALL",
            TagSpecifications=for_type("vpc-flow-log", tags),
            **where,
        )
