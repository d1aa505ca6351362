"""The segments of a heap, and the ranges of pages in them: who holds each range.

A segment begins with 256 descriptors, one for each unit of its memory; the first descriptor of a range says how many
units it has and what lies there. The list of segments is the heap's context's; each segment is signed with its own
address, the key and its context. Verified on constructed heaps only.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.address_space import PAGE
from poolsleuth.kernel.linked_lists import walk_list
from poolsleuth.kernel.pool.layout import number_at
from poolsleuth.kernel.pool.segment_heap.layout import DESCRIPTORS, HeapLayout
from poolsleuth.kernel.pool.segment_heap.parts import PAGE_BITS, Addresses, Numbers, Teller
from poolsleuth.kernel.pool.segment_heap.pools import PoolHeap

MAX_SEGMENTS = 1 << 20  # of one context: a TB in segments of 1 MB
SEGMENTS_AT_ONCE = 256  # whose descriptors are decoded together: 2 MB of them
CONTEXTS = 2  # of a heap: segments of 1 MB, and of 16 MB
UNIT_SHIFTS = range(12, 27)  # a page in the one and 64 KB in the other context; a paper speaks of ranges of 7 GB
SIGNATURE_KEY = 0xA2E6_4EAD_A2E6_4EAD  # of builds below 26100; later ones sign without it
NO_SIGNATURE_KEY = 26100

FREE, DIRECT, LFH, VS = 0, 3, 0xB, 0xF
"""Range flags: their lower five bits; any even number is free."""
UNREAD = "segments have descriptors in memory that cannot be read: blocks are missing"

_FLAGS = 0x1F


@dataclass(frozen=True, slots=True)
class Ranges:
    """Ranges in use: address and length in bytes, and what lies there (``DIRECT``, ``LFH`` or ``VS``).

    ``segments`` is the number of segments that were looked at for them.
    """

    addresses: Addresses
    lengths: Numbers
    flags: Numbers
    segments: int = 0


def ranges_of(
    heap: PoolHeap, layout: HeapLayout, build: int, teller: Teller, limit: int = MAX_SEGMENTS
) -> Iterator[Ranges]:
    """The ranges of all segments of a heap (``limit`` at most), in parts of some segments each."""
    contexts = layout.heap.fields["SegContexts"].offset
    for index in range(CONTEXTS):
        context = heap.address + contexts + index * layout.context_size
        words = f"{heap.name}, context {index}"
        shift = number_at(heap.memory, context, layout.context.fields["UnitShift"])
        first = number_at(heap.memory, context, layout.context.fields["FirstDescriptorIndex"])
        if shift is None or first is None:
            teller.tell(f"{words}: it cannot be read")
            continue
        if shift == 0 and first == 0:
            continue  # a context that was never used
        if shift not in UNIT_SHIFTS:
            teller.tell(f"{words}: units of 2^{shift} bytes are not known; its segments are not read")
            continue
        walk = walk_list(
            heap.memory, context + layout.context.fields["SegmentListHead"].offset, max(min(limit, MAX_SEGMENTS), 0)
        )
        if walk.says is not None:
            teller.tell(f"{words}, list of segments: {walk.says}")
        limit -= len(walk.entries)
        segments = np.sort(walk.entries) - np.uint64(layout.segment.fields["ListEntry"].offset)
        for begin in range(0, len(segments), SEGMENTS_AT_ONCE):
            some = segments[begin : begin + SEGMENTS_AT_ONCE]
            yield _ranges(heap, layout, build, some, context, shift, first, words, teller)


def _ranges(
    heap: PoolHeap,
    layout: HeapLayout,
    build: int,
    segments: Addresses,
    context: int,
    shift: int,
    first: int,
    words: str,
    teller: Teller,
) -> Ranges:
    looked = len(segments)
    size = layout.descriptor.size
    pages = -(-DESCRIPTORS * size // PAGE)
    aligned = (segments & np.uint64((DESCRIPTORS << shift) - 1)) == 0
    for address in segments[~aligned].tolist():
        teller.tell(f"{words}: the segment at 0x{address:x} does not begin where segments of its size do")
    segments = segments[aligned]
    numbers = (segments >> PAGE_BITS)[:, None] + np.arange(pages, dtype=np.uint64)
    data, places = heap.memory.space.gather(np.asarray(numbers.reshape(-1), np.uint64))
    octets = data.reshape(len(segments), pages * PAGE)
    there = places.reshape(len(segments), pages) >= 0
    # The signature is in the first page; descriptors of the others read as free where they are missing
    readable = there[:, 0]
    teller.count(UNREAD, int((~there.all(axis=1)).sum()))
    signed = _signed(octets, segments, layout, heap.keys.heap ^ context, build)
    for address in segments[readable & ~signed].tolist():
        teller.tell(f"{words}: the segment at 0x{address:x} has a wrong signature; its blocks are missing")
    good = readable & signed
    segments, octets = segments[good], octets[good]
    rows = octets[:, : DESCRIPTORS * size].reshape(len(segments), DESCRIPTORS, size)
    flags = rows[:, :, layout.descriptor.fields["RangeFlags"].offset].astype(np.int64) & _FLAGS
    units = rows[:, :, layout.descriptor.fields["UnitSize"].offset].astype(np.int64)
    at_segment, index, count = _follow(segments, flags, units, max(first, pages * PAGE >> shift, 1), words, teller)
    kind = flags[at_segment, index]
    known = (kind == DIRECT) | (kind == LFH) | (kind == VS)
    teller.count("ranges of pages are of a kind that is not known", int(((kind & 1 == 1) & ~known).sum()))
    at_segment, index, count, kind = at_segment[known], index[known], count[known], kind[known]
    return Ranges(segments[at_segment] + (index << shift).astype(np.uint64), count << shift, kind, looked)


def _signed(
    octets: NDArray[np.uint8], segments: Addresses, layout: HeapLayout, key: int, build: int
) -> NDArray[np.bool_]:
    width = layout.pointer_size
    at = layout.segment.fields["Signature"].offset
    values = np.ascontiguousarray(octets[:, at : at + width]).view(f"<u{width}").reshape(-1).astype(np.uint64)
    constant = 0 if build >= NO_SIGNATURE_KEY else SIGNATURE_KEY
    mask = (1 << 8 * width) - 1
    good: NDArray[np.bool_] = values == (segments ^ np.uint64((key ^ constant) & mask))
    return good


def _follow(
    segments: Addresses, flags: Numbers, units: Numbers, first: int, words: str, teller: Teller
) -> tuple[Numbers, Numbers, Numbers]:
    """Go from range to range in all segments at once: which segment, first unit and number of units of each range."""
    active = np.arange(len(segments), dtype=np.int64)
    index = np.full(len(segments), first, np.int64)
    found: list[tuple[Numbers, Numbers, Numbers]] = []
    while len(active):
        inside = index < DESCRIPTORS
        active, index = active[inside], index[inside]
        count = units[active, index]
        used = flags[active, index] & 1 == 1
        # An unused range of no units is no range at all; a used one of none is damage
        empty = used & (count == 0)
        for at in np.flatnonzero(empty).tolist():
            place = f"unit {int(index[at])} of the segment at 0x{int(segments[active[at]]):x}"
            teller.tell(f"{words}: the range at {place} has no units")
        beyond = index + count > DESCRIPTORS
        for at in np.flatnonzero(beyond & used).tolist():
            place = f"unit {int(index[at])} of the segment at 0x{int(segments[active[at]]):x}"
            teller.tell(f"{words}: the range at {place} ends behind its segment")
        kept = used & ~empty & ~beyond
        found.append((active[kept], index[kept], count[kept]))
        index = index + np.where(beyond, DESCRIPTORS, np.maximum(count, 1))
    if not found:
        none = np.empty(0, np.int64)
        return none, none, none
    return (
        np.concatenate([part[0] for part in found]),
        np.concatenate([part[1] for part in found]),
        np.concatenate([part[2] for part in found]),
    )
