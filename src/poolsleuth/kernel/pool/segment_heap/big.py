"""The table of big allocations beside the heaps: it has the tags of what has no pool header.

An entry that a heap's block was joined with is counted there, once; the others are given at the end of the walk.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.address_space import PAGE
from poolsleuth.kernel.pool.big_pages import PAGED, UNKNOWN, BigPages
from poolsleuth.kernel.pool.blocks import Blocks, Kind, Pool, State
from poolsleuth.kernel.pool.segment_heap.parts import Addresses, Numbers, Teller, make_blocks

MAX_ROWS = 1 << 22  # entries kept for joining: 84 MB; large servers have some 100,000
_PART = 1 << 18  # rows of a part
_POOLS = np.full(256, int(Pool.UNKNOWN), np.uint8)
_POOLS[0], _POOLS[PAGED], _POOLS[UNKNOWN] = Pool.NONPAGED, Pool.PAGED, Pool.UNKNOWN


class BigIndex:
    """Entries in use, ascending by address. ``session`` says that all of them are of a session's pool."""

    __slots__ = ("addresses", "claimed", "keys", "pools", "sizes")

    def __init__(self, big: BigPages | None, teller: Teller, *, session: bool = False) -> None:
        self.addresses = np.empty(0, np.uint64)
        self.keys = np.empty(0, np.uint32)
        self.sizes = np.empty(0, np.int64)
        self.pools = np.empty(0, np.uint8)
        if big is not None and big.table is not None:
            self._read(big, teller)
        if session:
            self.pools[:] = Pool.SESSION
        self.claimed = np.zeros(len(self.addresses), np.bool_)

    def _read(self, big: BigPages, teller: Teller) -> None:
        assert big.table is not None
        parts: list[tuple[Addresses, NDArray[np.uint32], NDArray[np.uint64], NDArray[np.uint8]]] = []
        rows = 0
        for part in big.table.parts():
            room = MAX_ROWS - rows
            if len(part.keys) > room:
                teller.tell(f"more than {MAX_ROWS:,} big allocations are in use: the rest of their table is not joined")
            parts.append((part.addresses[:room], part.keys[:room], part.sizes[:room], part.pools[:room]))
            rows += len(parts[-1][0])
            if rows >= MAX_ROWS:
                break
        if not rows:
            return
        addresses = np.concatenate([part[0] for part in parts])
        _unique, first = np.unique(addresses, return_index=True)
        if len(first) < len(addresses):
            teller.count("big allocations stand twice in their table", len(addresses) - len(first))
        self.addresses = addresses[first]
        self.keys = np.concatenate([part[1] for part in parts])[first]
        self.sizes = np.concatenate([part[2] for part in parts])[first].astype(np.int64)
        self.pools = _POOLS[np.concatenate([part[3] for part in parts])[first]]

    def claim(self, addresses: Addresses) -> NDArray[np.uint32]:
        """The tags of blocks that begin at these addresses, 0 where the table has none; they count as met."""
        tags = np.zeros(len(addresses), np.uint32)
        if not len(self.addresses):
            return tags
        at = np.minimum(np.searchsorted(self.addresses, addresses), len(self.addresses) - 1)
        known = self.addresses[at] == addresses
        self.claimed[at[known]] = True
        tags[known] = self.keys[at[known]]
        return tags

    def cover(self, addresses: Addresses) -> NDArray[np.bool_]:
        """Which of these addresses lie in the pages of an allocation."""
        if not len(self.addresses):
            return np.zeros(len(addresses), np.bool_)
        at = np.searchsorted(self.addresses, addresses, side="right") - 1
        first = self.addresses[np.maximum(at, 0)]
        pages = self.sizes[np.maximum(at, 0)] + PAGE - 1 & -PAGE
        return np.asarray((at >= 0) & (addresses - first < pages.astype(np.uint64)), np.bool_)

    def rest(self) -> Iterator[Blocks]:
        """The entries that no block of a heap was joined with, in parts."""
        left = np.flatnonzero(~self.claimed)
        for begin in range(0, len(left), _PART):
            some = left[begin : begin + _PART]
            sizes: Numbers = self.sizes[some]
            states = np.full(len(some), int(State.ALLOCATED), np.uint8)
            yield make_blocks(self.addresses[some], sizes, self.keys[some], self.pools[some], states, Kind.BIG_PAGE)
