"""botocore's own descriptions of services: which operations there are, and how they are paged."""

from __future__ import annotations

import difflib
import functools
import os
from collections.abc import Mapping
from typing import Any

import botocore.session
from botocore import xform_name
from botocore.exceptions import UnknownServiceError
from botocore.model import OperationModel, ServiceModel
from botocore.paginate import PaginatorModel

_ERROR_HEADERS = frozenset({"x-amzn-errortype", "x-amzn-query-error"})
"""Headers that botocore's parsers take an error's code from (botocore.parsers)."""


@functools.cache
def description_session() -> botocore.session.Session:
    """Return a session for descriptions only: it does not depend on anybody's profile."""
    nobodys = {
        "profile": (None, None, None, None),
        "config_file": (None, None, os.devnull, None),
        "credentials_file": (None, None, os.devnull, None),
    }
    return botocore.session.Session(session_vars=nobodys)


@functools.cache
def service_model(service: str) -> ServiceModel:
    """Return the model of a service, by boto3's client name. Raises ValueError if unknown."""
    try:
        return description_session().get_service_model(service)
    except UnknownServiceError as error:
        near = difflib.get_close_matches(service, description_session().get_available_services(), 1)
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
        model: PaginatorModel = description_session().get_paginator_model(service)
        return dict(model.get_paginator(name))
    except (ValueError, UnknownServiceError):
        return None


def parsed_headers(model: OperationModel, headers: Mapping[str, str]) -> dict[str, str]:
    """Return those of an answer's headers (names in lower case) that botocore reads data from."""
    names, prefixes = set(_ERROR_HEADERS), []
    shape = model.output_shape
    for name, member in (shape.members if shape is not None else {}).items():
        location = member.serialization.get("location")
        header = member.serialization.get("locationName", name).lower()
        if location == "header":
            names.add(header)
        elif location == "headers" and header:
            prefixes.append(header)
    return {
        name: value
        for name, value in sorted(headers.items())
        if name in names or name.startswith(tuple(prefixes))
    }


def is_offered(service: str, region: str, partition: str, url: str) -> bool:
    """Whether the SDK's endpoint data know a service in a region, or do not say.

    `url` is what was asked: an endpoint of one's own (AWS_ENDPOINT_URL) may offer anything.
    """
    known = description_session().get_available_regions(service, partition_name=partition)
    return "amazonaws.com" not in url or not known or region in known


def known_regions(partition: str = "aws") -> list[str]:
    """Return the regions that botocore knows in a partition, for checking what a person typed."""
    return list(description_session().get_available_regions("ec2", partition_name=partition))


def partition_of(region: str) -> str:
    """Return the partition (aws, aws-cn, aws-us-gov) of a region. Raises ValueError if unknown."""
    for partition in description_session().get_available_partitions():
        if region in known_regions(partition):
            return str(partition)
    raise ValueError(region)
