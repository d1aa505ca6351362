"""Facts about pool pages and blocks: ``!pool``, ``!poolfind``, ``!poolval``, ``xpool -map``, lookasides."""

from dataclasses import dataclass

from poolsleuth.model.facts import Fact, Figure, Where
from poolsleuth.model.tags import PoolKind


@dataclass(frozen=True, slots=True)
class PoolBlock:
    """One block header as ``!pool`` prints it. ``address`` and ``size`` in bytes, the size with its header.

    ``tag`` is stripped of trailing blanks; a free block keeps its former tag. ``free`` is None when the state
    was not printed.
    """

    address: int
    size: int
    previous_size: int | None
    free: bool | None
    tag: str
    protected: bool
    where: Where
    starred: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolPage(Fact):
    """The blocks of one page as ``!pool`` lists them; ``pool`` is None where the region was not printed.

    ``whole`` is True only when the printed blocks chain from the page's start to its end.
    """

    page: int
    region: str | None
    pool: PoolKind | None
    blocks: tuple[PoolBlock, ...]
    whole: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolBlockList(Fact):
    """Blocks that no page lists: rows without a header (a filtered list) or the hits of ``!poolfind``.

    Kept as counts, so that a log of a gigabyte fits: ``counts`` maps (tag, size in bytes, free) to the number
    of rows. ``tag_asked`` is the tag of ``!poolfind``, None for bare rows. Counts are lower bounds: such lists
    are cut by nature.
    """

    tag_asked: str | None
    pool: PoolKind | None
    counts: tuple[tuple[str, int, bool | None, int], ...]
    first: tuple[PoolBlock, ...]
    terminated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LargeAllocation(Fact):
    """``!pool`` on a large page allocation: its tag and size in bytes."""

    address: int
    tag: str
    size: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotPool(Fact):
    """``!pool`` on an address that is not pool, or whose page could not be read; ``says`` is why, as printed."""

    address: int
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolValidation(Fact):
    """``!poolval``: ``valid`` is False for "is INVALID", True for a clean page, None when not said."""

    page: int
    valid: bool | None
    errors: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolMap(Fact):
    """``xpool -map``: pages as counts. ``shown_*`` count only the rows that were not elided.

    ``isolated`` counts shown pages in use whose neighbours on both sides are shown and not used.
    """

    pool: PoolKind
    maximum_pages: Figure | None
    used_pages: Figure | None
    shown_pages: int
    shown_used: int
    isolated: int
    elided: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolPages(Fact):
    """What all pages of a pool that hold blocks say together. Sizes are bytes.

    ``pinned`` pages are held by a few live bytes (``pinned_bytes`` in all); ``pinned_by`` counts, by tag, the pages
    that live blocks of the tag hold, most first; ``pinned_runs`` counts them by the size of their largest free block.
    ``largest_free`` is the largest free block of all (None: there is none). ``unreadable`` pages of the kernel's memory
    are not in the dump: then all figures are lower bounds.
    """

    pool: PoolKind
    pages: int
    blocks: int
    live_bytes: int
    free_bytes: int
    largest_free: int | None
    pinned: int
    pinned_bytes: int
    pinned_by: tuple[tuple[str, int], ...]
    pinned_runs: tuple[tuple[int, int], ...]
    unreadable: int

    def run_of_most(self, share: float) -> int | None:
        """The size (bytes) that the largest free block does not exceed in this share of the pinned pages."""
        left = share * self.pinned
        for size, pages in sorted(self.pinned_runs):
            left -= pages
            if left <= 0:
                return size
        return None


@dataclass(frozen=True, slots=True)
class BigPageUse:
    """What one tag holds in allocations of a page and more. ``pool`` is None where the table does not say it."""

    tag: str
    pool: PoolKind | None
    blocks: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BigPages(Fact):
    """The kernel's table of allocations of a page and more.

    ``slots`` is the size of the table, ``freed`` counts its entries of memory that was freed again. ``complete`` is
    False when a part of the table could not be read: then the rows are lower bounds.
    """

    uses: tuple[BigPageUse, ...]
    slots: int
    freed: int
    complete: bool


@dataclass(frozen=True, slots=True)
class Lookaside:
    """One lookaside list: tag, block size in bytes, current and maximum depth, allocations and misses."""

    name: str
    tag: str
    size: int | None
    depth: int | None
    max_depth: int | None
    allocates: int | None
    misses: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookasides(Fact):
    """``!lookaside``: the lists, and the totals at its end in bytes."""

    lists: tuple[Lookaside, ...]
    nonpaged_total: Figure | None = None
    paged_total: Figure | None = None
