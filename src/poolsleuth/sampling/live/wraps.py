"""Counts of allocations that go round at 2^32, followed over samples so that they go on rising."""

import numpy as np
from numpy.typing import NDArray

from poolsleuth.sampling.sample import Floats, Ids

_ROUND = 2.0**32
_LARGEST_STEP = 3.0 * 2**30  # allocations of one tag between two samples; more is no wrap but a count begun anew
_MOST = 0.5  # of a group's counts that must fall at once before they are taken to have begun anew
_FEW = 5  # counts of a group below which nothing can be said of most of them

Flags = NDArray[np.bool_]


class Wraps:
    """What was seen last of each tag, by its number, and how often its count went round."""

    def __init__(self) -> None:
        self._last: Floats = np.empty(0)  # NaN: not there in the last sample
        self._lift: Floats = np.empty(0)

    def clear(self) -> None:
        """Forget everything: Windows was started again, or the counts are of another kind."""
        self._last = np.empty(0)
        self._lift = np.empty(0)

    def follow(
        self, ids: Ids, counts: Floats, outstanding: Floats, groups: Ids, short: Flags, width: int, *, complete: bool
    ) -> Floats:
        """Counts since boot as far as they are known, for the counts of one sample (each tag once).

        ``groups`` numbers the pools that begin anew together (the system's, each session's); ``short`` tells which
        counts have 32 bits; ``width`` is the number of tags ever seen. A count that falls has gone round, unless most
        of its group fell as well. One of 32 bits that follows one of 64 goes on from it. A count below the allocations
        outstanding has gone round at least once before. A tag that is not among the ids of a sample that is
        ``complete`` is forgotten.
        """
        more = width - len(self._last)
        if more > 0:
            self._last = np.concatenate((self._last, np.full(more, np.nan)))
            self._lift = np.concatenate((self._lift, np.zeros(more)))
        before = self._last[ids]
        known = ~np.isnan(before)
        cut = known & short & (before >= _ROUND)
        if cut.any():  # the lower half of a count that was known whole
            counts = np.where(cut, before + (counts - before) % _ROUND, counts)
        with np.errstate(invalid="ignore"):
            fell = known & (counts < before)
            begun = np.where(~known & short & (counts < outstanding), _ROUND, 0.0)
        lift = np.where(known, self._lift[ids], begun)
        if fell.any():
            size = int(groups.max()) + 1
            fallen = np.bincount(groups, fell, size)
            members = np.bincount(groups, known & (before > 0), size)
            anew = ((members >= _FEW) & (fallen > _MOST * members))[groups]
            lift[anew] = np.where(short & (counts < outstanding), _ROUND, 0.0)[anew]
            lift[fell & short & ~anew & (counts - before + _ROUND < _LARGEST_STEP)] += _ROUND
        if complete:
            self._last[:] = np.nan
        self._last[ids] = counts
        self._lift[ids] = lift
        return counts + lift
