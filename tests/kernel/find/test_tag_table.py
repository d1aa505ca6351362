"""The size of the tag table by test: every size and layout, near misses, and tables that are no tables."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.kernel.find.tag_table import (
    TagTable,
    find_processor_tables,
    find_tag_table,
    lies_as_hashed,
    read_surroundings,
)
from poolsleuth.windows.structure_layouts import known_layouts

Made = Callable[..., Any]
X64 = known_layouts("_POOL_TRACKER_TABLE", "x64")


def search(machine: Any, distances: tuple[int, ...] = (8,), build: int = 7601) -> TagTable | None:
    around = read_surroundings(machine.reader, machine.at("PoolTrackTable"))
    return find_tag_table(machine.reader, around, X64, distances, build)


def processors(machine: Any, tags: TagTable | None, count: int | None) -> tuple[int, int] | None:
    assert tags is not None
    around = read_surroundings(machine.reader, machine.at("PoolTrackTable"))
    return find_processor_tables(machine.reader, around, tags, count)


@pytest.mark.parametrize("row", [0x28, 0x38, 0x50])
@pytest.mark.parametrize("rows", [512, 4096])
def test_each_layout_and_size(machine: Made, row: int, rows: int) -> None:
    written = machine(rows=rows)
    table = written.write_tag_tables(row)
    found = search(written)
    assert found is not None
    assert (found.table, found.layout.size, found.rows, found.hashed) == (table, row, rows + 1, True)
    assert found.size_address == written.at("PoolTrackTable") - 8


# 9600, 14393, 19041 and 20348: the distances of four real symbol tables, none of them given to the search
@pytest.mark.parametrize("distance", [-5368, 5240, -10368, 16512])
def test_a_size_far_away(machine: Made, distance: int) -> None:
    written = machine()
    written.write_tag_tables(0x38, size_distance=distance)
    found = search(written)
    assert found is not None
    assert found.size_address == written.at("PoolTrackTable") - distance


def test_other_powers_nearby_do_not_mislead(machine: Made) -> None:
    written = machine()
    written.write_tag_tables(0x28)
    # Half, double and much more: words such as stand between the variables of every kernel
    written.memory.put(written.at("PoolTrackTable") + 64, 512, 513, 2048, 2049, 65536, 1 << 17)
    found = search(written)
    assert found is not None
    assert found.rows == 1025


def test_a_table_with_missing_pages(machine: Made) -> None:
    written = machine()
    table = written.write_tag_tables(0x28)
    written.memory.lose(table + 0x3000)
    found = search(written)
    assert found is not None
    assert found.rows == 1025


def test_no_table(machine: Made) -> None:
    written = machine()
    assert search(written) is None  # the variable is zero
    table = written.write_tag_tables(0x28)
    written.memory.write(table, np.random.default_rng(1).bytes(0x28 * 1025))
    assert search(written) is None  # noise
    written.memory.write(table, bytes(0x28 * 1025))
    assert search(written) is None  # nothing in it
    # Printable, but in the order of the alphabet
    rows = b"".join((b"A%03d" % number).ljust(0x28, b"\0") for number in range(900))
    written.memory.write(table, rows)
    assert search(written) is None


def test_windows_xp_has_another_hash(machine: Made) -> None:
    written = machine(4, build=2600)
    layouts = [known_layouts("_POOL_TRACKER_TABLE", "x86")[-1]]
    rows = b"".join((b"A%03d" % number + bytes([9, 0, 0, 0, 2, 0, 0, 0])).ljust(0x1C, b"\0") for number in range(900))
    table = written.allocate(0x1C * 1025)
    written.memory.write(table, rows)
    written.memory.put(written.at("PoolTrackTable") - 4, 1025, table)
    around = read_surroundings(written.reader, written.at("PoolTrackTable"))
    found = find_tag_table(written.reader, around, layouts, (4,), 2600)
    assert found is not None
    assert (found.rows, found.hashed) == (1025, False)
    assert find_tag_table(written.reader, around, layouts, (4,), 3790) is None


def test_processor_tables(machine: Made) -> None:
    written = machine()
    written.write_tag_tables(0x28, array_distance=16400)
    tags = search(written)
    place = written.at("PoolTrackTable") - 16400
    assert processors(written, tags, 4) == (place, 4)
    assert processors(written, tags, None) == (place, 4)
    assert processors(written, tags, 5) is None  # one is missing


def test_processor_tables_of_other_tags(machine: Made) -> None:
    written = machine()
    written.write_tag_tables(0x28)
    place = written.at("PoolTrackTable") + 24
    second = written.reader.pointer(place + 8)
    written.memory.write(second, bytes(0x28 * 1025))
    assert processors(written, search(written), 4) == (place, 4)  # a processor that allocated nothing
    written.memory.write(second, written.table_of(0x28, tags=tuple(b"Z%03d" % number for number in range(300))))
    assert processors(written, search(written), 4) is None
    written.memory.put(place + 8, written.reader.pointer(place))
    assert processors(written, search(written), 4) is None  # the same table twice


@settings(max_examples=50, deadline=None)
@given(st.sets(st.binary(min_size=4, max_size=4).filter(any), min_size=8, max_size=200), st.integers(8, 10))
def test_hash_test_agrees_with_a_slow_one(tags: set[bytes], power: int) -> None:
    size = 1 << power
    keys = np.zeros(2 * size, np.uint32)
    for tag in sorted(tags):
        number = int.from_bytes(tag, "little") & 0x7F7F7F7F | 0x40404040
        product = 40543 * number
        slot = (product ^ product >> 32) % size
        while keys[slot] not in (0, number):
            slot = (slot + 1) % size
        keys[slot] = number
    used = np.flatnonzero(keys)
    octets = keys[used].view(np.uint8).reshape(-1, 4)
    plain = ((octets >= 0x20) & (octets < 0x7F)).all(axis=1).mean() >= 0.9
    whole = np.ones(2 * size, np.bool_)
    assert lies_as_hashed(keys, whole, size) == (plain and len(used) >= 8)
    assert lies_as_hashed(keys[: size - 1], whole[: size - 1], size) is False
    # A tag that lies where nothing leads to it does not fit; enough of them, and the table is none
    moved = np.zeros_like(keys)
    moved[1 : size + 1] = keys[:size]
    gaps = lies_as_hashed(moved, whole, size)
    if plain and len(used) < size // 8:
        assert gaps is False
