"""The blocks of the pool, whichever allocator this Windows has."""

from collections.abc import Iterator

from poolsleuth.kernel.pool.blocks import Pool
from poolsleuth.kernel.pool.classic_walk import WalkPart, has_classic_pool, walk_classic_pool
from poolsleuth.kernel.pool.segment_heap.walk import walk_segment_pool
from poolsleuth.kernel.target import Kernel

REGIONS = {
    Pool.NONPAGED: "Nonpaged pool",
    Pool.NONPAGED_NX: "Nonpaged pool",
    Pool.PAGED: "Paged pool",
    Pool.SESSION: "Paged session pool",
    Pool.UNKNOWN: "Unknown",
}
"""What the debugger calls a pool."""


def walk_pool(kernel: Kernel) -> Iterator[WalkPart]:
    """All blocks, in parts. The classic pool's big allocations are not among them: they stand in a table of their own.

    A kernel that can have either allocator, and does not say which, is walked as one with the segment heap.
    """
    return walk_classic_pool(kernel) if has_classic_pool(kernel) else walk_segment_pool(kernel)
