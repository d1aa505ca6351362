"""Pool descriptors of all shapes: pages in use, and what only looks like a descriptor."""

from collections.abc import Callable
from typing import Any

import pytest

from poolsleuth.kernel.pool.descriptors import read_descriptors
from poolsleuth.windows.kernel_table import Field, Structure

Make = Callable[..., Any]
Numbers = dict[str, int]

# From symbol files: 5.1 and 5.2 x86, 5.2 x64, 6.1 x64, 10.0.14393 and 10.0.18362 x64
OLD = {"PoolType": (0, 4), "PoolIndex": (4, 4), "RunningAllocs": (8, 4), "RunningDeAllocs": (0xC, 4),
       "TotalPages": (0x10, 4), "TotalBigPages": (0x14, 4)}  # fmt: skip
SEVEN = {"PoolType": (0, 4), "RunningAllocs": (0x40, 4), "RunningDeAllocs": (0x44, 4), "TotalBigPages": (0x48, 4),
         "TotalBytes": (0x50, 8), "PoolIndex": (0x80, 4), "TotalPages": (0xC0, 4)}  # fmt: skip
TEN = {"PoolType": (0, 4), "RunningAllocs": (0x40, 4), "PagesAllocated": (0x48, 8), "BigPagesAllocated": (0x50, 8),
       "BytesAllocated": (0x58, 8), "RunningDeallocs": (0x80, 4), "PagesDeallocated": (0x88, 8),
       "BigPagesDeallocated": (0x90, 8), "BytesDeallocated": (0x98, 8), "PoolIndex": (0xC0, 4)}  # fmt: skip
SHAPES = {
    "2600 x86": (0x1028, OLD),
    "3790 x86": (0x1030, {**OLD, "TotalBytes": (0x28, 4)}),
    "3790 x64": (0x1048, {**OLD, "TotalBytes": (0x38, 8)}),
    "7601 x64": (0x1140, SEVEN),
    "14393 x64": (0x1140, TEN),
    "17763 x64": (0x1140, TEN),
}


class Pools:
    """Writes descriptors of a build."""

    def __init__(self, here: Any, name: str) -> None:
        self.here = here
        self.size, self.fields = SHAPES[name]
        self.split = "PagesAllocated" in self.fields
        here.structures["_POOL_DESCRIPTOR"] = Structure(
            self.size, {field: Field(*place) for field, place in self.fields.items()}
        )

    def write(self, at: int, kind: int, index: int, pages: int, big: int) -> int:
        values = {
            "PoolType": kind,
            "PoolIndex": index,
            "RunningAllocs": 900 + index,
            "RunningDeAllocs": 100,
            "RunningDeallocs": 100,
            "TotalPages": pages,
            "TotalBigPages": big,
            "TotalBytes": 4096 * (pages + big),
            # Counters of 64 bits of which the first has wrapped already or is about to
            "PagesAllocated": pages - 3,
            "PagesDeallocated": -3,
            "BigPagesAllocated": big + 7,
            "BigPagesDeallocated": 7,
            "BytesAllocated": 4096 * (pages + big) + 9,
            "BytesDeallocated": 9,
        }
        for name, (offset, width) in self.fields.items():
            self.here.memory.put(at + offset, values[name], width=width)
        return at

    def room(self, count: int = 1) -> int:
        return int(self.here.room(self.size * count))

    def standard(self) -> None:
        """A nonpaged pool and three paged ones, as pointers."""
        nonpaged = self.write(self.here.base + 0x100000, 0, 0, 1000, 200)
        self.here.symbols["NonPagedPoolDescriptor"] = nonpaged - self.here.base
        paged = [self.write(self.room(), 1, i, 500 + i, 10 * i) for i in range(3)]
        self.here.variable("PoolVector", nonpaged, paged[0])
        self.here.variable("ExpPagedPoolDescriptor", *paged, *(0,) * 10)
        self.here.variable("ExpNumberOfPagedPools", 2, width=4)
        self.here.variable("ExpNumberOfNonPagedPools", 1, width=4)
        self.here.variable("MmNumberOfPhysicalPages", 100_000)


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_pages_in_use(machine: Make, name: str) -> None:
    here = machine(name)
    Pools(here, name).standard()
    found = read_descriptors(here.kernel())
    assert found.nonpaged_pages == 1200
    assert found.paged_pages == 500 + 511 + 522
    assert found.says == ()
    assert [(each.index, each.pages, each.big_pages) for each in found.paged] == [
        (0, 500, 0),
        (1, 501, 10),
        (2, 502, 20),
    ]
    first = found.nonpaged[0]
    assert (first.paged, first.pool_type, first.allocs, first.frees) == (False, 0, 900, 100)
    assert first.bytes == (None if name == "2600 x86" else 1200 * 4096)


@pytest.mark.parametrize("way", ["in the array", "behind the array", "by the vector"])
def test_descriptors_one_behind_the_other(machine: Make, way: str) -> None:
    here = machine("2600 x86")
    pools = Pools(here, "2600 x86")
    block = pools.room(3)
    for i in range(3):
        pools.write(block + i * pools.size, 1, i, 40 + i, 1)
    if way == "in the array":
        here.symbols["ExpPagedPoolDescriptor"] = block - here.base
    elif way == "behind the array":
        here.variable("ExpPagedPoolDescriptor", block)
    else:
        here.variable("PoolVector", 0, block)
    here.variable("ExpNumberOfPagedPools", 2, width=4)
    found = read_descriptors(here.kernel())
    assert [each.index for each in found.paged] == [0, 1, 2]
    assert found.paged_pages == 40 + 41 + 42 + 3
    assert found.nonpaged_pages is None
    assert found.says == ("no descriptor of the nonpaged pool can be found",)


def test_nodes_and_the_pool_that_cannot_be_executed(machine: Make) -> None:
    here = machine("14393 x64")
    pools = Pools(here, "14393 x64")
    pools.standard()
    static = here.base + 0x100000
    pools.write(static + pools.size, 0x200, 0, 3000, 500)
    nodes = []
    for i in range(2):
        node = pools.room(2)
        pools.write(node, 0, i, 10, 1)
        pools.write(node + pools.size, 0x200, i, 100, 5)
        nodes.append(node)
    here.variable("ExpNumberOfNonPagedPools", 2, width=4)
    here.variable("ExpNonPagedPoolDescriptor", *nodes)
    found = read_descriptors(here.kernel())
    assert sorted((each.pool_type, each.used_pages) for each in found.nonpaged) == [
        (0, 11), (0, 11), (0, 1200), (0x200, 105), (0x200, 105), (0x200, 3500),
    ]  # fmt: skip
    assert found.nonpaged_pages == 11 + 11 + 1200 + 105 + 105 + 3500
    here.memory.lose(nodes[1])
    found = read_descriptors(here.kernel())
    assert found.nonpaged_pages is None
    assert "not all descriptors of the nonpaged pool can be read" in found.says


@pytest.mark.parametrize(("name", "pages"), [("7601 x64", 1200), ("14393 x64", 1234)])
def test_the_second_static_descriptor_counts_whatever_type_it_says(machine: Make, name: str, pages: int) -> None:
    """From 9600 to 18362 there are two by the distance to the next symbol; before, something else follows."""
    here = machine(name)
    pools = Pools(here, name)
    pools.standard()
    pools.write(here.base + 0x100000 + pools.size, 0, 0, 30, 4)
    assert read_descriptors(here.kernel()).nonpaged_pages == pages


@pytest.mark.parametrize(("kind", "pages"), [(1, 200_000), (0, 10), (0x21, 10), (0xFFFFFFFF, 10), (1, -5)])
def test_what_cannot_be_a_paged_pool(machine: Make, kind: int, pages: int) -> None:
    here = machine("7601 x64")
    pools = Pools(here, "7601 x64")
    pools.standard()
    second = here.kernel().memory.pointer(here.kernel().address("ExpPagedPoolDescriptor") + 8)
    pools.write(second, kind, 1, pages, 0)
    here.variable("MmTotalCommitLimit", 150_000)
    found = read_descriptors(here.kernel())
    assert [each.index for each in found.paged] == [0, 2]
    assert found.paged_pages is None
    assert found.says == ("not all descriptors of the paged pool can be read",)


def test_paged_pool_may_be_larger_than_memory_but_not_than_what_can_be_committed(machine: Make) -> None:
    here = machine("7601 x64")
    pools = Pools(here, "7601 x64")
    pools.standard()
    second = here.kernel().memory.pointer(here.kernel().address("ExpPagedPoolDescriptor") + 8)
    pools.write(second, 1, 1, 120_000, 0)
    assert read_descriptors(here.kernel(), commit_limit_pages=150_000).paged_pages == 500 + 120_000 + 522
    assert read_descriptors(here.kernel(), commit_limit_pages=110_000).paged_pages is None


def test_windows_10_2004_has_none(machine: Make) -> None:
    found = read_descriptors(machine("19041 x64").kernel())
    assert (found.nonpaged, found.paged, found.nonpaged_pages, found.paged_pages) == ((), (), None, None)
    assert "Windows 10 2004" in found.says[0]


@pytest.mark.parametrize("number", [1 << 31, 0xFFFFFFFF])
def test_counts_of_2_pow_32(machine: Make, number: int) -> None:
    here = machine("7601 x64")
    Pools(here, "7601 x64").standard()
    here.variable("ExpNumberOfPagedPools", number, width=4)
    here.variable("ExpNumberOfNonPagedPools", number, width=4)
    found = read_descriptors(here.kernel())
    assert (found.nonpaged_pages, found.paged_pages) == (None, None)
    assert len(found.says) == 2
