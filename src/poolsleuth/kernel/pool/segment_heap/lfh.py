"""Blocks of the low fragmentation heap: subsegments of equal blocks, with two bits for each in a bitmap.

The sizes in a subsegment's head are encoded with a key and the subsegment's address. A block begins with a pool header;
one that would cross the end of its page is never given out. Verified on constructed heaps only.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.address_space import PAGE
from poolsleuth.kernel.pool.blocks import BLOCK, Blocks, Kind, State
from poolsleuth.kernel.pool.segment_heap.big import BigIndex
from poolsleuth.kernel.pool.segment_heap.layout import HeapLayout
from poolsleuth.kernel.pool.segment_heap.parts import PROTECTED, Numbers, Teller, Window, no_blocks

WIDE_SHIFT = 26100  # build from which on the whole address is shifted, not its lower half
MAX_LFH_BYTES = 1 << 24  # of a subsegment: those of the pool have some 64 KB; no more of a range is read
NO_HEADER = PAGE - 2 * 16  # bytes of the largest block that has a pool header (x64)
_BLOCK_SIZE = 2  # offset in a pool header of its own size in units: a byte on x64
UNREAD_HEAD = "LFH subsegments have a head in memory that cannot be read: their blocks are missing"


def lfh_blocks(window: Window, layout: HeapLayout, key: int, build: int, big: BigIndex, teller: Teller) -> Blocks:
    """The blocks of all LFH subsegments of a window.

    A block has tag 0 where its header is not in the dump, and a free one where its old header is gone. Free blocks of
    pages that are not there are left out: they are address space, no memory.
    """
    heads = window.readable[window.bases // PAGE]
    teller.count(UNREAD_HEAD, int((~heads).sum()))
    chosen = np.flatnonzero(heads)
    size, first, count = _shapes(window, chosen, layout, key, build)
    bitmap_end = layout.lfh_bitmap + -(-2 * count // 64) * 8
    good = (size > 0) & (size % layout.unit == 0) & (count > 0) & (first >= bitmap_end)
    good &= (first % layout.unit == 0) & (first + size * count <= window.lengths[chosen])
    for address in window.addresses[chosen[~good]].tolist():
        teller.tell(f"the LFH subsegment at 0x{address:x} has sizes that cannot be right; its blocks are missing")
    chosen, size, first, count = chosen[good], size[good], first[good], count[good]
    if not len(chosen):
        return no_blocks()
    # Subsegments of one shape are decoded together: a table of blocks with a row for each of them
    shapes = np.stack((size, first, count), axis=1)
    order = np.lexsort((count, first, size))
    new = np.concatenate(([True], (shapes[order][1:] != shapes[order][:-1]).any(axis=1)))
    groups = [
        (np.sort(chosen[members]), Shape(*shapes[members[0]].tolist()))
        for members in np.split(order, np.flatnonzero(new)[1:])
    ]
    whole = bool(window.readable.all())
    blocks = np.empty(sum(len(members) * shape.count for members, shape in groups), BLOCK)
    done = 0
    for members, shape in groups:
        done += _blocks(window, layout, members, shape, big, blocks[done:], whole=whole)
    return blocks[:done]


@dataclass(frozen=True, slots=True)
class Shape:
    """Of a subsegment: bytes of a block, offset of the first, and number of blocks."""

    size: int
    first: int
    count: int


def _blocks(
    window: Window,
    layout: HeapLayout,
    members: Numbers,
    shape: Shape,
    big: BigIndex,
    room: Blocks,
    *,
    whole: bool,
) -> int:
    """Put the blocks of subsegments of one shape at the start of ``room``; how many there are.

    ``whole`` says that all of the window can be read.
    """
    inside = shape.first + np.arange(shape.count, dtype=np.int64) * shape.size
    columns = np.arange(shape.count)
    if shape.size < PAGE:
        # A small block that crosses a page is never given out: the kernel keeps such places closed
        columns = np.flatnonzero((inside & PAGE - 1) + shape.size <= PAGE)
        inside = inside[columns]
    bases = window.bases[members][:, None]
    bits_at = bases + layout.lfh_bitmap + np.arange(-(-shape.count // 4))
    busy = np.unpackbits(window.bytes_at(bits_at), axis=1, bitorder="little")[:, 0::2][:, columns] == 1
    if not whole:
        told = window.readable[bits_at >> 12][:, columns >> 2]
        busy &= told
    at = bases + inside
    count = at.size
    blocks = room[:count].reshape(at.shape)
    blocks["address"] = window.addresses[members][:, None] + inside.astype(np.uint64)
    blocks["size"] = shape.size
    blocks["pool"] = window.pools[members][:, None]
    blocks["kind"] = Kind.LFH
    blocks["state"] = np.where(busy, np.uint8(State.ALLOCATED), np.uint8(State.FREE))
    if shape.size <= NO_HEADER:
        tags = window.words_at(at + layout.tag)
        # A freed block keeps its header until something else is written there
        units = window.bytes_at(at + _BLOCK_SIZE).astype(np.int64)
        tags[~busy & (units * layout.unit != shape.size)] = 0
        if not whole:
            tags[~window.readable[at >> 12]] = 0
    else:
        tags = np.zeros(at.shape, np.uint32)
        tags[busy] = big.claim(blocks["address"][busy])
    blocks["tag"] = tags & ~PROTECTED
    blocks["protected"] = tags >> np.uint32(31)
    if whole:
        return count
    blocks["state"][~told] = State.UNKNOWN
    kept = window.readable[at >> 12] | (blocks["state"] == State.ALLOCATED)
    found = blocks[kept]
    room[: len(found)] = found
    return len(found)


def _shapes(
    window: Window, chosen: NDArray[np.intp], layout: HeapLayout, key: int, build: int
) -> tuple[Numbers, Numbers, Numbers]:
    """Block size, offset of the first block (both in bytes) and number of blocks of subsegments."""
    bases = window.bases[chosen]
    addresses = window.addresses[chosen]
    low = np.uint64(0xFFFF_FFFF)
    shifted = (addresses if build >= WIDE_SHIFT else addresses & low) >> np.uint64(12) & low
    encoded = window.words_at(bases + layout.lfh_offsets).astype(np.uint64)
    decoded = (encoded ^ shifted ^ np.uint64(key & 0xFFFF_FFFF)).astype(np.int64)
    count = window.halves_at(bases + layout.lfh_count).astype(np.int64)
    return decoded & 0xFFFF, decoded >> 16, count
