"""What a walk of segment heaps gives: parts with blocks, and sentences on what was found broken."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.absence import Absence
from poolsleuth.kernel.address_space import PAGE, AddressSpace
from poolsleuth.kernel.pool.blocks import BLOCK, Blocks, Kind
from poolsleuth.kernel.pool.classic_walk import WalkPart

MAX_SAYS = 200  # sentences of one walk: more broken heaps than that help nobody
PAGES_AT_ONCE = 2048  # pages of subsegments decoded together: 8 MB, and the chains of some hundred subsegments
PROTECTED = np.uint32(0x8000_0000)
PAGE_BITS = np.uint64(12)

Numbers = NDArray[np.int64]
Addresses = NDArray[np.uint64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class SegmentPart(WalkPart):
    """A part of a walk, as the classic pool's, and ``says``: sentences on what is broken or missing there.

    ``pool_pages`` counts the pages of subsegments and of allocations, ``mapped`` those that are mapped. ``broken`` is
    always empty: its rules are those of the classic pool.
    """

    says: tuple[str, ...] = ()


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
    """The bytes of several subsegments, one behind the other. Ranges begin at ``bases`` in ``octets``.

    ``readable`` says of each page of 4 KB whether its bytes are those of memory; ``mapped`` and ``unreadable`` are
    numbers of pages.
    """

    addresses: Addresses
    lengths: Numbers
    pools: NDArray[np.uint8]
    bases: Numbers
    octets: NDArray[np.uint8]
    readable: Flags
    mapped: int
    unreadable: int


def read_window(space: AddressSpace, addresses: Addresses, lengths: Numbers, pools: NDArray[np.uint8]) -> Window:
    """Read ranges of whole pages; the caller sees to it that they are not too many."""
    pages = lengths // PAGE
    ends = np.cumsum(pages)
    first = ends - pages
    inside = np.arange(int(pages.sum()), dtype=np.int64) - np.repeat(first, pages)
    numbers = np.repeat(addresses >> PAGE_BITS, pages) + inside.astype(np.uint64)
    data, places = space.gather(numbers)
    readable = places >= 0
    mapped = len(places) - int(np.count_nonzero(places == Absence.NOT_MAPPED))
    octets = np.ascontiguousarray(data).reshape(-1)
    unreadable = mapped - int(np.count_nonzero(readable))
    return Window(addresses, lengths, pools, first * PAGE, octets, readable, mapped, unreadable)


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
