"""From the blocks of a walk to rows, one for each page: what the map of the pool is made of.

No Python object is made for a page or a block: parts of a walk become arrays, and those are all that is kept.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.address_space import PAGE
from poolsleuth.kernel.pool.block_stats import PINNED_SHARE
from poolsleuth.kernel.pool.blocks import Blocks, Kind, Pool, State
from poolsleuth.model.pool_picture import UNKNOWN, BlockMark, PageKind, PageMark

MAX_PAGES = 1 << 23  # pages of the map: 32 GB of pool. A row is 33 bytes, and sorting them takes as much again
MAX_RUN = 1 << 20  # pages of one block: 4 GB, more than any allocation has
MAX_TAGS = 0xFFFE  # tags told apart on the map: Windows has some thousands; the rest is one tag, named "other"
MAX_PIECES = 1_500_000  # blocks kept for the zoom of a page: 12 MB, about 4 MB of the file when they are packed
MAX_PINNED_PIECES = 500_000  # beyond that, blocks of pinned pages: they are why somebody looks
MAX_ALLOCATIONS = 1_000_000  # allocations of whole pages kept by themselves
NO_PIECES = 0xFFFF_FFFF
NO_SESSION = -1
OTHER = MAX_TAGS  # the place of all tags beyond ``MAX_TAGS``

PAGE_ROW = np.dtype(
    [
        ("page", "<u8"),
        ("session", "<i4"),
        ("first_piece", "<u4"),  # NO_PIECES: its blocks are not kept
        ("pieces", "<u2"),
        ("live", "<u2"),
        ("gap", "<u2"),
        ("free", "<u2"),
        ("waiting", "<u2"),
        ("tag", "<u2"),
        ("kind", "u1"),
        ("maker", "u1"),
        ("marks", "u1"),
        ("pool", "u1"),
    ]
)
ALLOCATION = np.dtype([("page", "<u8"), ("bytes", "<u8"), ("session", "<i4"), ("tag", "<u2"), ("pool", "u1")])
PIECE = np.dtype([("offset", "<u2"), ("size", "<u2"), ("tag", "<u2"), ("marks", "u1")])

Rows = NDArray[np.void]
Indices = NDArray[np.int64]
_BITS = np.uint64(12)
_INSIDE = np.uint64(PAGE - 1)
_WHOLE_KINDS = (Kind.SEGMENT, Kind.LARGE, Kind.BIG_PAGE)
PinnedKey = tuple[int, int]
"""Pool (a ``Pool``) and session."""


class TagIndex:
    """Tags (numbers) and their places."""

    def __init__(self) -> None:
        self.keys = np.empty(0, np.uint32)  # in the order of their places
        self._sorted = np.empty(0, np.uint32)
        self._places = np.empty(0, np.int64)

    def places(self, keys: NDArray[np.uint32]) -> Indices:
        """The place of each tag; new ones are added."""
        found, known = self._find(keys)
        if not known.all() and len(self.keys) < MAX_TAGS:
            fresh = np.unique(keys[~known])[: MAX_TAGS - len(self.keys)]
            self.keys = np.concatenate((self.keys, fresh))
            self._places = np.argsort(self.keys, kind="stable").astype(np.int64)
            self._sorted = self.keys[self._places]
            found, known = self._find(keys)
        return np.where(known, found, OTHER)

    def _find(self, keys: NDArray[np.uint32]) -> tuple[Indices, NDArray[np.bool_]]:
        if not len(self._sorted):
            return np.zeros(len(keys), np.int64), np.zeros(len(keys), np.bool_)
        at = np.minimum(np.searchsorted(self._sorted, keys), len(self._sorted) - 1)
        return self._places[at], self._sorted[at] == keys


@dataclass(slots=True)
class PageRows:
    """Gathers parts of a walk. ``chosen`` is a tag whose pages are marked, ``keep`` whether blocks are kept.

    ``bytes_of`` are live bytes by pool and session, in the order of the tags' places; ``pinned_of`` pinned pages;
    ``largest_of`` is the largest free block (bytes), which may be longer than a page.
    ``cut`` is True when there were more pages than the map has room for.
    """

    chosen: int | None = None
    keep: bool = False
    tags: TagIndex = field(default_factory=TagIndex)
    rows: list[Rows] = field(default_factory=list)
    allocations: list[Rows] = field(default_factory=list)
    pieces: list[Rows] = field(default_factory=list)
    bytes_of: dict[PinnedKey, Indices] = field(default_factory=dict)
    pinned_of: dict[PinnedKey, Indices] = field(default_factory=dict)
    largest_of: dict[PinnedKey, int] = field(default_factory=dict)
    cut: bool = False
    _pages: int = 0
    _kept: int = 0
    _allocations: int = 0

    def add(self, blocks: Blocks, session: int = NO_SESSION) -> None:
        """Add a part's blocks. Those of a page stand together."""
        if not len(blocks):
            return
        whole = np.isin(blocks["kind"], _WHOLE_KINDS)
        if whole.any():
            used = blocks[whole & (blocks["state"] != State.FREE)]
            for some in _in_steps(used):
                self._add_whole(some, session)
        if not whole.all():
            self._add_carved(blocks[~whole], session)

    def add_damaged(self, addresses: list[int]) -> None:
        """Add pages whose headers contradict each other; which pool they are of is not known."""
        pages = np.unique(np.array(addresses, np.uint64) >> _BITS)
        rows = _rows(pages, PageKind.DAMAGED, NO_SESSION, int(Pool.UNKNOWN))
        self._keep_rows(rows)

    def _room(self, wanted: NDArray[np.uint64]) -> int:
        """How many of these blocks fit, by the pages each takes."""
        fits = int(np.searchsorted(np.cumsum(wanted), np.uint64(max(MAX_PAGES - self._pages, 0)), side="right"))
        self.cut |= fits < len(wanted)
        return fits

    def _keep_rows(self, rows: Rows) -> None:
        rows = rows[: max(MAX_PAGES - self._pages, 0)]
        self._pages += len(rows)
        self.rows.append(rows)

    def _add_whole(self, blocks: Blocks, session: int) -> None:
        counts = _page_counts(blocks)
        blocks, counts = blocks[counts > 0], counts[counts > 0]
        fits = self._room(counts)
        blocks, counts = blocks[:fits], counts[:fits]
        if not len(blocks):
            return
        first = blocks["address"] >> _BITS
        sizes = np.minimum(blocks["size"], np.uint64(MAX_RUN * PAGE))
        lengths = counts.astype(np.int64)
        tags = self.tags.places(blocks["tag"])
        inside = np.arange(int(lengths.sum()), dtype=np.int64) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        last = inside == np.repeat(lengths - 1, lengths)
        rows = _rows(np.repeat(first, lengths) + inside.astype(np.uint64), PageKind.WHOLE, session, 0)
        rows["pool"] = np.repeat(blocks["pool"], lengths)
        rows["maker"] = np.repeat(blocks["kind"], lengths)
        rows["tag"] = np.repeat(tags, lengths)
        begin = np.repeat((blocks["address"] & _INSIDE).astype(np.int64), lengths)
        end = begin + np.repeat(sizes.astype(np.int64), lengths)  # from the start of the first page
        rows["live"] = np.minimum(end - inside * PAGE, PAGE) - np.where(inside == 0, begin, 0)
        several = np.repeat(lengths > 1, lengths)
        marks = np.where(several & (inside == 0), int(PageMark.FIRST), 0)
        marks |= np.where(several & last, int(PageMark.LAST), 0)
        marks |= np.where(several & (inside > 0) & ~last, int(PageMark.INSIDE), 0)
        if self.chosen is not None:
            marks |= np.where(np.repeat(blocks["tag"] == self.chosen, lengths), int(PageMark.CHOSEN), 0)
        rows["marks"] = marks
        self._keep_rows(rows)
        for pool in np.unique(blocks["pool"]).tolist():
            chosen = blocks["pool"] == pool
            self._count(self.bytes_of, (pool, session), tags[chosen], sizes[chosen])
        if self.keep:
            room = MAX_ALLOCATIONS - self._allocations
            kept = np.zeros(min(len(blocks), max(room, 0)), ALLOCATION)
            kept["page"], kept["bytes"], kept["session"] = first[: len(kept)], sizes[: len(kept)], session
            kept["tag"], kept["pool"] = tags[: len(kept)], blocks["pool"][: len(kept)]
            self.allocations.append(kept)
            self._allocations += len(blocks)

    @property
    def allocations_left_out(self) -> int:
        """Allocations of whole pages that are not kept by themselves."""
        return max(self._allocations - MAX_ALLOCATIONS, 0)

    def _add_carved(self, blocks: Blocks, session: int) -> None:
        blocks = blocks[blocks["size"] > 0]
        sizes = np.minimum(blocks["size"], np.uint64(MAX_RUN * PAGE))
        begin = blocks["address"] & _INSIDE
        counts = ((begin + sizes - np.uint64(1)) >> _BITS) + np.uint64(1)
        # Pages are shared by blocks: a block takes room for the pages behind its first one, which it has for itself
        fits = self._room(counts - np.uint64(1))
        blocks, sizes, begin, counts = blocks[:fits], sizes[:fits], begin[:fits], counts[:fits]
        if not len(blocks):
            return
        free = blocks["state"] == State.FREE
        for pool in np.unique(blocks["pool"][free]).tolist():
            largest = int(sizes[free & (blocks["pool"] == pool)].max())
            self.largest_of[pool, session] = max(largest, self.largest_of.get((pool, session), 0))
        pieces = _Pieces.of(blocks, sizes, begin, counts, self.tags.places(blocks["tag"]))
        self._carved(pieces, session)

    def _carved(self, p: "_Pieces", session: int) -> None:
        starts = np.flatnonzero(np.concatenate(([True], p.page[1:] != p.page[:-1])))
        numbers = np.diff(np.append(starts, len(p.page)))
        ordinal = np.repeat(np.arange(len(starts), dtype=np.int64), numbers)
        free = p.state == State.FREE
        live_sizes = np.where(free, 0, p.size)
        live = np.minimum(np.add.reduceat(live_sizes, starts), PAGE)
        free_sizes = np.where(free, p.size, 0)
        rows = _rows(p.page[starts], PageKind.BLOCKS, session, 0)
        rows["live"] = live
        rows["gap"] = np.minimum(np.maximum.reduceat(free_sizes, starts), PAGE)
        rows["free"] = np.minimum(np.add.reduceat(free_sizes, starts), PAGE)
        rows["waiting"] = np.minimum(np.add.reduceat(np.where(p.state == State.IN_LOOKASIDE, p.size, 0), starts), PAGE)
        rows["maker"] = p.maker[starts]
        rows["pool"] = p.pool[starts]
        # Of a page with a block that may be in use or not, nothing is claimed
        doubtful = np.maximum.reduceat(p.state == State.UNKNOWN, starts)
        rows["kind"][doubtful] = int(PageKind.USED)
        rows["live"][doubtful] = rows["gap"][doubtful] = UNKNOWN
        rows["free"][doubtful] = 0
        pinned = (live > 0) & (live <= PINNED_SHARE * PAGE) & ~doubtful
        marks = np.where(pinned, int(PageMark.PINNED), 0)
        if self.chosen is not None:
            holds = np.maximum.reduceat((p.key == self.chosen) & ~free, starts)
            marks |= np.where(holds, int(PageMark.CHOSEN), 0)
        rows["marks"] = marks
        rows["tag"] = self._tags_of(p, ordinal, free, pinned, rows["pool"], session)
        if self.keep:
            self._keep_pieces(p, rows, numbers, pinned)
        before = self._pages
        self._keep_rows(rows)
        self.cut |= self._pages - before < len(rows)

    def _tags_of(
        self,
        p: "_Pieces",
        ordinal: Indices,
        free: NDArray[np.bool_],
        pinned: NDArray[np.bool_],
        pools: NDArray[np.uint8],
        session: int,
    ) -> Indices:
        """Of each page the tag that has most live bytes; counts what tags hold on the way."""
        found = np.full(len(pinned), UNKNOWN, np.int64)
        used = np.flatnonzero(~free)
        if not len(used):
            return found
        pairs = ordinal[used] << 16 | p.tag[used]
        order = np.argsort(pairs, kind="stable")
        pairs = pairs[order]
        starts = np.flatnonzero(np.concatenate(([True], pairs[1:] != pairs[:-1])))
        sums = np.add.reduceat(p.size[used][order], starts)
        pages, tags = pairs[starts] >> 16, pairs[starts] & 0xFFFF
        for pool in np.unique(pools).tolist():
            of_pool = pools[pages] == pool
            self._count(self.bytes_of, (pool, session), tags[of_pool], sums[of_pool])
            held = of_pool & pinned[pages]
            self._count(self.pinned_of, (pool, session), tags[held], np.ones(int(held.sum()), np.int64))
        most = np.argsort(pages << 24 | np.minimum(sums, (1 << 24) - 1), kind="stable")
        last = np.flatnonzero(np.concatenate((pages[1:] != pages[:-1], [True])))  # pages stay in their order
        found[pages[last]] = tags[most][last]
        return found

    def _count(
        self, into: dict[PinnedKey, Indices], key: PinnedKey, tags: Indices, amounts: NDArray[np.int64] | Rows
    ) -> None:
        if not len(tags):
            return
        sums = np.bincount(tags, weights=np.asarray(amounts, np.float64), minlength=1).astype(np.int64)
        known = into.get(key)
        if known is None or len(known) < len(sums):
            grown = np.zeros(max(len(sums), len(self.tags.keys)), np.int64)
            if known is not None:
                grown[: len(known)] = known
            into[key] = known = grown
        known[: len(sums)] += sums

    def _keep_pieces(self, p: "_Pieces", rows: Rows, numbers: Indices, pinned: NDArray[np.bool_]) -> None:
        ends = np.cumsum(numbers)
        taken = ends <= MAX_PIECES - self._kept
        beyond = int(taken.sum())
        room = MAX_PIECES + MAX_PINNED_PIECES - max(self._kept + (int(ends[beyond - 1]) if beyond else 0), MAX_PIECES)
        rest = pinned & ~taken
        rest &= np.cumsum(np.where(rest, numbers, 0)) <= room
        taken |= rest
        chosen = np.repeat(taken, numbers)
        kept = np.zeros(int(chosen.sum()), PIECE)
        kept["offset"], kept["size"] = p.offset[chosen], p.size[chosen]
        kept["tag"], kept["marks"] = p.tag[chosen], p.marks[chosen]
        sizes = numbers[taken]
        rows["first_piece"][taken] = self._kept + np.cumsum(sizes) - sizes
        rows["pieces"][taken] = np.minimum(sizes, 0xFFFF)
        self.pieces.append(kept)
        self._kept += len(kept)


@dataclass(frozen=True, slots=True)
class _Pieces:
    """Blocks in pieces that lie in one page each, ordered by page and offset."""

    page: NDArray[np.uint64]
    offset: Indices
    size: Indices
    tag: Indices  # its place
    key: NDArray[np.uint32]
    state: NDArray[np.uint8]
    pool: NDArray[np.uint8]
    maker: NDArray[np.uint8]
    marks: Indices

    @classmethod
    def of(
        cls,
        blocks: Blocks,
        sizes: NDArray[np.uint64],
        begin: NDArray[np.uint64],
        counts: NDArray[np.uint64],
        tags: Indices,
    ) -> "_Pieces":
        """Split what reaches over the end of a page."""
        lengths = counts.astype(np.int64)
        whole = not (lengths > 1).any()
        each = np.arange(len(blocks), dtype=np.int64) if whole else np.repeat(np.arange(len(blocks)), lengths)
        inside = np.zeros(len(each), np.int64)
        if not whole:
            inside = np.arange(len(each), dtype=np.int64) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        start = begin.astype(np.int64)[each]
        end = start + sizes.astype(np.int64)[each]  # from the start of the block's first page
        page = (blocks["address"] >> _BITS)[each] + inside.astype(np.uint64)
        offset = np.where(inside == 0, start, 0)
        size = np.minimum(end - inside * PAGE, PAGE) - offset
        state = blocks["state"][each]
        marks = np.where(state == State.FREE, int(BlockMark.FREE), 0)
        marks |= np.where(state == State.UNKNOWN, int(BlockMark.UNKNOWN), 0)
        marks |= np.where(state == State.IN_LOOKASIDE, int(BlockMark.WAITING), 0)
        marks |= np.where(blocks["protected"][each] != 0, int(BlockMark.PROTECTED), 0)
        marks |= np.where(inside > 0, int(BlockMark.FROM_BEFORE), 0)
        marks |= np.where(inside < lengths[each] - 1, int(BlockMark.GOES_ON), 0)
        made = cls(
            page,
            offset,
            size,
            tags[each],
            blocks["tag"][each],
            state,
            blocks["pool"][each],
            blocks["kind"][each],
            marks,
        )
        back = (page[1:] < page[:-1]) | ((page[1:] == page[:-1]) & (offset[1:] < offset[:-1]))
        if back.any():
            order = np.lexsort((offset, page))
            fields = (getattr(made, name)[order] for name in cls.__dataclass_fields__)
            made = cls(*fields)
        return made


def _page_counts(blocks: Blocks) -> NDArray[np.uint64]:
    """Pages that blocks of whole pages lie in; 0 for one without a size."""
    sizes = np.minimum(blocks["size"], np.uint64(MAX_RUN * PAGE))
    counts = ((blocks["address"] & _INSIDE) + sizes + _INSIDE) >> _BITS
    return np.where(sizes > 0, np.minimum(counts, np.uint64(MAX_RUN)), np.uint64(0)).astype(np.uint64)


def _in_steps(blocks: Blocks) -> Iterator[Blocks]:
    """Blocks of whole pages, some million pages at a time: a row in memory for each page is made at once."""
    ends = np.cumsum(_page_counts(blocks))
    begin = 0
    while begin < len(blocks):
        before = ends[begin - 1] if begin else np.uint64(0)
        stop = max(int(np.searchsorted(ends, before + np.uint64(MAX_RUN), side="right")), begin + 1)
        yield blocks[begin:stop]
        begin = stop


def _rows(pages: NDArray[np.uint64], kind: PageKind, session: int, pool: int) -> Rows:
    rows = np.zeros(len(pages), PAGE_ROW)
    rows["page"], rows["kind"], rows["session"], rows["pool"] = pages, int(kind), session, pool
    rows["first_piece"], rows["tag"], rows["maker"] = NO_PIECES, UNKNOWN, 255
    if kind is PageKind.DAMAGED:
        rows["live"] = rows["gap"] = UNKNOWN
    return rows
