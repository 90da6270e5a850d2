"""Protobuf messages as JSON: proto3's own form, with the numbers of a Struct made whole again.

A Struct holds every number as a double, so that 3 would come out as 3.0. Integral numbers become
integers; those beyond 2**53, which a double has rounded, stay as they are, so that nobody takes
them for exact.
"""

from __future__ import annotations

import base64
import json
import math
from typing import Any

import orjson
from google.protobuf import json_format
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

_EXACT = 2**53
_KNOWN_DETAILS = error_details_pb2.DESCRIPTOR.name
"""Naming the module keeps it imported: packed details are found in the descriptor pool by name."""

NOT_RENDERED = "notRendered"
"""The member that says why an asset could not be written as JSON."""


def as_json(message: Any) -> dict[str, Any]:
    """Return an answer as proto3 JSON. An asset that has no JSON form says so, and is kept."""
    if not hasattr(message, "assets"):
        found: dict[str, Any] = json_format.MessageToDict(message)
        return found
    assets = [_asset(asset) for asset in message.assets]
    message.ClearField("assets")
    return {**json_format.MessageToDict(message), **({"assets": assets} if assets else {})}


def _asset(asset: Any) -> dict[str, Any]:
    """Return an asset; the Struct in it is taken out first, since it is not to be proto3's."""
    data = None
    if asset.HasField("resource") and asset.resource.HasField("data"):
        data = _struct(asset.resource.data)
        asset.resource.ClearField("data")
    try:
        found: dict[str, Any] = json_format.MessageToDict(asset)
    except (ValueError, TypeError, OverflowError, json_format.Error) as error:
        known = {"name": asset.name, "assetType": asset.asset_type}
        return {**known, "ancestors": list(asset.ancestors), NOT_RENDERED: str(error)}
    if data is not None:
        found.setdefault("resource", {})["data"] = data
    return found


def _struct(struct: Any) -> dict[str, Any]:
    return {name: _value(value) for name, value in struct.fields.items()}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return value.string_value
    if kind == "struct_value":
        return _struct(value.struct_value)
    if kind == "list_value":
        return [_value(item) for item in value.list_value.values]
    if kind == "bool_value":
        return value.bool_value
    return _number(value.number_value) if kind == "number_value" else None


def _number(number: float) -> Any:
    if not math.isfinite(number):
        return {math.inf: "Infinity", -math.inf: "-Infinity"}.get(number, "NaN")
    return int(number) if number.is_integer() and abs(number) < _EXACT else number


def unknown_bytes(message: Any) -> int:
    """Return how many bytes of a message are of fields that the library does not know yet."""
    known = type(message)()
    known.CopyFrom(message)
    known.DiscardUnknownFields()
    return int(message.ByteSize() - known.ByteSize())


def as_text(data: Any) -> str:
    """Return JSON data as text: the same for the same data, since maps of protobuf have no order.

    What JSON in this form does not hold (numbers of more than 64 bits) is written as Python does.
    """
    try:
        return orjson.dumps(data, option=orjson.OPT_SORT_KEYS).decode()
    except TypeError:
        return json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def status_as_json(packed: bytes) -> dict[str, Any]:
    """Return a google.rpc.Status as JSON; empty where `packed` is none."""
    try:
        status = status_pb2.Status.FromString(packed)
    except DecodeError:
        return {}
    if not packed:
        return {}
    details = [_detail(detail) for detail in status.details]
    return {"code": status.code, "message": status.message, "details": details}


def _detail(detail: Any) -> dict[str, Any]:
    """Return one detail; one of a type that the library does not know stays as its bytes."""
    try:
        return dict(json_format.MessageToDict(detail))
    except (ValueError, TypeError, json_format.Error):
        return {"@type": detail.type_url, "value": base64.b64encode(detail.value).decode()}
