"""Pool usage from the pool descriptors, as ``!vm`` sums it before Windows 10 (KERNEL_FACTS 3.4).

A descriptor counts the pages carved into blocks and the pages of big allocations. Paged pool has several descriptors,
nonpaged pool one, and one more for each node of a NUMA system (then the first counts the big allocations of all).
"""

from dataclasses import dataclass

from poolsleuth.kernel.records import RecordPlan
from poolsleuth.kernel.target import Kernel

MAX_POOLS = 64  # the largest array of descriptors, 64-bit Windows 7: 65 pointers, the first of a pool apart
NONPAGED, PAGED, NX = 0, 1, 0x200  # of the field PoolType


@dataclass(frozen=True, slots=True)
class DescriptorUse:
    """Pages in use by one descriptor. ``kind`` is its PoolType."""

    address: int
    kind: int
    pages: int


class PoolDescriptors:
    """Reads the descriptors of one kernel; every one is checked before it is believed."""

    __slots__ = ("_kernel", "_plan", "_size")

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        structure = kernel.structure("_POOL_DESCRIPTOR")
        self._size = 0 if structure is None else structure.size
        self._plan = RecordPlan(kernel, "_POOL_DESCRIPTOR", ("PoolType", "PoolIndex", "TotalPages", "TotalBigPages"))

    def _use(self, address: int, kinds: tuple[int, ...], index: int | None = None) -> DescriptorUse | None:
        if not address or address % 4:
            return None
        record = self._plan.read(self._kernel.memory, address)
        kind = record.number("PoolType")
        pages, big = record.signed("TotalPages"), record.signed("TotalBigPages")
        if kind not in kinds or pages is None or big is None or pages < 0 or big < 0:
            return None
        if index is not None and record.number("PoolIndex") != index:
            return None
        return DescriptorUse(address, kind, pages + big)

    def nonpaged(self) -> tuple[DescriptorUse, ...]:
        """The descriptors of nonpaged pool, the common one first, then those of the nodes; empty when not known."""
        first = self._kernel.address("NonPagedPoolDescriptor")
        common = self._use(first, (NONPAGED, NX)) if first is not None else None
        if common is None:
            return ()
        found = {common.address: common}
        nodes = self._kernel.variable("ExpNumberOfNonPagedPools", 4) or 0
        array = self._kernel.address("ExpNonPagedPoolDescriptor")
        if array is not None and 1 < nodes <= MAX_POOLS:
            for i in range(nodes):
                use = self._use(self._pointer(array, i), (NONPAGED, NX))
                if use is None:
                    return ()  # a sum with a part missing is no sum
                found.setdefault(use.address, use)
        # From Windows 8.1 on the descriptor of pool that is not executable lies behind the other one
        for use in tuple(found.values()):
            twin = self._use(use.address + self._size, (NX,)) if use.kind == NONPAGED and self._size else None
            if twin is not None:
                found.setdefault(twin.address, twin)
        return tuple(found.values())

    def paged(self) -> tuple[DescriptorUse, ...]:
        """The descriptors of paged pool by their index; empty when they are not all known."""
        array = self._kernel.address("ExpPagedPoolDescriptor")
        count = self._kernel.variable("ExpNumberOfPagedPools", 4)
        if array is None or count is None or not 0 < count <= MAX_POOLS:
            return ()
        pointers = [self._pointer(array, i) for i in range(count + 1)]
        apart = self._all(pointers)
        if apart:
            return apart
        # Systems before 2003 may keep them in one block: its first address is all the array holds
        return self._all([pointers[0] + i * self._size for i in range(count + 1)]) if pointers[0] else ()

    def _all(self, addresses: list[int]) -> tuple[DescriptorUse, ...]:
        uses: list[DescriptorUse] = []
        for i, address in enumerate(addresses):
            use = self._use(address, (PAGED,), i)
            if use is None:
                return ()
            uses.append(use)
        return tuple(uses)

    def _pointer(self, array: int, index: int) -> int:
        return self._kernel.memory.pointer(array + index * self._kernel.pointer_size) or 0
