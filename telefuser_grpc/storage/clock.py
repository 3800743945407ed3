"""The time, for those who were given no other clock."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Returns the time."""
    return datetime.now(UTC)
