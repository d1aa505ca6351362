"""Cuts a series at reboots: those that are known, and sudden drops to the first level after which it grows again."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from poolsleuth.patterns.course.samples import SECONDS_PER_HOUR, Samples

MOST_RESETS = 3
"""More drops than this without known reboots are the load's own teeth."""

DEEP = 0.25
"""A reset takes away at least this share of the whole range."""

NEAR = 0.25
"""After a reset the level lies above the very first level by at most this share of what it was before."""


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
    return parts
