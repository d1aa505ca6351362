"""A segment heap at work: requests and frees over time, each served by the part of the heap that serves its size."""

from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray

from poolsleuth.lab.allocator.headers import PROTECTED, tag_number
from poolsleuth.lab.machine import (
    ALLOCATED,
    BIG_PAGE_ROW,
    FREE,
    IN_LOOKASIDE,
    IN_USE,
    PAGE,
    PoolUse,
)
from poolsleuth.lab.segment_heap.contents import (
    DIRECT,
    HEAP_BLOCK,
    LARGE,
    LFH,
    VS,
    HeapContents,
    HeapPool,
    LargeContents,
    LfhContents,
    SegmentContents,
    VsContents,
)
from poolsleuth.lab.segment_heap.lfh import LowFragmentation
from poolsleuth.lab.segment_heap.segments import Segments
from poolsleuth.lab.segment_heap.sizes import (
    DIRECT_LIMITS,
    LARGEST_HEADED,
    LFH_LIMIT,
    LFH_LIVING,
    LOOKASIDE_FIRST,
    LOOKASIDE_LAST,
    LOOKASIDE_STEP,
    UNIT_SHIFTS,
    VS_LIMIT,
    block_bytes,
    bucket_size,
)
from poolsleuth.lab.segment_heap.vs import VariableSize

LARGE_AT = 0xC000_0000
"""Where large allocations begin, from the heap's base on; a heap has 4 GB of addresses."""
HEAP_ROOM = 1 << 32
_LARGE_GRAIN = 0x10000
_BIG_TYPES = {"nonpaged": 0, "nonpaged-nx": 0x200, "paged": 1, "session": 0x21}


@dataclass(slots=True)
class _Held:
    """A block that nobody freed: which part of the heap has it, and what the tag table counts."""

    kind: int
    request: int
    tag: str
    told: int
    context: int = 0


class SegmentHeap:
    """One heap. Addresses count from its base. ``lookaside_depth`` blocks of a size wait in a list at most.

    ``lfh_limit`` is the largest block, with its header, that the low fragmentation heap takes: 0xF70 at most, for
    larger ones would come to lie in buckets of blocks without a header.
    """

    def __init__(
        self,
        pool: HeapPool,
        index: int,
        random: Random,
        *,
        base: int,
        node: int = 0,
        special: bool = False,
        session: int | None = None,
        lookaside_depth: int = 0,
        lfh_limit: int = LFH_LIMIT,
    ) -> None:
        self.pool, self.index, self.node, self.special, self.session = pool, index, node, special, session
        self.base = base
        self._segments = (Segments(0), Segments(1))
        self._lfh = LowFragmentation(self._segments[0], random)
        self._vs = VariableSize(self._segments[0])
        self._depth, self._lfh_limit = lookaside_depth, lfh_limit
        self._held: dict[int, _Held] = {}
        self._living: dict[int, int] = {}
        self._waiting: dict[int, list[int]] = {}
        self._large: dict[int, tuple[int, int]] = {}
        self._next_large = LARGE_AT
        self._counts: dict[str, list[int]] = {}

    def allocate(self, request: int, tag: str, *, protected: bool = False, process: int = 0) -> int:
        """A block; gives its address, as an offset from the heap's base. ``process``: number of the one that pays.

        Raises ValueError for a request of no bytes, or one that is too large for 1 GB of large allocations.
        """
        if request <= 0:
            raise ValueError("a request has at least one byte")
        size = block_bytes(request)
        key = tag_number(tag) | (PROTECTED if protected else 0)
        headed = request <= LARGEST_HEADED
        kind, context = VS, 0
        if size <= self._lfh_limit:
            bucket = bucket_size(size)
            if self._living.get(bucket, 0) >= LFH_LIVING:
                kind = LFH
            self._living[bucket] = self._living.get(bucket, 0) + 1
        if size > VS_LIMIT:
            kind = DIRECT
            context = int(size > DIRECT_LIMITS[0])
            if size > DIRECT_LIMITS[1]:
                kind = LARGE
        told = size if headed else request
        if kind == LFH:
            at = self._lfh.allocate(bucket, key, process, bucket - size)
            told = bucket if headed else request
        elif kind == VS:
            at = self._vs.allocate(size, key, process, headed=headed)
        elif kind == DIRECT:
            at = self._segments[context].allocate(-(-request // PAGE) * PAGE, DIRECT)
        else:
            at = self._take_large(request)
        self._held[at] = _Held(kind, request, tag, told, context)
        counts = self._counts.setdefault(tag, [0, 0, 0])
        counts[0] += 1
        counts[2] += told
        return at

    def _take_large(self, request: int) -> int:
        pages = -(-request // PAGE)
        at = self._next_large
        if at + pages * PAGE > HEAP_ROOM:
            raise ValueError("the heap has no room left for large allocations")
        self._next_large = -(-(at + pages * PAGE) // _LARGE_GRAIN) * _LARGE_GRAIN + _LARGE_GRAIN
        self._large[at] = (pages, pages * PAGE - request)
        return at

    def free(self, at: int) -> None:
        """Free the block at that address. Raises KeyError when there is none."""
        held = self._held.pop(at)
        counts = self._counts[held.tag]
        counts[1] += 1
        counts[2] -= held.told
        size = block_bytes(held.request)
        if held.kind in (LFH, VS) and LOOKASIDE_FIRST <= size <= LOOKASIDE_LAST:
            waiting = self._waiting.setdefault((size - LOOKASIDE_FIRST) // LOOKASIDE_STEP, [])
            if len(waiting) < self._depth:
                waiting.append(at)
                return
        if size <= self._lfh_limit:
            self._living[bucket_size(size)] -= 1
        if held.kind == LFH:
            self._lfh.free(at)
        elif held.kind == VS:
            self._vs.free(at)
        elif held.kind == DIRECT:
            self._segments[held.context].free(at)
        else:
            del self._large[at]

    def uses(self) -> dict[str, PoolUse]:
        """What the tag table counts of this heap, by tag."""
        return {tag: PoolUse(*counts) for tag, counts in self._counts.items()}

    def pages(self) -> int:
        """Pages that the heap takes up."""
        large = sum(pages for pages, _unused in self._large.values())
        absent = sum(len(each.absent) for each in self._vs.contents())
        return self._segments[0].pages() + self._segments[1].pages() + large - absent

    def big_rows(self) -> "NDArray[np.void]":
        """Its rows of the big-page table (BIG_PAGE_ROW): everything without a header. Addresses count from the pool."""
        big = [(at, held) for at, held in sorted(self._held.items()) if held.request > LARGEST_HEADED]
        rows = np.zeros(len(big), BIG_PAGE_ROW)
        for row, (at, held) in zip(rows, big, strict=True):
            row["address"], row["bytes"] = self.base + at, held.request
            row["tag"] = held.tag.encode("latin-1").ljust(4)
            row["pool_type"], row["state"] = _BIG_TYPES[self.pool], IN_USE
        return rows

    def contents(self) -> HeapContents:
        """All that lies in the heap now."""
        lfh, vs = self._lfh.contents(), self._vs.contents()
        segments = self._segments[0].contents() + self._segments[1].contents()
        large = tuple(LargeContents(at, pages, unused) for at, (pages, unused) in sorted(self._large.items()))
        blocks = np.concatenate(
            [
                *(_lfh_blocks(each) for each in lfh),
                *(_vs_blocks(each) for each in vs),
                _direct_blocks(segments),
                _rows([each.at for each in large], [each.pages * PAGE for each in large], LARGE),
            ]
        )
        blocks = blocks[np.argsort(blocks["address"])]
        for at, held in self._held.items():
            if held.request > LARGEST_HEADED:
                row = blocks[np.searchsorted(blocks["address"], np.uint64(at)) :][:1]
                row["tag"] = tag_number(held.tag)
        waiting = np.array([at for some in self._waiting.values() for at in some], np.uint64)
        blocks["state"][np.isin(blocks["address"], waiting)] = IN_LOOKASIDE
        blocks["address"] += np.uint64(self.base)
        lists = {number: tuple(reversed(some)) for number, some in self._waiting.items() if some}
        return HeapContents(
            pool=self.pool,
            index=self.index,
            node=self.node,
            special=self.special,
            session=self.session,
            base=self.base,
            segments=segments,
            lfh=lfh,
            vs=vs,
            large=large,
            lookaside=tuple(sorted(lists.items())),
            blocks=blocks,
        )


def _rows(addresses: list[int], sizes: list[int], kind: int) -> "NDArray[np.void]":
    rows = np.zeros(len(addresses), HEAP_BLOCK)
    rows["address"], rows["size"], rows["kind"], rows["state"] = addresses, sizes, kind, ALLOCATED
    return rows


def _direct_blocks(segments: tuple[SegmentContents, ...]) -> "NDArray[np.void]":
    found = [
        (segment.at + (each.unit << UNIT_SHIFTS[segment.context]), each.units << UNIT_SHIFTS[segment.context])
        for segment in segments
        for each in segment.ranges
        if each.kind == DIRECT
    ]
    return _rows([at for at, _ in found], [size for _, size in found], DIRECT)


def _lfh_blocks(part: LfhContents) -> "NDArray[np.void]":
    """All places but those that are closed."""
    numbers = np.flatnonzero(~part.closed)
    rows = np.zeros(len(numbers), HEAP_BLOCK)
    rows["address"] = part.at + part.first + numbers * part.size
    rows["size"], rows["kind"] = part.size, LFH
    rows["state"] = np.where(part.busy[numbers], ALLOCATED, FREE)
    if part.size <= LARGEST_HEADED:
        rows["tag"] = part.tags[numbers] & ~np.uint32(PROTECTED)
        rows["protected"] = part.tags[numbers] & np.uint32(PROTECTED) != 0
        rows["process"] = part.processes[numbers]
    return rows


def _vs_blocks(part: VsContents) -> "NDArray[np.void]":
    rows = np.zeros(len(part.chunks), HEAP_BLOCK)
    rows["address"] = part.at + part.begins
    rows["size"] = part.chunks + part.sizes - part.begins
    rows["kind"] = VS
    rows["state"] = np.where(part.used, ALLOCATED, FREE)
    rows["tag"] = part.tags & ~np.uint32(PROTECTED)
    rows["protected"] = (part.tags & np.uint32(PROTECTED) != 0) & part.headed
    rows["process"] = np.where(part.headed, part.processes, 0)
    return rows
