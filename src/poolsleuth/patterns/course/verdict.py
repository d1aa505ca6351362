"""Judges one stretch without reboots: the floor decides, then its shape says which kind it is."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from poolsleuth.model.finding import Confidence
from poolsleuth.patterns.course.course import Course, Kind
from poolsleuth.patterns.course.fits import Fit, Form, fill_then_line, fit_forms
from poolsleuth.patterns.course.floors import given_back, largest_fall, longest_pause, smooth, without_peaks
from poolsleuth.patterns.course.noise import Slope, coin_test, mann_kendall, robust_slope
from poolsleuth.patterns.course.rhythm import DAY, find_period, quiet_levels
from poolsleuth.patterns.course.samples import Samples, lone_outliers, windows
from poolsleuth.patterns.course.steps import Staircase, find_steps
from poolsleuth.patterns.course.words import chance, duration, figure, moment, share

Numbers = NDArray[np.float64]

FEWEST_SAMPLES = 6
SHORTEST_HOURS = 0.5
SURE_SAMPLES = 10
SURE_HOURS = 2.0
HIGH_HOURS = 24.0
HIGH_CYCLES = 2.0

FLOOR_WINDOWS = 60
"""So many windows at most carry the floor: enough for shape and noise, few enough for statistics on pairs."""

CLEAR_CHANCE = 1e-3
"""Growth counts when chance alone (for noise as correlated as this one) would show it less often."""

FEWEST_FLOORS = 4
FEWEST_NIGHTS = 6

NO_RHYTHM = 0.25
"""A level that gives back less than this share of its rises is its own floor."""

LOWEST = 0.02
"""The floor of a whole cycle: nearly its smallest value, because a cycle may rest for a short time only."""

FEW_FLOORS = 8
"""Fewer floors than this are judged by a line alone."""

WEAK_CHANCE = 0.02
"""Below this it is worth saying that something may grow."""

FLOOR_FALL = 0.4
"""A floor that falls by more than this share of its rise came down."""

AT_ONCE = 0.12
"""A rise that takes less than this share of the time is a jump."""

TAIL = 0.2
"""Growth that stopped in the last 20 % of the time is still called growth: a pause is no end."""

SLOW_FILL = 3.0
"""Filling that would take up to three times as long as the log is not told from growth."""

SLOW_TAIL = 0.3
"""After the growth phase the pace must be below this share of it to say that it stopped."""

MATTERS = 0.1
"""A swing of load is at least this share of the peak."""

ONE_DAY = 20.0
"""In less than about a day a rise may be the first half of a daily rhythm."""


@dataclass(frozen=True, slots=True)
class Floor:
    """The floor of a stretch: points of it, its windows' medians, the rhythm and what the tests say."""

    hours: Numbers
    low: Numbers
    window_hours: Numbers
    level: Numbers
    window_low: Numbers
    period: float | None
    cycles: float


def basics(samples: Samples, raw: Samples | None = None) -> Course:
    """A course that says only what was measured, not yet what it is."""
    values = (raw or samples).values
    count = int(values.size)
    return Course(
        kind=Kind.TOO_SHORT,
        confidence=Confidence.LOW,
        samples=count,
        hours=samples.span,
        first=float(values[0]) if count else None,
        last=float(values[-1]) if count else None,
        floor=float(values.min()) if count else None,
        peak=float(values.max()) if count else None,
    )


def amount_of_evidence(samples: Samples, cycles: float = 0.0) -> Confidence:
    """How sure an answer about so many samples and so long a time can be at best."""
    if samples.values.size < SURE_SAMPLES or samples.span < SURE_HOURS:
        return Confidence.LOW
    if samples.span >= HIGH_HOURS or cycles >= HIGH_CYCLES:
        return Confidence.HIGH
    return Confidence.MEDIUM


def lower(one: Confidence, other: Confidence) -> Confidence:
    """The less sure of two."""
    order = (Confidence.LOW, Confidence.MEDIUM, Confidence.HIGH)
    return order[min(order.index(one), order.index(other))]


def judge_stretch(raw: Samples, least: float, *, jumps_may_go: bool = True) -> Course:
    """What one stretch without reboots does."""
    course = basics(raw)
    if raw.values.size < FEWEST_SAMPLES or raw.span < SHORTEST_HOURS:
        return replace(course, because=(_too_short(raw),))
    if float(np.ptp(raw.values)) < least:
        return replace(
            course,
            kind=Kind.STEADY,
            confidence=amount_of_evidence(raw),
            because=(f"it stays within {figure(float(np.ptp(raw.values)))}, less than {figure(least)}",),
        )
    lone = lone_outliers(raw.values)
    samples = raw
    if lone.any():
        keep = ~lone
        samples = Samples(raw.origin, raw.hours[keep], raw.values[keep])
        where = int(np.argmax(lone))
        note = f"left out: {int(lone.sum())} lone value(s), as {figure(float(raw.values[where]))}"
        course = replace(course, against=(f"{note} at {moment(raw.seconds(float(raw.hours[where])))}",))
        if samples.values.size < FEWEST_SAMPLES or float(np.ptp(samples.values)) < least:
            return replace(
                course,
                kind=Kind.STEADY,
                confidence=amount_of_evidence(samples),
                because=(f"it stays within {figure(float(np.ptp(samples.values)))}, less than {figure(least)}",),
            )
    floor = floor_of(samples)
    course = replace(course, given_back=given_back(smooth(floor.level), least))
    if not _ends_higher(floor, least):
        return without_growth(course, samples, floor, least)
    return _growth(course, samples, floor, least, jumps_may_go)


def _too_short(samples: Samples) -> str:
    """Why nothing can be said."""
    count = samples.values.size
    return f"{count} samples over {duration(samples.span)}: at least {FEWEST_SAMPLES} over 30 minutes are needed"


def floor_of(samples: Samples) -> Floor:
    """The floor by windows of at least one rhythm; the quiet hours where the cycles are few."""
    count = int(samples.values.size)
    period = find_period(samples)
    cycles = samples.span / period if period else 0.0
    fine = int(np.clip(count // 3, min(count, 24), FLOOR_WINDOWS))
    window_hours, low, level = windows(samples, fine)
    back = given_back(smooth(level), 0.0)
    if not period or (back is not None and back < NO_RHYTHM):
        # What does not come down has no rhythm to look under, only a pace that changes with the hour.
        return Floor(window_hours, low, window_hours, level, low, None, cycles)
    whole = int(cycles + 0.05)
    if period != DAY or cycles >= 12.0 or (whole >= 5 and count / cycles < 8):
        day_hours, day_low, _level = windows(samples, min(whole, FLOOR_WINDOWS), LOWEST)
        return Floor(day_hours, day_low, window_hours, level, day_low, period, cycles)
    quiet = quiet_levels(samples, period)
    if quiet is None or quiet[0].size < 6:
        return Floor(window_hours, low, window_hours, level, low, period, cycles)
    hours, values = quiet
    if hours.size > FLOOR_WINDOWS:
        hours, values, _level = windows(Samples(samples.origin, hours, values), FLOOR_WINDOWS, 0.5)
    _day_hours, day_low, _level = windows(samples, max(whole, 1))
    return Floor(hours, values, window_hours, level, day_low, period, cycles)


def _ends(values: Numbers) -> tuple[float, float]:
    """The typical first and last values."""
    few = max(1, round(0.12 * values.size))
    return float(np.median(values[:few])), float(np.median(values[-few:]))


def _ends_higher(floor: Floor, least: float) -> bool:
    """Whether the floor's end lies above its beginning by what matters, and rank statistics agree."""
    first, last = _ends(floor.low)
    tau, _chance = mann_kendall(floor.low)
    return last - first >= 0.7 * least and tau > 0


def _growth(course: Course, samples: Samples, floor: Floor, least: float, jumps_may_go: bool) -> Course:
    """The floor ends higher than it began: is that growth, and of which kind?"""
    floor, back = _below_peaks(floor)
    fits = fit_forms(floor.hours, floor.low)
    best = min(fits.values(), key=lambda fit: fit.score)
    tau, by_chance = mann_kendall(floor.low)
    staircase = find_steps(samples)
    if staircase is not None and staircase.places.size:
        stepped = _steps(course, samples, floor, staircase, least)
        if stepped is not None:
            return stepped
    if back > FLOOR_FALL:
        return without_growth(course, samples, floor, least)
    doubt = _doubt(floor, best, tau, by_chance, back)
    if best.form is Form.RAMP and best.end - best.begin < AT_ONCE:
        best = fits[Form.JUMP]
    if best.form is Form.JUMP and best.rise >= max(least, 5.0 * float(np.sqrt(best.rest / floor.low.size))):
        doubt = 0.0
    clear_rise = 4.0 * float(np.sqrt(best.rest / floor.low.size))
    if best.rise < least or (doubt > WEAK_CHANCE and (tau < 0.45 or best.rise < clear_rise)):
        return without_growth(course, samples, floor, least)
    if doubt > CLEAR_CHANCE:
        return replace(
            course,
            kind=Kind.UNCLEAR,
            confidence=Confidence.LOW,
            growth=best.rise,
            because=(
                f"the floor rises by {figure(best.rise)}, but chance alone could do that (chance {chance(doubt)})",
            ),
        )
    if jumps_may_go and best.form is Form.JUMP:
        rest = _without_jump(samples, floor, best)
        again = judge_stretch(rest, least, jumps_may_go=False)
        if again.grows and again.growth >= 0.25 * best.rise:
            return replace(
                again,
                first=course.first,
                last=course.last,
                floor=course.floor,
                peak=course.peak,
                confidence=Confidence.LOW,
                against=(*again.against, f"besides it jumped by {figure(best.rise)} at once"),
            )
        if floor.period and (1.0 - best.begin) * floor.cycles < 1.0:
            return without_growth(course, samples, floor, least)
        return _jump(course, samples, floor, best)
    return _kind_of_growth(course, samples, floor, fits, best, (tau, doubt, back, least))


def _doubt(floor: Floor, best: Fit, tau: float, by_chance: float, back: float) -> float:
    """The chance that a floor without growth would look like this: the clearest of three tests decides.

    The fitted rise against its error (noise as correlated as the residuals), the moves of the floor against a fair
    coin, and the order of the nights: enough nights, each higher than the one before, need no straight line.
    """
    if floor.low.size < FEWEST_FLOORS:
        return max(by_chance, 2.0 * CLEAR_CHANCE)
    slope = robust_slope(floor.hours, floor.low)
    by_slope = float(stats.t.sf(best.t, min(max(slope.freedom, 6.0), floor.hours.size - 2.0)))
    # Few floors cannot have a small chance by their order alone; all must rise, and as straight as the slope test asks.
    by_slope = max(by_slope, by_chance / 10.0 if floor.low.size >= FEW_FLOORS or tau < 0.99 else 0.0)
    if back > 0.2:
        return by_slope
    by_coin = coin_test(floor.low, _noise(floor) if not floor.period else 0.0) if floor.low.size >= FEW_FLOORS else 1.0
    nights = 1.0
    if floor.period == DAY and floor.window_low.size >= FEWEST_NIGHTS:
        order, nights = mann_kendall(floor.window_low)
        nights = nights / 2.0 if order > 0.9 else 1.0
    return min(by_slope, by_coin, nights)


def _below_peaks(floor: Floor) -> tuple[Floor, float]:
    """The floor without passing peaks, and the largest share of its rise that it gives back.

    Peaks are taken off only as far as needed: at most a sixth of the time.
    """
    back = _back(floor)
    if back <= 0.2 or floor.period:
        return floor, back
    for part in (24, 12, 6):
        width = floor.low.size // part
        if width < 2:
            continue
        below = replace(floor, low=without_peaks(floor.low, width))
        less = _back(below)
        if less <= 0.2:
            return below, less
    return floor, back


def _back(floor: Floor) -> float:
    """The largest fall of the floor as a share of its rise, noise aside."""
    low = smooth(floor.low)
    top = float(np.max(low)) - _ends(floor.low)[0]
    return max(largest_fall(low) - 3.0 * _noise(floor), 0.0) / top if top > 0 else 1.0


def _noise(floor: Floor) -> float:
    """The usual distance between neighbouring points of the floor."""
    return 1.05 * float(np.median(np.abs(np.diff(floor.low))))


def _kind_of_growth(
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
    if short and best.form in (Form.WAVE, Form.RAMP) and best.end > 0.75:
        return replace(course, kind=Kind.UNCLEAR, confidence=Confidence.LOW, because=(rises, _half_day(samples)))
    after = _after_filling(floor, fits, best, least)
    if after is not None:
        return _leak(course, samples, floor, fits, after, back)
    stopped = _stopped(floor, best)
    if stopped is not None:
        return replace(
            course, kind=Kind.FILLED, confidence=amount_of_evidence(samples, floor.cycles), because=(rises, stopped)
        )
    if best.form is Form.FILL and best.end < SLOW_FILL:
        return replace(
            course,
            kind=Kind.UNCLEAR,
            confidence=Confidence.LOW,
            because=(rises, "it grows slower and slower: it may fill up and stop"),
        )
    if short and best.form is not Form.FASTER and not _straight(fits):
        return replace(course, kind=Kind.UNCLEAR, confidence=Confidence.LOW, because=(rises, _half_day(samples)))
    return _leak(course, samples, floor, fits, best, back)


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


def _straight(fits: dict[Form, Fit]) -> bool:
    """Whether a line (from the beginning or from a moment on) fits no worse than half a wave or a bent rise."""
    straight = min(fits[Form.LINE].score, fits[Form.START].score)
    bent = min(fits[Form.WAVE].score, fits[Form.RAMP].score, fits[Form.FASTER].score)
    return straight <= bent


def _stopped(floor: Floor, best: Fit) -> str | None:
    """Why the growth is over; None when it goes on."""
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
    return f"it has not grown for the last {duration(float(tail))} ({share(tail / span)} of the time)"


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
    middle = float(np.median(low - slope.slope * hours))
    first, last = float(hours[0]), float(hours[-1])
    ends = (
        (samples.seconds(float(grown.hours[0])), middle + slope.slope * float(grown.hours[0])),
        (samples.seconds(float(samples.hours[-1])), middle + slope.slope * float(samples.hours[-1])),
    )
    confidence = amount_of_evidence(samples, floor.cycles)
    because = [*course.because, _how_fast(slope, last - first)]
    against = list(course.against)
    if begin:
        before = "before that it filled up fast" if filled else "before it was flat (a line with a corner fits best)"
        because.append(f"it grows straight since {moment(ends[0][0])}; {before}")
        if floor.hours.size * (1 - best.begin) < 8:
            confidence = lower(confidence, Confidence.MEDIUM)
    if best.form is Form.FASTER:
        because.append("it grows faster and faster")
        if samples.span < ONE_DAY and not floor.period:
            confidence = Confidence.LOW
            against.append(f"{_half_day(samples)}")
    if best.form in (Form.STOP, Form.FILL):
        confidence = lower(confidence, Confidence.MEDIUM)
        against.append("it grows more slowly at the end")
    if floor.period:
        because.append(f"the same hours of a {duration(floor.period)} rhythm were compared")
    if course.given_back is not None and course.given_back > 0.2:
        against.append(f"it gave back up to {share(min(course.given_back, 1.0))} of a rise, but the floor keeps rising")
    if back > 0.2 or slope.slope - slope.reach <= 0:
        confidence = lower(confidence, Confidence.MEDIUM)
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


def _pace(hours: Numbers, low: Numbers, grown: Samples, period: float | None) -> Slope:
    """The slope: of the windows' medians where they tell it better and say the same, else of the floor."""
    floor = robust_slope(hours, low)
    if period or grown.values.size < 3 * hours.size:
        return floor
    at, _low, level = windows(grown, hours.size)
    middle = robust_slope(at, level) if at.size >= 3 else floor
    agree = abs(middle.slope - floor.slope) <= 2.0 * float(np.hypot(middle.error, floor.error))
    return middle if agree and middle.error < floor.error else floor


def _how_fast(slope: Slope, hours: float) -> str:
    """The slope with its interval in words."""
    low, high = slope.slope - slope.reach, slope.slope + slope.reach
    return (
        f"Theil-Sen slope of the floor {figure(slope.slope)} an hour (95 %: {figure(low)} to {figure(high)}) "
        f"over {duration(hours)}"
    )


def _without_jump(samples: Samples, floor: Floor, best: Fit) -> Samples:
    """The samples as if the jump had not been."""
    place = floor.hours[0] + best.begin * (floor.hours[-1] - floor.hours[0])
    return Samples(samples.origin, samples.hours, samples.values - np.where(samples.hours > place, best.rise, 0.0))


def _jump(course: Course, samples: Samples, floor: Floor, best: Fit) -> Course:
    """It rose once."""
    place = float(floor.hours[0] + best.begin * (floor.hours[-1] - floor.hours[0]))
    return replace(
        course,
        kind=Kind.JUMP,
        confidence=amount_of_evidence(samples, floor.cycles),
        growth=best.rise,
        starts=samples.seconds(place),
        steps=1,
        because=(f"it rose once, by {figure(best.rise)} at {moment(samples.seconds(place))}, and stays flat besides",),
    )


def _steps(course: Course, samples: Samples, floor: Floor, staircase: Staircase, least: float) -> Course | None:
    """The floor is flat between jumps: how many are there?"""
    places, heights = staircase.places, staircase.heights
    rise = float(heights.sum())
    if rise < least:
        return None
    count = int(places.size)
    if count == 1:
        best = Fit(
            Form.JUMP,
            float(places[0] - floor.hours[0]) / float(floor.hours[-1] - floor.hours[0]),
            0.0,
            rise,
            0.0,
            0.0,
            0.0,
        )
        return _jump(course, samples, floor, best)
    if count == 2:
        return replace(
            course,
            kind=Kind.UNCLEAR,
            confidence=Confidence.LOW,
            growth=rise,
            steps=2,
            because=(
                f"it rose twice at once, by {figure(float(heights[0]))} and {figure(float(heights[1]))}: "
                "a third time would tell steps from chance",
            ),
        )
    if heights.max() > 0.75 * rise:
        return None
    times = places
    cycle = float(times[-1] - times[0])
    pace = float(heights[1:].sum()) / cycle
    lengths = np.diff(times)
    # A ratio of sums: its error from how far each cycle's height is from the common pace times its length.
    off = heights[1:] - pace * lengths
    error = float(np.sqrt(np.sum(off**2) / max(count - 2, 1) / (count - 1))) / float(lengths.mean())
    reach = error * float(stats.t.ppf(0.975, max(count - 2, 1)))
    # Waiting for the next step is part of the pace: a stop longer than any wait before is an end.
    tail = float(samples.hours[-1] - times[-1])
    if tail > 2.0 * float(lengths.max()) and tail > 0.25 * samples.span:
        return replace(
            course,
            kind=Kind.FILLED,
            confidence=amount_of_evidence(samples, floor.cycles),
            growth=rise,
            steps=count,
            because=(f"it rose in {count} steps, and has not for the last {duration(tail)}",),
        )
    begin = samples.seconds(float(times[0]))
    end = samples.seconds(float(samples.hours[-1]))
    base = float(np.median(samples.values[samples.hours < times[0]])) if (samples.hours < times[0]).any() else 0.0
    against = list(course.against)
    if course.given_back is not None and course.given_back > 0.2:
        against.append(f"it peaks between and gives back up to {share(min(course.given_back, 1.0))} of a rise")
    return replace(
        course,
        kind=Kind.STEPS,
        confidence=lower(
            amount_of_evidence(samples, floor.cycles), Confidence.HIGH if count >= 4 else Confidence.MEDIUM
        ),
        slope=pace,
        low=pace - reach,
        high=pace + reach,
        starts=begin,
        growth=rise,
        steps=count,
        line=((begin, base), (end, base + pace * (end - begin) / 3600.0)),
        because=(
            f"the floor rises in {count} steps of about {figure(float(np.median(heights)))} and is flat between them",
            f"nothing of a step is given back; {figure(pace)} an hour over whole cycles",
        ),
        against=tuple(against),
    )


def without_growth(course: Course, samples: Samples, floor: Floor, least: float) -> Course:
    """The floor does not rise: load, steady, falling, or given back at the very end."""
    freed = _freed_at_end(samples, least)
    if freed is not None:
        return replace(course, kind=Kind.UNCLEAR, confidence=Confidence.LOW, because=(freed,))
    confidence = amount_of_evidence(samples, floor.cycles)
    first, last = _ends(smooth(floor.low))
    tau, rising = mann_kendall(floor.low)
    if first - last >= least and 1.0 - rising < CLEAR_CHANCE:
        climb = float(np.max(floor.low - np.minimum.accumulate(floor.low)))
        if climb <= FLOOR_FALL * (first - last):
            return replace(
                course,
                kind=Kind.FALLING,
                confidence=confidence,
                because=(f"the floor falls by {figure(first - last)} (Kendall's tau {tau:.2f})",),
            )
    swing, why = _swing(samples, floor)
    peak = max(abs(float(samples.values.max())), 1e-300)
    if swing >= least and swing >= MATTERS * peak and why:
        return replace(
            course,
            kind=Kind.LOAD,
            confidence=confidence,
            because=(f"it rises by up to {figure(swing)} and comes back down: {why}",),
        )
    return replace(
        course,
        kind=Kind.STEADY,
        confidence=confidence,
        because=(f"no growth: Kendall's tau of the floor is {tau:.2f}; it moves within {figure(swing)}",),
    )


def _swing(samples: Samples, floor: Floor) -> tuple[float, str]:
    """How far it swings without the noise's extremes, and what makes that more than noise; empty: it is noise."""
    low, q10, half, high = np.quantile(samples.values, [0.01, 0.1, 0.5, 0.99])
    swing = float(high - low)
    if floor.period:
        return swing, f"a rhythm of {duration(floor.period)}"
    up, down = float(high - half), float(half - low)
    if up > 2.5 * max(down, 1e-300):
        return swing, "peaks above a flat floor"
    level = smooth(floor.level)
    spread = float(np.std(samples.values))
    if spread > 0:
        flatness = float(np.mean(((samples.values - samples.values.mean()) / spread) ** 4))
        slow = float(np.ptp(level)) > 0.6 * swing
        if slow and flatness < 2.2:
            return swing, "whole stretches are high and come back"
        if slow and up > 1.6 * max(down, 1e-300):
            return swing, "it was higher for a time"
    del q10
    return swing, ""


def _freed_at_end(samples: Samples, least: float) -> str | None:
    """Whether it grew all the time and gave everything back at once at the very end."""
    values, hours = samples.values, samples.hours
    span = samples.span
    tail = int(np.searchsorted(hours, hours[-1] - 0.15 * span))
    if tail < 6 or values.size - tail < 1:
        return None
    start = max(tail - 1, 1)
    drops = values[start - 1 : -1] - values[start:]
    if drops.size == 0:
        return None
    place = start + int(np.argmax(drops))
    before, after = values[:place], values[place:]
    rise = float(np.median(before[-max(1, place // 20) :]) - np.median(before[: max(1, place // 20)]))
    if rise < least or drops.max() < 0.6 * rise or np.median(after) > np.quantile(before, 0.3):
        return None
    earlier = judge_stretch(samples.part(0, place), least, jumps_may_go=False)
    if not earlier.grows:
        return None
    return f"it grew by {figure(rise)}, but it was all given back at {moment(samples.seconds(float(hours[place])))}"
