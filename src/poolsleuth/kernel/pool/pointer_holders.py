"""Who holds the sampled blocks of some tags: the written data of modules, and blocks of other tags."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.address_space import PAGE
from poolsleuth.kernel.distinct import distinct
from poolsleuth.kernel.pool.block_sample import PoolSample, numbers_of
from poolsleuth.kernel.pool.blocks import BLOCK, Blocks, State
from poolsleuth.kernel.pool.pointer_places import Image, Ranged, find_blocks
from poolsleuth.kernel.pool.pointer_search import Hits, Search
from poolsleuth.kernel.pool.tags import tag_text
from poolsleuth.kernel.target import Kernel
from poolsleuth.model.block_pointers import PointerHolder, PointsTo

MAX_MODULE_PAGES = 1 << 15  # of the data of modules: 128 MB; real machines have 20 to 40
MAX_POOL_PAGES = 1 << 16  # of small blocks: 256 MB, spread over the pool
MAX_BIG_PAGES = 1 << 15  # of big allocations: 128 MB
MAX_PAGES_OF_ONE = 1024  # of one big allocation: 4 MB, a table of half a million blocks
MAX_HOLDERS = 12  # of one tag, those that hold most blocks first
MIN_HELD = 8  # blocks that a holder must hold: single pointers are chance, or what was there before


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """Places that hold a sampled block's address, and who has them: ``names`` by ``holder``.

    ``blocks`` is the address of the block that the place is in, 0 in a module; ``starts`` that of the module.
    """

    by: PointsTo
    names: tuple[str, ...]
    holder: NDArray[np.int64]
    places: NDArray[np.uint64]
    targets: NDArray[np.int64]
    blocks: NDArray[np.uint64]
    starts: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Holders:
    """Who holds the blocks of one tag; ``rows`` are its rows among all blocks that were searched for."""

    found: tuple[_Found, ...]
    rows: NDArray[np.int64]

    def _mine(self, found: _Found) -> NDArray[np.bool_]:
        return np.isin(found.targets, self.rows)

    def others(self, tag: str) -> tuple[PointerHolder, ...]:
        """The holders but blocks of the tag itself, those of most blocks first."""
        holders: list[PointerHolder] = []
        for found in self.found:
            mine = self._mine(found)
            for number in np.unique(found.holder[mine]).tolist():
                name = found.names[number]
                if found.by is PointsTo.TAG and name == tag:
                    continue
                chosen = mine & (found.holder == number)
                held = len(np.unique(found.targets[chosen]))
                if held < MIN_HELD:
                    continue
                module = found.by is PointsTo.MODULE
                holders.append(
                    PointerHolder(
                        by=found.by,
                        name=name,
                        blocks=held,
                        places=len(np.unique(found.places[chosen])),
                        holders=0 if module else len(np.unique(found.blocks[chosen])),
                        relative=int(found.places[chosen].min()) - found.starts[number] if module else None,
                    )
                )
        return tuple(sorted(holders, key=lambda holder: -holder.blocks)[:MAX_HOLDERS])

    def linked(self, tag: str, blocks: Blocks) -> NDArray[np.bool_]:
        """Which of the tag's own sampled blocks another block of the tag points at, or they themselves."""
        linked = np.zeros(len(blocks), np.bool_)
        for found in self.found:
            if found.by is not PointsTo.TAG or tag not in found.names:
                continue
            own = self._mine(found) & (found.holder == found.names.index(tag))
            linked[np.isin(self.rows, found.targets[own])] = True
        return linked


@dataclass(frozen=True, slots=True, eq=False)
class AllHolders:
    """Of all tags. ``pages`` of the pool were searched."""

    found: tuple[_Found, ...]
    rows: tuple[NDArray[np.int64], ...]
    pages: int
    says: tuple[str, ...]

    def of(self, number: int) -> Holders:
        """Those of one tag, by its number in the list that was given."""
        return Holders(self.found, self.rows[number])


def find_holders(kernel: Kernel, sample: PoolSample, images: Sequence[Image], tags: Sequence[Blocks]) -> AllHolders:
    """Search the modules' data, big allocations and pages of small blocks for addresses in the blocks of ``tags``."""
    every = np.concatenate([*tags, np.empty(0, BLOCK)])
    order = np.argsort(every["address"], kind="stable")
    targets = every[order]
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    sizes = np.cumsum([0, *map(len, tags)])
    rows = tuple(place[sizes[i] : sizes[i + 1]] for i in range(len(tags)))
    search = Search(targets, kernel.pointer_size)
    space = kernel.memory.space
    in_modules = search.through(space, _module_pages(images))
    big_pages, big = _big_pages(sample)
    in_big = search.through(space, big_pages)
    chosen = sample.pages[np.argsort(numbers_of(sample.pages), kind="stable")[:MAX_POOL_PAGES]]
    in_small = search.through(space, np.sort(chosen))
    found = [_of_modules(in_modules, images), _of_blocks(in_big, big), _of_blocks(in_small, sample.around)]
    says: tuple[str, ...] = ()
    if any(hits.cut for hits in (in_modules, in_big, in_small)):
        says = ("more places hold addresses of the sampled blocks than are kept: the rest is left out",)
    return AllHolders(tuple(found), rows, in_small.pages, says)


def _module_pages(images: Sequence[Image]) -> NDArray[np.uint64]:
    """The pages of the data of all modules; of one whose headers are not there all pages."""
    found: list[NDArray[np.uint64]] = []
    left = MAX_MODULE_PAGES
    for image in images:
        for begin, end in ((image.base, image.end),) if image.data is None else image.data:
            if left <= 0:
                break
            first = begin // PAGE
            pages = np.arange(first, min(-(-end // PAGE), first + left), dtype=np.uint64)
            left -= len(pages)
            found.append(pages)
    return distinct(np.concatenate(found)) if found else np.empty(0, np.uint64)


def _big_pages(sample: PoolSample) -> tuple[NDArray[np.uint64], Blocks]:
    """The pages of big allocations, and these allocations: taken by chance, as far as the bound goes."""
    big = sample.big
    order = np.argsort(numbers_of(big["address"]), kind="stable")
    counts = np.minimum(-(-big["size"].astype(np.int64) // PAGE), MAX_PAGES_OF_ONE)[order]
    chosen = order[np.cumsum(counts) <= MAX_BIG_PAGES]
    chosen = np.sort(chosen)
    kept = big[chosen]
    lengths = np.minimum(-(-kept["size"].astype(np.int64) // PAGE), MAX_PAGES_OF_ONE)
    inside = np.arange(int(lengths.sum()), dtype=np.int64) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    pages = np.repeat(kept["address"] >> np.uint64(12), lengths) + inside.astype(np.uint64)
    return distinct(pages), kept


def _of_modules(hits: Hits, images: Sequence[Image]) -> _Found:
    holder = Ranged([(image.base, image.end) for image in images]).find(hits.places)
    known = holder >= 0
    return _Found(
        PointsTo.MODULE,
        tuple(image.name for image in images),
        holder[known],
        hits.places[known],
        hits.targets[known],
        np.zeros(int(known.sum()), np.uint64),
        tuple(image.base for image in images),
    )


def _of_blocks(hits: Hits, blocks: Blocks) -> _Found:
    rows = find_blocks(blocks, hits.places)
    known = np.flatnonzero(rows >= 0)
    known = known[blocks["state"][rows[known]] == State.ALLOCATED]
    rows = rows[known]
    tags, holder = np.unique(blocks["tag"][rows], return_inverse=True)
    return _Found(
        PointsTo.TAG,
        tuple(tag_text(tag) for tag in tags.tolist()),
        holder.reshape(-1).astype(np.int64),
        hits.places[known],
        hits.targets[known],
        blocks["address"][rows],
        (),
    )
