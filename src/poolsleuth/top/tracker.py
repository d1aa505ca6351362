"""Follows sample after sample: the figures of now, what changed since the last, since the start and since a mark."""

from collections.abc import Mapping
from enum import Enum

import numpy as np

from poolsleuth.sampling.sample import Floats, Host, Ids, Sample, Series, TagIndex
from poolsleuth.top.history import History

RATE_WINDOW = 3600.0  # seconds over which a rate per hour is taken
SHORTEST_RATE = 60.0  # seconds: over less, a rate per hour is noise
FIGURES = ("bytes", "outstanding", "allocs", "frees")


class Since(Enum):
    """What a change is counted from."""

    LAST = "the sample before"
    START = "the first sample"
    MARK = "the mark"


class State:
    """The figures of one moment over all tags: arrays of doubles by number of tag, NaN where not known.

    ``shown`` tells which tags the sample has. In a complete table, a tag that is missing holds 0.
    """

    def __init__(self, sample: Sample, width: int) -> None:
        self.time = sample.time
        self.memory: Mapping[str, float] = sample.memory
        self.booted = sample.booted
        self.complete = sample.complete
        self.label = sample.label
        self._blank = 0.0 if sample.complete else np.nan
        tags = sample.tags
        self.bytes = self._placed(tags.ids, tags.bytes, width)
        self.outstanding = self._placed(tags.ids, tags.outstanding, width)
        self.allocs = self._placed(tags.ids, tags.allocs, width)
        self.shown = np.zeros(width, bool)
        self.shown[tags.ids] = True

    def _placed(self, ids: Ids, values: Floats, width: int) -> Floats:
        column = np.full(width, self._blank)
        column[ids] = values
        return column

    def widen(self, width: int) -> None:
        """Make room for tags that came later: at this moment they held nothing, or it is not known."""
        more = width - len(self.bytes)
        if more > 0:
            self.bytes = np.concatenate((self.bytes, np.full(more, self._blank)))
            self.outstanding = np.concatenate((self.outstanding, np.full(more, self._blank)))
            self.allocs = np.concatenate((self.allocs, np.full(more, self._blank)))
            self.shown = np.concatenate((self.shown, np.zeros(more, bool)))

    def of(self, figure: str) -> Floats:
        """One of ``FIGURES`` over all tags."""
        if figure == "frees":
            return self.allocs - self.outstanding
        values: Floats = getattr(self, figure)
        return values


class Tracker:
    """What is known of a machine after the samples so far. Samples come in the order of time."""

    def __init__(self, index: TagIndex, host: Host | None = None) -> None:
        self.index = index
        self.host = host or Host()
        self.now: State | None = None
        self.previous: State | None = None
        self.start: State | None = None
        self.mark: State | None = None
        self.last: Sample | None = None
        self.history = History()

    @property
    def count(self) -> int:
        """How many samples there were."""
        return self.history.count

    @property
    def seconds(self) -> float | None:
        """How long is watched by now; None when the times are not known."""
        if self.now is None or self.start is None or not np.isfinite(self.now.time - self.start.time):
            return None
        return self.now.time - self.start.time

    def feed(self, sample: Sample) -> None:
        """The next sample."""
        width = len(self.index)
        state = State(sample, width)
        self.previous, self.now, self.last = self.now, state, sample
        if self.start is None:
            self.start = state
        for earlier in {id(s): s for s in (self.previous, self.start, self.mark) if s is not None}.values():
            earlier.widen(width)
        self.history.add(sample, width)

    def set_mark(self) -> None:
        """From now on, ``Since.MARK`` counts from this moment."""
        self.mark = self.now

    def clear_mark(self) -> None:
        """There is no mark any more."""
        self.mark = None

    def origin(self, since: Since) -> State | None:
        """The moment that a change is counted from; None when there is none."""
        return {Since.LAST: self.previous, Since.START: self.start, Since.MARK: self.mark}[since]

    def change(self, figure: str, since: Since) -> Floats:
        """How one of ``FIGURES`` changed, over all tags; NaN where not known, as before the second sample."""
        origin = self.origin(since)
        if self.now is None or origin is None:
            return np.full(len(self.index), np.nan)
        return self.now.of(figure) - origin.of(figure)

    def rate(self, what: int = 0) -> Floats:
        """Bytes (0), outstanding allocations (1) or allocations (2) per hour, over the last hour at most.

        NaN where not known, as before ``SHORTEST_RATE`` seconds have passed.
        """
        nothing = np.full(len(self.index), np.nan)
        times = self.history.times
        if self.now is None or len(times) < 2 or not np.isfinite(times[[0, -1]]).all():
            return nothing
        place = self.history.before(times[-1] - RATE_WINDOW)
        place = 0 if place is None else place
        hours = (times[-1] - times[place]) / 3600
        if hours * 3600 < SHORTEST_RATE:
            return nothing
        then, now = self.history.row(place, what), self.history.row(len(times) - 1, what)
        nothing[: len(then)] = (now[: len(then)] - then) / hours
        return nothing

    def rebuild(self, series: Series, place: int) -> None:
        """As if all samples of a series up to a place had been fed; the mark stays where it was set."""
        mark = self.mark
        self.now = self.previous = self.start = self.last = None
        self.history = History()
        for number in range(place + 1):
            self.feed(series.at(number))
        self.mark = mark
        if mark is not None:
            mark.widen(len(self.index))
