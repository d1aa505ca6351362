"""All blocks of a kernel's pools, whichever allocator made them."""

from collections.abc import Callable, Iterator

from poolsleuth.kernel.pool.classic_walk import WalkPart, has_classic_pool, walk_classic_pool
from poolsleuth.kernel.pool.segment_heap.walk import walk_segment_pool
from poolsleuth.kernel.target import Kernel


def walk_pool(kernel: Kernel, progress: Callable[[int], None] | None = None) -> Iterator[WalkPart]:
    """All blocks, in parts. The classic pool's big allocations are not among them: they stand in a table of their own.

    ``progress`` is told the pages looked at so far. A kernel that can have either allocator, and does not say which, is
    walked as one with the segment heap.
    """
    walk = walk_classic_pool if has_classic_pool(kernel) else walk_segment_pool
    return walk(kernel, progress)
