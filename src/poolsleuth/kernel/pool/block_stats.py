"""What the blocks of a pool say together, gathered part by part: no block is kept.

A page of classic pool is cut into blocks from its start to its end. The subsegments of segment heaps (LFH slots, VS
chunks) are, too, but their blocks can reach over several pages, between them lie headers, and pages of free chunks may
be given back: there a page is what is mapped, and what no block in use takes of it is free.
"""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.address_space import PAGE
from poolsleuth.kernel.distinct import distinct
from poolsleuth.kernel.pool.blocks import Blocks, BrokenChain, Kind, Pool, State

PINNED_SHARE = 0.10  # of a page: what is live in it at most, before the page counts as held by a few small blocks
MAX_KINDS = 200_000  # combinations of tag, size and state that are counted apart, in one pool
MAX_ALL_KINDS = 1 << 19  # of all pools and sessions together, and as many tags that hold pages
MAX_EXAMPLES = 8  # pinned pages kept whole, for people to look at
MAX_BROKEN = 200  # broken chains kept
MAX_BLOCK_PAGES = 4096  # pages of one block that is cut out of others: subsegments have 16 MB at most
MAX_PIECES = 1 << 18  # pieces of blocks over several pages that are made of one part: parts have some thousand pages

_PAGE_BITS = np.uint64(12)
_LARGEST = 0xFF_FFFF  # bytes: a block that is larger counts as one of this size
_WHOLE = (int(Kind.SEGMENT), int(Kind.LARGE), int(Kind.BIG_PAGE))
BlockKind = tuple[int, int, int]
"""Tag (as a number), size in bytes with the header, and state."""


@dataclass(slots=True)
class Room:
    """What may still be counted apart, in all pools of all sessions."""

    kinds: int = MAX_ALL_KINDS
    tags: int = MAX_ALL_KINDS


@dataclass(slots=True)
class PoolStats:
    """One pool. Bytes and pages of what is cut into blocks; allocations of whole pages are counted in ``whole_*`` only.

    ``live_bytes`` are those of blocks in use; ``waiting_*`` of blocks that were freed and wait in lookaside lists
    (where the walk told them apart): they hold their pages as those in use do. ``pinned_by`` counts the pages that a
    tag's blocks hold (alone or with others), ``single_by`` those that are held by one block alone.
    ``pinned_runs`` counts pinned pages by their largest free block (bytes), ``free_runs`` all free blocks by their
    size: no request larger than the largest of them fits. ``live_pages`` have a block that is not free.
    """

    pages: int = 0
    blocks: int = 0
    live_bytes: int = 0
    free_bytes: int = 0
    live_pages: int = 0
    waiting_blocks: int = 0
    waiting_bytes: int = 0
    whole_blocks: int = 0
    whole_bytes: int = 0
    pinned_pages: int = 0
    pinned_bytes: int = 0
    single_pages: int = 0
    pinned_by: Counter[int] = field(default_factory=Counter)
    single_by: Counter[int] = field(default_factory=Counter)
    pinned_runs: Counter[int] = field(default_factory=Counter)
    kinds: Counter[BlockKind] = field(default_factory=Counter)
    kinds_complete: bool = True
    makers: Counter[int] = field(default_factory=Counter)
    examples: list[Blocks] = field(default_factory=list)
    room: Room = field(default_factory=Room)

    @property
    def free_runs(self) -> Counter[int]:
        """Free blocks by size in bytes."""
        found: Counter[int] = Counter()
        for (_tag, size, state), count in self.kinds.items():
            if state == State.FREE:
                found[size] += count
        return found

    @property
    def heuristic(self) -> bool:
        """Whether blocks were found by a scan for headers, not by the allocator's own structures."""
        return self.makers[int(Kind.HEURISTIC)] > 0

    @property
    def classic(self) -> bool:
        """Whether all blocks are those of the classic pool."""
        return set(self.makers) <= {int(Kind.CLASSIC)}


@dataclass(slots=True)
class BlockStats:
    """All pools of a walk: add each part, then read ``pools``. Both kinds of nonpaged pool are one here.

    ``room`` is shared with the pools of other sessions, so that thousands of them take no more memory than one.
    """

    pools: dict[Pool, PoolStats] = field(default_factory=dict)
    broken: list[BrokenChain] = field(default_factory=list)
    room: Room = field(default_factory=Room)

    def add(self, blocks: Blocks, broken: tuple[BrokenChain, ...] = (), mapped: int | None = None) -> None:
        """Count the blocks of whole pages, in the order of their addresses.

        ``mapped`` are the pages that such a part of a segment heap has: more than those that have a block in use.
        """
        self.broken += broken[: MAX_BROKEN - len(self.broken)]
        pools = np.where(blocks["pool"] == Pool.NONPAGED_NX, np.uint8(Pool.NONPAGED), blocks["pool"])
        for pool in np.unique(pools).tolist():
            chosen = blocks[pools == pool]
            stats = self.pools.setdefault(Pool(pool), PoolStats(room=self.room))
            for maker, count in zip(*np.unique(chosen["kind"], return_counts=True), strict=True):
                stats.makers[int(maker)] += int(count)
            whole = np.isin(chosen["kind"], _WHOLE)
            if whole.any():
                _add_whole(stats, chosen[whole])
                chosen = chosen[~whole]
            if len(chosen):
                _add(stats, chosen, mapped)


@dataclass(frozen=True, slots=True)
class _Pieces:
    """Blocks cut at the borders of pages: page, bytes, and the block's number. One for each block in classic pool."""

    page: NDArray[np.uint64]
    size: NDArray[np.int64]
    block: NDArray[np.int64]


def _add_whole(stats: PoolStats, blocks: Blocks) -> None:
    live = blocks["state"] != State.FREE
    stats.whole_blocks += int(live.sum())
    stats.whole_bytes += int(blocks["size"][live].sum())


def _cut(blocks: Blocks) -> _Pieces:
    sizes = blocks["size"].astype(np.int64)
    first = blocks["address"] >> _PAGE_BITS
    inside = (blocks["address"] & np.uint64(PAGE - 1)).astype(np.int64)
    counts = np.maximum((inside + sizes + (PAGE - 1)) // PAGE, 1)
    number = np.arange(len(blocks), dtype=np.int64)
    if int(counts.max()) == 1:
        return _Pieces(first, sizes, number)
    # A damaged size must not make more pieces than there is memory
    counts = np.minimum(counts, MAX_BLOCK_PAGES)
    counts = np.minimum(counts, np.maximum(MAX_PIECES - (np.cumsum(counts) - counts), 1))
    of = np.repeat(number, counts)
    step = np.arange(int(counts.sum()), dtype=np.int64) - np.repeat(np.cumsum(counts) - counts, counts)
    begin = np.where(step == 0, inside[of], 0)
    end = np.minimum(inside[of] + sizes[of] - step * PAGE, PAGE)
    return _Pieces(first[of] + step.astype(np.uint64), np.maximum(end - begin, 0), of)


def _add(stats: PoolStats, blocks: Blocks, mapped: int | None) -> None:
    pieces = _cut(blocks)
    starts = np.flatnonzero(np.concatenate(([True], pieces.page[1:] != pieces.page[:-1])))
    counts = np.diff(np.append(starts, len(pieces.page)))
    state = blocks["state"][pieces.block]
    held = (state == State.ALLOCATED) | (state == State.IN_LOOKASIDE)
    held_in_page = np.add.reduceat(np.where(held, pieces.size, 0), starts)
    free_sizes = np.where(state == State.FREE, pieces.size, 0)
    sizes = blocks["size"].astype(np.int64)
    stats.blocks += len(blocks)
    live_bytes = int(sizes[blocks["state"] == State.ALLOCATED].sum())
    stats.live_bytes += live_bytes
    waiting = blocks["state"] == State.IN_LOOKASIDE
    stats.waiting_blocks += int(waiting.sum())
    stats.waiting_bytes += int(sizes[waiting].sum())
    with_blocks = int((held_in_page > 0).sum())
    stats.live_pages += with_blocks
    if mapped is None:
        stats.pages += len(starts)
        stats.free_bytes += int(free_sizes.sum())
    else:
        pages = max(mapped, with_blocks)
        stats.pages += pages
        stats.free_bytes += max(pages * PAGE - live_bytes - int(sizes[waiting].sum()), 0)
    pinned = (held_in_page > 0) & (held_in_page <= PINNED_SHARE * PAGE)
    stats.pinned_pages += int(pinned.sum())
    stats.pinned_bytes += int(held_in_page[pinned].sum())
    largest, pages_with = np.unique(np.maximum.reduceat(free_sizes, starts)[pinned], return_counts=True)
    for size, count in zip(largest.tolist(), pages_with.tolist(), strict=True):
        stats.pinned_runs[size] += count
    page = np.repeat(np.arange(len(starts)), counts)
    tags = blocks["tag"][pieces.block]
    _count_pages(stats.room, stats.pinned_by, tags, np.repeat(pinned, counts) & held, page)
    single = pinned & (np.add.reduceat(held.astype(np.int64), starts) == 1)
    stats.single_pages += int(single.sum())
    _count_pages(stats.room, stats.single_by, tags, np.repeat(single, counts) & held, page)
    for at in np.flatnonzero(pinned).tolist():
        if len(stats.examples) >= MAX_EXAMPLES:
            break
        example = blocks[pieces.block[starts[at] : starts[at] + counts[at]]]
        if int(example["size"].sum()) <= PAGE:  # none of its blocks reaches into another page
            stats.examples.append(example.copy())
    _count_kinds(stats, blocks)


def _count_pages(
    room: Room, sums: Counter[int], tag: NDArray[np.uint32], chosen: NDArray[np.bool_], page: NDArray[np.int64]
) -> None:
    """A page counts once for each tag that has a block in it which is not free."""
    pairs = distinct(page[chosen].astype(np.uint64) << np.uint64(32) | tag[chosen].astype(np.uint64))
    tags, counts = np.unique(pairs & np.uint64(0xFFFF_FFFF), return_counts=True)
    tags, counts = _worth_counting(tags, counts, room.tags + len(sums))
    for key, count in zip(tags.tolist(), counts.tolist(), strict=True):
        if key in sums:
            sums[key] += count
        elif room.tags > 0:
            sums[key] = count
            room.tags -= 1


def _count_kinds(stats: PoolStats, blocks: Blocks) -> None:
    small = np.minimum(blocks["size"], np.uint64(_LARGEST))
    packed = (
        blocks["tag"].astype(np.uint64) << np.uint64(32) | small << np.uint64(8) | blocks["state"].astype(np.uint64)
    )
    keys, counts = np.unique(packed, return_counts=True)
    most = min(MAX_KINDS, len(stats.kinds) + stats.room.kinds)
    if len(keys) > most:
        stats.kinds_complete = False
        keys, counts = _worth_counting(keys, counts, most)
    for key, count in zip(keys.tolist(), counts.tolist(), strict=True):
        kind = (key >> 32, key >> 8 & _LARGEST, key & 0xFF)
        if kind in stats.kinds:
            stats.kinds[kind] += count
        elif len(stats.kinds) < most:
            stats.kinds[kind] = count
            stats.room.kinds -= 1
        else:
            stats.kinds_complete = False


def _worth_counting(
    keys: NDArray[np.uint64], counts: NDArray[np.int64], most: int
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """The most frequent of a part, where they are more than can be counted: of noise each block has its own."""
    if len(keys) <= most:
        return keys, counts
    kept = np.argsort(-counts, kind="stable")[:most]
    return keys[kept], counts[kept]
