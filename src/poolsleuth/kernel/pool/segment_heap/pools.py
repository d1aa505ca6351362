"""Finds the segment heaps of the pool: those of the nodes, of special pool, and of sessions.

From public symbols: nt!ExPoolState has an element for each node, each with four heaps (nonpaged, nonpaged without
execution, paged, and another paged one); the globals hold the keys that headers are encoded with. Verified on
constructed heaps only.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from poolsleuth.kernel.address_space import Reader
from poolsleuth.kernel.addresses import is_kernel_address
from poolsleuth.kernel.pool.blocks import Pool
from poolsleuth.kernel.pool.layout import number_at
from poolsleuth.kernel.pool.segment_heap.layout import HeapLayout
from poolsleuth.kernel.pool.segment_heap.parts import Teller
from poolsleuth.kernel.sessions import Session, read_sessions
from poolsleuth.kernel.target import Kernel

SIGNATURE = 0xDDEE_DDEE
MAX_NODES = 64  # elements of PoolNode in all known kernels
HEAPS = (Pool.NONPAGED, Pool.NONPAGED_NX, Pool.PAGED, Pool.PAGED)
"""The pool of each heap of a node, by its index."""

_STATE, _SESSION_STATE = "_EX_POOL_HEAP_MANAGER_STATE", "_EX_HEAP_SESSION_STATE"
_NODE, _GLOBALS = "_EX_HEAP_POOL_NODE", "_RTLP_HP_HEAP_GLOBALS"


@dataclass(frozen=True, slots=True)
class Keys:
    """The random numbers of this boot that headers are encoded with."""

    heap: int
    lfh: int


@dataclass(frozen=True, slots=True)
class PoolHeap:
    """A heap: where it lies, of which pool its blocks are, and the memory that it is seen in.

    ``name`` is for sentences. ``session`` is the session it belongs to; None for the system's.
    """

    address: int
    pool: Pool
    name: str
    keys: Keys
    memory: Reader
    session: Session | None = None


def find_heaps(kernel: Kernel, layout: HeapLayout, teller: Teller) -> tuple[PoolHeap, ...]:
    """The system's heaps, each once. What is broken is told."""
    state, structure = kernel.address("ExPoolState"), kernel.structure(_STATE)
    node, globals_ = kernel.structure(_NODE), kernel.structure(_GLOBALS)
    if state is None or structure is None or node is None or globals_ is None:
        teller.tell("where the segment heaps lie is not known (ExPoolState): the blocks of the pool are not read")
        return ()
    keys = _keys(kernel, state)
    if keys is None:
        teller.tell("the keys of the segment heaps cannot be read: the blocks of the pool are not read")
        return ()
    nodes, heaps = structure.fields.get("PoolNode"), node.fields.get("Heaps")
    if nodes is None or heaps is None:
        teller.tell("where the nodes of the pool keep their heaps is not known: the blocks of the pool are not read")
        return ()
    number = number_at(kernel.memory, state, structure.fields.get("NumberOfPools"))
    most = min(max(nodes.count, 1), MAX_NODES)
    if number is None or not 0 < number <= most:
        words = "cannot be read" if number is None else f"is said to be {number:,}"
        teller.tell(f"the number of the pool's nodes {words}: all {most} places are looked at")
        number = most
    found: dict[int, PoolHeap] = {}
    for i in range(number):
        base = state + nodes.offset + i * node.size
        for index, pool in enumerate(HEAPS):
            address = number_at(kernel.memory, base, heaps, index)
            _add(found, address, PoolHeap(address or 0, pool, f"heap {index} of node {i}", keys, kernel.memory))
    special = structure.fields.get("SpecialHeaps")
    for index, pool in enumerate(HEAPS[: special.count if special is not None else 0]):
        address = number_at(kernel.memory, state, special, index)
        _add(found, address, PoolHeap(address or 0, pool, f"special heap {index}", keys, kernel.memory))
    return _signed(found, layout, teller)


def find_session_heaps(kernel: Kernel, layout: HeapLayout, teller: Teller) -> Iterator[PoolHeap]:
    """The heaps of the sessions, which can lie at the same address in each of them."""
    place = kernel.place("_MM_SESSION_SPACE", "HeapState")
    structure = kernel.structure(_SESSION_STATE)
    if place is None or structure is None or kernel.structure(_GLOBALS) is None:
        return
    system = kernel.address("ExPoolState")
    for session in read_sessions(kernel).sessions:
        if session.memory is None:
            continue
        state = number_at(session.memory, session.address, place)
        if state is None or not is_kernel_address(state, kernel.pointer_size):
            continue
        keys = _keys(kernel, state, session.memory) or (None if system is None else _keys(kernel, system))
        if keys is None:
            teller.tell(f"the keys of the heaps of session {session.id} cannot be read")
            continue
        found: dict[int, PoolHeap] = {}
        for name in ("PagedHeap", "SpecialPoolHeap"):
            address = number_at(session.memory, state, structure.fields.get(name))
            words = f"{name} of session {session.id}"
            _add(found, address, PoolHeap(address or 0, Pool.SESSION, words, keys, session.memory, session))
        yield from _signed(found, layout, teller)


def _keys(kernel: Kernel, state: int, memory: Reader | None = None) -> Keys | None:
    """The keys, by the heap manager's pointer to the globals, else by their symbol."""
    manager = kernel.place("_RTLP_HP_HEAP_MANAGER", "Globals")
    pointed = None if manager is None else (memory or kernel.memory).pointer(state + manager.offset)
    for address in (pointed, kernel.address("RtlpHpHeapGlobals")):
        if address is None or not is_kernel_address(address, kernel.pointer_size):
            continue
        heap = kernel.value(address, _GLOBALS, "HeapKey")
        lfh = kernel.value(address, _GLOBALS, "LfhKey")
        if heap is not None and lfh is not None:
            return Keys(heap, lfh)
    return None


def _add(found: dict[int, PoolHeap], address: int | None, heap: PoolHeap) -> None:
    if address and is_kernel_address(address, heap.memory.pointer_size):
        found.setdefault(address, heap)


def _signed(found: dict[int, PoolHeap], layout: HeapLayout, teller: Teller) -> tuple[PoolHeap, ...]:
    good = []
    for heap in found.values():
        signature = number_at(heap.memory, heap.address, layout.heap.fields["Signature"])
        if signature == SIGNATURE:
            good.append(heap)
            continue
        words = "cannot be read" if signature is None else f"has the signature 0x{signature:x} of no segment heap"
        teller.tell(f"{heap.name} at 0x{heap.address:x} {words}: its blocks are missing")
    return tuple(good)
