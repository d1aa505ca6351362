"""Who holds addresses of some blocks: a search through pages of memory for words that lead into them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.address_space import PAGE, AddressSpace
from poolsleuth.kernel.pool.blocks import Blocks
from poolsleuth.kernel.pool.pointer_places import find_blocks

MAX_HITS = 1 << 20  # places that hold such an address: more are not kept
_PAGES_AT_ONCE = 1024
_BITS = 20
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True, eq=False)
class Hits:
    """Places that hold an address in one of the blocks: where, and the row of the block.

    ``pages`` counts those that were searched, without those that are not in the dump. ``cut`` is True when there were
    more places than are kept.
    """

    places: NDArray[np.uint64]
    targets: NDArray[np.int64]
    pages: int
    cut: bool


class Search:
    """A search for addresses in ``blocks`` (ascending by address).

    Most words of memory are no such address: they are told by the range, then by the page that they would lead to, in
    a table of bits; only what is left is looked up exactly.
    """

    def __init__(self, blocks: Blocks, width: int) -> None:
        self._blocks = blocks
        self._width = width
        self._low = int(blocks["address"][0]) if len(blocks) else 0
        last = blocks["address"] + blocks["size"] if len(blocks) else np.zeros(1, np.uint64)
        self._span = int(last.max()) - self._low
        self._table = np.zeros(1 << _BITS, np.bool_)
        if len(blocks):
            first = blocks["address"] >> np.uint64(12)
            # Of a block of many pages an address that leads to its first two is enough
            self._table[_slots(first)] = True
            self._table[_slots(np.minimum(first + np.uint64(1), last - np.uint64(1) >> np.uint64(12)))] = True

    def through(
        self, space: AddressSpace, pages: NDArray[np.uint64], progress: Callable[[int], None] | None = None
    ) -> Hits:
        """Search these pages (numbers: address / 4096)."""
        places: list[NDArray[np.uint64]] = []
        targets: list[NDArray[np.int64]] = []
        kept = searched = 0
        if not len(self._blocks):
            pages = pages[:0]
        for begin in range(0, len(pages), _PAGES_AT_ONCE):
            some = pages[begin : begin + _PAGES_AT_ONCE]
            data, found = space.gather(some)
            searched += int((found >= 0).sum())
            at, target = self._of(data)
            if len(at):
                per_page = PAGE // self._width
                where = some[at // per_page] * np.uint64(PAGE) + (at % per_page * self._width).astype(np.uint64)
                places.append(where)
                targets.append(target)
                kept += len(at)
            if progress is not None:
                progress(searched)
            if kept >= MAX_HITS:
                break
        return Hits(
            np.concatenate(places) if places else np.empty(0, np.uint64),
            np.concatenate(targets) if targets else np.empty(0, np.int64),
            searched,
            kept >= MAX_HITS,
        )

    def _of(self, data: NDArray[np.uint8]) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
        words = data.reshape(-1).view(f"<u{self._width}")
        top = (1 << 8 * self._width) - 1
        if self._low > top:
            return np.empty(0, np.intp), np.empty(0, np.int64)
        at = np.flatnonzero(words - words.dtype.type(self._low) < words.dtype.type(min(max(self._span, 0), top)))
        if not len(at):
            return at, np.empty(0, np.int64)
        near = words[at].astype(np.uint64)
        likely = self._table[_slots(near >> np.uint64(12))]
        at, near = at[likely], near[likely]
        rows = find_blocks(self._blocks, near)
        hit = rows >= 0
        return at[hit], rows[hit]


def _slots(pages: NDArray[np.uint64]) -> NDArray[np.intp]:
    return (pages * _GOLDEN >> np.uint64(64 - _BITS)).astype(np.intp)
