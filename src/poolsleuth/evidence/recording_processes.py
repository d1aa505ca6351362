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
MAX_PROCESS_CELLS = 400_000  # samples of one process, 40 bytes each: 300 processes 1,333 times, evenly spread

# The object whose instances are ``name:pid``: a name stays with its process, which the numbers of ``svchost#2`` do not
_OBJECT = "Process V2"
_COUNTERS = ("Handle Count", "Pool Nonpaged Bytes", "Pool Paged Bytes")
_FORBIDDEN = str.maketrans("()#/\\", "[]___")  # as Windows replaces them in the names of instances


class ProcessCounters:
    """Collects the processes of sample after sample. When they are too many, every second sample is let go.

    The newest sample is always there. ``lost`` counts what was left out beyond the bound on processes.
    """

    def __init__(self) -> None:
        self.lost = 0
        self._cells = self._samples = 0
        self._step = 1
        self._columns: dict[str, tuple[array[float], ...]] = {}  # number of the sample, time, and the counters
        self._newest: tuple[float, Sequence[ProcessRow]] | None = None  # a sample that is not among them

    def add(self, time: float, rows: Sequence[ProcessRow]) -> None:
        """The processes at a time."""
        number = self._samples
        self._samples += 1
        self._newest = None
        if number % self._step:
            self._newest = time, rows
            return
        if self._cells and self._cells + len(rows) > MAX_PROCESS_CELLS:
            self._thin()
            if number % self._step:
                self._newest = time, rows
                return
        for row in rows:
            name = instance_of(row)
            columns = self._columns.get(name)
            if columns is None:
                if len(self._columns) >= MAX_PROCESSES:
                    self.lost += 1
                    continue
                columns = self._columns[name] = tuple(array("d") for _ in range(2 + len(_COUNTERS)))
            self._cells += 1
            for column, value in zip(columns, (number, time, row.handles, row.nonpaged, row.paged), strict=True):
                column.append(nan if value is None else value)

    def _thin(self) -> None:
        """Let every second sample go, of all processes alike."""
        self._step *= 2
        self._cells = 0
        for name, (numbers, *others) in list(self._columns.items()):
            kept = [place for place, number in enumerate(numbers) if not number % self._step]
            if kept:
                self._columns[name] = tuple(array("d", [column[at] for at in kept]) for column in (numbers, *others))
                self._cells += len(kept)
            else:
                del self._columns[name]

    def series(self, host: str | None, where: Where, *, utc: bool) -> Iterator[CounterSeries]:
        """One per process and counter that was ever known."""
        time, rows = self._newest or (nan, ())
        newest = {instance_of(row): (time, row.handles, row.nonpaged, row.paged) for row in rows}
        for instance in dict.fromkeys((*self._columns, *newest)):
            _, *kept = self._columns.get(instance) or tuple(array("d") for _ in range(2 + len(_COUNTERS)))
            if instance in newest:
                more = (nan if value is None else float(value) for value in newest[instance])
                kept = [array("d", [*column, value]) for column, value in zip(kept, more, strict=True)]
            times, *columns = kept
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
