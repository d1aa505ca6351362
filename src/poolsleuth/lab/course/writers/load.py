"""What the machine does between the moments: it follows from how busy it is, its uptime and its processes.

The machine itself says only what a dump holds; requests, faults and idle time are counted up here from one moment to
the next, since the start of Windows.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from poolsleuth.lab.course.moment import Moment
from poolsleuth.lab.machine import Machine

TICKS = 10_000_000
"""Units of 100 ns in a second."""
_MICROSECOND = timedelta(microseconds=1)
_SESSIONS, _FILES_OF_EACH = 400, 25  # clients of the server service at full load
_FAILED_FOR_SERVER = 4  # one of so many requests that fail is the server service's
# A second of an idle machine, and of one at full load
_RATES = {
    "page_faults": (167, 4_100),
    "system_calls": (1_311, 61_000),
    "context_switches": (402, 9_700),
    "file_operations": (37, 2_300),
    "server_bytes": (90, 7_400_000),
    "busy": (TICKS * 3 // 100, TICKS * 92 // 100),  # units of 100 ns that a processor was not idle
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Counts since the start, and at the end what is true now.

    ``uptime`` and ``idle`` (of an average processor) in units of 100 ns; ``server_*_failures`` are requests of the
    server service for pool that failed; ``paged_resident`` are pages of paged pool that are in memory.
    """

    uptime: int
    page_faults: int
    system_calls: int
    context_switches: int
    file_operations: int
    server_bytes: int
    idle: int
    server_nonpaged_failures: int
    server_paged_failures: int
    server_sessions: int
    open_files: int
    threads: int
    paged_resident: int


def with_loads(moments: Iterable[Moment]) -> Iterator[tuple[Moment, Load]]:
    """The moments, which must go on in time, each with its load. A restart of Windows begins the counts anew."""
    counts: dict[str, int] = {}
    last: datetime | None = None
    booted: datetime | None = None
    for moment in moments:
        machine = moment.machine
        passed = uptime_ticks(moment)
        if machine.booted_at == booted and last is not None:
            passed = min(passed, max(0, (moment.at - last) // _MICROSECOND) * 10)
        else:
            counts, booted = dict.fromkeys(_RATES, 0), machine.booted_at
        last = moment.at
        busy = min(1.0, max(0.0, moment.load))
        for name, (idle, full) in _RATES.items():
            counts[name] += round((idle + (full - idle) * busy) * passed / TICKS)
        yield moment, _load(moment, counts, busy)


def _load(moment: Moment, counts: dict[str, int], busy: float) -> Load:
    machine, uptime = moment.machine, uptime_ticks(moment)
    by_pool = machine.memory.failures_by_pool or ()
    nonpaged, paged = (sum(by_pool[row]) // _FAILED_FOR_SERVER if len(by_pool) > row else 0 for row in (0, 1))
    sessions = round(_SESSIONS * busy)
    return Load(
        uptime=uptime,
        page_faults=counts["page_faults"],
        system_calls=counts["system_calls"],
        context_switches=counts["context_switches"],
        file_operations=counts["file_operations"],
        server_bytes=counts["server_bytes"],
        idle=uptime - min(uptime, counts["busy"]),
        server_nonpaged_failures=nonpaged,
        server_paged_failures=paged,
        server_sessions=sessions,
        open_files=sessions * _FILES_OF_EACH,
        threads=blocks_of(machine, "Thre") or 9 * len(machine.processes),
        paged_resident=(machine.memory.paged_used or 0) * 2 // 3,
    )


def uptime_ticks(moment: Moment) -> int:
    """How long the machine runs at a moment, in units of 100 ns."""
    return max(0, (moment.at - moment.machine.booted_at) // _MICROSECOND) * 10


def quota_of(handles: int) -> tuple[int, int]:
    """Bytes of nonpaged and paged pool that a process with so many handles is charged for."""
    return 2048 + 48 * handles, 24_576 + 96 * handles


def blocks_of(machine: Machine, tag: str) -> int:
    """Blocks of a tag in nonpaged pool that nobody freed: as many objects of its type there are."""
    return sum(use.nonpaged.outstanding for use in machine.tags if use.tag == tag)
