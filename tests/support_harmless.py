"""Values as clouds answer them that are no secrets, but look like some: ids, digests, documents.

`ids` makes them up, by kind; `managed_policies` are AWS's own, as moto has them; `documentation`
and `examples` are what botocore says of every operation of every service.
"""

from __future__ import annotations

import base64
import gzip
import html
import json
import random
import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import botocore

_DATA = Path(botocore.__file__).parent / "data"
_UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_ANY = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_WORDS = (
    *("app", "billing", "orders", "ledger", "customer", "portal", "gateway", "token", "secret"),
    *("password", "key", "auth", "rotation", "backup", "prod", "staging", "eu-west-1"),
    *("service-role", "AWSServiceRoleForAutoScaling", "DeployPipeline"),
)
_RESOURCES = (
    *("vpc", "subnet", "sg", "i", "vol", "snap", "ami", "eni", "rtb", "igw", "nat", "acl"),
    *("eipalloc", "eipassoc", "vpce", "tgw", "tgw-attach", "lt", "pcx", "dopt", "fl", "vgw"),
    *("cgw", "vpn", "fs", "fsap", "fsmt", "sgr", "aclassoc", "rtbassoc", "subnet-cidr-assoc"),
)
_PREFIXES = ("AKIA", "ASIA", "AROA", "AIDA", "ANPA", "AIPA", "AGPA", "ASCA", "APKA")


def services() -> list[str]:
    """Names of all services."""
    return sorted(path.name for path in _DATA.iterdir() if path.is_dir())


def ids(per_kind: int, seed: int = 1) -> Iterator[tuple[str, str]]:
    """Yield (kind, value): `per_kind` values of each kind of id."""
    rng = random.Random(seed)
    for kind, make in _kinds(rng).items():
        for _ in range(per_kind):
            yield kind, make()


def _kinds(rng: random.Random) -> dict[str, Callable[[], str]]:
    names = services()

    def of(alphabet: str, length: int) -> str:
        return "".join(rng.choices(alphabet, k=length))

    def digits(length: int) -> str:
        return of("0123456789", length)

    def hexadecimal(length: int) -> str:
        return of("0123456789abcdef", length)

    def encoded(length: int) -> str:
        return base64.b64encode(rng.randbytes(length)).decode()

    def unique() -> str:
        return str(uuid.UUID(int=rng.getrandbits(128), version=4))

    def name() -> str:
        return rng.choice("-_/").join(rng.choices(_WORDS, k=rng.randint(1, 4)))

    def certificate() -> str:
        body = "\n".join(re.findall(".{1,64}", "MII" + encoded(600)))
        return f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"

    return {
        "ARN with a name": lambda: (
            f"arn:aws:{rng.choice(names)}:eu-west-1:{digits(12)}:{rng.choice(_WORDS)}/{name()}"
        ),
        "ARN with an id": lambda: (
            f"arn:aws:{rng.choice(names)}:us-east-1:{digits(12)}:{rng.choice(_WORDS)}:{unique()}"
        ),
        "ARN of a secret": lambda: (
            f"arn:aws:secretsmanager:eu-west-1:{digits(12)}:secret:{name()}-{of(_ANY, 6)}"
        ),
        "ARN of an assumed role": lambda: (
            f"arn:aws:sts::{digits(12)}:assumed-role/{name().replace('/', '-')}/{of(_ANY, 17)}"
        ),
        "KMS key": lambda: f"arn:aws:kms:eu-west-1:{digits(12)}:key/{unique()}",
        "KMS key of many regions": lambda: f"mrk-{hexadecimal(32)}",
        "load balancer": lambda: f"app/{name().replace('/', '-')}/{hexadecimal(16)}",
        "SHA-1": lambda: hexadecimal(40),
        "SHA-256": lambda: hexadecimal(64),
        "SHA-512": lambda: hexadecimal(128),
        "MD5, quoted": lambda: f'"{hexadecimal(32)}"',
        "etag of parts": lambda: f'"{hexadecimal(32)}-{digits(2)}"',
        "SHA-1 in base64": lambda: encoded(20),
        "SHA-256 in base64": lambda: encoded(32),
        "SHA-512 in base64": lambda: encoded(64),
        "UUID": unique,
        "resource": lambda: f"{rng.choice(_RESOURCES)}-{hexadecimal(17)}",
        "resource, old": lambda: f"{rng.choice(_RESOURCES)}-{hexadecimal(8)}",
        "principal or access key id": lambda: rng.choice(_PREFIXES) + of(_UPPER, 17),
        "account": lambda: digits(12),
        "canonical user": lambda: hexadecimal(64),
        "request": lambda: of(_UPPER, 16),
        "request, extended": lambda: encoded(56),
        "version of an object": lambda: of(_ANY + "._", 32),
        "image digest": lambda: (
            f"{digits(12)}.dkr.ecr.eu-west-1.amazonaws.com/app@sha256:{hexadecimal(64)}"
        ),
        "certificate": certificate,
        "public key": lambda: f"ssh-rsa AAAAB3NzaC1yc2E{encoded(270)} ops@example.com",
        "fingerprint": lambda: ":".join(hexadecimal(2) for _ in range(20)),
        "hosted zone or distribution": lambda: rng.choice("ZE") + of(_UPPER, 13),
        "page token": lambda: encoded(rng.randint(30, 90)),
        "page token of JSON": lambda: base64.b64encode(
            json.dumps({"Marker": None, "boto_truncate_amount": rng.randint(1, 99)}).encode()
        ).decode(),
        "time": lambda: f"20{digits(2)}-0{rng.randint(1, 9)}-1{rng.randint(0, 9)}T06:00:00.000Z",
        "address": lambda: f"10.{rng.randint(0, 255)}.{rng.randint(0, 255)}.0/24",
        "address, IPv6": lambda: ":".join(hexadecimal(4) for _ in range(8)),
        "MAC": lambda: ":".join(hexadecimal(2) for _ in range(6)),
        "queue": lambda: f"https://sqs.eu-west-1.amazonaws.com/{digits(12)}/{name()}",
        "host": lambda: (
            f"{name().replace('/', '.')}.{of('abcdefghijkl', 12)}.eu-west-1.rds.amazonaws.com:5432"
        ),
        "reference to a secret": lambda: (
            f"{{{{resolve:secretsmanager:{name()}:SecretString:password}}}}"
        ),
        "name": name,
        "action": lambda: f"{rng.choice(names)}:Get{rng.choice(_WORDS).title()}",
        "sentence": lambda: (
            f"The {rng.choice(_WORDS)} of the {rng.choice(_WORDS)} is kept elsewhere"
        ),
    }


def managed_policies() -> list[dict[str, Any]]:
    """AWS's managed policies with their documents as text, as IAM answers them."""
    from moto.iam import aws_managed_policies

    loaded = json.loads(aws_managed_policies.aws_managed_policies_data)
    return [
        {"PolicyName": name, **entry, "Document": json.dumps(entry["Document"])}
        for name, entry in loaded.items()
    ]


def documentation() -> Iterator[str]:
    """What botocore says of every service, operation and member, without markup."""
    for file in sorted(_DATA.glob("*/*/service-2.json*")):
        for text in _documented(_load(file)):
            yield html.unescape(re.sub(r"<[^>]+>", "", text))


def examples() -> Iterator[dict[str, Any]]:
    """Answers of services, as botocore gives examples of them."""
    for file in sorted(_DATA.glob("*/*/examples-1.json*")):
        for found in _load(file).get("examples", {}).values():
            yield from (item["output"] for item in found if isinstance(item.get("output"), dict))


def _load(file: Path) -> Any:
    data = file.read_bytes()
    return json.loads(gzip.decompress(data) if file.suffix == ".gz" else data)


def _documented(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "documentation" and isinstance(item, str):
                yield item
            else:
                yield from _documented(item)
    elif isinstance(value, list):
        for item in value:
            yield from _documented(item)


def leaves(value: Any) -> int:
    """How many texts are in a value."""
    if isinstance(value, str):
        return 1
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return sum(map(leaves, inner))
