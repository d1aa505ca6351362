"""What a segment heap holds, with addresses that count from its base: the work of the allocator, before any byte."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

HeapPool = Literal["nonpaged", "nonpaged-nx", "paged", "session"]
POOLS: tuple[HeapPool, ...] = ("nonpaged", "nonpaged-nx", "paged", "paged")
"""The pool of each heap of a node, by its index."""

LFH, VS, DIRECT, LARGE = 1, 2, 3, 4
"""Which part of a heap made a block."""
KIND_NAMES = {LFH: "lfh", VS: "vs", DIRECT: "segment", LARGE: "large"}

HEAP_BLOCK = np.dtype(
    [
        ("address", "<u8"),
        ("size", "<u8"),
        ("tag", "<u4"),
        ("state", "u1"),
        ("kind", "u1"),
        ("protected", "?"),
        ("process", "<u8"),
    ]
)
"""A block: address of its header (of its memory where it has none), all bytes that it has, the tag without its
protected bit (0: none is left or was ever there), a state of ``lab.machine`` and one of the kinds above.

``process`` is the one that pays for it, 0 for none: before the machine is simulated its number in the machine's list.
"""

Columns = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LfhContents:
    """A subsegment of equal blocks at ``at``: ``busy`` and the rest have a value for each place.

    ``tags`` is what stands in the headers, protected bit and all, 0 where nothing was ever put; ``unused`` are bytes of
    the block that the request does not need. A place that crosses a page (``closed``) is never given out.
    """

    at: int
    length: int
    size: int
    first: int
    busy: NDArray[np.bool_]
    closed: NDArray[np.bool_]
    tags: NDArray[np.uint32]
    unused: Columns
    processes: Columns


@dataclass(frozen=True, slots=True)
class VsContents:
    """A subsegment of chunks at ``at``: offsets in it, sizes and states in order, and the block in each.

    ``begins`` are the offsets of the blocks, ``sizes_told`` the bytes that their headers tell; ``headed`` says whether
    there is a header at all. ``absent`` are offsets of pages inside free chunks that were given back.
    """

    at: int
    length: int
    chunks: Columns
    sizes: Columns
    used: NDArray[np.bool_]
    begins: Columns
    sizes_told: Columns
    headed: NDArray[np.bool_]
    tags: NDArray[np.uint32]
    processes: Columns
    absent: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RangeContents:
    """A range of units in a segment; ``kind`` 0 is a free one. ``unused`` are bytes of a direct allocation."""

    unit: int
    units: int
    kind: int
    unused: int = 0


@dataclass(frozen=True, slots=True)
class SegmentContents:
    """A segment at ``at``, of the first or second context, and all its ranges, free ones too, in order."""

    at: int
    context: int
    ranges: tuple[RangeContents, ...]


@dataclass(frozen=True, slots=True)
class LargeContents:
    """A large allocation."""

    at: int
    pages: int
    unused: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeapContents:
    """A heap: whose it is, where its address space begins, and all that lies in it.

    ``node`` and ``index`` are its place among the heaps of the pool; ``special`` is for heaps of special pool, and
    ``session`` the session whose heap it is. ``lookaside`` are blocks that wait in dynamic lookaside lists: number of
    the list, and the addresses of the blocks from its head on. Before the machine is simulated ``base`` is an offset
    into the pool; the addresses of parts count from it always, those of ``blocks`` have it in them.
    """

    pool: HeapPool
    index: int
    node: int = 0
    special: bool = False
    session: int | None = None
    base: int
    segments: tuple[SegmentContents, ...]
    lfh: tuple[LfhContents, ...]
    vs: tuple[VsContents, ...]
    large: tuple[LargeContents, ...]
    lookaside: tuple[tuple[int, tuple[int, ...]], ...]
    blocks: "NDArray[np.void]"
    address: int | None = None
