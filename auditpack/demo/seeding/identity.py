"""Seed IAM: settings, policies, groups, roles, users and their keys."""

from __future__ import annotations

from typing import Any

from auditpack.demo.model.base import Thing
from auditpack.demo.model.identity import AccessKey, Identity, Role, User
from auditpack.demo.seeding.place import HOME_REGION, Access, Place, as_list
from auditpack.demo.seeding.policies import customer_policy, document, trust_statements

DEMO_PASSWORD = "Demo-not-a-real-password-1"
"""The console password of every user; it opens nothing outside this computer."""

SESSION_NAME = "demo-estate"


def seed_identity(place: Place) -> None:
    """Make all of an account's IAM, policies and groups before those who use them."""
    iam, identity = place.client("iam"), place.account.iam
    seed_settings(place, identity)
    for provider in identity.oidc_providers:
        with place.making("aws_iam_openid_connect_provider", provider.host, provider) as tags:
            iam.create_open_id_connect_provider(
                Url=f"https://{provider.host}",
                ClientIDList=[provider.audience],
                ThumbprintList=["ab" * 20],
                Tags=as_list(tags),
            )
    for policy in identity.policies:
        with place.making("aws_iam_policy", policy.name, policy) as tags:
            iam.create_policy(
                PolicyName=policy.name, PolicyDocument=customer_policy(policy), Tags=as_list(tags)
            )
    for group in identity.groups:
        with place.making("aws_iam_group", group.name, group):
            iam.create_group(GroupName=group.name)
            for name in group.policies:
                iam.attach_group_policy(GroupName=group.name, PolicyArn=policy_arn(place, name))
    for role in identity.roles:
        seed_role(place, role)
    for user in identity.users:
        seed_user(place, user)


def seed_settings(place: Place, identity: Identity) -> None:
    """Alias, password policy, security contact."""
    iam, policy, contact = place.client("iam"), identity.password_policy, identity.security_contact
    with place.making("aws_iam_account_alias", place.account.alias, Thing()):
        iam.create_account_alias(AccountAlias=place.account.alias)
    if policy is not None:
        with place.making("aws_iam_account_password_policy", place.account.id, Thing()):
            wanted = {"MaxPasswordAge": policy.max_age, "PasswordReusePrevention": policy.reuse}
            iam.update_account_password_policy(
                MinimumPasswordLength=policy.length,
                RequireSymbols=policy.mixed,
                RequireNumbers=policy.mixed,
                RequireUppercaseCharacters=policy.mixed,
                RequireLowercaseCharacters=policy.mixed,
                AllowUsersToChangePassword=True,
                **{name: value for name, value in wanted.items() if value is not None},
            )
    if contact is not None:
        with place.making("aws_account_alternate_contact", "security", Thing()):
            place.client("account").put_alternate_contact(
                AlternateContactType="SECURITY",
                Name=contact.name,
                Title=contact.title,
                EmailAddress=contact.email,
                PhoneNumber=contact.phone,
            )


def seed_role(place: Place, role: Role) -> None:
    """A role, its policies, its instance profile."""
    iam = place.client("iam")
    trust = document(*trust_statements(role.trust, place.account.id))
    with place.making("aws_iam_role", role.name, role) as tags:
        iam.create_role(RoleName=role.name, AssumeRolePolicyDocument=trust, Tags=as_list(tags))
        for name in role.policies:
            iam.attach_role_policy(RoleName=role.name, PolicyArn=policy_arn(place, name))
    if role.on_instances:
        with place.making("aws_iam_instance_profile", role.name, role):
            iam.create_instance_profile(InstanceProfileName=role.name)
            iam.add_role_to_instance_profile(InstanceProfileName=role.name, RoleName=role.name)


def seed_user(place: Place, user: User) -> None:
    """A user with password, second factor, groups, policies and keys."""
    iam, name = place.client("iam"), user.name
    with place.making("aws_iam_user", name, user) as tags:
        iam.create_user(UserName=name, Tags=as_list(tags))
        if user.console:
            iam.create_login_profile(UserName=name, Password=DEMO_PASSWORD)
        if user.mfa:
            device = iam.create_virtual_mfa_device(VirtualMFADeviceName=name)
            iam.enable_mfa_device(
                UserName=name,
                SerialNumber=device["VirtualMFADevice"]["SerialNumber"],
                AuthenticationCode1="000000",
                AuthenticationCode2="000001",
            )
        for group in user.groups:
            iam.add_user_to_group(UserName=name, GroupName=group)
        for policy in user.policies:
            iam.attach_user_policy(UserName=name, PolicyArn=policy_arn(place, policy))
    for key in user.keys:
        seed_key(place, user, key)


def seed_key(place: Place, user: User, key: AccessKey) -> None:
    """A user's access key; one that has been used is used once, on the day of its last use."""
    iam = place.client("iam")
    with place.making("aws_iam_access_key", user.name, Thing(age=key.age)):
        made = iam.create_access_key(UserName=user.name)["AccessKey"]
        if key.used is not None:
            access = Access(place.account.id, "", made["AccessKeyId"], made["SecretAccessKey"])
            show_up(place, access, key.used)
        if not key.active:
            iam.update_access_key(
                UserName=user.name, AccessKeyId=made["AccessKeyId"], Status="Inactive"
            )


def use_roles(place: Place) -> None:
    """Act once in every role that has been in use, on the day of its last use."""
    for role in place.account.iam.roles:
        if role.used is not None:
            with place.doing("aws_iam_role", role.name, role.used):
                access = take_role(place.client("sts"), place.arn("iam", f"role/{role.name}"))
                show_up(place, access, role.used)


def take_role(sts: Any, role_arn: str) -> Access:
    """Credentials that have taken a role."""
    given = sts.assume_role(RoleArn=role_arn, RoleSessionName=SESSION_NAME)["Credentials"]
    return Access(
        account=role_arn.split(":")[4],
        role_arn=role_arn,
        access_key_id=given["AccessKeyId"],
        secret_access_key=given["SecretAccessKey"],
        session_token=given["SessionToken"],
    )


def show_up(place: Place, access: Access, days_ago: float) -> None:
    """Make one harmless call with these credentials, so that the cloud has seen them."""
    with place.cloud.at(days_ago):
        place.cloud.client("sts", HOME_REGION, access).get_caller_identity()


def policy_arn(place: Place, name: str) -> str:
    """The ARN of `aws:Name` (AWS's own) or of a policy of this account."""
    if name.startswith("aws:"):
        return "arn:aws:iam::aws:policy/" + name.removeprefix("aws:")
    return place.arn("iam", f"policy/{name}")
