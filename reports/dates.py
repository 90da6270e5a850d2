"""Dates and times as every report prints them."""

from __future__ import annotations

import datetime

_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def day(value: str) -> str:
    """Return an ISO date as `1 October 2026`; other text as it is."""
    try:
        found = datetime.date.fromisoformat(value[:10])
    except ValueError:
        return value
    return f"{found.day} {_MONTHS[found.month - 1]} {found.year}"


def moment(value: str) -> str:
    """Return an ISO 8601 UTC time as `1 October 2026, 08:15:00 UTC`; other text as it is."""
    found = parsed_moment(value)
    return value if found is None else f"{day(found.isoformat())}, {found:%H:%M:%S} UTC"


def parsed_moment(value: str) -> datetime.datetime | None:
    """Return an ISO 8601 time in UTC, or None where it is not one."""
    try:
        found = datetime.datetime.fromisoformat(value)
    except ValueError:
        return None
    return found.astimezone(datetime.UTC) if found.tzinfo else found.replace(tzinfo=datetime.UTC)
