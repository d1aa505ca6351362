"""The map of the pools of a crash dump: every block, the allocations of whole pages, and what lies between them."""

from collections.abc import Iterator, Sequence
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from poolsleuth.evidence.dump.context import DumpContext
from poolsleuth.evidence.dump.identity import target
from poolsleuth.evidence.dump.memory_facts import memory_facts
from poolsleuth.evidence.dump.opening import OpenedDump, Progress, open_kernel
from poolsleuth.evidence.dump.options import AS_FOUND, DumpOptions
from poolsleuth.evidence.dump.page_rows import MAX_PAGES, NO_SESSION, PAGE_ROW, PageRows
from poolsleuth.evidence.dump.picture_columns import MAX_AREAS, Limits, LookAt, Neighbours, pools_of, tag_names
from poolsleuth.evidence.pool_picture import machine_words
from poolsleuth.kernel.absence import Absence
from poolsleuth.kernel.address_space import PAGE
from poolsleuth.kernel.crash_dump.content import open_content
from poolsleuth.kernel.paging.space import VirtualMemory
from poolsleuth.kernel.pool.big_pages import UNKNOWN as UNKNOWN_POOL
from poolsleuth.kernel.pool.big_pages import BigPages, BigPart, read_big_pages, read_session_big_pages
from poolsleuth.kernel.pool.blocks import BLOCK, Blocks, Kind, Pool, State
from poolsleuth.kernel.pool.classic_walk import ClassicPart, WalkPart, has_classic_pool
from poolsleuth.kernel.pool.lookasides import read_lookasides
from poolsleuth.kernel.pool.segment_heap.parts import SegmentPart
from poolsleuth.kernel.pool.walk import walk_pool
from poolsleuth.kernel.sessions import read_sessions
from poolsleuth.kernel.target import Kernel
from poolsleuth.model.errors import InputError
from poolsleuth.model.facts import Problem
from poolsleuth.model.memory import MemoryCounters
from poolsleuth.model.pool_picture import PageKind, PicturedPool, PoolPicture
from poolsleuth.model.tags import PoolKind

MAX_SAYS = 30  # sentences about one dump: more of them help nobody
MAX_SESSIONS = 256  # sessions on the map: each is a pool of its own
MAX_DAMAGED = 100_000  # damaged pages drawn
_FEW_PAGES = 256  # fewer that are not found are no matter
_AT_ONCE = 1 << 18  # pages looked at together: their page tables, and 8 bytes of each
_POOLS = np.array([Pool.NONPAGED, Pool.PAGED, Pool.UNKNOWN], np.uint8)  # by the numbers of the table of big pages


def read_dump_picture(
    file: BinaryIO,
    name: str,
    options: DumpOptions = AS_FOUND,
    *,
    tag: int | None = None,
    tag_text: str | None = None,
    keep_blocks: bool = False,
    progress: Progress | None = None,
) -> PoolPicture:
    """The pools of a dump. ``tag`` is one whose pages are marked (``tag_text`` its letters).

    ``keep_blocks``: single blocks are wanted, up to the bounds of ``page_rows``. Raises InputError when it is no dump,
    when no kernel is found in it, or when nothing of its pools can be read.
    """
    with open_content(file) as content:
        opened = open_kernel(content, options, progress)
        if opened.kernel is None:
            raise InputError(opened.says or "no kernel can be found in it, so that there is nothing to look at")
        if opened.dump is not None and opened.dump.triage is not None:
            raise InputError("a triage dump holds no pages of the pool: give a kernel or complete dump (MEMORY.DMP)")
        problems: list[Problem] = []
        context = DumpContext(0, 8 * opened.kernel.pointer_size, None, problems, opened.kernel.table is not None)
        said = [flaw.says for flaw in opened.flaws] + [f"symbols: {says}" for says in opened.symbols_tried]
        kernel = opened.kernel
        gathered = PageRows(tag, keep_blocks)
        _walk(kernel, gathered, said, progress)
        if not any(len(rows) for rows in gathered.rows):
            raise InputError("; ".join(dict.fromkeys((*said, _NOTHING)))[:2000])
        counters = _counters(opened, context)
        pools = pools_of(gathered, _looker(kernel), _limits(counters))
        said += _not_on_the_map(pools, counters)
        if gathered.cut:
            said.append(
                f"the pools have more than {MAX_PAGES:,} pages, or lie in more than {MAX_AREAS:,} places: the rest is"
                " not on the map"
            )
        words = machine_words(target(opened, context))
        return PoolPicture(
            name=name,
            machine=words,
            source="dump",
            bits=8 * kernel.pointer_size,
            tags=tag_names(gathered),
            pools=pools,
            says=tuple(dict.fromkeys(said))[:MAX_SAYS],
            chosen=tag_text,
        )


_NOTHING = "nothing of its pools can be read: their pages are not in it, or where they lie is not known"


def _walk(kernel: Kernel, gathered: PageRows, said: list[str], progress: Progress | None) -> None:
    def looked_at(pages: int) -> None:
        if progress is not None:
            progress("pool pages", pages * PAGE, None)

    unreadable = 0
    damaged: list[int] = []
    sessions: set[int] = set()
    for part in walk_pool(kernel, looked_at, lookasides=read_lookasides(kernel)):
        session, says = _of_part(part)
        if session not in sessions and len(sessions) > MAX_SESSIONS:
            continue
        sessions.add(session)
        gathered.add(part.blocks, session)
        unreadable += part.unreadable
        damaged += [chain.address for chain in part.broken[: MAX_DAMAGED - len(damaged)]]
        said += says[: MAX_SAYS - len(said)]
        if part.stopped is not None:
            said.append(part.stopped)
    if damaged:
        gathered.add_damaged(damaged)
    if has_classic_pool(kernel):
        # A walk of segment heaps gives these as well; the classic walk does not
        _add_big(gathered, read_big_pages(kernel), said)
        for each in read_sessions(kernel).sessions[:MAX_SESSIONS]:
            if each.big_pages is not None and each.id is not None:
                _add_big(gathered, read_session_big_pages(kernel, each), said, each.id)
    if len(sessions) > MAX_SESSIONS:
        said.append(f"the pools of the first {MAX_SESSIONS} sessions are on the map")
    if unreadable:
        said.append(f"{unreadable:,} mapped pages of the kernel are not in the dump: some may be of its pools")


def _of_part(part: WalkPart) -> tuple[int, tuple[str, ...]]:
    if not isinstance(part, SegmentPart | ClassicPart):
        return NO_SESSION, ()
    return NO_SESSION if part.session is None else part.session, part.says


def _add_big(gathered: PageRows, big: BigPages, said: list[str], session: int = NO_SESSION) -> None:
    said += big.says
    if big.table is None:
        return
    neighbours: Neighbours | None = None
    for part in big.table.parts():
        pools = _POOLS[part.pools] if session == NO_SESSION else np.full(len(part.keys), int(Pool.SESSION), np.uint8)
        doubtful = np.flatnonzero(part.pools == UNKNOWN_POOL)
        if len(doubtful):
            if neighbours is None:
                neighbours = Neighbours(np.concatenate([np.empty(0, PAGE_ROW), *gathered.rows]))
            pools[doubtful] = neighbours.pools(part.addresses[doubtful] // np.uint64(PAGE))
        gathered.add(_as_blocks(part, pools), session)


def _as_blocks(part: BigPart, pools: NDArray[np.uint8]) -> Blocks:
    blocks = np.zeros(len(part.keys), BLOCK)
    blocks["address"], blocks["size"], blocks["tag"], blocks["pool"] = part.addresses, part.sizes, part.keys, pools
    blocks["state"], blocks["kind"] = int(State.ALLOCATED), int(Kind.BIG_PAGE)
    return blocks


def _counters(opened: OpenedDump, context: DumpContext) -> MemoryCounters | None:
    if opened.kernel is None:
        return None
    facts = memory_facts(opened.kernel, opened.physical_pages, context)
    return next((fact for fact in facts if isinstance(fact, MemoryCounters)), None)


def _limits(counters: MemoryCounters | None) -> Limits:
    if counters is None:
        return Limits()
    nonpaged, paged = counters.nonpaged_max, counters.paged_max
    return Limits(
        nonpaged.value // PAGE if nonpaged is not None else None,
        paged.value // PAGE if paged is not None else None,
    )


def _not_on_the_map(pools: Sequence[PicturedPool], counters: MemoryCounters | None) -> Iterator[str]:
    """Where the kernel counts notably more pages of a pool than were found."""
    if counters is None:
        return
    figures = {PoolKind.NONPAGED: counters.nonpaged_used, PoolKind.PAGED: counters.paged_used}
    for pool in pools:
        used = figures.get(pool.pool) if pool.pool is not None else None
        counted = used.value // PAGE if used is not None else 0
        if counted - pool.figures.in_use > max(_FEW_PAGES, counted // 10):
            yield (
                f"the kernel counts {counted:,} pages of {pool.pool} pool in use, and {pool.figures.in_use:,} are on"
                " the map: what lies in the others was not found, or is not in this dump"
            )


def _looker(kernel: Kernel) -> LookAt:
    space = kernel.memory.space

    def look_at(pages: NDArray[np.uint64]) -> NDArray[np.uint8]:
        found = np.full(len(pages), int(PageKind.FREE), np.uint8)
        if not isinstance(space, VirtualMemory):
            return found
        for begin, some in _slices(pages):
            frames = space.translate_pages(some)
            there = frames >= 0
            kinds = np.full(len(some), int(PageKind.FREE), np.uint8)
            kinds[there] = PageKind.USED
            kinds[frames == Absence.PAGED_OUT] = PageKind.PAGED_OUT
            kinds[(frames == Absence.NOT_IN_DUMP) | (frames == Absence.CUT_OFF)] = PageKind.MISSING
            _words, places = space.first_words(frames[there])
            kinds[np.flatnonzero(there)[places < 0]] = PageKind.MISSING
            found[begin : begin + len(some)] = kinds
        return found

    return look_at


def _slices(pages: NDArray[np.uint64]) -> Iterator[tuple[int, NDArray[np.uint64]]]:
    for begin in range(0, len(pages), _AT_ONCE):
        yield begin, pages[begin : begin + _AT_ONCE]
