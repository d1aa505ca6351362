"""Times as people type them in options."""

from datetime import UTC, date, datetime

import click

_DAY = 86_400
_LEAST = 0.001  # seconds


def read_time(text: str | None, option: str, *, end: bool = False) -> float | None:
    """Seconds since 1970 UTC of an ISO 8601 time, UTC unless it says otherwise; None for None.

    ``end``: a day alone is meant with all its hours. Raises click.UsageError, with ``option`` in its sentence.
    """
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text.strip())
        if at.tzinfo is None:
            at = at.replace(tzinfo=UTC)
        seconds = at.timestamp()
    except (ValueError, OverflowError, OSError):
        raise click.UsageError(
            f"{option} {text!r} is no time: write it as 2026-03-27, 2026-03-27T10:15 or 2026-03-27T10:15:00+01:00"
        ) from None
    return seconds + _DAY - _LEAST if end and _is_day(text.strip()) else seconds


def _is_day(text: str) -> bool:
    """Whether a time is a day alone, in any form of ISO 8601."""
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
