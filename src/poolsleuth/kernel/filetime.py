"""Times of the kernel: a FILETIME counts 100 ns since 1601, in UTC."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_YEARS = range(1996, 2101)  # Windows NT 4 to far beyond: what lies outside is damage, not a time


def utc(filetime: int | None) -> datetime | None:
    """The time a FILETIME tells, in UTC; None when there is none, or when it cannot be true."""
    if not filetime or filetime < 0 or filetime >= 1 << 63:
        return None
    try:
        time = _EPOCH + timedelta(microseconds=filetime // 10)
    except OverflowError:
        return None
    return time if time.year in _YEARS else None
