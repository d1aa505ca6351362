"""The sessions of a machine: what ``!vm 4`` prints of them.

The processes lead to them: each process points to its session's space, which lies in memory that only processes of
that session see. All sessions can have it at the same address, so that each process is asked for its session's number.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from poolsleuth.kernel.address_space import PAGE, Reader
from poolsleuth.kernel.addresses import is_kernel_address
from poolsleuth.kernel.linked_lists import walk_list
from poolsleuth.kernel.pool.layout import number_at
from poolsleuth.kernel.target import Kernel
from poolsleuth.windows.kernel_table import Field

MAX_PROCESSES = 1 << 16  # processes: a large terminal server has some ten thousand
MAX_SESSIONS = 4096  # sessions: terminal servers have some hundreds
MAX_OPENED = 1 << 12  # processes whose memory is opened: one of each session, where sessions list their processes
MAX_MEMBERS = 2 * MAX_PROCESSES  # entries of all sessions' own lists: each process stands in one, that may be damaged
MAX_NUMBER = 1 << 16  # session numbers: they count up from 0 with every log-on, and are used again
_SPACE = "_MM_SESSION_SPACE"
_VISTA = 6000
_NUMBER_SINCE_VISTA = Field(8, 4)  # the session's number lies there in all known kernels from Vista on
_FAILURE_REASONS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One session. Sizes in pages where the name says so; None is what this kernel does not keep or the dump lacks.

    ``address`` is that of the session space, ``processes`` the number of processes that point to it; ``memory`` sees
    the session's memory (None when its number could not be read, and nothing else of it either). ``paged_pool_pages``
    is what the session's pool has allocated, ``paged_pool_maximum_pages`` the most it can have; ``paged_pool_start``
    and ``paged_pool_end`` are its addresses. ``nonpageable_pages`` are the resident pages of the session's own
    structures. ``allocation_failures`` are four counts since the session began, by reason. ``big_pages`` is address and
    rows of its table of big allocations.
    """

    id: int | None
    address: int
    processes: int
    directory_table_base: int | None
    memory: Reader | None = field(repr=False, compare=False)
    committed_pages: int | None = None
    nonpageable_pages: int | None = None
    paged_pool_pages: int | None = None
    paged_pool_maximum_pages: int | None = None
    paged_pool_start: int | None = None
    paged_pool_end: int | None = None
    allocation_failures: tuple[int, ...] | None = None
    big_pages: tuple[int, int] | None = None

    @property
    def failures(self) -> int | None:
        """Pool allocations of the session that failed since it began."""
        return None if self.allocation_failures is None else sum(self.allocation_failures)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sessions:
    """All sessions, by number, and the limits of each in bytes (kept as variables up to Windows Vista).

    ``complete`` is True when the list of processes was walked to its end and every session's space could be read.
    """

    sessions: tuple[Session, ...]
    pool_maximum: int | None
    view_maximum: int | None
    complete: bool
    says: tuple[str, ...] = ()


@dataclass(slots=True)
class _Members:
    """The processes of one session, and the memory of the first (None when none could be opened)."""

    directory_table_base: int | None
    memory: Reader | None
    processes: list[int] = field(default_factory=list)


def read_sessions(kernel: Kernel) -> Sessions:
    """The sessions, by way of the processes. Nothing raises: what is missing is said in ``says``.

    They are read once for a kernel: a hostile dump may have thousands, and half a dozen readers ask for them.
    """
    kept = kernel.kept.get("sessions")
    if not isinstance(kept, Sessions):
        kept = kernel.kept["sessions"] = _walk_processes(kernel)
    return kept


def _walk_processes(kernel: Kernel) -> Sessions:
    says: list[str] = []
    head = kernel.address("PsActiveProcessHead")
    links = kernel.place("_EPROCESS", "ActiveProcessLinks")
    place, number_place = kernel.place("_EPROCESS", "Session"), kernel.place(_SPACE, "SessionId")
    complete = False
    found: dict[tuple[int, int | None], _Members] = {}
    if head is None or links is None or place is None or number_place is None:
        says.append("where processes keep their session is not known: sessions are not read")
    else:
        walk = walk_list(kernel.memory, head, MAX_PROCESSES)
        processes = [entry - links.offset for entry in walk.entries.tolist()]
        complete = _collect(kernel, processes, place, number_place, found) and walk.whole
        if not walk.whole:
            says.append(f"processes: {walk.says}; sessions may be missing")
    # Where one process of a space tells its number, those that do not are no session of their own
    told = {address for address, number in found if number is not None}
    sessions = [
        _session(kernel, address, number, members)
        for (address, number), members in found.items()
        if number is not None or address not in told
    ]
    blind = sum(len(members.processes) for (_, number), members in found.items() if number is None)
    if blind:
        complete = False
        says.append(f"the session of {blind:,} processes cannot be read")
    return Sessions(
        sessions=tuple(sorted(sessions, key=lambda session: (session.id is None, session.id or 0, session.address))),
        pool_maximum=_limit(kernel, "MmSessionPoolSize"),
        view_maximum=_limit(kernel, "MmSessionViewSize"),
        complete=complete,
        says=tuple(says),
    )


def session_numbers(kernel: Kernel, processes: Sequence[int]) -> dict[int, int]:
    """The session's number of each of these processes (addresses) that belongs to one, as far as it can be read."""
    place, number_place = kernel.place("_EPROCESS", "Session"), kernel.place(_SPACE, "SessionId")
    if number_place is None and kernel.build >= _VISTA:
        number_place = _NUMBER_SINCE_VISTA
    if place is None or number_place is None:
        return {}
    found: dict[tuple[int, int | None], _Members] = {}
    _collect(kernel, processes, place, number_place, found)
    return {
        process: number
        for (_, number), members in found.items()
        if number is not None and number < MAX_NUMBER
        for process in members.processes
    }


def _collect(
    kernel: Kernel,
    processes: Sequence[int],
    place: Field,
    number_place: Field,
    found: dict[tuple[int, int | None], _Members],
) -> bool:
    """Sort the processes by session space and number; False when one could not be asked."""
    complete = True
    opened, members_left = 0, MAX_MEMBERS
    pending: dict[int, int] = {}
    for process in processes:
        address = number_at(kernel.memory, process, place)
        if address is None or (address and not is_kernel_address(address, kernel.pointer_size)):
            complete = False
        elif address:
            pending[process] = address
    for process, address in [*pending.items()]:
        if pending.pop(process, None) is None:
            continue  # it was in the list of a session that was found before
        base = _directory(kernel, process)
        memory = None
        if base and kernel.process_memory is not None and opened < MAX_OPENED:
            memory = kernel.process_memory(base)
            opened += 1
        number = number_at(memory, address, number_place) if memory is not None else None
        key = (address, number)
        if key not in found and len(found) >= MAX_SESSIONS:
            complete = False
            continue
        members = found.setdefault(key, _Members(base, memory))
        members.processes.append(process)
        if memory is not None and number is not None:
            others = _same_session(kernel, memory, process, members_left)
            members_left -= len(others)
            for other in others:
                if pending.get(other) == address:
                    del pending[other]
                    members.processes.append(other)
    return complete


def _same_session(kernel: Kernel, memory: Reader, process: int, limit: int) -> list[int]:
    """The processes in the session's own list of them. To open each process instead would cost far more."""
    links = kernel.place("_EPROCESS", "SessionProcessLinks")
    if links is None:
        return []
    # The list's head lies in the session space: what is taken for a process there is none that is waited for
    walk = walk_list(memory, process + links.offset, min(limit, MAX_PROCESSES))
    return [entry - links.offset for entry in walk.entries.tolist()]


def _session(kernel: Kernel, address: int, number: int | None, members: _Members) -> Session:
    base, memory = members.directory_table_base, members.memory
    if number is None or memory is None:
        count = len(members.processes)
        return Session(id=None, address=address, processes=count, directory_table_base=base, memory=None)

    def value(path: str) -> int | None:
        return number_at(memory, address, kernel.place(_SPACE, path))

    start, end = value("PagedPoolStart"), value("PagedPoolEnd")
    if start is None or end is None or not start < end or not is_kernel_address(start, kernel.pointer_size):
        start = end = None
    room = -(-(end - start) // PAGE) if start is not None and end is not None else None
    pages = _embedded(kernel, memory, address, "AllocatedPagedPool")
    table, rows = value("PoolTrackBigPages"), value("PoolTrackBigPagesSize")
    return Session(
        id=number,
        address=address,
        processes=len(members.processes),
        directory_table_base=base,
        memory=memory,
        committed_pages=_plausible(value("CommittedPages"), kernel),
        nonpageable_pages=_plausible(value("NonPagablePages"), kernel),
        paged_pool_pages=None if pages is not None and room is not None and pages > room else _plausible(pages, kernel),
        paged_pool_maximum_pages=_plausible(_embedded(kernel, memory, address, "MaximumSize"), kernel),
        paged_pool_start=start,
        paged_pool_end=end,
        allocation_failures=_failures(kernel, memory, address),
        big_pages=(table, rows) if table and rows else None,
    )


def _directory(kernel: Kernel, process: int) -> int | None:
    """The directory table base of a process."""
    place = kernel.place("_EPROCESS", "Pcb.DirectoryTableBase") or kernel.place("_KPROCESS", "DirectoryTableBase")
    # Older systems have an array of two there, the second for another purpose
    return None if place is None else kernel.memory.pointer(process + place.offset)


def _embedded(kernel: Kernel, memory: Reader, address: int, name: str) -> int | None:
    """A number of the session's ``PagedPoolInfo``, by its own path or through the structure's own layout."""
    direct = kernel.place(_SPACE, f"PagedPoolInfo.{name}")
    if direct is not None:
        return number_at(memory, address, direct)
    outer = kernel.place(_SPACE, "PagedPoolInfo")
    if outer is None:
        return None
    return number_at(memory, address + outer.offset, kernel.place("_MM_PAGED_POOL_INFO", name))


def _failures(kernel: Kernel, memory: Reader, address: int) -> tuple[int, ...] | None:
    place = kernel.place(_SPACE, "SessionPoolAllocationFailures")
    if place is None:
        return None
    counts = [memory.number(address + place.offset + 4 * i, 4) for i in range(_FAILURE_REASONS)]
    known = tuple(count for count in counts if count is not None)
    return known if len(known) == _FAILURE_REASONS else None


def _plausible(pages: int | None, kernel: Kernel) -> int | None:
    """A number of pages, None when no address space of this width has as many."""
    most = 1 << 20 if kernel.pointer_size == 4 else 1 << 36
    return pages if pages is not None and pages <= most else None


def _limit(kernel: Kernel, name: str) -> int | None:
    """A size in bytes, None when it is not kept or cannot be one: 4 GB would be beyond any session's address space."""
    for width in (kernel.pointer_size, 4):
        size = kernel.variable(name, width)
        if size is not None and PAGE <= size < 1 << 32:
            return size
    return None
