"""The low fragmentation heap: subsegments of equal blocks; a block is taken at random, as the real one does."""

from dataclasses import dataclass, field
from random import Random

import numpy as np

from poolsleuth.lab.machine import PAGE
from poolsleuth.lab.segment_heap.contents import LFH, LfhContents
from poolsleuth.lab.segment_heap.segments import Segments
from poolsleuth.lab.segment_heap.sizes import UNIT

BITMAP_AT = 0x30
"""Offset of the bitmap in a subsegment: two bits for each block."""
_MOST_PAGES = 16
_FEW = 32  # blocks that a subsegment has at least, while its pages allow it


@dataclass(slots=True)
class _Subsegment:
    at: int
    length: int
    size: int
    first: int
    count: int
    open: list[int]
    closed: frozenset[int]
    busy: set[int] = field(default_factory=set)
    tags: dict[int, int] = field(default_factory=dict)
    unused: dict[int, int] = field(default_factory=dict)
    processes: dict[int, int] = field(default_factory=dict)


def shape_of(length: int, size: int) -> tuple[int, int]:
    """Offset of the first block, and number of blocks, of a subsegment of ``length`` bytes."""
    count = (length - BITMAP_AT) // size
    while True:
        first = -(-(BITMAP_AT + -(-2 * count // 64) * 8) // UNIT) * UNIT
        if first + count * size <= length:
            return first, count
        count -= 1


class LowFragmentation:
    """The blocks of all buckets of a heap, whose subsegments are ranges of ``segments``."""

    def __init__(self, segments: Segments, random: Random) -> None:
        self._segments, self._random = segments, random
        self._buckets: dict[int, list[_Subsegment]] = {}
        self._places: dict[int, tuple[_Subsegment, int]] = {}

    def allocate(self, size: int, tag: int, process: int, unused: int) -> int:
        """A block of a bucket's size; gives its place."""
        bucket = self._buckets.setdefault(size, [])
        chosen = next((each for each in reversed(bucket) if each.open), None)
        if chosen is None:
            chosen = self._grow(size, len(bucket))
            bucket.append(chosen)
        at = self._random.randrange(len(chosen.open))
        chosen.open[at], chosen.open[-1] = chosen.open[-1], chosen.open[at]
        number = chosen.open.pop()
        chosen.busy.add(number)
        chosen.tags[number], chosen.unused[number], chosen.processes[number] = tag, unused, process
        place = chosen.at + chosen.first + number * size
        self._places[place] = (chosen, number)
        return place

    def free(self, place: int) -> None:
        """Free a block: its header stays as it was. A subsegment without blocks in use goes back. KeyError if none."""
        subsegment, number = self._places.pop(place)
        subsegment.busy.remove(number)
        subsegment.unused[number] = 0
        subsegment.open.append(number)
        bucket = self._buckets[subsegment.size]
        if not subsegment.busy and len(bucket) > 1:
            bucket.remove(subsegment)
            self._segments.free(subsegment.at)

    def _grow(self, size: int, before: int) -> _Subsegment:
        pages = min(1 << min(before, 4), _MOST_PAGES)
        while pages < _MOST_PAGES and shape_of(pages * PAGE, size)[1] < _FEW:
            pages *= 2
        at = self._segments.allocate(pages * PAGE, LFH)
        first, count = shape_of(pages * PAGE, size)
        inside = [(first + number * size) % PAGE for number in range(count)]
        closed = {number for number, offset in enumerate(inside) if size < PAGE and offset + size > PAGE}
        free = [number for number in range(count) if number not in closed]
        return _Subsegment(at, pages * PAGE, size, first, count, free, frozenset(closed))

    def contents(self) -> tuple[LfhContents, ...]:
        """All subsegments as they are now."""
        every = sorted((each for bucket in self._buckets.values() for each in bucket), key=lambda each: each.at)
        return tuple(_contents(each) for each in every)


def _contents(subsegment: _Subsegment) -> LfhContents:
    numbers = range(subsegment.count)
    return LfhContents(
        at=subsegment.at,
        length=subsegment.length,
        size=subsegment.size,
        first=subsegment.first,
        busy=np.array([number in subsegment.busy for number in numbers], np.bool_),
        closed=np.array([number in subsegment.closed for number in numbers], np.bool_),
        tags=np.array([subsegment.tags.get(number, 0) for number in numbers], np.uint32),
        unused=np.array([subsegment.unused.get(number, 0) for number in numbers], np.int64),
        processes=np.array([subsegment.processes.get(number, 0) for number in numbers], np.int64),
    )
