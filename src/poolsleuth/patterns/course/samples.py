"""Takes what a log gives - unsorted, doubled, with gaps - and makes clean samples and even windows of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

SECONDS_PER_HOUR = 3600.0
MOST_BLOCKS = 480
"""Longer series are reduced to so many blocks before anything dearer than a sort; each keeps its low values."""

LARGEST = 1e30
"""No counter is so large (2^64 is 2e19); a figure beyond it is damage and counts as missing."""

LATEST = 1e12
"""Seconds; the year 33658. A time beyond it is damage."""

LONE_FACTOR = 10.0
"""A lone outlier stands off its neighbours by more than so many times the usual distance."""

LONE_SHARE = 33
"""At most one low sample in so many is called a lone outlier; more of them are a habit of the series."""

FLOOR_QUANTILE = 0.2
"""The floor of a window: a low quantile, because the smallest value depends on how many samples a window holds."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Clean samples: ``hours`` since ``origin`` (seconds since 1970), ascending and distinct; finite ``values``."""

    origin: float
    hours: Numbers
    values: Numbers

    @property
    def span(self) -> float:
        """Hours from the first to the last sample; 0 when there are fewer than two."""
        return float(self.hours[-1] - self.hours[0]) if len(self.hours) > 1 else 0.0

    def part(self, begin: int, end: int) -> "Samples":
        """The samples of these positions."""
        return Samples(self.origin, self.hours[begin:end], self.values[begin:end])

    def seconds(self, hours: float) -> float:
        """This time as seconds since 1970."""
        return self.origin + hours * SECONDS_PER_HOUR


def clean(times: Numbers, values: Numbers) -> Samples:
    """Sorted, distinct samples; those of one time are averaged, missing and impossible figures left out.

    Raises ValueError when there are not as many times as values.
    """
    seconds = np.asarray(times, dtype=np.float64).ravel()
    figures = np.asarray(values, dtype=np.float64).ravel()
    if seconds.shape != figures.shape:
        raise ValueError(f"{seconds.size} times and {figures.size} values: there must be one time for each value")
    known = (np.abs(seconds) < LATEST) & (np.abs(figures) < LARGEST)
    if not known.all():
        seconds, figures = seconds[known], figures[known]
    if seconds.size == 0:
        return Samples(0.0, seconds, figures)
    # To the microsecond, which is finer than any log: times closer than that are one sample, not an endless slope
    seconds = np.round(seconds, 6)
    gaps = np.diff(seconds)
    if (gaps < 0).any():
        order = np.argsort(seconds, kind="stable")
        seconds, figures = seconds[order], figures[order]
        gaps = np.diff(seconds)
    if (gaps == 0).any():
        starts = np.concatenate(([0], np.flatnonzero(gaps) + 1))
        counts = np.diff(np.append(starts, seconds.size))
        # The mean as first + mean difference: sums of values near 2^53 would lose their last digits.
        firsts = figures[starts]
        figures = firsts + np.add.reduceat(figures - np.repeat(firsts, counts), starts) / counts
        seconds = seconds[starts]
    return Samples(float(seconds[0]), (seconds - seconds[0]) / SECONDS_PER_HOUR, figures)


def lone_outliers(values: Numbers) -> NDArray[np.bool_]:
    """Marks single samples far off both neighbours: a reading that failed, not a movement of the series.

    A high one is marked only when it is the only one (more are bursts), low ones when they are few: memory that was
    given back does not return to the same level one sample later.
    """
    marks = np.zeros(values.size, dtype=np.bool_)
    if values.size < 8:
        return marks
    padded = np.concatenate((values[2:0:-1], values, values[-2:-4:-1]))
    around = np.stack([padded[0:-4], padded[1:-3], padded[3:-1], padded[4:]])
    off = values - np.median(around, axis=0)
    usual = float(np.quantile(np.abs(off), 0.8))
    width = around.max(axis=0) - around.min(axis=0)
    lone = (np.abs(off) > LONE_FACTOR * usual) & (np.abs(off) > 3.0 * width)
    high, low = lone & (off > 0), lone & (off < 0)
    low[-1] = False  # nobody knows yet whether the last one comes back
    if high.sum() == 1:
        marks |= high
    if 0 < low.sum() <= max(1, values.size // LONE_SHARE):
        marks |= low
    return marks


def blocks(samples: Samples, most: int = MOST_BLOCKS) -> tuple[Numbers, Numbers, Numbers]:
    """At most ``most`` blocks of equal time: mean time, smallest value, median."""
    if samples.hours.size <= most:
        return samples.hours, samples.values, samples.values
    order, starts, counts = _sorted_cells(samples, most)
    ranked = samples.values[order]
    middle = starts + (counts - 1) // 2
    upper = starts + counts // 2
    times = np.add.reduceat(samples.hours, starts) / counts
    return times, ranked[starts], 0.5 * ranked[middle] + 0.5 * ranked[upper]


def windows(samples: Samples, count: int, quantile: float = FLOOR_QUANTILE) -> tuple[Numbers, Numbers, Numbers]:
    """``count`` windows of equal time, those without samples left out: mean time, low quantile, median."""
    if samples.hours.size <= count:
        return samples.hours, samples.values, samples.values
    order, starts, counts = _sorted_cells(samples, count)
    ranked = samples.values[order]
    place = quantile * (counts - 1)
    lower = starts + np.floor(place).astype(np.int64)
    share = place - np.floor(place)
    upper = np.minimum(lower + 1, starts + counts - 1)
    low = ranked[lower] * (1.0 - share) + ranked[upper] * share
    median = 0.5 * ranked[starts + (counts - 1) // 2] + 0.5 * ranked[starts + counts // 2]
    times = np.add.reduceat(samples.hours, starts) / counts
    return times, low, median


def _sorted_cells(samples: Samples, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The order by cell and value, where each cell begins and how many samples it holds."""
    since = samples.hours - samples.hours[0]
    cells = np.minimum((since * (count / samples.span)).astype(np.int64), count - 1)
    order = np.lexsort((samples.values, cells))
    starts = np.concatenate(([0], np.flatnonzero(np.diff(cells)) + 1)).astype(np.int64)
    counts = np.diff(np.append(starts, cells.size)).astype(np.int64)
    return order.astype(np.int64), starts, counts
