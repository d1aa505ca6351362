"""The segment heaps of a usual machine that has run for a while, and of one whose pool is in pieces."""

from dataclasses import replace
from random import Random

import numpy as np
from numpy.typing import NDArray

from poolsleuth.lab.machine import BigPages, PoolUse, Session, SimulatedWindows, TagUse
from poolsleuth.lab.segment_heap.contents import POOLS, HeapContents
from poolsleuth.lab.segment_heap.heap import HEAP_ROOM, SegmentHeap
from poolsleuth.lab.segment_heap.place import FIRST_BUILD, HEAPS_FROM
from poolsleuth.lab.usual_figures import CutPages, Pool
from poolsleuth.lab.usual_pool import OBJECT_TAGS

_KINDS: tuple[Pool, ...] = ("nonpaged", "paged")
_TAGS = 24
_LARGEST_USUAL = 1400
_KEPT_OF_TEN = 6
_FREED_AT_LAST = 8
_DEPTH = 6
_ROUNDS = (40, 250, 250, 40)  # rounds of ten allocations, by the heap's index
_DIRECT = (0x30000, 0x60000)
_DIRECT_WIDE = 0x90000
_LARGE_FROM_RAM = 1 << 30
_LARGE = 0x900000
_SESSION_TAGS = ("Gla1", "Gh05", "Ttfd")


class UsualHeaps:
    """The heaps of a machine at work: a story may go on with them."""

    def __init__(self, heaps: list[SegmentHeap]) -> None:
        self.heaps = heaps

    def of(self, pool: Pool) -> list[SegmentHeap]:
        """The system's heaps of a pool, in the order of their index; not those of special pool."""
        return [heap for heap in self._all(pool) if not heap.special]

    def _all(self, pool: Pool) -> list[SegmentHeap]:
        paged = pool == "paged"
        return [heap for heap in self.heaps if heap.session is None and (heap.pool == "paged") == paged]

    def uses(self, pool: Pool) -> dict[str, PoolUse]:
        """What the tag tables count of them."""
        return _sum([heap.uses() for heap in self._all(pool)])

    def uses_by_pool(self) -> dict[Pool, dict[str, PoolUse]]:
        """The same for each pool; empty where there are no heaps."""
        return {pool: self.uses(pool) for pool in (_KINDS if self.heaps else ())}

    def counted(self, session: Session) -> Session:
        """The session, with what lies in its heap."""
        mine = [heap for heap in self.heaps if heap.session == session.id]
        uses = _sum([heap.uses() for heap in mine])
        if not uses:
            return session
        tags = [replace(tag, paged=_add(tag.paged, uses.pop(tag.tag, PoolUse()))) for tag in session.tags]
        tags += [TagUse(tag, paged=use) for tag, use in uses.items()]
        pages = sum(heap.pages() for heap in mine)
        return replace(
            session,
            tags=tuple(tags),
            used_pages=session.used_pages + pages,
            committed_pages=session.committed_pages + pages,
        )

    def pages(self, pool: Pool) -> int:
        """Pages that they take up."""
        return sum(heap.pages() for heap in self._all(pool))

    def cuts(self) -> dict[Pool, CutPages]:
        """Their part of the figures of each pool."""
        found: dict[Pool, CutPages] = {}
        for index, pool in enumerate(_KINDS if self.heaps else ()):
            held = sum(use.bytes for use in self.uses(pool).values())
            found[pool] = CutPages(index=index, pages=self.pages(pool), held=held, cut=held)
        return found

    def with_big(self, big: BigPages) -> BigPages:
        """The big-page table with what of it lies in the heaps."""
        rows: list[NDArray[np.void]] = [heap.big_rows() for heap in self.heaps]
        return BigPages(np.concatenate([big.rows, *rows])) if rows else big

    def contents(self) -> tuple[HeapContents, ...]:
        """All of them as they are now."""
        return tuple(heap.contents() for heap in self.heaps)


def _sum(uses: list[dict[str, PoolUse]]) -> dict[str, PoolUse]:
    found: dict[str, PoolUse] = {}
    for some in uses:
        for tag, use in some.items():
            found[tag] = _add(found.get(tag, PoolUse()), use)
    return found


def _add(one: PoolUse, other: PoolUse) -> PoolUse:
    return PoolUse(one.allocs + other.allocs, one.frees + other.frees, one.bytes + other.bytes)


def usual_heaps(
    windows: SimulatedWindows, names: list[str], random: Random, *, ram_bytes: int, sessions: tuple[int, ...]
) -> UsualHeaps:
    """The heaps of one node, one of special pool and one for each session; none before Windows 10 1903."""
    if windows.build < FIRST_BUILD:
        return UsualHeaps([])
    # Each tag of a usual machine has big allocations in one pool only, some of them outside of the heaps
    tags = [name for number, name in enumerate(names) if number % 10 and name not in OBJECT_TAGS]
    heaps = []
    for index, pool in enumerate(POOLS):
        base = HEAPS_FROM + index * HEAP_ROOM
        depth = _DEPTH if index in (1, 2) else 0
        heap = SegmentHeap(pool, index, random, base=base, lookaside_depth=depth)
        mine = tags[int(pool == "paged") :: 2]
        chosen = [(tag, _usual_size(random)) for tag in random.sample(mine, min(_TAGS, len(mine)))]
        run(heap, chosen, _ROUNDS[index], random)
        _large_ones(heap, [tag for tag, _ in chosen], random, ram_bytes)
        heaps.append(heap)
    special = SegmentHeap("nonpaged-nx", 1, random, base=HEAPS_FROM + len(POOLS) * HEAP_ROOM, special=True)
    for _ in range(40):
        special.allocate(random.randrange(16, 900), tags[0])
    heaps.append(special)
    for session in sessions:
        heap = SegmentHeap("session", 0, random, base=0, session=session)
        run(heap, [(tag, _usual_size(random)) for tag in _SESSION_TAGS], 20, random, small=True)
        heaps.append(heap)
    return UsualHeaps(heaps)


def _usual_size(random: Random) -> int:
    return int(16 * (_LARGEST_USUAL / 16) ** random.random())


def run(heap: SegmentHeap, tags: list[tuple[str, int]], rounds: int, random: Random, *, small: bool = False) -> None:
    """Allocate and free for a while; each tag has a size of its own, some blocks are of any size.

    ``small``: none that would stand in the big-page table.
    """
    living: list[int] = []
    for _ in range(rounds):
        for _ in range(10):
            tag, size = random.choice(tags)
            other = random.random()
            if other < 0.1:
                size = random.randrange(1, 4000)
            elif other < 0.12 and not small:
                size = random.randrange(0xFE1, 0x8000)
            process = random.randrange(1, 9) if 0.2 <= other < 0.24 else 0
            protected = 0.3 < other < 0.34
            living.append(heap.allocate(size, tag, protected=protected, process=process))
        for _ in range(10 - _KEPT_OF_TEN):
            at = random.randrange(len(living))
            living[at], living[-1] = living[-1], living[at]
            heap.free(living.pop())
    random.shuffle(living)
    for block in living[: len(living) // _FREED_AT_LAST]:
        heap.free(block)


def _large_ones(heap: SegmentHeap, tags: list[str], random: Random, ram_bytes: int) -> None:
    """A few allocations that are ranges of pages; those of megabytes only where the machine has the memory."""
    if heap.index not in (1, 2):
        return
    for size in _DIRECT:
        heap.allocate(size + random.randrange(1, 0x8000), random.choice(tags))
    heap.free(heap.allocate(0x28000, tags[0]))
    heap.allocate(_DIRECT_WIDE + random.randrange(1, 0x8000), random.choice(tags))
    if ram_bytes >= _LARGE_FROM_RAM:
        heap.allocate(_LARGE + random.randrange(1, 0x8000), random.choice(tags))
        heap.allocate(_LARGE, tags[0])


def fragment_heap(heap: SegmentHeap, load: int, random: Random) -> None:
    """Load until the heap has ``load`` pages more, and its end: nearly all is freed, small blocks stay everywhere.

    As article 000's, for this allocator: a driver's blocks of 0xF18 bytes lie between small ones, which keep the
    subsegments of both kinds; freed chunks between them are shorter than the driver's next request.
    """
    passing: list[int] = []
    staying: list[int] = []
    began = heap.pages()
    while heap.pages() < began + load:
        for _ in range(100):
            passing.append(heap.allocate(0xF00, "MmCm"))
            passing.append(heap.allocate(random.randrange(0x60, 0x9A0), random.choice(("Irp ", "MFE0", "NtFs"))))
            staying.append(heap.allocate(random.randrange(0x208, 0x300), random.choice(("ReEv", "Io  "))))
    for block in passing:
        heap.free(block)
    random.shuffle(staying)
    # So many stay that hardly any whole page comes free: those are given back
    for block in staying[len(staying) * 7 // 8 :]:
        heap.free(block)
