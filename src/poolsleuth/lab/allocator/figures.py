"""What a pool holds in the end: its blocks as an array, and how badly its pages are used."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poolsleuth.lab.allocator.classic import ClassicPool
from poolsleuth.lab.allocator.headers import PROTECTED, read_header
from poolsleuth.lab.machine import ALLOCATED, FREE, IN_LOOKASIDE, PAGE, POOL_BLOCK, PoolPages

SMALL = PAGE // 16
"""Bytes of the largest block that is said to pin the page that it alone holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolFigures:
    """How a pool's pages are used; sizes in bytes, with headers.

    ``used_bytes`` are those of allocated blocks, ``lookaside_bytes`` of blocks that wait in lookaside lists.
    ``pinned_pages`` hold one block that is not free, and it is small.
    """

    pages: int
    blocks: int
    used_bytes: int
    free_bytes: int
    lookaside_bytes: int
    largest_free: int
    pinned_pages: int


def pages_of(pool: ClassicPool) -> PoolPages:
    """The pages of a pool as they are now, by address; a copy."""
    addresses = sorted(pool.rows)
    rows = np.frombuffer(b"".join(pool.rows[at] for at in addresses), np.uint8).reshape(-1, PAGE).copy()
    waiting = {at for blocks in pool.lookaside.values() for at in blocks}
    found: list[tuple[int, int, int, int, bool, int]] = []
    form = pool.form
    for start in addresses:
        page, offset = pool.rows[start], 0
        while offset < PAGE:
            _previous, _index, units, kind, tag = read_header(page, offset, form)
            at, size = start + offset, units * form.unit
            state = FREE if kind == 0 else IN_LOOKASIDE if at in waiting else ALLOCATED
            found.append((at, size, tag & ~PROTECTED, state, bool(tag & PROTECTED), pool.processes.get(at, 0)))
            offset += size
    return PoolPages(
        pool=pool.pool,
        index=pool.index,
        addresses=np.array(addresses, np.uint64),
        rows=rows,
        blocks=np.array(found, POOL_BLOCK),
        free_lists=pool.free_lists.ordered(),
        lookaside=tuple((units, tuple(reversed(pool.lookaside[units]))) for units in sorted(pool.lookaside)),
    )


def figures_of(pages: PoolPages) -> PoolFigures:
    """The figures of a pool's pages."""
    blocks = pages.blocks
    sizes, states = blocks["size"].astype(np.int64), blocks["state"]
    free = sizes[states == FREE]
    held = states != FREE
    place = np.searchsorted(pages.addresses, blocks["address"], side="right") - 1
    count = np.bincount(place[held], minlength=len(pages.addresses))
    held_bytes = np.bincount(place[held], weights=sizes[held], minlength=len(pages.addresses))
    return PoolFigures(
        pages=len(pages.addresses),
        blocks=len(blocks),
        used_bytes=int(sizes[states == ALLOCATED].sum()),
        free_bytes=int(free.sum()),
        lookaside_bytes=int(sizes[states == IN_LOOKASIDE].sum()),
        largest_free=int(free.max()) if len(free) else 0,
        pinned_pages=int(np.count_nonzero((count == 1) & (held_bytes <= SMALL))),
    )


def totals_of(pages: PoolPages) -> dict[int, tuple[int, int]]:
    """Blocks and bytes that are allocated, by tag (the number in memory): what the tag table counts of these pages."""
    living = pages.blocks[pages.blocks["state"] == ALLOCATED]
    tags, places, counts = np.unique(living["tag"], return_inverse=True, return_counts=True)
    sums: NDArray[np.int64] = np.zeros(len(tags), np.int64)
    np.add.at(sums, places, living["size"].astype(np.int64))
    return {int(tag): (int(count), int(size)) for tag, count, size in zip(tags, counts, sums, strict=True)}
