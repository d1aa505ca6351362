"""The blocks of the sessions' pools where they are made of classic pages: one session after the other."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.paging.ranges import RangeWalk
from poolsleuth.kernel.paging.space import VirtualMemory
from poolsleuth.kernel.pool.blocks import Pool
from poolsleuth.kernel.pool.classic_walk import ClassicPart, PageDecoder, single_pages
from poolsleuth.kernel.pool.lookasides import read_session_lookasides
from poolsleuth.kernel.pool.quota import payer_code
from poolsleuth.kernel.pool.session_spaces import SessionSpace, session_spaces
from poolsleuth.kernel.pool.slists import MAX_ENTRIES
from poolsleuth.kernel.pool.walk_budget import WalkBudget
from poolsleuth.kernel.target import Kernel

MAX_SESSION_PAGES = 1 << 22  # pages of one session that are looked at: 16 GB, a hundred times its pool
MAX_ALL_PAGES = 1 << 26  # of all sessions together: 256 GB
MAX_TABLES = 1 << 17  # page tables of all sessions: those of 256 GB
MAX_WAITING = 1 << 17  # blocks in the lookaside lists of all sessions: 500 sessions with 26 lists of ten


@dataclass(slots=True)
class _Room:
    """What all sessions together may still take."""

    pages: int = field(default_factory=lambda: MAX_ALL_PAGES)
    tables: int = field(default_factory=lambda: MAX_TABLES)
    waiting: int = field(default_factory=lambda: MAX_WAITING)


def walk_session_pools(
    kernel: Kernel, progress: Callable[[int], None] | None = None, *, lookasides: bool = False
) -> Iterator[ClassicPart]:
    """The blocks of every session, in parts that bear its number. Sessions can have the same addresses.

    Blocks are session pool, whatever their page says. With ``lookasides`` those that wait in the session's own lists
    are marked. The last part is empty and says what is missing, if anything is.
    """
    system = kernel.memory.space
    if not isinstance(system, VirtualMemory):
        return
    found = session_spaces(kernel)
    says = list(found.says)
    room, budget = _Room(), WalkBudget.of(system)
    for space in found.spaces:
        if room.pages <= 0 or room.tables <= 0:
            says.append("the pools of further sessions are not read: what was looked at is more than any server has")
            break
        waiting = _waiting(kernel, space, room, says) if lookasides else np.empty(0, np.uint64)
        decoder = PageDecoder(kernel, space.memory, waiting, space.number, payer_code(kernel), budget=budget)
        for part in _session(system, space, decoder, room):
            if progress is not None:
                progress(part.mapped)
            yield part
            if part.stopped is not None:
                return
    if says:
        yield PageDecoder(kernel, system).nothing(says=tuple(dict.fromkeys(says)))


def _waiting(kernel: Kernel, space: SessionSpace, room: _Room, says: list[str]) -> NDArray[np.uint64]:
    """The headers of blocks in the session's own lists, ascending."""
    none = np.empty(0, np.uint64)
    if space.session is None:
        return none
    if room.waiting <= 0:
        says.append("lookaside lists of further sessions are not read: their blocks look allocated")
        return none
    lists = read_session_lookasides(kernel, space.session, says)
    room.waiting -= sum(min(each.waits, MAX_ENTRIES) for each in lists)
    entries = [each.entries for each in lists if len(each.entries)]
    return np.unique(np.concatenate(entries)) - np.uint64(2 * kernel.pointer_size) if entries else none


def _session(system: VirtualMemory, space: SessionSpace, decoder: PageDecoder, room: _Room) -> Iterator[ClassicPart]:
    left = min(MAX_SESSION_PAGES, room.pages)
    for first, last in space.ranges:
        if left <= 0 or room.tables <= 0:
            return
        walk = RangeWalk(space.memory.walk, max_tables=room.tables, max_pages=left)
        for runs in walk.runs(first, last):
            for pages, frames in single_pages(runs.pages, runs.frames, runs.counts):
                left -= len(pages)
                room.pages -= len(pages)
                own = system.translate_pages(pages) != frames
                # Pages that are paged out look the same to both: they count where the system has nothing at all
                for part in decoder.parts(pages[own], frames[own]):
                    for rows in (part.blocks, part.charges):
                        rows["pool"] = int(Pool.SESSION)
                    if part.mapped or len(part.blocks) or part.stopped is not None:
                        yield part
                    if part.stopped is not None:
                        return
            if runs.stopped is not None:
                yield decoder.nothing(says=(f"session {space.number}: {runs.stopped}",))
        room.tables -= walk.tables_read
