"""The floor rose for sure: whether it still does, since when and how fast."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from poolsleuth.model.finding import Confidence
from poolsleuth.patterns.course.course import Course, Kind
from poolsleuth.patterns.course.doubt import CLEAR_CHANCE, FEW_FLOORS
from poolsleuth.patterns.course.evidence import amount_of_evidence, lower
from poolsleuth.patterns.course.fits import Fit, Form, fill_then_line, fit_forms, fit_log
from poolsleuth.patterns.course.floors import longest_pause, smooth
from poolsleuth.patterns.course.ground import FLOOR_WINDOWS, Floor
from poolsleuth.patterns.course.noise import Slope, robust_slope, slope_error
from poolsleuth.patterns.course.rests import ONE_DAY, may_be_night, rest_of_work, rests_of
from poolsleuth.patterns.course.rhythm import DAY
from poolsleuth.patterns.course.samples import Samples, windows
from poolsleuth.patterns.course.steps import rest_of_two_jumps
from poolsleuth.patterns.course.wandering import wanders
from poolsleuth.patterns.course.words import chance, duration, figure, moment, share

Numbers = NDArray[np.float64]

TAIL = 0.2
"""Growth that stopped in the last 20 % of the time is still called growth: a pause is no end."""

WANDERS = "it moves by chance as well, each move from where the last one ended: such a figure rises like this at times"

LOG_AS_GOOD = 1.15
"""Filling with growth besides must leave less than a logarithm of the time does, divided by this."""

BENT = 2.0
"""By so much better a score a rise that slows down explains the floor than a straight one."""

SEEN = 0.02
"""A bend is seen when a straight line misses the points by more than this share of the rise."""

VAGUE = 0.7
"""An interval that reaches farther than this share of the pace to both sides leaves an answer of medium confidence."""

A_WEEK = 7 * DAY

SLOW_FILL = 3.0
"""Filling that would take up to three times as long as the log is not told from growth."""

SLOW_TAIL = 0.3
"""After the growth phase the pace must be below this share of it to say that it stopped."""

NEVER_BACK = 0.1
"""A floor that gives back less than this share of its rise need not rise straight to be sure."""

JUMPS_BETTER = 0.6
"""Two jumps that leave less than this share of what the growth leaves unexplained are the better answer."""

POINTS_FOR_FORM = 16
"""In less than a day, fewer points of the floor do not tell how straight a rise is."""

QUICK = 1.0
"""What has been full for so many times as long as it took to fill is more likely a cache than a working day's growth;
half of it is enough where it filled slower and slower."""


def kind_of_growth(
    course: Course,
    samples: Samples,
    floor: Floor,
    fits: dict[Form, Fit],
    best: Fit,
    tests: tuple[float, float, float, float],
) -> Course:
    """The floor rose for sure: does it still?"""
    tau, doubt, back, least = tests
    span = floor.hours[-1] - floor.hours[0]
    rises = (
        f"the floor rises by {figure(best.rise)} in {duration(float(span))} "
        f"(Kendall's tau {tau:.2f}, chance {chance(doubt)})"
    )
    course = replace(course, growth=best.rise, because=(rises,))
    short = samples.span < ONE_DAY and not floor.period
    if short and best.form in (Form.WAVE, Form.RAMP) and best.end > 0.75 and _bends(floor, fits):
        return replace(course, kind=Kind.UNCLEAR, confidence=Confidence.LOW, because=(rises, _half_day(samples)))
    after = _after_filling(floor, fits, best, least)
    if after is not None:
        return _leak(course, samples, floor, fits, after, back)
    stopped = _stopped(samples, floor, best)
    if stopped is not None:
        said, rest, sure = stopped
        if rest is not None:
            return replace(course, kind=Kind.UNCLEAR, confidence=Confidence.LOW, because=(rises, f"{said}; {rest}"))
        return replace(course, kind=Kind.FILLED, confidence=sure, because=(rises, said))
    if best.form is Form.FILL and best.end < SLOW_FILL:
        return replace(
            course,
            kind=Kind.UNCLEAR,
            confidence=Confidence.LOW,
            because=(rises, "it grows slower and slower: it may fill up and stop"),
        )
    if short and best.form is not Form.FASTER and not _straight(floor, fits):
        return replace(course, kind=Kind.UNCLEAR, confidence=Confidence.LOW, because=(rises, _half_day(samples)))
    if best.form is not Form.FASTER and rest_of_two_jumps(floor.low) < JUMPS_BETTER * best.rest:
        twice = "two jumps explain the rise far better than growth: a third would tell"
        return replace(course, kind=Kind.UNCLEAR, confidence=Confidence.LOW, because=(rises, twice))
    at_best = wanders(floor, best)
    if at_best is None:
        return replace(course, kind=Kind.UNCLEAR, confidence=Confidence.LOW, because=(rises, WANDERS))
    found = _leak(course, samples, floor, fits, best, back)
    if at_best is not Confidence.HIGH:
        found = replace(found, confidence=lower(found.confidence, at_best), against=(*found.against, WANDERS))
    if found.low is not None and found.low <= 0 and back > NEVER_BACK:
        unsure = f"{found.because[-1]}: the pace may be none"
        return replace(course, kind=Kind.UNCLEAR, confidence=Confidence.LOW, because=(*found.because[:-1], unsure))
    return found


def _after_filling(floor: Floor, fits: dict[Form, Fit], best: Fit, least: float) -> Fit | None:
    """The straight growth besides a cache that filled at the beginning; None when there is none.

    Filling alone, without an end, leaves no line: the line must make the fit better by far.
    """
    if best.form not in (Form.FILL, Form.STOP, Form.JUMP, Form.RAMP):
        return None
    found = fill_then_line(floor.hours, floor.low)
    if found is None:
        return None
    unexplained, where, rise = found
    count = floor.low.size
    bent = min(fits[form].rest for form in (Form.FILL, Form.STOP, Form.JUMP, Form.RAMP))
    if rise < least or rise < 0.1 * best.rise or unexplained > bent * np.exp(-12.0 / count) or unexplained > 0.7 * bent:
        return None
    if unexplained * LOG_AS_GOOD > fit_log(floor.hours, floor.low):
        return None
    later = floor.hours - floor.hours[0] >= where * (floor.hours[-1] - floor.hours[0])
    if later.sum() < FEW_FLOORS:
        return None
    slope = robust_slope(floor.hours[later], floor.low[later])
    if stats.t.sf(slope.t, slope.freedom) > CLEAR_CHANCE:
        return None
    rest = fit_forms(floor.hours[later], floor.low[later])
    if min(rest[Form.FILL].score, rest[Form.STOP].score) < rest[Form.LINE].score:
        return None
    return Fit(Form.START, where, 1.0, rise, unexplained, slope.t, best.score)


def _half_day(samples: Samples) -> str:
    """Why a short log does not tell growth from a day's load."""
    return (
        f"the log covers {duration(samples.span)} and the rise is not straight: "
        "it may be the first half of a day's load"
    )


def _straight(floor: Floor, fits: dict[Form, Fit]) -> bool:
    """Whether a line (from the beginning or from a moment on) fits no worse than half a wave or a bent rise."""
    if not _bends(floor, fits):
        return True
    straight = min(fits[Form.LINE].score, fits[Form.START].score)
    bent = min(fits[Form.WAVE].score, fits[Form.RAMP].score, fits[Form.FASTER].score)
    return straight <= bent


def _slows(floor: Floor, fits: dict[Form, Fit], best: Fit) -> bool:
    """Whether the floor rises more and more slowly, by enough to see it."""
    slowing = best.form in (Form.STOP, Form.FILL, Form.WAVE, Form.RAMP)
    return slowing and fits[Form.LINE].score - best.score > BENT and _bends(floor, fits)


def _bends(floor: Floor, fits: dict[Form, Fit]) -> bool:
    """Whether a straight line misses the floor by enough to see it; less is noise that resembles itself."""
    line = fits[Form.LINE]
    return float(np.sqrt(line.rest / floor.low.size)) > SEEN * line.rise


def _stopped(samples: Samples, floor: Floor, best: Fit) -> tuple[str, str | None, Confidence] | None:
    """Why the growth is over, why that may be a night or a weekend only, how sure it is; None when it goes on."""
    if best.form not in (Form.STOP, Form.RAMP, Form.FILL, Form.WAVE, Form.JUMP):
        return None
    begin, end = floor.hours[0], floor.hours[-1]
    span = end - begin
    stop = begin + span * min(best.end, 1.0)
    tail = end - stop
    after = floor.hours >= stop
    if tail < TAIL * span or after.sum() < 3:
        return None
    phase = (floor.hours >= begin + span * max(best.begin, 0.0)) & ~after
    length = span * (min(best.end, 1.0) - max(best.begin, 0.0))
    pace = best.rise / length if length > 0 else np.inf
    later = robust_slope(floor.hours[after], floor.low[after]).slope
    if later > SLOW_TAIL * pace:
        return None
    pause = longest_pause(floor.hours[phase], smooth(floor.low[phase]), best.rise) if phase.sum() > 3 else 0.0
    if tail < 1.5 * min(pause, 0.5 * length):
        return None
    said = f"it has not grown for the last {duration(float(tail))} ({share(tail / span)} of the time)"
    night = may_be_night(samples, float(stop))
    # What fills up faster than it has been full since is a cache; a working day's growth takes longer.
    quick = QUICK / 2 if best.form is Form.FILL else QUICK
    if night and best.form in (Form.FILL, Form.STOP) and tail >= quick * length:
        return said, None, Confidence.LOW
    rest = rest_of_work(samples, float(stop), rests_of(floor.hours[phase], smooth(floor.low[phase])))
    sure = amount_of_evidence(samples, floor.cycles)
    # Less than a day at rest has not seen all that a day does.
    return said, rest, lower(sure, Confidence.MEDIUM) if tail < DAY else sure


def _leak(course: Course, samples: Samples, floor: Floor, fits: dict[Form, Fit], best: Fit, back: float) -> Course:
    """The floor rises and still does."""
    begin = 0.0
    late = best.form in (Form.START, Form.RAMP, Form.WAVE) and best.begin > 0.08
    filled = best.form is Form.START and best is not fits[Form.START]
    if filled or (late and fits[Form.FASTER].score > fits[Form.START].score):
        begin = float(best.begin) * float(floor.hours[-1] - floor.hours[0])
    chosen = floor.hours >= floor.hours[0] + begin
    if chosen.sum() < 4:
        begin, chosen = 0.0, floor.hours >= floor.hours[0]
    hours, low = floor.hours[chosen], floor.low[chosen]
    grown = (
        samples.part(int(np.searchsorted(samples.hours, floor.hours[0] + begin)), samples.hours.size)
        if begin
        else samples
    )
    if not floor.period and chosen.sum() < FLOOR_WINDOWS // 2 and grown.values.size > 2 * chosen.sum():
        hours, low, _level = windows(grown, int(np.clip(grown.values.size // 4, 8, FLOOR_WINDOWS)))
    slope = _pace(hours, low, grown, floor.period)
    if best.form is Form.FASTER:
        slope = _bent(hours, low, slope)
    middle = float(np.median(low - slope.slope * hours))
    first, last = float(hours[0]), float(hours[-1])
    ends = (
        (samples.seconds(float(grown.hours[0])), middle + slope.slope * float(grown.hours[0])),
        (samples.seconds(float(samples.hours[-1])), middle + slope.slope * float(samples.hours[-1])),
    )
    because = [*course.because, _how_fast(slope, last - first)]
    if begin:
        before = "before that it filled up fast" if filled else "before it was flat (a line with a corner fits best)"
        because.append(f"it grows straight since {moment(ends[0][0])}; {before}")
    if best.form is Form.FASTER:
        because.append("it grows faster and faster")
    if floor.period:
        because.append(f"the same hours of a {duration(floor.period)} rhythm were compared")
    confidence = amount_of_evidence(samples, floor.cycles)
    against = list(course.against)
    for at_most, why in _doubts(samples, floor, fits, best, slope, late=begin > 0):
        confidence = lower(confidence, at_most)
        against += [why] if why else []
    if back > 0.2 or filled:
        confidence = lower(confidence, Confidence.MEDIUM)
    if course.given_back is not None and course.given_back > 0.2:
        against.append(f"it gave back up to {share(min(course.given_back, 1.0))} of a rise, but the floor keeps rising")
    return replace(
        course,
        kind=Kind.LEAK,
        confidence=confidence,
        slope=slope.slope,
        low=slope.slope - slope.reach,
        high=slope.slope + slope.reach,
        starts=ends[0][0],
        growth=max(slope.slope * (last - first), 0.0),
        line=ends,
        because=tuple(because),
        against=tuple(against),
    )


def _doubts(
    samples: Samples, floor: Floor, fits: dict[Form, Fit], best: Fit, slope: Slope, *, late: bool
) -> Iterator[tuple[Confidence, str]]:
    """What speaks against growth without an end: how sure it leaves the answer at most, and in words (or none)."""
    short = samples.span < ONE_DAY and not floor.period
    if late and floor.hours.size * (1 - best.begin) < FEW_FLOORS:
        yield Confidence.MEDIUM, ""
    if late and short:
        yield Confidence.LOW, f"the log covers {duration(samples.span)}: a day's work begins like this as well"
    if best.form is Form.FASTER and short:
        yield Confidence.LOW, _half_day(samples)
    if best.form in (Form.STOP, Form.FILL):
        yield Confidence.MEDIUM, "it grows more slowly at the end"
    if floor.hours.size < POINTS_FOR_FORM and samples.span < ONE_DAY:
        yield Confidence.LOW, f"{floor.hours.size} points do not tell a straight rise from a morning's load"
    if floor.period and samples.span < A_WEEK and _slows(floor, fits, best):
        slower = f"the nights rise more and more slowly within {duration(samples.span)}: a part of a week's load may"
        yield Confidence.LOW, slower
    if slope.slope - slope.reach <= 0:
        yield Confidence.LOW, "the interval of the pace holds 0"
    elif slope.reach > VAGUE * slope.slope:
        yield Confidence.MEDIUM, "the pace is known roughly only"


def _pace(hours: Numbers, low: Numbers, grown: Samples, period: float | None) -> Slope:
    """The slope: of the windows' medians where they tell it better and say the same, else of the floor."""
    floor = robust_slope(hours, low)
    if period or grown.values.size < 3 * hours.size:
        return floor
    at, _low, level = windows(grown, hours.size)
    middle = robust_slope(at, level) if at.size >= 3 else floor
    agree = abs(middle.slope - floor.slope) <= 2.0 * float(np.hypot(middle.error, floor.error))
    return middle if agree and middle.error < floor.error else floor


def _bent(hours: Numbers, low: Numbers, slope: Slope) -> Slope:
    """The average pace of growth that bends: its error comes from what a smooth curve leaves, not from the bend."""
    place = (hours - hours.mean()) / np.ptp(hours)
    basis, _ = np.linalg.qr(np.stack([place**power for power in range(4)], axis=1))
    error, rho, freedom = slope_error(hours, low - basis @ (basis.T @ low))
    # A bent pace has no single true value: two per cent is the least that its average can be off.
    return Slope(slope.slope, max(error, 0.02 * abs(slope.slope)), rho, freedom)


def _how_fast(slope: Slope, hours: float) -> str:
    """The slope with its interval in words."""
    low, high = slope.slope - slope.reach, slope.slope + slope.reach
    return (
        f"Theil-Sen slope of the floor {figure(slope.slope)} an hour (95 %: {figure(low)} to {figure(high)}) "
        f"over {duration(hours)}"
    )
