"""Pool descriptors: found through the kernel's variables, and believed only when all of them make sense."""

from collections.abc import Callable
from typing import Any

import pytest

from poolsleuth.kernel.address_space import Reader
from poolsleuth.kernel.memory_counters.descriptors import NONPAGED, NX, PoolDescriptors
from poolsleuth.kernel.target import Kernel
from poolsleuth.windows.bundled_tables import bundled_table
from poolsleuth.windows.kernel_table import PdbId
from poolsleuth.windows.structure_layouts import layouts_for

COMMON, ARRAY, COUNT, NODES, NODE_COUNT = 0x80550000, 0x80560000, 0x80560400, 0x80560800, 0x80560C00
KNOWN = {
    "NonPagedPoolDescriptor": COMMON,
    "ExpPagedPoolDescriptor": ARRAY,
    "ExpNumberOfPagedPools": COUNT,
    "ExpNonPagedPoolDescriptor": NODES,
    "ExpNumberOfNonPagedPools": NODE_COUNT,
}
XP_SIZE = 0x1028  # of a descriptor, x86


def descriptors(memory: Any, build: int = 2600, **known: Any) -> PoolDescriptors:
    layouts = layouts_for(build, "x86" if memory.pointer_size == 4 else "x64").structures
    return PoolDescriptors(
        Kernel(
            memory=Reader(memory), build=build, architecture="", pae=None, base=0, size=None, pdb=None,
            processors=None, **({"table": None, "layouts": layouts, "addresses": KNOWN} | known),
        )
    )  # fmt: skip


def old(memory: Any, at: int, kind: int, index: int, small: int, big: int) -> None:
    memory.put(at, kind, index, 0, 0, small, big, width=4)


def test_windows_xp_keeps_them_in_one_block(fake_memory: Callable[[int], Any]) -> None:
    memory = fake_memory(4)
    memory.put(ARRAY, 0x89000000, 0xDEADBEEF)
    memory.put(COUNT, 4, width=4)
    for i in range(5):
        old(memory, 0x89000000 + i * XP_SIZE, 1, i, 100 * i, 7)
    assert [use.pages for use in descriptors(memory).paged()] == [7, 107, 207, 307, 407]
    old(memory, 0x89000000 + 3 * XP_SIZE, 1, 9, 1, 1)
    assert descriptors(memory).paged() == ()


@pytest.mark.parametrize("count", [0, 65, 0xFFFFFFFF])
def test_a_number_of_pools_that_cannot_be_true(count: int, fake_memory: Callable[[int], Any]) -> None:
    memory = fake_memory(4)
    memory.put(ARRAY, 0x89000000)
    memory.put(COUNT, count, width=4)
    old(memory, 0x89000000, 1, 0, 5, 5)
    assert descriptors(memory).paged() == ()


def test_one_node_is_the_common_descriptor(fake_memory: Callable[[int], Any]) -> None:
    memory = fake_memory(4)
    memory.put(NODE_COUNT, 1, width=4)
    old(memory, COMMON, 0, 0, 5, 6)
    (use,) = descriptors(memory).nonpaged()
    assert (use.address, use.kind, use.pages) == (COMMON, NONPAGED, 11)


def test_a_node_that_is_the_common_descriptor_counts_once(fake_memory: Callable[[int], Any]) -> None:
    memory = fake_memory(4)
    memory.put(NODE_COUNT, 2, width=4)
    memory.put(NODES, COMMON, 0x89000000)
    old(memory, COMMON, 0, 0, 5, 6)
    old(memory, 0x89000000, 0, 1, 8, 0)
    assert [use.pages for use in descriptors(memory).nonpaged()] == [11, 8]


def test_a_sum_with_a_part_missing_is_none(fake_memory: Callable[[int], Any]) -> None:
    memory = fake_memory(4)
    memory.put(NODE_COUNT, 2, width=4)
    memory.put(NODES, 0x88000000, 0x89000000)
    old(memory, COMMON, 0, 0, 5, 6)
    old(memory, 0x89000000, 0, 1, 8, 0)
    assert descriptors(memory).nonpaged() == ()


@pytest.mark.parametrize(("kind", "small"), [(1, 5), (7, 5), (0, -1)])
def test_what_is_no_descriptor(kind: int, small: int, fake_memory: Callable[[int], Any]) -> None:
    memory = fake_memory(8)
    layouts = layouts_for(7601, "x64").structures
    memory.put(COMMON, kind, width=4)
    memory.put(COMMON + 0xC0, small, width=4)
    assert descriptors(memory, 7601, layouts=layouts).nonpaged() == ()


def test_pool_that_is_not_executable_lies_behind(fake_memory: Callable[[int], Any]) -> None:
    """9600: PoolType 0, TotalBigPages 48, TotalPages C0, size 1140."""
    memory = fake_memory(8)
    table = bundled_table(PdbId("ntkrnlmp.pdb", "22597D0B40394E23936F6A24C6C52D5B", 1))
    assert table is not None
    at = table.symbols["NonPagedPoolDescriptor"]
    memory.write(at, bytes(0x2280))
    memory.put(at + 0x48, 10, width=4)
    memory.put(at + 0xC0, 1, width=4)
    memory.put(at + 0x1140, NX, width=4)
    memory.put(at + 0x1188, 3000, width=4)
    memory.put(at + 0x1200, 400, width=4)
    uses = descriptors(memory, 9600, table=table, layouts={}, addresses={}).nonpaged()
    assert [(use.kind, use.pages) for use in uses] == [(NONPAGED, 11), (NX, 3400)]


def test_nothing_is_known(fake_memory: Callable[[int], Any]) -> None:
    nothing = descriptors(fake_memory(8), 7601, addresses={}, layouts={})
    assert (nothing.nonpaged(), nothing.paged()) == ((), ())
