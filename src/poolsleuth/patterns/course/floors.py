"""What the floor does: how much is given back, how long it pauses, and the low side without passing peaks."""

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


def given_back(level: Numbers, least: float) -> float | None:
    """The largest fall as a share of the rise before it, 0 to 1 and more; None when nothing rose.

    Only rises count that matter: at least ``least`` and 30 % of the whole range, so that noise on the way up is not
    taken for memory given back.
    """
    if level.size < 3:
        return None
    highest = np.maximum.accumulate(level)
    lowest = np.minimum.accumulate(level)
    summit = np.maximum.accumulate(np.where(level >= highest, np.arange(level.size), 0))
    rise = highest - lowest[summit]
    counts = (rise > 0) & (rise >= max(least, 0.3 * float(np.ptp(level))))
    if not counts.any():
        return None
    return float(np.max((highest - level)[counts] / rise[counts]))


def smooth(level: Numbers) -> Numbers:
    """The running median of three; the ends stay."""
    if level.size < 3:
        return level
    inner = np.median(np.stack([level[:-2], level[1:-1], level[2:]]), axis=0)
    return np.concatenate((level[:1], inner, level[-1:]))


def largest_fall(level: Numbers) -> float:
    """The largest fall from a highest value to any later one."""
    return float(np.max(np.maximum.accumulate(level) - level))


def longest_pause(hours: Numbers, level: Numbers, rise: float) -> float:
    """The longest time, in hours, in which the highest value so far gains less than a twentieth of ``rise``."""
    highest = np.maximum.accumulate(level)
    reached = np.searchsorted(highest, highest + rise / 20.0, side="left")
    until = np.minimum(reached, hours.size - 1)
    return float(np.max(hours[until] - hours))


def without_peaks(level: Numbers, width: int) -> Numbers:
    """The level without peaks shorter than ``width`` points (a morphological opening); steps keep their place."""
    if width <= 1 or level.size <= width:
        return level
    view = np.lib.stride_tricks.sliding_window_view
    low = view(level, width).min(axis=1)
    edge = np.full(width - 1, -np.inf)
    return np.asarray(view(np.concatenate((edge, low, edge)), width).max(axis=1), dtype=np.float64)
