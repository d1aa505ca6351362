"""Slots of 18 bytes (x86) and 28 (x64), public symbol tables."""

import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.kernel.absence import Absence
from poolsleuth.kernel.address_space import Reader
from poolsleuth.kernel.target import Kernel
from poolsleuth.kernel.unloaded_modules import read_unloaded_modules
from poolsleuth.windows.structure_layouts import layouts_for

VARIABLE, LAST = 0x80550000, 0x80550040
RING = 0x80560F80  # it crosses the end of a page
NOON = 0x1D707F23DBB3399  # 2021-02-21 01:38:22 UTC
NOON_AT = datetime(2021, 2, 21, 1, 38, 22, tzinfo=UTC)
SECOND = 10_000_000


def kernel_of(memory: Any, build: int = 7601, **known: Any) -> Kernel:
    return Kernel(
        memory=Reader(memory),
        build=build,
        architecture="x86" if memory.pointer_size == 4 else "x64",
        pae=None,
        base=0,
        size=None,
        pdb=None,
        processors=None,
        table=None,
        **({"addresses": {"MmUnloadedDrivers": VARIABLE, "MmLastUnloadedDriver": LAST}} | known),
    )


def write_slot(memory: Any, slot: int, name: str, start: int, end: int, time: int) -> None:
    width = memory.pointer_size
    at = RING + slot * (0x28 if width == 8 else 0x18)
    raw = name.encode("utf-16-le")
    where = 0x80570000 + 0x100 * slot
    memory.write(where, raw)
    memory.write(at, struct.pack("<HH", len(raw), len(raw)))
    memory.put(at + width, where, start, end)
    memory.put(at + 4 * width, time, width=8)


def write_ring(memory: Any, following: int) -> None:
    memory.put(VARIABLE, RING)
    memory.put(LAST, following, width=4)
    memory.write(RING, bytes(50 * 0x28))


@pytest.mark.parametrize(
    ("width", "build"), [(4, 2195), (4, 2600), (4, 3790), (8, 3790), (8, 7601), (4, 10240), (8, 19041)]
)
def test_the_newest_stands_first_and_repeated_entries_are_kept(
    width: int, build: int, fake_memory: Callable[[int], Any]
) -> None:
    memory = fake_memory(width)
    write_ring(memory, 2)
    # The ring went round: slot 1 is the newest, slot 2 the oldest
    write_slot(memory, 1, "leaky.sys", 0x9000000, 0x9008000, NOON)
    write_slot(memory, 0, "leaky.sys", 0xA000000, 0xA008000, NOON - SECOND)
    write_slot(memory, 49, "dump_atapi.sys", 0xB000000, 0xB001000, NOON - 2 * SECOND)
    write_slot(memory, 2, "hwpolicy.sys", 0xC000000, 0xC001000, NOON - 3 * SECOND)
    for layouts in ({}, layouts_for(build, "x86" if width == 4 else "x64").structures):
        found = read_unloaded_modules(kernel_of(memory, build, layouts=layouts))
        assert (found.whole, found.says, found.address) == (True, None, RING)
        assert [driver.name for driver in found.drivers] == [
            "leaky.sys",
            "leaky.sys",
            "dump_atapi.sys",
            "hwpolicy.sys",
        ]
        first = found.drivers[0]
        assert (first.start, first.end) == (0x9000000, 0x9008000)
        assert first.at is not None
        assert abs(first.at - NOON_AT) < timedelta(seconds=1)
        assert first.address == RING + (0x28 if width == 8 else 0x18)


def test_times_tell_the_order_when_the_index_is_not_known(fake_memory: Callable[[int], Any]) -> None:
    memory = fake_memory(8)
    write_ring(memory, 0)
    for slot in range(5):
        write_slot(memory, slot, f"d{slot}.sys", 0x1000, 0x2000, NOON + (slot * 3 % 5) * SECOND)
    found = read_unloaded_modules(kernel_of(memory, addresses={"MmUnloadedDrivers": VARIABLE}))
    assert [driver.name for driver in found.drivers] == ["d3.sys", "d1.sys", "d4.sys", "d2.sys", "d0.sys"]


def test_without_true_times_the_ring_tells_the_order(fake_memory: Callable[[int], Any]) -> None:
    memory = fake_memory(8)
    write_ring(memory, 1)
    write_slot(memory, 0, "new.sys", 0x1000, 0x2000, 5)  # no time
    write_slot(memory, 49, "old.sys", 0x1000, 0x2000, NOON)
    drivers = read_unloaded_modules(kernel_of(memory)).drivers
    assert [(driver.name, driver.at is None) for driver in drivers] == [("new.sys", True), ("old.sys", False)]


def test_no_driver_was_ever_unloaded(fake_memory: Callable[[int], Any]) -> None:
    memory = fake_memory(8)
    memory.put(VARIABLE, 0)
    found = read_unloaded_modules(kernel_of(memory))
    assert (found.drivers, found.whole, found.says) == ((), True, None)


def test_slots_and_names_that_are_missing(fake_memory: Callable[[int], Any]) -> None:
    memory = fake_memory(8)
    write_ring(memory, 30)
    write_slot(memory, 1, "here.sys", 0x1000, 0x2000, NOON)
    write_slot(memory, 20, "gone.sys", 0x1000, 0x2000, NOON)
    write_slot(memory, 2, "unread.sys", 0x3000, 0x4000, NOON)
    write_slot(memory, 0, "odd", 0x5000, 0x4000, NOON)  # ends before it begins: no driver
    memory.put(RING + 2 * 0x28 + 8, 0x666000)
    memory.lose(RING + 20 * 0x28, Absence.NOT_IN_DUMP)
    found = read_unloaded_modules(kernel_of(memory))
    assert {driver.name for driver in found.drivers} == {"here.sys", None}
    assert not found.whole
    # Slot 3 begins at FF8 of its page: of it and of those behind it, all addresses lie on the page that is missing
    assert found.says == "47 of 50 slots of the list of unloaded drivers cannot be read"


@pytest.mark.parametrize("known", [{}, {"MmUnloadedDrivers": 0x1000}])
def test_a_list_that_is_not_known(known: dict[str, int], fake_memory: Callable[[int], Any]) -> None:
    found = read_unloaded_modules(kernel_of(fake_memory(8), addresses=known))
    assert (found.drivers, found.whole) == ((), False)
    assert found.says is not None


@given(st.binary(min_size=1, max_size=0x7D0), st.integers(0, 0xFFFFFFFF), st.sampled_from([4, 8]))
def test_any_ring_gives_a_result(ring: bytes, following: int, width: int) -> None:
    class Memory:
        pointer_size = width

        def read(self, address: int, size: int) -> bytes | Absence:
            if address == VARIABLE:
                return RING.to_bytes(width, "little")
            if address == LAST:
                return following.to_bytes(4, "little")
            at = address - RING
            return ring[at : at + size] if at >= 0 and at + size <= len(ring) else Absence.CUT_OFF

        def gather(self, pages: Any) -> Any:
            raise AssertionError

    found = read_unloaded_modules(kernel_of(Memory()))
    assert len(found.drivers) <= 50
    assert found.whole == (found.says is None)
