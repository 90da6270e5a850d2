"""botocore's own descriptions of services: which operations there are, and how they are paged."""

from __future__ import annotations

import difflib
import functools
from typing import Any

import botocore.session
from botocore import xform_name
from botocore.exceptions import UnknownServiceError
from botocore.model import OperationModel, ServiceModel
from botocore.paginate import PaginatorModel


@functools.cache
def _session() -> botocore.session.Session:
    """A session for descriptions only: it must not depend on anybody's profile."""
    return botocore.session.Session(session_vars={"profile": (None, None, None, None)})


@functools.cache
def service_model(service: str) -> ServiceModel:
    """Return the model of a service, by boto3's client name. Raises ValueError if unknown."""
    try:
        return _session().get_service_model(service)
    except UnknownServiceError as error:
        near = difflib.get_close_matches(service, _session().get_available_services(), 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"boto3 knows no service {service!r}{hint}") from error


@functools.cache
def _methods(service: str) -> dict[str, str]:
    return {xform_name(name): name for name in service_model(service).operation_names}


@functools.cache
def operation_model(service: str, method: str) -> OperationModel:
    """Return the model of an operation, by boto3's method name. Raises ValueError if unknown."""
    methods = _methods(service)
    if method not in methods:
        near = difflib.get_close_matches(method, methods, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{service} has no operation {method!r}{hint}")
    return service_model(service).operation_model(methods[method])


@functools.cache
def paginator_config(service: str, method: str) -> dict[str, Any] | None:
    """Return botocore's paging description of an operation; None where it has none."""
    name = operation_model(service, method).name
    try:
        model: PaginatorModel = _session().get_paginator_model(service)
        return dict(model.get_paginator(name))
    except (ValueError, UnknownServiceError):
        return None


def known_regions(partition: str = "aws") -> list[str]:
    """Return the regions that botocore knows in a partition, for checking what a person typed."""
    return list(_session().get_available_regions("ec2", partition_name=partition))


def partition_of(region: str) -> str:
    """Return the partition (aws, aws-cn, aws-us-gov) of a region. Raises ValueError if unknown."""
    for partition in _session().get_available_partitions():
        if region in known_regions(partition):
            return str(partition)
    raise ValueError(region)
