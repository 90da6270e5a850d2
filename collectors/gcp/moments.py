"""The one time that a run reads Google Cloud at.

Cloud Asset Inventory answers as of any moment of the last 35 days. All contents and all pages of a
run are asked for at one moment, so that what is read fits together.
"""

from __future__ import annotations

import datetime

from evidence.errors import UsageError

REACHES_BACK = datetime.timedelta(days=35)
"""Source: `read_time` of google.cloud.asset.v1.ListAssetsRequest."""

SETTLING = datetime.timedelta(minutes=10)
"""How far before its start a run reads: what is younger may still change between two pages.

Google calls it a volatile window and does not say how long it is (same source).
"""


def read_time_of(as_of: datetime.datetime | None, now: datetime.datetime) -> str:
    """Return when to read, in RFC 3339: `as_of`, or a little before `now`. Raises UsageError."""
    if as_of is None:
        return as_rfc3339(now - SETTLING)
    if as_of.tzinfo is None:
        raise UsageError(
            f"{as_of.isoformat()} does not say in which time zone it is",
            where="as of",
            mend="Write it like 2026-11-01T00:00:00Z.",
        )
    if as_of > now:
        raise UsageError(
            f"{as_rfc3339(as_of)} has not come yet: it is {as_rfc3339(now)}",
            where="as of",
            mend="Name a time of the last 35 days.",
        )
    if as_of < now - REACHES_BACK:
        raise UsageError(
            f"Google Cloud is not known any more as of {as_rfc3339(as_of)}: Cloud Asset Inventory"
            f" reaches back 35 days, to {as_rfc3339(now - REACHES_BACK)}",
            where="as of",
            mend="Name a later time, or use a snapshot that was collected then.",
        )
    return as_rfc3339(as_of)


def parse_moment(text: str) -> datetime.datetime:
    """Return the time that `text` names in ISO 8601. Raises UsageError."""
    try:
        return datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            f"{text!r} is not a time", where="as of", mend="Write it like 2026-11-01T00:00:00Z."
        ) from error


def as_rfc3339(moment: datetime.datetime) -> str:
    """Return a time in UTC as RFC 3339, to the second."""
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def same_moment(one: str, other: str) -> bool:
    """Whether two times in RFC 3339 are the same; text that is no time is another."""
    if one == other:
        return True
    try:
        return datetime.datetime.fromisoformat(one) == datetime.datetime.fromisoformat(other)
    except (ValueError, TypeError):
        return False
