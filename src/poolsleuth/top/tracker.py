"""Follows sample after sample: the figures of now, what changed since the last, since the start and since a mark.

Nothing is counted across a restart of Windows: its pools begin anew.
"""

from collections.abc import Iterable, Iterator, Mapping
from copy import copy
from enum import Enum
from typing import Protocol, runtime_checkable

import numpy as np

from poolsleuth.sampling.sample import Floats, Host, Ids, Sample, Series, TagIndex
from poolsleuth.top.history import MOST_POINTS, History, blanks
from poolsleuth.top.view_sessions import SYSTEM, Groups, Places, SessionSums

RATE_WINDOW = 3600.0  # seconds over which a rate per hour is taken
SHORTEST_RATE = 60.0  # seconds: over less, a rate per hour is noise
FIGURES = ("bytes", "outstanding", "allocs", "frees")
_ARRAYS = ("bytes", "outstanding", "allocs")
_CLOCK = 600.0  # seconds by which two times of a start must differ to be two starts: clocks are set now and then
_FELL_BACK = 60.0  # seconds that an uptime must fall before it is that of another start
_LOST = 0.5  # of its allocations since boot that a tag must lose, and of the tags that must, to tell of a restart
_FEW_TAGS = 5  # of fewer, every one must lose some, and one alone tells nothing: 32-bit counters of single tags wrap


class Since(Enum):
    """What a change is counted from."""

    LAST = "the sample before"
    START = "the first sample"
    MARK = "the mark"


class State:
    """The figures of one moment over all tags: arrays of doubles by number of tag, NaN where not known.

    ``shown`` tells which tags the sample has. In a complete table, a tag that is missing holds 0, if the table shows
    others of its pool and session, or shows all sessions. ``late`` tells of which tags the bytes are those of a later
    moment, as this one does not know them, and ``seen`` of which (seconds since 1970, NaN where not known): of a state
    that was ``filled``. ``boot`` counts the restarts of Windows that were seen before it.
    """

    boot = 0

    def __init__(self, sample: Sample, width: int, places: Places) -> None:
        self.time = sample.time
        self.memory: Mapping[str, float] = sample.memory
        self.booted = sample.booted
        self.complete = sample.complete
        self.label = sample.label
        self._places = places
        self._groups = places.whole_in(sample)
        self._lent: tuple[tuple[float, Groups], ...] = ()  # groups that later moments knew first, and their times
        blank = blanks(places, self._groups, 0, width)
        tags = sample.tags
        self.bytes = _placed(blank, tags.ids, tags.bytes)
        self.outstanding = _placed(blank, tags.ids, tags.outstanding)
        self.allocs = _placed(blank, tags.ids, tags.allocs)
        self.shown = np.zeros(width, bool)
        self.shown[tags.ids] = True
        self.late = np.zeros(width, bool)
        self.seen = np.full(width, np.nan)

    def widen(self, width: int) -> None:
        """Make room for tags that came later: at this moment they held nothing, or it is not known."""
        done = len(self.bytes)
        more = width - done
        if more > 0:
            blank = blanks(self._places, self._groups, done, width)
            late, seen = np.zeros(more, bool), np.full(more, np.nan)
            for time, lent in self._lent:
                others = blanks(self._places, lent, done, width)
                fresh = np.isnan(blank) & ~np.isnan(others)
                blank[fresh], seen[fresh], late[fresh] = others[fresh], time, True
            self.late = np.concatenate((self.late, late))
            self.seen = np.concatenate((self.seen, seen))
            self.bytes = np.concatenate((self.bytes, blank))
            self.outstanding = np.concatenate((self.outstanding, blank))
            self.allocs = np.concatenate((self.allocs, blank))
            self.shown = np.concatenate((self.shown, np.zeros(more, bool)))

    def filled(self, later: "State") -> "State":
        """This moment, with what a later one of the same width knows where this one knows nothing."""
        other = copy(self)
        for name in _ARRAYS:
            mine: Floats = getattr(self, name)
            unknown = np.isnan(mine)
            if unknown.any():
                values: Floats = getattr(later, name)
                setattr(other, name, np.where(unknown, values, mine))
                if name == "bytes":
                    fresh = unknown & ~np.isnan(values)
                    if fresh.any():
                        other.late = self.late | fresh
                        other.seen = np.where(fresh, later.time, self.seen)
        if later._groups is not None:
            # Tags that are never seen before held nothing at that later moment
            known = [self._groups, *(groups for _, groups in self._lent)]
            told = np.concatenate([groups for groups in known if groups is not None] or [later._groups[:0]])
            new = later._groups[~np.isin(later._groups, told)]
            if len(new):
                other._lent = (*self._lent, (later.time, new))
        return other

    def of(self, figure: str) -> Floats:
        """One of ``FIGURES`` over all tags."""
        if figure == "frees":
            return self.allocs - self.outstanding
        values: Floats = getattr(self, figure)
        return values


def restarted(before: State, now: State, places: Places) -> bool:
    """Whether Windows was started again between two moments of the same width.

    The times of the start tell, and the counts of allocations since boot, of which then most tags lose most.
    """
    if before.booted is not None and now.booted is not None:
        if abs(now.booted - before.booted) <= _CLOCK:
            return False
        if now.time - now.booted < before.time - before.booted - _FELL_BACK:
            return True
        # It has run for longer than before: started long ago, or only the clock was set
        return _lost_allocs(before, now, places) is not False
    return _lost_allocs(before, now, places) is True


def _lost_allocs(before: State, now: State, places: Places) -> bool | None:
    """Whether most tags lost most of their allocations since boot, or all lost some; None: too few to tell.

    Sessions come and go, and take their counts with them: only the system's pools tell.
    """
    both = before.shown & now.shown & (places.sessions[: len(now.shown)] == SYSTEM)
    both &= np.isfinite(before.allocs) & np.isfinite(now.allocs) & (before.allocs > 0)
    count = int(both.sum())
    if count < 2:
        return None
    before_it, after = before.allocs[both], now.allocs[both]
    if (after < before_it).all():
        return True
    return count >= _FEW_TAGS and int((after < before_it * _LOST).sum()) > _LOST * count


def _placed(blank: Floats, ids: Ids, values: Floats) -> Floats:
    column = blank.copy()
    column[ids] = values
    return column


@runtime_checkable
class _Streaming(Protocol):
    """A series that gives many samples faster than one by one."""

    def samples(self, places: Iterable[int]) -> Iterator[Sample]:
        """The samples of ascending places."""


class Tracker:
    """What is known of a machine after the samples so far. Samples come in the order of time.

    Where samples show single sessions only, the sums over them are added under keys of session -1. Changes since
    the start (the mark) are counted from that sample; where it does not show a tag, from the first behind it that does.
    Once Windows was started again, both are counted from the first sample after that: ``start`` is that one then.
    """

    def __init__(self, index: TagIndex, host: Host | None = None) -> None:
        self.host = host or Host()
        self.places = Places()
        self._sums = SessionSums(index)
        self.now: State | None = None
        self.previous: State | None = None
        self.start: State | None = None
        self.mark: State | None = None
        self._began: State | None = None  # ``start``, and what was first known of the rest
        self._before = 0  # samples before ``start``
        self.last: Sample | None = None
        self.history = History(self.places)

    @property
    def index(self) -> TagIndex:
        """The numbers of all tags here, sums over sessions included. Set it when samples come with another index."""
        return self._sums.index

    @index.setter
    def index(self, source: TagIndex) -> None:
        self._sums.follow(source)

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

    @property
    def watched(self) -> int:
        """How many samples there were since the start, this one and that included."""
        return self.history.count - self._before

    @property
    def restarted(self) -> bool:
        """Whether Windows was started again while it was watched: ``start`` is the first sample after that."""
        return self.now is not None and self.now.boot > 0

    def feed(self, sample: Sample) -> None:
        """The next sample."""
        sample = self._sums.add(sample, self.places)
        width = len(self.places.pools)
        state = State(sample, width, self.places)
        self.previous, self.now, self.last = self.now, state, sample
        if self.start is None:
            self.start = state
            self._began = state
        known = (self.previous, self.start, self.mark, self._began)
        for earlier in {id(one): one for one in known if one is not None}.values():
            earlier.widen(width)
        if self.previous is not None:
            state.boot = self.previous.boot + restarted(self.previous, state, self.places)
            if state.boot != self.previous.boot:
                self.start = self._began = state
                self._before = self.history.count
        if self._began is not None and self._began is not state:
            self._began = self._began.filled(state)
        if (
            self.mark is not None
            and self.mark is not state
            and self.mark.boot == state.boot
            and not state.time < self.mark.time
        ):
            self.mark = self.mark.filled(state)
        self.history.add(sample, width, state.boot)

    def set_mark(self) -> None:
        """From now on, ``Since.MARK`` counts from this moment."""
        self.mark = self.now

    def clear_mark(self) -> None:
        """There is no mark any more."""
        self.mark = None

    def origin(self, since: Since) -> State | None:
        """The moment that a change is counted from; None when there is none, as before the second sample.

        After a restart of Windows, that is the first sample after it; of the sample before, there is none.
        """
        now, began = self.now, None if self.start is self.now else self._began
        if now is None or since is Since.START:
            return began
        if since is Since.LAST:
            return self.previous if self.previous is not None and self.previous.boot == now.boot else None
        if self.mark is None or self.mark.boot == now.boot:
            return self.mark
        return began if self.mark.boot < now.boot else None

    def change(self, figure: str, since: Since) -> Floats:
        """How one of ``FIGURES`` changed, over all tags; NaN where not known, as before the second sample."""
        origin = self.origin(since)
        if self.now is None or origin is None:
            return np.full(len(self.places.pools), np.nan)
        return self.now.of(figure) - origin.of(figure)

    def rate(self, what: int = 0) -> Floats:
        """Bytes (0), outstanding allocations (1) or allocations (2) per hour, over the last hour at most.

        Of a tag that was not known an hour ago, from the first sample that knows it; never from before Windows was
        started. NaN where not known, as before ``SHORTEST_RATE`` seconds have passed.
        """
        nothing = np.full(len(self.places.pools), np.nan)
        times = self.history.times
        if self.now is None or len(times) < 2 or not np.isfinite(times[[0, -1]]).all():
            return nothing
        place = self.history.before(times[-1] - RATE_WINDOW)
        place = max(self.history.begin, 0 if place is None else place)
        hours = (times[-1] - times[place]) / 3600
        if hours * 3600 < SHORTEST_RATE:
            return nothing
        last = self.history.row(len(times) - 1, what)
        rate: Floats = (last - self.history.row(place, what)) / hours
        late = np.flatnonzero(np.isnan(rate) & ~np.isnan(last))
        if len(late):
            course = self.history.matrix(what, late)[place:]
            first = np.argmax(~np.isnan(course), axis=0)
            hours_of = (times[-1] - times[place + first]) / 3600
            long = hours_of * 3600 >= SHORTEST_RATE
            rate[late[long]] = ((last[late] - course[first, np.arange(len(late))]) / np.where(long, hours_of, 1))[long]
        return rate

    def rebuild(self, series: Series, place: int) -> None:
        """As if the samples of a series up to a place had been fed; the mark stays where it was set.

        Where there are more than ``MOST_POINTS`` samples, an even choice of them, with the first and the last two.
        """
        mark = self.mark
        self.now = self.previous = self.start = self._began = self.last = None
        self._before = 0
        self.history = History(self.places)
        self.index = series.index
        places = range(place + 1)
        if len(places) > MOST_POINTS:
            chosen = np.unique(np.linspace(0, place - 1, MOST_POINTS - 1).astype(np.int64))
            wanted = [*chosen.tolist(), place]
        else:
            wanted = list(places)
        if isinstance(series, _Streaming) and len(wanted) > 1:
            for sample in series.samples(wanted):
                self.feed(sample)
        else:
            for number in wanted:
                self.feed(series.at(number))
        self.mark = mark
        if mark is not None:
            mark.widen(len(self.places.pools))
