"""Who may do what: users, groups, roles, policies and the account's own settings."""

from __future__ import annotations

from auditpack.demo.model.base import Days, Model, Named, Thing


class AccessKey(Model):
    """A user's key. `used` is how many days ago it was last used; without it, never."""

    age: Days
    used: Days | None = None
    active: bool = True


class User(Named):
    """A person (`console`) or a program (`keys`).

    `policies` are attached to the user himself: `aws:Name` is one of AWS's own, a plain name one
    of this account's.
    """

    console: bool = False
    mfa: bool = False
    groups: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    keys: tuple[AccessKey, ...] = ()


class Group(Named):
    """A group of users and the policies that its members get."""

    policies: tuple[str, ...] = ()


class Trust(Model):
    """Who may take a role.

    `services` are AWS services (`ec2`), `accounts` whole accounts, asked for `external_id` or for
    a second factor (`mfa`) where given. `anyone` is the mistake it looks like. `oidc` is
    `provider` or `provider#subject`: what a pipeline must show.
    """

    services: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    external_id: str = ""
    mfa: bool = False
    anyone: bool = False
    oidc: str = ""


class Role(Named):
    """A role. `used` is how many days ago somebody last acted in it; without it, never.

    `on_instances` also makes an instance profile of the same name.
    """

    trust: Trust
    policies: tuple[str, ...] = ()
    on_instances: bool = False
    used: Days | None = None


class Statement(Model):
    """Allow these actions on these resources."""

    actions: tuple[str, ...]
    resources: tuple[str, ...] = ("*",)


class Policy(Named):
    """A policy that the account wrote itself."""

    allow: tuple[Statement, ...]


class PasswordPolicy(Model):
    """What passwords must be like."""

    length: int
    mixed: bool
    """Symbols, digits, upper and lower case are all required."""
    max_age: int | None = None
    reuse: int | None = None


class Contact(Model):
    """Whom AWS calls about security."""

    name: str
    title: str
    email: str
    phone: str


class OidcProvider(Thing):
    """A foreign identity provider, such as a pipeline's."""

    host: str
    audience: str = "sts.amazonaws.com"


class Identity(Model):
    """All of an account's IAM."""

    password_policy: PasswordPolicy | None = None
    security_contact: Contact | None = None
    oidc_providers: tuple[OidcProvider, ...] = ()
    policies: tuple[Policy, ...] = ()
    groups: tuple[Group, ...] = ()
    roles: tuple[Role, ...] = ()
    users: tuple[User, ...] = ()
