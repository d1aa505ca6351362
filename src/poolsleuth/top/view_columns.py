"""The columns of the screen over all tags at once, each worked out when it is first asked for in a moment."""

from collections.abc import Callable
from enum import StrEnum

import numpy as np

from poolsleuth.sampling.sample import Floats
from poolsleuth.top.tracker import Since, State, Tracker


class Column(StrEnum):
    """What can be shown of a tag, and sorted by."""

    TAG = "tag"
    TYPE = "type"
    ALLOCS = "allocs"
    FREES = "frees"
    DIFF = "diff"
    BYTES = "bytes"
    EACH = "each"
    STARTED = "started"
    MARKED = "marked"
    RATE = "rate"
    SHARE = "share"
    TREND = "trend"
    DRIVER = "driver"
    NOTE = "note"


WITH_CHANGE = (Column.ALLOCS, Column.FREES, Column.DIFF, Column.BYTES, Column.EACH)
WORDS = (Column.TAG, Column.TYPE, Column.DRIVER, Column.NOTE)  # sorted from a to z, the others from the most down
_FIGURE = {Column.ALLOCS: "allocs", Column.FREES: "frees", Column.DIFF: "outstanding", Column.BYTES: "bytes"}
_POOL_FIGURES = ("nonpaged_used", "paged_used")


class Columns:
    """The columns of a tracker's present moment: arrays of doubles by number of tag, NaN where not known."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._of: tuple[State | None, ...] = ()
        self._known: dict[tuple[Column, Since | None], Floats] = {}

    def fresh(self) -> bool:
        """Whether the tracker went on since the last call; what was worked out is forgotten then."""
        tracker = self._tracker
        of = (tracker.now, tracker.previous, tracker.start, tracker.mark)
        if len(of) == len(self._of) and all(a is b for a, b in zip(of, self._of, strict=True)):
            return False
        self._of = of
        self._known = {}
        return True

    def value(self, column: Column) -> Floats:
        """A column that holds numbers. ``TREND`` has those of ``RATE``. SHARE is between 0 and 1."""
        return self._get((column, None), lambda: self._value(column))

    def change(self, column: Column, since: Since) -> Floats:
        """How a column of ``WITH_CHANGE`` changed."""
        return self._get((column, since), lambda: self._change(column, since))

    def _get(self, name: tuple[Column, Since | None], work: Callable[[], Floats]) -> Floats:
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = work()
        return known

    def _value(self, column: Column) -> Floats:
        now = self._tracker.now
        if now is None:
            return np.full(len(self._tracker.places.pools), np.nan)
        if column in _FIGURE:
            return now.of(_FIGURE[column])
        if column is Column.EACH:
            return _each(now)
        if column is Column.STARTED:
            return self.change(Column.BYTES, Since.START)
        if column is Column.MARKED:
            return self.change(Column.BYTES, Since.MARK)
        if column is Column.SHARE:
            return self._share(now)
        if column is Column.TREND:
            return self.value(Column.RATE)
        if column is Column.RATE:
            return self._tracker.rate()
        raise ValueError(f"{column} holds no numbers")

    def _change(self, column: Column, since: Since) -> Floats:
        if column is not Column.EACH:
            return self._tracker.change(_FIGURE[column], since)
        now, origin = self._tracker.now, self._tracker.origin(since)
        if now is None or origin is None:
            return np.full(len(self._tracker.places.pools), np.nan)
        return self.value(Column.EACH) - _each(origin)

    def _share(self, now: State) -> Floats:
        """Of the bytes that its pool uses: as the memory figures say, else of what all tags of the pool hold.

        The pool of a session is not in the figures of memory: there it is the tags' sum.
        """
        groups = self._tracker.places.groups[: len(now.bytes)]
        if not len(groups):
            return np.empty(0)
        used = np.bincount(groups, weights=np.nan_to_num(now.bytes))
        for pool, name in enumerate(_POOL_FIGURES):
            said = now.memory.get(name)
            if said is not None and pool < len(used) and np.isfinite(said):
                used[pool] = max(used[pool], said)  # group 0 and 1 are the system's pools: see Places
        used[used <= 0] = np.nan
        share: Floats = now.bytes / used[groups]
        return share


def _each(state: State) -> Floats:
    """Bytes by allocation as poolmon prints them: whole, 0 where there is none."""
    count = state.outstanding
    some = count > 0
    each: Floats = np.where(some, np.floor(state.bytes / np.where(some, count, 1.0)), np.where(count == 0, 0.0, np.nan))
    return each
