"""What lowers an answer: too little was seen of what load does by day, over a weekend or in a week."""

from dataclasses import replace

import numpy as np

from poolsleuth.model.finding import Confidence
from poolsleuth.patterns.course.course import Course, Kind
from poolsleuth.patterns.course.evidence import lower
from poolsleuth.patterns.course.rests import A_NIGHT, ONE_DAY
from poolsleuth.patterns.course.rhythm import DAY, DAYS_FOR_RHYTHM, find_period
from poolsleuth.patterns.course.samples import Samples, windows
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

LEVEL = 0.1
"""Lows of the second half that lie higher by less than this share of the swing are the same level, or a lower one."""


def cautious(course: Course, samples: Samples, least: float) -> Course:
    """The answer about one stretch, lowered where the log is too short, or its end too near, to be so sure."""
    if course.kind is Kind.LEAK:
        return _only_a_morning(course, samples)
    if course.kind is Kind.JUMP and course.starts is not None:
        after = 1.0 - (course.starts - samples.origin) / 3600.0 / max(samples.span, 1e-9)
        if after < LATE_SHARE:
            return replace(course, confidence=lower(course.confidence, Confidence.MEDIUM))
    if course.kind is Kind.FILLED and samples.span < A_NIGHT:
        # The whole log may be an evening: it filled in the last hour of work.
        return replace(course, confidence=Confidence.LOW)
    if course.kind in (Kind.STEADY, Kind.LOAD, Kind.FILLED) and samples.span < DAYS_FOR_RHYTHM * DAY:
        return _both_halves(course, samples, least)
    return course


def _only_a_morning(course: Course, samples: Samples) -> Course:
    """Growth that began within the log and has lasted for less than a working day is sure of nothing."""
    if course.starts is None or course.confidence is Confidence.LOW:
        return course
    end = samples.seconds(float(samples.hours[-1]))
    before = course.starts - samples.seconds(float(samples.hours[0]))
    lasts = (end - course.starts) / 3600.0
    if before < LATE * samples.span * 3600.0:
        return course
    if lasts < A_SHIFT:
        doubt = f"it has grown for {duration(lasts)} only: a working day's load begins like this"
    elif lasts < LATE_SHARE * samples.span:
        doubt = f"it has grown for the last {share(lasts / samples.span)} of the log only: a long job begins like this"
    else:
        return course
    return replace(course, confidence=Confidence.LOW, against=(*course.against, doubt))


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
    if course.kind is not Kind.FILLED and kept >= max(2.0 * least, KEPT * (high - low)):
        _hours, _low, tenths = windows(samples, 10)
        rise = float(tenths[-1] - tenths[0])
        if rise >= 0.7 * kept and find_period(samples) is None:
            return replace(
                course,
                kind=Kind.UNCLEAR,
                confidence=Confidence.LOW,
                growth=kept,
                because=(
                    f"the lows of the second half lie {figure(kept)} above those of the first, and its end "
                    f"{figure(rise)} above its beginning: in {duration(samples.span)} a day's load does not tell "
                    "whether that comes down",
                ),
            )
    if not level and samples.span < 2.0 * DAY:
        return replace(course, confidence=lower(course.confidence, Confidence.MEDIUM))
    return course
