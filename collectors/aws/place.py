"""Where a unit of AWS asks: its region, or the one that global services are asked in."""

from __future__ import annotations

from collectors.aws.spec import AwsResourceType
from collectors.place import Place
from evidence.units import UnitKey

_HOME_REGIONS = {"aws": "us-east-1", "aws-us-gov": "us-gov-west-1", "aws-cn": "cn-north-1"}


def home_region(partition: str, default: str) -> str:
    """Return the region that a partition's global services are asked in, `default` if unknown."""
    return _HOME_REGIONS.get(partition, default)


def place_of(spec: AwsResourceType, key: UnitKey, partition: str, home: str) -> Place:
    """Return where the unit `key` asks; `home` is the account's region for global services."""
    call_region = home if spec.scope == "global" else key.region
    return Place(key.account, partition, key.region, call_region)
