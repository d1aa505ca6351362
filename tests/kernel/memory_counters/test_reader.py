"""Figures at the addresses and offsets of public symbol tables, with the numbers of real ``!vm`` outputs."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.kernel.absence import Absence
from poolsleuth.kernel.address_space import Reader
from poolsleuth.kernel.memory_counters.figures import KernelFigure, KernelMemoryCounters, Unit
from poolsleuth.kernel.memory_counters.reader import read_memory_counters
from poolsleuth.kernel.target import Kernel
from poolsleuth.model.memory import MemoryCounters, VmFamily
from poolsleuth.windows.bundled_tables import bundled_kernels, bundled_table
from poolsleuth.windows.kernel_table import Field, KernelTable, PdbId, Structure
from poolsleuth.windows.structure_layouts import layouts_for

PAGE = 4096
VARIABLES = 0x80560000
DESCRIPTORS = 0x89000000
STATE, PARTITION = 0x80600000, 0x80700000


def kernel_of(memory: Any, build: int, **known: Any) -> Kernel:
    return Kernel(
        memory=Reader(memory),
        build=build,
        architecture="x86" if memory.pointer_size == 4 else "x64",
        pae=None,
        size=None,
        pdb=None,
        processors=None,
        **({"base": 0, "table": None} | known),
    )


def pages(figure: KernelFigure | None) -> int | None:
    return None if figure is None else figure.value // PAGE


def write_variables(memory: Any, values: Mapping[str, int], narrow: Mapping[str, int] | None = None) -> dict[str, int]:
    """Each variable stands alone, with bytes behind it that would show if too many were read."""
    addresses = {}
    for i, (name, value) in enumerate([*values.items(), *(narrow or {}).items()]):
        at = VARIABLES + 0x40 * i
        memory.write(at, b"\xee" * 0x40)
        memory.put(at, value, width=None if name in values else 4)
        addresses[name] = at
    return addresses


# A real 2003 server with two nodes. Its lines, in pages: Physical Memory 4193696, Available Pages 3210617, ResAvail
# Pages 4031978, Free System PTEs 99633, Free NP PTEs 26875, Modified Pages 611, Modified PF Pages 590, NonPagedPool
# Max 65215, PagedPool Maximum 134144, "818 pool allocations have failed", Shared Commit 80168, Special Pool 0, Shared
# Process 55654, PagedPool Commit 120772, Driver Commit 1890, Committed pages 1344388, Commit limit 5177766
SERVER = {
    "MmNumberOfPhysicalPages": 4193696,
    "MmAvailablePages": 3210617,
    "MmResidentAvailablePages": 4031978,
    "MmModifiedPageListHead": 611,
    "MmTotalPagesForPagingFile": 590,
    "MmMaximumNonPagedPoolInBytes": 65215 * PAGE,
    "MmSizeOfPagedPoolInBytes": 134144 * PAGE,
    "MmSharedCommit": 80168,
    "MmSpecialPagesInUse": 0,
    "MmProcessCommit": 55654,
    "MmPagedPoolCommit": 120772,
    "MmTotalCommittedPages": 1344388,
    "MmTotalCommitLimit": 5177766,
    "MmAllocatedNonPagedPool": 40000,
}
SERVER_NARROW = {"MmDriverCommit": 1890, "ExPoolFailures": 818}


def descriptor(memory: Any, at: int, kind: int, index: int, small: int, big: int) -> None:
    """2003 x86: PoolType 0, PoolIndex 4, TotalPages 10, TotalBigPages 14."""
    memory.write(at, bytes(0x20))
    memory.put(at, kind, index, width=4)
    memory.put(at + 0x10, small, big, width=4)


@pytest.fixture
def server(fake_memory: Callable[[int], Any]) -> tuple[Any, dict[str, int]]:
    memory = fake_memory(4)
    known = write_variables(memory, SERVER, SERVER_NARROW)
    known["MmTotalFreeSystemPtes"] = VARIABLES + 0x2000
    memory.put(VARIABLES + 0x2000, 99633, 26875)
    # Its lines NonPagedPool 0 Used 8271, NonPagedPool 1 Used 13828, NonPagedPool Usage 37846
    known |= {"NonPagedPoolDescriptor": DESCRIPTORS, "ExpNonPagedPoolDescriptor": VARIABLES + 0x2100}
    known["ExpNumberOfNonPagedPools"] = VARIABLES + 0x2080
    memory.put(VARIABLES + 0x2080, 2, width=4)
    memory.put(VARIABLES + 0x2100, DESCRIPTORS + 0x2000, DESCRIPTORS + 0x4000)
    descriptor(memory, DESCRIPTORS, 0, 0, 0, 15747)
    descriptor(memory, DESCRIPTORS + 0x2000, 0, 0, 8000, 271)
    descriptor(memory, DESCRIPTORS + 0x4000, 0, 1, 13828, 0)
    # Its lines PagedPool 0 Usage 82308, PagedPool 1 Usage 12700, PagedPool 2 Usage 25702, PagedPool Usage 120710
    known |= {"ExpPagedPoolDescriptor": VARIABLES + 0x2200, "ExpNumberOfPagedPools": VARIABLES + 0x2280}
    memory.put(VARIABLES + 0x2280, 2, width=4)
    for i, used in enumerate((82308, 12700, 25702)):
        memory.put(VARIABLES + 0x2200 + 4 * i, DESCRIPTORS + 0x10000 + 0x2000 * i)
        descriptor(memory, DESCRIPTORS + 0x10000 + 0x2000 * i, 1, i, used - 500, 500)
    return memory, known


def test_a_server_of_2003(server: tuple[Any, dict[str, int]]) -> None:
    memory, known = server
    layouts = layouts_for(3790, "x86", service_pack=2).structures
    found = read_memory_counters(kernel_of(memory, 3790, addresses=known, layouts=layouts))
    assert found.family is VmFamily.XP_2003
    assert found.impossible == ()
    for name, expected in {
        "physical": 4193696, "available": 3210617, "resident_available": 4031978, "modified": 611,
        "nonpaged_used": 37846, "nonpaged_max": 65215, "paged_used": 120710, "paged_max": 134144,
        "shared_commit": 80168, "special_pool": 0, "shared_process": 55654, "paged_commit": 120772,
        "driver_commit": 1890, "committed": 1344388, "commit_limit": 5177766,
    }.items():  # fmt: skip
        figure = getattr(found, name)
        assert (name, figure.value, figure.unit) == (name, expected * PAGE, Unit.BYTES)
    for name, count in {"free_system_ptes": 99633, "free_nonpaged_ptes": 26875, "pool_failures": 818}.items():
        figure = getattr(found, name)
        assert (name, figure.value, figure.unit) == (name, count, Unit.COUNT)
    assert found.physical is not None
    assert (found.physical.address, found.physical.name) == (VARIABLES, "MmNumberOfPhysicalPages")
    assert found.nonpaged_used is not None
    assert found.nonpaged_used.name == "3 pool descriptors"
    assert found.nonpaged_nx_used is None
    assert [pages(part) for part in found.nonpaged_nodes] == [8271, 13828]
    assert [pages(part) for part in found.paged_pools] == [82308, 12700, 25702]
    assert pages(found.other["Modified PF Pages"]) == 590
    assert pages(found.other["Allocated NonPagedPool"]) == 40000


def test_without_descriptors_all_pages_of_the_pool_count(server: tuple[Any, dict[str, int]]) -> None:
    memory, known = server
    found = read_memory_counters(kernel_of(memory, 3790, addresses=known))
    assert pages(found.nonpaged_used) == 40000
    assert found.paged_used is None
    assert "nonpaged usage counts all pages the pool has taken: its descriptors are not all readable" in found.notes


def test_the_pool_of_one_node_is_not_taken_for_all(server: tuple[Any, dict[str, int]]) -> None:
    """KDBG names the first descriptor only; 15,747 of the 40,000 pages that the pool has taken stand there."""
    memory, known = server
    of_symbols = {"ExpNumberOfNonPagedPools", "ExpNonPagedPoolDescriptor", "PoolVector"}
    known = {name: address for name, address in known.items() if name not in of_symbols}
    layouts = layouts_for(3790, "x86", service_pack=2).structures
    found = read_memory_counters(kernel_of(memory, 3790, addresses=known, layouts=layouts))
    assert pages(found.nonpaged_used) == 40000
    assert "nonpaged usage counts all pages the pool has taken: its descriptors are not all readable" in found.notes
    memory.put(known["MmAllocatedNonPagedPool"], 16000)  # a machine with one node
    found = read_memory_counters(kernel_of(memory, 3790, addresses=known, layouts=layouts))
    assert pages(found.nonpaged_used) == 15747


@pytest.mark.parametrize(
    ("name", "value", "field", "label"),
    [
        ("MmAvailablePages", 4193697, "available", "Available Pages"),
        ("MmResidentAvailablePages", -5, "resident_available", "ResAvail Pages"),
        ("MmSharedCommit", 5177767, "shared_commit", "Shared Commit"),
        ("MmTotalCommittedPages", 5177766 * 2, "committed", "Committed pages"),
        ("MmMaximumNonPagedPoolInBytes", 37845 * PAGE, "nonpaged_used", "NonPagedPool Usage"),
        ("MmSizeOfPagedPoolInBytes", 120709 * PAGE, "paged_used", "PagedPool Usage"),
    ],
)
def test_what_cannot_be_true_is_set_aside(
    name: str, value: int, field: str, label: str, server: tuple[Any, dict[str, int]]
) -> None:
    memory, known = server
    memory.put(known[name], value)
    layouts = layouts_for(3790, "x86", service_pack=2).structures
    found = read_memory_counters(kernel_of(memory, 3790, addresses=known, layouts=layouts))
    assert getattr(found, field) is None
    assert label in [one for one, _ in found.impossible]


@pytest.mark.parametrize(("size", "expected"), [(0x80000000, 524288), (0x80001000, None), (0xFFFFF000, None)])
def test_two_gigabytes_in_32_bits_are_no_negative_number(
    size: int, expected: int | None, server: tuple[Any, dict[str, int]]
) -> None:
    """32-bit Windows 7: ``PagedPool Maximum:  524288 (   2097152 Kb)``; no pool of 32 bits is larger."""
    memory, known = server
    memory.put(known["MmSizeOfPagedPoolInBytes"], size)
    found = read_memory_counters(kernel_of(memory, 7601, addresses=known))
    assert pages(found.paged_max) == expected
    assert ("PagedPool Maximum" in [one for one, _ in found.impossible]) is (expected is None)


@pytest.mark.parametrize("name", ["MmNumberOfPhysicalPages", "MmTotalCommittedPages", "MmTotalCommitLimit"])
def test_a_zero_that_cannot_be_was_not_read(name: str, server: tuple[Any, dict[str, int]]) -> None:
    memory, known = server
    memory.put(known[name], 0)
    found = read_memory_counters(kernel_of(memory, 3790, addresses=known))
    field = {"MmNumberOfPhysicalPages": "physical", "MmTotalCommittedPages": "committed"}.get(name, "commit_limit")
    assert getattr(found, field) is None
    assert found.impossible == ()


def test_memory_that_disagrees_with_the_dump_is_not_believed(server: tuple[Any, dict[str, int]]) -> None:
    memory, known = server
    found = read_memory_counters(kernel_of(memory, 3790, addresses=known), 1_000_000)
    assert found.physical is None
    assert found.available is None  # above the memory that the dump says
    assert found.impossible[0][0] == "Physical Memory"


# 12.8, with the symbols: AllocatedNonPagedPool, MaximumNonPagedPoolInPages, AllocatedPagedPool, MaximumSize,
# TotalFreeSystemPtes, ProcessCommit, DriverCommit, NonPagedPoolCommit; of the partition: NumberOfPhysicalPages,
# AvailablePages, ResidentAvailablePages, TotalCommittedPages, TotalCommitLimit, PeakCommitment, SharedCommit
WINDOWS_10 = {
    14393: (
        "517E128F7B7C4EA79491DE6B9B9CE190",
        (0x18, 0x1420, 0x1418, 0x1408, 0x1490, 0x14D0, 0x14E0, 0x1498),
        (0x1890, 0x1940, 0x1980, 0x1C28, 0x1CA8, 0x1600, None),
    ),
    17763: (
        "8B11040A5928757B11390AC78F6B6925",
        (0x18, 0x2550, 0x2548, 0x2538, 0x25B8, 0x25F0, 0x25F8, 0x25C0),
        (0x1BD0, 0x1C80, 0x1CC0, 0x1DE8, 0x1E68, 0x1900, 0x1E88),
    ),
    18362: (
        "11BC9A513F1140CA359ECDF50F0122C1",
        (0x8, 0x24B0, 0x24A8, 0x24A0, 0x2518, 0x2548, 0x2550, 0x2520),
        (0x1ED0, 0x1F80, 0x1FC0, 0x20E8, 0x2168, 0x1C00, 0x2188),
    ),
    19041: (
        "5278AFF86C341677D7D7835C85B7B844",
        (0x8, 0x2630, 0x2628, 0x2620, 0x2698, 0x26C8, 0x26D0, 0x26A0),
        (0x1B10, 0x1BC0, 0x1C00, 0x1D28, 0x1DA8, 0x1840, 0x1DC8),
    ),
    20348: (
        "C2EADB24A615E9472CE47C8ADD31F130",
        (0x8, 0x4230, 0x4228, 0x4220, 0x4298, 0x42D0, 0x42D8, 0x42A0),
        (0x4150, 0x4200, 0x4240, 0x4368, 0x4458, 0x3E80, 0x4478),
    ),
    22000: (
        "32C1A669D5FFEFD41091F636CFDB6E99",
        (0x8, 0x4430, 0x4428, 0x4420, 0x4490, 0x44C8, 0x44D0, 0x4498),
        (0x4150, 0x4200, 0x4240, 0x4368, 0x4458, 0x3E80, 0x4478),
    ),
}
STATE_VALUES = (60_000, 1 << 32, 70_000, 1 << 32, 16_000_000, 9_000, 4_000, 65_000)
PARTITION_VALUES = (2_000_000, 1_200_000, 1_500_000, 900_000, 2_900_000, 1_000_000, 30_000)


def windows_10(build: int, memory: Any) -> Kernel:
    """MiState and MiSystemPartition lie apart in a table whose symbols are moved for it."""
    guid, state, partition = WINDOWS_10[build]
    table = bundled_table(PdbId("ntkrnlmp.pdb", guid, 1))
    assert table is not None
    memory.write(STATE, bytes(0x6000))
    memory.write(PARTITION, bytes(0x6000))
    for offset, value in zip(state, STATE_VALUES, strict=True):
        memory.put(STATE + offset, value, width=4 if value == 4_000 else 8)
    memory.put(STATE + state[6] + 4, 0xEEEEEEEE, width=4)  # the commit of drivers has 32 bits
    for place, value in zip(partition, PARTITION_VALUES, strict=True):
        # Before 1703 the shared commit lies in the state
        memory.put(STATE + 0x14D8 if place is None else PARTITION + place, value)
    moved = KernelTable(
        pdb=table.pdb,
        machine=table.machine,
        source="test",
        symbols={"MiState": STATE, "MiSystemPartition": PARTITION, "ExPoolFailures": VARIABLES},
        structures=table.structures,
    )
    memory.write(VARIABLES, b"\x11\0\0\0\xee\xee\xee\xee")
    return kernel_of(memory, build, table=moved)


@pytest.mark.parametrize("build", WINDOWS_10)
def test_windows_10_and_later(build: int, fake_memory: Callable[[int], Any]) -> None:
    memory = fake_memory(8)
    found = read_memory_counters(windows_10(build, memory))
    assert found.family is VmFamily.W8_LATER
    assert found.impossible == ()
    names = ("nonpaged_used", "nonpaged_max", "paged_used", "paged_max", None, "shared_process", "driver_commit")
    for name, value in zip((*names, "nonpaged_commit"), STATE_VALUES, strict=True):
        assert name is None or (name, pages(getattr(found, name))) == (name, value)
    more = ("physical", "available", "resident_available", "committed", "commit_limit", None, "shared_commit")
    for name, value in zip(more, PARTITION_VALUES, strict=True):
        assert name is None or (name, pages(getattr(found, name))) == (name, value)
    assert found.free_system_ptes is not None
    assert (found.free_system_ptes.value, found.free_system_ptes.unit) == (16_000_000, Unit.COUNT)
    assert pages(found.other["Peak Commitment"]) == 1_000_000
    assert found.pool_failures is not None
    assert found.pool_failures.value == 17
    assert found.nonpaged_nx_used is None
    assert found.nonpaged_used is not None
    assert found.nonpaged_used.address == STATE + WINDOWS_10[build][1][0]
    assert found.nonpaged_used.name == "MiState.Pools.AllocatedNonPagedPool"


def test_usage_above_memory_is_set_aside(fake_memory: Callable[[int], Any]) -> None:
    """As a real debugger printed on a machine with 8 GB: "NonPagedPool Usage: 29559056" pages, 113 GB."""
    memory = fake_memory(8)
    kernel = windows_10(19041, memory)
    memory.put(STATE + 8, 29559056)
    found = read_memory_counters(kernel)
    assert found.nonpaged_used is None
    assert [(label, pages(figure)) for label, figure in found.impossible] == [("NonPagedPool Usage", 29559056)]


def test_counters_below_zero_are_set_aside(fake_memory: Callable[[int], Any]) -> None:
    memory = fake_memory(8)
    kernel = windows_10(19041, memory)
    memory.put(STATE + 0x2628, -1)
    memory.put(STATE + 0x26D0, -3, width=4)
    found = read_memory_counters(kernel)
    assert (found.paged_used, found.driver_commit) == (None, None)
    assert {label for label, _ in found.impossible} == {"PagedPool Usage", "Driver Commit"}


STALE = {"MmNumberOfPhysicalPages": 2_000_000, "MmAvailablePages": 5, "MmTotalCommittedPages": 900_000}


@pytest.mark.parametrize(("physical_pages", "believed"), [(2_000_100, True), (4_000_000, False), (None, False)])
def test_the_debugger_block_of_windows_10_must_agree_with_the_dump(
    physical_pages: int | None, believed: bool, fake_memory: Callable[[int], Any]
) -> None:
    memory = fake_memory(8)
    known = write_variables(memory, STALE)
    found = read_memory_counters(kernel_of(memory, 19041, addresses=known), physical_pages)
    assert pages(found.available) == (5 if believed else None)
    assert pages(found.committed) == (900_000 if believed else None)
    assert any("debugger block" in note for note in found.notes) == believed


def test_stale_variables_are_not_mixed_with_symbols(fake_memory: Callable[[int], Any]) -> None:
    memory = fake_memory(8)
    kernel = windows_10(19041, memory)
    memory.put(STATE + 0x26B8, 99)  # Vs.MdlPagesAllocated
    known = {"MmNumberOfPhysicalPages": VARIABLES + 0x100, "MmSpecialPagesInUse": VARIABLES + 0x108}
    known["MmMdlPagesAllocated"] = VARIABLES + 0x110
    memory.put(VARIABLES + 0x100, 2_000_000, 77, 88)
    found = read_memory_counters(kernel_of(memory, 19041, table=kernel.table, addresses=known), 2_000_000)
    assert found.special_pool is None
    assert pages(found.pages_for_mdls) == 99


def test_windows_7_with_symbols(fake_memory: Callable[[int], Any]) -> None:
    memory = fake_memory(8)
    table = bundled_table(PdbId("ntkrnlmp.pdb", "339E74133576439CBCDF7E0229DA3773", 1))
    assert table is not None
    base = 0xFFFFF80002A00000
    place = {name: base + relative for name, relative in table.symbols.items()}
    for name, number in {
        "MmNumberOfPhysicalPages": 2_000_000, "MmAvailablePages": 1_000_000, "MmAllocatedNonPagedPool": 33_000,
        "MmMaximumNonPagedPoolInBytes": 1_500_000 * PAGE, "MmMaximumNonPagedPoolInPages": 1_500_000,
        # "PagedPool Maximum: 33554432 ( 134217728 Kb)": 128 GB
        "MmSizeOfPagedPoolInBytes": 33_554_432 * PAGE, "MmTotalCommittedPages": 800_000,
        "MmTotalCommitLimit": 4_000_000,
    }.items():  # fmt: skip
        memory.put(place[name], number)
    memory.put(place["MmPagedPoolInfo"] + 0x58, 51_000, 50_000)  # PagedPoolCommit, AllocatedPagedPool
    layout = table.structures["_MI_SYSTEM_PTE_TYPE"].fields["TotalFreeSystemPtes"]
    memory.put(place["MiSystemPteInfo"] + layout.offset, 33_500_000, width=layout.size)
    # The descriptor of 7601 x64: PoolType 0, TotalBigPages 48, PoolIndex 80, TotalPages C0
    at = place["NonPagedPoolDescriptor"]
    memory.write(at, bytes(0x1140))
    memory.put(at + 0x48, 12_000, width=4)
    memory.put(at + 0xC0, 20_000, width=4)
    found = read_memory_counters(kernel_of(memory, 7601, table=table, base=base))
    assert found.family is VmFamily.VISTA_7
    assert pages(found.nonpaged_used) == 32_000
    assert pages(found.nonpaged_max) == 1_500_000
    assert (pages(found.paged_used), pages(found.paged_commit), pages(found.paged_max)) == (50_000, 51_000, 33_554_432)
    assert found.free_system_ptes is not None
    assert found.free_system_ptes.value == 33_500_000
    assert found.impossible == ()


def test_windows_8_1_with_symbols(fake_memory: Callable[[int], Any]) -> None:
    """Two descriptors: 9600 has PoolType 0, TotalBigPages 48, TotalPages C0, size 1140; MaximumSize at 50 in pages."""
    memory = fake_memory(8)
    table = bundled_table(PdbId("ntkrnlmp.pdb", "22597D0B40394E23936F6A24C6C52D5B", 1))
    assert table is not None
    base = 0xFFFFF80002A00000
    place = {name: base + relative for name, relative in table.symbols.items()}
    memory.put(place["MmNumberOfPhysicalPages"], 2_000_000)
    memory.put(place["MmMaximumNonPagedPoolInBytes"], 2_000_000 * PAGE)
    memory.put(place["MmMaximumNonPagedPoolInPages"], 1_900_000)
    memory.put(place["MmSizeOfPagedPoolInBytes"], 1 << 44)
    memory.put(place["MmPagedPoolInfo"] + 0x50, 4_026_531_840)  # 15 TB
    memory.put(place["MmPagedPoolInfo"] + 0x60, 80_000)
    at = place["NonPagedPoolDescriptor"]
    memory.write(at, bytes(0x2280))
    memory.put(at + 0x48, 500, width=4)
    memory.put(at + 0x1140, 0x200, width=4)
    memory.put(at + 0x1140 + 0xC0, 64_000, width=4)
    found = read_memory_counters(kernel_of(memory, 9600, table=table, base=base))
    assert (pages(found.nonpaged_used), pages(found.nonpaged_nx_used)) == (500, 64_000)
    assert pages(found.nonpaged_max) == 1_900_000
    assert (pages(found.paged_used), pages(found.paged_max)) == (80_000, 4_026_531_840)
    assert found.nonpaged_nodes == ()
    assert found.impossible == ()


@pytest.mark.parametrize(
    ("build", "value", "expected"),
    [(7601, 2 << 30, 2 << 30), (9600, 1_561_080, 1_561_080 * PAGE), (9600, 8 << 30, 8 << 30)],
)
def test_the_unit_of_the_maximum_without_symbols(
    build: int, value: int, expected: int, fake_memory: Callable[[int], Any]
) -> None:
    """A real 8.1 printed "NonPagedPool Max: 1561080" pages; as bytes it would be 1.5 MB."""
    memory = fake_memory(8)
    known = write_variables(memory, {"MmMaximumNonPagedPoolInBytes": value})
    found = read_memory_counters(kernel_of(memory, build, addresses=known))
    assert found.nonpaged_max is not None
    assert found.nonpaged_max.value == expected
    assert any("taken to count pages" in note for note in found.notes) == (value != expected)


NEEDED = (
    "physical", "available", "resident_available", "committed", "commit_limit", "nonpaged_used", "nonpaged_max",
    "paged_used", "paged_max", "free_system_ptes", "driver_commit", "pool_failures",
)  # fmt: skip
# The first and the last known kernel of each build: updates move fields within one
EDGES = {(one.build, edge): one for edge in (1, -1) for one in bundled_kernels()[::edge]}


@pytest.mark.parametrize("kernel", EDGES.values(), ids=lambda kernel: f"{kernel.version}-{kernel.pdb.guid[:6]}")
def test_every_known_kernel_has_the_figures_a_verdict_needs(kernel: Any) -> None:
    table = bundled_table(kernel.pdb)
    assert table is not None
    one = 1_000_000
    in_bytes = {table.symbols.get(name) for name in ("MmSizeOfPagedPoolInBytes", "MmMaximumNonPagedPoolInBytes")}

    class Ones:
        """Memory in which each number of pages is the same: every place that is known gives a figure."""

        pointer_size = 4 if kernel.machine == "x86" else 8

        def read(self, address: int, size: int) -> bytes | Absence:
            value = one * PAGE if address in in_bytes else one
            return value.to_bytes(size, "little") if 3 <= size <= 8 else bytes(size)

        def gather(self, pages: Any) -> Any:
            raise AssertionError

    found = read_memory_counters(kernel_of(Ones(), kernel.build, table=table))
    missing = [name for name in NEEDED if getattr(found, name) is None]
    assert (missing, found.impossible) == ([], ())


def test_the_names_are_those_of_the_fact() -> None:
    """What the report's fact has no field for would be lost without a word."""
    ours = {one.name for one in fields(KernelMemoryCounters)} - {"failures", "notes"}
    assert ours <= {one.name for one in fields(MemoryCounters)}


def test_nothing_is_known(fake_memory: Callable[[int], Any]) -> None:
    found = read_memory_counters(kernel_of(fake_memory(4), 2600))
    figures = [getattr(found, one.name) for one in fields(found)]
    assert not [figure for figure in figures if isinstance(figure, KernelFigure)]
    assert found.notes == ("where the list of page files lies in this version is not known",)


@given(st.integers(0, (1 << 64) - 1), st.sampled_from([2195, 3790, 7601, 9600, 14393, 19041]), st.booleans())
def test_any_number_gives_a_result(number: int, build: int, told: bool) -> None:
    class Same:
        pointer_size = 8

        def read(self, address: int, size: int) -> bytes | Absence:
            return (number.to_bytes(8, "little") * (size // 8 + 1))[:size]

        def gather(self, pages: Any) -> Any:
            raise AssertionError

    names = [*SERVER, *SERVER_NARROW, "NonPagedPoolDescriptor", "ExpPagedPoolDescriptor", "ExpNumberOfPagedPools"]
    names += ["ExpNumberOfNonPagedPools", "ExpNonPagedPoolDescriptor", "MmPagingFile", "MmNumberOfPagingFiles"]
    names += ["MmTotalFreeSystemPtes", "MmPoolFailures", "MmPoolFailureReasons", "MiSystemPteInfo", "MmPagedPoolInfo"]
    fixed = {"TotalPages": Field(0x10, 4), "TotalBigPages": Field(0x14, 4), "PoolType": Field(0, 4)}
    layouts = {"_POOL_DESCRIPTOR": Structure(0x48, {**fixed, "PoolIndex": Field(4, 4)})}
    kernel = kernel_of(Same(), build, addresses=dict.fromkeys(names, 0x80560000), layouts=layouts)
    found = read_memory_counters(kernel, number >> 12 if told else None)
    for one in fields(found):
        figure = getattr(found, one.name)
        assert not isinstance(figure, KernelFigure) or 0 <= figure.value <= 1 << 52
