"""The tests' figures in plain words."""

from datetime import UTC, datetime


def figure(value: float) -> str:
    """A figure with thousands separators; small ones with three digits."""
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def share(value: float) -> str:
    """A share in per cent."""
    return f"{100 * value:.0f} %"


def duration(hours: float) -> str:
    """A time span."""
    if hours < 1:
        return f"{60 * hours:.0f} minutes"
    if hours < 48:
        return f"{hours:.1f} hours"
    return f"{hours / 24:.1f} days"


def chance(value: float) -> str:
    """A chance, as small as it is worth saying."""
    return "below 0.0001" if value < 0.0001 else f"{value:.2g}"


def moment(seconds: float) -> str:
    """A time, UTC; times outside the calendar as plain seconds."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (OverflowError, ValueError, OSError):
        return f"{seconds:.0f} s"
