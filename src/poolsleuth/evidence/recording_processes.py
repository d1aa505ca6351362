"""The processes of a recording as counters of processes: handles, and the pool that is charged to each."""

from array import array
from collections.abc import Iterator, Sequence
from math import nan

from poolsleuth.model.facts import Where
from poolsleuth.model.series import CounterPath, CounterSeries
from poolsleuth.model.system import ProcessInfo, ProcessList
from poolsleuth.sampling.recording.layout import MOST_BY_HANDLES
from poolsleuth.sampling.sample import ProcessRow, Sample

MAX_PROCESSES = 20_000  # different processes of one recording: a build server starts more, each for a moment
MAX_PROCESS_CELLS = 4_000_000  # samples of one process, 32 bytes each: 300 processes 13,000 times

# The object whose instances are ``name:pid``: a name stays with its process, which the numbers of ``svchost#2`` do not
_OBJECT = "Process V2"
_COUNTERS = ("Handle Count", "Pool Nonpaged Bytes", "Pool Paged Bytes")
_FORBIDDEN = str.maketrans("()#/\\", "[]___")  # as Windows replaces them in the names of instances


class ProcessCounters:
    """Collects the processes of sample after sample; beyond the bounds, new processes and further samples are left out.

    ``lost`` counts what was left out.
    """

    def __init__(self) -> None:
        self.lost = 0
        self._cells = 0
        self._columns: dict[str, tuple[array[float], ...]] = {}

    def add(self, time: float, rows: Sequence[ProcessRow]) -> None:
        """The processes at a time."""
        for row in rows:
            name = instance_of(row)
            columns = self._columns.get(name)
            if columns is None:
                if len(self._columns) >= MAX_PROCESSES:
                    self.lost += 1
                    continue
                columns = self._columns[name] = tuple(array("d") for _ in range(1 + len(_COUNTERS)))
            if self._cells >= MAX_PROCESS_CELLS:
                self.lost += 1
                continue
            self._cells += 1
            for column, value in zip(columns, (time, row.handles, row.nonpaged, row.paged), strict=True):
                column.append(nan if value is None else value)

    def series(self, host: str | None, where: Where, *, utc: bool) -> Iterator[CounterSeries]:
        """One per process and counter that was ever known."""
        for instance, (times, *columns) in self._columns.items():
            for counter, values in zip(_COUNTERS, columns, strict=True):
                if any(value == value for value in values):  # noqa: PLR0124 - not missing
                    yield CounterSeries(
                        where=where,
                        path=CounterPath(host, _OBJECT, instance, counter),
                        times=times,
                        values=values,
                        samples=len(times),
                        utc=utc,
                    )


def instance_of(row: ProcessRow) -> str:
    """The process as an instance of a counter: ``svchost:1234``."""
    name = row.name[:-4] if row.name.lower().endswith(".exe") else row.name
    return f"{name.translate(_FORBIDDEN)}:{row.pid}"


def process_list(sample: Sample, where: Where) -> ProcessList | None:
    """The processes of one sample; None when it has none. A recording keeps only the largest of many."""
    found = tuple(ProcessInfo(row.name, row.pid, None, row.handles, row.session, where) for row in sample.processes)
    return ProcessList(where=where, processes=found, complete=len(found) < MOST_BY_HANDLES) if found else None
