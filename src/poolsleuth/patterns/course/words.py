"""The tests' figures in plain words."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

_SHOWN: ContextVar[Callable[[float], str] | None] = ContextVar("shown", default=None)
_ZONE: ContextVar[str] = ContextVar("zone", default="UTC")


@contextmanager
def shown(as_: Callable[[float], str], zone: str = "UTC") -> Iterator[None]:
    """Within it, figures are written by ``as_`` ("38.4 MB"), and times are called those of ``zone``: the tests know
    numbers only, their caller knows what is counted."""
    figures, zones = _SHOWN.set(as_), _ZONE.set(zone)
    try:
        yield
    finally:
        _SHOWN.reset(figures)
        _ZONE.reset(zones)


def figure(value: float) -> str:
    """A figure as its caller writes them, else with thousands separators, and small ones with three digits."""
    as_ = _SHOWN.get()
    if as_ is not None:
        return as_(value)
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
    """A time of the zone that the caller names; times outside the calendar as plain seconds."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M ") + _ZONE.get()
    except (OverflowError, ValueError, OSError):
        return f"{seconds:.0f} s"
