"""What is found around PoolTrackTable: the big-page table of each generation, and sentences on what is not there."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from poolsleuth.kernel.find.pool_tables import PoolTables, find_pool_tables
from poolsleuth.windows.structure_layouts import layouts_for

Made = Callable[..., Any]
# From the symbol tables of 7601.24540, 9600.19913, 14393.4583, 17763.379, 18362.295, 19041.804, 20348.288, 22000.318:
# bytes of a row of both tables, then how far before PoolTrackTable lie PoolTrackTableSize, ExPoolTagTables,
# PoolTrackTableMask, PoolBigPageTable and PoolBigPageTableSize
KERNELS = [
    (7601, 0x28, 0x18, (8, -24, 16, 40, 48)), (9600, 0x28, 0x18, (-5368, -56, -5176, -5192, -5200)),
    (14393, 0x28, 0x18, (5240, 5168, 5200, 24, 48)), (17763, 0x38, 0x18, (8, -40, -10328, -10336, -10312)),
    (18362, 0x38, 0x18, (8, 10336, 96, 48, 40)), (19041, 0x38, 0x18, (-10368, -24, -10264, -10328, -10336)),
    (20348, 0x50, 0x20, (16512, 16400, 16432, 16456, 16464)), (22000, 0x50, 0x20, (8, -104, -72, -48, -40)),
]  # fmt: skip


def search(machine: Any, build: int = 7601, count: int | None = 4) -> PoolTables:
    architecture = "x64" if machine.pointer == 8 else "x86"
    return find_pool_tables(
        machine.reader,
        machine.at("PoolTrackTable"),
        build=build,
        architecture=architecture,
        processors=count,
        layouts=dict(layouts_for(build, architecture).structures),
    )


# Row size, distances of the two variables: 3790, 7601, 9600, 14393, 17763, 18362, 19041, 20348, 22000, and two of none
@pytest.mark.parametrize(
    ("row", "distances"),
    [
        (0x18, (48, 56)), (0x18, (40, 48)), (0x18, (-5192, -5200)), (0x18, (24, 48)), (0x18, (-10336, -10312)),
        (0x18, (48, 40)), (0x18, (-10328, -10336)), (0x20, (16456, 16464)), (0x20, (-48, -40)),
        (0x18, (0x2000, 0x2010)), (0x20, (-0x4000, -0x3FD8)),
    ],
)  # fmt: skip
def test_big_pages(machine: Made, row: int, distances: tuple[int, int]) -> None:
    written = machine()
    table = written.write_big_pages(row, distances=distances)
    found = search(written)
    assert written.reader.pointer(found.addresses["PoolBigPageTable"]) == table
    assert written.reader.pointer(found.addresses["PoolBigPageTableSize"]) == 4096
    assert found.layouts["_POOL_TRACKER_BIG_PAGES"].size == row
    assert "the table of big pool allocations was found by test: 4,096 rows" in found.notes


@pytest.mark.parametrize(
    ("row", "build", "distances"), [(0xC, 2600, (8, 12)), (0x10, 3790, (24, 28)), (0x10, 7601, (20, 24))]
)
def test_big_pages_of_32_bits(machine: Made, row: int, build: int, distances: tuple[int, int]) -> None:
    written = machine(4, build=build)
    table = written.write_big_pages(row, distances=distances)
    found = search(written, build)
    assert written.reader.pointer(found.addresses["PoolBigPageTable"]) == table
    assert found.layouts["_POOL_TRACKER_BIG_PAGES"].size == row


def test_the_size_of_the_big_page_table_among_others(machine: Made) -> None:
    written = machine()
    written.write_big_pages(0x18, distances=(0x2000, 0x2028))
    place = written.at("PoolTrackTable") - 0x2000
    written.memory.put(place + 8, 512, 1 << 20, 8192)
    found = search(written)
    assert written.reader.pointer(found.addresses["PoolBigPageTableSize"]) == 4096


def test_what_is_not_there_is_said(machine: Made) -> None:
    written = machine()
    assert search(written).addresses == {}
    assert search(written).notes == (
        "PoolTrackTable is empty: pool tagging was off on that system",
        "the table of big pool allocations could not be found without symbols",
    )
    written.memory.put(written.at("PoolTrackTable"), written.allocate(0x10000))
    assert search(written).notes[0].startswith("the size of the table of pool tags could not be found")
    written.memory.lose(written.at("PoolTrackTable"))
    assert search(written).notes[0].startswith("the variable PoolTrackTable is not in the dump")


def test_tables_of_other_processors_that_are_not_found(machine: Made) -> None:
    written = machine()
    written.write_tag_tables(0x28, array_distance=None)
    found = search(written)
    assert "ExPoolTagTables" not in found.addresses
    assert any("they could not be summed" in note for note in found.notes)
    # Before Vista there is one table only, and nothing to be said
    assert not any("summed" in note for note in search(written, 3790).notes)


def test_free_entries_and_damage(machine: Made) -> None:
    written = machine()
    table = written.write_big_pages(0x18)
    for number in range(0, 4096, 7):  # every entry is free
        entry = table + number * 0x18
        written.memory.put(entry, written.reader.pointer(entry) | 1)
    assert "PoolBigPageTable" not in search(written).addresses
    written.write_big_pages(0x18)
    assert "PoolBigPageTable" in search(written).addresses
    table = written.write_big_pages(0x18)
    for number in range(0, 4096, 14):  # half of the tags are noise
        written.memory.write(table + number * 0x18 + 8, b"\x01\x02\x03\xff")
    assert "PoolBigPageTable" not in search(written).addresses


@pytest.mark.parametrize(("build", "row", "big", "before"), KERNELS)
def test_where_eight_real_kernels_have_their_variables(
    machine: Made, build: int, row: int, big: int, before: tuple[int, ...]
) -> None:
    size, array, mask, *distances = before
    written = machine(build=build)
    variable = written.at("PoolTrackTable")
    # All around lie addresses of pages, powers of two and small numbers, as between the variables of a kernel
    chance = random.Random(build)
    pages = [0xFFFFFA8001000000 + number * 4096 for number in range(64)]
    words = [0, 1, 0xFFFF, *pages, *(1 << power for power in range(20)), *range(300, 400)]
    written.memory.put(variable - 0x5000, *chance.choices(words, k=0xA000 // 8))
    written.memory.put(variable - mask, 1023)
    table = written.write_tag_tables(row, size_distance=size, array_distance=array)
    entries = written.write_big_pages(big, distances=tuple(distances))
    found = search(written, build)
    read = written.reader.pointer
    assert read(variable) == table
    assert read(found.addresses["PoolTrackTableSize"]) == 1025
    assert found.addresses["PoolBigPageTable"] == variable - distances[0]
    assert (read(found.addresses["PoolBigPageTable"]), read(found.addresses["PoolBigPageTableSize"])) == (entries, 4096)
    assert found.addresses["ExPoolTagTables"] == variable - array
    sizes = [found.layouts[name].size for name in ("_POOL_TRACKER_TABLE", "_POOL_TRACKER_BIG_PAGES")]
    assert sizes == [row, big]


def test_a_nearly_empty_table(machine: Made) -> None:
    written = machine()
    table = written.write_big_pages(0x18)
    written.memory.write(table, bytes(0x18 * 4096))
    for number in (1700, 2900, 3000, 3500):
        entry = table + number * 0x18
        written.memory.put(entry, 0xFFFFFA8010000000 + number * 0x1000)
        written.memory.put(entry + 8, int.from_bytes(b"MmCa", "little"))
        written.memory.put(entry + 16, 0x2000)
    assert "PoolBigPageTable" in search(written).addresses
    # Where nothing but a search leads to it, so few entries are no proof
    far = machine()
    far.memory.write(table, bytes(0x18 * 4096))
    far.memory.put(far.at("PoolTrackTable") - 0x2000, table, 4096)
    assert "PoolBigPageTable" not in search(far).addresses
