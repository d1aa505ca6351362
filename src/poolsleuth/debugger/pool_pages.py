"""Which pages of a pool are in use, as characters: what ``xpool -map`` draws.

A page with blocks of a page's fraction is ``O``; allocations of several pages are ``<``, ``=`` and ``>``. Pages that
lie in a page file are ``P``, ``{``, ``-`` and ``}``.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from poolsleuth.debugger.target import Target
from poolsleuth.kernel.absence import Absence
from poolsleuth.kernel.address_space import PAGE
from poolsleuth.kernel.distinct import distinct
from poolsleuth.kernel.paging.space import VirtualMemory
from poolsleuth.kernel.pool.big_pages import NONPAGED, PAGED, UNKNOWN, read_big_pages
from poolsleuth.kernel.pool.blocks import Blocks, Kind, Pool
from poolsleuth.kernel.pool.classic_walk import has_classic_pool
from poolsleuth.kernel.pool.walk import walk_pool

MAX_PAGES = 1 << 22  # pages of both pools: 16 GB, a map of 65,536 rows
MAX_RANGE = 1 << 22  # pages of the paged pool's own range that are looked at for what is paged out
_BITS = np.uint64(12)
_WHOLE_KINDS = (int(Kind.SEGMENT), int(Kind.LARGE), int(Kind.BIG_PAGE))
_ONE, _FIRST, _MIDDLE, _LAST = (ord(c) for c in "O<=>")
_OUT = {ord("O"): ord("P"), ord("<"): ord("{"), ord("="): ord("-"), ord(">"): ord("}")}
_POOLS = {False: (int(Pool.NONPAGED), int(Pool.NONPAGED_NX)), True: (int(Pool.PAGED),)}

Pages = NDArray[np.uint64]
Marks = NDArray[np.uint8]


@dataclass(slots=True)
class PoolPages:
    """The pages in use of one pool, ascending by number (address / 4096), and the character of each."""

    pages: Pages
    marks: Marks


@dataclass(slots=True)
class _Gathered:
    pages: dict[bool, list[Pages]] = field(default_factory=lambda: {False: [], True: []})
    marks: dict[bool, list[Marks]] = field(default_factory=lambda: {False: [], True: []})
    count: int = 0

    def add(self, paged: bool, pages: Pages, marks: Marks) -> None:
        pages = pages[: max(0, MAX_PAGES - self.count)]
        self.count += len(pages)
        self.pages[paged].append(pages)
        self.marks[paged].append(marks[: len(pages)])


@dataclass(frozen=True, slots=True)
class PoolMaps:
    """Both pools, and sentences on what is missing."""

    nonpaged: PoolPages
    paged: PoolPages
    says: tuple[str, ...]


def read_pool_pages(target: Target) -> PoolMaps:
    """Walk the pool and the table of big allocations."""
    kernel = target.kernel
    found, says = _Gathered(), []
    unreadable = 0
    for part in walk_pool(kernel, target.progressed("pool pages")):
        unreadable += part.unreadable
        if part.stopped is not None:
            says.append(part.stopped)
        for paged in (False, True):
            _blocks(found, part.blocks[np.isin(part.blocks["pool"], _POOLS[paged])], paged)
        _unknown(target, found, part.blocks[part.blocks["pool"] == int(Pool.UNKNOWN)])
    if has_classic_pool(kernel):
        _big(target, found, says)
    if unreadable:
        says.append(f"{unreadable:,} mapped pages are not in this dump: those of them that are pool are not shown")
    if found.count >= MAX_PAGES:
        says.append(f"the pools have more than {MAX_PAGES:,} pages: the rest is not on the map")
    both = _joined(found, False), _with_paged_out(target, _joined(found, True))
    return PoolMaps(*both, tuple(dict.fromkeys(says)))


def _blocks(found: _Gathered, blocks: Blocks, paged: bool) -> None:
    whole = np.isin(blocks["kind"], _WHOLE_KINDS)
    small = blocks[~whole]
    if len(small):
        first = small["address"] >> _BITS
        last = (small["address"] + np.maximum(small["size"], np.uint64(1)) - np.uint64(1)) >> _BITS
        pages = distinct(np.concatenate((first, last[last - first < np.uint64(16)])))
        found.add(paged, pages, np.full(len(pages), _ONE, np.uint8))
    _runs(found, paged, blocks["address"][whole], blocks["size"][whole])


def _runs(found: _Gathered, paged: bool, addresses: Pages, sizes: Pages) -> None:
    """Add allocations of whole pages, as many as there is room for."""
    room = np.uint64(max(0, MAX_PAGES - found.count))
    inside = np.uint64(PAGE - 1)
    counts = np.minimum((sizes >> _BITS) + np.minimum(sizes & inside, np.uint64(1)), room)
    counts = counts[: int(np.searchsorted(np.cumsum(counts), room)) + 1].astype(np.int64)
    total = int(counts.sum())
    if not total:
        return
    number = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
    length = np.repeat(counts, counts)
    marks = np.full(total, _MIDDLE, np.uint8)
    marks[number == 0] = _FIRST
    marks[number == length - 1] = _LAST
    marks[length == 1] = _ONE
    pages = np.repeat(addresses[: len(counts)] >> _BITS, counts) + number.astype(np.uint64)
    found.add(paged, pages, marks)


def _unknown(target: Target, found: _Gathered, blocks: Blocks) -> None:
    """Pages with nothing but free blocks do not say which pool they are of: the range that they lie in may."""
    start, last = target.kernel.variable("MmPagedPoolStart"), target.kernel.variable("MmPagedPoolEnd")
    if len(blocks) and start and last and start < last:
        inside = (blocks["address"] >= np.uint64(start)) & (blocks["address"] <= np.uint64(last))
        for paged in (False, True):
            _blocks(found, blocks[inside == paged], paged)


def _big(target: Target, found: _Gathered, says: list[str]) -> None:
    big = read_big_pages(target.kernel)
    says += big.says
    for part in big.table.parts() if big.table is not None else ():
        unknown = int((part.pools == UNKNOWN).sum())
        if unknown:
            says.append(f"of {unknown:,} large allocations the pool is not known: they are not shown")
        for kind, paged in ((NONPAGED, False), (PAGED, True)):
            chosen = part.pools == kind
            _runs(found, paged, part.addresses[chosen], part.sizes[chosen])


def _joined(found: _Gathered, paged: bool) -> PoolPages:
    if not found.pages[paged]:
        return PoolPages(np.empty(0, np.uint64), np.empty(0, np.uint8))
    pages, marks = np.concatenate(found.pages[paged]), np.concatenate(found.marks[paged])
    # What came last knows best: the table of large allocations
    unique, places = np.unique(pages[::-1], return_index=True)
    return PoolPages(unique, marks[::-1][places])


def _with_paged_out(target: Target, known: PoolPages) -> PoolPages:
    space = target.kernel.memory.space
    if not isinstance(space, VirtualMemory):
        return known
    marks = known.marks.copy()
    if len(known.pages):
        out = space.translate_pages(known.pages) == int(Absence.PAGED_OUT)
        for inside, outside in _OUT.items():
            marks[out & (known.marks == inside)] = outside
    other = np.fromiter(_paged_out_pages(target, space), np.uint64)
    other = np.setdiff1d(other, known.pages)
    if not len(other):
        return PoolPages(known.pages, marks)
    pages = np.concatenate((known.pages, other))
    marks = np.concatenate((marks, np.full(len(other), _OUT[_ONE], np.uint8)))
    order = np.argsort(pages, kind="stable")
    return PoolPages(pages[order], marks[order])


def _paged_out_pages(target: Target, space: VirtualMemory) -> Iterator[int]:
    """Pages of the paged pool's range that lie in a page file."""
    start, last = target.kernel.variable("MmPagedPoolStart"), target.kernel.variable("MmPagedPoolEnd")
    if not start or not last or not start < last or (last - start) // PAGE > MAX_RANGE:
        return
    for runs in space.mapped_ranges(start, last, max_pages=MAX_RANGE):
        chosen = runs.frames == int(Absence.PAGED_OUT)
        for first, count in zip(runs.pages[chosen].tolist(), runs.counts[chosen].tolist(), strict=True):
            yield from range(first, first + count)
