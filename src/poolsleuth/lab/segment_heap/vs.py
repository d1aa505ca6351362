"""Chunks of variable size: best fit, split from the front, joined with free neighbours when they are freed.

A chunk has a header of 16 bytes, and the block behind it. A block that has a pool header never crosses a page: it
begins with the next page instead, and the room in front of it belongs to its chunk. A block of a page and more has no
header, and begins with a page always. The rule goes by the room in a chunk, which may be more than its block needs.
"""

from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass, field

import numpy as np

from poolsleuth.lab.machine import PAGE
from poolsleuth.lab.segment_heap.contents import VS, VsContents
from poolsleuth.lab.segment_heap.segments import Segments
from poolsleuth.lab.segment_heap.sizes import UNIT

FIRST_CHUNK = 0x30
"""Offset of the first chunk: behind the subsegment's own head (0x28 bytes), at a multiple of the unit."""
_CHUNK_HEADER = 0x10
_LEAST_CHUNK = 0x20
_USUAL_LENGTH = 0x10000
_NO_HEADER_FROM = PAGE - UNIT  # bytes of room from which on the block begins with a page
_GIVEN_BACK_FROM = 4 * PAGE  # bytes of a free chunk whose inner pages go back to the machine


@dataclass(slots=True)
class _Chunk:
    """``begin`` is None for a free one; ``told`` are the block's bytes; ``before`` the offset of the chunk in front."""

    size: int
    before: int | None
    begin: int | None = None
    told: int = 0
    headed: bool = False
    tag: int = 0
    process: int = 0


@dataclass(slots=True)
class _Subsegment:
    at: int
    length: int
    chunks: dict[int, _Chunk] = field(default_factory=dict)


def block_begin(chunk: int, size: int) -> int:
    """Where the block in a chunk begins, by the place and the bytes of the chunk."""
    content, room = chunk + _CHUNK_HEADER, size - _CHUNK_HEADER
    next_page = -(-content // PAGE) * PAGE
    if room >= _NO_HEADER_FROM or content % PAGE + room > PAGE:
        return next_page
    return content


class VariableSize:
    """The chunks of a heap, whose subsegments are ranges of ``segments``."""

    def __init__(self, segments: Segments) -> None:
        self._segments = segments
        self._subsegments: dict[int, _Subsegment] = {}
        self._starts: list[int] = []
        self._free: list[tuple[int, int]] = []  # size and place of free chunks, sorted
        self._owner: dict[int, int] = {}  # place of a block to its chunk's

    def allocate(self, size: int, tag: int, process: int, *, headed: bool) -> int:
        """A block of ``size`` bytes (with its header); gives its place."""
        at = bisect_left(self._free, (size + _CHUNK_HEADER, 0))
        while at < len(self._free):
            room, place = self._free[at]
            taken = self._fit(place, room, size, headed=headed)
            if taken is not None:
                break
            at += 1
        else:
            self._grow(size)
            return self.allocate(size, tag, process, headed=headed)
        del self._free[at]
        subsegment = self._of(place)
        offset = place - subsegment.at
        chunk = subsegment.chunks[offset]
        if taken < room:
            self._set(subsegment, offset + taken, _Chunk(room - taken, offset))
            chunk.size = taken
        begin = block_begin(place, taken)
        chunk.begin, chunk.told, chunk.headed, chunk.tag, chunk.process = begin, size, headed, tag, process
        self._owner[begin] = place
        return begin

    def _fit(self, place: int, room: int, size: int, *, headed: bool) -> int | None:
        """Bytes that a chunk there takes for a block; None where it does not fit."""
        content = place + _CHUNK_HEADER
        begin = content
        if not headed or content % PAGE + size > PAGE:
            begin = -(-content // PAGE) * PAGE
        taken = begin + size - place
        if room - taken < _LEAST_CHUNK and room >= taken:
            taken = room
        return taken if taken <= room and block_begin(place, taken) == begin else None

    def free(self, begin: int) -> None:
        """Free the block that begins there; a subsegment without any goes back. KeyError when there is none."""
        place = self._owner.pop(begin)
        subsegment = self._of(place)
        offset = place - subsegment.at
        chunk = subsegment.chunks[offset]
        behind = offset + chunk.size
        following = subsegment.chunks.get(behind)
        if following is not None and following.begin is None:
            self._forget(subsegment, behind)
            chunk.size += following.size
        if chunk.before is not None and subsegment.chunks[chunk.before].begin is None:
            front = chunk.before
            first = subsegment.chunks[front]
            self._free.remove((first.size, subsegment.at + front))
            del subsegment.chunks[offset]
            first.size += chunk.size
            offset, chunk = front, first
        chunk.begin, chunk.tag = None, 0
        if chunk.size == subsegment.length - FIRST_CHUNK:
            del self._subsegments[subsegment.at]
            self._starts.remove(subsegment.at)
            self._segments.free(subsegment.at)
            return
        self._set(subsegment, offset, chunk)

    def _set(self, subsegment: _Subsegment, offset: int, chunk: _Chunk) -> None:
        """Keep a free chunk, and tell the one behind it."""
        subsegment.chunks[offset] = chunk
        insort(self._free, (chunk.size, subsegment.at + offset))
        following = subsegment.chunks.get(offset + chunk.size)
        if following is not None:
            following.before = offset

    def _forget(self, subsegment: _Subsegment, offset: int) -> None:
        chunk = subsegment.chunks.pop(offset)
        self._free.remove((chunk.size, subsegment.at + offset))

    def _of(self, place: int) -> _Subsegment:
        return self._subsegments[self._starts[bisect_right(self._starts, place) - 1]]

    def _grow(self, size: int) -> None:
        length = max(_USUAL_LENGTH, -(-(size + 2 * PAGE) // PAGE) * PAGE)
        at = self._segments.allocate(length, VS)
        length = self._segments.length(at)
        subsegment = self._subsegments[at] = _Subsegment(at, length)
        insort(self._starts, at)
        self._set(subsegment, FIRST_CHUNK, _Chunk(length - FIRST_CHUNK, None))

    def contents(self) -> tuple[VsContents, ...]:
        """All subsegments as they are now."""
        return tuple(_contents(subsegment) for _at, subsegment in sorted(self._subsegments.items()))


def _contents(subsegment: _Subsegment) -> VsContents:
    rows = sorted(subsegment.chunks.items())
    absent: list[int] = []
    for offset, chunk in rows:
        if chunk.begin is None and chunk.size >= _GIVEN_BACK_FROM:
            # A page that another chunk's header or the links of this one are in stays
            absent += range(-(-(offset + _LEAST_CHUNK) // PAGE) * PAGE, (offset + chunk.size) // PAGE * PAGE, PAGE)
    return VsContents(
        at=subsegment.at,
        length=subsegment.length,
        chunks=np.array([offset for offset, _ in rows], np.int64),
        sizes=np.array([chunk.size for _, chunk in rows], np.int64),
        used=np.array([chunk.begin is not None for _, chunk in rows], np.bool_),
        begins=np.array([offset if c.begin is None else c.begin - subsegment.at for offset, c in rows], np.int64),
        sizes_told=np.array([chunk.told for _, chunk in rows], np.int64),
        headed=np.array([chunk.headed and chunk.begin is not None for _, chunk in rows], np.bool_),
        tags=np.array([chunk.tag for _, chunk in rows], np.uint32),
        processes=np.array([chunk.process for _, chunk in rows], np.int64),
        absent=tuple(absent),
    )
