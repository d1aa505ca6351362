"""The time between two captures, and whether the machine was restarted in it."""

from collections.abc import Iterable

from poolsleuth.comparison.side import Side
from poolsleuth.comparison.thresholds import (
    COUNTS_FELL,
    COUNTS_FELL_SHARE,
    RATE_SECONDS,
    REBOOT_SECONDS,
    SAME_MOMENT_SECONDS,
)
from poolsleuth.model.comparison import Span

_WRAP = 1 << 32  # poolmon's counts of allocations have 32 bits


def span_of(before: Side, after: Side, *, over_time: bool) -> Span:
    """Times and uptimes of both sides. Only one machine at two times has a time between, rates and restarts."""
    first, second = before.captured_at, after.captured_at
    up_before, up_after = before.machine.system.uptime_seconds, after.machine.system.uptime_seconds
    seconds = (second - first).total_seconds() if over_time and first is not None and second is not None else None
    if seconds is not None and abs(seconds) < SAME_MOMENT_SECONDS.value:
        seconds = 0.0
    rebooted, basis = _rebooted(before, after, seconds) if over_time else (None, None)
    return Span(
        before_at=first,
        after_at=second,
        before_uptime=up_before,
        after_uptime=up_after,
        seconds=seconds,
        hours=seconds / 3600 if seconds is not None and seconds >= RATE_SECONDS.value else None,
        rebooted=rebooted,
        reboot_basis=basis,
    )


def _rebooted(before: Side, after: Side, seconds: float | None) -> tuple[bool | None, str | None]:
    up_before, up_after = before.machine.system.uptime_seconds, after.machine.system.uptime_seconds
    if seconds is not None and seconds < 0:
        return None, None
    if up_after is not None and seconds is not None:
        if up_before is not None and up_after < up_before - REBOOT_SECONDS.value:
            return True, "the uptime is lower than before"
        short = up_after < seconds - REBOOT_SECONDS.value
        return short, "the uptime is shorter than the time between the captures" if short else "the uptime covers it"
    if up_after is not None and up_before is not None and up_after < up_before:
        return True, "the uptime is lower than before (or the captures stand in the wrong order)"
    fell, known = _counts_fell(before, after)
    if fell >= COUNTS_FELL.value and fell >= COUNTS_FELL_SHARE.value * known:
        says = f"{fell:,} of {known:,} tags have lower counts of allocations, which never fall while Windows runs"
        if seconds == 0:
            return None, says  # nothing lies between: a date is wrong, or there are two machines
        return True, f"{says} (or the captures stand in the wrong order)"
    return None, None


def _counts_fell(before: Side, after: Side) -> tuple[int, int]:
    pairs: Iterable[tuple[int, int]] = (
        (row.allocs, other.allocs)
        for key, row in before.tags.items()
        if row.allocs is not None and (other := after.tags.get(key)) is not None and other.allocs is not None
    )
    fell = known = 0
    for first, second in pairs:
        known += 1
        fell += second < first
    return fell, known


def allocations_between(before: int | None, after: int | None, span: Span, *, over_time: bool) -> int | None:
    """How often a tag was allocated between the captures, None when two counts since boot cannot tell.

    A count that fell although Windows ran on has passed 32 bits: it is then counted on once, which is a lower bound.
    """
    if before is None or after is None or not over_time or span.rebooted or (span.seconds or 0) < 0:
        return None
    if after >= before:
        return after - before
    wrapped = after - before + _WRAP
    return wrapped if span.rebooted is False and before < _WRAP and wrapped < _WRAP // 2 else None
