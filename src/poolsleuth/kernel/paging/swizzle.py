"""The mask of swizzled entries, from the entries themselves, for a kernel whose variables cannot be read."""

import numpy as np

from poolsleuth.kernel.paging.cache import ROWS_AT_ONCE
from poolsleuth.kernel.paging.layout import PROTOTYPE, TRANSITION, VALID
from poolsleuth.kernel.paging.ranges import RangeWalk
from poolsleuth.kernel.paging.space import VirtualMemory

SAMPLE_TABLES = 8192  # page tables looked at (32 MB): hundreds of them hold entries in transition on any machine
MIN_ENTRIES = 64  # entries that must agree before they are believed
_HIGH_BITS = ((1 << 52) - 1) & ~((1 << 41) - 1)  # no page of a machine with less than 2 TB of memory has these


def inferred_invalid_pte_mask(space: VirtualMemory, first: int, last: int) -> int | None:
    """The kernel's InvalidPteMask as entries in transition between two addresses show it; 0 where it is not used.

    A transition entry whose swizzle bit is clear has all bits of the mask set, and page numbers leave the high bits of
    an entry clear: when all of them agree in these bits, they are the mask. None when there are fewer than
    ``MIN_ENTRIES`` of them, when they do not agree, and on a kernel whose entries have no swizzle bit.
    """
    swizzle = space.parameters.layout.swizzle
    if swizzle is None or space.parameters.mode.entry_size != 8:
        return None
    kind = np.uint64(VALID | PROTOTYPE | TRANSITION | 1 << swizzle)
    seen, common, any_of_them, left = 0, _HIGH_BITS, 0, SAMPLE_TABLES
    for part in RangeWalk(space.walk, max_tables=SAMPLE_TABLES).leaf_tables(first, last):
        tables = part[:left]
        left -= len(tables)
        for begin in range(0, len(tables), ROWS_AT_ONCE):
            rows, states = space.walk.cache.rows(tables[begin : begin + ROWS_AT_ONCE])
            entries = rows[states == 0].reshape(-1)
            entries = entries[(entries & kind) == np.uint64(TRANSITION)]
            if len(entries):
                seen += len(entries)
                common &= int(np.bitwise_and.reduce(entries))
                any_of_them |= int(np.bitwise_or.reduce(entries))
        if not left:
            break
    return common if seen >= MIN_ENTRIES and common == any_of_them & _HIGH_BITS else None
