"""Words and figures for findings that rest on time: rates, spans, dates, and when a limit is reached."""

from datetime import UTC, datetime

from poolsleuth.model.facts import Reason
from poolsleuth.model.finding import Confidence, Trend
from poolsleuth.model.series import moment
from poolsleuth.patterns.course.course import Course, Kind
from poolsleuth.patterns.lines import Line
from poolsleuth.patterns.views import PoolState
from poolsleuth.patterns.wording import amount
from poolsleuth.windows.counters import Unit

FARTHEST_HOURS = 20 * 365 * 24.0  # a forecast beyond twenty years is none


def rate(course: Course, unit: Unit) -> str:
    """ "11.0 MB an hour (10.2 MB to 11.8 MB)"; empty when no growth was fitted."""
    if course.slope is None:
        return ""
    text = f"{amount(course.slope, unit)} an hour"
    if course.low is not None and course.high is not None:
        low, high = amount(course.low, unit), amount(course.high, unit)
        text += f" ({low} to {high})" if low != high else ""
    return text


def span(hours: float) -> str:
    """ "35 minutes", "26 hours", "12 days"."""
    if hours < 2:
        return f"{round(hours * 60)} minutes"
    return f"{hours:.0f} hours" if hours < 72 else f"{hours / 24:.0f} days"


def date(seconds: float | None, *, utc: bool) -> str:
    """A time for a sentence: "2008-03-27 10:15 UTC"; local times of an unknown zone are called so."""
    at = moment(seconds)
    if at is None:
        return "an unknown time"
    return f"{at:%Y-%m-%d %H:%M} {'UTC' if utc else '(local time of the server)'}"


def course_reasons(course: Course, line: Line) -> tuple[Reason, ...]:
    """What was seen, then which tests decided."""
    reasons = [Reason(seen(course, line), line.where)]
    reasons += [Reason(text, line.where) for text in course.because]
    return tuple(reasons)


def doubts(course: Course) -> tuple[Reason, ...]:
    """What speaks against the course; a course of low confidence always has something against it."""
    reasons = tuple(Reason(text) for text in course.against)
    if not reasons and course.confidence is Confidence.LOW:
        reasons = (Reason(f"{span(course.hours)} and {course.samples:,} samples are too little to be sure"),)
    return reasons


def seen(course: Course, line: Line) -> str:
    """One sentence on what a line showed over its time."""
    over = f"over {span(course.hours)} ({course.samples:,} samples, {line.source})"
    ends = ""
    if course.first is not None and course.last is not None:
        ends = f"from {amount(course.first, line.unit)} to {amount(course.last, line.unit)} "
    peak = f", at most {amount(course.peak, line.unit)}" if course.peak is not None else ""
    return f"{ends}{over}{peak}"


def limit_reached_at(
    course: Course, line: Line, state: PoolState | None, pool: Line | None, pace: float = 0.0
) -> datetime | None:
    """When the pool is full at this rate; None when the limit is not known, nothing grows, or it is too far away.

    ``line`` is what grows, ``pool`` the pool it grows in (None: the line itself is the pool). ``pace`` is what all of
    the pool grows by in an hour, where that is known to be more than this one's share.
    """
    whole = pool if pool is not None else line
    used, limit = whole.last, state.limit if state is not None else None
    if course.slope is None or course.slope <= 0 or limit is None or used is None or not whole.utc:
        return None
    hours = (limit - used) / max(course.slope, pace)
    if hours > FARTHEST_HOURS:
        return None
    return moment(float(whole.times[-1]) + max(0.0, hours) * 3600)


def trend_of(
    course: Course, line: Line, blocks: Course | None, state: PoolState | None, pool: Line | None, pace: float = 0.0
) -> Trend | None:
    """The growth as a finding carries it; None when no growth was fitted or the line does not count bytes."""
    if course.slope is None or course.low is None or course.high is None or line.unit is not Unit.BYTES:
        return None
    return Trend(
        bytes_per_hour=course.slope,
        low=course.low,
        high=course.high,
        allocs_per_hour=blocks.slope if blocks is not None and blocks.grows else None,
        limit_reached_at=limit_reached_at(course, line, state, pool, pace),
    )


WORDS = {
    Kind.LEAK: "grows and does not come down",
    Kind.STEPS: "grows in steps and gives nothing back",
    Kind.LOAD: "rises and comes back down",
    Kind.FILLED: "grew and has stopped growing",
    Kind.JUMP: "rose once and stays there",
    Kind.STEADY: "stays where it is",
    Kind.FALLING: "goes down",
    Kind.UNCLEAR: "rises, but what that is cannot be told yet",
    Kind.TOO_SHORT: "was not watched long enough",
}


def hours_until(at: datetime | None, line: Line) -> float | None:
    """Hours from the line's last sample to a date; None when there is no date."""
    last = moment(float(line.times[-1])) if len(line.times) else None
    if at is None or last is None:
        return None
    return (at.astimezone(UTC) - last).total_seconds() / 3600
