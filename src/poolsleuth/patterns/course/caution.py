"""What lowers an answer: too little was seen of what load does by day, over a weekend or in a week."""

from dataclasses import replace

import numpy as np

from poolsleuth.model.finding import Confidence
from poolsleuth.patterns.course.course import Course, Kind
from poolsleuth.patterns.course.evidence import lower
from poolsleuth.patterns.course.rests import ONE_DAY
from poolsleuth.patterns.course.rhythm import DAY, DAYS_FOR_RHYTHM, find_period
from poolsleuth.patterns.course.samples import SECONDS_PER_HOUR, Samples, windows
from poolsleuth.patterns.course.words import duration, figure, share

A_SHIFT = 8.0
"""Hours that growth which began within the log must last to be more than a suspicion: a working day's load rises for
less."""

LATE = 0.1
"""Growth that begins later than in this share of the log began within it."""

LATE_SHARE = 0.15
"""Growth in less than this share of the log, at its end, may be a job that has only just begun."""

KEPT = 0.15
"""In the second half of a log the lows lie higher by at least this share of the swing: it did not all come down."""

SAME_HOUR = 0.1
"""The same for the rise from one day's hours to the next day's."""

LEAST_OVERLAP = 4.0
"""Hours of two days that are compared, at least."""

FEWEST_PAIRS = 6

ON_TOP = 0.3
"""What ends higher than ever before by this share of the range has not come down."""

LEVEL = 0.1
"""Lows of the second half that lie higher by less than this share of the swing are the same level, or a lower one."""


def cautious(course: Course, samples: Samples, least: float) -> Course:
    """The answer about one stretch, lowered where the log is too short, or its end too near, to be so sure."""
    if course.kind is Kind.LEAK:
        return _only_a_morning(course, samples)
    if course.kind is Kind.JUMP and course.starts is not None:
        after = samples.span - (course.starts - samples.seconds(float(samples.hours[0]))) / SECONDS_PER_HOUR
        if after < DAY:  # the same hour of the next day may bring the next one
            return replace(course, confidence=lower(course.confidence, Confidence.MEDIUM))
    if course.kind in (Kind.STEADY, Kind.LOAD):
        above = _above_all_before(samples, least)
        if above is not None:
            because = f"it ends {figure(above)} above all that it was before: whether that comes down was not seen"
            return replace(course, kind=Kind.UNCLEAR, confidence=Confidence.LOW, growth=above, because=(because,))
    if course.kind in (Kind.STEADY, Kind.LOAD, Kind.FILLED) and samples.span < DAYS_FOR_RHYTHM * DAY:
        return _both_halves(course, samples, least)
    return course


def _only_a_morning(course: Course, samples: Samples) -> Course:
    """Growth that began within the log and has lasted for less than a working day is sure of nothing."""
    if course.starts is None or course.confidence is Confidence.LOW:
        return course
    end = samples.seconds(float(samples.hours[-1]))
    before = course.starts - samples.seconds(float(samples.hours[0]))
    lasts = (end - course.starts) / SECONDS_PER_HOUR
    if before < LATE * samples.span * SECONDS_PER_HOUR:
        return course
    if lasts < A_SHIFT:
        doubt = f"it has grown for {duration(lasts)} only: a working day's load begins like this"
    elif lasts < LATE_SHARE * samples.span:
        doubt = f"it has grown for the last {share(lasts / samples.span)} of the log only: a long job begins like this"
    else:
        return course
    return replace(course, confidence=Confidence.LOW, against=(*course.against, doubt))


def _above_all_before(samples: Samples, least: float) -> float | None:
    """How far the end lies above nearly everything before the last part; None when that is not far."""
    early = samples.values[samples.hours < samples.hours[0] + (1.0 - LATE_SHARE) * samples.span]
    if early.size < FEWEST_PAIRS:
        return None
    few = max(3, samples.values.size // 50)
    above = float(np.median(samples.values[-few:]) - np.quantile(early, 0.99))
    return above if above >= max(2.0 * least, ON_TOP * float(np.ptp(samples.values))) else None


def _both_halves(course: Course, samples: Samples, least: float) -> Course:
    """What is not called growth in a log of hardly two days: do the quiet hours of its second half lie higher?

    Two humps are no rhythm yet, so that nothing was compared hour by hour. A leak below the day's load shows in the
    lows, and in the end that lies above the beginning.
    """
    if samples.span < ONE_DAY:
        return course
    low, high = (float(part) for part in np.quantile(samples.values, [0.01, 0.99]))
    half = int(np.searchsorted(samples.hours, samples.hours[0] + samples.span / 2))
    begun, ended = (float(np.quantile(part, 0.05)) for part in (samples.values[:half], samples.values[half:]))
    kept = ended - begun
    level = kept <= max(least, LEVEL * (high - low))
    if course.kind is Kind.FILLED or find_period(samples) is not None:
        grown = None
    else:
        grown = _kept(samples, kept, least, high - low) or _since_yesterday(samples, least, high - low)
    if grown is not None:
        rise, why = grown
        because = f"{why}: in {duration(samples.span)} a day's load does not tell whether that comes down"
        return replace(course, kind=Kind.UNCLEAR, confidence=Confidence.LOW, growth=rise, because=(because,))
    if not level and samples.span < 2.0 * DAY:
        return replace(course, confidence=lower(course.confidence, Confidence.MEDIUM))
    return course


def _kept(samples: Samples, kept: float, least: float, swing: float) -> tuple[float, str] | None:
    """How much higher the lows of the second half lie, when the end lies higher than the beginning as well."""
    _hours, _low, tenths = windows(samples, 10)
    rise = float(tenths[-1] - tenths[0])
    if kept < max(2.0 * least, KEPT * swing) or rise < 0.7 * kept:
        return None
    return kept, (
        f"the lows of the second half lie {figure(kept)} above those of the first, "
        f"and its end {figure(rise)} above its beginning"
    )


def _since_yesterday(samples: Samples, least: float, swing: float) -> tuple[float, str] | None:
    """How much higher it lies than at the same hours a day before, when nearly all of them lie higher."""
    later = samples.hours >= samples.hours[0] + DAY
    if samples.span < DAY + LEAST_OVERLAP or later.sum() < FEWEST_PAIRS:
        return None
    before = np.interp(samples.hours[later] - DAY, samples.hours, samples.values)
    more = samples.values[later] - before
    typical, worst = (float(part) for part in np.quantile(more, [0.5, 0.1]))
    if worst <= 0 or typical < max(2.0 * least, SAME_HOUR * swing):
        return None
    return typical, f"it lies {figure(typical)} higher than at the same hours of the day before"
