"""The time, from one place, so that tests can move it. Leases and schedules use the database's clock instead."""

from datetime import UTC, datetime


def now() -> datetime:
    """This instant, in UTC."""
    return datetime.now(UTC)


def from_unix(seconds: float) -> datetime:
    """An instant from Unix seconds; a value above 10^12 is taken for milliseconds (providers send both)."""
    return datetime.fromtimestamp(seconds / 1000 if seconds > 1e12 else seconds, UTC)
