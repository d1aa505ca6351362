"""Large allocations of a heap: those beyond its segments, in a tree.

The tree's nodes are _HEAP_LARGE_ALLOC_DATA; where the tree says that it is encoded, its root is XORed with the tree's
address and each link with the address of the node that holds it. Verified on constructed heaps only.
"""

import numpy as np

from poolsleuth.kernel.address_space import PAGE
from poolsleuth.kernel.addresses import is_kernel_address
from poolsleuth.kernel.pool.blocks import Blocks, Kind, State
from poolsleuth.kernel.pool.segment_heap.big import BigIndex
from poolsleuth.kernel.pool.segment_heap.layout import HeapLayout
from poolsleuth.kernel.pool.segment_heap.parts import Teller, make_blocks
from poolsleuth.kernel.pool.segment_heap.pools import PoolHeap

MAX_NODES = 1 << 18  # of all heaps together: large allocations have megabytes each
MAX_PAGES = 1 << 36  # of one allocation: the address space ends there
_UNUSED = 0xFFFF  # the address's lower bits are another number


def large_blocks(
    heap: PoolHeap, layout: HeapLayout, big: BigIndex, teller: Teller, limit: int = MAX_NODES
) -> tuple[Blocks, int]:
    """The large allocations of a heap, each node once whatever its links say, and the number of nodes.

    ``limit`` is the most nodes that are visited.
    """
    nodes = _nodes(heap, layout, teller, limit)
    fields = layout.large.fields
    pages_at = fields["AllocatedPages"]
    addresses, sizes = [], []
    for node in nodes:
        raw = heap.memory.read(node, layout.large.size)
        if raw is None:
            teller.count("large allocations have a description that cannot be read", 1)
            continue
        at = fields["VirtualAddress"].offset
        address = int.from_bytes(raw[at : at + layout.pointer_size], "little") & ~_UNUSED
        at = pages_at.offset
        pages = int.from_bytes(raw[at : at + (pages_at.size or layout.pointer_size)], "little")
        if pages_at.bit is not None and pages_at.bits is not None:
            pages = pages >> pages_at.bit & (1 << pages_at.bits) - 1
        room = (1 << 8 * layout.pointer_size) - address
        if not is_kernel_address(address, layout.pointer_size) or not 0 < pages < MAX_PAGES or pages * PAGE > room:
            teller.tell(f"{heap.name}: the large allocation described at 0x{node:x} cannot be right")
            continue
        addresses.append(address)
        sizes.append(pages * PAGE)
    where = np.array(addresses, np.uint64)
    count = len(where)
    pools = np.full(count, int(heap.pool), np.uint8)
    states = np.full(count, int(State.ALLOCATED), np.uint8)
    blocks = make_blocks(where, np.array(sizes, np.int64), big.claim(where), pools, states, Kind.LARGE)
    return blocks, len(nodes)


def _nodes(heap: PoolHeap, layout: HeapLayout, teller: Teller, limit: int) -> list[int]:
    width = layout.pointer_size
    tree = heap.address + layout.heap.fields["LargeAllocMetadata"].offset
    root, least = heap.memory.pointer(tree), heap.memory.pointer(tree + width)
    if root is None or least is None:
        teller.tell(f"{heap.name}: the tree of its large allocations cannot be read")
        return []
    encoded = least & 1 == 1
    if encoded and root:
        root ^= tree
    links = layout.large.fields["TreeNode"].offset
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if not node or node in seen:
            if node:
                teller.tell(f"{heap.name}: the tree of its large allocations leads to 0x{node:x} twice")
            continue
        raw = heap.memory.read(node + links, 2 * width) if is_kernel_address(node, width) else None
        if raw is None:
            teller.tell(f"{heap.name}: the tree of its large allocations leads to 0x{node:x}, which cannot be read")
            continue
        if len(seen) >= limit:
            teller.tell(f"{heap.name}: the heaps have more than {MAX_NODES:,} large allocations; the rest is missing")
            break
        seen.add(node)
        for at in (0, width):
            child = int.from_bytes(raw[at : at + width], "little")
            if child:
                waiting.append(child ^ node if encoded else child)
    return sorted(seen)
