"""A guess at the blocks of a pool whose heaps cannot be walked: every place of 16 bytes that looks like a pool header.

Nothing confirms what is found. Code and data of other kinds look like a header now and then; a freed block keeps its
header, so that no state is known; blocks of a page and more have no header and are not found. For x64 and ARM64.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.address_space import PAGE
from poolsleuth.kernel.distinct import distinct
from poolsleuth.kernel.paging.space import VirtualMemory
from poolsleuth.kernel.pool.blocks import Blocks, Kind, Pool, State
from poolsleuth.kernel.pool.classic_walk import MAX_PAGES, PAGES_AT_ONCE, single_pages
from poolsleuth.kernel.pool.segment_heap.parts import SegmentPart, make_blocks, no_blocks
from poolsleuth.kernel.pool.tags import printable
from poolsleuth.kernel.pool.walk_budget import WalkBudget
from poolsleuth.kernel.target import Kernel

SAYS = "blocks are guessed from what looks like a header: some are none, and whether they are in use is not known"
_UNIT = 16
_FIRST, _LAST = 0xFFFF_8000_0000_0000, 0xFFFF_FFFF_FFFF_FFFF
# Previous size 0; of the type the bit of a block that was given out, and neither bit 4 nor 7, which are never kept
_MASK, _VALUE = np.uint64(0x9200_00FF), np.uint64(0x0200_0000)
_PAGED, _SESSION = 0x01, 0x20


def plausible_blocks(rows: NDArray[np.uint8], addresses: NDArray[np.uint64]) -> Blocks:
    """What looks like headers in pages (``rows`` of 4096 bytes) that lie at ``addresses``; none inside another."""
    words = np.ascontiguousarray(rows).view("<u8")[:, ::2]
    page, slot = np.nonzero((words & _MASK) == _VALUE)
    header = words[page, slot]
    units = (header >> np.uint64(16) & np.uint64(0xFF)).astype(np.int64)
    tags = (header >> np.uint64(32)).astype(np.uint32)
    good = (units >= 2) & (slot + units <= PAGE // _UNIT) & printable(tags)
    page, slot, header, units, tags = page[good], slot[good], header[good], units[good], tags[good]
    begin = page * (PAGE // _UNIT) + slot
    ends = np.maximum.accumulate(begin + units)
    outer = np.ones(len(begin), np.bool_)
    outer[1:] = begin[1:] >= ends[:-1]
    page, slot, header, units, tags = page[outer], slot[outer], header[outer], units[outer], tags[outer]
    kind = (header >> np.uint64(24)).astype(np.int64)
    paged = np.where(kind & _PAGED != 0, int(Pool.PAGED), int(Pool.NONPAGED))
    pools = np.where(kind & _SESSION != 0, int(Pool.SESSION), paged).astype(np.uint8)
    states = np.full(len(page), int(State.UNKNOWN), np.uint8)
    where = addresses[page] + (slot * _UNIT).astype(np.uint64)
    return make_blocks(where, units * _UNIT, tags, pools, states, Kind.HEURISTIC)


def scan_for_headers(kernel: Kernel, progress: Callable[[int], None] | None = None) -> Iterator[SegmentPart]:
    """Look through all mapped pages of the kernel's half. ``progress`` is told the pages looked at so far.

    Gives nothing where there is no physical memory (a triage dump), and nothing for x86. ``pool_pages`` counts pages
    in which something was found. The first part says that this is a guess.
    """
    space = kernel.memory.space
    if not isinstance(space, VirtualMemory) or kernel.pointer_size != 8:
        return
    says: tuple[str, ...] = (SAYS,)
    looked, budget = 0, WalkBudget.of(space)
    for runs in space.mapped_ranges(_FIRST, _LAST, max_pages=MAX_PAGES):
        for pages, frames in single_pages(runs.pages, runs.frames, runs.counts):
            for begin in range(0, len(pages), PAGES_AT_ONCE):
                rows, places = space.physical_pages(frames[begin : begin + PAGES_AT_ONCE])
                blocks = plausible_blocks(rows, pages[begin : begin + PAGES_AT_ONCE] * np.uint64(PAGE))
                found = len(distinct(blocks["address"] >> np.uint64(12)))
                looked += len(rows)
                if progress is not None:
                    progress(looked)
                yield SegmentPart(blocks, len(rows), found, int((places < 0).sum()), (), None, says)
                says = ()
                budget.take(int((places >= 0).sum()))
                budget.absent -= int((places < 0).sum())
                if budget.spent:
                    yield SegmentPart(no_blocks(), 0, 0, 0, (), budget.says, says)
                    return
        if runs.stopped is not None:
            yield SegmentPart(no_blocks(), 0, 0, 0, (), runs.stopped, says)
