"""Cuts a series at reboots: those that are known, and sudden drops to the first level after which it grows again."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from poolsleuth.patterns.course.rhythm import DAY
from poolsleuth.patterns.course.samples import SECONDS_PER_HOUR, Samples

MOST_RESETS = 3
"""More drops than this without known reboots are the load's own teeth."""

DEEP = 0.25
"""A reset takes away at least this share of the whole range."""

NEAR = 0.25
"""After a reset the level lies above the very first level by at most this share of what it was before."""

SAME_TIME = 1.0
"""Hours; drops that lie whole days apart but for this come at the same time of day."""

SAME_HEIGHT = 0.15
"""Drops from heights that differ by less than this share of a drop give back when so much has piled up."""

SAME_HEIGHT_STRETCH = 1.15
"""The first and the last tooth are cut off by the log: they are no longer than this many of the longest between."""


def at_cuts(samples: Samples, cuts: Sequence[float]) -> list[Samples]:
    """The stretches between reboots, each not empty."""
    known = sorted({(cut - samples.origin) / SECONDS_PER_HOUR for cut in cuts if np.isfinite(cut)})
    edges = [0, *np.searchsorted(samples.hours, known).tolist(), samples.hours.size]
    return [samples.part(b, e) for b, e in pairwise(edges) if e > b]


def at_drops(samples: Samples) -> list[Samples]:
    """The stretches between sudden drops to near the first level; one stretch when there are none or too many."""
    values = samples.values
    if values.size < 12:
        return [samples]
    reach = float(np.ptp(values))
    drops = values[:-1] - values[1:]
    few = max(1, values.size // 50)
    first = float(np.median(values[:few]))
    # The drop may be seen over two samples, when one fell into it.
    wide = np.append(values[:-2] - values[2:], drops[-1:])
    here = np.flatnonzero((np.maximum(drops, wide) > DEEP * reach) & (drops > 0.5 * DEEP * reach))
    places = [int(p) + 1 for k, p in enumerate(here) if k == 0 or p - here[k - 1] > 2]
    if not 1 <= len(places) <= MOST_RESETS:
        return [samples]
    for place in places:
        after = float(np.median(values[place + 1 : place + 1 + few])) if place + 1 < values.size else float(values[-1])
        before = float(np.median(values[max(place - 1 - few, 0) : place - 1])) if place > 1 else first
        if after - first > NEAR * (before - first):
            return [samples]
    edges = [0, *places, values.size]
    parts = [samples.part(b, e) for b, e in pairwise(edges)]
    lengths = np.array([part.span for part in parts])
    # Three teeth of one length are a rhythm, not three reboots.
    inner = lengths[1:-1]
    if inner.size >= 2 and float(np.ptp(inner)) < 0.1 * float(inner.mean()):
        return [samples]
    return [samples] if _by_the_clock(samples, places) or _always_full(samples, places, few) else parts


def _by_the_clock(samples: Samples, places: list[int]) -> bool:
    """Whether two drops or more come at the same time of day: what a job or a schedule frees, no reboots."""
    if len(places) < 2:
        return False
    at = samples.hours[places]
    apart = np.diff(at)
    # As far apart as the samples let it be told.
    blur = max(SAME_TIME, 1.5 * float(np.median(np.diff(samples.hours))))
    off = np.abs(apart - DAY * np.round(apart / DAY))
    return bool((np.round(apart / DAY) >= 1).all() and (off <= blur).all())


def _always_full(samples: Samples, places: list[int], few: int) -> bool:
    """Whether every drop comes from the same height, and no stretch is longer than those between two drops.

    Then something frees memory whenever so much has piled up, or at regular times. Reboots come at any height.
    """
    if len(places) < 2:
        return False
    tops = np.array([float(np.median(samples.values[max(place - 1 - few, 0) : max(place - 1, 1)])) for place in places])
    lows = np.array([float(np.median(samples.values[place : place + 1 + few])) for place in places])
    at = samples.hours[places]
    longest = SAME_HEIGHT_STRETCH * float(np.max(np.diff(at)))
    within = at[0] - samples.hours[0] <= longest and samples.hours[-1] - at[-1] <= longest
    return bool(within and np.ptp(tops) <= SAME_HEIGHT * float(np.mean(tops - lows)))
