"""A fair sample of the blocks of some tags, and of the pool's pages around them: one pass over the walk of the pool.

Each block and each page has a number that is made of its address alone; those with the smallest numbers are kept. So
the sample is spread over the whole pool, is the same for the same dump, and needs no more memory in a larger one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.address_space import PAGE
from poolsleuth.kernel.distinct import distinct
from poolsleuth.kernel.pool.blocks import BLOCK, Blocks, Kind, Pool, State

MAX_SAMPLED = 1000  # blocks of one tag: a share of one half is then known to 3 %
MAX_COMPARED = 500  # blocks of other tags that are compared with a sample
MAX_PAGES_NOTED = 1 << 17  # pages whose blocks are kept (512 MB of pool; at some 20 blocks of 27 bytes 70 MB)
MAX_BLOCKS_NOTED = 1 << 22  # of those pages: 113 MB
MAX_BIG_NOTED = 1 << 18  # blocks of a page and more that are kept, to be searched
_KEEP = 4  # the sample of a tag is cut when it has so many times what is wanted

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
_HALF = np.uint64(1)
_OTHER = np.uint64(0xFF51AFD7ED558CCD)

Wanted = tuple[int, frozenset[int]]
"""A tag as a number, and the pools (numbers of ``Pool``) whose blocks are meant."""


def numbers_of(addresses: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A number for each address that looks like one drawn by chance: two rounds of multiplying and mixing."""
    mixed = addresses * _GOLDEN
    mixed ^= mixed >> np.uint64(29)
    mixed *= _OTHER
    return mixed ^ mixed >> np.uint64(32)


@dataclass(slots=True)
class _Tag:
    seen: int = 0
    bytes: int = 0
    kept: list[Blocks] = field(default_factory=list)
    held: int = 0
    limit: np.uint64 = _ALL

    def add(self, blocks: Blocks) -> None:
        self.seen += len(blocks)
        self.bytes += int(blocks["size"].sum())
        chosen = blocks[numbers_of(blocks["address"]) <= self.limit]
        if len(chosen):
            self.kept.append(chosen)
            self.held += len(chosen)
        if self.held > _KEEP * MAX_SAMPLED:
            self._cut()

    def _cut(self) -> None:
        every = np.concatenate(self.kept)
        numbers = numbers_of(every["address"])
        smallest = np.argsort(numbers, kind="stable")[:MAX_SAMPLED]
        self.limit = numbers[smallest].max() if len(smallest) == MAX_SAMPLED else _ALL
        self.kept, self.held = [every[smallest]], len(smallest)

    def blocks(self) -> Blocks:
        if not self.kept:
            return np.empty(0, BLOCK)
        self._cut()
        return np.sort(self.kept[0], order="address")


@dataclass(frozen=True, slots=True, eq=False)
class PoolSample:
    """What one pass found. ``tags`` are the samples (ascending by address), ``seen`` and ``bytes`` the totals.

    ``around`` are all blocks of some pages, ascending, ``pages`` the numbers of these pages, of ``all_pages`` in all;
    ``big`` are blocks of whole pages. ``stopped`` is the walk's own sentence, else None.
    """

    tags: Mapping[Wanted, Blocks]
    seen: Mapping[Wanted, int]
    bytes: Mapping[Wanted, int]
    around: Blocks
    pages: NDArray[np.uint64]
    all_pages: int
    big: Blocks
    stopped: str | None

    @property
    def whole(self) -> bool:
        """Whether the blocks of every page of the pool are kept."""
        return len(self.pages) == self.all_pages


class Sampler:
    """Takes the parts of a walk."""

    def __init__(self, wanted: Iterable[Wanted], max_pages: int = MAX_PAGES_NOTED) -> None:
        self._tags = {each: _Tag() for each in wanted}
        self._max_pages = max_pages
        self._keys = np.array(sorted({key for key, _pools in self._tags}), np.uint32)
        self._around: list[Blocks] = []
        self._pages: list[NDArray[np.uint64]] = []
        self._held = self._blocks = 0
        self._limit = _ALL
        self._all_pages = 0
        self._last_page: int | None = None
        self._big: list[Blocks] = []
        self._big_held = 0
        self.stopped: str | None = None

    def add(self, blocks: Blocks) -> None:
        """Blocks of a part of the pool. Those of sessions are left out: they are not there for the whole system."""
        of_session = blocks["pool"] == Pool.SESSION
        if of_session.any():
            blocks = blocks[~of_session]
        if not len(blocks):
            return
        living = blocks["state"] == State.ALLOCATED
        mine = np.flatnonzero(living & np.isin(blocks["tag"], self._keys))
        if len(mine):
            found = blocks[mine]
            for (key, pools), tag in self._tags.items():
                chosen = found[(found["tag"] == key) & np.isin(found["pool"], list(pools))]
                if len(chosen):
                    tag.add(chosen)
        large = is_big(blocks)
        if large.any():
            self._add_big(blocks[large & living])
            blocks = blocks[~large]
        if len(blocks):
            self._add_pages(blocks)

    def _add_big(self, blocks: Blocks) -> None:
        self._big.append(blocks)
        self._big_held += len(blocks)
        if self._big_held > 2 * MAX_BIG_NOTED:
            every = np.concatenate(self._big)
            smallest = np.argsort(numbers_of(every["address"]), kind="stable")[:MAX_BIG_NOTED]
            self._big, self._big_held = [every[smallest]], len(smallest)

    def _add_pages(self, blocks: Blocks) -> None:
        numbers = blocks["address"] >> np.uint64(12)
        # The blocks of a page stand together; a page may be spread over two parts
        begins = np.flatnonzero(np.append(True, numbers[1:] != numbers[:-1]))
        pages = numbers[begins]
        self._all_pages += len(pages) - int(self._last_page is not None and int(pages[0]) == self._last_page)
        self._last_page = int(pages[-1])
        kept = numbers_of(pages) <= self._limit
        if not kept.all():
            blocks = blocks[np.repeat(kept, np.diff(np.append(begins, len(numbers))))]
            pages = pages[kept]
        self._around.append(blocks)
        self._pages.append(pages)
        self._held += len(pages)
        self._blocks += len(blocks)
        while self._held > self._max_pages or self._blocks > MAX_BLOCKS_NOTED:
            self._limit >>= _HALF
            self._pages = [each[numbers_of(each) <= self._limit] for each in self._pages]
            self._around = [each[numbers_of(each["address"] >> np.uint64(12)) <= self._limit] for each in self._around]
            self._held = sum(map(len, self._pages))
            self._blocks = sum(map(len, self._around))

    def result(self) -> PoolSample:
        """The sample of everything that was added."""
        around = np.concatenate(self._around) if self._around else np.empty(0, BLOCK)
        pages = distinct(np.concatenate(self._pages)) if self._pages else np.empty(0, np.uint64)
        big = np.concatenate(self._big) if self._big else np.empty(0, BLOCK)
        return PoolSample(
            tags={each: tag.blocks() for each, tag in self._tags.items()},
            seen={each: tag.seen for each, tag in self._tags.items()},
            bytes={each: tag.bytes for each, tag in self._tags.items()},
            around=around[np.argsort(around["address"], kind="stable")],
            pages=pages,
            all_pages=max(self._all_pages, len(pages)),
            big=big[np.argsort(big["address"], kind="stable")],
            stopped=self.stopped,
        )


def is_big(blocks: Blocks) -> NDArray[np.bool_]:
    """Whether blocks are whole pages, without a header in front of what the driver sees."""
    kinds = blocks["kind"]
    big: NDArray[np.bool_] = (kinds == Kind.SEGMENT) | (kinds == Kind.LARGE) | (kinds == Kind.BIG_PAGE)
    return big | (blocks["size"] > PAGE)


def others_like(sample: PoolSample, blocks: Blocks, tag: int) -> Blocks:
    """Blocks of other tags that are as large as most of ``blocks``: what stands in them, too, is not the tag's own."""
    if not len(blocks):
        return blocks
    sizes, counts = np.unique(blocks["size"], return_counts=True)
    around = sample.around
    found = around[(around["size"] == sizes[np.argmax(counts)]) & (around["tag"] != tag)]
    chosen = np.argsort(numbers_of(found["address"]), kind="stable")[:MAX_COMPARED]
    return np.sort(found[chosen], order="address")


def data_starts(blocks: Blocks, pointer_size: int) -> NDArray[np.uint64]:
    """Where what the driver sees begins: behind the header (two pointers), or at the block's own address."""
    return blocks["address"] + np.where(is_big(blocks), np.uint64(0), np.uint64(2 * pointer_size))
