"""All blocks of a kernel's pools, whichever allocator made them."""

from collections.abc import Callable, Iterator

import numpy as np

from poolsleuth.kernel.pool.classic_walk import WalkPart, has_classic_pool, walk_classic_pool
from poolsleuth.kernel.pool.lookasides import Lookasides
from poolsleuth.kernel.pool.segment_heap.walk import walk_segment_pool
from poolsleuth.kernel.pool.session_walk import walk_session_pools
from poolsleuth.kernel.target import Kernel


def walk_pool(
    kernel: Kernel,
    progress: Callable[[int], None] | None = None,
    *,
    lookasides: Lookasides | None = None,
    with_links: bool = False,
) -> Iterator[WalkPart]:
    """All blocks, in parts; those of sessions behind those of the system, in parts that bear the session's number.

    The classic pool's big allocations are not among them: they stand in a table of their own. ``progress`` is told the
    pages looked at so far. Blocks of classic pages that wait in ``lookasides`` have the state IN_LOOKASIDE; where none
    are given they look allocated (segment heaps have lists of their own, which are read always). ``with_links``: the
    parts of the system's classic pages have the links of their free blocks. A kernel that can
    have either allocator, and does not say which, is walked as one with the segment heap.
    """
    if not has_classic_pool(kernel):
        yield from walk_segment_pool(kernel, progress, guess=True)
        return
    waiting = np.empty(0, np.uint64) if lookasides is None else lookasides.freed_blocks(2 * kernel.pointer_size)
    looked = 0

    def more(pages: int) -> None:
        nonlocal looked
        looked += pages
        if progress is not None:
            progress(looked)

    for part in walk_classic_pool(kernel, None, waiting, with_links=with_links):
        more(part.mapped)
        yield part
    yield from walk_session_pools(kernel, more, lookasides=lookasides is not None)
