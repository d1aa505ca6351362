"""Blocks of a leak that are really in memory: a part of what its tag counts."""

import numpy as np
from numpy.typing import NDArray

from poolsleuth.lab.allocator.classic import ClassicPool
from poolsleuth.lab.allocator.headers import form_of
from poolsleuth.lab.machine import BIG_PAGE_ROW, IN_USE, PAGE, SimulatedWindows
from poolsleuth.lab.segment_heap.heap import SegmentHeap
from poolsleuth.lab.usual_figures import Pool

ALL_LAID, ALL_LAID_BYTES = 24_000, 16 << 20
"""A leak of so many blocks and bytes at most is in memory as a whole."""
MOST_LAID, MOST_LAID_BYTES = 2000, 4 << 20
"""Of a larger leak so much is: enough for a sample, and made in milliseconds."""
_FIRST_NX = 9200


def lay_blocks(pool: ClassicPool | SegmentHeap | None, pointer: int, tag: str, count: int, each: int) -> int:
    """Allocate all, or some, of ``count`` blocks of ``each`` bytes (with their header); gives how many.

    0 where there is no such pool, or blocks are nearly whole pages.
    """
    form = form_of(pointer)
    if pool is None or each > form.largest or each % form.unit:
        return 0
    laid = count
    if count > ALL_LAID or count * each > ALL_LAID_BYTES:
        laid = min(count, MOST_LAID, MOST_LAID_BYTES // each)
    for _ in range(laid):
        pool.allocate(each - form.unit, tag)
    return laid


def lay_big(
    windows: SimulatedWindows, rows: "NDArray[np.void]", tag: str, pool: Pool, count: int
) -> "NDArray[np.void]":
    """The rows of the big-page table with so many more allocations of two pages, behind the others of their pool."""
    more = np.zeros(count, BIG_PAGE_ROW)
    paged = pool == "paged"
    same = rows[(rows["pool_type"] & 1 == 1) == paged]
    pages = (same["bytes"] + np.uint64(PAGE - 1)) // np.uint64(PAGE)
    behind = int((same["address"] + pages * np.uint64(PAGE)).max()) + PAGE if len(same) else PAGE
    more["address"] = behind + np.arange(count, dtype=np.uint64) * np.uint64(3 * PAGE)
    more["tag"] = tag.encode("latin-1")
    more["bytes"] = 2 * PAGE
    more["pool_type"] = 1 if paged else (0x200 if windows.build >= _FIRST_NX else 0)
    more["state"] = IN_USE
    return np.concatenate([rows, more])
