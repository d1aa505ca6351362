"""Facts about pool pages and blocks: ``!pool``, ``!poolfind``, ``!poolval``, ``xpool -map``, lookasides."""

from dataclasses import dataclass

from poolsleuth.model.facts import Fact, Figure, Where
from poolsleuth.model.tags import PoolKind

PAGE = 4096  # bytes


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

    ``isolated`` counts shown pages in use whose neighbours on both sides are shown and not used. ``rows`` are the
    cells themselves: the address of the first page, and a character for each page from there on.
    """

    pool: PoolKind
    maximum_pages: Figure | None
    used_pages: Figure | None
    shown_pages: int
    shown_used: int
    isolated: int
    elided: bool
    rows: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolPages(Fact):
    """What all pages of a pool that hold blocks say together. Sizes are bytes; allocations of whole pages do not count.

    ``pinned`` pages are held by a few live bytes (``pinned_bytes`` in all); ``pinned_by`` counts, by tag, the pages
    that live blocks of the tag hold, most first; ``pinned_runs`` counts them by the size of their largest free block.
    ``largest_free`` is the largest free block of all (None: there is none). ``unreadable`` pages of the kernel's memory
    are not in the dump: then all figures are lower bounds.

    ``waiting_*`` are of blocks that were freed and wait in lookaside lists (None where that cannot be told): they are
    in neither ``live_bytes`` nor ``free_bytes``, and hold their pages. ``single`` of the pinned pages are held by one
    block alone, by tag ``single_by``. ``free_runs`` counts free blocks by size (``runs_complete`` is False when not all
    sizes are listed: the largest are). ``paged_out``, ``never_touched`` and ``not_in_dump`` are pages of this pool
    that cannot be read, apart from those of large allocations; None where that was not counted. ``allocator`` is
    "classic", "segment heap" or "scan" (headers were searched for: a guess); ``session`` the session whose pool it is.
    ``packed_pages`` is what the blocks that are not free would take at least, packed as tightly as they go.
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
    waiting_blocks: int | None = None
    waiting_bytes: int | None = None
    single: int | None = None
    single_by: tuple[tuple[str, int], ...] = ()
    free_runs: tuple[tuple[int, int], ...] = ()
    runs_complete: bool = True
    paged_out: int | None = None
    never_touched: int | None = None
    not_in_dump: int | None = None
    allocator: str = "classic"
    session: int | None = None
    packed_pages: int | None = None

    def fitting_if_packed(self, size: int) -> int | None:
        """How many more blocks of ``size`` bytes (a page at most) the same pages could hold; None when not known."""
        if self.packed_pages is None or not 0 < size <= PAGE:
            return None
        return max(self.pages - self.packed_pages, 0) * (PAGE // size)

    @property
    def pinned_to_gain(self) -> int:
        """Pages that are free once the few live bytes of all pinned pages lie together: the most that could be had."""
        return max(self.pinned - -(-self.pinned_bytes // PAGE), 0)

    def run_of_most(self, share: float) -> int | None:
        """The size (bytes) that the largest free block does not exceed in this share of the pinned pages."""
        left = share * self.pinned
        for size, pages in sorted(self.pinned_runs):
            left -= pages
            if left <= 0:
                return size
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class TagDifference:
    """A tag whose blocks do not agree with the kernel's tag tables. Bytes; ``more`` was found than is counted, or less.

    ``explained``: less was found, and at least so much lies in pages that cannot be read.
    """

    tag: str
    counted: int
    found: int
    explained: bool

    @property
    def more(self) -> bool:
        """Whether more was found than is counted."""
        return self.found > self.counted


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolReconciliation(Fact):
    """The blocks of a pool (with its allocations of whole pages) against what the tags of the kernel's tables count.

    Bytes. ``waiting`` lie in freed blocks of lookaside lists, ``unknown`` in blocks whose pool is not known,
    ``absent`` is what pages that cannot be read may hold at most: none of them are in ``found``. ``certain``: all tags
    of the tables have certain figures. ``agreeing`` tags agree, ``differences`` are the largest others (``different``
    in all).
    """

    pool: PoolKind
    session: int | None
    counted: int
    found: int
    certain: bool
    waiting: int
    unknown: int
    absent: int
    agreeing: int
    different: int
    differences: tuple[TagDifference, ...]

    @property
    def share(self) -> float | None:
        """What was found of what is counted; None when nothing is counted."""
        return self.found / self.counted if self.counted else None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaCharge:
    """What one process pays for: blocks and bytes (with headers) of one pool, and the tags with most of them.

    ``process`` is the address of its EPROCESS; ``pid`` and ``name`` are None for one that is in no list of processes.
    """

    process: int
    pid: int | None
    name: str | None
    pool: PoolKind | None
    blocks: int
    bytes: int
    tags: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaCharges(Fact):
    """The processes that pay for most bytes in blocks, most first, ``processes`` of them in all.

    ``unknown_blocks`` say that a process pays, but not which. Allocations of whole pages are not among them.
    """

    rows: tuple[QuotaCharge, ...]
    processes: int
    blocks: int
    bytes: int
    unknown_blocks: int
    complete: bool


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
