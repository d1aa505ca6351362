"""Jumps and steps: the best piecewise-constant floor, found exactly by dynamic programming over few windows."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from poolsleuth.patterns.course.fits import PRICE, Form, fit_forms
from poolsleuth.patterns.course.floors import without_peaks
from poolsleuth.patterns.course.samples import Samples, windows

Numbers = NDArray[np.float64]

MOST_WINDOWS = 100
MIN_LENGTH = 2
WIDTHS = (1, 3, 6, 12, 20)
"""Peaks up to so many windows are taken off before steps are looked for: a backup run peaks, then leaves its step."""

PEAK = 0.1
"""Peaks below this share of the range are noise."""

FLAT = 0.3
"""Between true steps the floor rises by less than this share of a step; a straight leak rises by about a whole one."""

EXPLAINED = 0.85
"""The steps must explain this share of the floor's variance."""

DOWN_SHARE = 0.25
"""A fall larger than this share of a step is memory given back: then it is no staircase."""

PEAK_SHARE = 0.25
"""A step's own peak is shorter than this share of the time between steps; longer ones are a load's days."""

OFF = 0.12
"""Half of the floor's points lie nearer to their step's level than this share of a step."""

FEW_JUMPS = 2
OFF_FEW = 0.2
"""One or two jumps are no leak yet, so that a noisier floor will do."""

LEAST_SHARE = 0.015
"""A step is at least this share of the whole rise."""

MINOR = 0.25
"""Jumps below this share of the usual one are not counted."""


@dataclass(frozen=True, slots=True)
class Staircase:
    """Where the floor jumps up, in hours, and by how much; flat between."""

    places: Numbers
    heights: Numbers


def find_steps(samples: Samples) -> Staircase | None:
    """The jumps of a floor that is flat between them, None when it is not of that kind."""
    hours, low, _median = windows(samples, MOST_WINDOWS, 0.1)
    if hours.size < 6:
        return None
    for width in WIDTHS:
        if width * 4 > hours.size:
            break
        floor = without_peaks(low, width)
        # Where there are no peaks, taking them off changes nothing: asked once is enough.
        if width > 1 and float(np.max(low - floor)) < PEAK * float(np.ptp(low)):
            continue
        found = _staircase(hours, low, floor)
        if found is None:
            continue
        cycle = float(np.median(np.diff(found.places))) if found.places.size > 1 else np.inf
        if width > 1 and width * samples.span / hours.size > PEAK_SHARE * cycle:
            return None
        return found
    return None


def _staircase(hours: Numbers, low: Numbers, floor: Numbers) -> Staircase | None:
    """The jumps of ``floor``, which is ``low`` without its peaks; None when jumps do not explain it."""
    rise = float(np.median(floor[-2:]) - np.median(floor[:2]))
    total = float(np.sum((floor - floor.mean()) ** 2))
    if rise <= 0 or total <= 0:
        return None
    noise = max(1.4826 / np.sqrt(2) * float(np.median(np.abs(np.diff(floor)))), 0.01 * rise)
    edges = partition(floor, 5.0 * noise**2 * np.log(floor.size))
    levels = np.add.reduceat(floor, edges[:-1]) / np.diff(edges)
    if levels.size < 2:
        return None
    heights = np.diff(levels)
    ups = heights[heights > LEAST_SHARE * rise]
    if ups.size == 0 or heights.min() < -DOWN_SHARE * float(np.median(ups)):
        return None
    fitted = np.repeat(levels, np.diff(edges))
    if 1.0 - float(np.sum((floor - fitted) ** 2)) / total < EXPLAINED:
        return None
    if _inner_rise(low, edges, heights) > FLAT:
        return None
    # Between the jumps the floor itself lies on its level, but for short peaks: a sawtooth does not.
    off = OFF if ups.size > FEW_JUMPS else OFF_FEW
    if float(np.median(np.abs(low - fitted))) > off * float(np.median(ups)):
        return None
    if _score(float(np.sum((floor - fitted) ** 2)), total, floor.size, 2 * heights.size) > _smooth_score(hours, floor):
        return None
    cuts = np.array(edges[1:-1])
    places = 0.5 * (hours[cuts] + hours[cuts - 1])
    keep = heights > MINOR * float(np.median(ups))
    return _merged(hours, floor, places[keep], 3.0 * (hours[-1] - hours[0]) / hours.size)


def _score(rest: float, total: float, count: int, extra: int) -> float:
    """The Bayesian information criterion of a fit with ``extra`` figures; no fit is better than to a thousandth."""
    return count * float(np.log(max(rest, 1e-6 * total) / count)) + extra * float(np.log(count))


def _smooth_score(hours: Numbers, floor: Numbers) -> float:
    """The same for the best rise without a jump: what steps have to beat."""
    fits = fit_forms(hours, floor)
    total = float(np.sum((floor - floor.mean()) ** 2))
    return min(
        _score(fit.rest, total, floor.size, 1 + PRICE[form]) for form, fit in fits.items() if form is not Form.JUMP
    )


def _inner_rise(low: Numbers, edges: list[int], heights: Numbers) -> float:
    """How much the floor rises between the jumps, as a share of the jumps: 0 for stairs, about 1 for a straight line.

    Second half against first half of each stretch, by medians: they pass over a step's own peak. The rise of a stretch
    is compared with the jumps beside it. Taken from the floor as it is, because taking peaks off flattens a slope.
    """
    risen = beside = 0.0
    last = heights.size
    for k, (begin, end) in enumerate(pairwise(edges)):
        if end - begin < 3 or (last > 1 and k in (0, last)):
            continue
        half = (end - begin) // 2
        risen += 2.0 * float(np.median(low[end - half : end]) - np.median(low[begin : begin + half]))
        near = [float(heights[j]) for j in (k - 1, k) if 0 <= j < last]
        beside += sum(near) / len(near)
    return risen / beside if beside > 0 else 1.0


def _merged(hours: Numbers, floor: Numbers, places: Numbers, near: float) -> Staircase | None:
    """Jumps nearer than ``near`` hours to each other are one rise that took some time.

    The heights are differences of the stretches' medians, so that what is left of a peak beside a jump does not count.
    """
    kept: list[float] = []
    last = -np.inf
    for place in places.tolist():
        if place - last >= near:
            kept.append(place)
        last = place
    stretch = np.searchsorted(np.array(kept), hours)
    levels = [np.median(floor[stretch == k]) for k in range(len(kept) + 1) if (stretch == k).any()]
    heights = np.diff(np.array(levels))
    if heights.size != len(kept) or heights.min() <= 0:
        return None
    return Staircase(np.array(kept), heights)


def partition(values: Numbers, penalty: float) -> list[int]:
    """Edges of the piecewise-constant fit with the least sum of squares plus ``penalty`` per piece (exact)."""
    count = values.size
    centred = values - values.mean()
    first = np.concatenate(([0.0], np.cumsum(centred)))
    second = np.concatenate(([0.0], np.cumsum(centred**2)))
    best = np.full(count + 1, np.inf)
    best[0] = -penalty
    previous = np.zeros(count + 1, dtype=np.int64)
    for end in range(MIN_LENGTH, count + 1):
        begin = np.arange(0, end - MIN_LENGTH + 1)
        cost = second[end] - second[begin] - (first[end] - first[begin]) ** 2 / (end - begin)
        whole = best[begin] + cost + penalty
        previous[end] = int(np.argmin(whole))
        best[end] = whole[previous[end]]
    edges = [count]
    while edges[-1] > 0:
        edges.append(int(previous[edges[-1]]))
    return edges[::-1]


def rest_of_two_jumps(values: Numbers) -> float:
    """What two jumps upwards leave unexplained (sum of squares) at best; infinite when there are no such two."""
    count = values.size
    if count < 3 * MIN_LENGTH:
        return np.inf
    centred = values - values.mean()
    first = np.concatenate(([0.0], np.cumsum(centred)))
    second = float(centred @ centred)
    one, two = np.meshgrid(np.arange(MIN_LENGTH, count), np.arange(MIN_LENGTH, count), indexing="ij")
    apart = (two - one >= MIN_LENGTH) & (count - two >= MIN_LENGTH)
    one, two = one[apart], two[apart]
    low = first[one] / one
    middle = (first[two] - first[one]) / (two - one)
    high = (first[count] - first[two]) / (count - two)
    rest = second - low**2 * one - middle**2 * (two - one) - high**2 * (count - two)
    rising = (low < middle) & (middle < high)
    return float(rest[rising].min()) if rising.any() else np.inf
