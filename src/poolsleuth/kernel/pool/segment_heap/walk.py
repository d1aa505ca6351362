"""All blocks of a pool made of segment heaps (Windows 10 1903 and later), in parts.

Verified on constructed heaps only: no dump of a machine with this allocator was at hand.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from poolsleuth.kernel.address_space import PAGE
from poolsleuth.kernel.pool.big_pages import read_big_pages, read_session_big_pages
from poolsleuth.kernel.pool.blocks import Blocks, Kind, State
from poolsleuth.kernel.pool.segment_heap.big import BigIndex
from poolsleuth.kernel.pool.segment_heap.large import MAX_NODES, large_blocks
from poolsleuth.kernel.pool.segment_heap.layout import HeapLayout, layout_of
from poolsleuth.kernel.pool.segment_heap.lfh import MAX_LFH_BYTES, lfh_blocks
from poolsleuth.kernel.pool.segment_heap.lookasides import lookaside_entries, mark_freed
from poolsleuth.kernel.pool.segment_heap.parts import (
    CHAINS_AT_ONCE,
    PAGES_AT_ONCE,
    Addresses,
    SegmentPart,
    Teller,
    Window,
    make_blocks,
    no_blocks,
    read_window,
)
from poolsleuth.kernel.pool.segment_heap.pools import PoolHeap, find_heaps, find_session_heaps
from poolsleuth.kernel.pool.segment_heap.scan import scan_for_headers
from poolsleuth.kernel.pool.segment_heap.segments import DIRECT, LFH, VS, Ranges, ranges_of
from poolsleuth.kernel.pool.segment_heap.vs import MAX_BYTES, MAX_STEPS, Budget, vs_blocks
from poolsleuth.kernel.pool.walk_budget import WalkBudget
from poolsleuth.kernel.target import Kernel

MAX_PAGES = 1 << 28  # pages of subsegments read: 1 TB
MAX_WAITING = (
    1 << 20
)  # blocks in the lookaside lists of all heaps: 64 nodes have 256 heaps, servers some thousand blocks
MIN_SEGMENTS = 1 << 14  # segments that are looked at in any dump; else as many as it has pages


@dataclass(slots=True)
class _Walk:
    kernel: Kernel
    layout: HeapLayout
    teller: Teller
    progress: Callable[[int], None] | None
    pages: int = 0
    read: int = 0
    budget: Budget = field(default_factory=lambda: Budget(MAX_STEPS))
    nodes: int = field(default_factory=lambda: MAX_NODES)
    waiting: int = field(default_factory=lambda: MAX_WAITING)
    room: WalkBudget = field(init=False)
    segments: int = field(init=False)

    def __post_init__(self) -> None:
        self.room = WalkBudget.of(self.kernel.memory.space)
        # Each segment begins with a page of its own
        self.segments = max(self.room.held, MIN_SEGMENTS)

    stopped: str | None = field(default=None)
    session: int | None = None

    def part(self, blocks: Blocks, mapped: int, pages: int, unreadable: int) -> SegmentPart:
        self.pages += pages
        if self.progress is not None:
            self.progress(self.pages)
        return SegmentPart(blocks, mapped, pages, unreadable, (), None, self.teller.take(), self.session)

    def heap(self, heap: PoolHeap, big: BigIndex) -> Iterator[SegmentPart]:
        if self.segments <= 0 and self.stopped is None:
            self.stopped = "segment heaps have more segments than the dump has pages: their walk ends there"
        if self.stopped is not None:
            return
        large, nodes = large_blocks(heap, self.layout, big, self.teller, self.nodes)
        self.nodes -= nodes
        if len(large):
            yield self.part(large, *_pages_of(large), 0)
        freed = lookaside_entries(self.kernel, heap, self.layout, self.teller, self.waiting)
        self.waiting -= len(freed)
        for ranges in ranges_of(heap, self.layout, self.kernel.build, self.teller, self.segments):
            self.segments -= ranges.segments
            yield from self._direct(heap, ranges, big)
            for flag in (LFH, VS):
                yield from self._subsegments(heap, ranges, flag, big, freed)
            if self.stopped is not None:
                return

    def _direct(self, heap: PoolHeap, ranges: Ranges, big: BigIndex) -> Iterator[SegmentPart]:
        chosen = ranges.flags == DIRECT
        addresses, lengths = ranges.addresses[chosen], ranges.lengths[chosen]
        if len(addresses):
            pools = np.full(len(addresses), int(heap.pool), np.uint8)
            states = np.full(len(addresses), int(State.ALLOCATED), np.uint8)
            blocks = make_blocks(addresses, lengths, big.claim(addresses), pools, states, Kind.SEGMENT)
            yield self.part(blocks, *_pages_of(blocks), 0)

    def _subsegments(
        self, heap: PoolHeap, ranges: Ranges, flag: int, big: BigIndex, freed: Addresses
    ) -> Iterator[SegmentPart]:
        chosen = np.flatnonzero(ranges.flags == flag)
        lengths = np.minimum(ranges.lengths, MAX_BYTES if flag == VS else MAX_LFH_BYTES)
        ends = np.cumsum(lengths[chosen] // PAGE)
        at_once = CHAINS_AT_ONCE if flag == VS else PAGES_AT_ONCE
        begin = done = 0
        while begin < len(chosen) and self._may_go_on():
            # One range at least: no more than 16 MB of it are read
            stop = max(int(np.searchsorted(ends, done + at_once, side="right")), begin + 1)
            some = chosen[begin:stop]
            pools = np.full(len(some), int(heap.pool), np.uint8)
            window = read_window(heap.memory.space, ranges.addresses[some], lengths[some], pools)
            blocks = self._decode(heap, window, flag, big)
            mark_freed(blocks, freed, self.layout)
            yield self.part(blocks, window.mapped, len(window.readable), window.unreadable)
            self.read += len(window.readable)
            self.room.take(window.mapped - window.unreadable)
            begin, done = stop, int(ends[stop - 1])

    def _may_go_on(self) -> bool:
        if self.read >= MAX_PAGES:
            self.stopped = f"more than {MAX_PAGES:,} pages of pool: the walk of the segment heaps ends there"
        elif self.room.spent:
            self.stopped = self.room.says
        elif self.budget.steps <= 0:
            self.stopped = "chains of VS chunks are longer than real ones: the walk of the segment heaps ends there"
        return self.stopped is None

    def _decode(self, heap: PoolHeap, window: Window, flag: int, big: BigIndex) -> Blocks:
        if flag == LFH:
            return lfh_blocks(window, self.layout, heap.keys.lfh, self.kernel.build, big, self.teller)
        return vs_blocks(window, self.layout, heap.keys.heap, big, self.teller, self.budget)


def walk_segment_pool(
    kernel: Kernel, progress: Callable[[int], None] | None = None, *, guess: bool = False
) -> Iterator[SegmentPart]:
    """The blocks of all heaps, heap by heap; then the big allocations that no heap's block was joined with.

    ``progress`` is told the pages walked so far. The blocks of a page stand together, in the order of their addresses;
    the last part is empty, and has what was counted, and why a walk was stopped. Blocks of a page and more
    (``Kind.SEGMENT``, ``LARGE``, and such of the other kinds) take their tag from the table of big allocations, 0 where
    it has none. Nothing raises: what is broken or not known is told in the parts' ``says``. A block that waits in a
    dynamic lookaside list of its heap has a state of its own, and its tag.

    ``guess``: where no heap of the system's can be found (no symbols, as a rule) all memory is searched for what looks
    like a pool header. Such blocks have the kind HEURISTIC, and a sentence says what they are.
    """
    teller = Teller()
    layout = layout_of(kernel)
    big = BigIndex(read_big_pages(kernel), teller)
    if isinstance(layout, str):
        for blocks in big.rest():
            yield SegmentPart(blocks, *_pages_of(blocks), 0, (), None, teller.take())
        if guess:
            yield from _guessed(kernel, big, progress)
        yield SegmentPart(no_blocks(), 0, 0, 0, (), layout, (*teller.summary(), layout))
        return
    walk = _Walk(kernel, layout, teller, progress)
    heaps = find_heaps(kernel, layout, teller)
    for heap in heaps:
        yield from walk.heap(heap, big)
    yield from _rest(walk, big)
    if guess and not heaps:
        yield from _guessed(kernel, big, progress)
    tables: dict[int | None, BigIndex] = {}
    for heap in find_session_heaps(kernel, layout, teller):
        session = heap.session
        if session is None:
            continue
        if session.id not in tables:
            yield from _rests(walk, tables)
            walk.session = session.id
            tables = {session.id: BigIndex(read_session_big_pages(kernel, session), teller, session=True)}
        yield from walk.heap(heap, tables[session.id])
    yield from _rests(walk, tables)
    yield SegmentPart(no_blocks(), 0, 0, 0, (), walk.stopped, teller.summary())


def _guessed(kernel: Kernel, big: BigIndex, progress: Callable[[int], None] | None) -> Iterator[SegmentPart]:
    """What looks like blocks, but for what lies in a big allocation: that is its owner's."""
    for part in scan_for_headers(kernel, progress):
        yield replace(part, blocks=part.blocks[~big.cover(part.blocks["address"])])


def _rests(walk: _Walk, tables: dict[int | None, BigIndex]) -> Iterator[SegmentPart]:
    for table in tables.values():
        yield from _rest(walk, table)


def _rest(walk: _Walk, big: BigIndex) -> Iterator[SegmentPart]:
    for blocks in big.rest():
        yield walk.part(blocks, *_pages_of(blocks), 0)


def _pages_of(blocks: Blocks) -> tuple[int, int]:
    """Pages that blocks of whole pages have: as far as they are said to be allocated, they are mapped."""
    pages = int((blocks["size"] + np.uint64(PAGE - 1) >> np.uint64(12)).sum())
    return pages, pages
