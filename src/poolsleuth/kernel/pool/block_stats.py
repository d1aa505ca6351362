"""What the blocks of a pool say together, gathered part by part: no block is kept."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.address_space import PAGE
from poolsleuth.kernel.pool.blocks import Blocks, BrokenChain, Pool, State

PINNED_SHARE = 0.10  # of a page: what is live in it at most, before the page counts as held by a few small blocks
MAX_KINDS = 200_000  # combinations of tag, size and state that are counted apart
MAX_EXAMPLES = 8  # pinned pages kept whole, for people to look at
MAX_BROKEN = 200  # broken chains kept

_PAGE_BITS = np.uint64(12)
BlockKind = tuple[int, int, int]
"""Tag (as a number), size in bytes with the header, and state."""


@dataclass(slots=True)
class PoolStats:
    """One pool. Bytes and pages; ``pinned_by`` counts the pages that a tag's blocks hold (alone or with others).

    ``pinned_runs`` counts pinned pages by their largest free block (bytes), ``free_runs`` all free blocks by their
    size: no request larger than the largest of them fits.
    """

    pages: int = 0
    blocks: int = 0
    live_bytes: int = 0
    free_bytes: int = 0
    pinned_pages: int = 0
    pinned_bytes: int = 0
    pinned_by: Counter[int] = field(default_factory=Counter)
    pinned_runs: Counter[int] = field(default_factory=Counter)
    kinds: Counter[BlockKind] = field(default_factory=Counter)
    kinds_complete: bool = True
    examples: list[Blocks] = field(default_factory=list)

    @property
    def free_runs(self) -> Counter[int]:
        """Free blocks by size in bytes."""
        found: Counter[int] = Counter()
        for (_tag, size, state), count in self.kinds.items():
            if state == State.FREE:
                found[size] += count
        return found


@dataclass(slots=True)
class BlockStats:
    """All pools of a walk: add each part, then read ``pools``."""

    pools: dict[Pool, PoolStats] = field(default_factory=dict)
    broken: list[BrokenChain] = field(default_factory=list)

    def add(self, blocks: Blocks, broken: tuple[BrokenChain, ...] = ()) -> None:
        """Count the blocks of whole pages, in the order of their addresses."""
        self.broken += broken[: MAX_BROKEN - len(self.broken)]
        for pool in np.unique(blocks["pool"]).tolist():
            _add(self.pools.setdefault(Pool(pool), PoolStats()), blocks[blocks["pool"] == pool])


def _add(stats: PoolStats, blocks: Blocks) -> None:
    pages = blocks["address"] >> _PAGE_BITS
    starts = np.flatnonzero(np.concatenate(([True], pages[1:] != pages[:-1])))
    live = blocks["state"] == State.ALLOCATED
    sizes = blocks["size"].astype(np.int64)
    live_sizes = np.where(live, sizes, 0)
    live_in_page = np.add.reduceat(live_sizes, starts)
    stats.pages += len(starts)
    stats.blocks += len(blocks)
    stats.live_bytes += int(live_sizes.sum())
    free_sizes = np.where(blocks["state"] == State.FREE, sizes, 0)
    stats.free_bytes += int(free_sizes.sum())
    pinned = (live_in_page > 0) & (live_in_page <= PINNED_SHARE * PAGE)
    stats.pinned_pages += int(pinned.sum())
    stats.pinned_bytes += int(live_in_page[pinned].sum())
    largest, pages_with = np.unique(np.maximum.reduceat(free_sizes, starts)[pinned], return_counts=True)
    for size, count in zip(largest.tolist(), pages_with.tolist(), strict=True):
        stats.pinned_runs[size] += count
    counts = np.diff(np.append(starts, len(blocks)))
    _count_pinning(stats, blocks, np.repeat(pinned, counts) & live, np.repeat(np.arange(len(starts)), counts))
    for at in np.flatnonzero(pinned)[: MAX_EXAMPLES - len(stats.examples)].tolist():
        stats.examples.append(blocks[starts[at] : starts[at] + counts[at]].copy())
    _count_kinds(stats, blocks)


def _count_pinning(stats: PoolStats, blocks: Blocks, chosen: NDArray[np.bool_], page: NDArray[np.int64]) -> None:
    """A page counts once for each tag that has a live block in it."""
    pairs = np.unique(page[chosen].astype(np.uint64) << np.uint64(32) | blocks["tag"][chosen].astype(np.uint64))
    tags, counts = np.unique(pairs & np.uint64(0xFFFF_FFFF), return_counts=True)
    for tag, count in zip(tags.tolist(), counts.tolist(), strict=True):
        stats.pinned_by[tag] += count


def _count_kinds(stats: PoolStats, blocks: Blocks) -> None:
    small = np.minimum(blocks["size"], np.uint64(0xFFFF))
    packed = (
        blocks["tag"].astype(np.uint64) << np.uint64(32) | small << np.uint64(8) | blocks["state"].astype(np.uint64)
    )
    keys, counts = np.unique(packed, return_counts=True)
    for key, count in zip(keys.tolist(), counts.tolist(), strict=True):
        kind = (key >> 32, key >> 8 & 0xFFFF, key & 0xFF)
        if kind in stats.kinds or len(stats.kinds) < MAX_KINDS:
            stats.kinds[kind] += count
        else:
            stats.kinds_complete = False
