"""What is found around PoolTrackTable: the big-page table of each generation, and sentences on what is not there."""

import json
import lzma
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from poolsleuth.kernel.find.pool_tables import PoolTables, find_pool_tables
from poolsleuth.windows.structure_layouts import layouts_for

Made = Callable[..., Any]
SYMBOLS = Path(__file__).parents[4] / "shared" / "data" / "symbols"
# Build, bytes of a row of the tag table and of the big-page table
KERNELS = [
    (7601, 0x28, 0x18), (9600, 0x28, 0x18), (14393, 0x28, 0x18), (17763, 0x38, 0x18), (18362, 0x38, 0x18),
    (19041, 0x38, 0x18), (20348, 0x50, 0x20), (22000, 0x50, 0x20),
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


@pytest.mark.parametrize(("build", "row", "big"), KERNELS)
def test_where_eight_real_kernels_have_their_variables(machine: Made, build: int, row: int, big: int) -> None:
    paths = list(SYMBOLS.glob(f"ntkrnlmp_*.{build}.*.json.xz"))
    if not paths:
        pytest.skip(f"the symbol table of {build} is not there")
    symbols = json.loads(lzma.decompress(paths[0].read_bytes()))["symbols"]

    def before(name: str) -> int:
        return int(symbols["PoolTrackTable"]["address"] - symbols[name]["address"])

    written = machine(build=build)
    variable = written.at("PoolTrackTable")
    # All around lie addresses of pages, powers of two and small numbers, as between the variables of a kernel
    chance = random.Random(build)
    for place in range(variable - 0x5000, variable + 0x5000, 8):
        value = chance.choice(
            [0, chance.randrange(1 << 16), 1 << chance.randrange(20), 0xFFFFFA8001000000 + chance.randrange(64) * 4096]
        )
        written.memory.put(place, value)
    written.memory.put(variable - before("PoolTrackTableMask"), 1023)
    table = written.write_tag_tables(
        row, size_distance=before("PoolTrackTableSize"), array_distance=before("ExPoolTagTables")
    )
    distances = (before("PoolBigPageTable"), before("PoolBigPageTableSize"))
    entries = written.write_big_pages(big, distances=distances)
    found = search(written, build)
    read = written.reader.pointer
    assert read(variable) == table
    assert read(found.addresses["PoolTrackTableSize"]) == 1025
    assert found.addresses["PoolBigPageTable"] == variable - distances[0]
    assert (read(found.addresses["PoolBigPageTable"]), read(found.addresses["PoolBigPageTableSize"])) == (entries, 4096)
    assert found.addresses["ExPoolTagTables"] == variable - before("ExPoolTagTables")
    sizes = [found.layouts[name].size for name in ("_POOL_TRACKER_TABLE", "_POOL_TRACKER_BIG_PAGES")]
    assert sizes == [row, big]
