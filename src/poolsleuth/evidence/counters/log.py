"""What every counter log's reader gives: rows of one time each, with the values of the counters that were asked for."""

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from poolsleuth.model.facts import Fact, Problem, Where
from poolsleuth.model.series import CounterPath, CounterSeries

Wanted = Callable[[CounterPath], bool]
"""Whether a counter's values are needed. Readers ask once per counter, and skip the bytes of those that are not."""

MAX_COLUMNS = 150_000  # different counters of one log, 1 KB each: a terminal server has some 100,000
MAX_CELLS = 16_000_000  # values kept of one log for the judgement: 128 MB


@dataclass(slots=True)
class CounterRow:
    """One sample: its time in seconds since 1970 UTC, and values by column number. A missing value has no entry."""

    time: float
    cells: dict[int, float]


class CounterReader(Protocol):
    """Reads one counter log as a stream. After the rows have run out everything else is complete.

    ``columns`` grows while rows come (instances are born); it holds wanted counters only. ``facts`` are what the log
    says of the machine beside the values (``TargetInfo``). ``utc`` is False when the log's times are local and its
    zone is not known. ``series`` counts all counters of the log, wanted or not.
    """

    columns: list[CounterPath]
    problems: list[Problem]
    facts: list[Fact]
    utc: bool

    @property
    def series(self) -> int:
        """How many counters the log holds, wanted or not."""
        ...

    def rows(self) -> Iterator[CounterRow]:
        """The samples in the order of time. Raises InputError when nothing of the log can be read."""
        ...


@dataclass(slots=True)
class _Column:
    times: "array[float]" = field(default_factory=lambda: array("d"))
    values: "array[float]" = field(default_factory=lambda: array("d"))
    samples: int = 0

    def sort(self) -> None:
        """Put the samples in the order of time: a clock that was set back leaves some out of it."""
        times = np.frombuffer(self.times) if self.times else np.empty(0)
        if not (np.diff(times) < 0).any():
            return
        order = np.argsort(times, kind="stable")
        values = np.frombuffer(self.values)[order]
        self.times, self.values = array("d", times[order].tolist()), array("d", values.tolist())


class SeriesCollector:
    """Keeps the rows of a log as one series per counter, within ``limit`` cells.

    When there are more, every second row is left out from then on and of what is kept, so that a log of any length
    stays evenly covered from its first row to its last.
    """

    def __init__(self, limit: int = MAX_CELLS) -> None:
        self._limit = limit
        self._columns: dict[int, _Column] = {}
        self._stride = 1
        self._row = 0
        self._cells = 0
        self._last: CounterRow | None = None
        self.first: float | None = None
        self.last: float | None = None

    @property
    def rows(self) -> int:
        """Rows seen so far."""
        return self._row

    def add(self, row: CounterRow) -> None:
        """Take the next sample."""
        if self.first is None:
            self.first = row.time
        self.last = row.time
        kept = self._row % self._stride == 0
        self._row += 1
        for index in row.cells:
            column = self._columns.get(index)
            if column is None:
                column = self._columns[index] = _Column()
            column.samples += 1
        self._last = row
        if kept:
            self._keep(row)
            while self._cells > self._limit and any(len(c.times) > 2 for c in self._columns.values()):
                self._thin()

    def _keep(self, row: CounterRow) -> None:
        for index, value in row.cells.items():
            column = self._columns[index]
            column.times.append(row.time)
            column.values.append(value)
        self._cells += len(row.cells)

    def _thin(self) -> None:
        self._stride *= 2
        for column in self._columns.values():
            column.times = column.times[::2]
            column.values = column.values[::2]
        self._cells = sum(len(column.times) for column in self._columns.values())

    def series(self, reader: CounterReader, where: Where) -> list[CounterSeries]:
        """One fact per counter that has a value. The last row is always among them."""
        if self._last is not None:
            # It may have been passed over, or thinned out again of some columns
            missing = {
                index: value
                for index, value in self._last.cells.items()
                if not (times := self._columns[index].times) or times[-1] != self._last.time
            }
            self._keep(CounterRow(self._last.time, missing))
            self._last = None
        for column in self._columns.values():
            column.sort()
        return [
            CounterSeries(
                where=where,
                path=reader.columns[index],
                times=column.times,
                values=column.values,
                samples=column.samples,
                utc=reader.utc,
            )
            for index, column in sorted(self._columns.items())
            if column.times
        ]


__all__ = ["MAX_CELLS", "MAX_COLUMNS", "CounterReader", "CounterRow", "SeriesCollector", "Wanted"]
