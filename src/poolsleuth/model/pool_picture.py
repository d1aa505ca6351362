"""The map of a machine's pools, page by page: columns of bytes, so that a million pages are some megabytes.

Every column has one entry for each page of a pool, in the order of the addresses; numbers of more than a byte are
unsigned and little-endian.
"""

from dataclasses import dataclass
from enum import IntEnum, IntFlag

from poolsleuth.model.tags import PoolKind

PAGE = 4096
UNKNOWN = 0xFFFF  # in columns of 16 bits: not known (or, of tags, none)
MAP_ROW = 64  # pages of a row of ``xpool -map``
MAP_LEGEND = (
    "Status Map of Pool Area Pages",
    "==============================",
    "  'O': one page in use                              ('P': paged out)",
    "  '<': start page of contiguous pages in use        ('{': paged out)",
    "  '>': last page of contiguous pages in use         ('}': paged out)",
    "  '=': intermediate page of contiguous pages in use ('-': paged out)",
    "  '.': one page not used",
)
"""What ``xpool -map`` prints above its maps, as published logs have it."""


class PageKind(IntEnum):
    """What a page of the map is."""

    FREE = 0  # nothing of the pool lies here
    BLOCKS = 1  # carved into blocks
    WHOLE = 2  # of an allocation of whole pages
    USED = 3  # in use, and no more is known (a debugger's map)
    PAGED_OUT = 4  # in the page file: what it holds is not known
    MISSING = 5  # mapped, but not in the dump
    DAMAGED = 6  # a page of the pool whose block headers contradict each other


class PageMark(IntFlag):
    """More about a page."""

    FIRST = 1  # the first page of an allocation of several
    LAST = 2  # the last one
    PINNED = 4  # carved into blocks, and held by a tenth of a page or less
    OUT = 8  # the page itself is in the page file
    CHOSEN = 16  # holds live memory of the tag that was asked for
    INSIDE = 32  # between the first and the last page of an allocation


class Maker(IntEnum):
    """The allocator of Windows that made the block that holds most of a page."""

    CLASSIC = 0
    LFH = 1
    VS = 2
    SEGMENT = 3
    LARGE = 4
    BIG_PAGE = 5
    UNKNOWN = 255


class BlockMark(IntFlag):
    """More about a piece of a block."""

    FREE = 1
    UNKNOWN = 2  # whether it is in use is not known
    FROM_BEFORE = 4  # the block begins in a page before
    GOES_ON = 8  # the block goes on in the next page
    PROTECTED = 16
    WAITING = 32  # freed, and waiting in a lookaside list: it holds its page as one in use does


@dataclass(frozen=True, slots=True)
class PictureArea:
    """Pages that lie one behind the other: ``first`` is the place of the first of them in the columns."""

    address: int
    pages: int
    first: int


@dataclass(frozen=True, slots=True)
class BlockTable:
    """The blocks of some pages, in pieces that lie in one page each.

    ``pages`` (32 bits) are the places of those pages, ascending; ``starts`` (32 bits) has one number more: pieces
    ``starts[n]`` to ``starts[n + 1]`` are those of ``pages[n]``. ``offsets`` (16 bits) are bytes from the page's start,
    ``sizes`` (16 bits) the bytes in this page, ``tags`` (16 bits) places in ``PoolPicture.tags``, ``marks`` a
    ``BlockMark`` each. ``left_out`` counts pages with blocks whose blocks are not here.
    """

    pages: bytes
    starts: bytes
    offsets: bytes
    sizes: bytes
    tags: bytes
    marks: bytes
    left_out: int


@dataclass(frozen=True, slots=True)
class AllocationTable:
    """Allocations of whole pages, in the order of their addresses.

    ``pages`` (32 bits) are the places of their first pages, ``sizes`` (64 bits) their bytes, ``tags`` (16 bits) places
    in ``PoolPicture.tags``. ``left_out`` counts those that are not here.
    """

    pages: bytes
    sizes: bytes
    tags: bytes
    left_out: int


@dataclass(frozen=True, slots=True)
class TagUse:
    """What a tag holds in one pool: live bytes, and pages of which it holds the most."""

    tag: str
    bytes: int
    pages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolFigures:
    """The pool in numbers. None is what the evidence does not say.

    ``in_use`` counts pages that hold anything of the pool, ``maximum`` those it may have. ``live_bytes`` are those in
    blocks and allocations in use, ``waiting_bytes`` of them in blocks that wait in lookaside lists; ``free_bytes`` are
    those of free blocks. ``pinned`` pages are held by a
    tenth of a page or less (``pinned_bytes`` in all); ``pinned_by`` counts them by the tags that have a live block in
    them. ``largest_free`` is the largest free block (bytes), ``largest_gap`` the most pages in a row that are not used
    between pages that are.
    """

    in_use: int
    maximum: int | None
    live_bytes: int | None
    waiting_bytes: int | None
    free_bytes: int | None
    pinned: int | None
    pinned_bytes: int | None
    pinned_by: tuple[tuple[str, int], ...]
    largest_free: int | None
    largest_gap: int
    whole: int | None  # pages of allocations of whole pages
    missing: int
    damaged: int
    paged_out: int
    unknown: int = 0  # pages of a dump whose blocks may be in use or not


@dataclass(frozen=True, slots=True, kw_only=True)
class PicturedPool:
    """One pool. ``pool`` is None where it is not known; ``session`` is the number of a session, else None.

    ``kinds`` has a ``PageKind`` for each page, ``marks`` a ``PageMark``, ``makers`` a ``Maker``; ``live`` (16 bits) are
    the bytes in use, ``gaps`` (16 bits) the largest free piece, ``tags`` (16 bits) the tag with most live bytes.
    ``complete`` is False where parts of the pool are not shown (a published map without most of its rows).
    """

    pool: PoolKind | None
    session: int | None
    areas: tuple[PictureArea, ...]
    kinds: bytes
    marks: bytes
    makers: bytes
    live: bytes
    gaps: bytes
    tags: bytes
    figures: PoolFigures
    uses: tuple[TagUse, ...]
    blocks: BlockTable | None
    allocations: AllocationTable | None
    complete: bool

    @property
    def pages(self) -> int:
        """Pages of the map."""
        return len(self.kinds)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolPicture:
    """All pools of one machine. ``tags`` are the tags that the pools' columns point to.

    ``bits`` is 32 or 64 (of an address), ``machine`` a few words on it, ``chosen`` the tag that was asked for.
    ``source`` is ``dump`` or ``log``; ``says`` are sentences on what is missing or was left out.
    """

    name: str
    machine: str
    source: str
    bits: int
    tags: tuple[str, ...]
    pools: tuple[PicturedPool, ...]
    says: tuple[str, ...]
    chosen: str | None = None
