"""What every tag held over the time that was watched, in bounded memory.

When the rows that are kept pass a bound, every second one is left out, so that the time stays evenly covered from the
first sample to the last. The last sample is always there.
"""

from collections.abc import Mapping

import numpy as np

from poolsleuth.sampling.sample import Floats, Ids, Sample
from poolsleuth.top.view_sessions import EVERY_SESSION, Groups, Places

MAX_CELLS = 1_000_000  # samples x tags that are kept, 24 bytes each, 24 MB: 3,000 tags 333 times
FEWEST_POINTS = 48  # kept however many tags there are: enough for a chart of half a terminal, and for a verdict
MOST_POINTS = 2_000
BYTES, OUTSTANDING, ALLOCS = range(3)
_SLACK = 8  # an eighth more columns than there are tags: room for those that come later
_LEAST_WIDTH = 256


class History:
    """Rows of bytes, outstanding allocations and allocations; columns are numbers of tags.

    A figure is NaN where the sample does not show the tag; 0 where the sample shows all tags of its pool and session.
    Counts are doubles as well: a second's allocations are the difference of two counters of thousands of millions.
    """

    def __init__(self, places: Places | None = None) -> None:
        self._places = Places() if places is None else places
        self._times: list[float] = []
        self._memory: list[Mapping[str, float]] = []
        self._boots: list[float | None] = []
        self._lives: list[int] = []  # how often Windows was started again before a row
        self._groups: list[Groups | None] = []  # pools and sessions that are whole in a row; None: none
        self._stride = 1
        self._count = 0
        self._width = 0
        self._bytes: Floats = np.empty((0, 0))
        self._outstanding: Floats = np.empty((0, 0))
        self._allocs: Floats = np.empty((0, 0))
        self._dated: Floats | None = None  # ``times``, until the next sample

    def __len__(self) -> int:
        return len(self._times)

    @property
    def count(self) -> int:
        """How many samples were added, also those that are not kept."""
        return self._count

    @property
    def times(self) -> Floats:
        """When the kept samples were taken. Not to be written to."""
        if self._dated is None:
            self._dated = np.array(self._times, np.float64)
        return self._dated

    @property
    def boots(self) -> list[float | None]:
        """When Windows had been started, by kept sample."""
        return list(self._boots)

    @property
    def begin(self) -> int:
        """The place of the first kept sample since Windows was last started; 0 when it ran all the time."""
        place = len(self._lives)
        while place and self._lives[place - 1] == self._lives[-1]:
            place -= 1
        return place

    def memory(self, figure: str) -> Floats:
        """A figure of memory over the kept samples, NaN where not known."""
        return np.array([memory.get(figure, np.nan) for memory in self._memory], np.float64)

    def add(self, sample: Sample, width: int, life: int = 0) -> None:
        """The next sample; ``width`` is the number of tags known by now, ``life`` counts the restarts before it."""
        if self._times and (self._count - 1) % self._stride:
            self._pop()  # it was there only because it was the last one
        self._dated = None
        self._widen(width)
        place = len(self._times)
        ids = sample.tags.ids
        groups = self._whole(sample)
        blank = self._blank(groups, 0)
        for table, values in (
            (self._bytes, sample.tags.bytes),
            (self._outstanding, sample.tags.outstanding),
            (self._allocs, sample.tags.allocs),
        ):
            row = table[place]
            row[: self._width] = blank
            row[ids] = values
        self._times.append(sample.time)
        self._memory.append(sample.memory)
        self._boots.append(sample.booted)
        self._lives.append(life)
        self._groups.append(groups)
        self._count += 1
        if len(self._times) > self._most():
            self._thin()

    @property
    def room(self) -> int:
        """How many samples it keeps at most, with as many tags as there are."""
        return self._most()

    def _most(self) -> int:
        return max(FEWEST_POINTS, min(MOST_POINTS, MAX_CELLS // max(1, self._width)))

    def _pop(self) -> None:
        for kept in (self._times, self._memory, self._boots, self._lives, self._groups):
            kept.pop()

    def _thin(self) -> None:
        """Leave out every second row but the first and the last."""
        while len(self._times) > self._most():
            self._stride *= 2
            count = len(self._times)
            kept = list(range(0, count, 2))
            if kept[-1] != count - 1:
                kept.append(count - 1)
            for table in (self._bytes, self._outstanding, self._allocs):
                for to, place in enumerate(kept):
                    table[to] = table[place]
            self._times = [self._times[place] for place in kept]
            self._memory = [self._memory[place] for place in kept]
            self._boots = [self._boots[place] for place in kept]
            self._lives = [self._lives[place] for place in kept]
            self._groups = [self._groups[place] for place in kept]
        self._dated = None

    def _widen(self, width: int) -> None:
        """Room for so many tags, and for one row more."""
        rows, columns = self._bytes.shape
        if width > columns or len(self._times) >= rows:
            before = self._width
            self._width = max(width, before)
            columns = max(columns, _LEAST_WIDTH, self._width + self._width // _SLACK) if width > columns else columns
            # What is never written to takes no memory
            rows = max(self._most(), len(self._times)) + 2
            kept = len(self._times)
            self._bytes = _moved(self._bytes, kept, before, rows, columns)
            self._outstanding = _moved(self._outstanding, kept, before, rows, columns)
            self._allocs = _moved(self._allocs, kept, before, rows, columns)
            self._width = before
        if width > self._width:
            first, self._width = self._width, width
            self._fill(first)

    def _fill(self, first: int) -> None:
        """What tags that came later held in the rows before: nothing, or it is not known."""
        sets = {id(groups): groups for groups in self._groups}
        for groups in sets.values():
            blank = self._blank(groups, first)
            rows = [place for place, each in enumerate(self._groups) if each is groups]
            for table in (self._bytes, self._outstanding, self._allocs):
                table[rows, first : self._width] = blank

    def _whole(self, sample: Sample) -> Groups | None:
        groups = self._places.whole_in(sample)
        last = self._groups[-1] if self._groups else None
        return last if groups is not None and last is not None and np.array_equal(groups, last) else groups

    def _blank(self, groups: Groups | None, first: int) -> Floats:
        return blanks(self._places, groups, first, self._width)

    def column(self, number: int, what: int = BYTES) -> Floats:
        """One tag over the kept samples; ``what`` is BYTES, OUTSTANDING or ALLOCS."""
        return self.matrix(what, np.array([number]))[:, 0]

    def matrix(self, what: int = BYTES, numbers: Ids | None = None) -> Floats:
        """Kept samples x tags: all of them, or some by number."""
        table = self._table(what)[: len(self._times), : self._width]
        if numbers is None:
            return table.copy()
        there = numbers < self._width
        if there.all():
            return table[:, numbers]
        result = np.full((len(self._times), len(numbers)), np.nan)
        result[:, there] = table[:, numbers[there]]
        return result

    def before(self, time: float) -> int | None:
        """The place of the last kept sample that is not later than ``time``; None when there is none."""
        earlier = np.flatnonzero(self.times <= time)
        return int(earlier[-1]) if len(earlier) else None

    def row(self, place: int, what: int = BYTES) -> Floats:
        """One kept sample over all tags that are known by now."""
        return self._table(what)[: len(self._times)][place, : self._width].copy()

    def _table(self, what: int) -> Floats:
        return (self._bytes, self._outstanding, self._allocs)[what]


def blanks(places: Places, groups: Groups | None, first: int, width: int) -> Floats:
    """What tags hold that a sample does not show, from a number on: 0 where their pool and session is whole in it."""
    blank = np.full(width - first, np.nan)
    if groups is not None and len(groups):
        of = places.groups[first:width]
        whole = np.zeros(max(int(groups[-1]), int(of.max(initial=0))) + 1, bool)
        whole[2:] = groups[0] == EVERY_SESSION
        whole[groups[groups >= 0]] = True
        blank[: len(of)][whole[of]] = 0.0
    return blank


def _moved(table: Floats, kept: int, width: int, rows: int, columns: int) -> Floats:
    if table.shape == (rows, columns):
        return table
    larger = np.empty((rows, columns))
    larger[:kept, :width] = table[:kept, :width]
    return larger
