"""What computes and what carries traffic: machines, disks, functions, load balancers, images."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from auditpack.demo.model.base import Days, Named

ListenerKind = Literal["https", "https-old", "http", "http-redirect"]
"""What a load balancer listens to; `https-old` still accepts TLS 1.0."""


class Instance(Named):
    """A virtual machine; `key` encrypts its root disk, and without one it is in the clear."""

    subnet: str
    groups: tuple[str, ...] = ()
    size: str = "t3.medium"
    role: str = ""
    key: str = ""
    imds_v2: bool = True
    stopped: bool = False
    monitoring: bool = False
    user_data: str = ""


class Volume(Named):
    """A disk of its own, attached to an instance or left over."""

    size: int = 50
    key: str = ""
    instance: str = ""


class Snapshot(Named):
    """A copy of a disk. `public` lets any account copy it, `shared_with` the accounts named."""

    volume: str
    public: bool = False
    shared_with: tuple[str, ...] = ()


class Function(Named):
    """A Lambda function. `public` lets anyone call it, `url` puts it on the web without a login."""

    runtime: str = "python3.13"
    role: str
    environment: dict[str, str] = Field(default_factory=dict)
    key: str = ""
    subnets: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    tracing: bool = False
    public: bool = False
    url: bool = False


class Repository(Named):
    """A repository of container images."""

    scan: bool = True
    immutable: bool = True
    key: str = ""
    public: bool = False


class Certificate(Named):
    """A TLS certificate for `name`: issued by AWS, or brought along if it says when it expires."""

    expires_in: int | None = None
    """Days until it expires (negative: expired); it is then an imported, self-signed one."""
    valid_for: Days = 365


class LoadBalancer(Named):
    """An application load balancer."""

    vpc: str
    subnets: tuple[str, ...]
    groups: tuple[str, ...] = ()
    internal: bool = False
    listeners: tuple[ListenerKind, ...] = ("https", "http-redirect")
    certificate: str = ""
    log_to: str = ""
    protected: bool = True
    drop_bad_headers: bool = True
