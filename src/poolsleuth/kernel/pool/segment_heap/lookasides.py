"""Dynamic lookaside lists of a heap: blocks that were freed, and that the heap still holds as allocated.

A heap's user context is an _RTL_DYNAMIC_LOOKASIDE: some lists, each an SLIST_HEADER (depth in the lowest 16 bits, the
first entry in the upper 60 bits of its second half). An entry lies in the block it frees, behind its pool header or at
its start: both are accepted, since no other block can begin there. Verified on constructed heaps only.
"""

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.addresses import is_kernel_address
from poolsleuth.kernel.pool.blocks import Blocks, State
from poolsleuth.kernel.pool.layout import number_at
from poolsleuth.kernel.pool.segment_heap.layout import HeapLayout
from poolsleuth.kernel.pool.segment_heap.parts import Addresses, Teller
from poolsleuth.kernel.pool.segment_heap.pools import PoolHeap
from poolsleuth.kernel.target import Kernel

MAX_LISTS = 64  # buckets in all known kernels
MAX_ENTRIES = 1 << 16  # of one list: what its depth can say
MAX_OF_HEAP = 1 << 18  # entries of all lists of a heap: their depth adapts, to some hundreds
_LOOKASIDE, _BUCKET = "_RTL_DYNAMIC_LOOKASIDE", "_RTL_LOOKASIDE"


def lookaside_entries(
    kernel: Kernel, heap: PoolHeap, layout: HeapLayout, teller: Teller, limit: int = MAX_OF_HEAP
) -> Addresses:
    """The addresses of all entries (``limit`` at most), ascending. Empty where the lists are not known."""
    none = np.empty(0, np.uint64)
    lists = kernel.place(_LOOKASIDE, "Buckets")
    bucket, head = kernel.structure(_BUCKET), kernel.place(_BUCKET, "ListHead")
    context = number_at(heap.memory, heap.address, layout.heap.fields.get("UserContext"))
    if lists is None or bucket is None or head is None:
        return none
    if context is None or not is_kernel_address(context, 8):
        return none
    found: set[int] = set()
    for i in range(min(lists.count, MAX_LISTS)):
        words = f"{heap.name}, lookaside list {i}"
        head_at = context + lists.offset + i * bucket.size + head.offset
        _follow(heap, head_at, found, words, teller, min(limit, MAX_OF_HEAP))
    return np.array(sorted(found), np.uint64)


def mark_freed(blocks: Blocks, entries: Addresses, layout: HeapLayout) -> None:
    """Set the state of the blocks that wait in a lookaside list; their tag stays."""
    if not len(entries) or not len(blocks):
        return
    freed = _member(blocks["address"], entries) | _member(blocks["address"] + np.uint64(layout.unit), entries)
    blocks["state"][freed & (blocks["state"] == State.ALLOCATED)] = State.IN_LOOKASIDE


def _member(addresses: Addresses, entries: Addresses) -> NDArray[np.bool_]:
    at = np.minimum(np.searchsorted(entries, addresses), len(entries) - 1)
    return np.asarray(entries[at] == addresses, np.bool_)


def _follow(heap: PoolHeap, head: int, found: set[int], words: str, teller: Teller, limit: int) -> None:
    raw = heap.memory.read(head, 16)
    if raw is None:
        teller.count("lookaside lists cannot be read: their blocks look allocated", 1)
        return
    depth, entry = int.from_bytes(raw[:2], "little"), int.from_bytes(raw[8:], "little") & ~0xF
    for _ in range(min(depth, MAX_ENTRIES)):
        if not is_kernel_address(entry, 8) or entry in found or len(found) >= limit:
            teller.tell(f"{words}: it leads to 0x{entry:x}, which is no entry; the rest of its blocks look allocated")
            return
        found.add(entry)
        following = heap.memory.pointer(entry)
        if following is None:
            teller.count("lookaside lists lead into memory that cannot be read: some blocks look allocated", 1)
            return
        entry = following
