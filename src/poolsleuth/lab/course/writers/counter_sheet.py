"""The counters that are logged, and the raw values that Windows would have for them at a moment.

Numbers of titles, types and default scales are those of a published log of Windows Vista; the layout of the types is
that of the public winperf.h.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from poolsleuth.lab.course.moment import Moment
from poolsleuth.lab.course.writers.load import TICKS, Load, blocks_of, quota_of, with_loads
from poolsleuth.lab.course.writers.zone import filetime
from poolsleuth.lab.machine import PAGE, Machine, Process, SimulatedWindows

RAW, LARGE_RAW = 0x00010000, 0x00010100
RATE, BULK_RATE = 0x10410400, 0x10410500
FRACTION, FRACTION_BASE = 0x20020400, 0x40030403
IDLE_TIME = 0x21510500  # PERF_100NSEC_TIMER_INV: what is not idle
ELAPSED = 0x30240500
TOTAL = "_Total"
_DWORD = 0xFFFF_FFFF
_NAME = 15  # characters that the kernel keeps of a process's name
_VISTA = 6000


@dataclass(frozen=True, slots=True)
class Sample:
    """A moment, with what is needed for many of its counters."""

    moment: Moment
    load: Load
    machine: Machine
    utc: int  # FILETIME
    ticks: int  # of the performance counter, since the start
    outstanding: tuple[int, int]  # blocks of nonpaged and paged pool


def samples_of(moments: Iterable[Moment]) -> Iterator[Sample]:
    """The moments one after another, with what is needed of each."""
    for moment, load in with_loads(moments):
        yield _sample(moment, load)


def _sample(moment: Moment, load: Load) -> Sample:
    machine = moment.machine
    return Sample(
        moment=moment,
        load=load,
        machine=machine,
        utc=filetime(moment.at),
        ticks=load.uptime * frequency(machine.windows) // TICKS,
        outstanding=(
            sum(use.nonpaged.outstanding for use in machine.tags),
            sum(use.paged.outstanding for use in machine.tags),
        ),
    )


def frequency(windows: SimulatedWindows) -> int:
    """Ticks per second of the performance counter: the ACPI timer, a part of the processor's, or a fixed 10 MHz."""
    return 10_000_000 if windows.build >= 10240 else 2_343_750 if windows.build >= 7600 else 3_579_545


Figure = Callable[[Sample], int | None]
ProcessFigure = Callable[[Sample, Process], int]


@dataclass(frozen=True, slots=True)
class Counter:
    """A counter: its name and that name's number, its type, default scale, and how its raw value is found.

    ``base`` is the second value of a fraction; other second values are times. In an object with instances ``each`` is
    the value of one, and ``total`` that of all of them where it is not their sum.
    """

    name: str
    title: int
    type: int
    scale: int = 0
    value: Figure | None = None
    base: Figure | None = None
    each: ProcessFigure | None = None
    total: Figure | None = None

    @property
    def wide(self) -> bool:
        """Whether its raw value has 64 bits."""
        return self.type & 0x300 == 0x100

    def second(self, sample: Sample) -> int:
        """The second raw value."""
        if self.base is not None:
            return (self.base(sample) or 0) & _DWORD
        if self.type in (RATE, BULK_RATE):
            return sample.ticks
        return sample.utc if self.type in (IDLE_TIME, ELAPSED) else 0

    def per_second(self, windows: SimulatedWindows) -> int:
        """Units of its time in a second; 0 when it has to do with no time."""
        if self.type in (RATE, BULK_RATE, FRACTION):
            return frequency(windows)
        return TICKS if self.type in (IDLE_TIME, ELAPSED) else 0

    def raw(self, value: int) -> int:
        """A value as the counter holds it: those of 32 bits go round."""
        return value & (0x7FFF_FFFF_FFFF_FFFF if self.wide else _DWORD)


@dataclass(frozen=True, slots=True)
class CountedObject:
    """A performance object. ``instances`` gives the names of those that it has at a moment; None: it has none.

    ``only`` is the one instance that is logged of an object in which each counter has one value.
    """

    name: str
    title: int
    counters: tuple[Counter, ...]
    instances: Callable[[Sample], dict[str, tuple[Process, ...]]] | None = None
    only: str | None = None


def objects_of(sample: Sample) -> tuple[CountedObject, ...]:
    """The objects and counters that this Windows has; a figure that the machine lacks is left out."""
    windows = sample.machine.windows
    found = []
    for counted in (*_plain(windows), _processes(windows)):
        kept = tuple(c for c in counted.counters if c.value is None or c.value(sample) is not None)
        found.append(replace(counted, counters=kept))
    return tuple(found)


def values_of(counted: CountedObject, counter: Counter, sample: Sample) -> Iterator[tuple[str | None, int]]:
    """Instance (None: there are none) and raw first value of a counter."""
    if counted.instances is None:
        value = counter.value(sample) if counter.value is not None else None
        yield counted.only, counter.raw(value or 0)
        return
    each, total = counter.each, counter.total
    for name, members in counted.instances(sample).items():
        if name == TOTAL and total is not None:
            yield name, counter.raw(total(sample) or 0)
        else:
            yield name, counter.raw(sum(each(sample, process) for process in members) if each is not None else 0)


def _plain(windows: SimulatedWindows) -> tuple[CountedObject, ...]:
    return (
        CountedObject("Memory", 4, _memory(windows)),
        CountedObject(
            "System",
            2,
            (
                Counter("File Data Operations/sec", 406, RATE, 0, lambda s: s.load.file_operations),
                Counter("Context Switches/sec", 146, RATE, -2, lambda s: s.load.context_switches),
                Counter("System Calls/sec", 150, RATE, -1, lambda s: s.load.system_calls),
                Counter("System Up Time", 674, ELAPSED, -5, lambda s: s.utc - s.load.uptime),
                Counter("Processes", 248, RAW, 1, lambda s: len(s.machine.processes) + 1),
                Counter("Threads", 250, RAW, 1, lambda s: s.load.threads),
            ),
        ),
        CountedObject(
            "Objects",
            260,
            (
                Counter("Processes", 248, RAW, 0, lambda s: len(s.machine.processes) + 1),
                Counter("Threads", 250, RAW, 0, lambda s: s.load.threads),
                Counter("Events", 252, RAW, -1, lambda s: blocks_of(s.machine, "Even") or None),
                Counter("Semaphores", 254, RAW, -1, lambda s: blocks_of(s.machine, "Sema") or None),
                Counter("Mutexes", 256, RAW, 0, lambda s: blocks_of(s.machine, "Muta") or None),
            ),
        ),
        CountedObject(
            "Server",
            330,
            (
                Counter("Bytes Total/sec", 388, BULK_RATE, -4, lambda s: s.load.server_bytes),
                Counter("Server Sessions", 314, RAW, 0, lambda s: s.load.server_sessions),
                Counter("Files Open", 362, RAW, 0, lambda s: s.load.open_files),
                Counter("Pool Nonpaged Failures", 370, RAW, 0, lambda s: s.load.server_nonpaged_failures),
                Counter("Pool Paged Failures", 376, RAW, 0, lambda s: s.load.server_paged_failures),
            ),
        ),
        CountedObject(
            "Processor", 238, (Counter("% Processor Time", 6, IDLE_TIME, 0, lambda s: s.load.idle),), only=TOTAL
        ),
        CountedObject(
            "Terminal Services",
            2170,
            (
                Counter("Active Sessions", 2176, RAW, 0, lambda s: sum(one.id != 0 for one in s.machine.sessions)),
                Counter("Total Sessions", 2180, RAW, 0, lambda s: len(s.machine.sessions)),
            ),
        ),
    )


def _pages(name: str) -> Figure:
    def find(sample: Sample) -> int | None:
        pages: int | None = getattr(sample.machine.memory, name)
        return None if pages is None else pages * PAGE

    return find


def _count(name: str) -> Figure:
    def find(sample: Sample) -> int | None:
        pages: int | None = getattr(sample.machine.memory, name)
        return pages

    return find


def _available(shift: int) -> Figure:
    def find(sample: Sample) -> int | None:
        pages = sample.machine.memory.available
        return None if pages is None else pages * PAGE >> shift

    return find


def _memory(windows: SimulatedWindows) -> tuple[Counter, ...]:
    counters = (
        Counter("Page Faults/sec", 28, RATE, -1, lambda s: s.load.page_faults),
        Counter("Available Bytes", 24, LARGE_RAW, -6, _pages("available")),
        Counter("Committed Bytes", 26, LARGE_RAW, -6, _pages("committed")),
        Counter("Commit Limit", 30, LARGE_RAW, -6, _pages("commit_limit")),
        Counter("Pool Paged Bytes", 56, LARGE_RAW, -5, _pages("paged_used")),
        Counter("Pool Nonpaged Bytes", 58, LARGE_RAW, -5, _pages("nonpaged_used")),
        # The counters of allocations show what is not freed yet: in the real log they fall as often as they rise
        Counter("Pool Paged Allocs", 60, RAW, -2, lambda s: s.outstanding[1]),
        Counter("Pool Nonpaged Allocs", 64, RAW, -2, lambda s: s.outstanding[0]),
        Counter("Free System Page Table Entries", 678, RAW, -2, _count("free_system_ptes")),
        Counter("Pool Paged Resident Bytes", 66, LARGE_RAW, -5, lambda s: s.load.paged_resident * PAGE),
        Counter("% Committed Bytes In Use", 1406, FRACTION, 0, _count("committed"), _count("commit_limit")),
        Counter("Available KBytes", 1380, LARGE_RAW, 0, _available(10)),
        Counter("Available MBytes", 1382, LARGE_RAW, 0, _available(20)),
    )
    if windows.build < _VISTA:
        return counters
    return (*counters, Counter("Modified Page List Bytes", 1678, LARGE_RAW, 0, _pages("modified")))


def _processes(windows: SimulatedWindows) -> CountedObject:
    size = LARGE_RAW if windows.architecture == "x64" else RAW  # seen on 32-bit Windows
    return CountedObject(
        "Process",
        230,
        (
            Counter("Elapsed Time", 684, ELAPSED, -4, each=lambda s, _: s.utc - s.load.uptime, total=lambda s: s.utc),
            Counter("ID Process", 784, RAW, -1, each=lambda _, p: p.pid, total=lambda _: 0),
            Counter(
                "Pool Paged Bytes", 56, size, -5, each=lambda _, p: quota_of(p.handles or 0)[1] if p.pid > 4 else 0
            ),
            Counter(
                "Pool Nonpaged Bytes", 58, size, -5, each=lambda _, p: quota_of(p.handles or 0)[0] if p.pid > 4 else 0
            ),
            Counter("Handle Count", 952, RAW, 0, each=lambda _, p: p.handles or 0),
        ),
        _instances,
    )


_IDLE = Process(pid=0, parent=0, name="Idle", session=None, handles=0)


def _instances(sample: Sample) -> dict[str, tuple[Process, ...]]:
    """Idle, the processes by their names without ``.exe`` (those that occur again have a number), and their sum."""
    found: dict[str, tuple[Process, ...]] = {_IDLE.name: (_IDLE,)}
    seen = {_IDLE.name: 0, TOTAL: 0}
    for process in sample.machine.processes:
        name = instance_name(process.name)
        number = seen[name] = seen.get(name, -1) + 1
        found[f"{name}#{number}" if number else name] = (process,)
    found[TOTAL] = tuple(sample.machine.processes)
    return found


def bare_name(name: str, members: tuple[Process, ...]) -> str:
    """The name of an instance without the number that tells it from others of that name."""
    return instance_name(members[0].name) if len(members) == 1 and name != TOTAL else name


def instance_name(image: str) -> str:
    """The name of a process in its object: without ``.exe``, or what is left of that where the kernel cut it off."""
    stem, dot, extension = image.rpartition(".")
    whole = extension.lower() == "exe"
    cut = len(image) >= _NAME and "exe".startswith(extension.lower())
    return stem if dot and stem and (whole or cut) else image
