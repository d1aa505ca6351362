"""Where the pool of each session lies: memory that only the processes of that session see.

Where the session's structure says from where to where its pool reaches, that is taken. Else (no symbols) the page
tables tell: what a process of the session has in its upper tables and the system has not, or has otherwise. What the
system sees at the same place too is none of the session's.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from poolsleuth.kernel.address_space import PAGE, Reader
from poolsleuth.kernel.addresses import is_kernel_address, kernel_start
from poolsleuth.kernel.linked_lists import walk_list
from poolsleuth.kernel.paging.space import VirtualMemory
from poolsleuth.kernel.pool.layout import number_at
from poolsleuth.kernel.sessions import MAX_NUMBER, MAX_OPENED, MAX_PROCESSES, MAX_SESSIONS, Session, read_sessions
from poolsleuth.kernel.target import Kernel

MAX_RANGES = 1024  # entries of upper page tables that differ between a process and the system: x86 has 512 in all
_VISTA = 6000
_NUMBER_AT = 8  # of a session's structure, in all known kernels from Vista on


@dataclass(frozen=True, slots=True, eq=False)
class SessionSpace:
    """A session's memory: ``ranges`` are addresses, first and last. ``number`` is the session's.

    From ``sessions.MAX_NUMBER`` on the session's own number is not known. ``session`` is what else was read of it.
    """

    number: int
    memory: VirtualMemory
    ranges: tuple[tuple[int, int], ...]
    session: Session | None


@dataclass(frozen=True, slots=True)
class SessionSpaces:
    """All sessions that were found. ``says`` tells what is missing."""

    spaces: tuple[SessionSpace, ...]
    says: tuple[str, ...]


def session_spaces(kernel: Kernel) -> SessionSpaces:
    """The memory of every session, each once. Nothing raises."""
    if not isinstance(kernel.memory.space, VirtualMemory):
        return SessionSpaces((), ())
    sessions = read_sessions(kernel)
    found: list[SessionSpace] = []
    for session in sessions.sessions:
        space = session.memory.space if session.memory is not None else None
        if session.id is None or not isinstance(space, VirtualMemory):
            continue
        ranges = _ranges(kernel.memory.space, space, session.paged_pool_start, session.paged_pool_end)
        found.append(SessionSpace(session.id, space, ranges, session))
    if found:
        return SessionSpaces(tuple(found), () if sessions.complete else sessions.says)
    return _by_memory(kernel)


def _by_memory(kernel: Kernel) -> SessionSpaces:
    """Sessions whose structure is not known: processes whose session's memory is the same belong together."""
    head, links = kernel.address("PsActiveProcessHead"), kernel.place("_EPROCESS", "ActiveProcessLinks")
    place = kernel.place("_EPROCESS", "Session")
    directory = kernel.place("_EPROCESS", "Pcb.DirectoryTableBase") or kernel.place("_KPROCESS", "DirectoryTableBase")
    opener, system = kernel.process_memory, kernel.memory.space
    if head is None or links is None or place is None or directory is None or opener is None:
        return SessionSpaces((), ("where processes keep their session is not known: pools of sessions are not read",))
    assert isinstance(system, VirtualMemory)
    walk = walk_list(kernel.memory, head, MAX_PROCESSES)
    says = [] if walk.whole else [f"processes: {walk.says}; sessions may be missing"]
    found: dict[int, SessionSpace] = {}
    for process in (walk.entries - np.uint64(links.offset)).tolist()[:MAX_OPENED]:
        address = number_at(kernel.memory, process, place)
        base = kernel.memory.pointer(process + directory.offset)
        if not base or address is None or not is_kernel_address(address, kernel.pointer_size):
            continue
        memory = opener(base)
        space = memory.space
        if not isinstance(space, VirtualMemory):
            continue
        frame = int(space.translate_pages(np.array([address // PAGE], np.uint64))[0])
        if frame < 0 or frame in found or len(found) >= MAX_SESSIONS:
            continue
        number = _number(kernel, memory, address)
        taken = {each.number for each in found.values()}
        if number is None or number in taken:
            number = MAX_NUMBER + len(found)
        found[frame] = SessionSpace(number, space, _ranges(system, space, None, None), None)
    return SessionSpaces(tuple(sorted(found.values(), key=lambda each: each.number)), tuple(says))


def _number(kernel: Kernel, memory: Reader, address: int) -> int | None:
    """The session's number, where it lies at the same place in all kernels."""
    number = memory.number(address + _NUMBER_AT, 4) if kernel.build >= _VISTA else None
    return number if number is not None and number < MAX_NUMBER else None


def _ranges(
    system: VirtualMemory, space: VirtualMemory, first: int | None, last: int | None
) -> tuple[tuple[int, int], ...]:
    if first is not None and last is not None:
        return ((first, last),)
    joined: list[tuple[int, int]] = []
    for begin, end in _own_tables(system, space):
        if joined and joined[-1][1] + 1 == begin:
            joined[-1] = (joined[-1][0], end)
        elif len(joined) < MAX_RANGES:
            joined.append((begin, end))
    return tuple(joined)


def _own_tables(system: VirtualMemory, space: VirtualMemory) -> Iterator[tuple[int, int]]:
    """What the upper page tables of a process lead to and those of the system do not: addresses, first and last."""
    mine, theirs = space.walk, system.walk
    start = kernel_start(space.pointer_size) >> 12
    tables = [(mine.root, theirs.root, 0, 0)]
    # The four entries of PAE lead to tables that every process has for itself: the next ones tell
    depth_told = 1 if len(mine.levels) == 3 else 0
    while tables:
        own, other, depth, base = tables.pop(0)
        rows, states = mine.cache.rows(np.array([own, other], np.int64))
        if (states < 0).any():
            continue
        part = mine.entries_of(depth)
        entries, others = rows[0, part], rows[1, part]
        level = mine.levels[depth]
        places, large = mine.decode(depth, entries, False)
        elsewhere, _large = theirs.decode(depth, others, False)
        for index in np.flatnonzero((places >= 0) & ~large & (places != elsewhere)).tolist():
            page = mine.outer(base + index * level.pages)
            frame = int(places[index])
            if page + level.pages <= start or frame in (mine.root, own):
                continue  # of the process itself, or the window through which tables see themselves
            if depth < depth_told:
                if elsewhere[index] >= 0:
                    tables.append((frame, int(elsewhere[index]), depth + 1, base + index * level.pages))
            else:
                yield page * PAGE, (page + level.pages) * PAGE - 1
