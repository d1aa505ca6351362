"""The floor of one stretch: by windows, by nights or by quiet hours, below passing peaks."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from poolsleuth.patterns.course.floors import given_back, largest_fall, smooth, without_peaks
from poolsleuth.patterns.course.rhythm import DAY, find_period, quiet_levels
from poolsleuth.patterns.course.samples import Samples, windows

Numbers = NDArray[np.float64]

FLOOR_WINDOWS = 60
"""So many windows at most carry the floor: enough for shape and noise, few enough for statistics on pairs."""

NO_RHYTHM = 0.25
"""A level that gives back less than this share of its rises is its own floor."""

LOWEST = 0.02
"""The floor of a whole cycle: nearly its smallest value, because a cycle may rest for a short time only."""


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


def ends(values: Numbers) -> tuple[float, float]:
    """The typical first and last values."""
    few = max(1, round(0.12 * values.size))
    return float(np.median(values[:few])), float(np.median(values[-few:]))


def below_peaks(floor: Floor) -> tuple[Floor, float]:
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
    top = float(np.max(low)) - ends(floor.low)[0]
    return max(largest_fall(low) - 3.0 * noise_of(floor), 0.0) / top if top > 0 else 1.0


def noise_of(floor: Floor) -> float:
    """The usual distance between neighbouring points of the floor."""
    return 1.05 * float(np.median(np.abs(np.diff(floor.low))))
