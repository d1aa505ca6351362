"""Article 000: a driver that takes and gives back blocks of 0xF18 bytes, until small blocks hold the pool's pages."""

from random import Random

from poolsleuth.lab.allocator.classic import ClassicPool
from poolsleuth.lab.course.state import State
from poolsleuth.lab.segment_heap.heap import SegmentHeap

_TAG, _BYTES = "MmCm", 0xF10  # a block of 0xF18 bytes with its header (x86): 0xE8 bytes of its page are left to others
_STAYING = ("ReEv",) * 6 + ("MFE0", "MFE0", "Io  ", "Irp ")
_STAYING_BYTES = 0x10
_PASSING = (("Irp ", 0x100, 0x780), ("MFE0", 0x80, 0x9A0), ("Io  ", 0x40, 0x860), ("NtFs", 0x60, 0x5C0))
_WAVES = 4
_AT_ONCE = 50
_HEAP_BYTES = 0xF00
_HEAP_PASSING = (("Irp ", 0x60, 0x9A0), ("MFE0", 0x60, 0x9A0), ("NtFs", 0x60, 0x9A0))
_HEAP_STAYING = ("ReEv", "Io  ")
_HEAP_STAYING_BYTES = (0x208, 0x300)
_RISING = 0.75  # of a wave: then the load goes
_STAY = 0.25  # of the small blocks of a wave
_HELD_AT_LAST = 0.05  # of the pages


class Churn:
    """The article's driver and those beside it. Load comes in waves; each needs more pages than the one before.

    While the driver holds a block, others take small ones from the rest of its page and from what is free. When a wave
    ends nearly all is freed, but a few blocks of 24 bytes stay in the middle of their pages: there the driver's next
    block does not fit, and it gets a new page.
    """

    def __init__(self, random: Random, *, hours: float, pages: int) -> None:
        self._random, self._hours, self._pages = random, hours, pages
        self._began: int | None = None
        self._wave = 0
        self._from = 0
        self._passing: list[int] = []
        self._staying: list[int] = []
        self._held: list[int] = []
        self._most = 0
        self._grown = False

    def step(self, state: State, hours: float, _passed: float) -> None:
        """The pool has as many pages as the wave needs by now, or its load goes."""
        pool = _arena(state)
        if self._began is None:
            self._began = self._from = _pages(pool)
        place = min(hours / self._hours * _WAVES, _WAVES)
        while self._wave < min(int(place), _WAVES - 1):
            self._grow(state, 1.0)
            self._ebb(state, 0.0)
            self._next(state)
        within = place - self._wave
        if within < _RISING:
            self._grow(state, within / _RISING)
        else:
            self._grow(state, 1.0)
            self._ebb(state, max(0.0, 1 - (within - _RISING) / (1 - _RISING)))
            if within >= 1:
                self._next(state)
        state.take_pages("nonpaged")

    def _next(self, state: State) -> None:
        self._random.shuffle(self._staying)
        keep = int(len(self._staying) * _STAY)
        pool = _arena(state)
        for address in self._staying[keep:]:
            pool.free(address)
        self._staying.clear()
        self._wave += 1
        self._grown = False
        self._from = _pages(pool)
        for address in self._held:
            pool.free(address)
        self._held = [pool.allocate(_BYTES, _TAG) for _ in range(int(self._pages * _HELD_AT_LAST))]

    def _grow(self, state: State, part: float) -> None:
        """Work until the pool has that part of what this wave adds; once it is all there, the work is over."""
        if self._grown:
            return
        pool, random, began = _arena(state), self._random, self._began or 0
        top = began + (self._pages - began) * (self._wave + 1) // _WAVES
        wanted = self._from + int((top - self._from) * part)
        while _pages(pool) < wanted:
            if isinstance(pool, SegmentHeap):
                for _ in range(_AT_ONCE):
                    self._work_in_heap(pool)
                continue
            churned = pool.allocate(_BYTES, _TAG)
            self._work(pool)
            pool.free(churned)
            self._work(pool)
        if part >= 1:
            self._grown = True
            random.shuffle(self._passing)

    def _ebb(self, state: State, part: float) -> None:
        """Free what was passing, but that part of the most that there was."""
        pool = _arena(state)
        self._most = max(self._most, len(self._passing))
        left = int(self._most * part)
        while len(self._passing) > left:
            pool.free(self._passing.pop())
        if not left:
            self._most = 0

    def _work(self, pool: ClassicPool) -> None:
        random = self._random
        for _ in range(3):
            tag, least, most = random.choice(_PASSING)
            self._passing.append(pool.allocate(random.randrange(least, most), tag))
        for _ in range(2):
            self._staying.append(pool.allocate(_STAYING_BYTES, random.choice(_STAYING)))

    def _work_in_heap(self, heap: SegmentHeap) -> None:
        """In a segment heap small blocks between the driver's keep the subsegments of both."""
        random = self._random
        self._passing.append(heap.allocate(_HEAP_BYTES, _TAG))
        tag, least, most = random.choice(_HEAP_PASSING)
        self._passing.append(heap.allocate(random.randrange(least, most), tag))
        self._staying.append(heap.allocate(random.randrange(*_HEAP_STAYING_BYTES), random.choice(_HEAP_STAYING)))


def _arena(state: State) -> ClassicPool | SegmentHeap:
    pool = state.arena("nonpaged")
    if pool is None:
        raise ValueError("this Windows has no pool pages in the lab")
    return pool


def _pages(pool: ClassicPool | SegmentHeap) -> int:
    return pool.pages() if isinstance(pool, SegmentHeap) else len(pool.rows)
