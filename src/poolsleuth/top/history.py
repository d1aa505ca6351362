"""What every tag held over the time that was watched, in bounded memory.

When the rows that are kept pass a bound, every second one is left out, so that the time stays evenly covered from the
first sample to the last. The last sample is always there.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poolsleuth.sampling.sample import Floats, Ids, Sample

MAX_CELLS = 2_000_000  # samples x tags that are kept, 16 bytes each: 3,000 tags 666 times
FEWEST_POINTS = 96  # kept however many tags there are: a chart of one terminal's width
MOST_POINTS = 2_000
BYTES, OUTSTANDING, ALLOCS = range(3)


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    """One sample. Counts are for charts and courses, where the 24 bits of a single are enough."""

    time: float
    bytes: NDArray[np.float64]
    outstanding: NDArray[np.float32]
    allocs: NDArray[np.float32]
    memory: Mapping[str, float]
    booted: float | None

    def figures(self, what: int) -> NDArray[np.floating]:
        return (self.bytes, self.outstanding, self.allocs)[what]


class History:
    """Rows of bytes, outstanding allocations and allocations; columns are numbers of tags, NaN where not shown."""

    def __init__(self) -> None:
        self._rows: list[_Row] = []
        self._stride = 1
        self._count = 0
        self._width = 0

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def count(self) -> int:
        """How many samples were added, also those that are not kept."""
        return self._count

    @property
    def times(self) -> Floats:
        """When the kept samples were taken."""
        return np.array([row.time for row in self._rows], np.float64)

    @property
    def boots(self) -> list[float | None]:
        """When Windows had been started, by kept sample."""
        return [row.booted for row in self._rows]

    def memory(self, figure: str) -> Floats:
        """A figure of memory over the kept samples, NaN where not known."""
        return np.array([row.memory.get(figure, np.nan) for row in self._rows], np.float64)

    def add(self, sample: Sample, width: int) -> None:
        """The next sample; ``width`` is the number of tags known by now."""
        if self._rows and (self._count - 1) % self._stride:
            self._rows.pop()  # it was there only because it was the last one
        self._width = max(self._width, width)
        self._rows.append(_row(sample, self._width))
        self._count += 1
        if len(self._rows) > max(FEWEST_POINTS, min(MOST_POINTS, MAX_CELLS // max(1, self._width))):
            self._stride *= 2
            last = self._rows[-1]
            self._rows = self._rows[::2]
            if self._rows[-1] is not last:
                self._rows.append(last)

    def column(self, number: int, what: int = BYTES) -> Floats:
        """One tag over the kept samples; ``what`` is BYTES, OUTSTANDING or ALLOCS."""
        return self.matrix(what, np.array([number]))[:, 0]

    def matrix(self, what: int = BYTES, numbers: Ids | None = None) -> Floats:
        """Kept samples x tags: all of them, or some by number."""
        width = self._width if numbers is None else len(numbers)
        result = np.full((len(self._rows), width), np.nan)
        for place, row in enumerate(self._rows):
            values = row.figures(what)
            if numbers is None:
                result[place, : len(values)] = values
            else:
                there = numbers < len(values)
                result[place, there] = values[numbers[there]]
        return result

    def before(self, time: float) -> int | None:
        """The place of the last kept sample that is not later than ``time``; None when there is none."""
        earlier = np.flatnonzero(self.times <= time)
        return int(earlier[-1]) if len(earlier) else None

    def row(self, place: int, what: int = BYTES) -> Floats:
        """One kept sample over all tags that were known then."""
        return self._rows[place].figures(what).astype(np.float64)


def _row(sample: Sample, width: int) -> _Row:
    tags = sample.tags
    sizes = np.full(width, np.nan)
    counts, allocs = np.full(width, np.nan, np.float32), np.full(width, np.nan, np.float32)
    sizes[tags.ids], counts[tags.ids], allocs[tags.ids] = tags.bytes, tags.outstanding, tags.allocs
    return _Row(sample.time, sizes, counts, allocs, sample.memory, sample.booted)
