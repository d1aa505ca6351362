"""What a walk of segment heaps gives: parts with blocks, and sentences on what was found broken."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.absence import Absence
from poolsleuth.kernel.address_space import PAGE, AddressSpace
from poolsleuth.kernel.paging.space import VirtualMemory
from poolsleuth.kernel.pool.blocks import BLOCK, Blocks, Kind
from poolsleuth.kernel.pool.classic_walk import WalkPart

MAX_SAYS = 200  # sentences of one walk: more broken heaps than that help nobody
PAGES_AT_ONCE = 2048  # pages of subsegments decoded together: 8 MB, half a million blocks of the smallest size
CHAINS_AT_ONCE = 8192  # the same for chains, of which many must advance together: 32 MB, some 500 subsegments
PROTECTED = np.uint32(0x8000_0000)
PAGE_BITS = np.uint64(12)

Numbers = NDArray[np.int64]
Addresses = NDArray[np.uint64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class SegmentPart(WalkPart):
    """A part of a walk, as the classic pool's, and ``says``: sentences on what is broken or missing there.

    ``pool_pages`` counts the pages of subsegments and of allocations, ``mapped`` those that are mapped. ``broken`` is
    always empty: its rules are those of the classic pool. ``session`` is the number of the session whose memory it is,
    None for the system's: the addresses of two sessions are the same.
    """

    says: tuple[str, ...] = ()
    session: int | None = None


@dataclass(slots=True)
class Teller:
    """Gathers sentences up to ``MAX_SAYS``, and counts what is too common to be told one by one."""

    told: int = 0
    waiting: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def tell(self, sentence: str) -> None:
        """Keep a sentence, unless there are too many."""
        self.told += 1
        if self.told <= MAX_SAYS:
            self.waiting.append(sentence)
        elif self.told == MAX_SAYS + 1:
            self.waiting.append(f"more than {MAX_SAYS} things are broken in the segment heaps: the rest is not told")

    def count(self, words: str, number: int) -> None:
        """Add to a count that is told at the end of the walk: ``words`` follow the number."""
        if number:
            self.counts[words] = self.counts.get(words, 0) + number

    def take(self) -> tuple[str, ...]:
        """The sentences since the last call."""
        says = tuple(self.waiting)
        self.waiting.clear()
        return says

    def summary(self) -> tuple[str, ...]:
        """What was counted, as sentences."""
        return (*self.take(), *(f"{number:,} {words}" for words, number in self.counts.items()))


@dataclass(frozen=True, slots=True)
class Window:
    """The bytes of several subsegments. Ranges begin at ``bases``, as if they lay one behind the other.

    ``readable`` says of each page of 4 KB whether its bytes are those of memory, ``places`` where it begins in
    ``octets`` (0 where it cannot be read: what stands there is anything). ``mapped`` and ``unreadable`` are numbers of
    pages.
    """

    addresses: Addresses
    lengths: Numbers
    pools: NDArray[np.uint8]
    bases: Numbers
    octets: NDArray[np.uint8]
    places: Numbers
    readable: Flags
    mapped: int
    unreadable: int

    def bytes_at(self, offsets: Numbers) -> NDArray[np.uint8]:
        """The bytes at these offsets of the window (any shape)."""
        return np.asarray(self.octets[self._at(offsets)], np.uint8)

    def halves_at(self, offsets: Numbers) -> NDArray[np.uint16]:
        """Numbers of two bytes, at multiples of two."""
        return np.asarray(self.octets.view("<u2")[self._at(offsets) >> 1], np.uint16)

    def words_at(self, offsets: Numbers) -> NDArray[np.uint32]:
        """Numbers of four bytes, at multiples of four."""
        return np.asarray(self.octets.view("<u4")[self._at(offsets) >> 2], np.uint32)

    def pointers_at(self, offsets: Numbers) -> NDArray[np.uint64]:
        """Numbers of eight bytes, at multiples of eight."""
        return np.asarray(self.octets.view("<u8")[self._at(offsets) >> 3], np.uint64)

    def _at(self, offsets: Numbers) -> Numbers:
        return np.asarray(self.places[offsets >> 12] + (offsets & PAGE - 1), np.int64)


def read_window(space: AddressSpace, addresses: Addresses, lengths: Numbers, pools: NDArray[np.uint8]) -> Window:
    """Ranges of whole pages, if possible without a copy; the caller sees to it that they are not too many."""
    pages = lengths // PAGE
    ends = np.cumsum(pages)
    first = ends - pages
    inside = np.arange(int(pages.sum()), dtype=np.int64) - np.repeat(first, pages)
    numbers = np.repeat(addresses >> PAGE_BITS, pages) + inside.astype(np.uint64)
    view = space.page_view(numbers) if isinstance(space, VirtualMemory) else None
    if view is not None:
        octets, found = view
        readable = found >= 0
        places = np.where(readable, found, 0)
    else:
        rows, found = space.gather(numbers)
        readable = found >= 0
        octets = np.ascontiguousarray(rows).reshape(-1)
        places = np.arange(len(found), dtype=np.int64) * PAGE
    mapped = len(found) - int(np.count_nonzero(found == Absence.NOT_MAPPED))
    unreadable = mapped - int(np.count_nonzero(readable))
    return Window(addresses, lengths, pools, first * PAGE, octets, places, readable, mapped, unreadable)


def make_blocks(
    addresses: Addresses,
    sizes: Numbers,
    tags: NDArray[np.uint32],
    pools: NDArray[np.uint8],
    states: NDArray[np.uint8],
    kind: Kind,
) -> Blocks:
    """Rows of blocks. ``tags`` are as headers have them, protected bit and all."""
    blocks = np.empty(len(addresses), BLOCK)
    blocks["address"] = addresses
    blocks["size"] = sizes
    blocks["tag"] = tags & ~PROTECTED
    blocks["protected"] = (tags & PROTECTED) != 0
    blocks["pool"] = pools
    blocks["state"] = states
    blocks["kind"] = kind
    return blocks


def no_blocks() -> Blocks:
    """No rows."""
    return np.empty(0, BLOCK)
